"""What addresses of a registry mean, on our side and on that of the registry behind us."""

import re
from dataclasses import dataclass
from uuid import UUID

from apps import stacks
from core import names
from core.errors import Refusal

TYPE = re.compile(r"(?=.{1,60}\Z)[a-z0-9]+(?:(?:_|__|-+)[a-z0-9]+)*")
DIGEST = r"[a-z0-9+._-]{1,32}:[0-9a-fA-F]{32,128}"
TAG = r"\w[\w.-]{0,127}"
READ = frozenset(["GET", "HEAD"])
CALLS = [
    (re.compile(what, re.ASCII), methods)
    for what, methods in (
        (r"tags/list", frozenset(["GET"])),
        (rf"manifests/(?:{TAG}|{DIGEST})", READ | {"PUT"}),
        (rf"blobs/{DIGEST}", READ),
        (r"blobs/uploads/", frozenset(["POST"])),
        (r"blobs/uploads/[\w=.-]{1,200}", frozenset(["GET", "PATCH", "PUT", "DELETE"])),
    )
]


@dataclass(frozen=True)
class Call:
    """One call for the images of a process type: `what` is the rest of its path, as `manifests/latest`."""

    app: str  # by name
    type: str
    what: str
    writes: bool

    @property
    def name(self) -> str:
        """What its repository is called on our side."""
        return f"{self.app}/{self.type}"


def read(method: str, path: str) -> Call:
    """What `path`, the part behind `/v2/`, asks for; `Refusal` with one of the protocol's codes when it can't be that."""
    app, _, rest = path.partition("/")
    type, _, what = rest.partition("/")
    if not is_name(app, type):
        raise Refusal(
            "An image is called APP/PROCESS-TYPE here, such as my-app/web: nothing more and nothing less.",
            id="NAME_INVALID",
            status=400,
        )
    methods = next((methods for pattern, methods in CALLS if pattern.fullmatch(what)), frozenset[str]())
    if method not in methods:
        raise Refusal(
            "Images are pushed and pulled here; nothing else is served.", id="UNSUPPORTED", status=405
        )
    return Call(app, type, what, writes=method not in READ or what.startswith("blobs/uploads/"))


def is_name(app: str, type: str) -> bool:
    """Whether an app and a process type of it may be called so. A UUID is no name."""
    return bool(names.APP.fullmatch(app) and TYPE.fullmatch(type))


def repository(app: UUID, type: str) -> str:
    """Where the images of a process type are in the operator's registry. It is named after the app's id, so that a new name
    of the app changes nothing; cleaning on the engine knows it by its beginning (`ImageStore`)."""
    return f"slipway/{stacks.instance()}/app-{app}-{type}"
