"""Building again, uploading, cancelling, and the page of a build."""

import io
import tarfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django.asserts import assertRedirects

from apps.models import App
from core.models import Event
from releases.models import Build, Source
from tests.factories import make_app, make_release, make_source

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(alice, client):
    client.force_login(alice)
    return make_app("shop", owner=alice)


def make_build(app, **values):
    return Build.objects.create(app=app, source=make_source(app, message="Sell hats", author="Ann"), **values)


def test_it_says_how_to_push(app, client, settings):
    page = client.get("/apps/shop/deploy/").text
    assert f"git remote add slipway {settings.URL}/shop.git" in page
    assert f"git clone {settings.URL}/shop.git" in page


def test_it_builds_a_source_again(app, client):
    first = make_build(app, status="succeeded")
    answer = client.post("/apps/shop/builds/", {"source": first.source_id, "clear_cache": "on"})
    again = Build.objects.exclude(pk=first.pk).get()
    assertRedirects(answer, f"/apps/shop/builds/{again.pk}/", status_code=303)
    assert (again.source_id, again.clear_cache, again.status) == (first.source_id, True, "pending")


def test_htmx_is_sent_to_the_build(app, client):
    first = make_build(app, status="succeeded")
    answer = client.post("/apps/shop/builds/", {"source": first.source_id}, headers=HTMX)
    assert answer.headers["HX-Redirect"].startswith("/apps/shop/builds/")


def test_a_source_of_another_app_is_absent(app, alice, charlie, client):
    foreign = make_source(make_app("other", owner=charlie))
    assert client.post("/apps/shop/builds/", {"source": foreign.pk}).status_code == 404
    assert client.post("/apps/shop/builds/", {"source": "no-uuid"}, headers=HTMX).status_code == 422
    assert not Build.objects.exists()


def test_it_offers_the_last_source_of_each_branch(app, client):
    for commit, branch in (("a" * 40, "main"), ("b" * 40, "main"), ("c" * 40, "master")):
        source = Source.objects.create(app=app, commit=commit, branch=branch)
        Build.objects.create(app=app, source=source, status="succeeded")
    page = client.get("/apps/shop/deploy/").text
    choices = page[page.index('id="h-again"') :]
    assert "bbbbbbb" in choices and "ccccccc" in choices and "aaaaaaa" not in choices


def test_it_builds_an_archive(app, client, settings):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("Procfile"), io.BytesIO())
    file = SimpleUploadedFile("shop.tar.gz", packed.getvalue())
    client.post("/apps/shop/sources/", {"archive": file, "version": "nightly"})
    source = Build.objects.get().source
    assert (settings.DATA / source.path).read_bytes() == packed.getvalue()
    assert source.version == "nightly"


def test_no_archive_no_build(app, client):
    assert client.post("/apps/shop/sources/", {}, headers=HTMX).status_code == 422
    empty = SimpleUploadedFile("shop.tar.gz", b"")
    assert client.post("/apps/shop/sources/", {"archive": empty}, headers=HTMX).status_code == 422
    assert not Build.objects.exists()


def test_it_cancels_a_build(app, client, alice):
    build = make_build(app)
    answer = client.post(f"/apps/shop/builds/{build.pk}/cancellation/")
    assertRedirects(answer, f"/apps/shop/builds/{build.pk}/", status_code=303)
    build.refresh_from_db()
    assert build.cancel_asked
    assert Event.objects.filter(verb="cancelled", by=alice, app_id=app.pk).exists()


def test_a_build_that_has_ended_is_not_cancelled(app, client):
    build = make_build(app, status="succeeded")
    answer = client.post(f"/apps/shop/builds/{build.pk}/cancellation/", headers=HTMX)
    assert answer.status_code == 409
    assert "succeeded already" in answer.text


def test_a_build_shows_its_steps_and_its_reason(app, client, alice):
    make_release(app, by=alice)
    steps = [
        {"name": "fetch source", "at": "2026-11-25T12:00:00+00:00", "seconds": 2.0},
        {"name": "compile", "at": "2026-11-25T12:00:02+00:00", "seconds": 5.0},
    ]
    build = make_build(app, status="failed", reason="pip could not install x", steps=steps)
    page = client.get(f"/apps/shop/builds/{build.pk}/").text
    assert "pip could not install x. shop stays on v1." in page
    assert "step--done" in page and "step--bad" in page
    assert f'data-log="build/{build.pk}"' in page
    assert "<title>✕ Build failed" in page


def test_a_running_build_says_what_is_to_come(app, client):
    build = make_build(
        app, status="running", steps=[{"name": "compile", "at": "2026-11-25T12:00:02+00:00", "seconds": None}]
    )
    page = client.get(f"/apps/shop/builds/{build.pk}/").text
    assert "<title>◐ Building" in page
    assert "step--now" in page and "Start dynos" in page
    part = client.get(f"/apps/shop/builds/{build.pk}/", headers=HTMX).text
    assert 'id="side"' in part and 'hx-swap-oob="true"' in part and "data-log=" not in part


def test_a_build_of_another_app_is_absent(app, client, charlie):
    foreign = make_build(make_app("other", owner=charlie))
    assert client.get(f"/apps/shop/builds/{foreign.pk}/").status_code == 404
    assert App.objects.filter(name="shop").exists()
