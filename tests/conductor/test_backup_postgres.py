"""A backup of a PostgreSQL database, restored into another."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings as django_settings

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]


@pytest.fixture
def databases():
    """Two empty ones."""
    server = os.environ.get("TEST_POSTGRES_URL")
    if not server:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no PostgreSQL: set TEST_POSTGRES_URL"
        )
    names = [f"slipway_backup_{secrets.token_hex(4)}" for _ in range(2)]
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    yield [urlsplit(server)._replace(path=f"/{name}").geturl() for name in names]
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(data, url, *arguments):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SLIPWAY_DATA": str(data),
        "SLIPWAY_KEYS": ",".join(django_settings.SLIPWAY_KEYS),
        "DATABASE_URL": url,
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def contents(url):
    """Every row of every table, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {t: sorted(map(str, connection.execute(f'SELECT * FROM "{t}"').fetchall())) for (t,) in tables}


@pytest.mark.promise("I-48")
def test_rows_and_numbers_are_the_same_elsewhere(databases, tmp_path):
    here, there = databases
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "password").write_text("a fine long password, with a\ttab and \\ in it\n")
    assert manage(tmp_path / "here", here, "migrate", "-v0").returncode == 0
    adduser = ("adduser", "--name", 'Al\\ice "\t', "--password-file", str(tmp_path / "password"))
    assert manage(tmp_path / "here", here, *adduser, "alice@example.com").returncode == 0
    file = tmp_path / "one.tar.zst"
    done = manage(tmp_path / "here", here, "backup", str(file))
    assert done.returncode == 0, done.stderr
    with psycopg.connect(there) as connection:  # as if something else, or a newer version, had been there
        connection.execute("CREATE TABLE accounts_user (id serial PRIMARY KEY, shoe_size integer NOT NULL)")
        connection.execute("INSERT INTO accounts_user (shoe_size) VALUES (41)")
    done = manage(tmp_path / "there", there, "restore", str(file))
    assert done.returncode == 1 and "--over" in done.stderr
    done = manage(tmp_path / "there", there, "restore", "--over", str(file))
    assert done.returncode == 0, done.stderr
    assert contents(there) == contents(here) and contents(here)["accounts_user"]
    assert manage(tmp_path / "there", there, "token", "alice@example.com").returncode == 0, "numbers go on"
    told = json.loads(manage(tmp_path / "there", there, "doctor", "--json").stdout)["findings"]
    (database,) = [one for one in told if one["name"] == "Database"]
    assert database["state"] == "ok" and "PostgreSQL" in database["text"]
