"""Whatever happens in whatever order, production only gets releases whose gates held at that moment."""

import os
from collections import defaultdict
from datetime import timedelta
from unittest import mock

from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts import actions as account_actions
from apps.models import App
from ci.models import TestRun
from conductor import flow as conductor_flow
from conductor import promotions, work
from core import failpoints
from core.errors import Refusal
from flow import actions, watching
from flow.models import Line, Passage, Watch
from pipelines import actions as pipeline_actions
from pipelines.models import Coupling, Promotion, PromotionTarget
from releases.actions import rollback
from releases.models import Release
from tests.factories import make_app, make_pipeline, make_release, make_slug, make_user, stage

ALWAYS = ("all well", "all well", "go on", "go on", "go on", "push", "clear the way", "disagree")
TROUBLES = (
    "tests pass",
    "tests fail",
    "approve",
    "refuse",
    "take back",
    "hold",
    "freeze",
    "look",
    "look and die",
    "turn",
    "finish",
    "break",
    "roll production back",
    "roll staging back",
    "promote by hand",
    "watch fails",
)


@st.composite
def walks(draw):
    """Steps of what always happens and of a few kinds of trouble: of all at once, hardly a release would get through."""
    kinds = draw(st.sets(st.sampled_from(TROUBLES), max_size=4))
    step = st.tuples(st.sampled_from([*ALWAYS, *sorted(kinds)]), st.integers(0, 3))
    return draw(st.lists(step, min_size=8, max_size=30))


