"""SQLite takes text that PostgreSQL turns down. In tests it does not: what would be an error there is one here."""

import json

from django.db import DataError
from django.db.backends.signals import connection_created

from core.text import is_text


def watch(connection, **_):
    """Have each new connection refuse a NUL, and in JSON also what stands for one or for half a character."""
    if connection.vendor == "sqlite" and refuse not in connection.execute_wrappers:
        connection.execute_wrappers.append(refuse)


def refuse(execute, sql, params, many, context):
    for row in (params or []) if many else [params or []]:
        for value in row.values() if isinstance(row, dict) else row:
            if isinstance(value, str) and not fits(value):
                raise DataError("PostgreSQL would not take this text.")
    return execute(sql, params, many, context)


def fits(value):
    if not is_text(value):
        return False
    if value[:1] not in ("{", "[", '"') or ("\\u0000" not in value and "\\ud" not in value):
        return True
    try:
        return all(map(is_text, texts(json.loads(value))))
    except ValueError:
        return True


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


connection_created.connect(watch)
