"""The pages of lines: gates, what waits before them, what people say, holds and freezes."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains

from dashboard import cards
from flow import actions, passages
from flow.models import Freeze, Gate, Hold, Line, Passage, Probe, Verdict
from pipelines.models import Promotion
from tests.factories import stage

LINE = "/pipelines/shop/stages/production/line/"


@pytest.fixture
def line(shop, alice):
    """Into production, which asks: shop-staging's release waits there."""
    return actions.set_line(stage(shop, "production"), mode="ask", by=alice)


def gate(line, by, kind="approval", **settings):
    return actions.add_gate(line, kind, settings, by=by)[0]


def waiting(line):
    """The passage of shop-staging, looked at as the conductor does."""
    (passage,) = passages.refresh(line)
    passages.look(Passage.objects.select_related("line__stage__pipeline").get(pk=passage.pk))
    return Passage.objects.get(pk=passage.pk)


def went(answer, path):
    assert (answer.status_code, answer.headers.get("Location")) == (303, path)


def at(passage, what=""):
    return f"/pipelines/shop/passages/{passage.pk}/{what}"


def card_of(pipeline, user, name):
    context = cards.board_context(pipeline, user)
    return next(card for column in context["columns"] for card in column.cards if card.app.name == name)


class TestLine:
    def test_it_is_set_up(self, shop, alice, client):
        client.force_login(alice)
        assertContains(client.get(LINE), "Gate from staging to production")
        form = {"mode": "auto", "soak_minutes": "5", "watch": "on", "most_crashes": "1", "most_errors": "2,5"}
        form |= {"most_p95": "", "canary": "share", "canary_percent": "20", "canary_minutes": "3"}
        went(client.post(LINE, form), LINE)
        line = Line.objects.get(stage__name="production")
        assert (line.mode, line.by, line.soak_minutes, line.most_errors) == ("auto", alice, 5, 2.5)
        assert (line.canary, line.canary_percent, line.needs_config, line.most_p95) == (
            "share",
            20,
            False,
            None,
        )
        assertContains(client.get(LINE), 'value="2.5"')

    def test_what_is_turned_down_stays_in_the_fields(self, shop, alice, client):
        client.force_login(alice)
        form = {"mode": "auto", "soak_minutes": "many", "most_crashes": "0", "canary": "none"}
        form |= {"canary_percent": "10", "canary_minutes": "5"}
        answer = client.post(LINE, form)
        assert answer.status_code == 422
        assertContains(answer, 'value="many"', status_code=422)
        assertContains(answer, "Give a number from 0", status_code=422)
        assertNotContains(answer, 'name="watch" checked', status_code=422)

    def test_others_read_it(self, shop, line, alice, bob, vera, client):
        gate(line, alice, count=2)
        for reader in (bob, vera):
            client.force_login(reader)
            page = client.get(LINE)
            assertContains(page, "2 approvals")
            assertNotContains(page, "Save line")

    def test_nothing_is_promoted_into_review(self, shop, alice, client):
        client.force_login(alice)
        assert client.get("/pipelines/shop/stages/review/line/").status_code == 404
        assert client.get("/pipelines/shop/stages/nowhere/line/").status_code == 404


GATES = "/pipelines/shop/stages/production/gates/"
KINDS = {
    "ci": {"runs": "on", "contexts": "lint\n\nunit"},
    "healthy": {"minutes": "4", "errors": "1.5", "p95": ""},
    "approval": {"count": "2", "roles": ["admin"]},
    "command": {"command": "bin/smoke", "on": "target", "seconds": "60"},
    "http": {"url": "/health", "status": "200", "contains": "ok"},
    "window": {"days": ["0", "3"], "from": "09:00", "to": "16:00", "zone": "Europe/Vienna"},
}


