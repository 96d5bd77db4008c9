"""E-mail addresses are for those who share a team or an app."""

import re

import pytest

from accounts import actions, invitations
from apps import actions as app_actions
from apps.models import App
from tests.factories import make_app, make_pipeline

PAGES = [
    "/",
    "/apps/",
    "/teams/",
    "/teams/crew/",
    "/teams/crew/members/",
    "/teams/crew/activity/",
    "/account/",
]
PAGES += [
    "/transfers/",
    "/apps/mine/",
    "/apps/mine/access/",
    "/apps/mine/activity/",
    "/pipelines/own/settings/",
]
PAGES += [f"/jump/?q={text}" for text in ("alice", "bob@example.com", "example.com", "vera")]


def addresses(page):
    """Those in a page, but for the one that shows how to write one."""
    return set(re.findall(r"[\w.]+@example\.com", page.text)) - {"name@example.com"}


@pytest.fixture
def crew(charlie):
    """What Charlie has to himself."""
    make_app("mine", owner=charlie)
    make_pipeline("own", owner=charlie)
    return actions.create_team("crew", by=charlie)


@pytest.mark.promise("I-28")
def test_a_stranger_s_pages_name_nobody_else(shop, crew, charlie, client):
    client.force_login(charlie)
    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 200, path
        typed = {path.rpartition("=")[2]}
        assert addresses(answer) - typed <= {charlie.email}, path


def test_who_is_invited_reads_the_name_of_the_inviter_alone(team, alice, charlie, client):
    _, secret = invitations.invite(team, charlie.email, "viewer", by=alice)
    page = client.get(f"/invitations/{secret}/")
    assert "Alice Liddell" in page.text
    assert addresses(page) == {charlie.email}


def test_who_shares_an_app_sees_whom_with(shop, alice, charlie, client):
    app = App.objects.get(name="shop-staging")
    shared = app_actions.share(app, charlie, ["view"], by=alice)
    client.force_login(charlie)
    assert "alice@example.com" in addresses(client.get("/apps/shop-staging/access/"))
    app_actions.unshare(shared, by=alice)
    assert client.get("/apps/shop-staging/access/").status_code == 404


def test_who_has_left_reads_no_address_of_the_team(team, alice, bob, client):
    actions.remove_member(team, bob, by=alice)
    client.force_login(bob)
    for path in ("/", "/teams/", "/account/", "/jump/?q=vera"):
        assert addresses(client.get(path)) <= {bob.email}, path
