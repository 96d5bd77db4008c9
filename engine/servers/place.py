"""Where a server of the platform's own lives: its folder, its user, and what it sees of the machine."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from core.errors import EngineError

LAUNCHER = Path(__file__).with_name("launcher.py")
PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Place:
    """`folder` belongs to the server alone. As root the platform gives it the user `uid`, known by `name`; otherwise it
    runs as the platform's own user. `programs` are folders that it needs of what is installed."""

    folder: Path
    name: str
    uid: int
    programs: tuple[Path, ...] = ()

    @property
    def _owner(self) -> int | None:
        return self.uid if os.geteuid() == 0 and sys.platform == "linux" else None

    def make(self) -> None:
        """Have the folder, for its owner alone. May be called again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.give(self.folder)

    def give(self, path: Path) -> None:
        """Let `path` belong to the server."""
        if self._owner is not None:
            os.chown(path, self._owner, self._owner)

    def spawn(
        self, argv: Sequence[str], *, output: int, dies_by: Signals, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program here. It gets `dies_by` when the thread that called this ends, so that has to stay."""
        child = subprocess.Popen(
            [sys.executable, "-IS", str(LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={},
            cwd="/",
            start_new_session=True,
        )
        assert child.stdin is not None
        request = {
            "argv": list(argv),
            "env": {"PATH": PATH, "LANG": "C.UTF-8", "HOME": str(self.folder), **(env or {})},
            "folder": str(self.folder),
            "uid": self._owner,
            "paths": [str(self.folder), *map(str, self.programs)],
            "closed": self._closed(),
            "passwd": str(self._passwd()) if self._owner is not None else "",
            "signal": int(dies_by),
            "parent": os.getpid(),
        }
        try:
            child.stdin.write(json.dumps(request).encode())
            child.stdin.close()
        except BrokenPipeError:
            pass  # its end tells more
        return child

    def run(self, argv: Sequence[str], *, seconds: float) -> None:
        """Run a program here to its end; `EngineError` with its last words when it fails."""
        reader, writer = os.pipe()
        try:
            child = self.spawn(argv, output=writer, dies_by=Signals.SIGKILL)
        finally:
            os.close(writer)
        with os.fdopen(reader, "rb") as output:
            text = output.read().decode("utf-8", "replace").strip()
        if child.wait(seconds):
            raise EngineError(f"{Path(argv[0]).name} failed: {text[-500:]}")

    def _closed(self) -> list[str]:
        """The topmost folders on the way that other users may not enter."""
        found = set()
        for path in (self.folder, *self.programs):
            for parent in reversed(path.resolve().parents):
                if not parent.stat().st_mode & 0o001:
                    found.add(str(parent))
                    break
        return sorted(found)

    def _passwd(self) -> Path:
        """The machine's users and this one: initdb will not work for a user without a name."""
        path = self.folder.parent / f"{self.name}.passwd"
        line = f"{self.name}:x:{self.uid}:{self.uid}::{self.folder}:/usr/sbin/nologin\n"
        path.write_text(Path("/etc/passwd").read_text() + line)
        return path
