"""What each notice says, from the rows as they are when it is sent."""

from collections.abc import Callable
from typing import Any

from django.apps import apps as registry
from django.conf import settings
from django.db.models import Model

from apps import autoscale
from apps.models import Alert, App
from ci.models import TestRun
from flow import access as flow_access
from flow import kinds
from flow.models import Freeze, Gate, Hold, Passage, Watch
from notices.events import OF_WORD, SUMMARY, TEST
from notices.models import Channel, Notice
from notices.stories import Stale, Story, page, plain
from notices.summaries import summary
from pipelines.models import Promotion, PromotionTarget
from releases.models import Build, Release
from reviews.models import ReviewApp

Teller = Callable[[Any, Notice], Story]


def follow(event: str, teller: Teller) -> None:
    """Have `teller` say what there is to say of an event of a package above this one."""
    TELLERS[event] = teller


def story_of(notice: Notice) -> Story:
    """What there is to say. `Stale` when it is not so any more."""
    row = _row(notice)
    told = TELLERS[notice.event](row, notice)
    facts = tuple((name, plain(text)) for name, text in told.facts if text)
    tone = OF_WORD[notice.event].tone if notice.event in OF_WORD else told.tone
    return Story(plain(told.title), facts, told.url, told.link, tone)


def _row(notice: Notice) -> Model:
    model = registry.get_model(notice.kind)
    row = model._default_manager.filter(pk=notice.thing).first()
    if row is None:
        raise Stale("What it was about is gone.")
    return row


# --- builds, releases, promotions ---------------------------------------------------------------------------------------


def _build_failed(build: Build, notice: Notice) -> Story:
    facts = (("Source", str(build.source)), ("Why", build.reason), ("By", _name(build.by)))
    return Story(
        f"A build of {build.app.name} failed",
        facts,
        page("build", build.app.name, build.pk),
        "Open the build",
    )


def _release_failed(release: Release, notice: Notice) -> Story:
    serving = Release.objects.current_for(release.app)
    stays = f"{release.app.name} stays on {serving}." if serving else "It serves nothing yet."
    facts = (
        ("What", release.description),
        ("Why", release.reason),
        ("Now", stays),
        ("By", _name(release.by)),
    )
    return Story(f"{release} of {release.app.name} failed", facts, _page_of(release), "Open the release")


def _rolled_back(release: Release, notice: Notice) -> Story:
    facts = (("What", release.description), ("Note", release.note))
    title = f"{_name(release.by)} rolled {release.app.name} back"
    return Story(title, facts, _page_of(release), "Open the release")


def _promoted(promotion: Promotion, notice: Notice) -> Story:
    names = ", ".join(_targets(promotion))
    title = f"{promotion.release} of {promotion.source.name} is promoted to {names}"
    return Story(title, _of_promotion(promotion), _page_of_promotion(promotion), "Open the promotion")


def _promotion_failed(promotion: Promotion, notice: Notice) -> Story:
    rows = promotion.targets.select_related("app", "release")
    failed = [row for row in rows if row.status == PromotionTarget.Status.FAILED]
    reasons = [(row.app.name, row.reason or (row.release.reason if row.release else "")) for row in failed]
    title = f"The promotion of {promotion.source.name} {promotion.release} failed on {len(failed)} of {len(rows)} apps"
    facts = (*reasons[:5], *_of_promotion(promotion))
    return Story(title, facts, _page_of_promotion(promotion), "Open the promotion")


def _of_promotion(promotion: Promotion) -> tuple[tuple[str, str], ...]:
    slug = promotion.release.slug
    by = "Slipway, by itself" if promotion.automatic else _name(promotion.by)
    return (
        ("Change", f"{slug.short} {slug.message}" if slug else ""),
        ("Note", promotion.note),
        ("Past what kept it out, because", promotion.override),
        ("By", by),
    )


def _targets(promotion: Promotion) -> list[str]:
    return [row.app.name for row in promotion.targets.select_related("app")]


def _page_of(release: Release) -> str:
    return page("release", release.app.name, release.version)


def _page_of_promotion(promotion: Promotion) -> str:
    return page("promotion", promotion.pipeline.name, promotion.pk)


def _name(user: Any) -> str:
    return user.get_full_name() if user else "Slipway"


# --- lines ---------------------------------------------------------------------------------------------------------------


def _approval_asked(passage: Passage, notice: Notice) -> Story:
    stage, slug = passage.line.stage, passage.slug
    if passage.state != Passage.State.OPEN:
        raise Stale("It does not wait any more.")
    if notice.user is not None and not flow_access.may_decide(notice.user, passage):
        raise Stale("Their word is not asked for any more.")
    gates = [
        kinds.in_words(gate.kind, gate.settings)
        for gate in passage.line.gates.all()
        if gate.kind == Gate.Kind.APPROVAL
    ]
    facts = (
        ("Change", f"{slug.short} {slug.message}"),
        ("By", slug.author),
        ("Asks for", ", ".join(gates) or "a yes"),
    )
    title = f"{passage.source.name} {passage.release} waits for your approval to go to {stage.title}"
    if notice.user is None:
        title = f"{passage.source.name} {passage.release} waits for approval to go to {stage.title}"
    url = page("passage", stage.pipeline.name, passage.pk)
    return Story(title, facts, url, "Look at it and decide")


def _rolled_back_alone(watch: Watch, notice: Notice) -> Story:
    pipeline, app = watch.line.stage.pipeline, watch.app
    back = f"to {watch.back_to}" if watch.rollback and watch.back_to else ""
    title = f"{app.name} was rolled back by itself {back}".rstrip()
    if watch.rollback is None:
        title = f"{app.name} {watch.release} failed its watch and could not be rolled back"
    slug = watch.release.slug
    facts = (
        ("Why", watch.reason),
        ("Change", f"{slug.short} {slug.message}" if slug else ""),
        ("Now", f"The line into {watch.line.stage.title} is held until somebody lifts that."),
    )
    return Story(title, facts, page("board", pipeline.name), "Open the board")


