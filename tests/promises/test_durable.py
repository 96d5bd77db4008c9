"""What was acknowledged is on the disk: files and their folders are synced before a row names them (I-21)."""

import io
import os
from pathlib import Path

import pytest
from django.db import connection

from engine.builder.slugs import SlugStore
from releases import repositories, sources
from tests.factories import make_app

pytestmark = [
    pytest.mark.promise("I-21"),
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc"),
]


@pytest.fixture
def synced(monkeypatch) -> list[str]:
    """Every path that was synced, in order; the real call is made too."""
    seen: list[str] = []
    real = os.fsync

    def fsync(file) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}"))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_the_database_keeps_commits_through_a_power_cut(db):
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            settings = {
                cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
            }
            assert settings <= {"wal", "memory", 2}  # the tests' own database may be in memory
            assert 2 in settings
        else:
            cursor.execute("SHOW synchronous_commit")
            assert cursor.fetchone()[0] == "on"


def test_a_slug_and_its_folder_are_synced(tmp_path, synced):
    (tmp_path / "built").write_bytes(b"a slug")
    store = SlugStore(tmp_path / "slugs")
    digest = store.put(tmp_path / "built")
    file, folder = synced[-2:]
    assert Path(file).parent == Path(folder) == store.path(digest).parent


def test_a_source_and_its_folder_are_synced(db, synced):
    stored = sources.store_archive(io.BytesIO(b"an archive"), 100)
    assert any("sources/" in path for path in synced[:-1])
    assert Path(synced[-1]).name == "sources"
    stored.remove()


def test_a_new_repository_is_synced_and_git_syncs_all_it_writes(alice, synced):
    app = make_app("shop", owner=alice)
    place = repositories.ensure(app)
    assert str(place.parent) in synced
    configured = repositories.environment(place)
    names = [configured[f"GIT_CONFIG_KEY_{n}"] for n in range(int(configured["GIT_CONFIG_COUNT"]))]
    assert configured[f"GIT_CONFIG_VALUE_{names.index('core.fsync')}"] == "all"
