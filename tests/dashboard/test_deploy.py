"""Building again, uploading, cancelling, and the page of a build."""

import io
import tarfile
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from pytest_django.asserts import assertRedirects

from apps.models import App
from core.models import Event
from releases import repositories
from releases.models import Build
from tests.factories import make_app, make_release, make_slug, make_source

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


@pytest.fixture
def pushed(app, forge):
    """The app's repository has `main`, which serves, and `feature/hats`, which nobody deployed."""
    forge.repository()
    first = forge.git("shop.git", "rev-parse", "main")
    forge.commit("shop.git", "Sell <b>hats</b>")
    place = str(repositories.ensure(app))
    forge.git("shop.git", "push", "-q", place, f"{first}:refs/heads/main", "main:refs/heads/feature/hats")
    make_release(app, slug=make_slug(app, commit=first))
    return forge.git("shop.git", "rev-parse", "main")


def test_it_lists_branches_that_were_pushed_without_being_deployed(app, client, pushed):
    page = client.get("/apps/shop/deploy/").text
    branches = page[page.index('id="branches"') : page.index('id="builds"')]
    assert "feature/hats" in branches and pushed[:7] in branches and "Sell &lt;b&gt;hats" in branches
    assert "Not deployed" in branches and "1 commit ahead of what is live" in branches
    assert branches.count('aria-label="Deploy ') == 1


def test_hostile_branches_and_messages_are_shown_and_never_run(app, client, forge):
    name = 'x"><img/src=x/onerror=alert(1)>'
    forge.repository()
    forge.commit("shop.git", "<script>alert(1)</script>\x1b[31m\u202e")
    forge.git("shop.git", "push", "-q", str(repositories.ensure(app)), f"main:refs/heads/{name}")
    page = client.get("/apps/shop/deploy/").text
    assert "<img" not in page and "<script>alert" not in page and "\x1b" not in page
    assert "\u202e" not in page
    assert "x&quot;&gt;&lt;img/src=x/onerror=alert(1)&gt;" in page
    client.post("/apps/shop/builds/of-ref/", {"ref": name})
    assert Build.objects.get().source.branch == name
    assert "<img" not in client.get("/apps/shop/deploy/").text


def test_it_deploys_a_branch(app, client, pushed):
    answer = client.post("/apps/shop/builds/of-ref/", {"ref": "feature/hats", "clear_cache": "on"})
    build = Build.objects.get()
    assertRedirects(answer, f"/apps/shop/builds/{build.pk}/", status_code=303)
    assert (build.source.commit, build.source.branch, build.clear_cache) == (pushed, "feature/hats", True)
    part = client.get("/apps/shop/deploy/", headers=HTMX).text
    assert "<html" not in part and "Queued" in part


@pytest.mark.parametrize("ref", ["", "nope", "--upload-pack=x", "<script>alert(1)</script>"])
def test_a_branch_that_is_not_there_is_told_beside_the_field(app, client, pushed, ref):
    answer = client.post("/apps/shop/builds/of-ref/", {"ref": ref, "clear_cache": "on"})
    assert answer.status_code == 422 and 'id="ref-error"' in answer.text
    assert "<script>alert" not in answer.text and 'name="clear_cache" checked' in answer.text
    assert not Build.objects.exists()


def test_it_asks_for_a_build_of_a_public_repository(app, client):
    form = {"url": "https://git.example/shop.git", "ref": "v1"}
    answer = client.post("/apps/shop/builds/of-url/", form)
    build = Build.objects.get()
    assertRedirects(answer, f"/apps/shop/builds/{build.pk}/", status_code=303)
    assert (build.source.repository, build.source.ref) == (form["url"], "v1")
    assert "https://git.example/shop.git" in client.get(f"/apps/shop/builds/{build.pk}/").text
    assert "https://git.example/shop.git" in client.get("/apps/shop/deploy/").text


@pytest.mark.parametrize(
    ("url", "ref", "error"),
    [
        ("file:///etc", "main", "url-error"),
        ("https://user:secret@git.example/shop.git", "main", "url-error"),
        ("", "main", "url-error"),
        ("https://git.example/shop.git", "--upload-pack=x", "url-ref-error"),
    ],
)
def test_what_is_no_public_repository_is_told_beside_the_field(app, client, url, ref, error):
    answer = client.post("/apps/shop/builds/of-url/", {"url": url, "ref": ref})
    assert answer.status_code == 422 and f'id="{error}"' in answer.text
    assert f'value="{ref}"' in answer.text
    assert not Build.objects.exists()


def test_it_says_how_long_a_build_takes_once_it_knows(app, client):
    assert "one takes" not in client.get("/apps/shop/deploy/").text
    now = timezone.now()
    for seconds in (39, 41, 300):
        ended = {"started_at": now, "finished_at": now + timedelta(seconds=seconds)}
        make_build(app, status="succeeded", **ended)
    assert "one takes about 40 s, from the last 3 builds" in client.get("/apps/shop/deploy/").text


def test_viewers_see_the_builds_and_no_way_to_make_one(shop, vera, client, forge):
    client.force_login(vera)
    forge.repository()
    place = repositories.ensure(App.objects.get(name="shop-staging"))
    forge.git("shop.git", "push", "-q", str(place), "main:secret-plan")
    page = client.get("/apps/shop-staging/deploy/")
    assert page.status_code == 200 and 'id="h-url"' not in page.text
    assert "secret-plan" not in page.text  # they may not read the code either
    for address in ("of-ref/", "of-url/", ""):
        assert client.post(f"/apps/shop-staging/builds/{address}", {"ref": "main"}).status_code == 403


def test_its_queries_do_not_grow_with_builds(app, client, django_assert_max_num_queries):
    for _ in range(30):
        make_build(app, status="succeeded")
    client.get("/apps/shop/deploy/")  # notes the use of the session
    with django_assert_max_num_queries(12):
        page = client.get("/apps/shop/deploy/?page=2").text
    assert "21 to 30 of 30" in page


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


def test_a_running_build_says_how_long_each_step_takes_as_a_rule(app, client):
    now = timezone.now()
    steps = [{"name": "compile", "at": now.isoformat(), "seconds": 36.0}]
    make_build(app, status="succeeded", started_at=now, finished_at=now + timedelta(seconds=40), steps=steps)
    begun = [{"name": "fetch source", "at": now.isoformat(), "seconds": None}]
    build = make_build(app, status="running", started_at=now, steps=begun)
    page = client.get(f"/apps/shop/builds/{build.pk}/").text
    assert "~36 s" in page and "of about 40 s" in page and "from the last run" in page
    Build.objects.filter(pk=build.pk).update(started_at=now - timedelta(minutes=5))
    assert "longer than usual: about 40 s" in client.get(f"/apps/shop/builds/{build.pk}/").text


def test_pages_of_work_under_way_ask_by_themselves_too(app, client):
    """A nudge that comes between the drawing of a page and its subscription reaches nobody."""
    build = make_build(app, status="running")
    pages = ["/apps/shop/", "/apps/shop/deploy/", f"/apps/shop/builds/{build.pk}/"]
    assert all('hx-trigger="nudge, every ' in client.get(page).text for page in pages)
    Build.objects.filter(pk=build.pk).update(status="failed")
    assert not any(", every " in client.get(page).text for page in pages)
