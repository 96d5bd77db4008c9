"""Moves orders of certificates forward: ask, put the proof in its place, have it looked at, fetch the certificate."""

import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps import acm
from apps.models import AuthorityAccount, CertificateOrder, Domain
from conductor.dynos import Keeper
from conductor.work import Held
from core import live, secrets
from core.errors import EngineError
from engine.acme import Authority, Denied, Started, new_key
from engine.certificates import read

AT_ONCE = 20
DUE_SECONDS = 5.0
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 90.0  # for the authority to make up its mind
ROUTE_SECONDS = 15.0  # for the proof to be in the route


class Orders:
    """All of them; `keeper` knows what is in an app's route."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._authorities: dict[str, Authority] = {}
        self._since: dict[tuple[UUID, int], float] = {}  # when a step of an order began here

    def advance(self, held: Held) -> float | None:
        """See `conductor.work.Kind`."""
        order: CertificateOrder = held.job
        steps = (self._ask, self._place, self._watch, self._fetch)
        try:
            wait = steps[order.step](order)
        except Denied as fault:
            acm.failed(order, str(fault))
            return None
        done = order.step == len(steps) - 1 and wait is None
        if wait is None and not done:
            order.next_step()
            return 0.0
        return wait

    def fail(self, order: Any, reason: str) -> None:
        """See `conductor.work.Kind`."""
        acm.failed(order, reason)

    # --- steps; each may run twice ------------------------------------------------------------------------------

    def _ask(self, order: CertificateOrder) -> float | None:
        """Begin an order, and have the app's router know the proof."""
        if not order.sealed_key:
            order.record(sealed_key=secrets.seal(new_key().encode(), to=order.bound_to))
        started = self._authority().start(order.domain.hostname, order.key)
        with transaction.atomic():
            order.record(address=started.order, challenge_address=started.challenge)
            proof = {started.token: started.answer} if started.token else {}
            Domain.objects.filter(pk=order.domain_id).update(challenge=proof)
            live.tell(order.domain.app.topic)
        self._keeper.poke(order.app_id)
        return None

    def _place(self, order: CertificateOrder) -> float | None:
        """Once the proof is in its place, say so."""
        if not order.challenge_address:
            return None
        domain = Domain.objects.get(pk=order.domain_id)
        route = self._keeper.board.serves(str(order.app_id))
        if route is None or not set(domain.challenge) <= set(route.challenges):
            if self._age(order) < ROUTE_SECONDS:
                return 0.1
            raise EngineError("The router did not take the proof in time.")
        self._authority().answer(Started(order.address, order.challenge_address))
        return None

    def _watch(self, order: CertificateOrder) -> float | None:
        """Wait for the authority to have looked, then have the certificate made."""
        found = self._authority().look(order.address)
        if found == "pending":
            return self._patience(order)
        if found == "ready":
            self._authority().finish(order.address, order.domain.hostname, order.key)
        return None

    def _fetch(self, order: CertificateOrder) -> float | None:
        """Fetch the certificate, and show it."""
        if self._authority().look(order.address) != "valid":
            return self._patience(order)
        acm.issued(order, read(self._authority().certificate(order.address), order.key))
        self._keeper.poke(order.app_id)
        return None

    # --- the authority ------------------------------------------------------------------------------------------

    def _patience(self, order: CertificateOrder) -> float:
        if self._age(order) > PATIENCE_SECONDS:
            raise Denied("The authority did not answer in time. Slipway asks again later.")
        return LOOK_SECONDS

    def _age(self, order: CertificateOrder) -> float:
        now = time.monotonic()
        if len(self._since) > 1000:
            self._since.clear()
        return now - self._since.setdefault((order.pk, order.step), now)

    def _authority(self) -> Authority:
        url = settings.ACME_URL
        if not url:
            raise Denied("Automatic certificates were turned off on this platform.")
        found = self._authorities.get(url)
        if found is None:
            found = Authority(url, _account(url).key)
            found.register(settings.ACME_CONTACT)
            self._authorities[url] = found
        return found


def _account(url: str) -> AuthorityAccount:
    """This platform's account, whose key is made once."""
    made = AuthorityAccount(url=url)
    sealed = secrets.seal(new_key().encode(), to=made.bound_to)
    return AuthorityAccount.objects.get_or_create(url=url, defaults={"sealed_key": sealed})[0]
