"""Gates that find out by doing something, one probe at a time: what is asked, and what is made of the answer."""

import base64
import hashlib
import hmac
import json
import uuid
from datetime import timedelta
from email.utils import format_datetime

import pytest
from django.utils import timezone

from apps.models import Dyno
from conductor.parts import NoRouter, Parts
from conductor.probing import Probing
from conductor.work import ATTEMPTS, run
from core.errors import LeaseLost
from engine.builder.slugs import SlugStore
from engine.logstore import LogStore
from flow import actions, gates, passages
from flow.models import Line, Passage, Probe
from releases.models import Release
from releases.streams import is_over, may_read
from tests.factories import make_app, make_release, stage
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db
YES, NO = (
    b'{"allow": true, "message": "Change 12"}',
    b'{"allow": false, "message": "Not on\\u0007 a\\nFriday"}',
)


@pytest.fixture
def parts(tmp_path):
    return Parts(None, NoRouter(), LogStore(tmp_path / "logs"), SlugStore(tmp_path / "slugs"), tmp_path)


@pytest.fixture
def other_side(settings):
    receiver = Receiver()
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    yield receiver
    receiver.stop()


@pytest.fixture
def probed(line, parts, alice):
    """Makes a gate and its probe of what waits at the line; returns a way to work on it, which gives the probe."""

    def make(kind, **settings):
        gate = actions.add_gate(line, kind, settings, by=alice)[0]
        passages.refresh(line)
        probe = Probe.objects.create(gate=gate, passage=Passage.objects.get(line=line, state="open"))

        def work():
            held = worker(parts).kind().claim()
            assert held is not None, "it is due"
            run(held)
            probe.refresh_from_db()
            return probe

        work.probe = probe
        return work

    return make


def worker(parts):
    return Probing(parts, lambda app_id: None)


def due(probe):
    """Let its pause be over."""
    Probe.objects.filter(pk=probe.pk).update(wake_at=None)


def pause(probe):
    return (probe.wake_at - timezone.now()).total_seconds()


def says(probe):
    """What its gate says by now."""
    probe.passage.refresh_from_db()
    return gates.states(probe.passage)[0]


