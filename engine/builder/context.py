"""What a buildpack works with: its folders, its environment, and ways to say and run things. Lives in the child."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.builder.pack import Layer


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
    search: Sequence[str]  # folders to look for interpreters in
    as_other: bool  # whether dynos run as another user than the platform
    opened: Sequence[str]  # folders that such a user can reach although the way to them is closed
    layers: list[Layer] = field(default_factory=list)

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
