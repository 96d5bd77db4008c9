"""The embedded router's words for visitors, cut where HAProxy fills in what it alone knows: the host, the request's id
and the time, in this order."""

import json

from engine.router import pages

HOST, ID, TIME = "@host@", "@request@", "@time@"
ACCEPT = {"html": b"text/html", "json": b"application/json", "text": b"text/plain"}
# What an Accept header asks for, in lower case, tried in this order; all else is answered with a page.
KINDS = ("text/html html", "json json", "text/plain text")
TYPES = {"html": "text/html", "json": "application/json", "text": "text/plain"}
NO_APP, AWAY = "none", "away"  # no app has the host; the platform's own pages don't answer


def entries() -> dict[str, str]:
    """All pieces, by `kind.code.number`, each on one line; and the kinds' names in HTTP."""
    found = {f"{kind}.type": f"{name}; charset=utf-8" for kind, name in TYPES.items()}
    for kind, accept in ACCEPT.items():
        found[f"{kind}.{NO_APP}.1"] = _line(pages.no_app(accept=accept, head_only=False, close=False))
        away = _line(pages.control_away(request_id=ID, accept=accept, head_only=False, close=False))
        found |= _pieces(f"{kind}.{AWAY}", _with_id(away, kind), ID)
        for code in (code for code, what in pages.FAULTS.items() if what.status == 503):
            found |= _pieces(f"{kind}.{code}", _fault(code, kind, accept), HOST, ID, TIME)
    return found


def _fault(code: str, kind: str, accept: bytes) -> str:
    answer = pages.for_fault(
        code, host=HOST, request_id=ID, accept=accept, head_only=False, close=False, time=TIME
    )
    text = _line(answer)
    if kind == "json":
        message = {key: value for key, value in json.loads(text).items() if key != "request_id"}
        return json.dumps(message | {"host": HOST, "request_id": ID, "time": TIME})
    if kind == "text":
        return f"{text} (host={HOST} request={ID} time={TIME})"
    return text if ID in text else f"{text}<!-- {ID} {TIME} -->"


def _with_id(text: str, kind: str) -> str:
    if kind == "json":
        return json.dumps(json.loads(text) | {"request_id": ID})
    return text if kind == "html" else f"{text} (request={ID})"


def _line(answer: bytes) -> str:
    return " ".join(answer.partition(b"\r\n\r\n")[2].decode().split())


def _pieces(key: str, text: str, *marks: str) -> dict[str, str]:
    """The pieces of `text` around `marks`, which stand in it in this order."""
    found = {}
    for number, mark in enumerate(marks, 1):
        found[f"{key}.{number}"], _, text = text.partition(mark)
    found[f"{key}.{len(marks) + 1}"] = text
    return {name: piece or " " for name, piece in found.items()}
