"""A port of a dyno's, for an SSH client: what ps:forward and ps:socks connect to.

The connection is made inside the dyno, by a command: the platform itself connects to nothing that a client names.
"""

import asyncssh

from engine.ssh.carry import CHUNK, Opener, first, hosted, line, read, write
from engine.ssh.door import Visit

# All of these are the dyno itself; the CLI's ps:forward asks for 0.0.0.0.
ITSELF = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "::", "")  # noqa: S104 - nothing listens there
# Says an empty line once it is connected. Bash alone can do it, with what every stack has.
RELAY = "bash -c 'exec 3<>/dev/tcp/localhost/$0 || exit; echo; exec 4<&0; cat <&4 >&3 2>/dev/null & exec cat <&3 4<&-' {}"


async def connect(host: str, port: int, opener: Opener) -> "asyncssh.SSHTCPSession[bytes]":
    """A connection to `port` of the dyno, which is what `host` has to name."""
    if host.lower().rstrip(".") not in ITSELF:
        raise _refused(f"{host[:100]} is not the dyno: only its own ports can be reached, as localhost.")
    if not 0 < port < 65536:
        raise _refused(f"There is no port {port}.")
    try:
        visit = await opener(RELAY.format(port), tty=False, env={}, about=f"port-{port}")
    except LookupError as error:
        raise _refused(error.args[0]) from error
    said, come = await line(visit.guest.streams)
    if said:
        async with hosted(visit.guest):
            raise _refused(f"Nothing answers on port {port} in the dyno.")

    async def serve(reader: "asyncssh.SSHReader[bytes]", writer: "asyncssh.SSHWriter[bytes]") -> None:
        await _carry(visit, come, reader, writer)

    return asyncssh.stream.SSHTCPStreamSession(serve)


async def _carry(
    visit: Visit,
    come: bytes,
    reader: "asyncssh.SSHReader[bytes]",
    writer: "asyncssh.SSHWriter[bytes]",
) -> None:
    streams = visit.guest.streams

    async def feed() -> None:
        while data := await reader.read(CHUNK):
            if not await write(streams, data):
                return
        streams.end_input()

    async def show() -> None:
        writer.write(come)
        while data := await read(streams):
            writer.write(data)
            await writer.drain()

    async with hosted(visit.guest, feed()) as put_out:
        await first(show(), put_out.wait(), writer.channel.wait_closed())
    writer.close()


def _refused(why: str) -> asyncssh.ChannelOpenError:
    return asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, why)
