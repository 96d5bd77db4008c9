"""Who runs on a data folder, and where."""

import os

import pytest

from config.instance import Running, only_one, port_of


def test_one_at_a_time_and_others_learn_its_port(tmp_path):
    assert port_of(tmp_path) is None
    with only_one(tmp_path, 8123):
        assert port_of(tmp_path) == 8123
        with pytest.raises(Running, match=str(os.getpid())), only_one(tmp_path, 8124):
            pass
    assert port_of(tmp_path) is None  # whatever the file still says
    with only_one(tmp_path, 8124):
        assert port_of(tmp_path) == 8124


def test_what_is_no_port_is_none(tmp_path):
    with only_one(tmp_path, 8123):
        (tmp_path / "run/lock").write_text("4711")  # as a version before this one wrote it
        assert port_of(tmp_path) is None
