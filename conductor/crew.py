"""Who else conducts: nobody, or a crew whose members may die at any time.

What only one may do at a time is held by advisory locks of PostgreSQL, on a connection of this conductor's own: the
database lets go of them when their holder dies. There is one lock per app, under which its dynos and its route are
put right, and one for the member that leads: it keeps the dynos and does all else that is to be done once for all (`conductor.loop` says what).
"""

import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO
from uuid import UUID

import psycopg
from django.db import connections

from core.errors import EngineError

log = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds that we wait for another conductor to be done with an app
LOOK = 0.02  # seconds between two looks whether it is
LEADER = 7_446_153_290_114_311_845  # the lock of who leads; those of apps are made of random bits
# A machine that vanishes says no goodbye: the server asks after its connection, and frees its locks, in 25 s at most.
_KEPT_ALIVE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
_CONNECT = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "application_name": "slipway conductor"}


class Busy(EngineError):
    """Another conductor is at work on the app at this moment."""


class Crew(Protocol):
    """What a conductor asks of those it works beside."""

    id: UUID
    shared: bool  # whether there may be others

    def join(self, data: Path) -> None:
        """Begin. `EngineError` when there is no room for another conductor."""
        ...

    def leave(self) -> None:
        """Let go of everything."""
        ...

    def leads(self) -> bool:
        """Whether this conductor does what is done once for all. Tries to become the one, if nobody is."""
        ...

    def step_down(self) -> None:
        """Let somebody else lead: we can't."""
        ...

    def alone(self, app_id: UUID) -> Any:
        """A context in which no other conductor touches the app's dynos and route; `Busy` when that can't be had."""
        ...

    def assure(self, app_id: UUID) -> None:
        """`EngineError` when the app is not ours any more inside `alone`: the database went away and forgot it."""
        ...


class Lone:
    """No crew: one conductor holds the data folder, and with it all there is."""

    shared = False

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self._claim: TextIO | None = None

    def join(self, data: Path) -> None:
        """Hold the data folder; `EngineError` when another conductor does."""
        folder = data / "run"
        folder.mkdir(parents=True, exist_ok=True)
        file: TextIO = (folder / "conductor.lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise EngineError(f"Another conductor works on {data}.", permanent=True) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._claim = file

    def leave(self) -> None:
        """Let go of the folder."""
        if self._claim:
            self._claim.close()

    def leads(self) -> bool:
        """Who else."""
        return True

    def step_down(self) -> None:
        """There is nobody else."""

    @contextmanager
    def alone(self, app_id: UUID) -> Iterator[None]:
        """The threads of this process see to it among themselves."""
        yield

    def assure(self, app_id: UUID) -> None:
        """Nobody could have taken it."""


class Locks:
    """Advisory locks of one session. When the session ends, all are gone, whatever anybody thinks."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._session: psycopg.Connection[Any] | None = None
        self._held: set[int] = set()

    def take(self, key: int) -> bool:
        """Take a lock; False while another session has it. Not for a key that we hold."""
        with self._mutex:
            if self._ask("SELECT pg_try_advisory_lock(%s)", key):
                self._held.add(key)
            return key in self._held

    def free(self, key: int) -> None:
        """Let go of a lock, if we still have it."""
        with self._mutex:
            if key in self._held:
                self._held.discard(key)
                self._ask("SELECT pg_advisory_unlock(%s)", key)

    def holds(self, key: int) -> bool:
        """Whether the lock is ours still: the session that took it is asked for a sign of life."""
        with self._mutex:
            return key in self._held and self._ask("SELECT %s::bigint", key) is not None and key in self._held

    def close(self) -> None:
        """End the session."""
        with self._mutex:
            self._drop()

    def _ask(self, question: str, key: int) -> Any:
        """The answer; None when there is no database, and then no lock either."""
        try:
            if self._session is None:
                self._session = _connect()
            row = self._session.execute(question, [key]).fetchone()
            return row[0] if row else None
        except psycopg.Error as error:
            log.warning("The locks of this conductor are lost: %s", error)
            self._drop()
            return None

    def _drop(self) -> None:
        self._held.clear()
        session, self._session = self._session, None
        if session is not None:
            session.close()


class Company:
    """One of several conductors over one PostgreSQL database."""

    shared = True

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self._locks = Locks()
        self._inside: dict[UUID, int] = {}  # how deep; only whoever is alone with an app touches its entry

    def join(self, data: Path) -> None:
        """Nothing to hold: there may be others."""
        (data / "run").mkdir(parents=True, exist_ok=True)

    def leave(self) -> None:
        """Free all locks."""
        self._locks.close()

    def leads(self) -> bool:
        """Whether we have the leader's lock, or got it now."""
        return self._locks.holds(LEADER) or self._locks.take(LEADER)

    def step_down(self) -> None:
        """Free the leader's lock."""
        self._locks.free(LEADER)

    @contextmanager
    def alone(self, app_id: UUID) -> Iterator[None]:
        """Hold the app's lock. Threads of this process must not come here for one app at the same time."""
        depth = self._inside.get(app_id, 0)
        if not depth:
            self._wait_for(app_id)
        self._inside[app_id] = depth + 1
        try:
            yield
        finally:
            if depth:
                self._inside[app_id] = depth
            else:
                self._inside.pop(app_id, None)
                self._locks.free(_key(app_id))

    def assure(self, app_id: UUID) -> None:
        """Ask whether the lock is still ours."""
        if not self._locks.holds(_key(app_id)):
            raise EngineError(f"The lock on app {app_id} is lost.")

    def _wait_for(self, app_id: UUID) -> None:
        key, end = _key(app_id), time.monotonic() + PATIENCE
        while not self._locks.take(key):
            if time.monotonic() > end:
                raise Busy(f"Another conductor is at work on app {app_id}.")
            time.sleep(LOOK)


def _key(app_id: UUID) -> int:
    """The app's lock: 63 of its random bits."""
    return app_id.int & (2**63 - 1)


def _connect() -> "psycopg.Connection[Any]":
    """A session beside Django's own connections, which come and go with threads."""
    found = connections["default"].get_connection_params()
    chosen = {name: value for name, value in found.items() if name not in ("context", "cursor_factory")}
    session: psycopg.Connection[Any] = psycopg.connect(**{**chosen, **_CONNECT}, autocommit=True)
    for name, value in _KEPT_ALIVE.items():
        session.execute(f"SET {name} = {value}")
    return session
