"""What happens to pipelines: stages, couplings, promotions."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Max

from accounts import transfers
from accounts.access import demand_not_suspended
from accounts.models import Team, User
from apps import access as app_access
from apps import actions as app_actions
from apps import limits
from apps.models import App
from core import activity, failpoints, live, names
from core.errors import Conflict, Forbidden, NotFound, Refusal
from pipelines import access, default_addons, guards, layers, stages
from pipelines.models import Coupling, Pipeline, PipelineTransfer, Promotion, Stage
from releases.models import Release

MAX_STAGES = 20


def create_pipeline(name: str, *, owner: User | Team, by: User) -> Pipeline:
    """Make a pipeline with the four stages that everybody knows."""
    names.check_pipeline(name)
    try:
        with transaction.atomic():
            pipeline = Pipeline.objects.create(name=name, **Pipeline.owner_fields(owner))
            for position, word in enumerate(Stage.Word.values):
                Stage.objects.create(pipeline=pipeline, name=word, word=word, position=position)
            activity.record(by, "created", pipeline)
    except IntegrityError as error:
        raise names.taken(name) from error
    return pipeline


def rename_pipeline(pipeline: Pipeline, name: str, *, by: User) -> Pipeline:
    """Change the pipeline's name."""
    names.check_pipeline(name)
    before, pipeline.name = pipeline.name, name
    try:
        with transaction.atomic():
            pipeline.save(update_fields=["name", "updated_at"])
            activity.record(by, "renamed", pipeline, before=before, after=name)
            live.tell(pipeline.topic)
    except IntegrityError as error:
        pipeline.name = before
        raise names.taken(name) from error
    return pipeline


@transaction.atomic
def destroy_pipeline(pipeline: Pipeline, *, confirm: str, by: User) -> None:
    """Take the pipeline away; its apps stay, each on its own, with what they inherited. `confirm` must be its name."""
    if confirm != pipeline.name:
        raise Refusal(
            f"To destroy {pipeline.name}, type its name.",
            id="confirmation_required",
            fields={"confirm": f"Type {pipeline.name} to confirm."},
        )
    default_addons.demand_none_of_its_own(pipeline)
    activity.record(by, "destroyed", pipeline)
    live.tell(pipeline.topic)
    for app in layers.behind(pipeline):
        layers.leave(app)
    Coupling.objects.filter(pipeline=pipeline).delete()
    pipeline.delete()


@transaction.atomic
def transfer_pipeline(
    pipeline: Pipeline, owner: User | Team, *, by: User, giver: User | None = None
) -> Pipeline:
    """Hand the pipeline *and the apps in it* to another owner at once. `giver` is whose right to do so counts, `by`'s
    own when they are one. Offers of any of it to others end."""
    before = str(pipeline.owner)
    apps = demand_all_managed(pipeline, giver or by)
    demand_not_suspended(owner, *apps)
    limits.demand_room(apps, owner=owner)
    for field, value in Pipeline.owner_fields(owner).items():
        setattr(pipeline, field, value)
    pipeline.save(update_fields=["user", "team", "updated_at"])
    transfers.withdraw_open(PipelineTransfer, pipeline=pipeline)
    activity.record(by, "transferred", pipeline, before=before, after=str(owner))
    for app in apps:
        app_actions.transfer_app(app, owner, by=by)
    live.tell(pipeline.topic)
    return pipeline


def demand_all_managed(pipeline: Pipeline, by: User) -> list[App]:
    """The apps of the pipeline; `Refusal` when `by` does not manage each of them."""
    rows = Coupling.objects.filter(pipeline=pipeline).select_related("app__user", "app__team")
    apps = [row.app for row in rows]
    for app in apps:
        if app_access.MANAGE not in app_access.rights_in(by, app):
            raise Refusal(
                f"{by.get_full_name()} does not manage {app.name}, which would be transferred too.",
                fields={"owner": f"{app.name}, which is in the pipeline, is not theirs to transfer."},
            )
    return apps


