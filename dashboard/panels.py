"""What the pages of an app show: one function a page or partial, with a constant number of queries each."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Q

from accounts.access import DEPLOY, ROLE_RIGHTS
from accounts.models import Membership, Team, User
from addons.models import Attachment
from apps import access, stacks, transfers
from apps.models import App, Dyno
from core.models import Event
from dashboard import certificates, fleet
from dashboard.autoscale_panel import panel, scaler_of
from dashboard.forms import Form
from dashboard.words import span
from engine.spec import MB, SIZES
from metering import budgets, prices
from pipelines.access import may_see_config
from pipelines.models import Coupling, Pipeline, Stage
from releases import estimates
from releases.models import Build, Release

APPS_PER_PAGE = 50
SLEEP_MINUTES = (15, 30, 60, 120, 480, 1440)  # to choose from
PLACE = ("stage", "pipeline", "pipeline__team", "pipeline__user")  # what a coupling says of an app
PLACED = tuple(f"coupling__{path}" for path in PLACE)


def frame(app: App, user: User, tab: str) -> dict[str, Any]:
    """What every page of an app needs: the app, its place in a pipeline, what the viewer may do."""
    return frame_of(app, user, tab, Coupling.objects.filter(app=app).select_related(*PLACE).first())


def frame_of(app: App, user: User, tab: str, coupling: Coupling | None) -> dict[str, Any]:
    """The same for who knows the app's coupling already."""
    return {
        "app": app,
        "tab": tab,
        "coupling": coupling,
        "pipeline": coupling.pipeline if coupling else None,
        "rights": access.rights_at_hand(user, app),
    }


def stand(app: App) -> dict[str, Any]:
    """How the app stands now: its state, current release, work under way, formation with dynos."""
    now = fleet.look([app])[app.pk]
    return {
        "now": now,
        "state": now.state,
        "current": now.current,
        "lines": now.lines,
        "currency": settings.CURRENCY,
        "scaler": scaler_of(app),
        "busy": [line for line in now.lines if line.quantity],
        "dynos_wanted": sum(line.quantity for line in now.lines),
        "dynos_up": sum(line.up for line in now.lines),
    }


def stage_before(coupling: Coupling) -> Stage | None:
    """The stage whose promotions come here by default."""
    stages = Stage.objects.filter(pipeline=coupling.pipeline_id, position__lt=coupling.stage.position)
    before = stages.order_by("-position").first()
    return None if before is None or before.word in (Stage.Word.REVIEW, Stage.Word.PRODUCTION) else before


def events(app: App) -> Any:
    """What happened to the app, newest first."""
    return Event.objects.filter(app_id=app.pk).select_related("by")


def builds(app: App) -> Any:
    """Its builds, newest first, with what a list says of each; `took` is in seconds once it has ended."""
    rows = Build.objects.filter(app=app).select_related("source", "by", "release")
    return rows.defer("release__sealed_config")


def releases(app: App) -> Any:
    """Its releases, newest first, with what a list says of each."""
    return (
        Release.objects.filter(app=app)
        .select_related("slug__app", "by", "from_release__app")
        .defer("sealed_config", "from_release__sealed_config")
    )


def attachments(app: App) -> Any:
    """The add-ons that the app uses, under the names it knows them by."""
    return Attachment.objects.filter(app=app).select_related(
        "addon__app", "addon__pipeline", "addon__plan__service"
    )


class DynoSize(NamedTuple):
    """A size of a dyno to choose, in words, and what it costs a month: nothing where no prices are shown."""

    name: str
    words: str
    cents: int


def sizes() -> list[DynoSize]:
    """The sizes of a dyno, each with its memory, and its price where prices are shown."""
    cents = prices.of_sizes()
    return [_size(name, _memory(size.memory), cents.get(name, 0)) for name, size in SIZES.items()]


