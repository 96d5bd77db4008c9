"""The embedded router: requests for an app's hosts go to its web dynos, those for the platform's to its own pages.

`server` listens; `front` is a client's connection, `upstream` a backend's, `exchange` one request between the two;
`wire` knows HTTP/1.1, `table` the routes, `waiting` keeps requests for apps that sleep, `identity` knows who listens on a
port, `lines` writes the log, `pages` has the words for visitors.
"""

from engine.router.limits import Limits
from engine.router.server import LocalRouter

__all__ = ["Limits", "LocalRouter"]
