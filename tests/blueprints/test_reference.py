"""docs/slipway-yml.md says what is read: every key, what it takes, its default and its meaning."""

import re
from pathlib import Path

from blueprints import document, reference

PAGE = Path(__file__).parents[2] / "docs" / "slipway-yml.md"


def test_every_key_is_told_of():
    """After a change of the schema, put what `blueprints.reference.tables()` returns below “Every key”."""
    assert PAGE.read_text().endswith(reference.tables() + "\n")


def test_the_example_is_read():
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    made = document.read(example)
    assert [stage["name"] for stage in made["stages"]][-1] == "production"
    assert document.read(document.write(made)) == made
