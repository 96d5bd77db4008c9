"""Reading and writing `.env` text."""

import pytest

from dashboard import dotenv


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("  export A = 1  ", "1"),
        ("A=", ""),
        ("A=one two # and a comment", "one two"),
        ("A= # nothing but a comment", ""),
        ("A=p#ss", "p#ss"),
        ("A='kept $as \\n it is' # comment", "kept $as \\n it is"),
        ('A="a \\"word\\"\\nand a line"', 'a "word"\nand a line'),
        ('A="two\nlines"', "two\nlines"),
        (
            "A='-----BEGIN KEY-----\r\nabc=\r\n-----END KEY-----'",
            "-----BEGIN KEY-----\nabc=\n-----END KEY-----",
        ),
        ("A=postgres://u:p=x@host/db?a=b", "postgres://u:p=x@host/db?a=b"),
    ],
)
def test_it_reads_one_value(text, value):
    assert dotenv.parse(text) == ({"A": value}, [])


def test_it_names_the_lines_that_are_wrong_and_never_quotes_them():
    text = "# a comment\nGOOD=1\n\nsecret-without-name\nGOOD=2\nB='one' two\nC=\"open\nand so on"
    values, problems = dotenv.parse(text)
    assert values == {"GOOD": "1"}
    assert problems[:3] == [
        "Line 4 has no “=” between a name and a value.",
        "Line 5 sets a name that line 2 has set already.",
        "Line 6 goes on after its closing quote.",
    ]
    assert problems[3] == 'Line 7 opens a " that is never closed.'
    assert "secret" not in "".join(problems)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        "with space",
        " edges ",
        "a\nb",
        'quo"te',
        "it's",
        "back\\slash\\n",
        "#no",
        "a #b",
        "$x",
        "é ☂",
        "a\r\nb",
        "\t",
    ],
)
def test_what_it_writes_it_reads(value):
    assert dotenv.parse(dotenv.dump({"KEY": value, "Z": "1"})) == ({"KEY": value, "Z": "1"}, [])
