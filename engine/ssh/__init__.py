"""Ways into dynos that run for who speaks SSH: what the CLI's ps:exec, ps:copy, ps:forward and ps:socks use.

A front to the machinery of `heroku run:inside`, and no more: each shell, command, file and port is a one-off dyno in the
walls of another, opened by a `Ticket`. Nothing of SSH touches files, processes or addresses of the platform itself.
"""

from engine.ssh.door import Door, Ticket, Visit
from engine.ssh.host_key import HostKey
from engine.ssh.server import Server

__all__ = ["Door", "HostKey", "Server", "Ticket", "Visit"]