def _size(name: str, memory: str, cents: int) -> DynoSize:
    price = f", {budgets.money(cents).removesuffix('.00')}/month" if cents else ""
    return DynoSize(name, f"{name}, {memory}{price}", cents)


def _memory(amount: int) -> str:
    megabytes = amount // MB
    return f"{megabytes} MB" if megabytes < 1024 else f"{megabytes / 1024:g} GB"


def resources(
    app: App,
    user: User,
    *,
    scaling: Form | None = None,
    running: Form | None = None,
    autoscaling: Form | None = None,
) -> dict[str, Any]:
    """The formation with its dynos, one-off dynos; with what was typed into a form that was refused. `app` has come
    with what `PLACED` names, and with its `autoscale`."""
    found = stand(app)
    return {
        "scaling": scaling or Form(),
        "running": running or Form(size="standard-1x"),
        "may_run": may_see_config(user, app),
        **frame_of(app, user, "resources", getattr(app, "coupling", None)),
        **found,
        "sizes": sizes(),
        "autoscaling": panel(app, found["lines"], autoscaling),
        "usual_start": estimates.expected(app, "start"),
        "one_offs": Dyno.objects.filter(app=app, one_off=True)
        .exclude(type="release")
        .select_related("by")
        .order_by("-created_at")[:10],
    }


def consequences(app: App) -> dict[str, Any]:
    """What a change of config will do: the release it makes, the dynos it restarts, what serves until then."""
    current = Release.objects.current_for(app)
    running = Dyno.objects.filter(app=app, one_off=False).exclude(state="down").count()
    return {"next_version": app.last_version + 1, "current": current, "restarts": running}


def app_rows(user: User, q: str, number: str) -> dict[str, Any]:
    """Page `number` of the apps that `user` may see, each with how it stands; `q` is looked for in their names. Review
    apps are on their pipeline's board."""
    apps = access.apps_for(user).exclude(ephemeral="review")
    apps = apps.select_related("user", "team", "coupling__stage", "coupling__pipeline")
    page = Paginator(apps.filter(name__icontains=q) if q else apps, APPS_PER_PAGE).get_page(number)
    found = fleet.look(page)
    rows = [
        {
            "app": now.app,
            "now": now,
            "coupling": getattr(now.app, "coupling", None),
            "up": sum(line.up for line in now.lines),
            "wanted": sum(line.quantity for line in now.lines),
        }
        for now in found.values()
    ]
    return {"rows": rows, "page": page, "q": q, "query": urlencode({"q": q}) if q else ""}


def places(user: User) -> dict[str, Any]:
    """Where `user` may put a new app: teams that let them create things, and stages of pipelines."""
    creators = [role for role, rights in ROLE_RIGHTS.items() if DEPLOY in rights]
    teams = Team.objects.filter(pk__in=Membership.objects.filter(user=user, role__in=creators).values("team"))
    mine = Pipeline.objects.filter(Q(user=user) | Q(team__in=teams)).prefetch_related("stages")
    return {"teams": teams, "pipelines": mine}


def _sleep_choices(app: App) -> list[tuple[int, str]]:
    """After how many minutes an app may sleep, in words; what it has now is among them."""
    return [(minutes, span(minutes)) for minutes in sorted({*SLEEP_MINUTES, app.sleep_minutes} - {0})]


def settings_of(app: App, user: User) -> dict[str, Any]:
    """Everything that can be set."""
    framed = frame(app, user, "settings")
    manages = access.MANAGE in framed["rights"]
    current = Release.objects.current_for(app)
    return {
        **framed,
        "git_url": app.git_url,
        "web_url": app.web_url,
        **certificates.domains_of(app),
        "current": current,
        "stacks": stacks.available(),
        "has_stacks": len(stacks.available()) > 1 or app.stack not in stacks.available(),
        "sleep_choices": _sleep_choices(app),
        "transfer": transfers.open_for(app),
        "teams": Team.objects.filter(memberships__user=user) if manages else (),
    }
