"""What stands before the dynos, as ROUTER_URL says: the router in this process, or HAProxy, which runs by itself."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.logs import store as logs
from engine.proxy import Folder, Keeper, ProxyRouter, Setup, prepare
from engine.rendezvous import Guest
from engine.router import LocalRouter
from engine.router.limits import Limits
from engine.spec import Router
from engine.tally import Tally
from engine.tls import RENEW_DAYS, LocalCA

PROXY = "haproxy://"
LATE = 15.0  # seconds beyond the boot time: until it is begun with, and its end is known
Find = Callable[[str], Guest]
Wake = Callable[[str], None]


class Front(Protocol):
    """A router, and what this process does for it."""

    @property
    def router(self) -> Router:
        """What the conductor tells its routes."""
        ...

    @property
    def tally(self) -> Tally:
        """Where it counts requests."""
        ...

    async def start(self, find_guest: Find, serves: Callable[[], bool], wake: Wake) -> str:
        """Begin. `find_guest` shows guests of one-off dynos in, `serves` says whether this is the conductor to ask,
        `wake` hears of each request for an app that sleeps. Returns where apps answer, for people."""
        ...

    async def stop(self) -> None:
        """End what this process does; HAProxy goes on."""
        ...


def front(*, https: bool) -> Front:
    """The front that ROUTER_URL asks for; the embedded one answers to https with certificates of its own if told so."""
    url = settings.ROUTER_URL
    if url == "local:":
        return LocalFront(local_ca() if https else None)
    if url.startswith(PROXY + "/"):
        return ProxyFront(Path(url.removeprefix(PROXY)))
    raise ImproperlyConfigured(f"ROUTER_URL is {url}; write local: or haproxy:///FOLDER")


def local_ca() -> LocalCA:
    """The authority of this data folder, made when there is none yet."""
    return LocalCA(settings.DATA / "tls", permitted=[settings.APPS_HOST, settings.HOST])


class LocalFront:
    """The embedded router."""

    def __init__(self, ca: LocalCA | None) -> None:
        self._find: Find | None = None
        self._waker: Wake | None = None
        self.tally = Tally()
        self.router = LocalRouter(
            sink=logs(),
            control=settings.CONTROL_SOCKET,
            control_hosts=frozenset(settings.ALLOWED_HOSTS),
            apps_host=settings.APPS_HOST,
            ca=ca,
            trusted_proxies=settings.TRUSTED_PROXIES,
            find_guest=self._guest if ca else None,
            tally=self.tally,
            limits=_limits(),
            wake=self._wake,
        )

    def _wake(self, app: str) -> None:
        assert self._waker is not None
        self._waker(app)

    def _guest(self, secret: str) -> Guest:
        assert self._find is not None
        return self._find(secret)

    async def start(self, find_guest: Find, serves: Callable[[], bool], wake: Wake) -> str:
        """See `Front`."""
        self._find, self._waker = find_guest, wake
        await self.router.start(settings.BIND, settings.PORT)
        return f"{settings.BIND}:{settings.PORT}"

    async def stop(self) -> None:
        """See `Front`."""
        await self.router.stop()


class ProxyFront:
    """HAProxy, which reads `folder`."""

    def __init__(self, folder: Path) -> None:
        hosts = frozenset(settings.ALLOWED_HOSTS)
        self._wake: Wake = lambda app: None
        self.router = ProxyRouter(folder, control_hosts=hosts)
        self.tally = Tally()
        write(self.router.folder)
        self._keeper: Keeper | None = None

    async def start(self, find_guest: Find, serves: Callable[[], bool], wake: Wake) -> str:
        """See `Front`."""
        self._wake = wake
        self._keeper = Keeper(
            self.router,
            sink=logs(),
            find_guest=find_guest,
            serves=serves,
            tally=self.tally,
            make_waking=self._waking,
        )
        self._keeper.start()
        return f"{settings.BIND}:{settings.PORT}, by HAProxy"

    def _waking(self) -> LocalRouter:
        """Where requests for apps that sleep wait. HAProxy sends it no others."""
        return LocalRouter(
            sink=logs(),
            control=settings.CONTROL_SOCKET,
            control_hosts=frozenset(),
            apps_host=settings.APPS_HOST,
            limits=_limits(),
            wake=self._wake,
        )

    async def stop(self) -> None:
        """See `Front`."""
        if self._keeper:
            await self._keeper.stop()


def _limits() -> Limits:
    """A request waits for an app that sleeps until that has failed to come up."""
    return Limits(wake=settings.BOOT_SECONDS + LATE)


def write(folder: Folder) -> None:
    """Write what HAProxy starts from."""
    prepare(setup(), folder, default_certificate=_certificate(folder))


def setup() -> Setup:
    """What HAProxy is told once, by the settings."""
    secure = f"{settings.BIND}:{settings.HTTPS_PORT}" if settings.HTTPS_PORT else ""
    guests = int(settings.RENDEZVOUS.rpartition(":")[2])
    return Setup(
        http=f"{settings.BIND}:{settings.PORT}",
        https=secure,
        guests="" if guests in (settings.PORT, settings.HTTPS_PORT) else f"{settings.BIND}:{guests}",
        ports=(settings.PORT, settings.HTTPS_PORT),
        web=tuple(settings.ROUTER_WEB),
        web_check="/health/ready",
        control_hosts=frozenset(settings.ALLOWED_HOSTS),
        apps_host=settings.APPS_HOST,
        trusted=tuple(settings.TRUSTED_PROXIES),
        to_https=bool(secure) and settings.URL.startswith("https://"),
        limits=_limits(),
    )


def _certificate(folder: Folder) -> str:
    """What is shown for names without a certificate of their own: what the operator gave, else one of our authority."""
    if settings.TLS_CERTIFICATE:
        return Path(settings.TLS_CERTIFICATE).read_text()
    images = [settings.REGISTRY_HOST] if settings.REGISTRY else []
    names = list(dict.fromkeys([settings.HOST, *images, settings.APPS_HOST, f"*.{settings.APPS_HOST}"]))
    path = folder.default_cert
    if path.exists() and _is_for(path.read_text(), names):
        return path.read_text()
    return local_ca().pem(names)


def _is_for(pem: str, names: list[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return False
    left = found.not_valid_after_utc - datetime.now(UTC)
    known = set(extension.value.get_values_for_type(x509.DNSName))
    return left > timedelta(days=RENEW_DAYS) and known >= set(names) - {"127.0.0.1"}
