"""A pipeline as code: what is read, what it would change, and that export and import are each other's opposite."""

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprints import actions, comparing, document, schema
from blueprints.reader import Unreadable
from ci import settings as ci_settings
from core.errors import Conflict, Forbidden
from core.models import Event
from flow import actions as flow
from flow.models import Freeze, Gate, Line
from pipelines import actions as pipeline_actions
from pipelines.models import Stage
from reviews.actions import settings_of
from tests.factories import stage
from tests.notices.conftest import channel

pytestmark = pytest.mark.django_db
STAGES = """
stages:
- {name: review, word: review}
- {name: development, word: development}
- name: staging
  word: staging
  build: make assets
  health: /healthz
  formation: {web: 2, worker: "1:standard-2x"}
- name: production
  word: production
  source: promotion
  promoters: admins
  line:
    mode: auto
    gates:
    - ci
    - healthy: {minutes: 5, errors: 1.5}
    - approval: {count: 2, people: [bob@example.com]}
    - window: {days: [mon, tue], from: 09:00, to: 16:30, zone: Europe/Berlin}
    watch: {minutes: 20, crashes: 1}
    canary: app
"""


def wanted(text):
    return document.read(text)


def do(pipeline, text, by):
    plan = actions.plan(pipeline, wanted(text), by=by)
    assert plan.against == ""
    return actions.apply(pipeline, plan.wanted, seen=plan.seen, by=by)


def test_what_a_file_says_is_made_so(shop, alice, bob):
    plan = actions.plan(shop, wanted(STAGES), by=alice)
    assert not Line.objects.filter(mode="auto").exists()  # a plan changes nothing
    said = [str(change) for change in plan.changes]
    assert "Production: who may promote into it from deployers to admins" in said
    assert "Production: how releases pass into it from hand to auto" in said
    assert "Production: the gate “2 approvals” added" in said
    actions.apply(shop, plan.wanted, seen=plan.seen, by=alice)
    staging, production = stage(shop, "staging"), stage(shop, "production")
    assert (staging.build_command, staging.health_path) == ("make assets", "/healthz")
    assert staging.formation["worker"] == {"quantity": 1, "size": "standard-2x"}
    assert (production.source, production.promoters) == ("promotion", "admins")
    line = production.line
    assert (line.mode, line.by, line.soak_minutes, line.most_crashes) == ("auto", alice, 20, 1)
    assert line.canary == "app"
    gates = {gate.kind: gate.settings for gate in line.gates.all()}
    assert gates["approval"]["people"] == [str(bob.pk)]
    assert gates["window"] | {} == {"days": [0, 1], "from": "09:00", "to": "16:30", "zone": "Europe/Berlin"}
    assert actions.plan(shop, wanted(STAGES), by=alice).empty
    event = Event.objects.get(verb="applied slipway.yml to")
    assert event.by == alice and "Production: the gate “2 approvals” added" in event.details["changes"]


def test_export_and_import_change_nothing(shop, alice, bob):
    do(shop, STAGES, alice)
    flow.freeze(
        shop, name="Nights: “x”", days=[5, 6], from_minute=0, to_minute=1440, zone="Asia/Tokyo", by=alice
    )
    channel(shop, alice, "https://chat.example.com/secret-part")
    text = actions.export(shop)
    assert "secret-part" not in text
    plan = actions.plan(shop, wanted(text), by=alice)
    assert plan.empty and plan.against == ""
    assert actions.export(shop) == text


def test_sections_that_are_left_out_stay_as_they_are(shop, alice):
    do(shop, STAGES, alice)
    before = document.of(shop)
    do(shop, "ci: {on_push: true, supersede: false}", alice)
    assert (ci_settings.settings_of(shop).on_push, ci_settings.settings_of(shop).supersede) == (True, False)
    after = document.of(shop)
    assert {**after, "ci": None} == {**before, "ci": None}


def test_review_apps_and_channels(shop, alice):
    told = channel(shop, alice, "https://chat.example.com/x", told=["held"])
    do(
        shop,
        "reviews: {enabled: true, most: 3, parts: [{name: api, path: services/api}]}\n"
        "notifications:\n- channel: '#releases'\n  events: [lifted, release-failed]\n",
        alice,
    )
    asked = settings_of(shop)
    assert (asked.enabled, asked.most, asked.by) == (True, 3, alice)
    assert asked.parts == [{"name": "api", "path": "services/api"}]
    told.refresh_from_db()
    assert told.events == ["release-failed", "lifted"] and told.address == "https://chat.example.com/x"


