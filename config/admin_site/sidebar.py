"""The way through the site: its parts, with the numbers that want to be looked at."""

from typing import Any

from django.core.cache import cache
from django.db.models import Count, IntegerField, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from accounts.models import User
from apps.models import App, Dyno
from conductor.models import Node
from pipelines.models import Promotion
from releases.models import Build, Release

FRESH_SECONDS = 5


def icon(request: HttpRequest) -> str:
    """The product's sign."""
    return static("img/icon.svg")


def tokens(request: HttpRequest) -> str:
    """The product's colours."""
    return static("css/tokens.css")


def styles(request: HttpRequest) -> str:
    """What our own pages of the site look like."""
    return static("admin-slipway/site.css")


def search_script(request: HttpRequest) -> str:
    """Gives the search's field the keys."""
    return static("admin-slipway/search.js")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Sections and links, as unfold draws them."""
    now: dict[str, int] = cache.get_or_set("admin:badges", _badges, FRESH_SECONDS) or {}
    return [
        {"items": [_item("Overview", "admin:index", "speed")]},
        {
            "title": "People",
            "separator": True,
            "items": [
                _item("People", "admin:accounts_user_changelist", "person", now["people"], "warning"),
                _item("Teams", "admin:accounts_team_changelist", "group"),
                _item("Invitations", "admin:accounts_invitation_changelist", "mail"),
                _item("API tokens", "admin:accounts_apitoken_changelist", "key"),
            ],
        },
        {
            "title": "Pipelines and apps",
            "separator": True,
            "items": [
                _item("Pipelines", "admin:pipelines_pipeline_changelist", "linear_scale"),
                _item("Promotions", "admin:pipelines_promotion_changelist", "north_east", now["promotions"]),
                _item("Apps", "admin:apps_app_changelist", "deployed_code", now["suspended"], "warning"),
                _item("Domains", "admin:apps_domain_changelist", "language"),
                _item("Config vars", "admin:apps_configvar_changelist", "data_object"),
                _item("Add-ons", "admin:addons_addon_changelist", "extension"),
                _item("Add-on services", "admin:addons_addonservice_changelist", "storefront"),
                _item("Plans", "admin:addons_plan_changelist", "sell"),
                _item("Add-on manifest", "admin:manifest", "upload_file"),
                _item("Database transfers", "admin:addons_transfer_changelist", "cloud_sync"),
                _item("Webhooks", "admin:hooks_webhook_changelist", "webhook"),
                _item("Deliveries", "admin:hooks_delivery_changelist", "outgoing_mail"),
            ],
        },
        {
            "title": "Code",
            "separator": True,
            "items": [
                _item("Builds", "admin:releases_build_changelist", "construction", now["builds"]),
                _item("Releases", "admin:releases_release_changelist", "new_releases", now["releases"]),
                _item("Slugs", "admin:releases_slug_changelist", "inventory_2"),
                _item("Sources", "admin:releases_source_changelist", "folder_zip"),
                _item("Repositories", "admin:forge_repository_changelist", "hub"),
                _item("Pull requests", "admin:forge_pullrequest_changelist", "call_merge"),
                _item("Hooks received", "admin:forge_receipt_changelist", "move_to_inbox"),
                _item("Commit statuses", "admin:forge_commitstatus_changelist", "rule"),
                _item("Reports to hosts", "admin:forge_report_changelist", "outbox"),
                _item("Automatic deploys", "admin:forge_autodeploy_changelist", "bolt"),
            ],
        },
        {
            "title": "Flow",
            "separator": True,
            "items": [
                _item("Lines", "admin:flow_line_changelist", "linear_scale"),
                _item("Passages", "admin:flow_passage_changelist", "moving"),
                _item("Probes", "admin:flow_probe_changelist", "labs"),
                _item("Holds", "admin:flow_hold_changelist", "front_hand"),
                _item("Watches", "admin:flow_watch_changelist", "visibility"),
                _item("slipway.yml", "admin:blueprints_proposal_changelist", "description"),
                _item("Followed repositories", "admin:blueprints_following_changelist", "sync"),
                _item("Channels", "admin:notices_channel_changelist", "forum"),
                _item("Notices", "admin:notices_notice_changelist", "notifications"),
                _item("Mail preferences", "admin:notices_preference_changelist", "mail"),
            ],
        },
        {
            "title": "Engine",
            "separator": True,
            "items": [
                _item("Dynos", "admin:apps_dyno_changelist", "memory", now["crashed"], "danger"),
                _item("Scheduled jobs", "admin:scheduler_scheduledjob_changelist", "schedule"),
                _item("Scheduled runs", "admin:scheduler_scheduledrun_changelist", "event_repeat"),
                _item("Nodes", "admin:conductor_node_changelist", "dns", now["down"], "danger"),
                _item("Add a node", "admin:conductor_swarm_changelist", "add_circle"),
                _item("Conductors", "admin:conductor_beat_changelist", "account_tree"),
                _item("Audit", "admin:audit", "fact_check"),
                _item("Doctor", "admin:doctor", "stethoscope"),
            ],
        },
        {
            "title": "Usage",
            "separator": True,
            "items": [
                _item("Prices of dynos", "admin:metering_dynoprice_changelist", "sell"),
                _item("Running meters", "admin:metering_meter_changelist", "avg_pace"),
                _item("Ledger", "admin:metering_entry_changelist", "receipt_long"),
                _item("Budgets", "admin:metering_budget_changelist", "savings"),
            ],
        },
        {
            "title": "Activity",
            "separator": True,
            "items": [_item("Activity", "admin:core_event_changelist", "history")],
        },
    ]


def _item(title: str, name: str, icon: str, count: int = 0, variant: str = "info") -> dict[str, Any]:
    badge = {"badge": str(count), "badge_variant": variant} if count else {}
    return {"title": title, "link": reverse(name), "icon": icon, **badge}


def _badges() -> dict[str, int]:
    """All numbers at once: one query for one page."""
    open_ = Q(status__in=["pending", "running"])
    counts = {
        "people": User.objects.filter(is_active=False),
        "promotions": Promotion.objects.filter(status="pending"),
        "suspended": App.objects.alive().exclude(suspended_at=None),
        "builds": Build.objects.filter(open_),
        "releases": Release.objects.filter(open_),
        "down": Node.objects.exclude(state="ready"),
        "crashed": Dyno.objects.filter(state="crashed", one_off=False),
    }
    columns = {name: _count(rows) for name, rows in counts.items()}
    found = User.objects.order_by().annotate(**{f"n_{name}": column for name, column in columns.items()})
    row = found.values(*(f"n_{name}" for name in counts)).first() or {}
    return {name: row.get(f"n_{name}", 0) for name in counts}


def _count(rows: Any) -> Coalesce:
    every = rows.order_by().annotate(all=Value(1)).values("all").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(every, output_field=IntegerField()), 0)
