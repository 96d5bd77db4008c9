"""The keeper: has the dynos run that should, and keeps their rows and the app's route true.

Every dyno is a row. Each start of it is an *incarnation* with an id of its own: a restart raises the row's
generation, a crash its count of crashes. `settle` compares rows, engine and router of one app and closes the gaps;
it may be called any time, any number of times.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from addons.volumes import Attached
from apps.models import App, Crash, Dyno
from conductor import one_offs, routes, wishes
from conductor.crew import Busy
from conductor.duty import NotOnDuty
from conductor.parts import Parts
from conductor.routes import Switchboard
from conductor.turns import Turns
from conductor.wishes import WEB, View
from core import changes as told
from core import failpoints, live
from core.changes import Change
from core.errors import ReleaseFailed
from core.text import storable
from engine.plan import ALIVE, plan
from engine.spec import Backend, DynoState, ProcessSpec, Route
from releases.models import Release

log = logging.getLogger(__name__)
States = dict[str, DynoState]

# Seconds before the 1st, 2nd … restart in a row (promise I-20). A release, a restart or ten good minutes reset it.
BACK_OFF = (0, 1, 10, 60, 300, 600, 1200, 2400)
GOOD_SECONDS = 600
RETRY = 5.0  # seconds after a failed attempt to settle
WHILE_BUSY = 0.5  # seconds until the next one while another conductor is at work on the app


class Keeper:
    """Keeps the dynos of all apps. Several may, over one database and one engine: each app is settled by one at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.board = Switchboard(parts.router, shared=parts.crew.shared)
        self._locks: dict[UUID, threading.RLock] = {}
        self._turns: Turns[UUID] = Turns(self._turn, threads=4, name="keeper")

    def start(self) -> None:
        """Begin to keep."""
        self._turns.start()

    def stop(self) -> None:
        """Change nothing more."""
        self._turns.stop()

    def poke(self, app_id: UUID, *, in_seconds: float = 0) -> None:
        """Something about the app changed. Never blocks."""
        if in_seconds:
            self._turns.ask_in(app_id, in_seconds)
        else:
            self._turns.ask(app_id)

    def poke_all(self, *, whole: bool = False) -> None:
        """Look at every app that is not as it should be; at really every one with `whole`."""
        views = wishes.views()
        for app_id, view in views.items():
            if whole or not self._is_settled(view):
                self.poke(app_id)
        for app in self._parts.driver.apps():  # whose row may be gone
            if UUID(app) not in views:
                self.poke(UUID(app))

    def settle(self, app_id: UUID) -> View | None:
        """Close the gaps between rows, engine and router of one app; returns what its rows then say."""
        with self._alone(app_id):
            view = wishes.view(app_id)
            if view is None:
                self._clear(app_id)
            else:
                self._settle(view)
            return view

    def switch(self, release: Release, view: View, commit: Callable[[], None]) -> bool:
        """Send the app's requests to the dynos of `release`, then `commit` that it is current; False if one of its
        dynos is not up any more. `view` was settled a moment ago; whatever changed since, and whatever goes wrong,
        the route is put right by what the rows say before anybody else's turn comes (I-04, I-06)."""
        app_id = release.app_id
        with self._alone(app_id):
            if view.current and view.current.version > release.version:
                raise ReleaseFailed(f"{view.current} is current already.")
            found = self._observe(app_id)
            rows = _wanted_of(view, release)
            backends = self._backends(rows, found)
            if any(not self._is_up(row, found) for row in rows):
                return False
            self._parts.crew.assure(app_id)
            try:
                self.board.put(routes.route(view, backends, rows))
                commit()
            finally:
                self._settle_again(app_id)
            return True

    def _settle_again(self, app_id: UUID) -> None:
        """Settle after a switch; where that fails, the keeper goes on trying."""
        try:
            self.settle(app_id)
        except Exception:
            self._turns.ask_in(app_id, RETRY)
            raise

    def running(self) -> dict[str, list[dict[str, Any]]]:
        """Every dyno that the engine knows, by app."""
        return {
            str(app_id): [
                {"id": s.id, "dyno": s.dyno, "state": s.state, "pid": s.pid, "port": s.port} for s in states
            ]
            for app_id in tuple(self._locks)
            if (states := self._parts.driver.observe(str(app_id)))
        }

    @contextmanager
    def _alone(self, app_id: UUID) -> Iterator[None]:
        """No other thread, and no other conductor, works on the app meanwhile."""
        lock = self._locks.setdefault(app_id, threading.RLock())  # atomic, unlike a defaultdict
        with lock, self._parts.crew.alone(app_id):
            yield

    def _turn(self, app_id: UUID) -> None:
        try:
            self.settle(app_id)
        except NotOnDuty:
            log.info("App %s is left to another conductor", app_id)
        except Busy:
            self._turns.ask_in(app_id, WHILE_BUSY)
        except Exception:
            self._turns.ask_in(app_id, RETRY)
            raise

    def _observe(self, app_id: UUID) -> States:
        return {state.id: state for state in self._parts.driver.observe(str(app_id))}

    def _settle(self, view: View) -> None:
        app = view.app
        if self._match_rows(view):
            view.dynos = list(Dyno.objects.filter(app=app, one_off=False))
        found = self._observe(app.pk)
        self._note_states(view, found)
        self._put_route(view, found)
        wanted, due = self._incarnations(view, found)
        self._apply(view, wanted, found)
        self._drop_rows(view, wanted, found)
        one_offs.settle(self._parts, view, found)
        if due:
            self._turns.ask_in(app.pk, max(0.0, min(due)))

    def _clear(self, app_id: UUID) -> None:
        """The app's row is gone: so is everything of it."""
        self.board.drop(str(app_id))
        self._parts.driver.apply(str(app_id), [])
        for state in self._parts.driver.observe(str(app_id)):  # one-off dynos
            self._parts.driver.stop(str(app_id), state.id)

    def _is_settled(self, view: View) -> bool:
        """Whether a cheap look finds nothing to do."""
        if view.one_offs or view.coming or view.app.destroyed_at:
            return False
        found = self._observe(view.app.pk)
        wanted = {(row.release_version, row.type, row.number) for row in view.dynos if view.is_wanted(row)}
        runs = [row for row in view.dynos if not view.sleeps(row)]
        return (
            len(wanted) == len(view.dynos) == len(view.wanted(view.current))
            and len(runs) == len(found)
            and all(self._is_noted(view, row, found) for row in runs)
            and self.board.serves(str(view.app.pk)) == self._route(view, found)
        )

    @staticmethod
    def _is_noted(view: View, row: Dyno, found: States) -> bool:
        state, size = found.get(row.incarnation), view.formation[row.type].size
        return state is not None and (row.state, row.port, row.size) == (state.state, state.port, size)

    # --- rows ---------------------------------------------------------------------------------------------------

    def _match_rows(self, view: View) -> bool:
        """Make the rows that are missing, and restart those of another size; whether anything changed."""
        have = {(row.release_version, row.type, row.number): row for row in view.dynos}
        missing, resized = [], []
        for release in view.releases():
            for (type, number), formation in view.wanted(release).items():
                row = have.get((release.version, type, number))
                if row is None:
                    row = _new_row(view.app, release, type, number, formation.size)
                    row.state = Dyno.State.IDLE if view.sleeps(row) else row.state
                    missing.append(row)
                elif row.size != formation.size:
                    row.size = formation.size
                    resized.append(row)
        if not missing and not resized:
            return False
        with transaction.atomic():
            Dyno.objects.bulk_create(missing, ignore_conflicts=True)
            _tell(missing, "appeared")
            for row in resized:
                Dyno.objects.filter(pk=row.pk).update(size=row.size, generation=F("generation") + 1)
            _tell(resized, "resized")
            live.tell(view.app.topic)
        return True

    def _note_states(self, view: View, found: States) -> None:
        """Write down what became of the current incarnation of each dyno."""
        news = []
        for row in view.dynos:
            state = found.get(row.incarnation)
            if state is None or not view.is_wanted(row) or view.sleeps(row):
                continue
            if state.state in ALIVE:
                news += _seen(row, state)
            elif view.current and row.release_version == view.current.version:
                news += _crashed(row, state, timezone.now())
            elif row.state != Dyno.State.CRASHED:
                news += [(row, _ended(state))]
        if news:
            with transaction.atomic():
                for row, changes in news:
                    self._write(row, changes)
                live.tell(view.app.topic)

    @staticmethod
    def _write(row: Dyno, changes: dict[str, object]) -> None:
        """Compare and set: a restart that was asked for meanwhile is not undone."""
        same = Dyno.objects.filter(pk=row.pk, generation=row.generation, crashes=row.crashes)
        before = row.state
        if same.update(**changes):
            for name, value in changes.items():
                setattr(row, name, value)
            if row.state != before:
                told.note(Change(row, app_id=row.app_id, details={"state": before}))
            if changes.get("state") == Dyno.State.CRASHED:
                _keep_crash(row)

    def _drop_rows(self, view: View, wanted: Sequence[tuple[Dyno, str]], found: States) -> None:
        """Delete the rows of dynos that are not wanted and have ended."""
        kept = {row.pk for row, _ in wanted}
        gone = [
            row
            for row in view.dynos
            if not view.is_wanted(row)
            and row.pk not in kept
            and not any(state.state in ALIVE for state in _of(row, found))
        ]
        if gone:
            with transaction.atomic():
                Dyno.objects.filter(pk__in=[row.pk for row in gone]).delete()
                _tell(gone, "went")
            view.dynos = [row for row in view.dynos if row not in gone]
            live.tell(view.app.topic)
            if view.current and any(row.release_version < view.current.version for row in gone):
                failpoints.reach("release.old_stopped")

    # --- route --------------------------------------------------------------------------------------------------

    def _put_route(self, view: View, found: States) -> None:
        self._parts.crew.assure(view.app.pk)
        if view.app.destroyed_at:
            self.board.drop(view.app)
            return
        self.board.put(self._route(view, found))

    def _route(self, view: View, found: States) -> Route:
        rows = _wanted_of(view, view.current)
        awake = [row for row in rows if not view.sleeps(row)]
        canary = self._backends(_wanted_of(view, view.coming), found) if view.share else []
        return routes.route(view, self._backends(awake, found), rows, canary)

    @staticmethod
    def _is_up(row: Dyno, found: States) -> bool:
        state = found.get(row.incarnation)
        return state is not None and state.state == Dyno.State.UP

    def _backends(self, rows: Sequence[Dyno], found: States) -> list[Backend]:
        """The web dynos that answer: of each the newest incarnation that is up."""
        answering = []
        for row in rows:
            if row.type != WEB:
                continue
            up = [state for state in _of(row, found) if state.state == Dyno.State.UP and state.port]
            if up:
                newest = max(up, key=lambda state: (state.id == row.incarnation, state.since))
                answering.append(routes.backend(row, newest))
        return answering

    # --- engine -------------------------------------------------------------------------------------------------

    def _incarnations(self, view: View, found: States) -> tuple[list[tuple[Dyno, str]], list[float]]:
        """What should run now, and the seconds after which to look again."""
        now, wanted, due = timezone.now(), [], []
        for row in view.dynos:
            keep = []
            runs = view.is_wanted(row) and not view.sleeps(row)
            if runs:
                pause = (row.start_after - now).total_seconds() if row.start_after else 0.0
                if pause > 0:
                    due.append(pause)
                else:
                    keep.append(row.incarnation)
            for state in _of(row, found):
                if (state.id == row.incarnation and runs) or state.state not in ALIVE:
                    continue
                if runs and not self._is_up(row, found):
                    keep.append(state.id)  # the former one serves until the fresh one is up
                elif stays := self.board.drains_for(state):
                    keep.append(state.id)
                    due.append(stays)
            wanted += [(row, id) for id in keep]
        return wanted, due

    def _apply(self, view: View, wanted: Sequence[tuple[Dyno, str]], found: States) -> None:
        """Tell the engine, if it has anything to do."""
        one_off_ids = {row.incarnation for row in view.one_offs}
        attached = Attached(view.app)
        specs = [spec for row, id in wanted if (spec := self._spec(view.app, row, id, attached))]
        others = [
            s for s in found.values() if s.id not in one_off_ids and not s.id.startswith(wishes.NOT_KEPT)
        ]
        todo = plan(specs, others)
        if todo.start or todo.stop or todo.forget:
            self._parts.crew.assure(view.app.pk)
            self._parts.driver.apply(str(view.app.pk), specs)
            for id in (*todo.stop, *todo.forget):
                self.board.forget(id)

    @staticmethod
    def _spec(app: App, row: Dyno, id: str, attached: Attached) -> ProcessSpec | None:
        try:
            return wishes.spec(app, row, id, attached=attached)
        except LookupError:
            log.exception("%s of %s can't be started", row, app)
            return None


