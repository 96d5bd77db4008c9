"""The bulk editor's `.env` text: what saving it would do, told by value only to whom the values were just shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core import signing

from accounts.models import User
from apps import config_vars
from apps.models import App, ConfigVar
from dashboard import dotenv
from releases import comparison

OPEN_SECONDS = 12 * 3600  # how long loaded values may be edited
_SALT = "slipway.config-file"
_SHOWN = 200  # characters of a value in the difference


@dataclass(frozen=True)
class Line:
    """One line of the difference. `kind` is add, del or same."""

    kind: str
    text: str


def pass_for(app: App, user: User) -> str:
    """Proof that `user` was shown all that can be read now, to send along with the edited text."""
    return signing.dumps([str(app.pk), str(user.pk), config_vars.stamp(app)], salt=_SALT)


def stamp_of(token: str, app: App, user: User) -> str:
    """The `config_vars.stamp` of what `user` was shown of `app`; empty when the proof is none, or too old."""
    try:
        of_app, of_user, stamp = signing.loads(token, salt=_SALT, max_age=OPEN_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(stamp) if (of_app, of_user) == (str(app.pk), str(user.pk)) else ""


def context(app: App, text: str, seen: str) -> dict[str, Any]:
    """What saving `text` would do: nothing of it is saved. With `seen`, the stamp of the values that were loaded, what
    is left out goes; without it text only adds."""
    values, problems = dotenv.parse(text)
    if seen and seen != config_vars.stamp(app):
        problems.append(
            "Someone has changed the config vars since you loaded them. Copy what you typed, then load them again."
        )
    rows = {var.key: var for var in ConfigVar.objects.filter(app=app)}
    kept = {key: var.value for key, var in rows.items() if _stays(var, seen) or key in values}
    changes = comparison.names({key: var.value for key, var in rows.items()}, {**kept, **values})
    words = ("added", "changed", "removed")
    counts = [(word, sum(what == word for _, what in changes)) for word in words]
    return {
        "problems": problems,
        "changes": changes,
        "summary": ", ".join(f"{count} {word}" for word, count in counts if count),
        "difference": [line for key, what in changes for line in _lines(key, what, rows, values, bool(seen))],
        "write_only": sorted(key for key, var in rows.items() if var.write_only),
    }


def _stays(var: ConfigVar, seen: str) -> bool:
    """Whether a var that is not in the text stays: what is not shown does, what an add-on sets and what is inherited."""
    return not seen or var.write_only or var.attachment_id is not None or bool(var.layer)


def _lines(
    key: str, what: str, rows: Mapping[str, ConfigVar], values: Mapping[str, str], shown: bool
) -> list[Line]:
    new = f"{key}={_short(values[key])}" if key in values else ""
    if what == "added":
        return [Line("add", f"+ {new}")]
    if not shown or rows[key].write_only:
        return [Line("del", f"- {key} (its value is not shown)"), Line("add", f"+ {new}")]
    old = Line("del", f"- {key}={_short(rows[key].value)}")
    return [old] if what == "removed" else [old, Line("add", f"+ {new}")]


def _short(value: str) -> str:
    line = value.replace("\n", "⏎")
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
