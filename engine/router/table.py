"""Who answers for which host."""

from dataclasses import dataclass

from engine.router.limits import Limits
from engine.router.upstream import Pool
from engine.spec import Backend, Route


@dataclass(eq=False)
class Entry:
    """A route and the pools of its backends."""

    route: Route
    pools: tuple[Pool, ...]
    stream: str

    def pick(self, tried: set[Pool], now: float) -> Pool | None:
        """The backend with the least in flight; they take turns when equal. None when all were tried."""
        pools = self.pools
        if len(pools) == 1 and not tried:
            return pools[0]
        free = [pool for pool in pools if pool not in tried]
        chosen = min(free, key=lambda pool: (pool.avoid_until > now, pool.busy, pool.turn), default=None)
        if chosen is not None:
            chosen.turn = now
        return chosen


class Table:
    """All routes. Used on the router's loop only, but for `in_flight`."""

    def __init__(self, limits: Limits, apps_domain: str) -> None:
        self.limits = limits
        self._apps_domain = apps_domain  # with its leading dot
        self.entries: dict[str, Entry] = {}
        self.hosts: dict[str, Entry] = {}
        self.pools: dict[str, Pool] = {}  # by backend id; retired ones too, while they are busy

    def find(self, host: str) -> Entry | None:
        """The entry for an exact host, else for a wildcard one level up; below `apps_host` there are no wildcards,
        or an app's custom domain could catch what is said to others."""
        entry = self.hosts.get(host)
        if entry is None and not host.endswith(self._apps_domain):
            entry = self.hosts.get("*." + host.partition(".")[2])
        return entry

    def put(self, route: Route) -> None:
        """Replace an app's entry as a whole."""
        former = self.entries.get(route.app)
        entry = Entry(route, tuple(self._pool(backend) for backend in route.backends), f"app/{route.app}")
        self.entries[route.app] = entry
        if former:
            self._unhost(former, keep=route.hosts)
        for host in route.hosts:
            self.hosts[host] = entry
        if former:
            self._retire(former, keep=entry.pools)

    def drop(self, app: str) -> None:
        """Forget an app."""
        entry = self.entries.pop(app, None)
        if entry:
            self._unhost(entry)
            self._retire(entry)

    def in_flight(self, backend_id: str) -> int:
        """Requests that a backend is at work on."""
        pool = self.pools.get(backend_id)
        return pool.busy if pool else 0

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

    def _unhost(self, entry: Entry, keep: frozenset[str] = frozenset()) -> None:
        for host in entry.route.hosts - keep:
            if self.hosts.get(host) is entry:
                del self.hosts[host]

    def _retire(self, entry: Entry, keep: tuple[Pool, ...] = ()) -> None:
        for pool in entry.pools:
            if pool not in keep:
                pool.retire()
