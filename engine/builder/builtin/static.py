"""Static sites: plain files, served by a small server that comes along in the slug."""

import json
import shlex
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.context import Context
from engine.builder.procfile import read_small

SERVER = Path(__file__).with_name("static_server.py")
SERVER_TEXT = SERVER.read_text()  # read now: in a build the platform's files may be out of reach
FOLDERS = ("public", "dist", "build", "site", "_site", "docs")


class Static:
    """Serves index.html and its like; `static.json` may say where they are."""

    LOOKS_FOR = "index.html, public/index.html or static.json (static site)"

    def __init__(self) -> None:
        self.command = ""

    def detect(self, build: Context) -> str | None:
        marks = ("static.json", "index.html", "public/index.html")
        return "Static site" if any((build.root / mark).is_file() for mark in marks) else None

    def compile(self, build: Context) -> None:
        root = self._root(build)
        found = build.usable_pythons()
        if not found:
            raise BuildFailed("No Python that dynos can run is installed on this machine.")
        place = build.root / ".slipway"
        place.mkdir(exist_ok=True)
        (place / "static_server.py").write_text(SERVER_TEXT)
        self.command = f"exec {shlex.quote(str(found[0].path))} -IS .slipway/static_server.py"
        if not (build.root / "static.json").is_file() and root != ".":
            self.command += f" {shlex.quote(root)}"
        build.detail(f"Serving {'the files at the top' if root == '.' else root + '/'}")

    def release(self, build: Context) -> dict[str, str]:
        return {"web": self.command}

    def _root(self, build: Context) -> str:
        data = read_small(build.root / "static.json")
        if data is None:
            if (build.root / "index.html").is_file():
                return "."
            return next((name for name in FOLDERS if (build.root / name / "index.html").is_file()), ".")
        try:
            settings = json.loads(data)
            root = settings.get("root") or "."
        except (ValueError, AttributeError, RecursionError) as fault:
            raise BuildFailed(f"static.json is not a JSON object: {fault}.") from None
        if not isinstance(root, str) or ".." in root.split("/") or not (build.root / root).is_dir():
            raise BuildFailed(f"static.json names the folder {str(root)[:80]!r}, which is not in the source.")
        return root.strip("/") or "."
