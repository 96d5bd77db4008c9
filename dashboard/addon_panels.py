"""What the pages show of add-ons: those of an app, the catalog, one by itself, and the dialogs about them."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, OuterRef, Prefetch, Q, Subquery

from accounts.models import User
from addons import access, archives, catalog, maintenance
from addons.models import Addon, AddonService, Attachment, Plan
from addons.providers.mailer import MAILER
from addons.providers.memcached import MEMCACHIER
from addons.providers.storage import STORAGE
from apps import access as app_access
from apps.models import App
from dashboard import archive_page, panels, storage_panel
from dashboard.forms import Form
from metering.budgets import money
from pipelines.access import may_see_config, showing_config
from pipelines.databases import may_enter

SHARES = 50  # add-ons that can be chosen from to attach
STATES = {
    Addon.State.PROVISIONING: ("building", "Being made"),
    Addon.State.PROVISIONED: ("live", "Ready"),
    Addon.State.CHANGING: ("building", "Changing plan"),
    Addon.State.DEPROVISIONING: ("building", "Being removed"),
    Addon.State.FAILED: ("failed", "Failed"),
}


@dataclass(frozen=True)
class Line:
    """An add-on as one app has it."""

    addon: Addon
    kind: str
    word: str
    price: str
    owned: bool
    attachments: list[Attachment]  # of this app
    elsewhere: list[str]  # names of other apps, as far as they are told


@dataclass(frozen=True)
class Offer:
    """A service of the catalog, and why it can't be had if it can't."""

    service: AddonService
    price: str
    why_not: str


@dataclass(frozen=True)
class Choice:
    """A plan to choose."""

    plan: Plan
    price: str
    chosen: bool
    current: bool


def of_app(app: App, user: User) -> dict[str, Any]:
    """The add-ons that the app owns or uses, and what else there is to be had."""
    return {
        "addons": lines(app, user),
        "offers": offers(),
        "may_attach": may_see_config(user, app),
    }


def lines(app: App, user: User, rows: Any = None) -> list[Line]:
    """The add-ons of `app`, in two queries. Other apps are named to who may view them."""
    rows = access.addons_of(app) if rows is None else rows
    seen = app_access.apps_for(user).filter(pk=OuterRef("app")).values("name")[:1]
    attached = Prefetch("attachments", Attachment.objects.annotate(seen_as=Subquery(seen)))
    return [_line(row, app) for row in rows.order_by("created_at", "name").prefetch_related(attached)]


def _line(row: Addon, app: App) -> Line:
    kind, word = STATES[Addon.State(row.state)]
    attached: list[Any] = list(row.attachments.all())  # each with `seen_as`
    for one in attached:
        one.addon = row  # with its service, so that the config vars ask for nothing
    others = sorted({one.seen_as for one in attached if one.app_id != app.pk and one.seen_as})
    mine = [one for one in attached if one.app_id == app.pk]
    return Line(row, kind, word, price_of(row.plan), row.app_id == app.pk, mine, others)


def offers(*, for_app: bool = True) -> list[Offer]:
    """The catalog, for an app or for a pipeline: what can be had first."""
    public = Q(plans__state=Plan.State.PUBLIC)
    rows = catalog.services().prefetch_related(None)  # two figures are all that is told of the plans
    found = [
        Offer(row, _from(row.public, row.cheapest), catalog.why_not(row, for_app=for_app))
        for row in rows.annotate(
            public=Count("plans", filter=public), cheapest=Min("plans__price_cents", filter=public)
        )
    ]
    return sorted(found, key=lambda offer: bool(offer.why_not))


def ordering(app: App, user: User, service: AddonService, form: Form) -> dict[str, Any]:
    """The dialog that orders one: plans with prices and limits, names, what follows."""
    plans = [plan for plan in service.plans.all() if plan.state == Plan.State.PUBLIC]
    chosen = form.value("plan") or next((plan.name for plan in plans if plan.default), "")
    return {
        **panels.frame(app, user, "resources"),
        **panels.consequences(app),
        "service": service,
        "why_not": catalog.why_not(service, for_app=True),
        "choices": [_choice(plan, service, chosen) for plan in plans],
        "form": form,
        "first": not app.attachments.filter(name=service.first_name).exists(),
    }


def replanning(app: App, user: User, addon: Addon, form: Form) -> dict[str, Any]:
    """The dialog that changes the plan."""
    plans = addon.service.plans.filter(state=Plan.State.PUBLIC)
    chosen = form.value("plan") or addon.plan.name
    return {
        **panels.frame(app, user, "resources"),
        "addon": addon,
        "price": price_of(addon.plan),
        "choices": [_choice(plan, addon.service, chosen, current=addon.plan) for plan in plans],
        "archives": addon.service.name == archives.SERVICE,
        "empties": addon.service.name == MEMCACHIER,
        "holds_files": addon.service.name == STORAGE,
        "form": form,
    }


def sharing(app: App, user: User, form: Form) -> dict[str, Any]:
    """The dialog that attaches what other apps own: add-ons whose owner's config the viewer may see."""
    owners = showing_config(user, app_access.apps_for(user).exclude(pk=app.pk).filter(addons__isnull=False))
    rows = Addon.objects.there().whole().filter(app__in=owners)
    able = rows.filter(plan__service__sharable=True).exclude(state=Addon.State.FAILED)
    return {
        **panels.frame(app, user, "resources"),
        **panels.consequences(app),
        "shares": list(able.order_by("app__name", "name")[:SHARES]),
        "form": form,
    }


