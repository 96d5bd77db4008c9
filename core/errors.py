"""The kinds of failure that Slipway tells apart.

`Refusal` is for people and programs that asked for something we turn down, `BuildFailed` and
`ReleaseFailed` are the app's own fault, `EngineError` is the world's. Everything else is our bug.

Their words may quote what another side has sent, and are kept as reasons: so they are made fit for that here.
"""

from collections.abc import Mapping

from core.text import storable


class Refusal(Exception):
    """Understood and turned down.

    `message` is for a person and says what to do, `id` for a program (the Platform API's error ids),
    `status` for HTTP. `fields` maps form fields to what is wrong with them.
    """

    id = "invalid_params"
    status = 422

    def __init__(
        self,
        message: str,
        *,
        id: str | None = None,
        status: int | None = None,
        fields: Mapping[str, str] | None = None,
        resource: str | None = None,
    ) -> None:
        message = storable(message)
        super().__init__(message)
        self.message = message
        self.id = id or self.id
        self.status = status or self.status
        self.fields = dict(fields or {})
        self.resource = resource


class NotFound(Refusal):
    """Absent, or foreign: the two must look the same (promise I-28)."""

    id = "not_found"
    status = 404


class Forbidden(Refusal):
    """Seen, but not allowed; the message gives the missing right."""

    id = "forbidden"
    status = 403


class Conflict(Refusal):
    """True a moment ago, not any more: the name is taken, the row has moved on."""

    id = "conflict"
    status = 409


class Unauthorized(Refusal):
    """Nobody we know."""

    id = "unauthorized"
    status = 401


class BuildFailed(Exception):
    """The app's own fault during a build; kept on the row as its reason, never retried."""

    def __init__(self, message: str = "") -> None:
        super().__init__(storable(message))


class ReleaseFailed(Exception):
    """The app's own fault during a release; kept on the row as its reason, never retried."""

    def __init__(self, message: str = "") -> None:
        super().__init__(storable(message))


class EngineError(Exception):
    """The world's fault (a full disk, an engine that is away); retried unless `permanent`."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(storable(message))
        self.permanent = permanent


class LeaseLost(Exception):
    """Someone else works on this row now; whatever this worker still wants to write is void."""
