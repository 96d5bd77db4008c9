"""The pages: channels of a pipeline, what a person is mailed, and what they should hear of."""

import pytest

from core.models import Event
from notices.models import Channel, Notice, Preference
from tests.factories import make_release
from tests.notices.conftest import channel

URL = "https://chat.example.com/hooks/secret-part"


def add(client, **extra):
    body = {
        "name": "#releases",
        "kind": "slack",
        "address": URL,
        "events": ["release-failed", "held"],
        **extra,
    }
    return client.post("/pipelines/shop/channels/", body)


def test_a_channel_is_added_and_its_address_never_shown(shop, alice, client):
    client.force_login(alice)
    assert add(client).status_code == 303
    made = Channel.objects.get()
    assert (made.address, made.events, made.by) == (URL, ["release-failed", "held"], alice)
    assert "secret-part" not in made.sealed
    pages = [
        client.get(path).content.decode()
        for path in (
            "/pipelines/shop/notifications/",
            f"/pipelines/shop/channels/{made.pk}/",
            "/pipelines/shop/activity/",
        )
    ]
    assert "#releases" in pages[0] and "A release fails, A line is held" in pages[0]
    assert not any("secret-part" in page for page in pages)
    assert "secret-part" not in str(list(Event.objects.values())) + repr(made)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": ""}, "Give it a name"),
        ({"kind": "pager"}, "A channel is one of"),
        ({"address": "ftp://example.com"}, "Give a URL that starts with"),
        ({"address": "http://10.0.0.1/x"}, "internal address"),
        ({"kind": "email", "address": "nobody"}, "not an e-mail address"),
        ({"events": ["lunch"]}, "There is no event called lunch"),
    ],
)
def test_what_is_wrong_is_said_beside_it(shop, alice, client, sent, said):
    client.force_login(alice)
    answer = add(client, **sent)
    assert answer.status_code == 422 and said in answer.content.decode()
    assert not Channel.objects.exists()
    typed = {"address": URL, **sent}["address"]
    assert typed in answer.content.decode()  # nothing that was typed is lost


def test_a_name_is_there_once(shop, alice, client):
    client.force_login(alice)
    add(client)
    assert "a channel of that name" in add(client).content.decode()


def test_a_channel_is_changed_and_keeps_its_address(shop, alice, client):
    made = channel(shop, alice, URL)
    client.force_login(alice)
    path = f"/pipelines/shop/channels/{made.pk}/"
    assert client.post(path, {"name": "#ops", "address": "", "events": ["lifted"]}).status_code == 303
    made.refresh_from_db()
    assert (made.name, made.events, made.address) == ("#ops", ["lifted"], URL)
    assert "internal" in client.post(path, {"name": "#ops", "address": "http://[::1]/"}).content.decode()
    client.post(path, {"name": "#ops", "address": "https://other.example.com/"})
    made.refresh_from_db()
    assert made.address == "https://other.example.com/" and made.events == []


def test_it_is_tested_and_removed(shop, alice, client):
    made = channel(shop, alice, URL)
    client.force_login(alice)
    assert client.post(f"/pipelines/shop/channels/{made.pk}/tests/").status_code == 303
    assert Notice.objects.get().event == "test"
    assert "A test message" in client.get("/pipelines/shop/notifications/").content.decode()
    assert client.post(f"/pipelines/shop/channels/{made.pk}/removal/").status_code == 303
    assert not Channel.objects.exists()


def test_a_viewer_reads_and_changes_nothing(shop, alice, vera, bob, client):
    made = channel(shop, alice, URL)
    for user in (vera, bob):
        client.force_login(user)
        page = client.get("/pipelines/shop/notifications/").content.decode()
        assert "#releases" in page and "Add channel" not in page and "Send test" not in page
        assert add(client).status_code == 403
        assert client.post(f"/pipelines/shop/channels/{made.pk}/removal/").status_code == 403


def test_a_channel_of_another_pipeline_is_not_found(shop, alice, charlie, client):
    from tests.factories import make_pipeline

    theirs = channel(make_pipeline("theirs", owner=charlie), charlie, URL)
    client.force_login(alice)
    assert client.get(f"/pipelines/shop/channels/{theirs.pk}/").status_code == 404
    assert client.get("/pipelines/theirs/notifications/").status_code == 404


def test_what_one_is_mailed_is_said_for_all_and_for_one(shop, bob, client):
    client.force_login(bob)
    assert "Mails of every pipeline" in client.get("/account/mails/").content.decode()
    client.post("/account/mails/", {"email": "on", "events": ["held"], "summary": "on"})
    row = Preference.objects.get()
    assert (row.pipeline, row.email, row.events, row.summary) == (None, True, ["held"], True)
    assert "Mails of shop" in client.get("/account/mails/?pipeline=shop").content.decode()
    client.post("/account/mails/shop/", {"events": ["lifted"]})
    row = Preference.objects.get(pipeline=shop)
    assert (row.email, row.events, row.summary) == (False, ["lifted"], False)
    assert "Mails of shop" in client.get("/account/mails/").content.decode()
    client.post("/account/mails/shop/removal/")
    assert Preference.objects.get().pipeline is None


def test_what_waits_and_what_failed_is_listed(shop, bob, client):
    app = shop.couplings.get(app__name="shop-staging").app
    make_release(app, by=bob, status="failed", current=False)
    client.force_login(bob)
    assert "of shop-staging failed" in client.get("/account/notifications/").content.decode()


def test_a_stranger_can_say_nothing_of_it(shop, charlie, client):
    client.force_login(charlie)
    assert client.post("/account/mails/shop/", {}).status_code == 404