@transaction.atomic
def add_stage(pipeline: Pipeline, name: str, *, word: str, after: Stage | None, by: User) -> Stage:
    """Put a stage of any name between others. `word` is the Platform API's stage that scripts see it as."""
    names.check_stage(name)
    stages = _ordered(pipeline)
    _check_stage(stages, name, word)
    stage = Stage(pipeline=pipeline, name=name, word=word, position=_top(pipeline) + 1)
    at = next((i + 1 for i, s in enumerate(stages) if after and s.pk == after.pk), len(stages))
    stage.save()
    _reorder([*stages[:at], stage, *stages[at:]])
    activity.record(by, "added the stage", stage, pipeline=pipeline)
    live.tell(pipeline.topic)
    return stage


@transaction.atomic
def change_stage(stage: Stage, *, name: str | None = None, word: str | None = None, by: User) -> Stage:
    """Rename a stage or change the API word it answers to."""
    rows = _ordered(stage.pipeline)
    stage = _among(rows, stage)
    before = {"name": stage.name, "word": stage.word}
    others = [row for row in rows if row.pk != stage.pk]
    _check_stage(others, names.check_stage(name or stage.name), word or stage.word)
    stage.name, stage.word = name or stage.name, word or stage.word
    stage.save(update_fields=["name", "word"])
    activity.record(
        by,
        "changed the stage",
        stage,
        pipeline=stage.pipeline,
        before=before,
        after={"name": stage.name, "word": stage.word},
    )
    live.tell(stage.pipeline.topic)
    return stage


@transaction.atomic
def move_stage(stage: Stage, *, by_places: int, by: User) -> Stage:
    """Move a stage left (negative) or right among its neighbours."""
    rows = _ordered(stage.pipeline)
    at = rows.index(_among(rows, stage))
    to = min(max(at + by_places, 0), len(rows) - 1)
    rows.insert(to, rows.pop(at))
    _place(stage.pipeline, rows, rows[to], at, to, by)
    return rows[to]


@transaction.atomic
def order_stages(pipeline: Pipeline, order: Sequence[str], *, by: User) -> None:
    """Put the stages into the order of these names. `Conflict` unless they are the pipeline's stages, each once."""
    rows = {row.name: row for row in _ordered(pipeline)}
    if sorted(order) != sorted(rows):
        raise Conflict(
            "The stages have changed meanwhile. Look at them as they are now, and move them again."
        )
    before = list(rows)
    moved = [name for name, was in zip(order, before, strict=True) if name != was]
    if moved:
        at = {name: before.index(name) for name in moved}
        farthest = max(moved, key=lambda name: abs(order.index(name) - at[name]))
        _place(
            pipeline,
            [rows[name] for name in order],
            rows[farthest],
            at[farthest],
            order.index(farthest),
            by,
        )


@transaction.atomic
def remove_stage(stage: Stage, *, by: User) -> None:
    """Take an empty stage away, with its config vars, defaults and rules."""
    rows = _ordered(stage.pipeline)
    stage = _among(rows, stage)
    if stage.couplings.exists():
        raise Refusal(f"{stage.title} still holds apps. Move them to another stage first.")
    if len(rows) == 1:
        raise Refusal("A pipeline needs a stage.")
    activity.record(by, "removed the stage", stage, pipeline=stage.pipeline)
    live.tell(stage.pipeline.topic)
    stage.delete()


@transaction.atomic
def couple(app: App, stage: Stage, *, by: User) -> Coupling:
    """Put an app into a stage, if the stage's rules let `by`; it gets what it lacks of the stage's defaults, and inherits
    config vars from now on. An app is in one pipeline only."""
    if stage.word == Stage.Word.REVIEW:
        raise Refusal("Review apps are made from branches; put the app into another stage.")
    stage = stages.locked(stage)
    access.demand_placing(by, stage)
    return _place_app(app, stage, by=by)


