"""What tests report: TAP, JUnit's XML, and how it gets to us."""

import base64
import gzip
import subprocess
import time

import pytest

from ci import script
from ci.cases import MOST, Case, numbered, read_junit, read_tap
from ci.sieve import Sieve
from engine.spec import Line


def tap(text):
    return [(case.description, case.passed, case.directive) for case in read_tap(text.splitlines())]


def test_tap_is_read_among_other_output():
    text = """collecting
TAP version 13
1..5
ok 1 - adds
not ok 2 subtracts
  ---
  message: expected 1
  severity: fail
  ...
# a remark
ok 3 # SKIP no printer
not ok 4 - later # TODO not yet
ok
    ok 1 - a part of something
"""
    assert tap(text) == [
        ("adds", True, ""),
        ("subtracts", False, ""),
        ("test 3", True, "skip no printer"),
        ("later", True, "todo not yet"),
        ("test 5", True, ""),
    ]
    assert read_tap(text.splitlines())[1].diagnostic == "  message: expected 1\n  severity: fail\na remark\n"


def test_output_that_only_looks_like_it_is_none():
    assert tap("ok then\nnot ok at all\n") == []
    assert tap("1..0 # skipped all\n") == []


def test_a_bail_out_is_a_failure():
    assert tap("1..3\nok 1 - a\nBail out! no database\n")[-1] == ("Bail out!", False, "")


def test_endless_and_hostile_tap_is_bounded():
    lines = ["1..9", *[f"ok {n} " + " " * 10_000 + "#" for n in range(3000)], *["ok"] * MOST]
    began = time.monotonic()
    found = read_tap(lines)
    assert len(found) == MOST and time.monotonic() - began < 20
    (case,) = read_tap(["1..1", "not ok 1 " + "x" * 1000 + "\0"])
    assert len(case.description) == 500 and "\0" not in case.description


def test_junit_is_read():
    found = read_junit(
        b"""<?xml version="1.0"?><testsuites><testsuite>
        <testcase classname="cart" name="adds" time="0.5"/>
        <testcase classname="cart" name="removes"><failure message="no">at line 3
        </failure><system-out>noise</system-out></testcase>
        <testcase name="prints"><skipped message="no printer"/></testcase>
        <testcase name="breaks"><error>boom</error></testcase>
        </testsuite></testsuites>"""
    )
    assert [(case.description, case.passed, case.directive) for case in found] == [
        ("cart › adds", True, ""),
        ("cart › removes", False, ""),
        ("prints", True, "skip no printer"),
        ("breaks", False, ""),
    ]
    assert found[0].seconds == 0.5
    assert found[1].diagnostic == "no\nat line 3\n        "


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
FILE = (
    b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&f;"/></testsuite>"""
)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (BOMB, 0),
        (FILE, 0),
        (b"<a>" * 100_000, 0),
        (b"no xml", 0),
        (b"", 0),
        (b'<testsuite><testcase name="whole"/><testcase name="cut', 1),
        (b'<?xml version="1.0" encoding="klingon"?><testsuite/>', 0),
        (b'<testsuite><testcase name="\xff"/></testsuite>', 0),
        (b"<testsuite>" + b'<testcase name="x"/>' * (MOST + 10) + b"</testsuite>", MOST),
        (b'<testsuite><testcase time="nan" name="a"/><testcase time="-1"/></testsuite>', 2),
    ],
)
def test_hostile_xml_is_survived(data, count):
    assert len(read_junit(data)) == count


def test_cases_of_several_sources_are_numbered_and_bounded():
    assert [n for n, _ in numbered([[Case("a", True)], [Case("b", True)]])] == [1, 2]
    assert len(list(numbered([[Case("a", True)] * MOST, [Case("b", True)]]))) == MOST


# --- the script and its marks ---------------------------------------------------------------------------------------------


def node(tmp_path, *, setup="", test="true"):
    env = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "SLIPWAY_CI_SETUP": setup,
        "SLIPWAY_CI_TEST": test,
    }
    done = subprocess.run(["bash", "-c", script.SCRIPT], env=env, capture_output=True, cwd=tmp_path)
    lines = done.stdout.splitlines()
    told = script.read(line for line in lines if line.startswith(script.MARK))
    return done.returncode, told, b"\n".join(line for line in lines if not line.startswith(script.MARK))


def test_the_commands_run_and_the_reports_come_back(tmp_path):
    status, told, said = node(tmp_path, setup="echo one > f", test="cp f $CI_REPORTS/r.xml; cat f; exit 4")
    assert (status, told.files, told.over, told.setup_status) == (4, [b"one\n"], True, None)
    assert said.endswith(b"\none")


def test_a_setup_that_fails_ends_it(tmp_path):
    status, told, said = node(tmp_path, setup="exit 7", test="echo never")
    assert (status, told.setup_status) == (7, 7) and b"never" not in said


def test_commands_are_no_part_of_the_script(tmp_path):
    _, _, said = node(tmp_path, test="echo '`touch evil`'; echo \"$SLIPWAY_CI_TEST\"")
    assert not (tmp_path / "evil").exists()
    assert b"`touch evil`" in said


def test_links_and_more_files_than_fifty_are_left_out(tmp_path):
    test = "ln -s /etc/passwd $CI_REPORTS/0.xml; for n in $(seq 60); do echo x > $CI_REPORTS/$n.xml; done"
    assert node(tmp_path, test=test)[1].files == [b"x\n"] * 50


def test_forged_and_repeated_marks_do_no_harm():
    piece = base64.b64encode(gzip.compress(b"data"))
    lines = [
        b"\x1efile 1 0 " + piece,
        b"\x1efile 1 0 " + piece,
        b"\x1efile 2 0 !!!",
        b"\x1efile 99999999999999999999 0 x",
        b"\x1efile",
        b"\x1esetup \xff",
        b"\x1efile 3 0 " + base64.b64encode(gzip.compress(bytes(40 * 2**20))),
    ]
    told = script.read(lines)
    assert told.files[0] == b"data"
    assert [len(file) for file in told.files[1:]] == [script.FILE_BYTES]
    assert (told.over, told.setup_status) == (False, None)


def test_marks_are_kept_out_of_the_output_of_nodes_alone():
    taken = []
    sieve = Sieve(lambda stream, lines: taken.append((stream, [line.text for line in lines])))
    lines = [Line("app", "test.1", text, 0.0) for text in (b"a", b"\x1eend", b"b")]
    sieve("testnode/1", lines)
    sieve("app/1", lines)
    sieve("testnode/1", lines[1:2])
    assert taken == [
        ("testreport/1", [b"\x1eend"]),
        ("testnode/1", [b"a", b"b"]),
        ("app/1", [b"a", b"\x1eend", b"b"]),
        ("testreport/1", [b"\x1eend"]),
    ]
