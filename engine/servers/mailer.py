"""An SMTP server that delivers nothing: whatever is sent by a user whom it lets in goes into that user's box. It listens on
loopback, or where dynos in containers reach it.

It runs in a thread of its own. Who is let in, and where mail is kept, is for its `Post` to say.
"""

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from core.errors import EngineError
from engine.servers.each import HOST, write
from engine.servers.ports import port_for

log = logging.getLogger(__name__)
logging.getLogger("mail.log").setLevel(logging.ERROR)  # the library's, which quotes what clients send

MAIL_BYTES = 5 * 1024**2  # of one mail
LINE_BYTES = (
    64 * 1024
)  # more than the RFC's 1,001: many apps send HTML in one line, and other servers take it
RECIPIENTS = 100  # of one mail
CONNECTIONS, CONNECTIONS_OF_ONE = 100, 20
STRANGERS = (
    30  # connections of one address that nobody has signed in on yet; apps in containers have their own
)
IDLE_SECONDS = 60.0
HANDS = 4  # mails that are written down at the same time
AGAIN_SECONDS = 5.0  # after which a port that was taken is tried again
PLACES = 3  # addresses that are listened on: today's, and those before
T = TypeVar("T")


@dataclass(frozen=True)
class Sent:
    """A mail as it came over the wire."""

    sender: str
    recipients: Sequence[str]
    raw: bytes = field(repr=False)


class Post(Protocol):
    """Who has a box, and what becomes of mail. Both are called in threads, and may wait."""

    def box(self, user: str, password: str) -> str | None:
        """The id of the box that these lead to; None when they are not right."""
        ...

    def put(self, box: str, mail: Sent) -> bool:
        """Keep a mail; False when the box is gone."""
        ...


class Place(NamedTuple):
    """Where apps find it."""

    host: str
    port: int


class Mailer:
    """Listens on `port`, or else on one of `ports` that is chosen once and noted in `root`, at the address that `where` tells
    (`EngineError` when it can't) and at those that it told before: apps know of another only by a release."""

    def __init__(
        self,
        root: Path,
        *,
        ports: range,
        port: int = 0,
        post: Post | None = None,
        where: Callable[[], str] = lambda: HOST,
    ) -> None:
        self._root, self._ports, self._fixed, self.post, self._where = root, ports, port, post, where
        self.sessions: set[_Session] = set()
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="mailer")
        self._lock, self._up, self._stopping = threading.Lock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._fault = ""

    def ensure(self, seconds: float = 10) -> Place:
        """Have it listen, and return where; `EngineError` when it can't."""
        place = self.want()
        if not self._up.wait(seconds):
            raise EngineError(
                f"The mailer can't listen on port {place.port} of {place.host}: {self._fault or 'no answer'}"
            )
        return place

    def want(self) -> Place:
        """Have it listen as soon as it can, and return where; does not wait for that. `EngineError` when nobody can tell."""
        if self.post is None:
            raise EngineError("This process keeps no mail.", permanent=True)
        host = self._where()
        self._note(host)
        self._keep()
        return Place(host, self._port)

    def start(self) -> None:
        """Listen again, if it ever was asked to; where it did, if nobody can tell. Does not wait for that."""
        if self.post is None or not self._record.exists():
            return
        try:
            self.want()
        except EngineError as error:
            log.warning("The mailer goes on where it was: %s", error)
            self._keep()

    def why_not(self) -> str:
        """Why it could not listen where apps would look for it; "" when it can."""
        try:
            host = self._where()
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.bind((host, 0))
        except EngineError as error:
            return str(error)
        except OSError as error:
            return f"{host} is no address of the machine that the conductor is on ({error.strerror or 'unknown'})"
        return ""

    def stop(self) -> None:
        """End, and wait for that; connections are hung up on."""
        self._stopping.set()
        with self._lock:
            thread, self._thread = self._thread, None
        self._wake()
        if thread is not None:
            thread.join(20)

    def seen(self) -> list[dict[str, Any]]:
        """For `manage.py ps`: itself, or nothing when nobody has asked for it."""
        if self._thread is None:
            return []
        state = "up" if self._up.is_set() else "starting"
        return [{"name": "Mailer", "pid": os.getpid(), "state": state, "port": self._port}]

    async def by_hand(self, work: Callable[..., T], *arguments: object) -> T:
        """Do what may wait in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._hands, work, *arguments)

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _record(self) -> Path:
        return self._root / "mailer.port"

    @property
    def _port(self) -> int:
        return self._fixed or int(self._record.read_text())

    def _hosts(self) -> list[str]:
        """Where to listen, today's address first."""
        try:
            return self._places.read_text().split()
        except OSError:
            return [HOST]  # whoever noted the port before addresses were

    @property
    def _places(self) -> Path:
        return self._root / "mailer.hosts"

    def _note(self, host: str) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        if self._hosts()[0] != host or not self._places.exists():
            before = self._hosts() if self._places.exists() else []
            write(self._places, "\n".join(dict.fromkeys([host, *before][:PLACES])))
            self._up.clear()
        if self._fixed:
            self._record.write_text(str(self._fixed))
            return
        others = [path for path in self._root.rglob("*.port") if path != self._record]
        port_for(self._record, self._ports, {int(path.read_text()) for path in others})

    def _keep(self) -> None:
        with self._lock:
            if self._thread is None:
                self._stopping.clear()
                self._thread = threading.Thread(target=self._run, name="mailer", daemon=True)
                self._thread.start()
        self._wake()

    def _wake(self) -> None:
        if self._loop is not None and self._news is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                self._loop.call_soon_threadsafe(self._news.set)

    def _run(self) -> None:
        asyncio.run(self._serve())
        self._up.clear()

    async def _serve(self) -> None:
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        servers: dict[Place, asyncio.Server] = {}
        while not self._stopping.is_set():
            self._news.clear()
            well = await self._listen(servers)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), None if well else AGAIN_SECONDS)
        for server in servers.values():
            server.close()

    async def _listen(self, servers: dict[Place, asyncio.Server]) -> bool:
        """Add the `servers` that are missing; whether there is the one for today's address. Those of former addresses are
        left out where they are another machine's by now."""
        hosts, port = self._hosts(), self._port
        for host in hosts:
            place = Place(host, port)
            if place in servers:
                continue
            try:
                servers[place] = await asyncio.get_running_loop().create_server(
                    lambda: _Session(self), host, port
                )
            except OSError as error:
                if host == hosts[0]:
                    self._fault = error.strerror or type(error).__name__
                    log.warning("The mailer can't listen on port %s of %s: %s", port, host, self._fault)
        well = Place(hosts[0], port) in servers
        if well and self._hosts()[0] == hosts[0]:
            self._up.set()
        return well


