"""The production router: HAProxy, told what to do through a folder and its sockets.

`files` is the folder, from which HAProxy starts into the last known state with nobody else alive; `config` is what it
is told once, `pages` what visitors see without an app's answer; `runtime` speaks with the running HAProxy, `router` is
the engine's `Router` on top of both. `records` makes the router's lines of what HAProxy reports, `keeper` takes these
reports and the guests of `heroku run`, and requests for apps that sleep, which wait in an embedded router.
"""

from engine.proxy.config import Setup
from engine.proxy.files import Folder
from engine.proxy.keeper import Keeper
from engine.proxy.router import ProxyRouter, prepare

__all__ = ["Folder", "Keeper", "ProxyRouter", "Setup", "prepare"]
