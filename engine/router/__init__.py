"""The embedded router: requests for an app's hosts go to its web dynos, those for the platform's to its own pages.

`server` listens; `front` is a client's connection, `upstream` a backend's, `exchange` one request between the two;
`wire` knows HTTP/1.1, `table` the routes, `identity` who listens on a port, `lines` the log, `pages` the words for visitors.
"""

from engine.router.limits import Limits
from engine.router.server import LocalRouter

__all__ = ["Limits", "LocalRouter"]
