"""A database or a Redis that can't be reached: how that is told from our own bugs, and what people are told of it.

What was asked for was not done, apps serve on, and all comes right by itself once it is back.
"""

import logging

from core.errors import Refusal
from core.space import Quiet, chain

log = logging.getLogger(__name__)

STATUS = 503
RETRY_SECONDS = 10
WORDS = (
    "This Slipway can't reach its database or its Redis at the moment, so it can't tell or do anything. Apps keep running. "
    "Try again in a moment."
)
# Ends of sessions, a server that starts or stops, and one without room for another session.
AWAY = ("08", "57P01", "57P02", "57P03", "53300")
SQLITE_BUSY = frozenset([5, 6])
REDIS_AWAY = frozenset(["ConnectionError", "TimeoutError"])

_quiet = Quiet()  # a line a minute


def is_outage(error: BaseException) -> bool:
    """Whether `error`, or what led to it, is that the database or Redis could not be reached or was kept by others."""
    return any(_is_away(each) for each in chain(error))


def refusal(error: BaseException | None) -> Refusal | None:
    """What is answered when `error` has ended a request; None unless it is an outage."""
    if error is None or not is_outage(error):
        return None
    if _quiet.over():
        log.error("The database or Redis can't be reached: %s", error)
    return Refusal(WORDS, id="service_unavailable", status=STATUS)


def _is_away(error: BaseException) -> bool:
    names = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    if ("psycopg", "OperationalError") in names:  # those of the pool too
        state = getattr(error, "sqlstate", None)
        return state is None or state.startswith(AWAY)
    if any(("redis", name) in names for name in REDIS_AWAY):
        return True
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in SQLITE_BUSY
