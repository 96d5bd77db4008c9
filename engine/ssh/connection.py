"""One SSH connection: who it is of, and what it may open."""

import asyncio
import hmac
import logging
from collections.abc import Mapping
from pathlib import Path

import asyncssh

from engine.ssh import ports, session
from engine.ssh.door import Door, Ticket, Visit
from engine.ssh.files import Files
from engine.ssh.limits import Limits

log = logging.getLogger(__name__)
OURS = "Something went wrong on our side. Try again in a minute."
CHANNELS = 64  # commands, files and ports at a time, of one connection
LONGEST_USER = 100


class Connection(asyncssh.SSHServer):
    """What asyncssh asks about a connection. All that it does not ask here is refused by it."""

    def __init__(self, door: Door, limits: Limits) -> None:
        self._door, self._limits = door, limits
        self._address, self._counted, self._is_guest = "", False, False
        self._tickets: dict[str, Ticket] = {}  # by user name
        self._open = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Part of asyncssh.SSHServer."""
        self._conn = conn
        self._address = (conn.get_extra_info("peername") or ("",))[0]
        self._counted = self._limits.enter(self._address)
        self._limits.connections.add(conn)
        if not self._counted:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncssh.SSHServer."""
        self._limits.connections.discard(self._conn)
        if self._counted:
            self._limits.leave(self._address, guest=self._is_guest)

    # --- who it is ----------------------------------------------------------------------------------------------

    async def begin_auth(self, username: str) -> bool:
        """Part of asyncssh.SSHServer: look the ticket up. Everybody has to show a key, whatever is found."""
        if username not in self._tickets and len(username) <= LONGEST_USER:
            ticket = await asyncio.to_thread(self._door.find, username, self._address)
            if ticket:
                self._tickets[username] = ticket
        return True

    def public_key_auth_supported(self) -> bool:
        """Part of asyncssh.SSHServer."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Part of asyncssh.SSHServer: asyncssh has the client prove that it has the other half."""
        ticket = self._tickets.get(username)
        return ticket is not None and hmac.compare_digest(key.public_data, ticket.key)

    def auth_completed(self) -> None:
        """Part of asyncssh.SSHServer."""
        self._is_guest = True
        if not self._limits.known(self._address):
            self._conn.abort()

    # --- what it opens ------------------------------------------------------------------------------------------

    async def open(self, command: str, *, tty: bool, env: Mapping[str, str], about: str = "") -> Visit:
        """Run a command in the dyno that the ticket is for. `LookupError` says why not."""
        ticket = self._tickets[self._conn.get_extra_info("username")]
        if self._open >= CHANNELS:
            raise LookupError(f"One connection can have {CHANNELS} commands at a time: end some first.")
        self._open += 1
        try:
            visit = await asyncio.to_thread(ticket.open, command, tty=tty, env=env, about=about)
        except LookupError:
            self._open -= 1
            raise
        except Exception as error:  # asyncssh would tell the client about it
            self._open -= 1
            log.exception("A dyno could not be opened by SSH")
            raise LookupError(OURS) from error

        def leave() -> None:
            self._open -= 1
            visit.guest.leave()

        return visit._replace(guest=visit.guest._replace(leave=leave))

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> "asyncssh.SSHTCPSession[bytes]":
        """Part of asyncssh.SSHServer: a port of the dyno's, and of nobody else's."""
        return ports.connect(dest_host, dest_port, self.open)  # type: ignore[return-value]  # a coroutine will do


async def open_session(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """A shell or a command."""
    await session.serve(process, _owner(process.channel).open)


def open_files(folder: Path, channel: "asyncssh.SSHServerChannel[bytes]") -> Files:
    """The files of the dyno."""
    return Files(channel, _owner(channel).open, folder)


def _owner(channel: "asyncssh.SSHServerChannel[bytes]") -> Connection:
    owner = channel.get_connection().get_owner()
    assert isinstance(owner, Connection)
    return owner
