"""A proxy on loopback that brings home what the Heroku CLI sends to hosts whose names are fixed in its code.

For those names it answers itself, with certificates of an authority that nobody else is asked to trust, and passes the
request on to this Slipway below `/_fixed/<host>`. What is meant for this Slipway or its apps it passes on unread, and
everything else it refuses, or with `relay` lets out to public addresses. It trusts no one more than the instance does:
whoever reaches it needs a token as they would without it.
"""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from api.bridged_urls import PREFIX
from api.resources.bridged.hosts import HOSTS
from config.tunnels import (
    HEAD_SECONDS,
    Head,
    Place,
    Refused,
    Streams,
    first_head,
    forward,
    peek,
    splice,
    turn_away,
)
from core.errors import EngineError, Refusal
from engine.outbound import Outbound
from engine.tls import LocalCA

CONNECTIONS = 200
TLS_HANDSHAKE = b"\x16"  # the first byte of a TLS connection; no HTTP request starts with it
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})")


@dataclass(frozen=True)
class Instance:
    """The Slipway that the bridge belongs to, by its settings."""

    url: str
    apps_host: str
    rendezvous: str  # host:port

    @cached_property
    def place(self) -> Place:
        """Where it answers."""
        parts = urlsplit(self.url)
        tls = parts.scheme == "https"
        return Place(parts.hostname or "localhost", parts.port or (443 if tls else 80), tls)

    def leads_to(self, host: str, port: int) -> Place | None:
        """Where what is meant for `host` is to go: here for its own names and those of its apps, None for others."""
        if f"{host}:{port}" == self.rendezvous:
            return Place(host, port)
        here = host == self.place.host or (_is_loopback(host) and _is_loopback(self.place.host))
        if port == self.place.port and (here or host.endswith(f".{self.apps_host}")):
            return Place(self.place.host, port)
        return None


class Bridge:
    """The proxy. `ca` may speak for `HOSTS`; with `relay` other hosts can be reached too, as far as it lets. A client
    has `head_seconds` to say what it wants; of more than `connections` at a time the last are hung up on."""

    def __init__(
        self,
        instance: Instance,
        ca: LocalCA,
        *,
        relay: Outbound | None = None,
        head_seconds: float = HEAD_SECONDS,
        connections: int = CONNECTIONS,
    ) -> None:
        self.instance, self.relay = instance, relay
        self._seconds, self._most = head_seconds, connections
        self._tls = ca.context(lambda name: name in HOSTS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, on loopback only; returns the address. `Refused` for any other, `OSError` when it is taken."""
        if not _is_loopback(host):
            raise Refused(403, f"The bridge listens on loopback only, which {host} is not.")
        address = "127.0.0.1" if host == "localhost" else host.strip("[]")
        self._listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((address, port))
        except OSError:
            self._listener.close()
            raise
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        return address, self._listener.getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        tasks = [self._accepting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError:  # no file is free, or the client has left already
                await asyncio.sleep(0.1)
                continue
            client.setblocking(False)
            if len(self._tasks) >= self._most:
                client.close()
                continue
            task = loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # --- one connection ---------------------------------------------------------------------------------------------

    async def _serve(self, client: socket.socket) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                head, rest = await first_head(client)
            await (self._connect if head.method == "CONNECT" else self._request)(client, head, rest)
        except Refused as refusal:
            await turn_away(client, refusal)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # it left, or took too long
        finally:
            client.close()

    async def _connect(self, client: socket.socket, head: Head, rest: bytes) -> None:
        """A tunnel is asked for: to a fixed host it ends here, others are laid."""
        found = _AUTHORITY.fullmatch(head.target)
        if found is None or rest:
            raise Refused(400, "CONNECT takes a host and a port, and then waits for the answer.")
        host, port = found[1].lower().strip("[]"), int(found[2])
        loop = asyncio.get_running_loop()
        if host in HOSTS:
            await loop.sock_sendall(client, ESTABLISHED)
            async with asyncio.timeout(self._seconds):
                secure = await peek(client) == TLS_HANDSHAKE
            tls = self._tls if secure else None
            await self._inside(await Streams.of(client, tls, seconds=self._seconds), host)
            return
        upstream = await Streams.open(await self._way(host, port))
        try:
            await loop.sock_sendall(client, ESTABLISHED)
            await splice(await Streams.of(client), upstream)
        finally:
            upstream.close()

    async def _inside(self, client: "Streams", host: str) -> None:
        """A request in a tunnel that its client believes to lead to `host`."""
        try:
            async with asyncio.timeout(self._seconds):
                head = Head.parse(await client.head())
            if not head.target.startswith("/"):
                raise Refused(400, "This is no request for a path.")
            await self._bring_home(client, head, host, head.target)
        except Refused as refusal:
            await client.turn_away(refusal)
        finally:
            client.close()

    async def _request(self, client: socket.socket, head: Head, rest: bytes) -> None:
        """A request for a whole http:// address."""
        try:
            parts = urlsplit(head.target)
            host, port = (parts.hostname or "").rstrip("."), parts.port or 80
        except ValueError as error:
            raise Refused(400, "This is no address.") from error
        if parts.scheme != "http" or not host:
            raise Refused(400, "This is a proxy for the Heroku CLI; see docs/cli.md.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        place = None if host in HOSTS else await self._way(host, port)
        streams = await Streams.of(client, rest=rest)
        try:
            if place is None:
                await self._bring_home(streams, head, host, path)
            else:
                await forward(streams, place, head.sent_to(parts.netloc.rpartition("@")[2], path))
        except Refused as refusal:
            await streams.turn_away(refusal)
        finally:
            streams.close()

    async def _bring_home(self, client: "Streams", head: Head, host: str, path: str) -> None:
        netloc = urlsplit(self.instance.url).netloc
        accept = "application/vnd.heroku+json; version=3"
        await forward(
            client, self.instance.place, head.sent_to(netloc, f"{PREFIX}/{host}{path}", accept=accept)
        )

    async def _way(self, host: str, port: int) -> Place:
        """Where `host` is reached; `Refused` unless that is ours, or may be relayed to."""
        place = self.instance.leads_to(host, port)
        if place is not None:
            return place
        if self.relay is None:
            raise Refused(
                403,
                f"The bridge passes on what is for this Slipway and its apps, not {host}:{port}. Unset HTTP_PROXY and "
                "HTTPS_PROXY for other programs, or start bin/cli-bridge with --relay.",
            )
        name = f"[{host}]" if ":" in host else host
        try:
            target = await asyncio.to_thread(self.relay.check, f"http://{name}:{port}/")
        except Refusal as refusal:
            raise Refused(403, refusal.message) from refusal
        except EngineError as error:
            raise Refused(502, str(error)) from error
        return Place(target.addresses[0], port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
