"""Installed packages that are kept between builds, and go into slugs as a finished layer.

While a build runs, a link in the app's folder leads to them in the cache; in the slug they are real files.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from engine.builder.context import Context
from engine.builder.pack import Layer, make_layer

FORMAT = 3  # raise it when older caches no longer fit


class Kept:
    """The folder `place` of the slug (such as b"node_modules"), kept in the cache under `name`."""

    def __init__(self, build: Context, name: str, place: bytes) -> None:
        self.build, self.where = build, place
        self.folder = build.cache / name
        self.files = self.folder / "files"
        self.frame = self.folder / "layer"
        self.about = self._read()

    @property
    def note(self) -> str:
        """What was said of them when they were made."""
        return str(self.about.get("note", ""))

    def fits(self, key: str) -> bool:
        """Whether they were made from the same inputs."""
        return self.about.get("key") == f"{FORMAT} {key}" and self.frame.is_file() and self.files.is_dir()

    def begin(self) -> Path:
        """Forget what is kept; returns the path at which to make it anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self.files

    def take(self, folder: Path) -> None:
        """Move what was installed in the app's folder into the cache."""
        self.build.move(folder, self.begin())

    def finish(self, key: str, note: str = "") -> None:
        """What lies at `files` is whole: make its layer and remember the key."""
        layer = make_layer(self.files, self.where, self.frame, max_bytes=self.build.max_bytes)
        self.about = {"key": f"{FORMAT} {key}", "note": note, "unpacked": layer.unpacked}
        (self.folder / "kept.json").write_text(json.dumps(self.about))

    def place(self) -> None:
        """Show the files in the app's folder and put the layer into the slug."""
        link = self.build.root / self.where.decode()
        if link.is_symlink():
            link.unlink()
        shutil.rmtree(link, ignore_errors=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.files)
        layer = Layer(self.where, self.frame, int(self.about["unpacked"]))
        self.build.layers = [one for one in self.build.layers if one.name != self.where] + [layer]

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / "kept.json").read_text())
            return found if isinstance(found.get("unpacked"), int) else {}
        except (OSError, ValueError, AttributeError):
            return {}
