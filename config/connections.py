"""One connection to our Daphne: a request or a websocket, within its bounds.

Sizes are checked before anything is stored (promise I-46), a large body goes to a file, and a slow reader holds the
application back instead of filling memory.
"""

import asyncio
import io
import json
import logging
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.web import http

from config.allowances import Allowance, allowance
from core import space
from releases.pushes import in_thread

log = logging.getLogger(__name__)

HEADER_BYTES = 32 * 1024
HEADER_SECONDS = 30  # from the first byte of a request to the end of its headers
STALL_SECONDS = 300  # how long a reader may take nothing of an answer
SOCKET_BACKLOG = 200  # websocket messages that the application has not looked at
PIECE = 64 * 1024
IN_MEMORY = 64 * 1024  # bodies up to this many bytes are not worth a file


class Room:
    """Whether the client takes more; a mixin that the transport drives as a push producer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._room = asyncio.Event()
        self._room.set()
        super().__init__(*args, **kwargs)

    def pauseProducing(self) -> None:
        self._room.clear()

    def resumeProducing(self) -> None:
        self._room.set()

    def stopProducing(self) -> None:
        self._room.set()

    async def room(self) -> bool:
        """Wait until the client takes more; False when it has taken nothing for too long."""
        if not self._room.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), STALL_SECONDS)
        return self._room.is_set()


class Channel(http.HTTPChannel):
    """One connection: refuses what is too large while it is still on its way."""

    MAX_LENGTH = HEADER_BYTES
    totalHeadersSize = HEADER_BYTES
    maxHeaders = 100
    allowed = Allowance(0)
    refused = False
    _deadline: Any = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.channels.add(self)

    def connectionLost(self, reason: Any) -> None:
        self.factory.channels.discard(self)
        self._stop_deadline()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if self.refused:
            return
        if not self.requests and self._deadline is None:
            self._deadline = self.callLater(HEADER_SECONDS, self._too_slow)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if not self.refused:
            super().lineReceived(line)

    def allHeadersReceived(self) -> None:
        self._stop_deadline()
        self.allowed = allowance(self._command, self._path)
        if self.length is not None and self.length > self.allowed.bytes:
            return self.refuse(413, "The request is too large.")
        asked = self.allowed.unasked < self.allowed.bytes
        if asked and self.allowed.admit and (self.length is None or self.length > self.allowed.unasked):
            self._ask(self.allowed.admit)
        if not self.refused:
            super().allHeadersReceived()

    def _ask(self, admit: Callable[[str], bool]) -> None:
        """Read no more until it is known whether the sender may send so much."""
        header = self.requests[-1].requestHeaders.getRawHeaders(b"Authorization", [b""])[0].decode("latin1")
        self._networkProducer.pauseProducing()
        self.setTimeout(None)
        asked = asyncio.ensure_future(in_thread(admit, header))
        asked.add_done_callback(self._answered)

    def _answered(self, asked: "asyncio.Future[bool]") -> None:
        if not asked.exception() and asked.result():
            self.allowed = replace(self.allowed, admit=None)
        elif not self._handlingRequest:  # else the body was small, and the application answers
            self.refuse(403, "You may not send that here.")
        if self.transport.connected:
            self.setTimeout(self.timeOut)
            self._networkProducer.resumeProducing()

    def rawDataReceived(self, data: bytes) -> None:
        if not self.refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        if not self.refused:
            super().allContentReceived()

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(431, "The headers are too large.")

    def _respondToBadRequestAndDisconnect(self) -> None:
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            return self.refuse(431, "The headers are too large.")
        self.refuse(400, "This is not a request that we understand.")

    def refuse(self, status: int, text: str) -> None:
        """Answer at once, then read on without keeping anything until the client has seen it: closing under a client
        that still sends would lose the answer."""
        if self.refused:
            return
        self.refused = True
        self._stop_deadline()
        if self.requests:
            self.requests[-1].forget_body()
        reason = HTTPStatus(status).phrase
        body = json.dumps({"id": reason.lower().replace(" ", "_"), "message": text}).encode() + b"\n"
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, reason.encode(), len(body), body)
        )
        self.callLater(1, self.loseConnection)

    def _too_slow(self) -> None:
        self._deadline = None
        self.refuse(408, "The request took too long to arrive.")

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Request(Room, WebRequest):
    """One request. Its body is in memory while small, else in a file without a name."""

    body: Any = None
    received = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._parsePOSTFormSubmission = False  # Django does it, and streams while doing so

    def gotLength(self, length: int | None) -> None:
        small = length is not None and length <= IN_MEMORY and not self.channel.allowed.as_file
        try:
            self.content = io.BytesIO() if small else tempfile.TemporaryFile(dir=self.server.spool)  # noqa: SIM115
        except OSError as error:
            self._no_room(error)

    def handleContentChunk(self, data: bytes) -> None:
        if self.channel.refused:
            return
        self.received += len(data)
        if self.received > self.channel.allowed.unasked:
            return self.channel.refuse(413, "The request is too large.")
        try:
            super().handleContentChunk(data)
        except OSError as error:
            self._no_room(error)

    def _no_room(self, error: OSError) -> None:
        full = space.note("body of a request", error)
        if not full:
            log.exception("Can't store the body of a request")
        self.channel.refuse(space.STATUS, space.WORDS if full else "There is no room to store the request.")

    def process(self) -> None:
        # Daphne would queue the whole body at once; the inbox reads it piece by piece instead.
        self.content.seek(0)
        self.body, self.content = self.content, io.BytesIO()
        self.as_file = self.channel.allowed.as_file
        channel = self.channel
        channel.registerProducer(self, True)
        super().process()
        if self.transport is None:  # it has become a websocket, and the channel hears nothing of its end
            self.server.http_factory.channels.discard(channel)

    def finish(self) -> None:
        if self.channel is not None:
            self.channel.unregisterProducer()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        self._room.set()
        super().connectionLost(reason)

    def forget_body(self) -> None:
        for file in (self.body, self.content):
            if file is not None:
                file.close()

    def abort(self) -> None:
        """Cut the connection."""
        if not self.finished and self.channel is not None:
            self.channel.forceAbortClient()


class Socket(Room, WebSocketProtocol):
    """One websocket, as slow as its reader."""

    maxMessagePayloadSize: int

    def connectionMade(self) -> None:
        self.transport.unregisterProducer()  # the HTTP channel's
        self.transport.registerProducer(self, True)
        super().connectionMade()

    def _closeConnection(self, abort: bool = False) -> None:
        self.transport.unregisterProducer()  # a paused producer would keep the transport from closing
        super()._closeConnection(abort)

    def sendMessage(self, payload: bytes, *args: Any, **kwargs: Any) -> None:
        bound, self.maxMessagePayloadSize = (
            self.maxMessagePayloadSize,
            0,
        )  # it is meant for what comes in alone
        try:
            super().sendMessage(payload, *args, **kwargs)
        finally:
            self.maxMessagePayloadSize = bound

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.application_queue.qsize() > SOCKET_BACKLOG:
            return self.leave(1008)
        super().onMessage(payload, isBinary)

    def leave(self, code: int) -> None:
        """Close from our side, with one of the codes that autobahn keeps applications from using."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code, isReply=False)

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abortConnection()


class Inbox:
    """What the application receives of one connection: the body as it asks for it, then events."""

    def __init__(self, body: Any = None, *, as_file: bool = False) -> None:
        self.body, self.as_file, self.events = body, as_file, asyncio.Queue[dict[str, Any]]()
        self.reading = body is not None

    async def get(self) -> dict[str, Any]:
        if not self.reading:
            return await self.events.get()
        piece = b"" if self.as_file else self._read()
        self.reading = len(piece) == PIECE
        return {"type": "http.request", "body": piece, "more_body": self.reading}

    def put_nowait(self, message: dict[str, Any]) -> None:
        if message["type"] != "http.request":
            self.events.put_nowait(message)

    def qsize(self) -> int:
        return self.events.qsize()

    def _read(self) -> bytes:
        return b"" if self.body.closed else self.body.read(PIECE)