class TestAddress:
    def test_it_holds_when_it_answers_as_it_should(self, probed, other_side):
        other_side.answers = [(204, {}, b"")]
        probe = probed("http", url=f"{other_side.url}/check?all=1", status=204)()
        assert (probe.status, probe.reason) == ("succeeded", "127.0.0.1 answers 204.")
        assert probe.facts["status"] == 204 and says(probe).passed
        assert other_side.received[0].path == "/check?all=1"

    @pytest.mark.parametrize("answer", [404, 500, "http://127.0.0.1/elsewhere"])
    def test_another_status_is_a_no(self, probed, other_side, answer):
        other_side.status = answer
        probe = probed("http", url=other_side.url)()
        assert probe.status == "failed" and "not 200" in probe.reason
        assert says(probe).state == "failed"

    def test_text_that_is_missing_is_a_no(self, probed, other_side):
        work = probed("http", url=other_side.url, contains="all “fine”")
        other_side.answers = [(200, {}, "nearly all “fine".encode())]
        assert work().reason == "127.0.0.1 answers without “all “fine””."

    def test_text_that_is_there_is_a_yes(self, probed, other_side):
        other_side.answers = [(200, {}, "it is all “fine” here".encode())]
        assert probed("http", url=other_side.url, contains="all “fine”")().status == "succeeded"

    def test_who_is_busy_is_asked_again(self, probed, other_side):
        other_side.answers = [503]
        work = probed("http", url=other_side.url)
        probe = work()
        assert probe.status == "running" and 0 < pause(probe) < 2
        due(probe)
        assert work().status == "succeeded"

    def test_nobody_there_is_tried_for_a_while_and_then_told(self, probed, other_side):
        other_side.stop()
        work = probed("http", url=other_side.url)
        for _ in range(ATTEMPTS - 1):
            due(work())
        probe = work()
        assert probe.status == "failed" and "127.0.0.1 cannot be reached" in probe.reason

    def test_internal_addresses_are_out_of_bounds(self, probed):
        probe = probed("http", url="http://169.254.169.254/latest/meta-data")()
        assert probe.status == "failed" and "internal address" in probe.reason

    @pytest.mark.parametrize("path", ["/health?full=1", "/a b/ü", "//elsewhere.example/"])
    def test_a_path_alone_is_asked_of_the_app_by_its_own_name(self, probed, other_side, settings, path):
        settings.OUTBOUND_ALLOW, settings.PORT = [], int(other_side.url.rpartition(":")[2])
        probe = probed("http", url=path)()
        assert (probe.status, probe.reason) == ("succeeded", f"shop-staging{path} answers 200.")
        asked = other_side.received[0]
        assert asked.headers["host"] == f"shop-staging.{settings.APPS_HOST}" and asked.path.startswith("/")

    @pytest.mark.parametrize(("bound", "host"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")])
    def test_a_router_on_all_addresses_is_asked_on_this_machine(
        self, probed, other_side, settings, bound, host
    ):
        settings.BIND, settings.PORT = bound, int(other_side.url.rpartition(":")[2])
        assert probed("http", url="/")().status == "succeeded"


class TestWebhook:
    def test_it_is_told_what_wants_to_pass_and_signed(self, probed, other_side, staging, production, shop):
        other_side.answers = [204]
        probe = probed("webhook", url=f"{other_side.url}/ask")()
        assert (probe.status, probe.reason) == ("succeeded", "127.0.0.1 says yes.")
        asked = other_side.received[0]
        signed = hmac.new(probe.gate.secret.encode(), asked.body, hashlib.sha256).digest()
        assert asked.headers["heroku-webhook-hmac-sha256"] == base64.b64encode(signed).decode()
        told = json.loads(asked.body)
        release = Release.objects.current_for(staging)
        assert told["id"] == str(probe.pk)
        assert told["pipeline"] == {"id": str(shop.pk), "name": "shop"}
        assert (told["app"]["name"], told["stage"]["name"]) == ("shop-staging", "production")
        assert (told["release"]["version"], told["slug"]["commit"]) == (release.version, release.slug.commit)
        assert told["changes"]["targets"][0]["app"]["name"] == "shop-production"
        assert told["url"].endswith(f"/pipelines/shop/passages/{probe.passage_id}/")

    def test_no_value_of_a_config_var_is_told(self, probed, other_side, staging, alice):
        from releases.actions import set_config

        work = probed("webhook", url=other_side.url)
        set_config(staging, {"KEY": "sealed-away"}, by=alice)
        work()
        body = other_side.received[0].body
        assert b"KEY" in body and b"sealed-away" not in body

    @pytest.mark.parametrize(
        ("answer", "status", "reason"),
        [
            ((200, {}, YES), "succeeded", "Change 12"),
            ((200, {}, NO), "failed", "Not on a Friday"),
            ((201, {}, b'{"allow": true}'), "succeeded", "127.0.0.1 says yes."),
            ((200, {}, b'{"allow": "yes"}'), "failed", "127.0.0.1 answers 200, and neither yes nor no."),
            ((200, {}, b"[" * 100_000), "failed", "127.0.0.1 answers 200, and neither yes nor no."),
            ((403, {}, YES), "failed", "127.0.0.1 answers 403, and neither yes nor no."),
            ("http://127.0.0.1/", "failed", "127.0.0.1 answers 302, and neither yes nor no."),
        ],
    )
    def test_what_it_answers_counts(self, probed, other_side, answer, status, reason):
        other_side.answers = [answer]
        probe = probed("webhook", url=other_side.url)()
        assert (probe.status, probe.reason) == (status, reason)

    @pytest.mark.parametrize(
        ("retry_after", "least", "most"),
        [
            ("120", 110, 120),
            ("999999", 3590, 3600),
            ("0", 0, 1),
            ("", 50, 60),
            ("soon", 50, 60),
            ("in two days", 3590, 3600),
        ],
    )
    def test_who_has_not_decided_is_asked_again(self, probed, other_side, retry_after, least, most):
        if retry_after == "in two days":
            retry_after = format_datetime(timezone.now() + timedelta(days=2), usegmt=True)
        other_side.answers = [(202, {"Retry-After": retry_after}, b'{"message": "Ticket 5"}')]
        probe = probed("webhook", url=other_side.url)()
        assert probe.status == "running" and least <= pause(probe) <= most
        assert (says(probe).state, says(probe).words) == ("waiting", "Ticket 5")

    def test_it_may_take_its_time(self, probed, other_side):
        other_side.answers = [202] * (ATTEMPTS + 3)
        work = probed("webhook", url=other_side.url)
        for _ in range(ATTEMPTS + 3):
            due(work())
        other_side.answers = [204]
        assert work().status == "succeeded"
        assert len({json.loads(one.body)["id"] for one in other_side.received}) == 1, "one question"

    def test_its_trouble_is_no_answer(self, probed, other_side):
        other_side.answers = [500, "garbage"]
        work = probed("webhook", url=other_side.url)
        for _ in range(2):
            assert work().status == "running"
            due(work.probe)
        assert work().status == "failed"  # 200 without a word is neither yes nor no


class TestEnd:
    def test_a_passage_that_ended_ends_its_probe_unasked(self, probed, other_side, staging, line, alice):
        work = probed("http", url=other_side.url)
        make_release(staging, by=alice)
        passages.refresh(line)
        probe = work()
        assert (probe.status, probe.reason) == ("failed", "Something else took its place meanwhile.")
        assert not other_side.received

    def test_a_gate_that_was_changed_ends_its_probe(self, probed, other_side, alice):
        work = probed("http", url=other_side.url)
        actions.change_gate(work.probe.gate, {"url": other_side.url, "status": 201}, by=alice)
        assert work().reason == "The gate was changed meanwhile."
        assert says(work.probe).words == "not tried yet"

    def test_a_gate_that_is_gone_stops_its_dyno(self, probed, parts, alice):
        work = probed("command", command="bin/smoke")
        held = worker(parts).kind().claim()
        worker(parts).advance(held)
        dyno = Dyno.objects.get(pk=held.job.dyno_id)
        actions.remove_gate(work.probe.gate, by=alice)
        with pytest.raises(LeaseLost):
            worker(parts).advance(held)
        dyno.refresh_from_db()
        assert dyno.stop_asked


class TestCommand:
    def test_it_gets_a_dyno_of_the_source_with_that_code(self, probed, staging, parts):
        probe = probed("command", command="bin/smoke --all", seconds=77)()
        dyno = Dyno.objects.get(pk=probe.dyno_id)
        assert (dyno.app, dyno.command, dyno.time_to_live) == (staging, "bin/smoke --all", 77)
        assert (dyno.code, dyno.stream) == (probe.passage.slug_id, f"probe/{probe.pk}")
        assert says(probe).words == "running on shop-staging"

    def test_it_gets_one_after_the_other_on_all_targets(self, probed, shop, production, parts, team):
        extra = make_app("shop-asia", owner=team, stage=stage(shop, "production"))
        make_release(extra, slug=Release.objects.current_for(production).slug)
        work = probed("command", command="true", on="target")
        seen = []
        for app in (extra, production):
            probe = work()
            dyno = Dyno.objects.get(pk=probe.dyno_id)
            assert dyno.app == app and dyno.release_version == 1
            seen.append(dyno.pk)
            Dyno.objects.filter(pk=dyno.pk).update(state="down", exit_code=0)
            Probe.objects.update(lease_until=None)
        assert work().status == "succeeded" and len(set(seen)) == 2
        assert Dyno.objects.filter(type="gate").count() == 2

    def test_a_status_other_than_0_is_a_no(self, probed):
        work = probed("command", command="false")
        Dyno.objects.filter(pk=work().dyno_id).update(state="down", exit_code=3)
        Probe.objects.update(lease_until=None)
        probe = work()
        assert (probe.status, probe.reason) == ("failed", "It exited with status 3 on shop-staging.")
        assert probe.facts["exit_code"] == 3

    def test_a_dyno_that_was_lost_is_followed_by_another(self, probed):
        work = probed("command", command="true")
        first = work().dyno_id
        Dyno.objects.filter(pk=first).update(state="down", exit_code=None, reason="lost")
        Probe.objects.update(lease_until=None)
        probe = work()
        assert probe.status == "running" and probe.dyno_id is None
        due(probe)
        assert work().dyno_id not in (None, first)

    def test_one_that_somebody_stopped_is_a_no(self, probed):
        work = probed("command", command="true")
        Dyno.objects.filter(pk=work().dyno_id).update(state="down", exit_code=None, stop_asked=True)
        Probe.objects.update(lease_until=None)
        assert work().status == "failed"

    def test_its_output_is_for_who_may_read_the_logs_of_where_it_ran(self, probed, alice, bob, vera, charlie):
        work = probed("command", command="true")
        stream = work.probe.log_stream
        assert not may_read(alice, stream), "there is none yet"
        work()
        assert may_read(alice, stream) and may_read(bob, stream)
        assert not may_read(vera, stream) and not may_read(charlie, stream)
        assert not may_read(alice, f"probe/{uuid.uuid4()}") and not is_over(stream)

    def test_a_suspended_app_runs_nothing(self, probed, staging):
        staging.suspended_at = timezone.now()
        staging.save()
        probe = probed("command", command="true")()
        assert probe.status == "failed" and "suspended" in probe.reason
        assert not Dyno.objects.filter(type="gate").exists()

    def test_a_rival_without_the_lease_starts_nothing(self, probed, parts):
        work = probed("command", command="true")
        held = worker(parts).kind().claim()
        Probe.objects.filter(pk=work.probe.pk).update(lease_token=uuid.uuid4())
        with pytest.raises(LeaseLost):
            worker(parts).advance(held)
        assert not Dyno.objects.filter(type="gate").exists()


def test_a_line_has_its_gates_tried_and_goes_on_when_they_hold(line, parts, other_side, alice):
    from conductor.flow import Flow

    gate = actions.add_gate(line, "http", {"url": other_side.url}, by=alice)[0]
    Line.objects.update(stale=True)
    Flow().look()
    probe = Probe.objects.get(gate=gate)
    assert probe.status == "pending" and not line.passages.exclude(state="open").exists()
    run(worker(parts).kind().claim())
    Flow().look()
    assert line.passages.get().state == "promoted"
