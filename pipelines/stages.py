"""What a stage gives to the apps that come into it, its defaults; and what it asks of people, its rules."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from accounts.models import Membership, User
from apps import actions as app_actions
from apps import stacks
from apps.models import App, Collaborator
from core import activity, live, names
from core.errors import NotFound, Refusal
from pipelines import default_addons, layers
from pipelines.layers import inherited as inherited
from pipelines.layers import reveal as reveal
from pipelines.layers import set_vars as set_vars
from pipelines.models import Pipeline, Stage

MAX_TYPES = 20


def locked(stage: Stage) -> Stage:
    """The stage as it is now; nobody can remove or change it until the transaction ends."""
    found = Stage.objects.select_for_update().filter(pk=stage.pk).first()
    if found is None:
        raise NotFound("Couldn't find that stage.", resource="stage")
    return found


# --- rules ----------------------------------------------------------------------------------------------------------------


def candidates(pipeline: Pipeline) -> QuerySet[User]:
    """Who may deploy something of the pipeline, and so can be named: its owner, people of the owning team and of the
    teams that own its apps unless they only view, and collaborators."""
    apps = App.objects.filter(coupling__pipeline=pipeline)
    teams = Q(team=pipeline.team_id) | Q(team__in=apps.values("team"))
    members = Membership.objects.filter(teams).exclude(role=Membership.Role.VIEWER).values("user")
    # JSON lists can't be looked into alike in every database, but all of them have a text of the list.
    shares = Collaborator.objects.filter(app__in=apps).annotate(told=Cast("rights", TextField()))
    sharers = shares.filter(told__contains='"deploy"').values("user")
    owners = Q(pk=pipeline.user_id) | Q(pk__in=apps.values("user"))
    found = User.objects.filter(owners | Q(pk__in=members) | Q(pk__in=sharers), is_active=True)
    return found.order_by("name", "email")


@transaction.atomic
def set_rules(stage: Stage, *, promoters: str, people: Iterable[str] = (), readers: str, by: User) -> Stage:
    """Say who may promote into the stage (`people`, the ids of some `candidates`, where those are named) and who may
    see config there. It counts from now on, for promotions under way too."""
    stage = locked(stage)
    if promoters not in Stage.Promoters.values or readers not in Stage.Readers.values:
        raise Refusal("Choose who may.", fields={"promoters": "Choose one."})
    named = promoters == Stage.Promoters.PEOPLE
    chosen = [user for user in candidates(stage.pipeline) if str(user.pk) in set(people)] if named else []
    if named and not chosen:
        text = "Name at least one person, or choose another rule."
        raise Refusal(text, fields={"people": text})
    before = rules_in_words(stage)
    stage.promoters, stage.readers = promoters, readers
    stage.save(update_fields=["promoters", "readers"])
    stage.people.set(chosen)
    after = rules_in_words(stage)
    if before != after:
        _record(by, "set the rules of", stage, before=before, after=after)
    return stage


def rules_in_words(stage: Stage) -> dict[str, str]:
    """The rules as the activity tells them."""
    people = ", ".join(stage.people.order_by("email").values_list("email", flat=True))
    return {
        "promote": people if stage.promoters == Stage.Promoters.PEOPLE else stage.promoters,
        "see config": stage.readers,
    }


# --- defaults ---------------------------------------------------------------------------------------------------------------


@transaction.atomic
def set_defaults(
    stage: Stage,
    *,
    buildpacks: Sequence[str],
    health_path: str,
    formation: Mapping[str, Mapping[str, Any]],
    addons: Sequence[str] = (),
    build_command: str = "",
    stack: str = "",
    by: User,
) -> Stage:
    """Say what apps start with here; `formation` is `{type: {"quantity": 2, "size": "basic"}}`, `addons` are plans
    such as `heroku-postgresql:mini`. Apps that are here already keep what they have."""
    stage = locked(stage)
    app_actions.check_buildpacks(buildpacks)
    app_actions.check_health_path(health_path)
    before = _defaults(stage)
    stage.addons = default_addons.checked(addons)
    stage.buildpacks, stage.health_path = list(buildpacks), health_path
    stage.build_command = app_actions.check_build_command(build_command)
    stage.stack = _checked_stack(stack)
    stage.formation = _checked(formation)
    stage.save(update_fields=["buildpacks", "build_command", "stack", "health_path", "formation", "addons"])
    after = _defaults(stage)
    if before != after:
        _record(by, "set the defaults of", stage, before=before, after=after)
    return stage


@transaction.atomic
def set_origin(stage: Stage, source: str, *, by: User) -> Stage:
    """Say where releases of apps here come from: `any`, `own` or `promotion`. It counts from now on, for pushes and
    builds under way too. Review apps are always built."""
    stage = locked(stage)
    if source not in Stage.Origin.values:
        raise Refusal("Choose where releases come from.", fields={"source": "Choose one."})
    if stage.word == Stage.Word.REVIEW and source != Stage.Origin.ANY:
        raise Refusal("Review apps are built from branches.", fields={"source": "Review apps are built."})
    before = stage.source
    if before != source:
        stage.source = source
        stage.save(update_fields=["source"])
        _record(by, "set the source of", stage, before=before, after=source)
    return stage


def start(app: App, stage: Stage, *, by: User) -> None:
    """Give the app what it lacks of the stage's defaults: buildpacks, a build command and a health path if it has none,
    the stack if nothing was built for it yet; and what it inherits here, in one release. The formation follows with its
    first release (`formation_of`). Call it in the transaction that puts the app there."""
    if stage.buildpacks and not app.buildpacks:
        app_actions.set_buildpacks(app, stage.buildpacks, by=by)
    if stage.build_command and not app.build_command:
        app_actions.set_build_command(app, stage.build_command, by=by)
    if stage.health_path and not app.health_path:
        app_actions.set_health_path(app, stage.health_path, by=by)
    if stage.stack in stacks.available() and not app.builds.exists():
        stacks.set_stack(app, stage.stack, by=by)
    layers.bring(app, f"Config vars of {stage.title}", by=by)
    default_addons.give(app, stage, by=by)


def formation_of(app: App) -> dict[str, dict[str, Any]]:
    """What the app's stage says of process types that it has for the first time: `{type: {quantity, size}}`."""
    found = Stage.objects.filter(couplings__app=app).values_list("formation", flat=True).first()
    return dict(found or {})