class TestGates:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_is_added_and_changed(self, shop, alice, client, kind):
        client.force_login(alice)
        assert client.get(f"{GATES}new/{kind}/").status_code == 200
        went(client.post(GATES, {"kind": kind, **KINDS[kind]}), LINE)
        made = Gate.objects.get()
        assert made.kind == kind
        page = client.get(f"{GATES}{made.pk}/")
        assertContains(page, "Save gate")
        before = dict(made.settings)
        went(client.post(f"{GATES}{made.pk}/", {"kind": kind, **KINDS[kind]}), LINE)
        assert Gate.objects.get().settings == before

    def test_a_webhook_tells_its_secret_once(self, shop, alice, client):
        client.force_login(alice)
        answer = client.post(GATES, {"kind": "webhook", "url": "https://checks.example.com/"})
        secret = Gate.objects.get().secret
        assert secret
        assertContains(answer, secret)
        assertNotContains(client.get(LINE), secret)

    def test_what_was_typed_stays_beside_the_error(self, shop, alice, client):
        client.force_login(alice)
        answer = client.post(GATES, {"kind": "healthy", "minutes": "soon", "errors": "1", "p95": ""})
        assertContains(answer, 'value="soon"', status_code=422)
        assertContains(answer, "Give a number", status_code=422)
        assert not Gate.objects.exists()
        answer = client.post(
            GATES, {"kind": "window", "from": "16:00", "to": "09:00", "days": ["2"], "zone": "UTC"}
        )
        assertContains(answer, 'value="2" checked', status_code=422)
        assert client.post(GATES, {"kind": "nonsense"}).status_code == 404

    def test_one_is_removed_after_a_question(self, shop, line, alice, client):
        made = gate(line, alice)
        client.force_login(alice)
        assertContains(client.get(f"{GATES}{made.pk}/removal/"), "Remove the gate “1 approval”?")
        went(client.post(f"{GATES}{made.pk}/removal/"), LINE)
        assert not Gate.objects.exists()


class TestBoard:
    def test_the_line_says_how_it_stands(self, shop, line, alice, vera, client):
        gate(line, alice)
        waiting(line)
        client.force_login(vera)
        page = client.get("/pipelines/shop/")
        assertContains(page, "gate--hold")
        assertContains(page, "1 approval")
        assertContains(page, "Waiting for approval")
        assertContains(page, "awaiting approval")
        assertNotContains(page, "Review</a>")
        client.force_login(alice)
        assertContains(client.get("/pipelines/shop/?only=approval"), "Review</a>")
        assertContains(client.get("/apps/shop-staging/card/"), "Waiting for approval")

    def test_a_hold_stands_above_it(self, shop, line, alice, client):
        actions.hold(shop, reason="The sale runs", by=alice)
        client.force_login(alice)
        page = client.get("/pipelines/shop/")
        assertContains(page, "The line is stopped")
        assertContains(page, "The sale runs")
        assertContains(page, "gate--shut")

    def test_who_can_override_keeps_the_button(self, shop, line, alice, bob):
        gate(line, alice)
        waiting(line)
        assert card_of(shop, alice, "shop-staging").may_promote
        card = card_of(shop, bob, "shop-staging")
        assert not card.may_promote
        assert "1 approval" in card.why_not


