"""What bin/_tests makes of failing tests: one that fails alone, too, has failed."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "bin" / "_tests"
WRONG = "def test_wrong(): assert 1 == 2\n"
LATE = """
from pathlib import Path

def test_late():
    been = Path("been")
    there = been.exists()
    been.touch()
    assert there
"""


@pytest.fixture
def run(tmp_path):
    def run(**files):
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = other\n")
        for name, text in files.items():
            (tmp_path / f"test_{name}.py").write_text(text)
        lean = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
        env = {**os.environ, **lean, "SLIPWAY_TEST_WORKERS": "1"}
        env.pop("DJANGO_SETTINGS_MODULE", None)
        done = subprocess.run(
            [SCRIPT, "some", "not other"], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        return done.returncode, done.stdout

    return run


def test_what_passes_alone_is_named(run):
    status, said = run(late=LATE, right="def test_right(): pass\n")
    assert status == 0
    assert "== once more, alone: test_late.py\n" in said
    assert said.endswith("Failed beside others, passed alone:\n  test_late.py::test_late\n")


def test_what_fails_alone_has_failed(run):
    status, said = run(late=LATE, wrong=WRONG)
    assert status == 1
    assert "== once more, alone: test_late.py test_wrong.py\n" in said
    assert "passed alone" not in said


def test_where_many_files_fail_none_is_tried_again(run):
    status, said = run(late=LATE, **{f"wrong{n}": WRONG for n in range(3)})
    assert status == 1
    assert "once more" not in said


def test_a_run_without_tests_is_no_success(run):
    assert run(other="import pytest\n\n@pytest.mark.other\ndef test(): pass\n")[0] == 5
