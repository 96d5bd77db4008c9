"""Where a build container may not send to: routes in its own network namespace, put up before anything of the app's runs.

They need no firewall on the host. What they can't tell apart is the host's public address from any other public one.
"""

import ipaddress
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

NEWROUTE, REQUEST_CREATE = 24, 0x1 | 0x4 | 0x400  # RTM_NEWROUTE; NLM_F_REQUEST | ACK | CREATE
UNICAST, PROHIBIT = 1, 8
DESTINATION, INTERFACE, GATEWAY = 1, 4, 5
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")


def put_up(open_to: Sequence[str]) -> None:
    """Let nothing be sent to private, shared and link-local addresses (metadata services are among them) or to the host's
    end of this network, but to the networks and addresses of `open_to`. `OSError` when the kernel does not let us."""
    found = _default()
    if found is None:
        return  # a network without a way out
    interface, gateway = found
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        for network in (*PRIVATE, f"{gateway}/32"):
            _add(kernel, network, PROHIBIT)
        for text in open_to:
            network = str(ipaddress.ip_network(text, strict=False))
            if ":" not in network:
                _add(kernel, network, UNICAST, (interface, gateway))


def _default() -> tuple[str, str] | None:
    """Interface and gateway of the default route."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and int(fields[3], 16) & 2:
            return fields[0], str(ipaddress.ip_address(int(fields[2], 16).to_bytes(4, "little")))
    return None


def _add(kernel: socket.socket, network: str, kind: int, via: tuple[str, str] | None = None) -> None:
    net = ipaddress.ip_network(network)
    attributes = [(DESTINATION, net.network_address.packed)]
    if via is not None:
        attributes += [
            (INTERFACE, struct.pack("=I", socket.if_nametoindex(via[0]))),
            (GATEWAY, ipaddress.ip_address(via[1]).packed),
        ]
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, net.prefixlen, 0, 0, 254, 4, 0, kind, 0)
    for name, value in attributes:
        body += struct.pack("=HH", 4 + len(value), name) + value
    kernel.send(struct.pack("=IHHII", 16 + len(body), NEWROUTE, REQUEST_CREATE, 1, 0) + body)
    code = -struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    if code not in (0, 17):  # it may be there already
        raise OSError(code, os.strerror(code))
