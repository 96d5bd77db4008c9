"""Whose process listens on a port of this machine (promise I-26).

A dyno that dies leaves its port to whoever binds it first. Where each app runs as a user of its own, asking the
kernel for the listener's user at each new connection keeps one app's requests from ever reaching another app.
"""

import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY, _REQUEST = 20, 1
_LISTENING = 1 << 10
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBBI")
_SOCKET_ID = struct.Struct(">HH16s16s12s")
_UID_AT = (
    _HEADER.size + 4 + _SOCKET_ID.size + 12
)  # in the answer: after the header, the socket and three counters
_ANY_COOKIE = b"\0\0\0\0" + b"\xff" * 8


def listener_uid(host: str, port: int) -> int | None:
    """The user whose socket takes connections to `host` (an IPv4 address) and `port`; None when nobody listens or
    the kernel does not tell. Takes some microseconds."""
    try:
        address = socket.inet_aton(host)
        where = _SOCKET_ID.pack(port, 0, address.ljust(16, b"\0"), bytes(16), _ANY_COOKIE)
        question = _QUESTION.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _LISTENING) + where
        header = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
        ) as kernel:
            kernel.settimeout(0.1)
            kernel.sendto(header + question, (0, 0))
            answer = kernel.recv(8192)
    except (OSError, AttributeError):  # not Linux, or not allowed
        return None
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    return int.from_bytes(answer[_UID_AT : _UID_AT + 4], "little")