class _Session(SMTP):
    """One connection."""

    line_length_limit = LINE_BYTES

    def __init__(self, mailer: Mailer) -> None:
        super().__init__(
            _Rules(mailer),
            data_size_limit=MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="slipway",
            ident="Slipway keeps what it is sent",
            timeout=IDLE_SECONDS,
            auth_require_tls=False,  # who offers a certificate that nobody vouches for is left by many clients
            authenticator=_taken_apart,
            loop=asyncio.get_running_loop(),
        )
        self._mailer, self._too_many, self._from = mailer, False, ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._from = _other_machine(transport)
        self._mailer.sessions.add(self)
        strangers = [
            one for one in self._mailer.sessions
            if one._from == self._from and not (one.session and one.session.auth_data)
        ]  # fmt: skip
        self._too_many = len(self._mailer.sessions) > CONNECTIONS or bool(
            self._from and len(strangers) > STRANGERS
        )
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._mailer.sessions.discard(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client that hangs up is no fault
            if self._too_many:
                await self.push("421 4.3.2 Too many connections; try again later")
                self._writer.close()
                return
            await super()._handle_client()

    async def auth_PLAIN(self, _: object, args: list[str]) -> AuthResult:
        """User and password in one answer."""
        return await self._let_in(await super().auth_PLAIN(_, args))

    async def auth_LOGIN(self, _: object, args: list[str]) -> AuthResult:
        """User and password one after the other."""
        return await self._let_in(await super().auth_LOGIN(_, args))

    async def _let_in(self, given: AuthResult) -> AuthResult:
        """Whether what was `given` leads to a box, which is noted in the session then."""
        if not given.success or given.auth_data is None or self._mailer.post is None:
            return given
        user, password = (part.decode("utf-8", "replace") for part in given.auth_data)
        box = await self._mailer.by_hand(self._mailer.post.box, user, password)
        if box is None:
            return AuthResult(success=False, handled=False)
        same = [one for one in self._mailer.sessions if one.session and one.session.auth_data == box]
        if len(same) >= CONNECTIONS_OF_ONE:
            return AuthResult(success=False, handled=False, message="421 4.3.2 Too many connections")
        return AuthResult(success=True, auth_data=box)


class _Rules:
    """What a session may do, and what becomes of its mail."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Nobody sends without having signed in."""
        if not session.authenticated:
            return "530 5.7.0 Sign in first: user and password are in the app's config vars"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Any address will do: nothing is sent there."""
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return f"452 4.5.3 A mail has up to {RECIPIENTS} recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep it before the sender is told that it is kept."""
        post = self._mailer.post
        mail = Sent(
            envelope.mail_from or "", list(envelope.rcpt_tos), bytes(envelope.original_content or b"")
        )
        try:
            kept = post is not None and await self._mailer.by_hand(post.put, str(session.auth_data), mail)
        except Exception:
            log.exception("A mail could not be kept")
            return "451 4.3.0 It could not be kept; try again later"
        if not kept:
            return "550 5.2.1 The add-on is gone"
        return "250 2.0.0 Kept in the inbox, and sent to nobody"

    async def handle_exception(self, error: Exception) -> str:
        """What the library trips over in a command is the client's; its text is not repeated."""
        log.info("A command was not understood (%s)", type(error).__name__)
        return "501 5.5.2 Not understood"


def _other_machine(transport: asyncio.BaseTransport) -> str:
    """The address that a connection comes from; "" for loopback, which all local dynos share."""
    host = str((transport.get_extra_info("peername") or [""])[0])
    try:
        return "" if ipaddress.ip_address(host).is_loopback else host
    except ValueError:  # gone before it was asked
        return ""


def _taken_apart(server: SMTP, session: Session, envelope: Envelope, how: str, given: Any) -> AuthResult:
    """Pass on what a client gave, for `_Session` to look at: that waits for the database, and this may not."""
    return AuthResult(success=True, auth_data=given)
