"""Where a pipeline's code is: connecting, hooks, what they caused; what is shown once and what never."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from core.models import Event
from forge.models import Receipt, Repository
from tests.githosts.apis import HOSTS
from tests.githosts.conftest import connected

PAGE = "/pipelines/shop/repository/"
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def repository(shop, alice):
    return connected(shop, alice)


@pytest.fixture
def url(forge):
    return forge.repository()


def test_a_repository_is_connected_and_its_secret_shown_this_once(client, shop, alice, url):
    client.force_login(alice)
    answer = client.post(PAGE, {"url": url, "polls": "on"})
    row = Repository.objects.get()
    assertContains(answer, row.secret)
    assert row.polls and row.by == alice
    assertNotContains(client.get(PAGE), row.secret)


def test_what_is_refused_stands_beside_its_field_and_the_token_is_not_given_back(client, shop, alice, url):
    client.force_login(alice)
    answer = client.post(
        PAGE, {"url": f"{url}x", "host": "github", "token": "t0ken-typed", "default_branch": "next"}
    )
    assert answer.status_code == 422
    assertContains(answer, f"{url}x", status_code=422)
    assertContains(answer, 'value="next"', status_code=422)
    assertNotContains(answer, "t0ken-typed", status_code=422)
    assert not Repository.objects.exists()


def test_a_token_is_on_no_page_and_in_no_record(client, shop, alice, forge, url):
    forge.api = HOSTS["github"]("t0ken")
    client.force_login(alice)
    client.post(PAGE, {"url": url, "host": "github", "token": "t0ken"})
    assert Repository.objects.get().token == "t0ken"
    for path in (PAGE, "/pipelines/shop/activity/", "/pipelines/shop/repository/receipts/"):
        assertNotContains(client.get(path), "t0ken")
    assert "t0ken" not in str(list(Event.objects.values_list("details", flat=True)))


def test_the_token_is_kept_replaced_or_forgotten(client, shop, alice, forge, url):
    forge.api = HOSTS["github"]("t0ken")
    client.force_login(alice)
    client.post(PAGE, {"url": url, "host": "github", "token": "t0ken"})
    save = f"{PAGE}settings/"
    assertRedirects(client.post(save, {"default_branch": "main", "polls": "on"}), PAGE, status_code=303)
    assert Repository.objects.get().token == "t0ken"
    assert client.post(save, {"default_branch": "main", "token": "wrong"}).status_code == 422
    client.post(save, {"default_branch": "main", "forget": "on"})
    row = Repository.objects.get()
    assert (row.token, row.polls) == ("", False)


def test_the_host_is_asked_to_send_hooks(client, shop, alice, forge, url):
    forge.api = HOSTS["gitea"]("t0ken")
    client.force_login(alice)
    client.post(PAGE, {"url": url, "host": "gitea", "token": "t0ken"})
    assert client.post(f"{PAGE}hook/").status_code == 303
    assert len(forge.api.hooks) == 1
    assertContains(client.get(PAGE), "has been asked to send them")


def test_a_host_that_refuses_is_quoted(client, shop, alice, forge, url):
    forge.api = HOSTS["gitea"]("t0ken")
    client.force_login(alice)
    client.post(PAGE, {"url": url, "host": "gitea", "token": "t0ken"})
    forge.api.rights = False
    assertContains(client.post(f"{PAGE}hook/"), "may not do that", status_code=422)


def test_a_new_secret_is_shown_once_and_hooks_can_be_turned_off(client, repository, alice):
    client.force_login(alice)
    answer = client.post(f"{PAGE}secret/")
    assertContains(answer, Repository.objects.get().secret)
    client.post(f"{PAGE}secret/removal/")
    assert Repository.objects.get().sealed_secret == ""
    assertContains(client.get(PAGE), "Without a secret no hook is taken")


def test_it_is_disconnected_after_a_question(client, repository, alice):
    client.force_login(alice)
    assertContains(client.get(f"{PAGE}removal/"), "Disconnect acme/shop?")
    assertContains(
        client.get(f"{PAGE}removal/", headers={"HX-Request": "true"}), 'hx-post="/pipelines/shop/repository/'
    )
    assertRedirects(client.post(f"{PAGE}removal/"), PAGE, status_code=303)
    assert not Repository.objects.exists()


def test_who_may_only_look_sees_no_form_and_can_send_none(client, repository, vera, bob):
    for person in (vera, bob):
        client.force_login(person)
        answer = client.get(PAGE)
        assertContains(answer, "acme/shop")
        assertNotContains(answer, 'name="token"')
        assert client.post(f"{PAGE}secret/").status_code == 403
        assert client.post(PAGE, {"url": "https://x.example/a.git"}).status_code == 403


def test_hooks_received_say_what_each_caused_and_hostile_text_is_only_text(client, repository, vera):
    Receipt.objects.create(
        repository=repository,
        event=HOSTILE,
        delivery=HOSTILE,
        accepted=True,
        about=HOSTILE,
        caused=[f"{HOSTILE} waits."],
    )
    Receipt.objects.create(
        repository=repository, accepted=False, caused=["Turned down: not signed."], times=9
    )
    client.force_login(vera)
    answer = client.get(f"{PAGE}receipts/")
    assertContains(answer, "&lt;script&gt;alert(1)&lt;/script&gt;")
    assertNotContains(answer, "<script>alert")
    assertContains(answer, "9 of these within the hour")


def test_hooks_received_are_paged(client, repository, alice):
    Receipt.objects.bulk_create(
        Receipt(repository=repository, event="push", accepted=True, about=f"branch-{number:03}", caused=["Known already."])
        for number in range(70)
    )  # fmt: skip
    client.force_login(alice)
    first, last = client.get(f"{PAGE}receipts/"), client.get(f"{PAGE}receipts/?page=3")
    assertContains(first, "branch-069")
    assertContains(last, "branch-000")
    assertNotContains(last, "branch-069")
    part = client.get(f"{PAGE}receipts/", headers={"HX-Request": "true"}).content.decode()
    assert part.strip().startswith('<div class="stack-8" id="receipts"')


def test_without_a_repository_it_says_where_the_code_is(client, shop, alice):
    client.force_login(alice)
    assertContains(client.get(PAGE), "There is no code yet")
    assert client.post(f"{PAGE}secret/").status_code == 404
    assertContains(client.get(f"{PAGE}receipts/"), "Connect a repository first")