@transaction.atomic
def couple_review_app(app: App, stage: Stage, *, inherits: bool, by: User) -> Coupling:
    """Put an app that the platform made for review into its stage. Without `inherits` it is told nothing of what stage
    and pipeline give to others: neither config vars nor shared add-ons (I-40)."""
    return _place_app(app, stages.locked(stage), by=by, inherits=inherits)


def _place_app(app: App, stage: Stage, *, by: User, inherits: bool = True) -> Coupling:
    try:
        with transaction.atomic():
            coupling = Coupling.objects.create(
                app=app, stage=stage, pipeline=stage.pipeline, inherits=inherits
            )
    except IntegrityError as error:
        raise Conflict(f"{app.name} is in a pipeline already. Remove it there first.") from error
    activity.record(by, "added", app, pipeline=stage.pipeline, stage=stage.name)
    stages.start(app, stage, by=by)
    live.tell(stage.pipeline.topic)
    live.tell(app.topic)
    return coupling


@transaction.atomic
def move(coupling: Coupling, stage: Stage, *, by: User) -> Coupling:
    """Move an app to another stage of its pipeline, if the rules of both stages let `by`. What it inherits changes with
    that; what is its own stays."""
    stage = stages.locked(stage)
    if stage.pipeline_id != coupling.pipeline_id:
        raise NotFound("Couldn't find that stage.", resource="stage")
    if stage.word == Stage.Word.REVIEW:
        raise Refusal("Review apps are made from branches; choose another stage.")
    _demand_movable(coupling)
    access.demand_leaving(by, coupling)
    access.demand_placing(by, stage)
    before, coupling.stage = coupling.stage.name, stage
    coupling.save(update_fields=["stage", "updated_at"])
    activity.record(by, "moved", coupling.app, pipeline=coupling.pipeline, before=before, after=stage.name)
    if before != stage.name:
        layers.bring(coupling.app, f"Config vars of {stage.title}", by=by)
        default_addons.take_away(coupling.app, coupling.pipeline, stage=stage, by=by)
        default_addons.give(coupling.app, stage, by=by)
    live.tell(coupling.pipeline.topic)
    live.tell(coupling.app.topic)
    return coupling


@transaction.atomic
def uncouple(coupling: Coupling, *, by: User) -> None:
    """Take an app out of its pipeline, if the stage's rules let `by`; what it inherited goes, and the app itself stays
    as it is."""
    _demand_movable(coupling)
    access.demand_leaving(by, coupling)
    app, pipeline = coupling.app, coupling.pipeline
    activity.record(by, "removed", app, pipeline=pipeline, stage=coupling.stage.name)
    coupling.delete()
    layers.bring(app, f"Without the config vars of {pipeline.name}", by=by)
    default_addons.take_away(app, pipeline, by=by)
    live.tell(pipeline.topic)
    live.tell(app.topic)


@transaction.atomic
def promote(
    source: Coupling,
    targets: Sequence[Coupling],
    *,
    by: User,
    release: Release | None = None,
    note: str = "",
    one_by_one: bool = False,
    automatic: bool = False,
    override: str = "",
) -> Promotion:
    """Ask for the slug of `release`, or the one that `source` runs now, to be released on every target (I-07, I-08).

    Each target ends by itself. Whether its stage lets `by` promote into it is judged now and when its turn comes, the
    right to deploy it when its turn comes; so is what else may keep it out (`pipelines.guards`), which `override`, a
    reason, passes for who manages the pipeline. `automatic` says that a line asks in the name of `by`. With `one_by_one` they take turns in the order given, and after one that
    fails the rest are not started.
    """
    release = release or Release.objects.current_for(source.app)
    _check_promotion(source, targets, release)
    assert release is not None
    for target in targets:
        access.demand_promotion(by, target)
    demand_not_suspended(source.app, *(target.app for target in targets))
    if override.strip() and access.MANAGE not in access.rights_in(by, source.pipeline):
        raise Forbidden(f"Only who manages {source.pipeline.name} may promote past what keeps a release out.")
    guards.demand_open(
        [guards.Attempt(source, release, target, by, automatic, override.strip()) for target in targets]
    )
    promotion = Promotion.objects.create(
        pipeline=source.pipeline,
        source=source.app,
        release=release,
        by=by,
        note=note[:500],
        one_by_one=one_by_one,
        automatic=automatic,
        override=override.strip()[:500],
    )
    for place, target in enumerate(targets):  # the order of their times is the order of their turns
        at = promotion.created_at + timedelta(microseconds=place)
        promotion.targets.create(app=target.app, created_at=at)
        live.show(target.app.topic)  # its release is what has something run
    activity.record(
        by,
        "promoted",
        source.app,
        pipeline=source.pipeline,
        release=release.version,
        targets=[target.app.name for target in targets],
        note=note,
        promotion=str(promotion.pk),
        one_by_one=one_by_one,
        **({"automatic": True} if automatic else {}),
        **({"override": promotion.override} if promotion.override else {}),
    )
    live.tell(source.pipeline.topic)
    live.wake_conductor()
    failpoints.reach("promotion.accepted")
    return promotion


