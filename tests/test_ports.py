"""The ports that tests are given."""

import subprocess
import sys
from pathlib import Path

from tests.ports import PORTS, free_port

ROOT = Path(__file__).parent.parent


def test_a_port_is_given_once(monkeypatch):
    monkeypatch.setattr("tests.ports.PORTS", range(PORTS[0], PORTS[0] + 200))
    assert len({free_port() for _ in range(30)}) == 30


def test_another_process_is_not_given_it():
    asked = f"from tests import ports; print(ports._is_ours({free_port()}))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr
