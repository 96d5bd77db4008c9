"""Log sessions."""

from datetime import UTC, datetime
from uuid import uuid4

from django.http import HttpRequest
from ninja import Router, Schema, Status

from api.asker import asker
from api.shapes.apps import LogSessionOut
from apps import access
from releases.streams import log_session_url

router = Router(tags=["Logs"])


class LogSessionIn(Schema):
    """Which lines to send, and whether to go on."""

    lines: int = 100
    tail: bool = False
    source: str | None = None
    dyno: str | None = None
    dyno_name: str | None = None
    type: str | None = None


@router.post("/apps/{app}/log-sessions", response={201: LogSessionOut})
def create(request: HttpRequest, app: str, body: LogSessionIn | None = None) -> Status[LogSessionOut]:
    """An address to read the app's log at, good for one reader."""
    by = asker(request)
    found = access.app_for(by, app, to=access.OPERATE)
    body = body or LogSessionIn()
    dyno = body.dyno or body.dyno_name or body.type
    url = log_session_url(
        found, by=by, lines=min(max(body.lines, 0), 1500), tail=body.tail, source=body.source, dyno=dyno
    )
    now = datetime.now(UTC)
    return Status(201, LogSessionOut(id=uuid4(), logplex_url=url, created_at=now, updated_at=now))
