"""The documents say what is there, no more and no less."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMISED_NOW = {
    f"I-{n:02}" for n in (*range(1, 12), 14, 15, 16, *range(19, 25), *range(26, 32), 34, 37, 38, 44, 45, 46)
}


def read(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_setting_is_documented_and_every_documented_setting_exists():
    used = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', read("config/settings.py")))
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", read("docs/operating.md"), re.M))
    assert used == documented


def test_every_command_is_documented():
    commands = {path.stem for path in ROOT.glob("*/management/commands/*.py") if path.stem != "__init__"}
    documented = set(re.findall(r"^\| `manage\.py (\w+)", read("docs/operating.md"), re.M))
    assert commands == documented


def test_the_readme_is_short_and_its_commands_are_there():
    text = read("README.md")
    assert len(text.splitlines()) <= 80
    for command in re.findall(r"bin/[\w-]+", text):
        assert (ROOT / command).is_file(), command
    for target in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / target).exists(), target


def test_links_between_documents_lead_somewhere():
    for page in (ROOT / "docs").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_promises_and_their_tests_agree():
    marked: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("*.py"):
        for id in re.findall(r'promise\("(I-\d\d)"\)', path.read_text()):
            marked.setdefault(id, set()).add(path.name)
    assert set(marked) >= PROMISED_NOW, sorted(PROMISED_NOW - set(marked))
    said = dict(re.findall(r"^\| (I-\d\d) \|.*\| ([^|]*) \|$", read("docs/promises.md"), re.M))
    for id, cell in said.items():
        assert set(re.findall(r"\w+\.py", cell)) == marked.get(id, set()), id


def test_import_directions_hold():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_every_endpoint_is_documented_and_every_documented_endpoint_exists():
    from api.urls import api

    served = {
        f"{method} {path}"
        for _, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }
    documented = set(re.findall(r"^\| `((?:GET|POST|PUT|PATCH|DELETE) [^`]+)` \|", read("docs/api.md"), re.M))
    assert served == documented
