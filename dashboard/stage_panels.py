"""What a pipeline's settings show: its stages with their defaults and rules, its people, its owner."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, OuterRef, Prefetch

from accounts.access import DEPLOY, MANAGE
from accounts.models import Membership, Team, User
from apps import stacks
from dashboard.forms import Form
from dashboard.line_pills import Pill, line_into, pill_of
from dashboard.panels import sizes
from flow.models import Gate
from pipelines import stages, transfers
from pipelines.models import Pipeline, Stage, StageVar

SHOWN, NAMEABLE = 50, 200  # people in the table of access; people to tick in a form
KEEPS = (Stage.Word.REVIEW, Stage.Word.PRODUCTION)  # nothing is promoted from there by default


@dataclass(frozen=True)
class Line:
    """A process type that apps start with, as it stands in fields."""

    type: str = ""
    quantity: str = ""
    size: str = "standard-1x"


@dataclass
class Panel:
    """One stage: folded, its summary; unfolded, the form that changes it."""

    stage: Stage
    form: Form
    lines: list[Line]
    named: set[str]
    people: list[User]
    variables: list[StageVar] = field(default_factory=list)
    following: "Panel | None" = None  # of the stage that promotions go to from here
    opened: bool = False
    shown: str = ""  # the config var whose value is revealed
    value: str = ""

    @property
    def promoters(self) -> str:
        """Who may promote into it, in words."""
        if self.stage.promoters == Stage.Promoters.PEOPLE:
            names = [person.get_short_name() for person in self.people]
            return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nobody"
        return "admins" if self.stage.promoters == Stage.Promoters.ADMINS else "whoever may deploy the app"

    @property
    def blank(self) -> Line:
        """The empty row below the formation."""
        return Line()

    @property
    def promotes(self) -> str:
        """Who promotes from here to the next stage, in words."""
        following = self.following
        who = following.promoters if following else ""
        plural = who in ("admins",) or " or " in who
        return f"{who} {'promote' if plural else 'promotes'}"

    @property
    def goes_round(self) -> bool:
        """Whether code can come to its apps around the gates that stand before it."""
        gated: bool = getattr(self.stage, "gated", False)
        return gated and self.stage.source != Stage.Origin.PROMOTION

    @property
    def pill(self) -> Pill | None:
        """The line from here to the next stage; None where nothing goes on by default."""
        if self.following is None or self.following.stage.word == Stage.Word.REVIEW:
            return None
        return pill_of(line_into(self.following.stage))

    @property
    def protected(self) -> bool:
        """Whether fewer than those who may deploy may promote into it."""
        return self.stage.promoters != Stage.Promoters.DEPLOYERS


@dataclass(frozen=True)
class Person:
    """Who is somebody to the pipeline, and how far they may promote."""

    user: User
    role: str
    may: str


def settings_context(
    pipeline: Pipeline,
    user: User,
    rights: frozenset[str],
    form: Form,
    *,
    after: str = "",
    opened: str = "",
    sent: Sequence[Line] | None = None,
    named: set[str] | None = None,
    shown: tuple[str, str] = ("", ""),
) -> dict[str, Any]:
    """The whole page. `form` holds what was turned down: of the stage `opened` with its formation `sent` and people
    `named`, or of the page's other forms. `shown` is a config var of that stage with its value."""
    panels = [_panel(row, form if row.name == opened else Form()) for row in _stages(pipeline)]
    for panel, following in zip(panels, [*panels[1:], None], strict=True):
        panel.following = None if panel.stage.word in KEEPS else following
        if panel.stage.name == opened:
            panel.opened, (panel.shown, panel.value) = True, shown
            panel.lines = list(panel.lines if sent is None else sent)
            panel.named = panel.named if named is None else named
    return {
        **(_choices(pipeline) if opened and MANAGE in rights else {}),
        "pipeline": pipeline,
        "tab": "settings",
        "form": Form() if opened else form,
        "after": after,
        "panels": panels,
        "words": Stage.Word.values,
        "people": _people(pipeline, panels),
        "teams": _teams(pipeline, user) if MANAGE in rights else [],
        "transfer": transfers.open_for(pipeline),
        "may_manage": MANAGE in rights,
        "may_deploy": DEPLOY in rights,
    }


def stage_context(pipeline: Pipeline, name: str) -> dict[str, Any]:
    """The form of one stage, for who manages the pipeline."""
    [row] = [row for row in _stages(pipeline) if row.name == name]
    return {"pipeline": pipeline, "panel": _panel(row, Form()), "stage": row, **_choices(pipeline)}


def _choices(pipeline: Pipeline) -> dict[str, Any]:
    """What the form of a stage offers."""
    everybody = list(stages.candidates(pipeline)[:NAMEABLE])
    return {
        "everybody": everybody,
        "sizes": sizes(),
        "words": Stage.Word.values,
        "stacks": stacks.available(),
    }


def _stages(pipeline: Pipeline) -> list[Stage]:
    people = Prefetch("people", User.objects.order_by("name", "email"))
    variables = Prefetch("config_vars", StageVar.objects.select_related("set_by").defer("sealed"))
    gates = Gate.objects.filter(line__stage=OuterRef("pk"))
    rows = (
        Stage.objects.filter(pipeline=pipeline)
        .select_related("line")
        .annotate(apps=Count("couplings"), gated=Exists(gates))
    )
    return list(rows.prefetch_related(people, variables).order_by("position"))


def _panel(stage: Stage, refused: Form) -> Panel:
    initial = {
        "stage": stage.name,
        "word": stage.word,
        "buildpacks": "\n".join(stage.buildpacks),
        "addons": "\n".join(stage.addons),
        "health_path": stage.health_path,
        "build_command": stage.build_command,
        "stack": stage.stack,
        "source": stage.source,
        "promoters": stage.promoters,
        "readers": stage.readers,
    }
    lines = [
        Line(type, str(line["quantity"]), line["size"]) for type, line in sorted(stage.formation.items())
    ]
    people = list(stage.people.all())
    return Panel(
        stage,
        refused.over(initial),
        lines,
        {str(person.pk) for person in people},
        people,
        list(stage.config_vars.all()),
    )


def _people(pipeline: Pipeline, panels: Sequence[Panel]) -> list[Person]:
    if pipeline.user is not None:
        return [Person(pipeline.user, "owner", _may(pipeline.user, "admin", panels))]
    rows = Membership.objects.filter(team=pipeline.team).select_related("user").order_by("created_at")[:SHOWN]
    return [Person(row.user, row.role, _may(row.user, row.role, panels)) for row in rows]


def _may(user: User, role: str, panels: Sequence[Panel]) -> str:
    """Into which stages somebody of that role may promote, in words."""
    if role == Membership.Role.VIEWER:
        return "Nothing"
    into = [panel for panel in panels if panel.stage.word != Stage.Word.REVIEW]
    allowed = [panel for panel in into if _lets(panel, user, role)]
    if len(allowed) == len(into):
        return "Every stage"
    return ", ".join(panel.stage.title.lower() for panel in allowed).capitalize() or "Nothing"


def _lets(panel: Panel, user: User, role: str) -> bool:
    if panel.stage.promoters == Stage.Promoters.PEOPLE:
        return user in panel.people
    return panel.stage.promoters == Stage.Promoters.DEPLOYERS or role == Membership.Role.ADMIN


def _teams(pipeline: Pipeline, user: User) -> list[Team]:
    """The teams that `user` could hand it to at once."""
    rows = Team.objects.filter(memberships__user=user).exclude(memberships__role=Membership.Role.VIEWER)
    return [team for team in rows if team.pk != pipeline.team_id]
