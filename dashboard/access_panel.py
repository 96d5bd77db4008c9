"""Who may do what with an app, by what, and what the rights mean."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet

from accounts.access import MANAGE, RIGHTS, ROLE_RIGHTS, VIEW
from accounts.models import Membership, User
from apps.models import App, Collaborator
from dashboard.panels import frame
from pipelines.models import Coupling, Stage

PER_PAGE = 50
MEANINGS = {
    "view": "See the app, its builds, releases, dynos and activity.",
    "deploy": "Push code, build, release and roll back; promote; read and set config vars; run one-off dynos.",
    "operate": "Read logs, send them and news to other places, scale, restart, and turn maintenance on and off.",
    "manage": "Rename, transfer and destroy it; buildpacks, health check, domains and certificates; share it with others.",
}


def people(app: App, user: User, page: str | None = None) -> dict[str, Any]:
    """The owner or the team's people, and collaborators, each with their rights; page by page where they are many."""
    framed = frame(app, user, "access")
    shared = (
        Collaborator.objects.filter(app=app)
        .exclude(rights=[])
        .select_related("user")
        .order_by("created_at", "pk")
    )
    members = _members(app)
    shared_with = shared.count()
    found = Paginator(range(max(members.count(), shared_with)), PER_PAGE).get_page(page)
    start = (found.number - 1) * PER_PAGE
    joined = set(Collaborator.objects.filter(app=app, rights=[]).values_list("user_id", flat=True))
    return {
        **framed,
        "page": found,
        "members": [_member(row, app, joined) for row in members[start : start + PER_PAGE]],
        "collaborators": list(shared[start : start + PER_PAGE]),
        "shared_with": shared_with,
        "all_rights": RIGHTS,
        "meanings": MEANINGS,
        "rules": _rules(framed["coupling"]),
    }


def _members(app: App) -> QuerySet[Any]:
    if app.team_id is None:
        return User.objects.filter(pk__in=[app.user_id])
    return (
        Membership.objects.filter(team=app.team_id)
        .select_related("user", "team")
        .order_by("created_at", "pk")
    )


def _member(row: User | Membership, app: App, joined: set[Any]) -> dict[str, Any]:
    if isinstance(row, User):
        return {"user": row, "by": "Owner", "rights": frozenset(RIGHTS)}
    role = Membership.Role(row.role)
    by, rights = f"{role.label.capitalize()} of {row.team}", ROLE_RIGHTS[role]
    if row.user_id in joined:
        by += ", joined"
    elif app.locked and MANAGE not in rights:
        rights &= {VIEW}
    return {"user": row.user, "by": by, "rights": rights}


def _rules(coupling: Coupling | None) -> list[str]:
    """What the app's stage takes away from those who may deploy."""
    if coupling is None:
        return []
    stage, rules = coupling.stage, []
    if stage.promoters == Stage.Promoters.ADMINS:
        rules.append(f"Only admins promote into {stage.title}.")
    elif stage.promoters == Stage.Promoters.PEOPLE:
        rules.append(f"Only people who are named there promote into {stage.title}.")
    if stage.readers == Stage.Readers.ADMINS:
        rules.append(f"Only admins read and set config vars in {stage.title}, and run one-off dynos there.")
    return rules
