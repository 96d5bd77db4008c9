"""What the pages show of add-ons that belong to a pipeline: the list, the catalog, and the dialogs about them."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from accounts.models import User
from addons import access, catalog
from addons.models import Addon, AddonService
from apps import access as app_access
from dashboard import addon_panels, storage_panel
from dashboard.forms import Form
from pipelines import balancing
from pipelines.access import MANAGE
from pipelines.models import Pipeline, SharedAddon, Stage

NAMED = 5  # apps that a line names


@dataclass(frozen=True)
class Line:
    """An add-on of the pipeline."""

    addon: Addon
    kind: str
    word: str
    price: str
    shared: SharedAddon | None
    apps: list[str]  # that have it, as far as they are told and named
    more: int  # that have it besides
    balances: bool  # and has a page of its own


def of_pipeline(pipeline: Pipeline, user: User, rights: frozenset[str]) -> dict[str, Any]:
    """The whole page: what the pipeline owns, as far as the viewer may see it, and what there is to be had."""
    rows = access.addons_for(user).filter(pipeline=pipeline).select_related("shared__stage")
    found = list(rows.order_by("created_at", "name").prefetch_related("attachments"))
    seen = app_access.apps_for(user).filter(attachments__addon__in=found).values_list("pk", "name")
    names = dict(seen.distinct())
    return {
        **_frame(pipeline),
        "addons": [_line(row, names) for row in found],
        "offers": [offer for offer in addon_panels.offers(for_app=False) if offer.service.of_pipelines],
        "may_manage": MANAGE in rights,
    }


def ordering(pipeline: Pipeline, service: AddonService, form: Form) -> dict[str, Any]:
    """The dialog that orders one: plans with prices and limits, the apps that get it, what follows."""
    plans = [plan for plan in service.plans.all() if plan.state == plan.State.PUBLIC]
    chosen = form.value("plan") or next((plan.name for plan in plans if plan.default), "")
    return {
        **_frame(pipeline),
        "service": service,
        "why_not": catalog.why_not(service),
        "choices": [
            addon_panels.Choice(plan, addon_panels.price_of(plan), plan.name == chosen, current=False)
            for plan in plans
        ],
        "places": _places(pipeline),
        "one_stage": service.name == balancing.SERVICE,
        "form": form,
    }


def sharing(pipeline: Pipeline, addon: Addon, form: Form) -> dict[str, Any]:
    """The dialog that says which apps have it."""
    return {
        **_frame(pipeline),
        "addon": addon,
        "service": addon.service,
        "places": _places(pipeline),
        "one_stage": balancing.is_one(addon),
        "form": form,
    }


def destroying(pipeline: Pipeline, user: User, addon: Addon, form: Form) -> dict[str, Any]:
    """The dialog that gives one up: which apps lose it."""
    counted = addon.attachments.aggregate(apps=Count("app", distinct=True))["apps"]
    seen = app_access.apps_for(user).filter(attachments__addon=addon).distinct()
    names = sorted(seen.values_list("name", flat=True))
    return {
        **_frame(pipeline),
        "addon": addon,
        "apps": names,
        "unseen": max(counted - len(names), 0),
        "keeps": settings.KEEP_LAST_BACKUP_DAYS if addon.service.name == "heroku-postgresql" else 0,
        "keeps_files": storage_panel.keeps(addon, settings.KEEP_LAST_BACKUP_DAYS),
        "form": form,
    }


def _frame(pipeline: Pipeline) -> dict[str, Any]:
    return {"pipeline": pipeline, "tab": "resources"}


def _line(row: Addon, names: dict[Any, str]) -> Line:
    kind, word = addon_panels.STATES[Addon.State(row.state)]
    using = {one.app_id for one in row.attachments.all()}
    told = sorted(names[app] for app in using if app in names)[:NAMED]
    shared = getattr(row, "shared", None)
    price, more = addon_panels.price_of(row.plan), len(using) - len(told)
    return Line(row, kind, word, price, shared, told, more, balancing.is_one(row))


def _places(pipeline: Pipeline) -> list[Stage]:
    """The stages, each with how many apps it has."""
    there = Count("couplings", filter=Q(couplings__app__destroyed_at__isnull=True))
    return list(Stage.objects.filter(pipeline=pipeline).annotate(apps=there))
