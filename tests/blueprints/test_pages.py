"""The pages: export, plan, apply, and what the repository asks for."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from blueprints.models import Following, Proposal
from ci import settings as ci_settings
from flow.models import Gate

pytestmark = pytest.mark.django_db
ASKS = "ci: {on_push: true}\n"


def seen_in(answer):
    return re.search(r'name="seen" value="(\w+)"', answer.content.decode())[1]


@pytest.fixture
def offered(shop, bob):
    return Proposal.objects.create(
        pipeline=shop, commit="a" * 40, branch="main", message="Test each push", by=bob,
        text=ASKS, status="ended", state="offered", changes=["CI: on push from no to yes"],
    )  # fmt: skip


@pytest.mark.parametrize("page", ["/pipelines/shop/", "/pipelines/shop/settings/"])
def test_board_and_settings_tell_of_it_who_may_apply_it_until_it_is_decided(
    page, offered, alice, bob, client
):
    at = f"/pipelines/shop/as-code/proposals/{offered.pk}/"
    client.force_login(bob)
    assert at not in client.get(page).content.decode()
    client.force_login(alice)
    told = client.get(page).content.decode()
    assert at in told and "slipway.yml of <code>aaaaaaa</code> differs" in told
    client.post(at + "refusal/")
    assert at not in client.get(page).content.decode()


def test_it_is_exported_and_downloaded(shop, alice, client):
    client.force_login(alice)
    page = client.get("/pipelines/shop/as-code/file/").content.decode()
    assert "name: production" in page
    file = client.get("/pipelines/shop/slipway.yml")
    assert file["Content-Disposition"] == 'attachment; filename="slipway.yml"'
    assert "- name: production\n  word: production\n" in file.content.decode()


def test_a_plan_is_shown_and_applied(shop, alice, client):
    client.force_login(alice)
    answer = client.post("/pipelines/shop/as-code/plans/", {"text": ASKS})
    page = answer.content.decode()
    assert answer.status_code == 200 and "on push" in page and "Apply to shop" in page
    assert not ci_settings.settings_of(shop).on_push
    body = {"text": ASKS, "seen": seen_in(answer)}
    assert client.post("/pipelines/shop/as-code/changes/", body).status_code == 303
    assert ci_settings.settings_of(shop).on_push
    again = client.post("/pipelines/shop/as-code/plans/", {"text": ASKS}).content.decode()
    assert "Nothing would change" in again and "Apply to shop" not in again


def test_a_file_is_uploaded(shop, alice, client):
    client.force_login(alice)
    file = SimpleUploadedFile("slipway.yml", ASKS.encode())
    assert (
        "Apply to shop"
        in client.post("/pipelines/shop/as-code/plans/", {"file": file, "text": ""}).content.decode()
    )


def test_what_is_wrong_is_told_with_its_line_and_nothing_is_lost(shop, alice, client):
    client.force_login(alice)
    text = "ci:\n  on_pussh: true\n  supersede: <script>alert(1)</script>\n"
    answer = client.post("/pipelines/shop/as-code/plans/", {"text": text})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Line 2:" in page and "Did you mean on_push?" in page and "Line 3:" in page
    assert "on_pussh: true" in page and "<script>alert" not in page


def test_settings_that_have_changed_since_are_looked_at_anew(shop, alice, client):
    client.force_login(alice)
    seen = seen_in(client.post("/pipelines/shop/as-code/plans/", {"text": ASKS}))
    ci_settings.set_settings(shop, on_push=False, supersede=False, by=alice)
    answer = client.post("/pipelines/shop/as-code/changes/", {"text": ASKS, "seen": seen})
    assert answer.status_code == 409 and "have changed since" in answer.content.decode()
    assert not ci_settings.settings_of(shop).on_push
    body = {"text": ASKS, "seen": seen_in(answer)}
    assert client.post("/pipelines/shop/as-code/changes/", body).status_code == 303


def test_what_can_not_be_is_said_and_not_offered(shop, alice, client):
    client.force_login(alice)
    text = "stages:\n- {name: production, word: production}\n"
    page = client.post("/pipelines/shop/as-code/plans/", {"text": text}).content.decode()
    assert "Staging still holds apps" in page and "Apply to shop" not in page


def test_the_secret_of_a_webhook_is_shown_once(shop, alice, client):
    client.force_login(alice)
    text = (
        client.get("/pipelines/shop/slipway.yml")
        .content.decode()
        .replace(
            "- name: production\n  word: production\n",
            "- name: production\n  word: production\n  line: {gates: [webhook: {url: 'https://a.example.com/'}]}\n",
        )
    )
    answer = client.post("/pipelines/shop/as-code/plans/", {"text": text})
    done = client.post("/pipelines/shop/as-code/changes/", {"text": text, "seen": seen_in(answer)})
    assert Gate.objects.get().secret in done.content.decode()
    assert Gate.objects.get().secret not in client.get("/pipelines/shop/as-code/").content.decode()


def test_a_viewer_sees_what_is_asked_for_and_decides_nothing(shop, vera, bob, client, offered):
    for user in (vera, bob):
        client.force_login(user)
        page = client.get("/pipelines/shop/as-code/").content.decode()
        assert "Test each push" in page and "name: production" not in page
        assert client.get("/pipelines/shop/slipway.yml").status_code == 403
        assert client.get("/pipelines/shop/as-code/file/").status_code == 403
        shown = client.get(f"/pipelines/shop/as-code/proposals/{offered.pk}/").content.decode()
        assert "on push from no to yes" in shown and "Apply to shop" not in shown
        assert client.post("/pipelines/shop/as-code/plans/", {"text": ASKS}).status_code == 403
        assert client.post(f"/pipelines/shop/as-code/proposals/{offered.pk}/acceptance/").status_code == 403


def test_what_is_offered_is_applied(shop, alice, client, offered):
    client.force_login(alice)
    path = f"/pipelines/shop/as-code/proposals/{offered.pk}/"
    answer = client.get(path)
    assert "Apply to shop" in answer.content.decode()
    assert client.post(path + "acceptance/", {"seen": "stale"}).status_code == 409
    assert client.post(path + "acceptance/", {"seen": seen_in(answer)}).status_code == 303
    offered.refresh_from_db()
    assert (offered.state, offered.decided_by) == ("applied", alice)
    assert ci_settings.settings_of(shop).on_push
    assert client.post(path + "refusal/").status_code == 409


def test_what_is_offered_is_declined(shop, alice, client, offered):
    client.force_login(alice)
    assert client.post(f"/pipelines/shop/as-code/proposals/{offered.pk}/refusal/").status_code == 303
    offered.refresh_from_db()
    assert offered.state == "declined" and not ci_settings.settings_of(shop).on_push


def test_it_follows_the_repository_when_that_is_said(shop, alice, client):
    client.force_login(alice)
    client.post("/pipelines/shop/as-code/following/", {"on": "on"})
    row = Following.objects.get()
    assert (row.on, row.by) == (True, alice)
    assert "In the name of Alice Liddell" in client.get("/pipelines/shop/as-code/").content.decode()
    client.post("/pipelines/shop/as-code/following/", {"on": ""})
    assert not Following.objects.get().on


def test_who_manages_it_is_told_where_the_settings_are(shop, alice, bob, client, offered):
    path = f"/pipelines/shop/as-code/proposals/{offered.pk}/"
    for user, told in ((alice, True), (bob, False)):
        client.force_login(user)
        assert (path in client.get("/pipelines/shop/settings/").content.decode()) is told
