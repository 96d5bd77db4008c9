"""The database of a backup: what it is at one moment, and how it gets into another one.

SQLite is copied by its online backup, PostgreSQL by `COPY` in one transaction, so neither needs tools of the server's
version. A PostgreSQL backup holds rows alone: the tables are made by our migrations, as far as they were then.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql

from conductor.backups.archive import PIECE, Writer
from core.errors import Refusal

SQLITE_FILE = "database/db.sqlite3"
TABLES_FILE = "database/tables.json"
_MADE = {
    "accounts_user": "SELECT 1 FROM accounts_user LIMIT 1",
    "apps_app": "SELECT 1 FROM apps_app LIMIT 1",
}


class Snapshot(Protocol):
    """The database as it was at one moment, whatever is written meanwhile."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What `query`, which takes no values, gives."""

    def write(self, writer: Writer, scratch: Path) -> None:
        """Add all of it to a backup; `scratch` is an empty folder."""


@contextmanager
def snapshot(scratch: Path) -> Iterator[Snapshot]:
    """The moment of this call. `scratch` is a folder for files, on a disk with room for the database."""
    if connection.vendor == "sqlite":
        with _sqlite(scratch) as found:
            yield found
    else:
        with _postgres() as found:
            yield found


# --- SQLite -----------------------------------------------------------------------------------------------------------


class _Copied:
    def __init__(self, file: Path, reader: sqlite3.Connection) -> None:
        self._file, self._reader = file, reader

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._reader.execute(query).fetchall()

    def write(self, writer: Writer, scratch: Path) -> None:
        writer.add(SQLITE_FILE, self._file)


@contextmanager
def _sqlite(scratch: Path) -> Iterator[Snapshot]:
    file = scratch / "db.sqlite3"
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=20)) as live:
        with closing(sqlite3.connect(file)) as copy:
            live.backup(copy)  # all pages in one go: a moment of its own, and nobody waits for it
            copy.execute("PRAGMA journal_mode=DELETE")  # else there would be three files
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as reader:
        yield _Copied(file, reader)


def _load_sqlite(folder: Path) -> None:
    place = Path(connection.settings_dict["NAME"])
    file = folder / SQLITE_FILE
    with closing(sqlite3.connect(file)) as found:
        (verdict,) = found.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise Refusal(f"The database in this backup is damaged ({verdict}). Take an earlier backup.")
    connection.close()
    for left in ("-wal", "-shm"):
        place.with_name(place.name + left).unlink(missing_ok=True)
    file.replace(place)
    connection.close()


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


class _Copying:
    def __init__(self, server: psycopg.Connection[Any]) -> None:
        self._server = server

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return list(self._server.execute(query))

    def write(self, writer: Writer, scratch: Path) -> None:
        tables = self._tables()
        writer.add_text(TABLES_FILE, json.dumps(tables))
        for number, (table, columns) in enumerate(tables.items()):
            file = scratch / f"{number}.copy"
            query = sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table), _names(columns))
            with file.open("wb") as target, self._server.cursor() as cursor, cursor.copy(query) as copy:
                for piece in copy:
                    target.write(piece)
            writer.add(f"database/{number}.copy", file)
            file.unlink()

    def _tables(self) -> dict[str, list[str]]:
        """The columns of every table of ours, by their order."""
        found: dict[str, list[str]] = {}
        query = (
            "SELECT c.table_name, c.column_name FROM information_schema.columns c"
            " JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'"
            " ORDER BY c.table_name, c.ordinal_position"
        )
        for table, column in self.rows(query):
            found.setdefault(table, []).append(column)
        return found


@contextmanager
def _postgres() -> Iterator[Snapshot]:
    server = psycopg.connect(**connection.get_connection_params())
    try:
        server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        server.read_only = True
        server.execute("SELECT 1")  # the moment
        yield _Copying(server)
        server.rollback()
    finally:
        server.close()


def _load_postgres(folder: Path, applied: set[tuple[str, str]]) -> None:
    """All or nothing: in one transaction the tables go, are made as they were then, whatever was there before, and filled."""
    tables: dict[str, list[str]] = json.loads((folder / TABLES_FILE).read_text())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what a migration fills, a later one may change
        _drop(cursor, connection.introspection.table_names(cursor))
        _migrate_to(applied)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        present = connection.introspection.table_names(cursor)
        if missing := set(tables) - set(present):
            raise Refusal(f"This version has no table {sorted(missing)[0]}, which the backup has.")
        cursor.execute(sql.SQL("TRUNCATE {}").format(_names(present)))  # of what migrations have put in
        for number, (table, columns) in enumerate(tables.items()):
            _fill(cursor, table, columns, folder / f"database/{number}.copy")
        for table, columns in tables.items():
            _advance(cursor, table, columns)


def _drop(cursor: Any, tables: Sequence[str]) -> None:
    if tables:
        cursor.execute(sql.SQL("DROP TABLE {} CASCADE").format(_names(tables)))


def _fill(cursor: Any, table: str, columns: Sequence[str], file: Path) -> None:
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(columns))
    with file.open("rb") as source, cursor.copy(query) as copy:
        while piece := source.read(PIECE):
            copy.write(piece)


def _advance(cursor: Any, table: str, columns: Sequence[str]) -> None:
    """Have the table's numbers go on after the highest one that there is."""
    for column in columns:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table}"', column])
        if (sequence := cursor.fetchone()[0]) is None:
            continue
        highest = sql.SQL("SELECT setval({}, coalesce(max({}), 1), max({}) IS NOT NULL) FROM {}")
        name = sql.Identifier(column)
        cursor.execute(highest.format(sql.Literal(sequence), name, name, sql.Identifier(table)))


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _migrate_to(applied: set[tuple[str, str]]) -> None:
    """Make the tables as they were when exactly these migrations had been applied."""
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    ours = {key for key in applied if key in graph.nodes}
    last = [key for key in ours if not {child.key for child in graph.node_map[key].children} & ours]
    executor.migrate(
        [*last, *((app, None) for app in {key[0] for key in graph.nodes} - {a for a, _ in ours})]
    )


# --- both -------------------------------------------------------------------------------------------------------------


def applied_migrations() -> list[list[str]]:
    """What has been applied to the database, as pairs of app and name."""
    return sorted([app, name] for app, name in MigrationRecorder(connection).applied_migrations())


def unknown(migrations: Sequence[Sequence[str]]) -> list[str]:
    """Which of these this version of the code does not have: the data is newer than the code."""
    known = MigrationExecutor(connection).loader.disk_migrations
    return [f"{app}.{name}" for app, name in migrations if (app, name) not in known]


def is_empty() -> bool:
    """Whether there is nothing in the database that anybody has made."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        for table, query in _MADE.items():
            if table in tables:
                cursor.execute(query)
                if cursor.fetchone():
                    return False
    return True


def load(folder: Path, applied: Sequence[Sequence[str]]) -> None:
    """Put what `unpack` has laid out in `folder` in place of what is in the database, then migrate to this version."""
    if connection.vendor == "sqlite":
        _load_sqlite(folder)
    else:
        _load_postgres(folder, {(app, name) for app, name in applied})
    call_command("migrate", verbosity=0, interactive=False)