def _demand_movable(coupling: Coupling) -> None:
    """`Refusal` for an app that the platform made: it goes with what it was made for, and nobody would destroy it else."""
    if coupling.app.ephemeral:
        raise Refusal(f"{coupling.app.name} is a review app: it stays in its stage until it is destroyed.")


def _check_promotion(source: Coupling, targets: Sequence[Coupling], release: Release | None) -> None:
    if release is None or release.slug is None:
        raise Refusal(f"{source.app.name} has not been deployed yet: there is nothing to promote.")
    if release.app_id != source.app_id:
        raise NotFound("Couldn't find that release.", resource="release")
    if not release.eligible_for_rollback:
        raise Refusal(f"v{release.version} of {source.app.name} can't be promoted: it is {release.status}.")
    if not targets:
        raise Refusal("Choose at least one app to promote to; the next stage may have none yet.")
    for target in targets:
        if target.pipeline_id != source.pipeline_id:
            raise NotFound("Couldn't find that app in this pipeline.", resource="app")
        if target.app_id == source.app_id:
            raise Refusal(f"{source.app.name} can't be promoted to itself.")


def _ordered(pipeline: Pipeline) -> list[Stage]:
    return list(Stage.objects.select_for_update().filter(pipeline=pipeline))


def _among(rows: Sequence[Stage], stage: Stage) -> Stage:
    """The stage as it is now, locked like all `rows`."""
    found = next((row for row in rows if row.pk == stage.pk), None)
    if found is None:
        raise NotFound("Couldn't find that stage.", resource="stage")
    return found


def _place(pipeline: Pipeline, rows: Sequence[Stage], moved: Stage, at: int, to: int, by: User) -> None:
    """Number the stages as they are listed; `moved` is the one that the activity tells of."""
    _reorder(rows)
    activity.record(by, "moved the stage", moved, pipeline=pipeline, before=at + 1, after=to + 1)
    live.tell(pipeline.topic)


def _top(pipeline: Pipeline) -> int:
    return Stage.objects.filter(pipeline=pipeline).aggregate(top=Max("position"))["top"] or 0


def _check_stage(others: Sequence[Stage], name: str, word: str) -> None:
    if word not in Stage.Word.values:
        raise Refusal(
            f"A stage answers to one of {', '.join(Stage.Word.values)}.", fields={"word": "Choose one."}
        )
    if any(other.name == name for other in others):
        raise Refusal(f"There is a stage {name} already.", fields={"name": "This name is taken."})
    if len(others) >= MAX_STAGES:
        raise Refusal(f"A pipeline has {MAX_STAGES} stages at most.")


def _reorder(stages: Sequence[Stage]) -> None:
    """Number the stages 0, 1, 2 … by way of free numbers above, since SQLite checks uniqueness row by row."""
    top = max(stage.position for stage in stages) + 1
    for offset in (top, 0):
        for position, stage in enumerate(stages):
            stage.position = position + offset
            stage.save(update_fields=["position"])
