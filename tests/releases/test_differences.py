"""Files that differ between two commits, and what of them looks like a migration."""

import subprocess

import pytest

from releases import differences
from releases import repositories as repos
from releases.differences import files_between, migration_in
from tests.factories import make_app


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice)


def commit(app, files, *, parent=None):
    """A commit of just these files in the repository of `app`; its id."""
    place = repos.ensure(app)

    def git(*words, data=b""):
        env = {**repos.environment(place), "GIT_INDEX_FILE": str(place / "test-index")}
        env |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(["git", *words], env=env, input=data, capture_output=True, check=True)
        return done.stdout.decode().strip()

    git("read-tree", "--empty")
    for name, content in files.items():
        blob = git(
            "hash-object", "-w", "--stdin", data=content if isinstance(content, bytes) else content.encode()
        )
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    return git("commit-tree", git("write-tree"), *(["-p", parent] if parent else []), "-m", "x")


def test_files_are_counted_and_named(app):
    old = commit(app, {"a.txt": "1\n2\n", "gone.txt": "x\n", "same.txt": "y\n"})
    new = commit(
        app,
        {"a.txt": "1\n3\n4\n", "same.txt": "y\n", "img.png": b"\0\1", "new \u202ename\t.txt": "z\n"},
        parent=old,
    )
    found = files_between(app.pk, old, new)
    assert (found.count, found.added, found.removed, found.more) == (4, 3, 2, 0)
    told = {file.path: (file.what, file.added, file.removed) for file in found.shown}
    assert told == {
        "a.txt": ("changed", 2, 1),
        "gone.txt": ("removed", 0, 1),
        "img.png": ("added", None, None),
        "new  name .txt": ("added", 1, 0),
    }


def test_of_many_the_first_are_named(app):
    old = commit(app, {"a": "1"})
    new = commit(app, {f"app/migrations/{n:04}_x.py": "1\n" for n in range(50)}, parent=old)
    found = files_between(app.pk, old, new)
    assert (found.count, len(found.shown), found.more) == (51, differences.SHOWN, 51 - differences.SHOWN)
    assert (found.migration_count, found.more_migrations) == (50, 30)
    assert found.migrations[0].name == "0000_x.py"


def test_unknown_commits_are_not_told(app):
    known = commit(app, {"a": "1"})
    assert files_between(app.pk, known, "f" * 40) is None
    assert files_between(app.pk, "--output=/tmp/x", known) is None
    assert files_between(make_app("other", owner=app.user).pk, known, known) is None


@pytest.mark.parametrize(
    ("path", "framework"),
    [
        ("cart/migrations/0002_prices.py", "Django"),
        ("db/migrate/20240102030405_add_prices.rb", "Rails"),
        ("alembic/versions/ab12_prices.py", "Alembic"),
        ("migrations/versions/ab12_prices.py", "Alembic"),
        ("prisma/migrations/20240101_init/migration.sql", "Prisma"),
        ("src/main/resources/db/migration/V2__prices.sql", "Flyway"),
        ("database/migrations/2024_01_01_000000_create_users_table.php", "Laravel"),
        ("priv/repo/migrations/20240101_add_users.exs", "Ecto"),
        ("migrations/20240101-add-users.js", "Knex"),
        ("db/migrations/001_init.up.sql", "SQL"),
        ("migrations/Version20240101.php", "Doctrine"),
        ("cart/migrations/__init__.py", ""),
        ("docs/migrations.md", ""),
        ("cart/models.py", ""),
    ],
)
def test_migrations_are_known_by_their_place(path, framework):
    found = migration_in(path)
    assert (found.framework if found else "") == framework


def test_a_migration_that_is_taken_away_is_told_as_that(app):
    old = commit(app, {"cart/migrations/0001_initial.py": "1\n", "prisma/migrations/1_a/migration.sql": "x"})
    new = commit(app, {"cart/migrations/0001_initial.py": "2\n"}, parent=old)
    told = [(one.name, one.what) for one in files_between(app.pk, old, new).migrations]
    assert told == [("0001_initial.py", "changed"), ("1_a", "removed")]
