"""Config vars on their page: hidden, revealed one by one, edited, many at once."""

import pytest
from pytest_django.asserts import assertRedirects

from apps.actions import share
from apps.models import App, ConfigVar, Dyno
from core.models import Event
from pipelines.models import Stage
from releases.actions import set_config
from releases.models import Release
from tests.factories import make_app, make_release

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(alice, client):
    client.force_login(alice)
    app = make_app("shop", owner=alice, released=True)
    set_config(app, {"TOKEN": "s3cret-one", "LINES": "first\nsecond"}, by=alice)
    return app


def values(app):
    return {var.key: var.value for var in ConfigVar.objects.filter(app=app)}


def test_the_page_shows_names_and_what_saving_does(app, client):
    Dyno.objects.create(app=app, type="web", number=1, command="x", release_version=1, state="up")
    page = client.get("/apps/shop/config/").text
    assert "TOKEN" in page and "Alice Liddell" in page
    assert "s3cret" not in page
    assert "Saving makes v3 and restarts 1 dyno; v1 keeps serving until the new dynos answer." in page


@pytest.mark.promise("I-37")
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_value_is_revealed_alone_noted_and_never_kept(app, client, alice, headers):
    answer = client.post("/apps/shop/config/vars/TOKEN/value/", headers=headers)
    assert answer.status_code == 200
    assert "s3cret-one" in answer.text and "second" not in answer.text
    assert answer.headers["Cache-Control"] == "private, no-store"
    event = Event.objects.get(verb="revealed config of")
    assert (event.by, event.details) == (alice, {"keys": ["TOKEN"]})
    assert "s3cret" not in client.get("/apps/shop/config/").text


def test_a_name_that_is_not_there_is_not_noted(app, client):
    assert client.post("/apps/shop/config/vars/NOPE/value/").status_code == 404
    assert not Event.objects.filter(verb="revealed config of").exists()


def test_editing_opens_the_value_in_a_field(app, client):
    page = client.post("/apps/shop/config/vars/LINES/edit/").text
    assert "first\nsecond</textarea>" in page
    assert Event.objects.get(verb="revealed config of").details == {"keys": ["LINES"]}


def test_it_adds_and_changes(app, client):
    answer = client.post("/apps/shop/config/vars/", {"key": "TOKEN", "value": "new\r\nlines"})
    assertRedirects(answer, "/apps/shop/config/", status_code=303)
    assert values(app)["TOKEN"] == "new\nlines"
    part = client.post("/apps/shop/config/vars/", {"key": "EMPTY", "value": ""}, headers=HTMX, follow=True)
    assert 'id="config"' in part.text and "v4: Set EMPTY config var." in part.text
    assert values(app)["EMPTY"] == ""


def test_blanks_around_a_value_are_part_of_it(app, client):
    client.post("/apps/shop/config/vars/", {"key": "PAD", "value": "  x "})
    assert values(app)["PAD"] == "  x "


@pytest.mark.parametrize("key", ["", "1A", "__X", "PORT", "A B", "A" * 300])
def test_a_bad_name_is_told_and_changes_nothing(app, client, key):
    answer = client.post("/apps/shop/config/vars/", {"key": key, "value": "hidden-thing"}, headers=HTMX)
    assert answer.status_code == 422
    assert "hidden-thing" not in answer.text
    assert app.releases.count() == 2


def test_the_same_value_makes_no_release(app, client):
    page = client.post("/apps/shop/config/vars/", {"key": "TOKEN", "value": "s3cret-one"}, follow=True).text
    assert "Nothing to save" in page
    assert app.releases.count() == 2


def test_it_unsets(app, client):
    answer = client.post("/apps/shop/config/vars/TOKEN/removal/")
    assertRedirects(answer, "/apps/shop/config/", status_code=303)
    assert values(app) == {"LINES": "first\nsecond"}


def test_the_file_starts_empty_and_adds(app, client):
    assert "s3cret" not in client.get("/apps/shop/config/file/").text
    text = "# more\r\nA=1\r\nTOKEN='two words'"
    answer = client.post("/apps/shop/config/file/save/", {"text": text})
    assertRedirects(answer, "/apps/shop/config/", status_code=303)
    assert values(app) == {"A": "1", "TOKEN": "two words", "LINES": "first\nsecond"}
    assert app.releases.count() == 3


def test_all_values_are_opened_on_purpose_and_noted(app, client):
    page = client.post("/apps/shop/config/file/values/").text
    assert "TOKEN=s3cret-one" in page and 'name="whole"' in page
    assert Event.objects.get(verb="revealed config of").details == {"keys": ["LINES", "TOKEN"]}


def loaded(client):
    """The proof that the page of all values carries."""
    page = client.post("/apps/shop/config/file/values/").text
    return page.partition('name="whole" value="')[2].partition('"')[0]


def test_what_is_left_out_of_the_whole_is_unset_in_one_release(app, client):
    whole = loaded(client)
    client.post("/apps/shop/config/file/save/", {"text": "A=1\nTOKEN=s3cret-one", "whole": whole})
    assert values(app) == {"A": "1", "TOKEN": "s3cret-one"}
    assert Release.objects.get(version=3).changed_keys == {"A": "added", "LINES": "removed"}


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_preview_of_what_was_loaded_tells_values_and_saves_nothing(app, client, headers):
    form = {"text": "A=1\nTOKEN=other", "whole": loaded(client)}
    page = client.post("/apps/shop/config/file/preview/", form, headers=headers).text
    changes = page[page.index('id="env-changes"') :]
    for line in ("+ A=1", "- TOKEN=s3cret-one", "+ TOKEN=other", "- LINES=first⏎second"):
        assert f">{line}</div>" in changes
    assert "3 changes" in changes and "1 added, 1 changed, 1 removed" in changes
    assert app.releases.count() == 2


