"""The repository's own slipway.yml: what a push of it starts, wherever the code is."""

import json
import subprocess
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import actions as account_actions
from blueprints import proposals
from blueprints.models import Following, Proposal
from ci import settings as ci_settings
from conductor import blueprints as conducted
from conductor import work
from conductor.work import Kind
from core.errors import Conflict, Forbidden
from core.models import Event
from forge import events
from forge.actions import connect
from forge.events import Pushed
from notices import tellers
from notices.models import Notice
from releases import repositories
from tests.forge import IDENTITY
from tests.notices.conftest import channel

pytestmark = pytest.mark.django_db
ASKS = "ci: {on_push: true}\n"


@pytest.fixture
def staging(shop):
    return shop.couplings.get(app__name="shop-staging").app


@pytest.fixture
def push(shop, staging, bob, tmp_path):
    """Commits files and pushes them to an app of the pipeline, and tells of it as a push does."""

    def make(text=ASKS, branch="main", files=None, by=bob, name="slipway.yml"):
        tree = tmp_path / "tree"
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **IDENTITY}

        def git(*arguments):
            done = subprocess.run(["git", *arguments], cwd=tree, env=env, capture_output=True, check=True)
            return done.stdout.decode().strip()

        if not tree.exists():
            tree.mkdir()
            git("init", "-q", "-b", "main")
        (tree / "README").write_text(str(timezone.now()))
        if text is not None:
            (tree / name).write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", "Test each push")
        commit = git("rev-parse", "HEAD")
        git("push", "-q", str(repositories.ensure(staging)), f"+HEAD:refs/heads/{branch}")
        files = frozenset(["slipway.yml"]) if files is None else files
        said = events.tell(Pushed(shop, branch, commit, "Test each push", "Bob Sawyer", by, files))
        return commit, said

    return make


def look():
    """What the conductor does with all that there is to look at."""
    kind = Kind("blueprint", Proposal, 2, conducted.advance, conducted.fail)
    while held := kind.claim():
        assert work.run(held) is None
    return Proposal.objects.first()


def test_a_push_that_changes_it_is_looked_at_and_offered(shop, alice, bob, push):
    told = channel(shop, alice, "https://chat.example.com/x", told=["plan-offered"])
    commit, said = push()
    assert said == ["Looks at its slipway.yml."]
    row = look()
    assert (row.state, row.commit, row.by) == ("offered", commit, bob)
    assert row.changes == ["CI: on push from no to yes"]
    assert not ci_settings.settings_of(shop).on_push
    story = tellers.story_of(Notice.objects.get(channel=told))
    assert story.title == "The slipway.yml of shop asks for other settings"
    assert story.url.endswith(f"/pipelines/shop/as-code/proposals/{row.pk}/")
    assert ("Asks for", "CI: on push from no to yes") in story.facts


def test_other_pushes_are_not(shop, push):
    assert push(branch="feature")[1] == []
    assert push(files=frozenset(["app.py"]))[1] == []
    assert not Proposal.objects.exists()


def test_news_that_come_twice_are_looked_at_once(shop, push, bob):
    commit, _ = push()
    assert events.tell(Pushed(shop, "main", commit, by=bob)) == []
    assert Proposal.objects.count() == 1


def test_no_file_asks_for_nothing(shop, push):
    push(text=None)
    assert look().state == "nothing"


def test_it_is_applied_by_itself_where_that_is_switched_on(shop, alice, push):
    proposals.follow(shop, True, by=alice)
    push()
    row = look()
    assert (row.state, row.decided_by) == ("applied", alice)
    assert ci_settings.settings_of(shop).by == alice and ci_settings.settings_of(shop).on_push
    event = Event.objects.get(verb="applied slipway.yml to")
    assert (event.by, event.through) == (alice, "conductor")


def test_it_is_offered_once_who_switched_it_on_does_not_manage_it_any_more(shop, team, alice, bob, push):
    account_actions.set_role(team, bob, "admin", by=alice)
    proposals.follow(shop, True, by=bob)
    account_actions.set_role(team, bob, "member", by=alice)
    push()
    assert look().state == "offered"
    assert not ci_settings.settings_of(shop).on_push


def test_what_adds_a_webhook_is_never_applied_by_itself(shop, alice, push):
    proposals.follow(shop, True, by=alice)
    push(
        "stages:\n- {name: staging, word: staging}\n- name: production\n  word: production\n"
        "  line: {gates: [webhook: {url: 'https://a.example.com/'}]}\n"
    )
    assert look().state == "offered"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ci: {on_pus: true}", "Line 1: ci has no on_pus. Did you mean on_push?"),
        ("stages:\n- {name: production, word: production}", "Staging still holds apps"),
        ("x" * 70_000, "over 64 kB"),
    ],
)
def test_what_is_wrong_is_told(shop, alice, push, text, why):
    proposals.follow(shop, True, by=alice)
    channel(shop, alice, "https://chat.example.com/x", told=["plan-offered"])
    push(text)
    row = look()
    assert row.state == "wrong"
    assert why in row.reason


def test_a_newer_one_takes_its_place(shop, alice, push):
    push()
    first = look()
    push("ci: {supersede: false}\n")
    newest = look()
    first.refresh_from_db()
    assert (first.state, newest.state) == ("outdated", "offered")
    with pytest.raises(Conflict, match="a newer one took its place"):
        proposals.accept(first, seen="", by=alice)


def test_an_older_one_that_is_looked_at_later_undoes_nothing(shop, alice, push):
    proposals.follow(shop, True, by=alice)
    push("ci: {on_push: true}\n")
    older = Proposal.objects.get()
    Proposal.objects.update(wake_at=timezone.now() + timedelta(hours=1))
    push("ci: {on_push: false, supersede: false}\n")
    assert look().state == "applied"
    Proposal.objects.filter(pk=older.pk).update(wake_at=None)
    look()
    older.refresh_from_db()
    assert older.state == "outdated"
    assert not ci_settings.settings_of(shop).on_push


def test_only_who_manages_it_decides(shop, bob, push):
    push()
    row = look()
    for deed in (lambda: proposals.accept(row, seen="", by=bob), lambda: proposals.decline(row, by=bob)):
        with pytest.raises(Forbidden):
            deed()
    with pytest.raises(Forbidden):
        proposals.follow(shop, True, by=bob)
    assert not Following.objects.filter(on=True).exists()


def test_the_file_of_a_connected_repository(shop, alice, forge):
    forge.repository()
    connect(shop, f"{forge.url}/shop.git", by=alice)
    commit = forge.commit("shop.git", "Test each push", **{"slipway.yml": ASKS})
    events.tell(Pushed(shop, "main", commit, by=alice))
    row = look()
    assert row.state == "offered", row.reason
    assert json.dumps(row.changes) == '["CI: on push from no to yes"]'


def test_a_repository_that_can_not_be_had(shop, alice, forge):
    forge.repository()
    connect(shop, f"{forge.url}/shop.git", by=alice)
    events.tell(Pushed(shop, "main", "b" * 40, by=alice))
    assert look().state == "wrong"


def test_it_ends_once_somebody_has_made_it_so(shop, alice, push):
    push()
    row = look()
    proposals.look_again()
    assert proposals.offered(shop) == row
    ci_settings.set_settings(shop, on_push=True, supersede=True, by=alice)
    proposals.look_again()
    assert proposals.offered(shop) is None
    row.refresh_from_db()
    assert (row.state, row.changes) == ("nothing", [])
    assert row.reason == "The settings were changed to what it asks for."
