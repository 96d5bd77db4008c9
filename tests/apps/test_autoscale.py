"""When the platform adds or removes a web dyno, and what people ask it for."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from apps import actions, autoscale
from apps.autoscale import CALM_MINUTES, FEWEST, MINUTE, Rule, Step, decide, p95
from apps.models import Autoscale
from core.errors import Forbidden, Refusal
from core.models import Event
from engine.tally import BOUNDS, place
from tests.factories import make_app

NOW = datetime(2026, 1, 1, 12, 10, 30, tzinfo=UTC)
PRESENT = datetime(2026, 1, 1, 12, 10, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
RULE = Rule(minimum=1, maximum=3, p95=500)


def spread(*took):
    """What the router counts of answers that took so many milliseconds."""
    counts = [0] * (len(BOUNDS) + 1)
    for each in took:
        counts[place(each)] += 1
    return counts


def minutes(count, *took, before=0):
    """The same answers in each of the last `count` minutes, the present one among them."""
    return {PRESENT - (n + before) * MINUTE: spread(*took) for n in range(count)}


class TestDecide:
    @pytest.mark.parametrize(
        ("quantity", "figures", "since", "wanted"),
        [
            (1, minutes(1, *[900] * 20), LONG_AGO, 2),
            (2, minutes(1, *[900] * 20), LONG_AGO, 3),
            (3, minutes(1, *[900] * 20), LONG_AGO, None),  # no room
            (1, minutes(1, *[900] * 20), None, 2),  # it has only just been turned on
            (1, minutes(1, *[900] * (FEWEST - 1)), LONG_AGO, None),  # too few to say anything
            (1, minutes(1, *[900] * 20, before=2), LONG_AGO, None),  # it was so, and is not any more
            (1, minutes(1, *[900] * 2, *[90] * 98), LONG_AGO, None),  # 98 % are quick
            (1, minutes(1, *[900] * 8, *[90] * 92), LONG_AGO, 2),
            (1, minutes(1, *[900] * 20), NOW - timedelta(seconds=59), None),  # not twice a minute
            (1, minutes(1, *[900] * 20), NOW - timedelta(seconds=61), 2),
            # All of the answers began before the last change: the minute of 12:09 is not known as a whole.
            (2, minutes(1, *[900] * 20, before=1), NOW - timedelta(seconds=65), None),
            (1, {}, LONG_AGO, None),
            (2, {}, LONG_AGO, 1),
            (3, {}, LONG_AGO, 2),
            (3, {}, NOW - timedelta(minutes=2), None),  # not for long enough
            (3, {}, None, 2),
            (0, minutes(1, *[900] * 20), LONG_AGO, None),  # somebody wants it so
            (7, {}, NOW, 3),  # beyond a bound: back at once
            (2, minutes(4, *[200] * 100), LONG_AGO, 1),  # 200 ms, with half as many 400
            # On one dyno it would be 760 ms, where requests wait for each other; where they don't, it stays 380.
            (2, minutes(4, *[380] * 100), LONG_AGO, None),
            (2, minutes(4, *[380] * 20), LONG_AGO, 1),
            # An app that is slow whatever it has: too much to do for one dyno less, or nothing to do at all.
            (2, minutes(4, *[450] * 100), LONG_AGO, None),
            (2, minutes(4, *[9000] * 2), LONG_AGO, 1),
            (2, minutes(1, *[700] * 200, before=2) | minutes(1, *[90] * 20), LONG_AGO, None),  # calm for a minute
        ],
    )  # fmt: skip
    def test_by_the_figures(self, quantity, figures, since, wanted):
        step = decide(RULE, quantity, figures, since=since, now=NOW)
        assert (step.quantity if step else None) == wanted

    def test_it_says_why(self):
        assert (
            decide(RULE, 1, minutes(1, *[800] * 20), since=None, now=NOW).reason == "p95 988 ms over 500 ms"
        )
        assert decide(RULE, 2, {}, since=None, now=NOW).reason == f"no requests for {CALM_MINUTES} min"
        down = decide(RULE, 2, minutes(4, *[140] * 100), since=None, now=NOW)
        assert down.reason == f"p95 148 ms, 400 requests in {CALM_MINUTES} min"

    def test_whatever_comes_it_stays_within_its_bounds_and_moves_by_one_a_minute(self):
        chance = random.Random(7)
        for _ in range(60):
            low = chance.randint(1, 4)
            rule = Rule(low, low + chance.randint(0, 5), chance.choice([50, 500, 5000]))
            quantity, since, figures, now = chance.randint(low, rule.maximum), None, {}, PRESENT
            for _ in range(200):
                now += timedelta(seconds=10)
                minute = now.replace(second=0)
                came = spread(*[chance.choice([8, 80, 800, 8000])] * chance.choice([0, 0, 5, 50]))
                figures[minute] = [a + b for a, b in zip(figures.get(minute, spread()), came, strict=True)]
                step = decide(rule, quantity, figures, since=since, now=now)
                if step is None:
                    continue
                assert rule.minimum <= step.quantity <= rule.maximum and step.reason
                assert abs(step.quantity - quantity) == 1
                assert since is None or now - since >= MINUTE
                quantity, since = step.quantity, now

    def test_without_requests_it_comes_to_its_minimum_step_by_step_and_stays(self):
        quantity, since, now, seen = 3, LONG_AGO, NOW, []
        for _ in range(100):
            now += timedelta(seconds=10)
            if step := decide(RULE, quantity, {}, since=since, now=now):
                quantity, since = step.quantity, now
                seen.append(quantity)
        assert seen == [2, 1]

    @pytest.mark.parametrize(
        "took",
        [[100] * 50, [random.Random(3).expovariate(1 / 300) for _ in range(500)], list(range(1, 2000)), [8] * 20],
    )  # fmt: skip
    def test_p95_lies_within_the_step_of_the_true_one(self, took):
        true = sorted(took)[int(0.95 * len(took) - 0.5)]
        low = (0, *BOUNDS)[place(true)]
        assert low <= p95(spread(*took)) <= BOUNDS[place(true)]

    def test_p95_of_no_answers_and_of_endless_ones(self):
        assert p95(spread()) == 0 and p95([]) == 0
        assert p95(spread(40_000)) == 30_000


@pytest.fixture
def app(db, alice):
    return make_app("shop", owner=alice, released=True)


def web(app):
    return app.formation.get(type="web").quantity


def verbs():
    return list(Event.objects.order_by("at").values_list("verb", flat=True))


class TestAsking:
    def test_it_is_written_down_and_known(self, app, alice):
        autoscale.enable(app, RULE, notify=True, by=alice)
        row = autoscale.of(app)
        assert (row.enabled, row.minimum, row.maximum, row.p95, row.notify, row.by) == (
            True,
            1,
            3,
            500,
            True,
            alice,
        )
        event = Event.objects.filter(verb="set autoscaling of").get()
        assert (event.details["before"], event.by) == ("off", alice)
        assert event.details["after"] == "1–3, p95 500 ms, mail at the most"
        autoscale.enable(app, RULE, notify=True, by=alice)
        assert verbs().count("set autoscaling of") == 1, "nothing changed"

    @pytest.mark.parametrize(
        ("rule", "field"),
        [
            (Rule(0, 3, 500), "minimum"),
            (Rule(1, 101, 500), "maximum"),
            (Rule(3, 2, 500), "maximum"),
            (Rule(1, 3, 0), "p95"),
            (Rule(1, 3, 30_001), "p95"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, app, alice, rule, field):
        with pytest.raises(Refusal) as refused:
            autoscale.enable(app, rule, by=alice)
        assert field in refused.value.fields and not Autoscale.objects.exists()

    def test_dynos_beyond_a_bound_are_brought_to_it(self, app, alice):
        autoscale.enable(app, Rule(2, 4, 500), by=alice)
        assert web(app) == 2
        autoscale.enable(app, Rule(1, 1, 500), by=alice)
        assert web(app) == 1 and autoscale.of(app).enabled

    def test_an_app_without_web_process_has_nothing_to_scale(self, db, alice):
        with pytest.raises(Refusal, match="no web dynos"):
            autoscale.enable(make_app(owner=alice), RULE, by=alice)

    def test_a_limit_holds_for_the_minimum(self, app, alice, settings):
        settings.MAX_DYNOS = 2
        with pytest.raises(Forbidden):
            autoscale.enable(app, Rule(3, 5, 500), by=alice)
        assert web(app) == 1 and not Autoscale.objects.exists()

    def test_a_number_given_by_hand_turns_it_off_and_a_size_does_not(self, app, alice):
        autoscale.enable(app, RULE, by=alice)
        actions.scale(app, {"web": {"size": "performance-m"}}, by=alice)
        assert autoscale.of(app).enabled
        actions.scale(app, {"web": {"quantity": 2}}, by=alice)
        assert not autoscale.of(app).enabled
        assert verbs()[-2:] == ["scaled", "turned off autoscaling of"]

    def test_off_it_knows_what_was_asked_for(self, app, alice):
        autoscale.enable(app, RULE, by=alice)
        autoscale.disable(app, by=alice)
        autoscale.disable(app, by=alice)
        row = autoscale.of(app)
        assert (row.enabled, row.maximum) == (False, 3)
        assert verbs().count("turned off autoscaling of") == 1


class TestTaking:
    def test_a_step_is_taken_once(self, app, alice):
        row = autoscale.enable(app, RULE, by=alice)
        step = Step(2, "p95 812 ms over 500 ms")
        assert autoscale.take(row, step, seen=1) and not autoscale.take(row, step, seen=1)
        assert web(app) == 2
        event = Event.objects.filter(verb="scaled").get()
        assert (event.by, event.actor, event.details["what"]) == (None, "slipway", step.reason)
        row.refresh_from_db()
        assert (row.reason, row.enabled) == (step.reason, True) and row.changed_at

    def test_what_changed_meanwhile_counts(self, app, alice):
        row = autoscale.enable(app, RULE, by=alice)
        actions.scale(app, {"web": {"quantity": 1}}, by=alice)
        assert not autoscale.take(row, Step(2, "p95"), seen=1), "somebody turned it off"
        row = autoscale.enable(app, RULE, by=alice)
        autoscale.enable(app, Rule(1, 1, 500), by=alice)
        assert not autoscale.take(row, Step(2, "p95"), seen=1), "the bounds are others"
        assert web(app) == 1

    def test_a_limit_is_kept_and_said(self, app, alice, settings):
        row = autoscale.enable(app, RULE, by=alice)
        settings.MAX_DYNOS = 1
        assert not autoscale.take(row, Step(2, "p95 812 ms over 500 ms"), seen=1)
        row.refresh_from_db()
        assert web(app) == 1 and row.changed_at is None
        assert row.reason.startswith(
            "p95 812 ms over 500 ms, but: alice@example.com may have 1 dyno and has 1"
        )