@pytest.mark.parametrize("whole", ["", "on", "forged:proof"])
def test_a_preview_shows_no_value_that_was_not_loaded(app, client, whole):
    form = {"text": "A=1\nTOKEN=other", "whole": whole}
    page = client.post("/apps/shop/config/file/preview/", form).text
    assert "s3cret-one" not in page and "second" not in page
    assert "- TOKEN (its value is not shown)" in page
    assert ("loaded too long ago" in page) == bool(whole)


def test_whose_proof_it_is_matters(app, client, bob, alice):
    share(app, bob, ["deploy"], by=alice)
    whole = loaded(client)
    client.force_login(bob)
    form = {"text": "A=1", "whole": whole}
    assert "s3cret-one" not in client.post("/apps/shop/config/file/preview/", form).text
    assert client.post("/apps/shop/config/file/save/", form).status_code == 422
    assert "TOKEN" in values(app)


def test_what_others_changed_meanwhile_is_not_lost(app, client, alice):
    whole = loaded(client)
    set_config(app, {"FRESH": "by someone else"}, by=alice)
    answer = client.post("/apps/shop/config/file/save/", {"text": "A=kept here", "whole": whole})
    assert answer.status_code == 422
    assert "A=kept here" in answer.text and "Load them again" in answer.text
    assert values(app)["FRESH"] == "by someone else" and "A" not in values(app)


def test_write_only_is_shown_nowhere_and_survives_the_bulk_editor(app, client):
    client.post("/apps/shop/config/vars/", {"key": "HIDDEN", "value": "unseen-1", "write_only": "on"})
    client.post("/apps/shop/config/vars/TOKEN/write-only/")
    pages = [client.get("/apps/shop/config/"), client.post("/apps/shop/config/vars/HIDDEN/edit/")]
    refused = client.post("/apps/shop/config/vars/TOKEN/value/")
    assert refused.status_code == 403
    pages += [refused, client.post("/apps/shop/config/file/values/")]
    for page in pages:
        assert "unseen-1" not in page.text and "s3cret-one" not in page.text
    assert "Write-only" in pages[0].text and "stay as they are: HIDDEN, TOKEN" in pages[-1].text
    client.post("/apps/shop/config/file/save/", {"text": "A=1", "whole": loaded(client)})
    assert values(app) == {"A": "1", "HIDDEN": "unseen-1", "TOKEN": "s3cret-one"}
    form = {"text": "HIDDEN=fresh", "whole": loaded(client)}
    assert "unseen-1" not in client.post("/apps/shop/config/file/preview/", form).text
    client.post("/apps/shop/config/vars/", {"key": "HIDDEN", "value": "unseen-2"})
    assert values(app)["HIDDEN"] == "unseen-2" and app.config_vars.get(key="HIDDEN").write_only


def test_a_wrong_name_without_script_keeps_what_was_typed(app, client):
    answer = client.post("/apps/shop/config/vars/", {"key": "1A", "value": "typed\nhere"})
    assert answer.status_code == 422
    assert 'value="1A"' in answer.text and "typed\nhere</textarea>" in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_a_stage_may_hide_config_from_who_deploys(shop, alice, bob, client):
    Stage.objects.filter(name="production").update(readers="admins")
    client.force_login(bob)
    for address in ("config/", "config/file/"):
        assert client.get(f"/apps/shop-production/{address}").status_code == 403
        assert client.get(f"/apps/shop-staging/{address}").status_code == 200
    for address in (
        "vars/",
        "vars/A/value/",
        "vars/A/removal/",
        "file/values/",
        "file/save/",
        "file/preview/",
    ):
        answer = client.post(f"/apps/shop-production/config/{address}", {"key": "A", "value": "1"})
        assert answer.status_code == 403, address
    assert not App.objects.get(name="shop-production").config_vars.exists()
    client.force_login(alice)
    assert client.get("/apps/shop-production/config/").status_code == 200


def test_names_that_the_stage_before_has_are_told(shop, alice, bob, client, django_assert_max_num_queries):
    staging, production = App.objects.get(name="shop-staging"), App.objects.get(name="shop-production")
    make_release(production, slug=staging.releases.get(current=True).slug, by=alice)
    set_config(staging, {"JITTER": "30-secret", "BOTH": "1"}, by=alice)
    set_config(production, {"BOTH": "2"}, by=alice)
    client.force_login(alice)
    page = client.get("/apps/shop-production/config/").text
    assert "<strong>JITTER</strong> is set in Staging but missing here" in page
    assert "30-secret" not in page
    client.force_login(bob)
    client.get("/apps/shop-production/config/")
    with django_assert_max_num_queries(12):
        assert "JITTER" in client.get("/apps/shop-production/config/").text
    assert 'value="JITTER"' in client.get("/apps/shop-production/config/?name=JITTER").text
    client.force_login(bob)
    Stage.objects.filter(name="staging").update(readers="admins")
    assert "JITTER" not in client.get("/apps/shop-production/config/").text


@pytest.mark.parametrize(
    ("text", "told"), [("A=1\nno-equals-here", "Line 2 has no"), ("PORT=1", "PORT is set by the platform")]
)
def test_a_wrong_line_saves_nothing_and_keeps_the_text(app, client, text, told):
    answer = client.post("/apps/shop/config/file/save/", {"text": text})
    assert answer.status_code == 422
    assert told in answer.text
    assert text in answer.text
    assert app.releases.count() == 2
