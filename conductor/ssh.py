"""Who comes by SSH: from a key to what it opens in a dyno, by the verbs that `heroku run:inside` uses."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from accounts import scopes
from accounts.models import ApiToken, User
from apps import access, dyno_keys, one_offs
from apps.dyno_keys import DynoKey
from apps.models import App, Dyno
from core import activity
from core.errors import Refusal
from engine.rendezvous import Guest
from engine.ssh import HostKey, Server, Visit
from pipelines.access import demand_config
from releases.models import Release

STATUS_SECONDS, LOOK_SECONDS = 10.0, 0.02
GONE = "The key is not valid any more: its person, token or app is gone. Run the command again."
SHELL, SHELL_OF_IMAGES = "bash", "command -v bash >/dev/null && exec bash || exec sh"
Find = Callable[[str], Guest]


class Door:
    """What the SSH server asks; `find_guest` is the conductor's."""

    def __init__(self, find_guest: Find) -> None:
        self._find_guest = find_guest

    def find(self, user: str, address: str) -> "DynoTicket | None":
        """Part of `engine.ssh.Door`."""
        try:
            found = dyno_keys.find(user)
            if found is None or _person(found) is None:
                return None
            return DynoTicket(found, user, address, self._find_guest)
        finally:
            connection.close()


@dataclass(frozen=True)
class DynoTicket:
    """What a key opens, to who comes from `address`."""

    row: DynoKey
    user: str
    address: str
    find_guest: Find

    @property
    def key(self) -> bytes:
        """Part of `engine.ssh.Ticket`."""
        return self.row.blob

    def open(self, command: str, *, tty: bool, env: Mapping[str, str], about: str = "") -> Visit:
        """Part of `engine.ssh.Ticket`."""
        try:
            with activity.coming("ssh", address=self.address or None):
                dyno, secret = self._run(command, tty, env, about)
            return Visit(self.find_guest(secret), partial(_status, dyno))
        except Refusal as refusal:
            raise LookupError(refusal.message) from refusal
        finally:
            connection.close()

    def _run(self, command: str, tty: bool, env: Mapping[str, str], about: str) -> tuple[Dyno, str]:
        by = _person(self.row)
        if by is None:
            raise LookupError(GONE)
        scopes.demand(by.token, scopes.WRITE_PROTECTED)
        app = access.app_for(by, self.row.app, to=access.DEPLOY)
        demand_config(by, app)
        host = one_offs.newest(app, self.row.dyno)
        noted = not about or dyno_keys.is_news(self.user, about)
        return one_offs.run_inside(
            app, host, command or _shell(app, host), by=by, tty=tty, env=env, noted=noted
        )


def server(find_guest: Find, serves: Callable[[], bool]) -> Server | None:
    """The SSH server that SLIPWAY_SSH_LISTEN asks for, if it does."""
    if not settings.SSH_LISTEN:
        return None
    host, colon, port = settings.SSH_LISTEN.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise ImproperlyConfigured(
            f"SLIPWAY_SSH_LISTEN is {settings.SSH_LISTEN}; write an address and a port, like 127.0.0.2:80, or nothing"
        )
    folder = settings.DATA / "run"
    folder.mkdir(parents=True, exist_ok=True)
    address = host.strip("[]")
    return Server(
        Door(find_guest),
        HostKey(settings.DATA / "tls"),
        address=(address, int(port)),
        host=settings.SSH_HOST or address,
        state=folder / "ssh.json",
        folder=folder,
        serves=serves,
    )


def _person(row: DynoKey) -> User | None:
    """Who brought the key, with the token that they brought it by, while both are valid."""
    token = ApiToken.objects.valid().filter(pk=row.token, user_id=row.by).select_related("user").first()
    if token is None:
        return None
    token.user.token = token
    return token.user


def _shell(app: App, host: Dyno) -> str:
    """Images of others may have no bash."""
    release = Release.objects.filter(app=app, version=host.release_version).select_related("slug").first()
    return SHELL_OF_IMAGES if release and release.slug and release.slug.image_of(host.type) else SHELL


def _status(dyno: Dyno) -> int | None:
    """The exit status, once the conductor has seen it."""
    end = time.monotonic() + STATUS_SECONDS
    try:
        while time.monotonic() < end:
            dyno.refresh_from_db(fields=["state", "exit_code"])
            if dyno.state == Dyno.State.DOWN:
                return dyno.exit_code
            time.sleep(LOOK_SECONDS)
        return None
    except Dyno.DoesNotExist:  # with its app
        return None
    finally:
        connection.close()
