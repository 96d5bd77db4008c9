"""A database or a Redis that is away is told from our own bugs, and answered as such wherever it is met."""

import sqlite3

import psycopg
import psycopg_pool
import pytest
import redis
from django.db import OperationalError
from django.http import HttpResponse
from django.test import RequestFactory

from api.http import broken as broken_for_programs
from core import outage
from core.middleware import RefusalMiddleware
from dashboard.views.errors import broken


def unreachable() -> Exception:
    with pytest.raises(psycopg.OperationalError) as found:
        psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")
    return found.value


def no_redis() -> Exception:
    with pytest.raises(redis.exceptions.ConnectionError) as found:
        redis.Redis(port=1).ping()
    return found.value


def locked(folder) -> Exception:
    with sqlite3.connect(folder / "db") as one, sqlite3.connect(folder / "db", timeout=0) as other:
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as found:
            other.execute("BEGIN IMMEDIATE")
    one.close()
    other.close()
    return found.value


def led_to(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_what_is_away_is_known_by_the_words_of_its_drivers(tmp_path):
    assert outage.is_outage(led_to(OperationalError("wrapped"), unreachable()))
    assert outage.is_outage(led_to(OperationalError("wrapped"), psycopg_pool.PoolTimeout("none came")))
    assert outage.is_outage(psycopg.errors.AdminShutdown("the server ends"))
    assert outage.is_outage(no_redis())
    assert outage.is_outage(led_to(OperationalError("wrapped"), locked(tmp_path)))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        psycopg.errors.DiskFull(),
        psycopg.errors.QueryCanceled(),
        ConnectionError("another's"),
    ],
)
def test_other_trouble_is_not_taken_for_it(error):
    assert not outage.is_outage(error)
    assert outage.refusal(error) is None


@pytest.mark.promise("I-47")
def test_pages_and_programs_are_told_when_to_come_again():
    request = RequestFactory().get("/pipelines/")
    error = unreachable()
    answers = [RefusalMiddleware(HttpResponse).process_exception(request, error)]
    try:
        raise error
    except psycopg.OperationalError:
        answers += [broken(request), broken_for_programs(request)]
    for answer in answers:
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")
        assert "reach its database" in answer.content.decode()
        assert "127.0.0.1" not in answer.content.decode()


def test_our_own_mistakes_are_told_as_such():
    request = RequestFactory().get("/pipelines/")
    try:
        raise ValueError("a bug")
    except ValueError:
        assert broken(request).status_code == broken_for_programs(request).status_code == 500
