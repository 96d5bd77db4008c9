"""What the page of a load balancer shows: its address, and of each app its weight, its part and how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from accounts.models import User
from addons.models import Addon
from apps import access as app_access
from apps.models import App, Dyno
from dashboard import addon_panels
from dashboard.forms import Form
from engine.balancing import ANSWERS, ASLEEP, AWAY, Member, drawn
from engine.spec import Stake
from pipelines import balancing
from pipelines.access import MANAGE
from pipelines.models import Balancer, Pipeline

SHOWN = 100  # apps; the others keep their weight
FOLLOWED = 20  # apps whose dynos the page watches


@dataclass(frozen=True)
class Web:
    """The web dynos of an app."""

    all: int = 0
    up: int = 0
    crashed: int = 0


@dataclass(frozen=True)
class Line:
    """An app that shares the address."""

    app: App
    field: str
    weight: str  # as it was typed, or as it is
    error: str
    part: int | None  # percent of the visitors; None while it is nobody's
    web: Web
    kind: str
    word: str


def of_balancer(
    pipeline: Pipeline, user: User, rights: frozenset[str], addon: Addon, form: Form | None = None
) -> dict[str, Any]:
    """The whole page; `form` is what was refused."""
    balancer = balancing.balancer_of(addon)
    apps = [row.app for row in balancing.members(addon)]
    kind, word = addon_panels.STATES[Addon.State(addon.state)]
    lines = _lines(balancer, apps, form)
    seen = set(app_access.apps_for(user).filter(pk__in=[app.pk for app in apps]).values_list("pk", flat=True))
    shown = [line for line in lines if line.app.pk in seen][:SHOWN]
    shared = getattr(addon, "shared", None)
    return {
        "pipeline": pipeline,
        "tab": "resources",
        "addon": addon,
        "balancer": balancer,
        "stage": shared.stage if shared else None,
        "state_kind": kind,
        "state_word": word,
        "lines": shown,
        "unseen": len(lines) - len(shown),
        "answering": sum(1 for line in lines if line.part),
        "sticky": form.value("sticky") if form else balancer.sticky,
        "form": form or Form(),
        "may_manage": MANAGE in rights,
        "topics": " ".join([pipeline.topic, *(line.app.topic for line in shown[:FOLLOWED])]),
    }


def _lines(balancer: Balancer, apps: Sequence[App], form: Form | None) -> list[Line]:
    webs = _webs(apps)
    weights = {app.name: balancer.weights.get(str(app.pk), Balancer.USUAL) for app in apps}
    members = {
        app.name: Member(Stake("", weights[app.name], ""), _rank(app, webs.get(app.pk, Web())))
        for app in apps
    }
    chosen = drawn(members)
    serve = any(members[name].rank != AWAY for name in chosen)
    parts = balancing.parts({name: stake.weight for name, stake in chosen.items()}) if serve else {}
    return [_line(app, weights[app.name], parts, webs.get(app.pk, Web()), form) for app in apps]


def _line(app: App, weight: int, parts: Mapping[str, float], web: Web, form: Form | None) -> Line:
    name = f"weight-{app.name}"
    typed = form[name].value if form else ""
    kind, word = _standing(app, weight, web)
    part = round(parts.get(app.name, 0)) if parts else None
    return Line(app, name, str(typed or weight), form[name].error if form else "", part, web, kind, word)


def _webs(apps: Sequence[App]) -> dict[Any, Web]:
    """Their web dynos, in one query."""
    rows = Dyno.objects.filter(app__in=apps, type="web", one_off=False).values("app")
    counted = rows.annotate(
        all=Count("pk"),
        up=Count("pk", filter=Q(state=Dyno.State.UP)),
        crashed=Count("pk", filter=Q(state=Dyno.State.CRASHED)),
    )
    return {row["app"]: Web(row["all"], row["up"], row["crashed"]) for row in counted}


def _rank(app: App, web: Web) -> int:
    """As the router sees it."""
    if app.suspended_at or app.maintenance:
        return AWAY
    return ANSWERS if web.up else ASLEEP if app.asleep_since and web.all else AWAY


def _standing(app: App, weight: int, web: Web) -> tuple[str, str]:
    """How it stands, as kind and word."""
    if app.suspended_at:
        return "waiting", "Suspended"
    if app.maintenance:
        return "waiting", "Maintenance"
    if web.up:
        return ("live", "Answers") if weight else ("stopped", "Drained")
    if app.asleep_since and web.all:
        return "idle", "Sleeping"
    if web.crashed:
        return "crashed", "Crashed"
    return ("releasing", "Starting") if web.all else ("stopped", "No web dynos")
