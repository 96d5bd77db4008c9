"""Who may set up lines, stop them, and decide about what waits at them."""

from accounts.access import DEPLOY, MANAGE, VIEW
from accounts.models import User
from apps import access as app_access
from core.errors import Forbidden
from flow.models import Gate, Line, Passage
from pipelines import access
from pipelines.models import Coupling, Pipeline
from releases.models import Build

__all__ = [
    "authors_of",
    "decides",
    "demand_deciding",
    "demand_letting_pass",
    "demand_manager",
    "demand_stopping",
    "may_decide",
    "may_stop",
]


def demand_manager(user: User, pipeline: Pipeline) -> None:
    """`Forbidden` for who does not manage the pipeline: lines and gates are theirs."""
    if MANAGE not in access.rights_in(user, pipeline):
        raise Forbidden(f"Only who manages {pipeline.name} sets up how releases pass.")


def may_stop(user: User, pipeline: Pipeline, line: Line | None = None) -> bool:
    """Whether `user` may hold the line, or all of the pipeline, and lift that: who manages it, and who may promote."""
    rights = access.rights_in(user, pipeline)
    if MANAGE in rights:
        return True
    if line is not None and not access.may_promote_into(user, line.stage):
        return False
    rows = Coupling.objects.filter(pipeline=pipeline)
    if line is not None:
        rows = rows.filter(stage=line.stage)
    apps = app_access.with_rights(rows.select_related("app"), user, app="app__")
    return DEPLOY in rights or any(DEPLOY in app_access.rights_found(user, row.app, row) for row in apps)


def demand_stopping(user: User, pipeline: Pipeline, line: Line | None = None) -> None:
    """`Forbidden` for who may not stop and start the line."""
    if not may_stop(user, pipeline, line):
        where = line.stage.title if line else pipeline.name
        raise Forbidden(f"Only who may promote into {where} stops and starts it.")


def authors_of(passage: Passage) -> tuple[set[str], set[str]]:
    """Whose work it is: the addresses of the commit's author, and the ids of who had it built."""
    slug = passage.slug
    built = Build.objects.filter(slug=slug).exclude(by=None).values_list("by", flat=True)
    return {slug.author_email.lower()} - {""}, {str(pk) for pk in built}


def decides(user: User, gate: Gate, passage: Passage) -> bool:
    """Whether a word of `user` counts at this gate: they are among the people or roles that it names (without any: who
    may promote into the stage), and the work is not their own."""
    said = gate.settings
    if not user.is_active:
        return False
    addresses, builders = authors_of(passage)
    if not said["own"] and (user.email.lower() in addresses or str(user.pk) in builders):
        return False
    if not said["people"] and not said["roles"]:
        return _may_promote(user, passage)
    pipeline = passage.line.stage.pipeline
    if str(user.pk) in said["people"]:
        return VIEW in access.rights_in(user, pipeline)
    return bool(_roles(user, pipeline) & set(said["roles"]))


def may_decide(user: User, passage: Passage) -> bool:
    """Whether `user` may say yes or no to it at one of its gates, or let it pass where the line asks for that."""
    approvals = [gate for gate in passage.line.gates.all() if gate.kind == Gate.Kind.APPROVAL]
    return any(decides(user, gate, passage) for gate in approvals) or may_let_pass(user, passage)


def may_let_pass(user: User, passage: Passage) -> bool:
    """Whether theirs can be the yes that a line asks for."""
    return passage.line.mode == Line.Mode.ASK and _may_promote(user, passage)


def demand_deciding(user: User, passage: Passage) -> None:
    """`Forbidden`, with why, for whose word does not count."""
    if may_decide(user, passage):
        return
    addresses, builders = authors_of(passage)
    if user.email.lower() in addresses or str(user.pk) in builders:
        raise Forbidden("It is your own work: somebody else has to approve it.")
    raise Forbidden(f"{passage.line.stage.title} asks others to approve this.")


def demand_letting_pass(user: User, passage: Passage) -> None:
    """`Forbidden` for whose yes is not the one that the line asks for."""
    if not may_let_pass(user, passage):
        raise Forbidden(
            f"Only who may promote into {passage.line.stage.title} lets it pass, where the line asks."
        )


def _may_promote(user: User, passage: Passage) -> bool:
    """Whether they may promote into the stage and deploy one of its apps at least."""
    stage = passage.line.stage
    if not access.may_promote_into(user, stage):
        return False
    rows = Coupling.objects.filter(stage=stage).select_related("app")
    found = app_access.with_rights(rows, user, app="app__")
    return any(DEPLOY in app_access.rights_found(user, row.app, row) for row in found)


def _roles(user: User, pipeline: Pipeline) -> set[str]:
    """`member` for who may deploy in the pipeline, `admin` besides for who manages it."""
    rights = access.rights_in(user, pipeline)
    return {word for word, right in (("admin", MANAGE), ("member", DEPLOY)) if right in rights}
