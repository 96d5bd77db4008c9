"""Config vars on their page: hidden, revealed one by one, edited, many at once."""

import pytest
from pytest_django.asserts import assertRedirects

from apps.models import ConfigVar, Dyno
from core.models import Event
from releases.actions import set_config
from releases.models import Release
from tests.factories import make_app

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


def test_what_is_left_out_of_the_whole_is_unset_in_one_release(app, client):
    client.post("/apps/shop/config/file/save/", {"text": "A=1\nTOKEN=s3cret-one", "whole": "on"})
    assert values(app) == {"A": "1", "TOKEN": "s3cret-one"}
    assert Release.objects.get(version=3).changed_keys == {"A": "added", "LINES": "removed"}


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_preview_tells_names_and_saves_nothing(app, client, headers):
    form = {"text": "A=1\nTOKEN=other", "whole": "on"}
    page = client.post("/apps/shop/config/file/preview/", form, headers=headers).text
    changes = page[page.index('id="env-changes"') :]
    assert "+ A" in changes and "~ TOKEN" in changes and "- LINES" in changes
    assert "other" not in changes.replace("another", "")
    assert app.releases.count() == 2


@pytest.mark.parametrize(
    ("text", "told"), [("A=1\nno-equals-here", "Line 2 has no"), ("PORT=1", "PORT is set by the platform")]
)
def test_a_wrong_line_saves_nothing_and_keeps_the_text(app, client, text, told):
    answer = client.post("/apps/shop/config/file/save/", {"text": text})
    assert answer.status_code == 422
    assert told in answer.text
    assert text in answer.text
    assert app.releases.count() == 2
