"""What is news, to whom, and what it says."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.utils import timezone

from apps import alerts, autoscale
from apps.autoscale import Rule, Step
from ci.models import TestRun
from conductor.notices import send
from core import activity, changes
from flow import actions as flow_actions
from flow import passages
from flow.models import Freeze, Hold, Passage, Watch
from notices import actions, clock, tellers
from notices.events import OF_WORD
from notices.models import Notice
from notices.stories import Stale
from pipelines import notifications
from pipelines.models import Promotion
from releases.models import Release
from reviews.models import ReviewApp
from tests.factories import make_release, make_slug, stage
from tests.notices.conftest import channel

pytestmark = pytest.mark.django_db
URL = "https://chat.example.com/hooks/x"


@pytest.fixture
def told(shop, alice):
    return channel(shop, alice, URL, told=list(OF_WORD))


@pytest.fixture
def staging(shop):
    return shop.couplings.get(app__name="shop-staging").app


@pytest.fixture
def production(shop):
    return shop.couplings.get(app__name="shop-production").app


@pytest.fixture
def passage(shop, staging, alice):
    """A release of Alice's that waits for somebody else's yes."""
    line = flow_actions.set_line(stage(shop, "production"), mode="auto", by=alice)
    flow_actions.add_gate(line, "approval", {}, by=alice)
    slug = make_slug(staging, author_email="alice@example.com", message="Round half up")
    make_release(staging, by=alice, slug=slug)
    [opened] = passages.refresh(line)
    passages.look(opened)
    opened.refresh_from_db()
    return opened


def story(event, **which):
    notice = Notice.objects.filter(event=event, **which).first()
    assert notice is not None, event
    return tellers.story_of(notice)


def to_channel(event):
    return story(event, channel__isnull=False)


def sent(notice):
    """It, after one try."""
    claimed = Notice.objects.filter(pk=notice.pk).claim()
    send(claimed)
    notice.refresh_from_db()
    return notice


def test_who_may_decide_is_asked_and_led_to_the_page(told, passage, alice, bob, vera):
    asked = Notice.objects.filter(event="approval-asked", user__isnull=False)
    assert [notice.user for notice in asked] == [bob]  # Alice wrote it, Vera may only look
    said = to_channel("approval-asked")
    assert "waits for approval to go to Production" in said.title
    assert said.url.endswith(f"/pipelines/shop/passages/{passage.pk}/")
    assert dict(said.facts)["Asks for"] == "1 approval"
    sent(asked.get())
    (letter,) = mail.outbox
    assert letter.to == ["bob@example.com"] and said.url in letter.body


def test_it_waits_in_their_list_until_they_have_said_something(passage, bob, alice):
    (one,) = [one for one in notifications.notifications(bob) if one.url]
    assert one.url == f"/pipelines/shop/passages/{passage.pk}/" and "Round half up" in one.body
    assert not [one for one in notifications.notifications(alice) if one.url]
    flow_actions.approve(passage, by=bob)
    assert not [one for one in notifications.notifications(bob) if one.url]


def test_without_mail_it_waits_in_their_list_all_the_same(shop, staging, alice, bob, settings, request):
    settings.MAIL = False
    request.getfixturevalue("passage")
    notice = Notice.objects.get(event="approval-asked", user=bob)
    assert notice.status == "skipped"
    assert [one for one in notifications.notifications(bob) if one.url]


def test_what_is_decided_is_asked_no_more(passage, bob):
    notice = Notice.objects.get(event="approval-asked", user=bob)
    Passage.objects.update(state="superseded", ended_at=timezone.now())
    assert sent(notice).status == "skipped" and not mail.outbox
    with pytest.raises(Stale):
        tellers.story_of(notice)


def test_a_hold_and_its_end(shop, told, alice, bob):
    actions.prefer(bob, None, email=True, events=["held", "lifted"], summary=False, by=bob)
    line = flow_actions.line_of(stage(shop, "production"))
    hold = flow_actions.hold(shop, line=line, reason="The bank is down", by=alice)
    said = to_channel("held")
    assert said.title == "The line of shop into Production is held"
    assert said.facts == (("Why", "The bank is down"), ("By", "Alice Liddell"))
    assert Notice.objects.filter(event="held", user=bob).exists()
    assert "The bank is down" in [one.body for one in notifications.notifications(bob)]
    flow_actions.lift(hold, note="It is back", by=bob)
    assert dict(to_channel("lifted").facts)["Note"] == "It is back"
    assert not Notice.objects.filter(event="lifted", user=bob).exists()  # he did it himself
    with pytest.raises(Stale):
        to_channel("held")


def test_all_of_a_pipeline_is_held(shop, told, alice):
    flow_actions.hold(shop, reason="Stop the line", by=alice)
    assert to_channel("held").title == "All of shop is held"


def test_a_rollback_by_itself_is_told_once_with_the_figures(shop, told, staging, production, alice):
    line = flow_actions.line_of(stage(shop, "production"))
    back, bad = make_release(production, by=alice), make_release(production, by=alice)
    watch = Watch.objects.create(line=line, app=production, release=bad, back_to=back, until=timezone.now())
    passages.hold_line(line, Hold.Cause.ROLLED_BACK, "its dynos crashed 3 times", app=production)
    rolled = make_release(production, slug=back.slug, kind="rollback")
    activity.record(
        None, "rolled back by itself", production, pipeline=shop, release=bad.version, to=back.version
    )
    Watch.objects.filter(pk=watch.pk).update(
        rollback=rolled,
        status="failed",
        finished_at=timezone.now(),
        reason="shop-production failed its watch: its dynos crashed 3 times.",
    )
    changes.note(changes.Change(rolled, app_id=production.pk))
    events = set(Notice.objects.filter(channel__isnull=False).values_list("event", flat=True))
    assert events == {"rolled-back-alone"}
    said = to_channel("rolled-back-alone")
    assert said.title == f"shop-production was rolled back by itself to {back}"
    assert "crashed 3 times" in dict(said.facts)["Why"]
    assert Notice.objects.filter(event="rolled-back-alone", user=alice).exists()
    assert any("rolled back by itself" in one.title for one in notifications.notifications(alice))


def test_who_hears_of_holds_only_hears_of_one_after_a_rollback(shop, told, production, alice):
    only = channel(shop, alice, URL, name="only holds", told=["held"])
    line = flow_actions.line_of(stage(shop, "production"))
    passages.hold_line(line, Hold.Cause.ROLLED_BACK, "its dynos crashed 3 times", app=production)
    assert [notice.channel for notice in Notice.objects.all()] == [only]


def test_a_rollback_by_hand(shop, told, production, bob):
    release = make_release(production, by=bob, kind="rollback", description="Rollback to v1")
    changes.note(changes.Change(release, by=bob, app_id=production.pk))
    assert to_channel("rolled-back").title == "Bob Sawyer rolled shop-production back"


def test_promotions(shop, told, staging, production, alice, bob):
    release = Release.objects.current_for(staging)
    for failed in (False, True):
        promotion = Promotion.objects.create(
            pipeline=shop, source=staging, release=release, by=bob, status="completed"
        )
        promotion.targets.create(
            app=production, status="failed" if failed else "succeeded", reason="No room." if failed else ""
        )
        changes.note(changes.Change(promotion, by=bob, pipeline_id=shop.pk))
    assert "is promoted to shop-production" in to_channel("promoted").title
    said = to_channel("promotion-failed")
    assert "failed on 1 of 1 apps" in said.title and ("shop-production", "No room.") in said.facts
    assert Notice.objects.filter(event="promotion-failed", user=bob).exists()


def run_of(shop, number, state, by=None):
    run = TestRun.objects.create(
        pipeline=shop, number=number, branch="main", commit="a" * 40, cause="hand", by=by,
        status="ended", state=state, finished_at=timezone.now(), failed=int(state == "failed"), passed=3,
    )  # fmt: skip
    changes.note(changes.Change(run, by=by, pipeline_id=shop.pk))
    return run


def test_tests_that_fail_and_pass_again(shop, told, bob):
    run_of(shop, 1, "succeeded", bob)
    assert not Notice.objects.exists()
    run_of(shop, 2, "failed", bob)
    assert dict(to_channel("tests-failed").facts)["What"] == "1 of 4 cases failed"
    run_of(shop, 3, "succeeded", bob)
    assert to_channel("tests-fixed").url.endswith("/pipelines/shop/tests/3/")
    run_of(shop, 4, "succeeded", bob)
    assert Notice.objects.filter(event="tests-fixed", user=bob).count() == 1


def test_a_review_app_that_fails(shop, told, bob):
    row = ReviewApp.objects.create(
        pipeline=shop, branch="new-basket", subject="branch/new-basket", by=bob, message="No room for it."
    )
    changes.note(changes.Change(row, "failed", pipeline_id=shop.pk))
    said = to_channel("review-failed")
    assert said.title == "The review app of new-basket of shop failed"
    assert dict(said.facts)["Why"] == "No room for it."
    assert Notice.objects.filter(event="review-failed", user=bob).exists()


NINE = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)  # a Monday


def test_a_freeze_begins_and_ends_by_the_clock(shop, told, alice):
    Freeze.objects.create(
        pipeline=shop, name="Mornings", days=[0], from_minute=540, to_minute=600,
        created_at=NINE - timedelta(days=3),
    )  # fmt: skip
    for seconds in (-40, -20, 0, 20, 40):
        clock.look(NINE + timedelta(seconds=seconds))
    assert Notice.objects.get().event == "freeze-began"
    assert to_channel("freeze-began").title == "shop is frozen: Mornings"
    clock.look(NINE + timedelta(minutes=60))
    clock.look(NINE - timedelta(minutes=60))  # the clock jumps back
    clock.look(NINE + timedelta(minutes=61))
    assert sorted(Notice.objects.values_list("event", flat=True)) == ["freeze-began", "freeze-ended"]


def test_what_is_long_over_is_not_told(shop, told, alice):
    Freeze.objects.create(
        pipeline=shop, name="Once", starts_at=NINE, ends_at=NINE + timedelta(hours=1), created_at=NINE
    )
    clock.look(NINE + timedelta(days=2))
    assert not Notice.objects.exists()


def test_a_freeze_that_begins_as_it_is_made(shop, told, alice):
    now = timezone.now()
    flow_actions.freeze(
        shop, name="Now", starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1), by=alice
    )
    clock.look(now + timedelta(seconds=1))
    assert Notice.objects.get().event == "freeze-began"


def test_a_summary_each_day_for_who_wants_one(shop, staging, alice, bob, vera):
    actions.prefer(bob, None, email=True, events=[], summary=True, by=bob)
    actions.prefer(vera, shop, email=True, events=[], summary=True, by=vera)
    make_release(staging, by=alice, status="failed", current=False)
    today = timezone.now().replace(hour=8)
    clock.look(today.replace(hour=6))
    assert not Notice.objects.exists()
    for _ in range(2):
        clock.look(today)
    assert {notice.user for notice in Notice.objects.all()} == {bob, vera}
    for notice in Notice.objects.all():
        assert sent(notice).status == "succeeded"
    assert "shop: 1 release failed" in mail.outbox[0].body


def test_no_summary_of_nothing(shop, bob):
    actions.prefer(bob, None, email=True, events=[], summary=True, by=bob)
    Release.objects.all().delete()
    clock.look(timezone.now().replace(hour=8))
    assert sent(Notice.objects.get()).reason == "Nothing happened."
    assert not mail.outbox


def test_every_event_has_something_to_say():
    assert set(OF_WORD) - {"plan-offered"} <= set(tellers.TELLERS)


class TestAutoscaling:
    @pytest.fixture
    def scaled(self, production, alice):
        """It may have two dynos, and somebody wants to know when it does."""
        make_release(production, by=alice)
        return autoscale.enable(production, Rule(1, 2, 500), notify=True, by=alice)

    def test_who_wants_it_is_mailed_when_it_comes_to_its_most(self, scaled, told):
        step = Step(2, "p95 812 ms over 500 ms")
        assert autoscale.take(scaled, step, seen=1)
        said = story("dynos-at-most", user__email="alice@example.com")
        assert said.title == "shop-production has come to the most dynos it may have, 2"
        assert dict(said.facts)["Why"] == step.reason
        assert said.url.endswith("/apps/shop-production/resources/")
        assert Notice.objects.filter(event="dynos-at-most", channel=told).exists()

    def test_once_a_day(self, scaled, alice):
        for hours in (0, 1, 25):
            now = timezone.now() + timedelta(hours=hours)
            scaled.refresh_from_db()
            assert autoscale.take(scaled, Step(2, "slow"), seen=1, now=now)
            scaled.refresh_from_db()
            assert autoscale.take(scaled, Step(1, "quick"), seen=2, now=now)
        assert Notice.objects.filter(event="dynos-at-most", user=alice).count() == 2

    def test_nobody_who_does_not_want_it(self, scaled, production, alice):
        row = autoscale.enable(production, Rule(1, 2, 500), by=alice)
        assert autoscale.take(row, Step(2, "slow"), seen=1)
        assert not Notice.objects.filter(event="dynos-at-most").exists()

    def test_nothing_once_it_is_off(self, scaled, production, alice):
        assert autoscale.take(scaled, Step(2, "slow"), seen=1)
        autoscale.disable(production, by=alice)
        with pytest.raises(Stale):
            story("dynos-at-most", user=alice)


class TestAlerts:
    @pytest.fixture
    def alert(self, production, bob):
        return alerts.add(production, "errors", 5, by=bob)

    def test_who_manages_the_app_and_who_asked_are_told(self, alert, told, alice, bob):
        assert alerts.note(alert, "6.0 % of 100 requests failed")
        assert set(
            Notice.objects.filter(event="alert-on", user__isnull=False).values_list("user", flat=True)
        ) == {
            alice.pk,
            bob.pk,
        }
        said = to_channel("alert-on")
        assert said.title == "shop-production: Errors over 5 % for 5 min"
        assert dict(said.facts)["Found"] == "6.0 % of 100 requests failed"
        assert said.url.endswith("/apps/shop-production/metrics/")
        assert alerts.note(alert, "")
        assert (
            to_channel("alert-off").title
            == "shop-production is well again: no more errors over 5 % for 5 min"
        )
        with pytest.raises(Stale):
            story("alert-on", user=alice)

    def test_each_time_again(self, alert, alice):
        for hours in (0, 1):
            assert alerts.note(alert, "6 %", now=timezone.now() + timedelta(hours=hours))
            assert alerts.note(alert, "", now=timezone.now() + timedelta(hours=hours, minutes=10))
        assert Notice.objects.filter(event="alert-on", user=alice).count() == 2

    def test_one_of_a_log_leads_to_the_log(self, production, told, alice):
        alert = alerts.add(production, "log", 1, text="Error R14", by=alice)
        assert alerts.note(alert, "1 or more")
        assert to_channel("alert-on").url.endswith("/apps/shop-production/logs/")
