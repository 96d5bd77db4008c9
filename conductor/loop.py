"""The conductor: claims work, moves it forward, holds it by leases, and keeps dynos.

There may be several, which share builds, promotions and deliveries by their leases. One of them leads (see
`conductor.crew`): it alone has the engine's driver, and with that moves releases and add-ons, keeps dynos and routes,
runs the servers of add-ons and looks after nodes; it sweeps, cleans, measures, sends logs to their drains and writes
notes. When it dies another leads within seconds, takes over what runs, and looks at everything once.

One thread looks for work when it is nudged, and every second in any case; it reads before it writes. Builds have a
thread each, everything else takes turns in a few: waiting for a process costs none. A heartbeat renews the leases of
all that is in hand.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connections

from addons import mails, maintenance
from apps import acm
from blueprints import proposals
from conductor import (
    agenda,
    alerts,
    autoscaler,
    ci,
    cleaning,
    disk,
    doctor,
    flow,
    guests,
    hosts,
    memory,
    metering,
    nodes,
    notes,
    notices,
    orders,
    reviews,
    scheduler,
    status,
    traffic,
)
from conductor.backups import schedule
from conductor.builds import Builds
from conductor.deliveries import Deliveries
from conductor.drains import Drains
from conductor.duty import OnDuty
from conductor.dynos import Keeper
from conductor.hand import Hand, put_back
from conductor.kinds import kinds
from conductor.parts import Parts
from conductor.sleepers import LOOK_SECONDS as SLEEPERS_SECONDS
from conductor.sleepers import Sleepers
from conductor.transfers import Transfers, take_turns
from conductor.turns import is_ours, mark_ours, refresh_connections
from conductor.wishes import START_STEP
from conductor.work import Held, Kind
from core import live, space
from core.errors import EngineError
from engine.rendezvous import Guest
from hooks.models import Delivery
from notices import clock
from notices.models import Notice
from releases.models import OPEN, Release
from releases.pushed import tell_untold
from releases.pushes import end_abandoned

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.08  # what is told of an app within is looked at together, and after the work that it makes
LOOK_SECONDS = 1.0  # between two looks for work without a nudge
OFFERS_SECONDS = 30.0  # between two looks for offers whose settings somebody has made so themselves
PUSHES_SECONDS = 15.0  # between two looks for pushes whose web process has died
MAINTENANCE_SECONDS = 60.0  # between two looks for servers whose program has been replaced
TRANSFERS_SECONDS = 20.0  # between two looks for backups whose hour has come


class Conductor:
    """All of it, in threads. `start` returns at once, `stop` when everything has ended."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.keeper = Keeper(parts)
        self._flow = flow.Flow()
        self._builds = Builds(parts)
        self._tests = ci.Tests(parts)
        self._deliveries = Deliveries()
        self._notices = notices.Notices()
        self._transfers = Transfers()
        self._drains = Drains(parts)
        self._rounds = doctor.Rounds()
        self._nodes = nodes.Nodes(parts, self.keeper.poke)
        self._orders = orders.Orders(self.keeper)
        self._looks = hosts.Looks()
        self._sleepers = Sleepers(parts, self.keeper.poke)
        self._kinds = kinds(
            parts,
            self.keeper,
            builds=self._builds,
            tests=self._tests,
            node_requests=self._nodes,
            certificates=self._orders,
            transfers=self._transfers,
        )
        self._woken = threading.Event()
        self._news = threading.Event()  # for webhooks
        self._look_at_all = threading.Event()
        self._stopping = threading.Event()
        self._hand = Hand(self._kinds, freed=self._woken.set)
        self._threads = [
            threading.Thread(target=self._loop, args=args, name=args[0], daemon=True)
            for args in self._duties()
        ]
        self._notes = notes.Notes(parts)
        self._status = status.Status(self)
        self._looked = float("-inf")
        self.swept = 0.0  # when it last made up for lost nudges, in seconds since the epoch
        self._leads = False
        self._deafen: Callable[[], None] = lambda: None

    def find_guest(self, secret: str) -> Guest:
        """What the router shows to a client that comes with this secret; waits. See `conductor.guests`."""
        return guests.find(self.parts, secret)

    def wake(self, app: str) -> None:
        """Somebody came for an app that sleeps; from the router, and at once. See `conductor.sleepers`."""
        self._sleepers.wake(app)

    def start(self) -> None:
        """Begin to work. `EngineError` when there is no room for another conductor."""
        self.parts.crew.join(self.parts.data)
        if not self.parts.crew.shared:
            free_leases()
        self._lead()
        self.parts.driver.on_change(self._dyno_changed)
        self._deafen = live.listen(self._heard, shown=False)
        self.keeper.start()
        self._sleepers.start()
        for turns in (
            self._hand,
            self._deliveries,
            self._notices,
            self._looks,
            self._drains,
        ):
            turns.start()
        for thread in self._threads:
            thread.start()
        connections.close_all()

    def stop(self) -> None:
        """Let go: no new work, builds in hand are given up (their next conductor starts them again), dynos end."""
        self._stopping.set()
        self._deafen()
        self._woken.set()
        self._news.set()
        self._flow.woken.set()
        in_hand = self._hand.drop()
        for thread in self._threads:
            thread.join(10)
        for turns in (
            self._hand,
            self._deliveries,
            self._notices,
            self._looks,
            self._drains,
        ):
            turns.stop()
        for waiting in (self.parts.leftovers, self.parts.ahead):
            if waiting:
                waiting.close()
        self._sleepers.stop()
        self.keeper.stop()
        self._transfers.stop()
        with space.forgone("release of leases"):
            put_back(in_hand)
        self.parts.driver.close()
        if self.parts.servers:
            self.parts.servers.stop()
        with space.forgone("last word of the conductor"):
            traffic.finish(self.parts)
            self._status.write(stopped=True)
        self.parts.crew.leave()
        connections.close_all()

    def nudge(self) -> None:
        """Another process has changed something: look for work, and at all apps. Never blocks."""
        self._look_at_all.set()
        self._woken.set()
        self._flow.woken.set()

    @property
    def leads(self) -> bool:
        """Whether this one does what is done once for all."""
        return self._leads

    def held(self) -> list[Held]:
        """What is in hand now."""
        return self._hand.held()

    # --- threads ------------------------------------------------------------------------------------------------

    def _duties(self) -> list[tuple[str, Callable[[], None], float]]:
        return [
            ("dispatcher", self._look, LOOK_SECONDS),
            ("courier", self._deliver, LOOK_SECONDS),
            ("heartbeat", self._hand.renew, settings.HEARTBEAT_SECONDS),
            ("status", lambda: self._status.write(), status.EVERY_SECONDS),
            ("counter", lambda: traffic.write(self.parts), traffic.EVERY_SECONDS),
            *((name, partial(self._if_leading, duty), every) for name, duty, every in self._for_all()),
        ]

    def _for_all(self) -> list[tuple[str, Callable[[], object], float]]:
        """What is done once for all, by the conductor that leads."""
        return [
            ("drainer", self._drains.look, LOOK_SECONDS),
            ("sweeper", self._sweep, settings.SWEEP_SECONDS),
            *([("nodes", self._nodes.look, nodes.EVERY_SECONDS)] if self.parts.machines else []),
            *([("pushes", end_abandoned, PUSHES_SECONDS)] if self.parts.crew.shared else []),
            ("news", tell_untold, PUSHES_SECONDS),
            ("measurer", lambda: disk.measure(self.parts.data), disk.EVERY_SECONDS),
            ("scheduler", scheduler.look, scheduler.LOOK_SECONDS),
            ("stale", reviews.look_for_stale, reviews.STALE_SECONDS),
            ("tests", lambda: ci.look(self.parts), ci.SWEEP_SECONDS),
            ("sleepers", self._sleepers.look, SLEEPERS_SECONDS),
            ("weigher", lambda: memory.look(self.parts), memory.EVERY_SECONDS),
            ("alerts", lambda: alerts.look(self.parts.logs), alerts.LOOK_SECONDS),
            ("autoscaler", lambda: autoscaler.look(self.keeper.poke), autoscaler.LOOK_SECONDS),
            ("meter", metering.keep, metering.EVERY_SECONDS),
            ("flow", self._flow.look, flow.LOOK_SECONDS),
            ("hosts", self._looks.look, hosts.LOOK_SECONDS),
            ("offers", proposals.look_again, OFFERS_SECONDS),
            ("freezes", flow.show_all, flow.SHOW_SECONDS),
            ("cleaner", lambda: cleaning.clean(self.parts), cleaning.EVERY_SECONDS),
            ("backups", take_turns, TRANSFERS_SECONDS),
            ("keeper", schedule.look, schedule.EVERY_SECONDS),
            ("maintenance", maintenance.look, MAINTENANCE_SECONDS),
            ("orders", acm.order_due, orders.DUE_SECONDS),
            ("doctor", self._rounds.look, doctor.LOOK_SECONDS),
            ("herald", clock.look, clock.EVERY_SECONDS),
        ]

    def _if_leading(self, duty: Callable[[], object]) -> None:
        if self._leads:
            duty()

    def _lead(self) -> None:
        """Lead, if nobody else does."""
        led, leads = self._leads, self.parts.crew.leads()
        if leads and not led:
            self._begin_to_lead()
        elif led and not leads:
            self._cease_to_lead()

    def _begin_to_lead(self) -> None:
        """Take over, and make up for whatever the one before left half done."""
        try:
            if isinstance(self.parts.driver, OnDuty):
                self.parts.driver.begin()
        except EngineError as error:
            log.error("This conductor can't lead: %s", error)
            self.parts.crew.step_down()
            return
        cleaning.tidy(self.parts)
        self._notes.resume()
        if self.parts.servers:
            self.parts.servers.start()
            mails.follow(self.parts.servers.mailer)
        self._leads = True
        self.keeper.poke_all(whole=True)

    def _cease_to_lead(self) -> None:
        """Leave to another what only one may do."""
        log.warning("This conductor leads no more")
        self._leads = False
        self._hand.drop(led=True)
        if isinstance(self.parts.driver, OnDuty):
            self.parts.driver.end()
        if self.parts.servers:
            self.parts.servers.stop()

    def _loop(self, name: str, duty: Callable[[], None], every: float) -> None:
        """Do `duty` every so many seconds, and some also when they are woken. Trouble ends no thread."""
        mark_ours()
        wakes = {"dispatcher": self._woken, "courier": self._news, "flow": self._flow.woken}
        wake = wakes.get(name, self._stopping)
        while not self._stopping.is_set():
            refresh_connections()
            try:
                duty()
            except Exception as error:
                if not space.note(name, error):
                    log.exception("The %s had trouble", name)
            wake.wait(every)
            if wake is not self._stopping:
                wake.clear()
        connections.close_all()

    def _look(self) -> None:
        """Take what is free, as far as there is room. What the cheap question can't know is looked at once a second."""
        now = agenda.ask(self._notes.last)
        if due := time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._lead()
        for kind in self._kinds:
            if now.jobs[kind.model] and (self._leads or not kind.led):
                self._claim_some(kind)
        if now.cancelled or due:
            self._note_cancelled()
        if self._look_at_all.is_set():
            self._look_at_all.clear()
            self._if_leading(self.keeper.poke_all)
        if now.events or due:
            self._if_leading(self._notes.write)

    def _claim_some(self, kind: Kind) -> None:
        room = kind.room - sum(held.kind is kind for held in self.held())
        while room > 0 and not self._stopping.is_set() and (held := kind.claim()):
            self._hand.take(held)
            room -= 1
            if not agenda.has_free(kind.model):
                return

    def _note_cancelled(self) -> None:
        self._builds.cancel_pending()
        self._hand.note_cancelled()

    def _deliver(self) -> None:
        """Have what waits go out: to webhooks, to channels, to people."""
        self._deliveries.look()
        self._notices.look()

    def _sweep(self) -> None:
        """Make up for nudges that were lost."""
        self.keeper.poke_all()
        cleaning.clear_destroyed(self.parts)
        cleaning.end_streams(self.parts)
        self.swept = time.time()
        self._woken.set()

    # --- nudges -------------------------------------------------------------------------------------------------

    def _heard(self, topic: str) -> None:
        if topic == live.CONDUCTOR:
            self._woken.set()
            self._flow.woken.set()
        elif topic == live.DELIVERIES:
            self._news.set()
        elif topic.startswith("start:") and self._leads:
            self.keeper.poke(uuid.UUID(topic[6:]))
        elif topic.startswith("app:") and self._leads and not is_ours():
            self.keeper.poke(uuid.UUID(topic[4:]), in_seconds=GATHER_SECONDS)

    def _dyno_changed(self, app: str) -> None:
        app_id, seen_to = uuid.UUID(app), False
        for held in self.held():
            if held.kind.name == "release" and held.job.app_id == app_id:
                self._hand.go_on(held)
                running = held.job.status == Release.Status.RUNNING
                seen_to |= running and held.job.step >= START_STEP  # which settles the app itself
            elif held.kind.name == "test" and held.job.app_id == app_id:
                self._hand.go_on(held)
        if not seen_to and self._leads:
            self.keeper.poke(app_id)


def free_leases() -> None:
    """At the start nobody works on anything, whatever leases say: whoever held them did so on this folder."""
    models: tuple[Any, ...] = (*agenda.JOBS, Delivery, Notice)
    for model in models:
        model._default_manager.filter(status__in=OPEN).update(lease_until=None)
