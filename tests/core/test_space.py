"""A full disk is told from our own bugs, whoever says so first."""

import errno
import logging
import sqlite3

import psycopg
import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import RequestFactory

from core import space
from core.errors import Refusal
from core.middleware import RefusalMiddleware


@pytest.fixture(autouse=True)
def not_told_yet(monkeypatch):
    monkeypatch.setattr(space, "_quiet", space.Quiet())


def full() -> OSError:
    """What the kernel says when there is no room."""
    with pytest.raises(OSError) as found, open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    assert found.value.errno == errno.ENOSPC
    return found.value


def led_to(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_full_disk_is_known_by_the_words_of_kernel_and_databases():
    with sqlite3.connect(":memory:") as small, pytest.raises(sqlite3.OperationalError) as found:
        small.execute("PRAGMA max_page_count = 2")
        small.execute("CREATE TABLE t (x)")
        small.execute("INSERT INTO t VALUES (randomblob(1000000))")
    small.close()
    assert space.is_full(full()) and space.is_full(found.value)
    assert space.is_full(led_to(OperationalError("wrapped"), found.value))
    assert space.is_full(led_to(OperationalError("wrapped"), psycopg.errors.DiskFull()))
    assert not space.is_full(PermissionError(errno.EACCES, "no"))
    assert not space.is_full(led_to(OperationalError("locked"), ValueError("disk is full")))


def test_the_log_hears_of_it_once_a_minute_and_of_other_trouble_never(caplog):
    with caplog.at_level(logging.ERROR):
        assert space.note("counter", full()) and space.note("status", full())
        assert not space.note("counter", ValueError("a bug"))
    assert [record.message for record in caplog.records] == [
        "The disk is full: the counter waits for room, and so may others ([Errno 28] No space left on device)"
    ]


def test_what_may_stay_undone_does_so_and_bugs_still_show():
    with space.forgone("use of a token"):
        raise full()
    with pytest.raises(ValueError, match="a bug"), space.forgone("use of a token"):
        raise ValueError("a bug")


def test_nothing_is_begun_without_room(tmp_path):
    space.demand(tmp_path, least=1)
    with pytest.raises(Refusal) as refused:
        space.demand(tmp_path, least=1 << 62)
    assert (refused.value.status, refused.value.id) == (507, "disk_full")


def test_a_form_on_a_full_disk_is_answered_by_a_page_that_says_so():
    middleware = RefusalMiddleware(lambda request: HttpResponse())
    request = RequestFactory().post("/apps/")
    told = middleware.process_exception(request, full())
    assert told.status_code == 507 and "The disk of this Slipway is full" in told.content.decode()
    assert middleware.process_exception(request, ValueError("a bug")) is None
