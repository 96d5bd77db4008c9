"""A client of memcached's binary protocol, for what the platform asks of its own servers."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Final

from core.errors import EngineError

_HEADER: Final = struct.Struct(">BBHBBHIIQ")  # magic, opcode, key, extras, type, status, body, opaque, cas
_REQUEST, _ANSWER = 0x80, 0x81
_VERSION, _STAT, _SASL_AUTH = 0x0B, 0x10, 0x21
MOST_BYTES = 1024**2
SECONDS = 5.0


class Client:
    """One connection, signed in. Whatever goes wrong is an `EngineError` without the password."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._stream = line, line.makefile("rb")

    def sign_in(self, user: str, password: str) -> None:
        """SASL PLAIN."""
        self._send(_SASL_AUTH, b"PLAIN", f"\0{user}\0{password}".encode())
        self._answer()

    def version(self) -> str:
        """The server's version."""
        self._send(_VERSION)
        return self._answer()[1]

    def stats(self) -> dict[str, str]:
        """What the server counts, by its own names."""
        self._send(_STAT)
        found = {}
        while (pair := self._answer())[0]:
            found[pair[0]] = pair[1]
        return found

    def _send(self, opcode: int, key: bytes = b"", value: bytes = b"") -> None:
        body = key + value
        self._line.sendall(_HEADER.pack(_REQUEST, opcode, len(key), 0, 0, 0, len(body), 0, 0) + body)

    def _answer(self) -> tuple[str, str]:
        """An answer's key and value."""
        head = self._stream.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise EngineError("memcached hangs up.")
        magic, _, key, extras, _, status, size, _, _ = _HEADER.unpack(head)
        if magic != _ANSWER or not key + extras <= size <= MOST_BYTES:
            raise EngineError("memcached answers what can't be read.")
        body = self._stream.read(size)[extras:].decode("utf-8", "replace")
        if status:
            raise EngineError(f"memcached refuses: {body[key:][:80] or status}.")
        return body[:key], body[key:]


@contextlib.contextmanager
def connect(host: str, port: int, user: str, password: str) -> Iterator[Client]:
    """A client of the server at `host` and `port`, signed in."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as line:
            client = Client(line)
            client.sign_in(user, password)
            yield client
    except OSError as error:
        raise EngineError(f"memcached does not answer: {error}") from error