class Walk(TestCase):
    """What is true is kept here a second time, without asking any gate."""

    def setUp(self):
        self.alice, self.bob, self.cleo = (
            make_user(f"{name}@example.com", name=name.title()) for name in ("alice", "bob", "cleo")
        )
        team = account_actions.create_team("acme", by=self.alice)
        for person in (self.bob, self.cleo):
            account_actions.set_role(team, person, "member", by=self.alice)
        self.pipeline = make_pipeline("shop", owner=team)
        self.staging = make_app("shop-staging", owner=team, stage=stage(self.pipeline, "staging"))
        self.production = make_app("shop-production", owner=team, stage=stage(self.pipeline, "production"))
        make_release(self.production, by=self.alice)
        make_release(self.staging, by=self.alice)
        into = stage(self.pipeline, "production")
        self.line = actions.set_line(into, mode="auto", by=self.alice)
        actions.add_gate(self.line, "ci", {}, by=self.alice)
        actions.add_gate(self.line, "approval", {"count": 1}, by=self.alice)

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @example([("all well", 0), ("go on", 0), ("disagree", 1), ("go on", 0)])
    @given(walks())
    def test_production_only_gets_what_the_gates_let_through(self, walk):
        self.yes, self.no = defaultdict(set), defaultdict(set)
        self.tested, self.author, self.stops, self.numbers = {}, {}, set(), iter(range(1, 10_000))
        self.seen = set(Release.objects.filter(app=self.production).values_list("pk", flat=True))
        for name, number in walk:
            try:
                with transaction.atomic():
                    getattr(self, "do_" + name.replace(" ", "_"))(number)
            except (Refusal, failpoints.Injected):
                pass
            self.check(walk)
        event(f"{min(3, Promotion.objects.filter(automatic=True).count())} automatic promotions")

    # --- what may happen ----------------------------------------------------------------------------------------

    def person(self, number):
        return (self.alice, self.bob, self.cleo)[number % 3]

    def passage(self):
        return Passage.objects.filter(line=self.line, state="open").select_related("slug").first()

    def do_push(self, number):
        author = self.person(number)
        slug = make_slug(self.staging, author_email=author.email)
        self.author[slug.pk] = author
        make_release(self.staging, by=author, slug=slug)
        Line.objects.update(stale=True)

    def ran(self, number, state):
        slug = Release.objects.current_for(self.staging).slug
        TestRun.objects.create(
            pipeline=self.pipeline,
            number=next(self.numbers),
            branch="main",
            commit=slug.commit,
            state=state,
            status="ended",
            finished_at=timezone.now(),
        )
        self.tested[slug.commit] = state

    def do_tests_pass(self, number):
        self.ran(number, "succeeded")

    def do_tests_fail(self, number):
        self.ran(number, "failed")

    def do_all_well(self, number):
        """Most of the time tests pass, and somebody else approves."""
        self.do_push(number)
        self.do_tests_pass(number)
        self.look()
        self.say(number + 1, True)

    def do_disagree(self, number):
        """All would be well, but of those whose word counts one says yes and one says no."""
        self.do_all_well(number)
        self.say(number + 2, False)

    def do_go_on(self, number):
        """What the conductor does all the time."""
        self.look()
        self.do_turn(number)
        self.end(True)

    def do_clear_the_way(self, number):
        self.do_lift(number)
        self.do_thaw(number)

    def say(self, number, approves):
        passage, who = self.passage(), self.person(number)
        if passage is None:
            return
        if approves:
            actions.approve(passage, by=who)
        else:
            actions.refuse(passage, note="No", by=who)
        (self.yes if approves else self.no)[passage.slug_id].add(who.pk)
        (self.no if approves else self.yes)[passage.slug_id].discard(who.pk)

    def do_approve(self, number):
        self.say(number, True)

    def do_refuse(self, number):
        self.say(number, False)

    def do_take_back(self, number):
        passage, who = self.passage(), self.person(number)
        if passage is not None:
            actions.take_back(passage, by=who)
            self.yes[passage.slug_id].discard(who.pk)
            self.no[passage.slug_id].discard(who.pk)

    def do_hold(self, number):
        self.stops.add(
            actions.hold(self.pipeline, line=self.line if number % 2 else None, reason="R", by=self.bob)
        )

    def do_lift(self, number):
        for hold in actions.open_holds(self.pipeline):
            actions.lift(hold, by=self.bob)
            self.stops.discard(hold)

    def do_freeze(self, number):
        now = timezone.now()
        span = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(hours=1)}
        self.stops.add(actions.freeze(self.pipeline, name="F", by=self.alice, **span))

    def do_thaw(self, number):
        for freeze in self.pipeline.freezes.all():
            self.stops.discard(freeze)
            actions.unfreeze(freeze, by=self.alice)

    def look(self):
        Passage.objects.filter(state="open").update(look_at=timezone.now())
        conductor_flow.Flow().look()

    def do_look(self, number):
        self.look()

    def do_look_and_die(self, number):
        """The conductor dies in the middle of a promotion: nothing of that transaction stays."""
        with (
            self.settings(FAILPOINTS_ALLOWED=True),
            mock.patch.dict(os.environ, {"FAILPOINTS": "flow.promoted=error"}),
        ):
            self.look()

    def do_turn(self, number):
        kind = work.Kind("promotion", PromotionTarget, 8, promotions.advance, promotions.fail)
        PromotionTarget.objects.filter(status__in=["pending", "running"], release=None).update(
            lease_until=None
        )
        held = kind.claim()
        if held:
            work.run(held)

    def end(self, succeeded):
        release = Release.objects.filter(app=self.production).claim()
        if release is None:
            return
        with transaction.atomic():
            if succeeded:
                Release.objects.filter(app=self.production, current=True).update(current=False)
                release.end("succeeded", current=True)
            else:
                release.end("failed", reason="It does not start.")
            promotions.release_ended(release, succeeded=succeeded, reason="" if succeeded else "It fails.")

    def do_finish(self, number):
        self.end(True)

    def do_break(self, number):
        self.end(False)

    def back(self, app, number):
        old = (
            Release.objects.filter(app=app, status="succeeded", current=False)
            .order_by("-version")[number:]
            .first()
        )
        if (
            old is not None
            and not Release.objects.filter(app=app, status__in=["pending", "running"]).exists()
        ):
            made = rollback(app, old, by=self.alice)
            self.seen.add(made.pk)
            if app == self.staging:
                Release.objects.filter(app=app, current=True).update(current=False)
                Release.objects.filter(pk=made.pk).update(
                    status="succeeded", current=True, finished_at=timezone.now()
                )
                Line.objects.update(stale=True)

    def do_roll_production_back(self, number):
        self.back(self.production, number)

    def do_roll_staging_back(self, number):
        self.back(self.staging, number)

    def do_promote_by_hand(self, number):
        source, target = (Coupling.objects.get(app=app) for app in (self.staging, self.production))
        pipeline_actions.promote(source, [target], by=self.person(number))

    def do_watch_fails(self, number):
        watch = Watch.objects.claim()
        if watch is not None:
            watch = Watch.objects.select_related("app", "release", "line__stage__pipeline", "back_to").get(
                pk=watch.pk
            )
            before = set(Release.objects.filter(app=self.production).values_list("pk", flat=True))
            watching._fail(watch, "its dynos crashed once", watching.Figures(crashes=1))
            self.seen |= (
                set(Release.objects.filter(app=self.production).values_list("pk", flat=True)) - before
            )

    # --- what must be -------------------------------------------------------------------------------------------

    def check(self, walk):
        for release in Release.objects.filter(app=self.production).exclude(pk__in=self.seen):
            self.seen.add(release.pk)
            slug = release.slug
            assert self.tested.get(slug.commit) == "succeeded", walk
            others = self.yes[slug.pk] - {self.author[slug.pk].pk if slug.pk in self.author else None}
            assert others and not self.no[slug.pk] - {self.author.get(slug.pk) and self.author[slug.pk].pk}, (
                walk
            )
            assert not self.stops, walk
        opened = Passage.objects.filter(line=self.line, state="open").count()
        assert opened <= 1, walk
        automatic = Promotion.objects.filter(automatic=True)
        slugs = list(automatic.values_list("release__slug", flat=True))
        assert App.objects.count() == 2
        for slug in set(slugs):
            again = Passage.objects.filter(slug=slug, promotion__in=automatic).count()
            assert slugs.count(slug) <= again, (walk, "promoted twice")