def _checked_stack(stack: str) -> str:
    if stack and stack not in stacks.available():
        text = f"There is no stack {stack[:40]}. There is {' and '.join(stacks.available())}."
        raise Refusal(text, fields={"stack": text})
    return stack


def _checked(formation: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    if len(formation) > MAX_TYPES:
        raise Refusal(f"A stage has defaults for {MAX_TYPES} process types at most.")
    made = {}
    for type, line in formation.items():
        if not names.PROCESS_TYPE.fullmatch(type) or type == "release":
            text = "A process type has letters, digits, dashes and underscores, and is not “release”."
            raise Refusal(text, fields={"formation": text})
        try:
            app_actions.check_start(line["quantity"], line["size"])
        except Refusal as refusal:
            refusal.fields = {"formation": refusal.message}
            raise
        made[type] = {"quantity": line["quantity"], "size": line["size"].lower()}
    if sum(line["quantity"] for line in made.values()) > app_actions.MAX_DYNOS:
        text = f"An app can have {app_actions.MAX_DYNOS} dynos at most."
        raise Refusal(text, fields={"formation": text})
    return made


def _defaults(stage: Stage) -> dict[str, str]:
    lines = [f"{line['quantity']} × {type}, {line['size']}" for type, line in sorted(stage.formation.items())]
    return {
        "buildpacks": ", ".join(stage.buildpacks),
        "build command": stage.build_command,
        "stack": stage.stack,
        "health path": stage.health_path,
        "formation": "; ".join(lines),
        "add-ons": ", ".join(stage.addons),
    }


def _record(by: User, verb: str, stage: Stage, **details: Any) -> None:
    activity.record(by, verb, stage, pipeline=stage.pipeline, **details)
    live.tell(stage.pipeline.topic)
