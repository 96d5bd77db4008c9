"""What a buildpack works with: its folders, its environment, and ways to say and run things. Lives in the child."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.builder.interpreters import OPEN, OPENED, Interpreter
from engine.builder.pack import Layer

NEVER_EXPORTED = frozenset(
    [
        "PATH",
        "GIT_DIR",
        "CPATH",
        "CPPATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LIBRARY_PATH",
        "HOME",
        "TMPDIR",
        "PYTHONHOME",
    ]
)


@dataclass
class Context:
    """A build under way. `env` is what the next command sees: no config var is in it (they are in `env_dir`)."""

    root: Path  # the app's files; becomes the slug
    cache: Path
    env_dir: Path
    tmp: Path
    config: Mapping[str, str] = field(repr=False)
    env: dict[str, str] = field(repr=False)
    max_bytes: int
    uv: str
    search: Sequence[str]  # folders to look for programs in
    as_other: bool  # whether dynos run as another user than the platform
    pythons: Sequence[Interpreter]
    walled: bool  # whether this build, and so the dynos, have a file tree of their own
    doors: Mapping[str, int] = field(default_factory=dict)  # folder: descriptor of it from before the walls
    layers: list[Layer] = field(default_factory=list)
    test: bool = False  # whether the slug is to be tested, and so has what only tests need

    def say(self, text: str) -> None:
        """A step: `-----> text`."""
        emit(f"-----> {text}")

    def detail(self, text: str) -> None:
        """A detail of the step, indented as buildpacks do."""
        for line in text.splitlines():
            emit(f"       {line}")

    def warn(self, text: str) -> None:
        """Something that may surprise, but does not stop the build."""
        for line in text.splitlines():
            emit(f" !     {line}")

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        show: Callable[[str], bool] = bool,
    ) -> int:
        """Run a command, its output indented (lines that `show` is false for are left out); returns its status."""
        process = subprocess.Popen(
            argv,
            cwd=cwd or self.root,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        with process.stdout as output:
            while line := output.readline(64 * 1024):
                if show(line.decode("utf-8", "replace").strip()):
                    emit_bytes(b"       " + line.rstrip(b"\r\n"))
        return process.wait()

    def ask(self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str | None:
        """What a command prints, stripped; None if it fails or is not there. For short answers of known tools."""
        try:
            answer = subprocess.run(
                argv,
                cwd=self.root,
                env={**self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.decode("utf-8", "replace").strip() if answer.returncode == 0 else None

    def usable_pythons(self) -> list[Interpreter]:
        """The interpreters that dynos can run, newest first."""
        return [one for one in self.pythons if one.access == OPEN or (one.access == OPENED and self.walled)]

    def closed_pythons(self) -> list[Interpreter]:
        """Those that are installed, but out of the reach of dynos."""
        usable = self.usable_pythons()
        return [one for one in self.pythons if one not in usable]

    def exported(self) -> dict[str, str]:
        """The config vars that buildpacks may put into the environment of the tools they run."""
        return {name: value for name, value in self.config.items() if name not in NEVER_EXPORTED}

    def move(self, source: Path, target: Path) -> None:
        """Rename, also between the folders that are mounted apart here but lie side by side in truth."""
        try:
            source_fd, source_name = self._true(source)
            target_fd, target_name = self._true(target)
            os.rename(source_name, target_name, src_dir_fd=source_fd, dst_dir_fd=target_fd)
        except OSError as fault:
            if fault.errno != errno.EXDEV:
                raise
            shutil.move(source, target)

    def _true(self, path: Path) -> tuple[int | None, Path]:
        for folder, file in self.doors.items():
            if path.is_relative_to(folder):
                return file, path.relative_to(folder)
        return None, path

    def write_profile(self, name: str, text: str) -> None:
        """Add `.profile.d/<name>.sh`, which is sourced when a dyno starts."""
        folder = self.root / ".profile.d"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.sh").write_text(text)


class Buildpack(Protocol):
    """Turns source into something that runs."""

    def detect(self, build: Context) -> str | None:
        """The name to show if it fits the app, else None."""
        ...

    def compile(self, build: Context) -> None:
        """Change the app's files so that they run; `BuildFailed` when it cannot."""
        ...

    def release(self, build: Context) -> dict[str, str]:
        """Process types for an app that has no Procfile."""
        ...


def emit(text: str) -> None:
    """Write one line of build output."""
    emit_bytes(text.encode("utf-8", "replace"))


def emit_bytes(line: bytes) -> None:
    """Write one line of build output, as it is."""
    data = memoryview(line + b"\n")
    while data:
        data = data[os.write(1, data) :]
