"""Who answers for which host, and with which certificate."""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import random
from time import monotonic

from engine import certificates
from engine.router.balancing import Balancer
from engine.router.limits import Limits
from engine.router.upstream import Pool
from engine.router.wire import Request
from engine.spec import Backend, Certificate, Route

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Visits:
    """What there is to know of an app's requests, whatever route they took."""

    open: int = 0  # requests and tunnels under way
    last: float = field(default_factory=monotonic)  # when one ended


@dataclass(eq=False)
class Entry:
    """A route and the pools of its backends."""

    route: Route
    pools: tuple[Pool, ...]
    stream: str
    contexts: Mapping[str, ssl.SSLContext]  # by host
    canary: tuple[Pool, ...] = ()  # of a release on trial
    visits: Visits = field(default_factory=Visits)

    def pick(self, tried: set[Pool], now: float) -> Pool | None:
        """The backend with the least in flight; they take turns when equal. None when all were tried."""
        pools = self.pools
        if self.canary:
            pools = self._drawn(tried)
        if len(pools) == 1 and not tried:
            return pools[0]
        free = [pool for pool in pools if pool not in tried]
        chosen = min(free, key=lambda pool: (pool.avoid_until > now, pool.busy, pool.turn), default=None)
        if chosen is not None:
            chosen.turn = now
        return chosen

    def _drawn(self, tried: set[Pool]) -> tuple[Pool, ...]:
        """Those of the release that a request goes to by lot; of the other one when they were tried in vain."""
        drawn, others = self.pools, self.canary
        if random() * 100 < self.route.share:
            drawn, others = others, drawn
        return drawn if any(pool not in tried for pool in drawn) else others


class Table:
    """All routes. Used on the router's loop only, but for `in_flight` and `quiet`."""

    def __init__(self, limits: Limits, apps_domain: str) -> None:
        self.limits = limits
        self._apps_domain = apps_domain  # with its leading dot
        self.entries: dict[str, Entry] = {}
        self.hosts: dict[str, Entry] = {}
        self.balancers: dict[str, Balancer] = {}  # by the host that apps share
        self.pools: dict[str, Pool] = {}  # by backend id; retired ones too, while they are busy

    def find(self, host: str) -> Entry | None:
        """The entry for an exact host, else for a wildcard one level up; below `apps_host` there are no wildcards,
        or an app's custom domain could catch what is said to others."""
        return self.hosts.get(self._known_as(host))

    def draw(self, request: Request) -> tuple[Entry | None, str]:
        """The entry for a host that apps share, and what names the app to a visitor who stays with it from now on."""
        balancer = self.balancers.get(request.host)
        return balancer.draw(request) if balancer else (None, "")

    def context(self, host: str) -> ssl.SSLContext | None:
        """What shows the certificate that the app behind `host` has for it; None when it has none."""
        known_as = self._known_as(host)
        entry = self.hosts.get(known_as)
        return entry.contexts.get(known_as) if entry else None

    def _known_as(self, host: str) -> str:
        if host in self.hosts or host.endswith(self._apps_domain):
            return host
        return "*." + host.partition(".")[2]

    def contexts(self, route: Route) -> dict[str, ssl.SSLContext]:
        """What shows the certificates of `route`, by host. Each is parsed once and kept while the app has it.
        From any thread, so that the loop does not wait for it."""
        former = self.entries.get(route.app)
        made: dict[Certificate, ssl.SSLContext] = {}
        if former:
            made = {former.route.certificates[host]: context for host, context in former.contexts.items()}
        for certificate in set(route.certificates.values()) - set(made):
            try:
                made[certificate] = certificates.context(certificate.chain, certificate.key)
            except ssl.SSLError as error:
                log.error("OpenSSL does not take a certificate of %s: %s", route.name, error.reason)
        return {host: made[one] for host, one in route.certificates.items() if one in made}

    def put(self, route: Route, contexts: Mapping[str, ssl.SSLContext]) -> None:
        """Replace an app's entry as a whole; `contexts` are what `contexts(route)` made."""
        former = self.entries.get(route.app)
        pools = tuple(self._pool(backend) for backend in route.backends)
        canary = tuple(self._pool(backend) for backend in route.canary)
        visits = former.visits if former else Visits()
        entry = Entry(route, pools, f"app/{route.app}", contexts, canary, visits)
        self.entries[route.app] = entry
        if former:
            self._unhost(former, keep=route.hosts)
        for host in route.hosts:
            self.hosts[host] = entry
        if former:
            self._retire(former, keep=(*entry.pools, *entry.canary))
        self._balance(former, entry)

    def drop(self, app: str) -> None:
        """Forget an app."""
        entry = self.entries.pop(app, None)
        if entry:
            self._unhost(entry)
            self._retire(entry)
            self._balance(entry, None)

    def in_flight(self, backend_id: str) -> int:
        """Requests that a backend is at work on."""
        pool = self.pools.get(backend_id)
        return pool.busy if pool else 0

    def quiet(self, app: str) -> float:
        """Seconds since a request of an app was under way. From any thread."""
        entry = self.entries.get(app)
        if entry is None:
            return 0.0
        return 0.0 if entry.visits.open else monotonic() - entry.visits.last

    def tidy(self, now: float) -> None:
        """Close idle connections, forget retired backends that are done."""
        for id, pool in list(self.pools.items()):
            pool.tidy(now)
            if pool.retired and not pool.busy:
                del self.pools[id]

    def _pool(self, backend: Backend) -> Pool:
        pool = self.pools.get(backend.id)
        if pool is None or pool.backend != backend:
            pool = self.pools[backend.id] = Pool(backend, None, self.limits)
        pool.retired = False
        return pool

    def _balance(self, former: Entry | None, now: Entry | None) -> None:
        """Have its stakes in hosts that apps share follow an entry."""
        has = {stake.host for stake in now.route.stakes} if now else set()
        for host in ({stake.host for stake in former.route.stakes} if former else set()) - has:
            assert former is not None
            if self.balancers[host].leave(former.route.app):
                del self.balancers[host]
        for host in has:
            assert now is not None
            self.balancers.setdefault(host, Balancer(host)).put(now)

    def _unhost(self, entry: Entry, keep: frozenset[str] = frozenset()) -> None:
        for host in entry.route.hosts - keep:
            if self.hosts.get(host) is entry:
                del self.hosts[host]

    def _retire(self, entry: Entry, keep: tuple[Pool, ...] = ()) -> None:
        for pool in (*entry.pools, *entry.canary):
            if pool not in keep:
                pool.retire()