class TestPassage:
    def test_by_hand_it_leads_to_the_promotion_once_every_gate_holds(
        self, shop, line, alice, bob, vera, client
    ):
        gate(line, alice)
        actions.set_line(line.stage, mode="hand", by=alice)
        passage = waiting(line)
        client.force_login(bob)
        onwards = "promotions/new/?from=shop-staging&amp;release=1"
        assertNotContains(client.get(at(passage)), onwards)
        client.post(at(passage, "approval/"))
        waiting(line)
        assertContains(client.get(at(passage)), onwards)
        client.force_login(vera)
        assertNotContains(client.get(at(passage)), onwards)

    def test_people_approve_and_it_is_let_pass(self, shop, line, alice, bob, client):
        gate(line, alice)
        passage = waiting(line)
        client.force_login(bob)
        page = client.get(at(passage))
        assertContains(page, "shop-staging to production")
        assertContains(page, "1 of 1 to go")
        went(client.post(at(passage, "approval/"), {"note": "Fine"}), at(passage))
        assert Verdict.objects.get().note == "Fine"
        waiting(line)
        assertContains(client.get(at(passage)), "Promote now")
        went(client.post(at(passage, "promotion/")), at(passage))
        assert Promotion.objects.get().by == bob
        assertContains(client.get(at(passage)), "It was promoted by Bob Sawyer")

    def test_a_refusal_needs_a_reason_and_can_be_taken_back(self, shop, line, alice, bob, client):
        gate(line, alice)
        passage = waiting(line)
        client.force_login(bob)
        assertContains(client.post(at(passage, "refusal/")), "Say why", status_code=422)
        client.post(at(passage, "refusal/"), {"note": "Too late today"})
        waiting(line)
        assertContains(client.get(at(passage)), "Too late today")
        assert card_of(shop, bob, "shop-staging").strip.title == "Kept out of production"
        client.post(at(passage, "verdict/removal/"))
        assert not Verdict.objects.exists()

    def test_a_word_that_comes_too_late_says_so(self, shop, line, alice, bob, client):
        gate(line, alice)
        passage = waiting(line)
        Passage.objects.update(state="superseded")
        client.force_login(bob)
        answer = client.post(at(passage, "approval/"), {"note": "Mine"})
        assertContains(answer, "A newer release has taken its place", status_code=409)

    def test_viewers_may_not_and_strangers_find_nothing(self, shop, line, alice, vera, charlie, client):
        gate(line, alice)
        passage = waiting(line)
        client.force_login(vera)
        page = client.get(at(passage))
        assertNotContains(page, "Approve</button>")
        assert client.post(at(passage, "approval/")).status_code == 403
        assert client.get(at(passage, "changes/")).status_code == 403
        client.force_login(charlie)
        for what in ("", "changes/"):
            assert client.get(at(passage, what)).status_code == 404
        assert client.post(at(passage, "approval/")).status_code == 404

    def test_it_shows_what_would_change(self, shop, line, alice, bob, client):
        gate(line, alice)
        client.force_login(bob)
        assertContains(client.get(at(waiting(line), "changes/")), "Config vars")

    def test_what_people_wrote_is_shown_never_run(self, shop, line, alice, bob, client):
        gate(line, alice)
        passage = waiting(line)
        actions.refuse(passage, note="<script>window.pwned=1</script>", by=bob)
        waiting(line)
        client.force_login(alice)
        for path in (at(passage), "/pipelines/shop/", "/pipelines/shop/stages/production/passages/"):
            page = client.get(path)
            assertNotContains(page, "<script>window.pwned")

    def test_a_command_shows_what_it_wrote_to_who_may_read_that(self, shop, line, alice, bob, vera, client):
        gate(line, alice, kind="command", command="bin/smoke")
        passage = waiting(line)
        probe = Probe.objects.get()
        Probe.objects.update(
            facts={"apps": [str(passage.source_id)]}, status="failed", reason="It ended with 1"
        )
        client.force_login(bob)
        assertContains(client.get(at(passage)), f'data-log="{probe.log_stream}"')
        client.force_login(vera)
        page = client.get(at(passage))
        assertContains(page, "It ended with 1")
        assertNotContains(page, probe.log_stream)

    def test_the_history_tells_who(self, shop, line, alice, bob, client):
        gate(line, alice)
        passage = waiting(line)
        actions.approve(passage, note="Fine", by=bob)
        actions.let_pass(passage, by=alice)
        client.force_login(alice)
        page = client.get("/pipelines/shop/stages/production/passages/")
        assertContains(page, "Bob Sawyer approved")
        assertContains(page, "Promoted")


class TestHolds:
    def test_the_line_is_stopped_and_goes_on(self, shop, alice, bob, client):
        client.force_login(bob)
        assertContains(client.get("/pipelines/shop/holds/new/"), "Stop the line?")
        assertContains(client.post("/pipelines/shop/holds/", {"reason": ""}), "Say why", status_code=422)
        went(client.post("/pipelines/shop/holds/", {"reason": "Sale"}), "/pipelines/shop/")
        hold = Hold.objects.get()
        assert (hold.line, hold.by) == (None, bob)
        lifting = f"/pipelines/shop/holds/{hold.pk}/lifting/"
        assertContains(client.get(lifting), "Sale")
        went(client.post(lifting, {"note": "Over"}), "/pipelines/shop/")
        hold.refresh_from_db()
        assert (hold.lifted_by, hold.lifted_note) == (bob, "Over")
        assertContains(client.post(lifting), "lifted already", status_code=409)
        assertContains(client.get("/pipelines/shop/freezes/"), "Over")

    def test_one_line_is_held(self, shop, alice, client):
        client.force_login(alice)
        client.post("/pipelines/shop/holds/", {"reason": "Sale", "stage": "production"})
        assert Hold.objects.get().line.stage.name == "production"
        assertContains(client.get(LINE), "Sale")
        assertContains(client.get("/pipelines/shop/"), "Nothing passes into production")

    def test_viewers_may_not(self, shop, alice, vera, charlie, client):
        hold = actions.hold(shop, reason="Sale", by=alice)
        paths = ["/pipelines/shop/holds/new/", f"/pipelines/shop/holds/{hold.pk}/lifting/"]
        for who, status in ((vera, 403), (charlie, 404)):
            client.force_login(who)
            assert [client.get(path).status_code for path in paths] == [status, status]
            assert client.post("/pipelines/shop/holds/", {"reason": "x"}).status_code == status


