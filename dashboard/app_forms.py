"""What people type on the pages of an app and of their account. Forms read text; what may be is decided by actions."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from accounts.access import RIGHTS
from core.errors import Refusal


def read(form: forms.Form) -> dict[str, Any]:
    """What was typed, once it makes sense; `Refusal` with a sentence a field if it does not."""
    if form.is_valid():
        return form.cleaned_data
    fields = {name: " ".join(map(str, errors)) for name, errors in form.errors.items()}
    raise Refusal(" ".join(fields.values()), fields=fields)


def unix(text: str) -> str:
    """Browsers send every line break of a text field as CR LF; what was meant is LF."""
    return text.replace("\r\n", "\n")


class RunForm(forms.Form):
    """A command for a one-off dyno."""

    command = forms.CharField(max_length=10_000, error_messages={"required": "Give a command to run."})
    size = forms.CharField(max_length=40, initial="standard-1x")


class DynoForm(forms.Form):
    """Which dynos: `web.1`, all of a type (`web`), or none given: all."""

    dyno = forms.CharField(required=False, max_length=140)


class AutoscaleForm(forms.Form):
    """Between which numbers of web dynos, by which response time in milliseconds."""

    minimum = forms.IntegerField(error_messages={"required": "Say how many.", "invalid": "Use a number."})
    maximum = forms.IntegerField(error_messages={"required": "Say how many.", "invalid": "Use a number."})
    p95 = forms.IntegerField(error_messages={"required": "Say how long.", "invalid": "Use a number."})
    notify = forms.BooleanField(required=False)


class AlertForm(forms.Form):
    """What of an app somebody wants to be told: beyond which bound, of how many minutes."""

    kind = forms.CharField()
    bound = forms.IntegerField(error_messages={"required": "Say how much.", "invalid": "Use a whole number."})
    minutes = forms.IntegerField(error_messages={"invalid": "Use a number."})
    text = forms.CharField(required=False)


class BuildForm(forms.Form):
    """A source to build again."""

    source = forms.UUIDField(error_messages={"invalid": "There is no such source."})
    clear_cache = forms.BooleanField(required=False)


class UploadForm(forms.Form):
    """A tree of files to build."""

    archive = forms.FileField(
        error_messages={"required": "Choose a .tar.gz file.", "empty": "This file is empty."}
    )
    version = forms.CharField(required=False, max_length=100)


class RollbackForm(forms.Form):
    """Where to roll back to, why, and which version served when the plan was shown."""

    version = forms.IntegerField(min_value=1, max_value=2**31 - 1)
    seen = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    note = forms.CharField(
        max_length=500,
        error_messages={"required": "Say why: everyone who looks at the releases later will want to know."},
    )


class ConfigVarForm(forms.Form):
    """One config var. An empty value is a value."""

    key = forms.CharField(max_length=255, error_messages={"required": "Give the config var a name."})
    value = forms.CharField(required=False, strip=False)
    write_only = forms.BooleanField(required=False)

    def clean_value(self) -> str:
        return unix(self.cleaned_data["value"])


class DotenvForm(forms.Form):
    """Many config vars as `.env` text. With `whole`, the proof that all values were loaded, what is left out is unset."""

    text = forms.CharField(required=False, strip=False)
    whole = forms.CharField(required=False, max_length=1000)


class MaintenanceForm(forms.Form):
    """On or off."""

    on = forms.BooleanField(required=False)


class SleepForm(forms.Form):
    """After how many minutes without a request an app sleeps; 0 for never."""

    minutes = forms.IntegerField(
        error_messages={"required": "Choose when it sleeps.", "invalid": "Choose when it sleeps."}
    )


class RightsForm(forms.Form):
    """What a collaborator may do."""

    rights = forms.MultipleChoiceField(required=False, choices=[(right, right) for right in RIGHTS])


class ShareForm(RightsForm):
    """Who gets rights in an app."""

    email = forms.CharField(max_length=254, error_messages={"required": "Give an e-mail address."})


def formation_changes(data: Mapping[str, str], rows: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """The changes that a formation form asks for: `web.quantity` and `web.size`, where they differ from `rows`."""
    changes: dict[str, dict[str, Any]] = {}
    for row in rows:
        quantity, size = data.get(f"{row.type}.quantity", ""), data.get(f"{row.type}.size", "")
        if quantity and not (quantity.isascii() and quantity.isdecimal() and len(quantity) < 10):
            raise Refusal(
                f"“{quantity[:20]}” is not a number of dynos.", fields={"quantity": "Use a number."}
            )
        change: dict[str, Any] = {}
        if quantity and int(quantity) != row.quantity:
            change["quantity"] = int(quantity)
        if size and size != row.size:
            change["size"] = size
        if change:
            changes[row.type] = change
    return changes