def _wanted_of(view: View, release: Release | None) -> list[Dyno]:
    """The dynos that `release` should have, as far as there are rows of them."""
    version = release.version if release else 0
    return [row for row in view.dynos if row.release_version == version and view.is_wanted(row)]


def _of(row: Dyno, found: States) -> list[DynoState]:
    """What was seen of all incarnations of a dyno."""
    return [state for id, state in found.items() if id.startswith(f"{row.pk}.")]


def _tell(rows: Sequence[Dyno], verb: str) -> None:
    for row in rows:
        told.note(Change(row, verb, app_id=row.app_id))


def _new_row(app: App, release: Release, type: str, number: int, size: str) -> Dyno:
    return Dyno(
        app=app,
        type=type,
        number=number,
        size=size,
        command=release.process_types[type],
        release_version=release.version,
    )


def _keep_crash(row: Dyno) -> None:
    """Rows of dynos come and go: write down for later what became of this one."""
    Crash.objects.create(
        app_id=row.app_id,
        release_version=row.release_version,
        dyno=row.name,
        exit_code=row.exit_code,
        reason=row.reason,
        at=row.state_at,
    )


def _seen(row: Dyno, state: DynoState) -> list[tuple[Dyno, dict[str, object]]]:
    if (row.state, row.port) == (state.state, state.port):
        return []
    changes: dict[str, object] = {"state": state.state, "port": state.port}
    if row.state != state.state:
        changes["state_at"] = timezone.now()
    if state.state == Dyno.State.UP:
        changes |= {"reason": "", "exit_code": None}
    return [(row, changes)]


def _ended(state: DynoState) -> dict[str, object]:
    return {
        "state": Dyno.State.CRASHED,
        "state_at": timezone.now(),
        "port": None,
        "exit_code": state.exit_code,
        "reason": storable(state.reason)[:200] or f"Process exited with status {state.exit_code}",
    }


def _crashed(row: Dyno, state: DynoState, now: datetime) -> list[tuple[Dyno, dict[str, object]]]:
    """Count the crash, which makes the next incarnation, and say when that may start."""
    was_good = row.state == Dyno.State.UP and (now - row.state_at).total_seconds() >= GOOD_SECONDS
    crashes = 1 if was_good else row.crashes + 1
    pause = BACK_OFF[min(crashes, len(BACK_OFF)) - 1]
    changes = _ended(state) | {
        "crashes": crashes,
        "generation": row.generation + 1 if was_good else row.generation,  # so that no id comes twice
        "start_after": now + timedelta(seconds=pause) if pause else None,
    }
    return [(row, changes)]