def test_stages_come_go_and_move(shop, alice):
    text = """
stages:
- {name: development, word: development}
- {name: production, word: production}
- {name: canary, word: staging}
- {name: staging, word: staging}
"""
    plan = actions.plan(shop, wanted(text), by=alice)
    assert [(one.mark, one.where, one.what) for one in plan.changes] == [
        ("-", "Review apps", "the stage"),
        ("+", "Canary", "the stage"),
        ("~", "Stages", "the order"),
    ]
    actions.apply(shop, plan.wanted, seen=plan.seen, by=alice)
    names = list(Stage.objects.filter(pipeline=shop).values_list("name", flat=True))
    assert names == ["development", "production", "canary", "staging"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stages:\n- {name: production, word: production}", "Staging: Staging still holds apps"),
        ("notifications:\n- {channel: nowhere, events: [held]}", "There is no channel nowhere."),
        ("freezes:\n- {name: x, stage: moon, days: [mon]}", "there is no such stage"),
        ("freezes:\n- {name: x, begins: 2026-13-01 00:00, ends: 2026-12-01 00:00}", "in any calendar"),
        ("freezes:\n- {name: x}", "days of the week"),
        (STAGES.replace("bob@example.com", "charlie@example.com"), "charlie@example.com is nobody here"),
        (STAGES.replace("make assets", "x\n").replace("/healthz", "healthz"), "Staging: "),
    ],
)
def test_what_can_not_be_is_found_out_by_the_plan(shop, alice, charlie, text, said):
    plan = actions.plan(shop, wanted(text), by=alice)
    assert said in plan.against
    before = document.of(shop)
    with pytest.raises(Exception):
        actions.apply(shop, plan.wanted, seen=plan.seen, by=alice)
    assert document.of(shop) == before


def test_it_is_refused_when_the_settings_have_changed_since(shop, alice):
    plan = actions.plan(shop, wanted(STAGES), by=alice)
    pipeline_actions.add_stage(shop, "canary", word="staging", after=None, by=alice)
    with pytest.raises(Conflict, match="have changed since"):
        actions.apply(shop, plan.wanted, seen=plan.seen, by=alice)
    assert not Line.objects.filter(mode="auto").exists()


def test_only_who_manages_the_pipeline_applies(shop, bob, vera):
    for user in (bob, vera):
        plan = actions.plan(shop, wanted(STAGES), by=user)
        assert "Only who manages shop" in plan.against
        with pytest.raises(Forbidden):
            actions.apply(shop, plan.wanted, seen=plan.seen, by=user)


def test_gates_stay_the_same_rows(shop, alice):
    line = flow.line_of(stage(shop, "production"))
    hook, secret = flow.add_gate(line, "webhook", {"url": "https://a.example.com/"}, by=alice)
    healthy, _ = flow.add_gate(line, "healthy", {"minutes": 5}, by=alice)
    text = actions.export(shop)
    do(shop, text.replace("minutes: 5", "minutes: 6").replace("a.example", "b.example"), alice)
    hook.refresh_from_db()
    healthy.refresh_from_db()
    assert hook.settings["url"] == "https://b.example.com/" and hook.secret == secret
    assert healthy.settings["minutes"] == 6 and Gate.objects.count() == 2


def test_the_secret_of_a_new_webhook_is_told_once(shop, alice):
    text = STAGES.replace("    - ci\n", "    - webhook: {url: https://a.example.com/}\n")
    plan = actions.plan(shop, wanted(text), by=alice)
    assert plan.secrets == ["Production: a.example.com says yes"]
    applied = actions.apply(shop, plan.wanted, seen=plan.seen, by=alice)
    assert applied.secrets == [(plan.secrets[0], Gate.objects.get(kind="webhook").secret)]


# --- what is read ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "The file says nothing."),
        ("hello", 1, "has keys and values"),
        ("version: 2\nci: {}", 1, "is one of 1"),
        ("version: 1", 1, "says nothing of stages"),
        ("stagess: []", 1, "Did you mean stages?"),
        ("ci:\n  on_pushh: true", 2, "Did you mean on_push?"),
        ("ci:\n  on_push: maybe", 2, "true or false"),
        ("ci: {on_push: true, on_push: false}", 1, "on_push is there twice"),
        ("stages: []", 1, "A pipeline needs a stage"),
        ("stages:\n- name: x", 2, "needs a word: review, development, staging, production."),
        ("stages:\n- {name: X y, word: staging}", 2, "written like security-review"),
        ("stages:\n- {name: a1, word: live}", 2, "not “live”"),
        ("stages:\n- {name: a1, word: staging}\n- {name: a1, word: staging}", 1, "a1 is there twice"),
        (
            "stages:\n- name: a1\n  word: staging\n  line:\n    gates:\n    - helthy",
            6,
            "Did you mean healthy?",
        ),
        ("stages:\n- {name: a1, word: staging, line: {gates: [{ci: {}, http: {}}]}}", 2, "one key, its kind"),
        (
            "stages:\n- {name: a1, word: staging, line: {gates: [{command: {}}]}}",
            2,
            "command needs a command",
        ),
        ("stages:\n- {name: a1, word: review, line: {mode: auto}}", 1, "Nothing is promoted into a1"),
        ("stages:\n- {name: a1, word: staging, promoters: []}", 2, "Name somebody"),
        ("reviews: {most: 1000}", 1, "from 1 to 100"),
        ("reviews: {most: .inf}", 1, "whole number"),
        ("a: &x 1\nb: *x", 1, "named with &"),
        ("ci: !!python/object/apply:os.system [ls]", 1, "exclamation mark"),
        ("ci: !x {}", 1, "exclamation mark"),
        ("ci: {}\n---\nci: {}", 2, "one document"),
        ("ci: {on_push: [}", 1, "not YAML"),
        ("ci: \x07", 1, "characters that YAML does not have"),
        ('ci: {}\nstages:\n- {name: a1, word: staging, build: "\\0"}', 3, "build is text"),
        ('ci: {}\nstages:\n- {name: a1, word: staging, build: "\\uD800"}', 3, "build is text"),
        ("[" * 1000, 1, "nested over 12 deep"),
        ("x: " + "y" * 70_000, 1, "over 64 kB"),
        ("x: [" + "1," * 12_000 + "1]", 1, "says too much"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, line, said):
    with pytest.raises(Unreadable) as caught:
        document.read(text)
    [first, *_] = caught.value.problems
    assert said in str(caught.value), str(caught.value)
    assert first.line == line


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(Unreadable) as caught:
        document.read("ci:\n  on_push: 7\n  supersede: 8\nreviews:\n  most: x\n")
    assert [one.line for one in caught.value.problems] == [2, 3, 5]


