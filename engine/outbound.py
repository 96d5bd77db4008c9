"""The one way out for requests that users cause (promise I-41).

A host name is resolved once, every address it has is checked, and the connection goes to a checked address: an answer
that changes between check and use changes nothing. Loopback, private, link-local and otherwise special addresses are
refused unless the operator listed the host or its network.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

from core.errors import EngineError, Refusal
from engine.logstore.harmless import harmless, plain

PORTS = frozenset([80, 443])
SYSLOG_PORTS = frozenset([514, 601, 6514, *range(1024, 65536)])
DEFAULT_PORTS = {"http": 80, "https": 443, "syslog": 514, "syslog+tls": 6514}
REDIRECTS = 3
CONNECT_SECONDS = 10
CHUNK = 64 * 1024
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Ranges that carry a v4 address inside a v6 one, which could be an internal address in disguise.
EMBEDDING = [
    ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is cut off at the limit that was asked for."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Target:
    """A URL whose host has been resolved and checked."""

    url: SplitResult
    host: str
    port: int
    addresses: tuple[str, ...]


class Outbound:
    """`allow` lists hosts and networks (CIDR) that may be reached although they are internal, on any port."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self.hosts = {entry.lower() for entry in allow}
        self.networks = [net for entry in allow if (net := _network(entry)) is not None]

    def check(self, url: str, *, schemes: Sequence[str] = ("http", "https")) -> Target:
        """Resolve and check where `url` leads. `Refusal` says why it is turned down, `EngineError` that its host is
        not known."""
        parts = _split(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise Refusal(f"Give a URL that starts with {' or '.join(f'{one}://' for one in schemes)}.")
        if parts.username or parts.password:
            raise Refusal("Leave user name and password out of the URL.")
        host, port = parts.hostname.lower(), _port(parts)
        listed = host in self.hosts
        addresses = self._addresses(host, port)
        for address in addresses:
            if not listed and not self._may_reach(address):
                raise Refusal(f"{host} leads to an internal address, which requests from here may not reach.")
        fine = SYSLOG_PORTS if parts.scheme.startswith("syslog") else PORTS
        if port not in fine and not listed and not all(self._is_listed(address) for address in addresses):
            raise Refusal(
                "Only ports 80 and 443 may be reached."
                if fine is PORTS
                else "Only ports 514, 601, and from 1024 may be reached."
            )
        return Target(parts, host, port, tuple(str(address) for address in addresses))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float = 20,
        max_bytes: int = 64 * 1024,
    ) -> Answer:
        """One request, redirects not followed; at most `max_bytes` of the answer are read."""
        deadline = time.monotonic() + seconds
        connection = self._connected(self.check(url), deadline)
        try:
            with _cut_at(connection.sock, deadline):
                answer = _send(connection, method, url, headers or {}, body)
                data = _read(connection, answer, max_bytes, deadline)
            _be_in_time(connection, deadline)  # headers that were cut off look complete
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, data)
        except (OSError, http.client.HTTPException) as problem:
            late = time.monotonic() >= deadline
            fault = TimeoutError("it takes too long") if late else problem
            raise EngineError(f"{_split(url).hostname} does not answer: {_said(fault)}") from fault
        finally:
            connection.close()

    def connect(self, url: str, *, schemes: Sequence[str], seconds: float = 20) -> socket.socket:
        """A connection to where `url` leads, with TLS if its scheme says so; each call on it may take `seconds`.
        `Refusal` when it is turned down, `EngineError` when it can't be reached."""
        target = self.check(url, schemes=schemes)
        found: socket.socket = self._connected(target, time.monotonic() + seconds).sock
        found.settimeout(seconds)
        return found

    def download(
        self,
        url: str,
        into: BinaryIO,
        *,
        max_bytes: int,
        seconds: float = 120,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Write what `url` answers into a file; returns the number of bytes. Follows up to three redirects, each
        checked anew. `Refusal` when it is turned down, too large, or no 200; `EngineError` when nobody answers.
        Ends early, with 0, once `stop()` is true."""
        deadline = time.monotonic() + seconds
        for _ in range(REDIRECTS + 1):
            connection = self._connected(self.check(url), deadline)
            try:
                answer = _send(connection, "GET", url, {}, None)
                moved = answer.getheader("Location") if answer.status in (301, 302, 303, 307, 308) else None
                if moved is None:
                    return _save(connection, answer, into, max_bytes, deadline, stop)
                url = urljoin(url, moved)
            except (OSError, http.client.HTTPException) as fault:
                raise EngineError(f"{_split(url).hostname} does not answer: {_said(fault)}") from fault
            finally:
                connection.close()
        raise Refusal("The URL redirects too often.")

    def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as fault:
            raise EngineError(f"The host {host} is not known.") from fault
        return list(dict.fromkeys(ipaddress.ip_address(item[4][0]) for item in found))

    def _may_reach(self, address: Address) -> bool:
        return self._is_listed(address) or is_public(address)

    def _is_listed(self, address: Address) -> bool:
        plain = _plain(address)
        return any(plain.version == net.version and plain in net for net in self.networks)

    def _connected(self, target: Target, deadline: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(target.host, target.port)
        problem: OSError | None = None
        for address in target.addresses:
            patience = min(CONNECT_SECONDS, deadline - time.monotonic())
            if patience <= 0:
                break
            try:
                plain = socket.create_connection((address, target.port), timeout=patience)
                connection.sock = _secured(plain, target)
                return connection
            except OSError as fault:
                problem = fault
        raise EngineError(
            f"{target.host} cannot be reached: {_said(problem) if problem else 'no time left'}."
        )


def _said(fault: Exception) -> str:
    """The words of a fault, which may quote what the other side has sent, as they may be shown and kept."""
    return plain(harmless(str(fault).encode("utf-8", "replace")))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet, v4 addresses in v6 clothes seen through."""
    plain = _plain(address)
    if isinstance(plain, ipaddress.IPv6Address) and any(plain in net for net in EMBEDDING):
        return False
    return plain.is_global and not plain.is_multicast and not plain.is_reserved


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_network(entry: str) -> bool:
    """Whether an entry of such a list is a network or an address, not a host name."""
    return _network(entry) is not None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _split(url: str) -> SplitResult:
    if not url.isascii():
        raise Refusal("A URL is in ASCII: write other characters as %XX, and a host name as xn--….")
    try:
        if any(ord(char) <= 32 or ord(char) == 127 for char in url) or len(url) > 2000:
            raise ValueError
        return urlsplit(url)
    except ValueError:
        raise Refusal("That is not a URL.") from None


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
    except ValueError:
        raise Refusal("The URL has a port that is not one.") from None


def _secured(plain: socket.socket, target: Target) -> socket.socket:
    if target.url.scheme not in ("https", "syslog+tls"):
        return plain
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
    except OSError:
        plain.close()
        raise


@contextmanager
def _cut_at(sock: socket.socket, deadline: float) -> Iterator[None]:
    """End a connection at the deadline, however slowly the other side drips."""
    timer = Timer(max(0.0, deadline - time.monotonic()), _cut, [sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> http.client.HTTPResponse:
    parts = _split(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"User-Agent": "Slipway", "Accept": "*/*", "Host": parts.netloc, **headers}
    connection.request(method, path, body=body, headers=sent)
    return connection.getresponse()


def _read(
    connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, max_bytes: int, deadline: float
) -> bytes:
    data = b""
    while len(data) < max_bytes:
        _be_in_time(connection, deadline)
        piece = answer.read1(min(CHUNK, max_bytes - len(data)))
        if not piece:
            break
        data += piece
    return data


def _save(
    connection: http.client.HTTPConnection,
    answer: http.client.HTTPResponse,
    into: BinaryIO,
    max_bytes: int,
    deadline: float,
    stop: Callable[[], bool],
) -> int:
    if answer.status != 200:
        raise Refusal(f"The URL answers {answer.status}, not 200.")
    total = 0
    while not stop():
        _be_in_time(connection, deadline)
        piece = answer.read1(CHUNK)
        if not piece:
            return total
        total += len(piece)
        if total > max_bytes:
            raise Refusal(f"What the URL answers is over {max_bytes // 2**20} MB.")
        into.write(piece)
    return 0


def _be_in_time(connection: http.client.HTTPConnection, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long")
    if connection.sock is not None:
        connection.sock.settimeout(min(left, CONNECT_SECONDS))