def of_addon(
    app: App, user: User, addon: Addon, form: Form | None = None, hours: Form | None = None
) -> dict[str, Any]:
    """An add-on's own page, as it is seen from an app that owns or uses it."""
    rows = access.whole(Attachment.objects.filter(addon=addon, app__in=app_access.apps_for(user)))
    attached = list(rows.order_by("app__name", "name"))
    kind, word = STATES[Addon.State(addon.state)]
    rights, may_attach = access.rights_in(user, addon), may_see_config(user, app)
    return {
        **panels.frame(app, user, "resources"),
        **panels.consequences(app),
        "addon": addon,
        "kind": kind,
        "word": word,
        "price": price_of(addon.plan),
        "limits": [catalog.in_words(key, amount) for key, amount in addon.plan.limits.items()],
        "attached": attached,
        "unseen": addon.attachments.exclude(app__in=app_access.apps_for(user)).count(),
        "archives": addon.service.name == archives.SERVICE and addon.app_id == app.pk,
        "inbox": addon.service.name == MAILER and may_enter(user, addon),
        "mine": [row for row in attached if row.app_id == app.pk],
        "credentials": sorted(name for name in addon.config_keys if name),
        "owned": addon.app_id == app.pk,
        "may_change": access.right_to_have(addon.plan) in rights,
        "may_attach": may_attach,
        "form": form or Form(name=addon.name),
        **_maintained(addon, hours, may=access.OPERATE in rights),
        **storage_panel.of_addon(addon, may_see_config=may_attach),
    }


def _maintained(addon: Addon, form: Form | None, *, may: bool) -> dict[str, Any]:
    """When its server is maintained, and the form that changes that; nothing where the platform runs none for it."""
    found = maintenance.standing(addon)
    if found is None:
        return {"upkeep": None}
    window = found.window
    return {
        "upkeep": found,
        "may_maintain": may and not found.shared,
        "keeps_data": addon.service.name != MEMCACHIER,
        "days": maintenance.DAYS,
        "hours": form or Form(day=maintenance.DAYS[window.day], time=window.time),
    }


def destroying(app: App, user: User, addon: Addon, form: Form) -> dict[str, Any]:
    """The dialog that gives one up: which apps lose it, what that does."""
    counted = addon.attachments.aggregate(apps=Count("app", distinct=True))["apps"]
    seen = app_access.apps_for(user).filter(attachments__addon=addon).exclude(pk=app.pk).distinct()
    names = sorted(seen.values_list("name", flat=True))
    return {
        **panels.frame(app, user, "resources"),
        **panels.consequences(app),
        "addon": addon,
        "others": names,
        "unseen": max(counted - len(names) - 1, 0),
        "keeps": settings.KEEP_LAST_BACKUP_DAYS if addon.service.name == "heroku-postgresql" else 0,
        "keeps_files": storage_panel.keeps(addon, settings.KEEP_LAST_BACKUP_DAYS),
        "loses": archive_page.loses(app, addon) if addon.service.name == archives.SERVICE else "",
        "form": form,
    }


def price_of(plan: Plan) -> str:
    """What it costs, for people; empty where operators show no prices."""
    if not settings.SHOW_PRICES:
        return ""
    return _monthly(plan.price_cents)


def _from(plans: int, cheapest: int | None) -> str:
    if cheapest is None or not settings.SHOW_PRICES:
        return ""
    if plans == 1:
        return _monthly(cheapest)
    return f"From {money(cheapest)} a month" if cheapest else "Begins at no charge"


def _monthly(cents: int) -> str:
    return f"{money(cents)} a month" if cents else "No charge"


def _choice(plan: Plan, service: AddonService, chosen: str, current: Plan | None = None) -> Choice:
    plan.service = service
    return Choice(plan, price_of(plan), plan.name == chosen, current is not None and plan.pk == current.pk)
