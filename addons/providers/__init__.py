"""Who makes what an add-on service promises, chosen by what is configured on this machine.

A module here stands for a kind of server. Which of its ways is taken, a server that the operator named, a service of
the engine, or one that the platform runs itself, is for the module to say.
"""

from addons.providers.base import Maintains, Order, Provided, Provider
from addons.providers.included import Included
from addons.providers.mailer import MAILER, Mailer
from addons.providers.memcached import MEMCACHIER, Memcached
from addons.providers.none import NoProvider
from addons.providers.papertrail import Papertrail
from addons.providers.partner import ByPartner
from addons.providers.postgresql import Postgresql
from addons.providers.redis import Redis
from addons.providers.storage import STORAGE, Storage

__all__ = ["Order", "Provided", "Provider", "maintained", "provider_for", "register"]

_BY_SERVICE: dict[str, Provider] = {
    "heroku-postgresql": Postgresql(),
    "heroku-redis": Redis(),
    "papertrail": Papertrail(),
    MAILER: Mailer(),
    MEMCACHIER: Memcached(),
    STORAGE: Storage(),
    "scheduler": Included("Add jobs on the app's Schedule page."),
}


_PARTNERS = ByPartner()


def provider_for(service_name: str, *, by_partner: bool = False) -> Provider:
    """The provider of a service, which may be `by_partner`; one that can do nothing and says so when there is none."""
    if by_partner:
        return _PARTNERS
    return _BY_SERVICE.get(service_name) or NoProvider(service_name)


def maintained() -> list[str]:
    """The services whose servers the platform may run itself."""
    return [name for name, provider in _BY_SERVICE.items() if isinstance(provider, Maintains)]


def register(service_name: str, provider: Provider) -> None:
    """Have `provider` make the add-ons of a service, instead of whoever did so far."""
    _BY_SERVICE[service_name] = provider