def test_values_are_taken_as_they_are_written():
    text = "freezes:\n- {name: 0123, days: [sun], from: 09:00, to: 9:30}"
    with pytest.raises(Unreadable, match=r"to is written like 09:00"):
        document.read(text)
    [freeze] = document.read(text.replace("9:30", "19:30"))["freezes"]
    assert (freeze["name"], freeze["from"]) == ("0123", "09:00")


def test_a_billion_laughs_are_not_laughed():
    text = "a: &a [x,x]\n" + "\n".join(f"b{n}: &b{n} [*a,*a]" for n in range(20))
    with pytest.raises(Unreadable, match="named with &"):
        document.read(text)


# --- any settings there and back --------------------------------------------------------------------------------------------

WORDS = (
    st.text(string.ascii_letters + string.digits + " :#-'\"{}[]&*!|>%@`äß€,?\t", min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True)
MAYBE = st.none() | st.integers(1, 100)


def gate():
    return st.one_of(
        st.builds(lambda runs: ("ci", {"runs": True, "host": runs}), st.booleans()),
        st.builds(
            lambda minutes, errors: ("healthy", {"minutes": minutes, "errors": errors}),
            st.integers(0, 10080),
            MAYBE,
        ),
        st.builds(
            lambda count, roles: ("approval", {"count": count, "roles": sorted(roles)}),
            st.integers(1, 10),
            st.sets(st.sampled_from(["admin", "member"])),
        ),
        st.builds(
            lambda text, on: ("command", {"command": text, "on": on}),
            WORDS,
            st.sampled_from(["source", "target"]),
        ),
        st.builds(lambda text: ("http", {"url": "/" + text.replace(" ", ""), "contains": text}), WORDS),
        st.builds(
            lambda days: ("window", {"days": sorted(days), "from": "00:00", "to": "24:00"}),
            st.sets(st.integers(0, 6), min_size=1),
        ),
    )


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_settings_survive_export_and_import(shop, alice, data):
    """What is exported says what is so, and applied to a pipeline that is otherwise makes it so."""
    Freeze.objects.all().delete()
    Gate.objects.all().delete()
    for name in data.draw(st.sets(NAMES, max_size=2)):
        if not Stage.objects.filter(pipeline=shop, name=name).exists():
            pipeline_actions.add_stage(shop, name, word="staging", after=None, by=alice)
    line = flow.set_line(
        stage(shop, "production"),
        mode=data.draw(st.sampled_from(Line.Mode.values)),
        watch=data.draw(st.booleans()),
        soak_minutes=data.draw(st.integers(0, 10080)),
        most_errors=data.draw(MAYBE),
        canary=data.draw(st.sampled_from(Line.Canary.values)),
        by=alice,
    )
    for kind, said in data.draw(st.lists(gate(), max_size=4)):
        flow.add_gate(line, kind, said, by=alice)
    for name in data.draw(st.lists(WORDS, max_size=2)):
        flow.freeze(shop, name=name, days=data.draw(st.sets(st.integers(0, 6), min_size=1)), by=alice)
    before, text = document.of(shop), actions.export(shop)
    assert comparing.changes(before, wanted(text)) == []
    do(
        shop,
        "stages:\n- {name: staging, word: staging}\n- {name: production, word: production}\nfreezes: []\n",
        alice,
    )
    do(shop, text, alice)
    assert document.write(document.of(shop)) == text


def test_every_section_is_compared():
    assert set(comparing.SECTIONS) == set(schema.SECTIONS)
