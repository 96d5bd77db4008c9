"""The platform's own log as one JSON object a line, for programs that gather logs."""

import json
import logging
import sys
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "logger", "message"}`, with the request's id and where it came through, the `fields` that the
    caller gave, and the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_origin(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _origin() -> dict[str, str]:
    """Where the piece of work that logs this comes from, once there is anything that could know."""
    activity = sys.modules.get("core.activity")
    if activity is None or not hasattr(activity, "origin"):
        return {}
    here = activity.origin()
    return {"through": here.through, **({"request_id": here.request_id} if here.request_id else {})}
