"""What an empty database gets at once is what the migrations come to, played one after the other."""

import os
import re
import secrets
import sqlite3
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest

from config.schema import lay_at_once
from tests.platform.harness import ROOT

pytestmark = pytest.mark.timeout(600)
POSTGRES = """
SELECT 'column', table_name, column_name, data_type || coalesce(character_maximum_length::text, '') || is_nullable ||
    coalesce(column_default, '') || coalesce(is_identity, '') FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
"""


def migrate(data, *flags, **env):
    """Migrate a database in a process of its own, as a new server does."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SLIPWAY_", "DATABASE_", "DJANGO_"))
    }
    kept["SLIPWAY_DATA"] = str(data)
    for command, more in ((["-m", "config.keys"], {}), (["manage.py", "migrate", *flags], env)):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=kept | more, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return done.stdout


def sqlite(folder):
    """What stands in a data folder's database: tables with their columns in any order, indexes, numbers of rows."""
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        made = {
            name: sorted(part.strip("()") for part in re.split(r", |(?<= )\(", sql or ""))
            for name, sql in database.execute("SELECT type || ' ' || name, sql FROM sqlite_master")
        }
        tables = [name.removeprefix("table ") for name in made if name.startswith("table ")]
        rows = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    return made, rows


def test_on_sqlite(tmp_path):
    assert "laid the whole schema at once" in migrate(tmp_path / "at-once")
    migrate(tmp_path / "one-by-one", "--one-by-one")
    (made, rows), (played, rows_played) = sqlite(tmp_path / "at-once"), sqlite(tmp_path / "one-by-one")
    assert made == played
    assert len(made) > 100 and rows["django_migrations"] > 50
    del rows["sqlite_sequence"], rows_played["sqlite_sequence"]  # it counts tables that were remade, too
    assert rows == rows_played, "a migration fills in rows: lay_at_once has to play it"


@pytest.mark.postgres
def test_on_postgresql(tmp_path):
    server = os.environ.get("TEST_POSTGRES_URL")
    if not server:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no PostgreSQL: set TEST_POSTGRES_URL"
        )
    found = []
    for flags in ([], ["--one-by-one"]):
        name = f"slipway_schema_{secrets.token_hex(4)}"
        url = urlsplit(server)._replace(path=f"/{name}").geturl()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            try:
                migrate(tmp_path / name, *flags, DATABASE_URL=url)
                with psycopg.connect(url) as made:
                    found.append(sorted(made.execute(POSTGRES).fetchall()))
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert found[0] == found[1]
    assert len(found[0]) > 500


def test_a_database_with_anything_in_it_is_left_alone(db):
    from django.db import connection

    assert not lay_at_once(connection)
