"""Lines: what wants over them, what they ask for, and what stops them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.models import Crash, Traffic
from apps.traffic import BOUNDS
from conductor.flow import Flow
from core.errors import Conflict, Forbidden, Refusal
from flow import actions, gates, passages, stands
from flow.models import Freeze, Hold, Line, Passage, Verdict
from pipelines import actions as pipeline_actions
from pipelines.models import Coupling, Promotion
from releases.actions import rollback
from releases.models import Manifest, Release
from tests.factories import make_app, make_release, make_user, stage

pytestmark = pytest.mark.django_db


def turn(*lines):
    """One look of the conductor."""
    Line.objects.update(stale=True)
    Passage.objects.update(look_at=timezone.now())
    Flow().look()


def waiting(line):
    return Passage.objects.get(line=line, state="open")


def gate(line, kind, by, **settings):
    return actions.add_gate(line, kind, settings, by=by)[0]


def test_without_gates_the_newest_release_goes_by_itself(line, staging, production, alice):
    turn()
    promotion = Promotion.objects.get()
    assert promotion.automatic and promotion.by == alice
    assert promotion.release == Release.objects.current_for(staging)
    assert [target.app for target in promotion.targets.all()] == [production]
    assert Passage.objects.get().state == "promoted"
    turn()
    assert Promotion.objects.count() == 1, "what is under way is not promoted twice"


def test_by_hand_nothing_goes_by_itself(line, shop, alice):
    actions.set_line(stage(shop, "production"), mode="hand", by=alice)
    turn()
    assert not Promotion.objects.exists() and not Passage.objects.exists()


def test_what_the_targets_run_already_does_not_wait(line, staging, production, alice):
    make_release(production, by=alice, slug=Release.objects.current_for(staging).slug)
    turn()
    assert not Passage.objects.exists()


def test_a_newer_release_supersedes_the_one_that_waits(line, staging, alice):
    gate(line, "approval", alice)
    turn()
    older = waiting(line)
    make_release(staging, by=alice)
    turn()
    older.refresh_from_db()
    assert older.state == "superseded" and "v2" in older.reason
    assert waiting(line).release.version == 2


def test_a_config_change_on_the_source_supersedes_nothing(line, staging, alice):
    gate(line, "approval", alice)
    turn()
    passage = waiting(line)
    make_release(staging, by=alice, slug=passage.slug, kind="config")
    turn()
    assert waiting(line) == passage and waiting(line).release.version == 2


def test_somebody_else_than_the_author_approves(line, guarded, alice, bob):
    passage = waiting(guarded)
    passage.slug.author_email = alice.email
    passage.slug.save()
    with pytest.raises(Forbidden, match="your own work"):
        actions.approve(passage, by=alice)
    actions.approve(passage, note="Looks right", by=bob)
    turn()
    assert Promotion.objects.get().automatic


@pytest.fixture
def guarded(line, alice):
    gate(line, "approval", alice)
    turn()
    return line


def test_a_stranger_and_a_viewer_decide_nothing(guarded, vera, charlie):
    for nobody in (vera, charlie):
        with pytest.raises(Forbidden):
            actions.approve(waiting(guarded), by=nobody)
    assert not Verdict.objects.exists()


def test_a_no_keeps_it_out_and_can_be_taken_back(guarded, bob):
    passage = waiting(guarded)
    with pytest.raises(Refusal, match="Say why"):
        actions.refuse(passage, note=" ", by=bob)
    actions.refuse(passage, note="The checkout is broken", by=bob)
    turn()
    (shown,) = waiting(guarded).shown
    assert shown["state"] == "failed" and "The checkout is broken" in shown["words"]
    actions.take_back(passage, by=bob)
    turn()
    assert waiting(guarded).shown[0]["state"] == "waiting"


def test_an_approval_ends_with_the_role_of_who_gave_it(guarded, bob, team):
    actions.approve(waiting(guarded), by=bob)
    team.memberships.filter(user=bob).delete()
    turn()
    assert not Promotion.objects.filter(pipeline__name="shop").exists()


def test_an_approval_while_it_is_superseded_is_told_so(guarded, alice, bob):
    passage = waiting(guarded)
    make_release(passage.source, by=alice)
    turn()
    with pytest.raises(Conflict, match="newer release"):
        actions.approve(passage, by=bob)
    assert not Verdict.objects.filter(passage__state="open").exists(), "what was said is about the old one"


def test_several_named_people(guarded, alice, bob, vera):
    one = guarded.gates.get()
    actions.change_gate(one, {"count": 2, "people": [str(bob.pk), str(vera.pk)]}, by=alice)
    actions.approve(waiting(guarded), by=bob)
    turn()
    (shown,) = waiting(guarded).shown
    assert shown["words"] == "1 of 2 approvals" and shown["people"] == [vera.get_full_name()]
    with pytest.raises(Forbidden):
        actions.approve(waiting(guarded), by=alice)
    actions.approve(waiting(guarded), by=vera)
    turn()
    assert Promotion.objects.filter(pipeline__name="shop").count() == 1


def test_healthy_counts_from_the_last_crash(line, staging, alice):
    gate(line, "healthy", alice, minutes=10)
    served = timezone.now() - timedelta(minutes=30)
    Release.objects.filter(app=staging).update(finished_at=served)
    Crash.objects.create(
        app=staging, release_version=1, dyno="web.1", at=timezone.now() - timedelta(minutes=4)
    )
    turn()
    (shown,) = waiting(line).shown
    assert shown["state"] == "waiting" and shown["words"].startswith("healthy for 4 of 10 min")
    Crash.objects.update(at=timezone.now() - timedelta(minutes=11))
    turn()
    assert Promotion.objects.count() == 1


@pytest.mark.parametrize(
    ("settings", "counts", "says"),
    [
        ({"errors": 1.0}, {"requests": 100, "errors": 5}, "5.0 % of 100 answers are errors"),
        ({"p95": 200}, {"requests": 100, "errors": 0}, "p95 is 500 ms"),
    ],
)
def test_healthy_looks_at_the_routers_figures(line, staging, alice, settings, counts, says):
    gate(line, "healthy", alice, minutes=10, **settings)
    now = timezone.now()
    Release.objects.filter(app=staging).update(finished_at=now - timedelta(minutes=30))
    spread = [0] * (len(BOUNDS) + 1)
    spread[BOUNDS.index(500)] = 100
    minute = (now - timedelta(minutes=2)).replace(second=0, microsecond=0)
    row = Traffic.objects.create(app=staging, minute=minute, release_version=1, spread=spread, **counts)
    turn()
    (shown,) = waiting(line).shown
    assert shown["state"] == "failed" and says in shown["words"]
    row.delete()
    turn()
    assert Promotion.objects.count() == 1


def test_tests_decide_the_newest_of_them(line, staging, alice):
    from ci.actions import rerun
    from ci.models import TestRun

    gate(line, "ci", alice)
    slug = Release.objects.current_for(staging).slug
    turn()
    assert waiting(line).shown[0]["state"] == "waiting"
    told = {"branch": "main", "commit": slug.commit, "finished_at": timezone.now()}
    run = TestRun.objects.create(
        pipeline=line.stage.pipeline, number=1, state="failed", status="ended", **told
    )
    turn()
    assert waiting(line).shown[0]["state"] == "failed"
    again = TestRun.objects.filter(pk=rerun(run, by=alice).pk).claim()
    Flow().look()
    assert waiting(line).shown[0]["state"] == "waiting"
    again.end("ended", state="succeeded")
    Flow().look()
    assert Promotion.objects.count() == 1


def test_a_window_opens_by_the_clocks_of_its_zone(line, alice):
    from flow.hours import changes_at, within

    friday_noon = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
    office = ([0, 1, 2, 3], 9 * 60, 16 * 60, "Europe/Vienna")
    assert not within(friday_noon, *office)
    assert changes_at(friday_noon, *office) == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    assert within(datetime(2026, 11, 30, 8, 0, tzinfo=UTC), *office)
    assert changes_at(datetime(2026, 11, 30, 8, 0, tzinfo=UTC), *office) == datetime(
        2026, 11, 30, 15, 0, tzinfo=UTC
    )
    summer = datetime(2026, 7, 1, 6, 59, tzinfo=UTC)  # two hours ahead then
    assert changes_at(summer, *office) == datetime(2026, 7, 1, 7, 0, tzinfo=UTC)
    today = timezone.now().weekday()
    gate(line, "window", alice, days=[(today + 3) % 7], zone="UTC")
    turn()
    assert waiting(line).shown[0]["state"] == "waiting"


def test_a_hold_stops_the_line_and_lifting_lets_it_go(line, shop, alice):
    held = actions.hold(shop, line=line, reason="The bank is down", by=alice)
    turn()
    assert not Promotion.objects.exists()
    (stand,) = [s for s in stands.stands(shop).values() if s.line == line]
    assert stand.state == "held" and stand.holds[0].words == "The bank is down"
    actions.lift(held, note="It is back", by=alice)
    turn()
    assert Promotion.objects.count() == 1
    with pytest.raises(Conflict):
        actions.lift(held, by=alice)


def test_stopping_the_pipeline_stops_every_line(line, shop, alice):
    actions.hold(shop, reason="Stop the line", by=alice)
    turn()
    assert not Promotion.objects.exists()
    assert {stand.state for stand in stands.stands(shop).values()} == {"held"}


def test_a_freeze_keeps_releases_out_until_it_ends(line, shop, alice, staging, production):
    now = timezone.now()
    actions.freeze(
        shop, name="Christmas", starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1), by=alice
    )
    turn()
    assert not Promotion.objects.exists()
    with pytest.raises(Conflict, match="frozen: Christmas"):
        pipeline_actions.promote(staging.coupling, [production.coupling], by=alice)
    Freeze.objects.update(ends_at=now - timedelta(minutes=1))
    turn()
    assert Promotion.objects.count() == 1


def test_a_person_may_override_with_a_reason(line, shop, alice, bob, staging, production):
    actions.hold(shop, line=line, reason="Frozen", by=alice)
    promote = pipeline_actions.promote
    with pytest.raises(Conflict, match="held: Frozen"):
        promote(staging.coupling, [production.coupling], by=alice)
    with pytest.raises(Forbidden):
        promote(staging.coupling, [production.coupling], by=bob, override="I want to")
    made = promote(staging.coupling, [production.coupling], by=alice, override="The fix for the bank")
    assert made.override == "The fix for the bank"


def test_gates_hold_for_who_promotes_by_hand_too(line, shop, alice, staging, production):
    gate(line, "approval", alice)
    with pytest.raises(Conflict, match="1 approval"):
        pipeline_actions.promote(staging.coupling, [production.coupling], by=alice)


def test_who_skips_a_stage_passes_its_line_too(line, shop, alice, production):
    early = make_app("shop-dev", owner=alice, stage=stage(shop, "development"), released=True)
    into_staging = actions.set_line(stage(shop, "staging"), mode="hand", by=alice)
    gate(into_staging, "approval", alice)
    with pytest.raises(Conflict, match="Staging asks for 1 approval"):
        pipeline_actions.promote(early.coupling, [production.coupling], by=alice)


def test_required_config_can_block(line, shop, alice, staging, production):
    actions.set_line(stage(shop, "production"), mode="auto", needs_config=True, by=alice)
    slug = Release.objects.current_for(staging).slug
    Manifest.objects.create(slug=slug, app_json={"env": {"PAYMENT_KEY": {"description": "Of the bank"}}})
    turn()
    assert not Promotion.objects.exists()
    with pytest.raises(Conflict, match=r"lacks config vars.*PAYMENT_KEY"):
        pipeline_actions.promote(staging.coupling, [production.coupling], by=alice)


def test_an_older_release_put_there_by_hand_holds_the_line(line, production, alice):
    from core.changes import Change, note

    actions.hold(line.stage.pipeline, line=line, reason="for now", by=alice)
    first = Release.objects.current_for(production)
    make_release(production, by=alice)
    back = rollback(production, first, by=alice)
    Release.objects.filter(pk=back.pk).update(status="succeeded")
    back.refresh_from_db()
    note(Change(back, by=alice, app_id=production.pk))
    (held,) = Hold.objects.filter(cause="older")
    assert held.line == line and "by hand" in held.reason


def test_the_line_stands_when_who_answers_for_it_loses_the_right(line, alice, shop):
    other = make_user()
    Line.objects.filter(pk=line.pk).update(by=other)
    turn()
    assert not Promotion.objects.exists()
    assert Hold.objects.get().cause == "failed"


def test_asking_needs_a_yes(guarded, alice, bob):
    actions.set_line(guarded.stage, mode="ask", by=alice)
    actions.approve(waiting(guarded), by=bob)
    turn()
    passage = waiting(guarded)
    assert passage.asked_at is not None
    promotion = actions.let_pass(passage, by=bob)
    assert promotion.by == bob and not promotion.automatic
    with pytest.raises(Conflict):
        actions.let_pass(passage, by=bob)


def test_the_line_into_a_stage_is_set_up_by_who_manages_it(guarded, bob):
    with pytest.raises(Forbidden):
        actions.set_line(guarded.stage, mode="hand", by=bob)
    with pytest.raises(Forbidden):
        gate(guarded, "ci", bob)


@pytest.mark.parametrize(
    ("kind", "settings", "field"),
    [
        ("approval", {"count": 0}, "count"),
        ("approval", {"count": "two"}, "count"),
        ("healthy", {"minutes": -1}, "minutes"),
        ("healthy", {"errors": 101}, "errors"),
        ("window", {"from": "9", "to": "17:00"}, "from"),
        ("window", {"days": []}, "days"),
        ("window", {"zone": "Mars"}, "zone"),
        ("http", {"url": "ftp://x"}, "url"),
        ("webhook", {"url": "https://u:p@x"}, "url"),
        ("command", {"command": " "}, "command"),
        ("ci", {"runs": False}, "runs"),
        ("ci", {"bogus": 1}, "bogus"),
        ("tea", {}, "kind"),
    ],
)
def test_bad_settings_are_refused_by_field(line, alice, kind, settings, field):
    with pytest.raises(Refusal) as refused:
        gate(line, kind, alice, **settings)
    assert field in refused.value.fields
    assert not line.gates.exists()


def test_boards_ask_two_queries_whatever_waits(guarded, django_assert_num_queries):
    with django_assert_num_queries(2):
        found = stands.stands(guarded.stage.pipeline)
        (passage,) = found[guarded.stage_id].passages
    assert passage.why == "waits for approval by who may promote there, not the author"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"own": True}, "waits for approval by who may promote there"),
        ({"roles": ["admin"], "count": 2}, "0 of 2 approvals by an admin, not the author"),
        ({"roles": ["member", "admin"], "own": True}, "waits for approval by a member or admin"),
    ],
)
def test_an_approval_says_whose_it_waits_for(line, alice, settings, words):
    gate(line, "approval", alice, **settings)
    turn()
    (state,) = gates.states(waiting(line))
    assert state.words == words


def test_an_app_that_leaves_takes_what_waits_along(guarded, alice):
    passage = waiting(guarded)
    pipeline_actions.uncouple(Coupling.objects.get(app=passage.source), by=alice)
    turn()
    passage.refresh_from_db()
    assert passage.state == "superseded"


def test_slugs_that_failed_behind_the_line_do_not_try_again_by_themselves(line, staging, production, alice):
    turn()
    promotion = Promotion.objects.get()
    passages.refuse_for_good(promotion, "It crashed")
    Promotion.objects.update(status="completed")
    turn()
    assert Promotion.objects.count() == 1 and Passage.objects.get().state == "refused"
    actions.reopen(Passage.objects.get(), note="The bank was down", by=alice)
    turn()
    assert Promotion.objects.count() == 2
