"""docs/cli.md says of every command of the CLI whether it works."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_command_has_a_line_and_one_answer(program):
    manifest = json.loads((program.parents[1] / "heroku" / "oclif.manifest.json").read_text())
    commands = {name for name, command in manifest["commands"].items() if not command.get("hidden")}
    rows = re.findall(r"^\| (`[^|]+) \| (yes|partly|no|bridge) \|", (ROOT / "docs/cli.md").read_text(), re.M)
    patterns = {pattern for names, _ in rows for pattern in re.findall(r"`([^`]+)`", names)}
    missing = {name for name in commands if not any(fnmatchcase(name, pattern) for pattern in patterns)}
    assert not missing, f"docs/cli.md does not tell whether these work: {sorted(missing)}"
    exact = [pattern for pattern in patterns if "*" not in pattern]
    assert len(exact) == len(set(exact))
