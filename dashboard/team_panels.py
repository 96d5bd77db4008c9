"""What the pages of a team show."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet

from accounts.access import MANAGE, ROLE_RIGHTS, whom_to_ask
from accounts.models import Invitation, Membership, Team, User
from apps import limits
from apps.models import App
from core.models import Event
from dashboard import feed, fleet
from pipelines.models import Pipeline

PIPELINES, APPS, PEOPLE, EVENTS = 30, 30, 25, 50  # a page

ROLES = {
    Membership.Role.VIEWER: "See apps, builds, releases and the board.",
    Membership.Role.MEMBER: "Also deploy, promote, change config vars, scale, and add apps.",
    Membership.Role.ADMIN: "Also manage people, access and ownership.",
}
ROLES_SAID = [(role.value, str(role.label), said) for role, said in ROLES.items()]


@dataclass(frozen=True)
class Use:
    """How much of a limit is used."""

    what: str
    used: int
    of: int

    @property
    def marks_of(self) -> int:
        """How many marks stand for all of it."""
        return min(self.of, 12)

    @property
    def marks(self) -> int:
        """How many of them are filled; one at least when anything is used."""
        share = -(-self.used * self.marks_of // self.of) if self.of else 0
        return min(share, self.marks_of)

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits."""
        return self.used >= self.of


def mine(user: User) -> QuerySet[Membership]:
    """The teams that `user` is in, each with the number of its people, apps and pipelines."""
    rows = Membership.objects.filter(user=user).select_related("team").order_by("team__name")
    return rows.annotate(people=Count("team__memberships", distinct=True))


def frame(membership: Membership, tab: str) -> dict[str, Any]:
    """What every page of a team needs: the team, the viewer's own role in it, and what that lets them do."""
    rights = ROLE_RIGHTS[Membership.Role(membership.role)]
    return {"team": membership.team, "mine": membership, "may_manage": MANAGE in rights, "tab": tab}


def overview(membership: Membership, page: str | None) -> dict[str, Any]:
    """What the team owns, how that stands, and the limits that operators set."""
    team = membership.team
    owned = (
        App.objects.alive().listed().filter(team=team).select_related("coupling__stage", "coupling__pipeline")
    )
    apps = Paginator(owned, APPS).get_page(page)
    pipelines = list(
        Pipeline.objects.filter(team=team).annotate(
            apps=Count("couplings", distinct=True), steps=Count("stages", distinct=True)
        )[: PIPELINES + 1]
    )
    return {
        **frame(membership, "overview"),
        "pipelines": pipelines[:PIPELINES],
        "more_pipelines": len(pipelines) > PIPELINES,
        "page": apps,
        "apps": list(fleet.look(apps).values()),
        "uses": uses(team, apps.paginator.count),
        "whom_to_ask": whom_to_ask(),
    }


def uses(team: Team, apps: int) -> list[Use]:
    """What is used of each limit that an operator set; `apps` is how many the team has."""
    found = []
    if team.max_apps is not None:
        found.append(Use("Apps", apps, team.max_apps))
    if team.max_dynos is not None:
        found.append(Use("Dynos", limits.dynos_of(team), team.max_dynos))
    return found


def people(membership: Membership, page: str | None) -> dict[str, Any]:
    """Who is in the team, and to those who manage it also who is invited."""
    team = membership.team
    rows = team.memberships.select_related("user").order_by("user__name", "user__email")
    context = frame(membership, "members")
    pending = list(team.invitations.pending().select_related("by")) if context["may_manage"] else []
    return {
        **context,
        "page": Paginator(rows, PEOPLE).get_page(page),
        "roles": ROLES_SAID,
        "pending": pending,
        "doubtful": _unmeant(team, pending),
    }


def _unmeant(team: Team, pending: list[Invitation]) -> set[Any]:
    """The invitations whose maker could not make them today: their links do not work until someone renews them."""
    if not pending:
        return set()
    admins = team.memberships.filter(role=Membership.Role.ADMIN, user__is_active=True)
    makers = set(admins.values_list("user_id", flat=True))
    return {invitation.pk for invitation in pending if invitation.by_id not in makers}


def activity(membership: Membership, about: str, page: str | None) -> dict[str, Any]:
    """What happened to the team and its people, and unless `about` is "people" to what it owns."""
    team = membership.team
    wanted = Q(kind="team", object_id=str(team.pk)) | Q(
        kind__in=("membership", "invitation"), details__team=str(team.pk)
    )
    if about != "people":
        wanted |= Q(app_id__in=App.objects.filter(team=team).values("pk"))
        wanted |= Q(pipeline_id__in=Pipeline.objects.filter(team=team).values("pk"), app_id=None)
    context = frame(membership, "activity")
    if not context["may_manage"]:
        wanted &= ~Q(kind="invitation")  # whom a team invites is for those who manage it
    events = Paginator(Event.objects.filter(wanted).select_related("by"), EVENTS).get_page(page)
    keep = "about=people&" if about else ""
    entries, names = feed.entries(events), _names(events)
    rows = [{"entry": one, "place": names.get(one.event.app_id or one.event.pipeline_id)} for one in entries]
    return {**context, "about": about, "keep": keep, "page": events, "days": feed.by_day(rows)}


def _names(events: Iterable[Event]) -> dict[Any, str]:
    """What the apps and pipelines that events are about are called now, by their ids."""
    apps = {event.app_id for event in events if event.app_id}
    pipelines = {event.pipeline_id for event in events if event.pipeline_id}
    found = list(App.objects.filter(pk__in=apps).values_list("pk", "name"))
    return dict(found + list(Pipeline.objects.filter(pk__in=pipelines).values_list("pk", "name")))
