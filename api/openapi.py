"""The API described by itself, as an OpenAPI document: what the endpoints declare, and what all of them share."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

WORDS = {
    "200": "Here it is",
    "201": "Made",
    "202": "Asked for; it happens soon",
    "204": "Nothing to tell",
    "206": "The first page; `Next-Range` asks for the next",
    "304": "It has not changed since the answer with this `ETag`",
    "400": "The body is not JSON",
    "401": "No token, or one that is not valid",
    "403": "The role in the team or app does not allow it, or a second factor is needed",
    "404": "It is not there, or not for the asker to see",
    "406": "Another version than 3 was asked for",
    "409": "The name is taken, or what it is about has moved on",
    "413": "The body is too large",
    "416": "The range can't be read",
    "422": "A value is wrong, or the call makes no sense now",
    "423": "It has to be confirmed",
    "429": "Too many calls in the last hour",
    "503": "What it needs is away for now",
}
ANY = ("401", "403", "406", "429")
TAGS = {
    "Account": "Who the token belongs to.",
    "Authorizations": "Tokens: what may speak for an account.",
    "Programs": "Programs that ask people to let them act for them, and browsers.",
    "Pipelines": "Pipelines, the stages of their apps, and promotions.",
    "Repositories": "Where a pipeline's code is, and which branches deploy by themselves.",
    "Tests": "Test runs of a pipeline's code, their nodes and cases.",
    "Review apps": "Apps for pull requests and branches, and apps that are set up as their app.json says.",
    "Apps": "Apps, their domains, collaborators and buildpacks.",
    "Certificates": "What apps answer HTTPS with.",
    "Teams": "Teams, their members and invitations.",
    "Transfers": "Apps and pipelines that change hands.",
    "Features": "What can be switched on.",
    "Config vars": "The environment of an app's dynos.",
    "Releases": "What an app runs and ran, and going back to it.",
    "Builds": "Source code on its way to a slug.",
    "Dynos": "How many dynos of which size, and commands that run once.",
    "Add-ons": "Services that are attached to apps by config vars.",
    "Databases": "PostgreSQL databases of add-ons, and who gets into them.",
    "Backups": "Backups of databases, restores and copies.",
    "Key-value stores": "Valkey or Redis of add-ons.",
    "Maintenance": "When servers of add-ons start again, with a newer version.",
    "Webhooks": "Addresses that are told what happens to an app.",
    "Log drains": "Where an app's log is sent on to.",
    "Logs": "What apps and the platform wrote.",
    "Catalog": "What there is to choose from.",
}
INTRO = """Speaks version 3 of Heroku's Platform API, so that its clients work here.

A token may do what its owner may, within its scopes: `identity`, `read` and `write` (without config vars),
`read-protected` and `write-protected` (with them), or `global`, which is all. Programs get theirs by OAuth 2 (RFC 6749, with
PKCE): people consent at `/oauth/authorize`, and tokens come from `POST /oauth/token`.

A token goes into `Authorization: Bearer TOKEN`, or is the password of HTTP Basic. Names or ids stand in paths.
Lists come in pages: `Range: id ..; max=200, order=desc` asks for one, and `Next-Range` of the answer for the next.
In a `PATCH` what is absent stays."""
ERROR = {
    "type": "object",
    "title": "Error",
    "description": "What went wrong, for a program and for a person.",
    "required": ["id", "message", "url"],
    "properties": {
        "id": {"type": "string", "description": "For a program", "example": "not_found"},
        "message": {"type": "string", "description": "For a person: what to do"},
        "url": {"type": "string", "description": "Where to read on, if anywhere"},
        "resource": {"type": "string", "description": "What was not found", "example": "app"},
    },
}
HEADERS = {
    "Request-Id": {"schema": {"type": "string"}, "description": "To ask about this call"},
    "RateLimit-Remaining": {
        "schema": {"type": "integer"},
        "description": "Calls that are left in this hour",
    },
}


@cache
def document() -> dict[str, Any]:
    """The whole document; don't change it."""
    from api.urls import api  # which this module's routes are part of

    found = dict(api.get_openapi_schema(path_prefix=""))
    found["info"] = {"title": "Slipway Platform API", "version": "3", "description": INTRO}
    found["servers"] = [{"url": "/"}]
    found["components"]["schemas"]["Error"] = ERROR
    found["components"]["headers"] = HEADERS
    found["components"]["responses"] = {status: _failed(status) for status in WORDS if status >= "300"}
    found["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
        "password": {"type": "http", "scheme": "basic", "description": "A token as the password."},
    }
    used: dict[str, None] = {}
    for path, method, operation in operations(found):
        _complete(path, method, operation)
        used |= dict.fromkeys(operation["tags"])
    found["tags"] = [{"name": name, "description": TAGS.get(name, "")} for name in used]
    return found


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The path, method (in capitals) and description of each endpoint."""
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what all endpoints share, and what follows from what this one declares."""
    text = operation.get("description", "")
    operation["summary"] = re.split(r"(?<=[.?])\s", text.replace("\n", " "))[0].rstrip(".")
    operation["operationId"] = operation["operationId"].removeprefix("api_resources_")
    operation["security"] = [{"token": []}, {"password": []}]
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter["schema"]["minLength"] = 1
    if 206 in operation["responses"]:
        parameters.append(_header("Range", "One page: `id ..; max=200, order=desc`"))
    if method == "GET":
        parameters.append(_header("If-None-Match", "The `ETag` of an answer that is still at hand"))
    answers = {
        str(status): _signed({**answer, "description": WORDS[str(status)]})
        for status, answer in operation["responses"].items()
    }
    for status in _statuses(path, method, operation):
        answers.setdefault(status, {"$ref": f"#/components/responses/{status}"})
    operation["responses"] = dict(sorted(answers.items()))


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    found = list(ANY)
    if method == "GET":
        found += ["304"]
    else:
        found += ["404", "409", "422"]
    if "{" in path:
        found += ["404", "422"]
    if any(parameter["in"] == "query" for parameter in operation["parameters"]):
        found += ["422"]
    if 206 in operation["responses"]:
        found += ["404", "416"]
    if "requestBody" in operation:
        found += ["400", "413", "423"]
    return found


def _header(name: str, text: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "required": False,
        "description": text,
        "schema": {"type": "string", "maxLength": 200},
    }


def _signed(answer: dict[str, Any]) -> dict[str, Any]:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
    return {**answer, "headers": {**headers, **answer.get("headers", {})}}


def _failed(status: str) -> dict[str, Any]:
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return _signed({"description": WORDS[status], **({} if status == "304" else {"content": body})})
