"""Text that others have written, as rows can hold it.

PostgreSQL takes no NUL in text, nor in JSON, and no encoding has a place for half of a surrogate pair, which JSON and YAML
can name all the same. From people and programs both are turned down (`is_text`); what a host, a process or a file says
is kept without them (`storable`).
"""

import re
from typing import Any

_UNFIT = re.compile("[\0\ud800-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")


def is_text(text: str) -> bool:
    """Whether `text` can be kept as it is."""
    return _UNFIT.search(text) is None


def storable(value: Any) -> Any:
    """A text, or what JSON can say, without NULs and with a question mark for each half of a character; anything else is
    given back as it is."""
    if isinstance(value, str):
        return value if is_text(value) else _HALF.sub("?", value.replace("\0", ""))
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
