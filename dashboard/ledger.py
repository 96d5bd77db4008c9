"""Two releases beside each other: to compare them, and to roll back from one to the other."""

from typing import Any

from accounts.models import User
from apps.models import App
from dashboard import panels
from dashboard.forms import Form
from releases import comparison, estimates
from releases.models import Release

CHOICES = 100


def release_called(app: App, text: str) -> Release | None:
    """The release that people call `v12` or `12`, if there is one."""
    number = text.strip().removeprefix("v")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        return None
    release: Release | None = panels.releases(app).defer(None).filter(version=int(number)).first()
    return release


def previous(app: App) -> Release | None:
    """The release to roll back to: the last that worked before the one that serves."""
    current = Release.objects.current_for(app)
    if current is None:
        return None
    older = Release.objects.filter(app=app, version__lt=current.version, status=Release.Status.SUCCEEDED)
    return (
        older.filter(slug__isnull=False, slug__expired_at__isnull=True)
        .select_related("slug__app", "by")
        .order_by("-version")
        .first()
    )


def comparing(app: App, user: User, form: Form) -> dict[str, Any]:
    """What differs between the releases that `form` names as base and head; the one that serves is the usual head."""
    base = _named(app, form, "base")
    head = _named(app, form, "head") if form.value("head") else _serving(app)
    return {
        **panels.frame(app, user, "releases"),
        "form": form,
        "base": base,
        "head": head,
        "choices": Release.objects.filter(app=app).only("version", "description")[:CHOICES],
        "difference": comparison.compare(base, head) if base and head else None,
        "commits": comparison.commits(base, head) if base and head else [],
        "gone": comparison.commits(head, base) if base and head else [],
    }


def rolling_back(app: App, user: User, target: Release, form: Form) -> dict[str, Any]:
    """What a rollback to `target` will change, and how long it takes as a rule."""
    current = _serving(app)
    return {
        **panels.frame(app, user, "releases"),
        **panels.consequences(app),
        "current": current,
        "target": target,
        "form": form,
        "difference": comparison.compare(current, target) if current else None,
        "gone": comparison.commits(target, current) if current else [],
        "usual": estimates.expected(app, "release"),
    }


def _named(app: App, form: Form, field: str) -> Release | None:
    text = form.value(field)
    release = release_called(app, text) if text else None
    if text and release is None:
        form.errors[field] = f"{app.name} has no release {text[:20]}."
    return release


def _serving(app: App) -> Release | None:
    return Release.objects.filter(app=app, current=True).select_related("slug__app", "by").first()
