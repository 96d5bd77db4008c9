"""The keys of a slipway.yml as tables of Markdown: what docs/slipway-yml.md shows."""

from typing import Any

from blueprints import schema
from blueprints.types import Field, Table


def tables() -> str:
    """Every table of the schema, with its keys, what they take, their defaults and meanings."""
    return "\n\n".join(_table(table) for table in schema.TABLES)


def _table(table: Table) -> str:
    rows = [_row(field) for field in table.fields]
    head = ["| key | takes | without it | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### {table.name}", "", *head, *rows])


def _row(field: Field) -> str:
    words = field.type.words.replace("|", "\\|")
    return f"| `{field.key}` | {words} | {_default(field)} | {field.meaning} |"


def _default(field: Field) -> str:
    if field.needed:
        return "needed"
    if field.key in schema.SECTIONS:
        return "stays as it is"
    if isinstance(field.type, Table) and field.default is not None:
        return "its keys’ own"
    return _plain(field.default)


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value) or "none"
    return f"`{value}`" if value not in ("", {}) else "empty"