def _held(hold: Hold, notice: Notice) -> Story:
    if hold.lifted_at is not None:
        raise Stale("It was lifted meanwhile.")
    facts = (("Why", hold.reason), ("By", _name(hold.by)))
    return Story(f"{_where(hold)} is held", facts, page("board", hold.pipeline.name), "Open the board")


def _lifted(hold: Hold, notice: Notice) -> Story:
    facts = (("It was held since", hold.reason), ("Note", hold.lifted_note), ("By", _name(hold.lifted_by)))
    title = f"{_where(hold)} is free again"
    return Story(title, facts, page("board", hold.pipeline.name), "Open the board")


def _where(hold: Hold) -> str:
    if hold.line is None:
        return f"All of {hold.pipeline.name}"
    return f"The line of {hold.pipeline.name} into {hold.line.stage.title}"


def _freeze_began(freeze: Freeze, notice: Notice) -> Story:
    facts = (("Until", f"{freeze.ends_at:%d %B, %H:%M} UTC" if freeze.ends_at else ""), ("Zone", freeze.zone))
    return _of_freeze(freeze, "is frozen", facts)


def _freeze_ended(freeze: Freeze, notice: Notice) -> Story:
    return _of_freeze(freeze, "is not frozen any more", ())


def _of_freeze(freeze: Freeze, how: str, facts: tuple[tuple[str, str], ...]) -> Story:
    name = freeze.pipeline.name
    where = f"{freeze.stage.title} of {name}" if freeze.stage else name
    return Story(f"{where} {how}: {freeze.name}", facts, page("freezes", name), "Open the freezes")


# --- tests and review apps -----------------------------------------------------------------------------------------------


def _tests_failed(run: TestRun, notice: Notice) -> Story:
    what = f"{run.failed} of {run.failed + run.passed} cases failed" if run.failed else run.reason
    return _of_run(run, "failed", what)


def _tests_fixed(run: TestRun, notice: Notice) -> Story:
    return _of_run(run, "passed again", f"{run.passed} cases" if run.passed else "")


def _of_run(run: TestRun, how: str, what: str) -> Story:
    facts = (
        ("What", what),
        ("Change", f"{run.short} {run.message}"),
        ("Branch", run.branch),
        ("Author", run.author),
    )
    title = f"Tests of {run.pipeline.name} {how} in run {run.number}"
    return Story(title, facts, f"{settings.URL}{run.url_path}", "Open the test run")


def _review_failed(row: ReviewApp, notice: Notice) -> Story:
    if row.gone:
        raise Stale("It is wanted no more.")
    facts = (
        ("Why", row.message or (row.setup.failure if row.setup else "")),
        ("Branch", row.branch),
    )
    title = f"The {row} of {row.pipeline.name} failed"
    return Story(title, facts, page("board", row.pipeline.name), "Open the board")


# --- dynos ----------------------------------------------------------------------------------------------------------------


def _dynos_at_most(app: App, notice: Notice) -> Story:
    row = autoscale.of(app)
    if row is None or not row.enabled:
        raise Stale("It is not scaled by the platform any more.")
    facts = (
        ("Why", row.reason),
        ("Asked for", f"{row}, 95 % of answers within {row.p95} ms"),
        ("Now", "No more dynos are added. Raise the maximum, or look at what makes answers slow."),
    )
    title = f"{app.name} has come to the most dynos it may have, {row.maximum}"
    return Story(title, facts, page("app-resources", app.name), "Open its resources")


def _alert_on(alert: Alert, notice: Notice) -> Story:
    if alert.since is None:
        raise Stale("It has gone off meanwhile.")
    facts = (("Found", alert.found), ("Since", f"{alert.since:%d %B, %H:%M} UTC"))
    return _of_alert(alert, f"{alert.app.name}: {alert}", facts)


def _alert_off(alert: Alert, notice: Notice) -> Story:
    if alert.since is not None:
        raise Stale("It has come on again meanwhile.")
    return _of_alert(alert, f"{alert.app.name} is well again: no more {_lowered(str(alert))}", ())


def _of_alert(alert: Alert, title: str, facts: tuple[tuple[str, str], ...]) -> Story:
    if alert.kind == Alert.Kind.LOG:
        return Story(title, facts, page("app-logs", alert.app.name), "Open its log")
    return Story(title, facts, page("app-metrics", alert.app.name), "Open its metrics")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


# --- a test ---------------------------------------------------------------------------------------------------------------


def _test(channel: Channel, notice: Notice) -> Story:
    name = channel.pipeline.name
    facts = (("Told of", ", ".join(channel.events) or "nothing yet"),)
    return Story(
        f"{channel.name} is told of {name} from now on",
        facts,
        page("pipeline-notifications", name),
        "Open its notifications",
    )


TELLERS: dict[str, Teller] = {
    TEST: _test,
    SUMMARY: summary,
    "build-failed": _build_failed,
    "release-failed": _release_failed,
    "rolled-back": _rolled_back,
    "promoted": _promoted,
    "promotion-failed": _promotion_failed,
    "approval-asked": _approval_asked,
    "rolled-back-alone": _rolled_back_alone,
    "held": _held,
    "lifted": _lifted,
    "freeze-began": _freeze_began,
    "freeze-ended": _freeze_ended,
    "tests-failed": _tests_failed,
    "tests-fixed": _tests_fixed,
    "review-failed": _review_failed,
    "alert-on": _alert_on,
    "alert-off": _alert_off,
    "dynos-at-most": _dynos_at_most,
}