class TestFreezes:
    def test_weekly_and_once(self, shop, alice, client):
        client.force_login(alice)
        weekly = {
            "name": "Week-ends",
            "zone": "Europe/Vienna",
            "how": "weekly",
            "from": "00:00",
            "to": "24:00",
        }
        path = "/pipelines/shop/freezes/"
        went(client.post(path, {**weekly, "days": ["5", "6"], "stage": "production"}), path)
        once = {"name": "Christmas", "zone": "Europe/Vienna", "how": "once"}
        once |= {"starts_at": "2030-12-24T12:00", "ends_at": "2030-12-27T08:00"}
        went(client.post(path, once), path)
        page = client.get(path)
        assertContains(page, "Every Saturday and Sunday, all day, Europe/Vienna")
        assertContains(page, "24 December 2030, 12:00 to 27 December 2030, 08:00")
        assert Freeze.objects.get(name="Christmas").starts_at.hour == 11

    @pytest.mark.parametrize(
        ("sent", "error"),
        [
            ({"how": "weekly", "from": "noon", "to": "24:00"}, "Give a time of day"),
            ({"how": "once", "starts_at": "", "ends_at": ""}, "Give a date and a time"),
            ({"how": "once", "zone": "Mars", "starts_at": "2030-12-24T12:00"}, "Give a time zone"),
            ({"how": "weekly", "from": "10:00", "to": "09:00", "days": ["1"]}, "Later than it begins"),
        ],
    )
    def test_what_is_wrong_is_said_beside_it(self, shop, alice, client, sent, error):
        client.force_login(alice)
        answer = client.post("/pipelines/shop/freezes/", {"name": "Sale", "zone": "UTC", **sent})
        assertContains(answer, error, status_code=422)
        assertContains(answer, 'value="Sale"', status_code=422)

    def test_one_is_removed_after_a_question(self, shop, alice, bob, client):
        freeze = actions.freeze(shop, name="Sale", days=[0], by=alice)
        path = f"/pipelines/shop/freezes/{freeze.pk}/removal/"
        client.force_login(bob)
        assert client.post(path).status_code == 403
        client.force_login(alice)
        assertContains(client.get(path), "Remove the freeze “Sale”?")
        went(client.post(path), "/pipelines/shop/freezes/")
        assert not Freeze.objects.exists()


class TestPromote:
    def form(self, client, **sent):
        page = client.get("/pipelines/shop/promotions/new/?from=shop-staging")
        shown = {"from": "shop-staging", "to": "shop-production", "release": page.context["release"].version}
        return page, {**shown, "token": page.context["token"], **sent}

    def test_gates_stand_before_the_button(self, shop, line, alice, bob, client):
        gate(line, alice)
        waiting(line)
        client.force_login(bob)
        page, form = self.form(client, note="Quick")
        assertContains(page, "Gates into production")
        assertContains(page, "Waits for approval")
        assertContains(page, "Promote all the same")
        assertNotContains(page, "Reason to promote all the same")
        answer = client.post("/pipelines/shop/promotions/", form)
        assertContains(answer, "Production asks for 1 approval", status_code=409)
        assertContains(answer, 'value="Quick"', status_code=409)
        assert client.post("/pipelines/shop/promotions/", {**form, "override": "Now"}).status_code == 403
        assert not Promotion.objects.exists()

    def test_a_manager_passes_them_with_a_reason(self, shop, line, alice, client):
        gate(line, alice)
        actions.hold(shop, reason="Sale", by=alice)
        client.force_login(alice)
        page, form = self.form(client)
        assertContains(page, "Held: Sale")
        assertContains(page, "Reason to promote all the same")
        assert client.post("/pipelines/shop/promotions/", form).status_code == 409
        answer = client.post("/pipelines/shop/promotions/", {**form, "override": "The shop is down"})
        assert answer.status_code == 303
        assert Promotion.objects.get().override == "The shop is down"

    def test_an_open_line_says_nothing(self, shop, line, bob, client):
        client.force_login(bob)
        page, form = self.form(client)
        assertNotContains(page, "Gates into")
        assert client.post("/pipelines/shop/promotions/", form).status_code == 303
