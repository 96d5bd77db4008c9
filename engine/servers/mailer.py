"""An SMTP server on loopback that delivers nothing: whatever is sent by a user whom it lets in goes into that user's box.

It runs in a thread of its own. Who is let in, and where mail is kept, is for its `Post` to say.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from core.errors import EngineError
from engine.servers.ports import port_for

log = logging.getLogger(__name__)
logging.getLogger("mail.log").setLevel(logging.ERROR)  # the library's, which quotes what clients send

MAIL_BYTES = 5 * 1024**2  # of one mail
LINE_BYTES = (
    64 * 1024
)  # more than the RFC's 1,001: many apps send HTML in one line, and other servers take it
RECIPIENTS = 100  # of one mail
CONNECTIONS, CONNECTIONS_OF_ONE = 100, 20
IDLE_SECONDS = 60.0
HANDS = 4  # mails that are written down at the same time
AGAIN_SECONDS = 5.0  # after which a port that was taken is tried again
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


class Mailer:
    """Listens on `port`, or else on one of `ports` that is chosen once and noted in `root`."""

    def __init__(self, root: Path, *, ports: range, port: int = 0, post: Post | None = None) -> None:
        self._root, self._ports, self._fixed, self.post = root, ports, port, post
        self.sessions: set[_Session] = set()
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="mailer")
        self._lock, self._up, self._stopping = threading.Lock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._fault = ""

    def ensure(self, seconds: float = 10) -> int:
        """Have it listen, and return its port; `EngineError` when it can't."""
        port = self.want()
        if not self._up.wait(seconds):
            raise EngineError(f"The mailer can't listen on port {port}: {self._fault or 'no answer'}")
        return port

    def want(self) -> int:
        """Have it listen as soon as it can, and return its port; returns at once."""
        if self.post is None:
            raise EngineError("This process keeps no mail.", permanent=True)
        self._note()
        self._keep()
        return self._port

    def start(self) -> None:
        """Listen again, if it ever was asked to; returns at once."""
        if self.post is not None and self._record.exists():
            self.want()

    def stop(self) -> None:
        """End, and wait for that; connections are hung up on."""
        self._stopping.set()
        with self._lock:
            thread, self._thread = self._thread, None
        if self._loop is not None and self._end is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                self._loop.call_soon_threadsafe(self._end.set)
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

    def _note(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
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

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._serve())
            except OSError as error:
                self._fault = error.strerror or type(error).__name__
                log.warning("The mailer can't listen on port %s: %s", self._port, self._fault)
            self._up.clear()
            self._stopping.wait(AGAIN_SECONDS)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        if self._stopping.is_set():
            return
        server = await self._loop.create_server(lambda: _Session(self), "127.0.0.1", self._port)
        self._up.set()
        try:
            await self._end.wait()
        finally:
            server.close()


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
            auth_require_tls=False,  # loopback
            authenticator=_taken_apart,
            loop=asyncio.get_running_loop(),
        )
        self._mailer, self._too_many = mailer, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._mailer.sessions.add(self)
        self._too_many = len(self._mailer.sessions) > CONNECTIONS
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


def _taken_apart(server: SMTP, session: Session, envelope: Envelope, how: str, given: Any) -> AuthResult:
    """Pass on what a client gave, for `_Session` to look at: that waits for the database, and this may not."""
    return AuthResult(success=True, auth_data=given)
