"""The ledger, a release's page, comparing, rolling back."""

import os
import subprocess

import pytest
from pytest_django.asserts import assertRedirects

from releases import repositories
from releases.actions import set_config
from releases.models import Build, Release
from tests.factories import make_app, make_release, make_slug, make_source

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(alice, client):
    client.force_login(alice)
    app = make_app("shop", owner=alice, released=True)
    set_config(app, {"TOKEN": "s3cret-one"}, by=alice)
    Release.objects.filter(app=app, version=2).update(status="succeeded")
    make_release(
        app,
        by=alice,
        slug=make_slug(app, message="Sell hats", process_types={"web": "run", "worker": "work"}),
    )
    return app


def test_the_ledger_says_what_each_release_was(app, client):
    page = client.get("/apps/shop/releases/").text
    assert "Set TOKEN config var" in page and "Sell hats" in page
    assert "s3cret" not in page
    part = client.get("/apps/shop/releases/", headers=HTMX).text
    assert 'id="releases"' in part and "<html" not in part


def test_a_release_shows_names_only(app, client):
    page = client.get("/apps/shop/releases/2/").text
    assert "<code>TOKEN</code> added" in page
    assert "s3cret" not in page


def test_a_release_that_is_live_says_so_in_the_title(app, client):
    assert "<title>✓ v3 live" in client.get("/apps/shop/releases/3/").text


def test_a_failed_release_says_why_and_what_stays(app, client, alice):
    bad = make_release(app, by=alice, status="failed", current=False)
    Release.objects.filter(pk=bad.pk).update(reason="The release command exited with status 1.")
    page = client.get("/apps/shop/releases/4/").text
    assert "The release command exited with status 1. shop stays on v3." in page
    assert "<title>✕ v4 failed" in page


def test_a_deploy_shows_the_build_it_came_from(app, client):
    release = Release.objects.get(version=3)
    build = Build.objects.create(app=app, source=make_source(app), status="succeeded", release=release)
    assert f'data-log="build/{build.pk}"' in client.get("/apps/shop/releases/3/").text


def test_a_release_command_has_its_output_shown_once_it_comes(app, client, alice):
    slug = make_slug(app, process_types={"web": "run", "release": "migrate"})
    release = make_release(app, by=alice, slug=slug, current=False)
    Release.objects.filter(pk=release.pk).update(status="running")
    part = client.get("/apps/shop/releases/4/", headers=HTMX).text
    assert f'data-log="release/{release.pk}"' in part
    later = client.get("/apps/shop/releases/4/?shown=release", headers=HTMX).text
    assert "data-log=" not in later


def test_no_such_release(app, client):
    assert client.get("/apps/shop/releases/99/").status_code == 404
    assert client.get("/apps/shop/releases/99999999999999999999999/").status_code == 404


def test_it_compares_by_name(app, client):
    page = client.get("/apps/shop/releases/compare/?base=1&head=3").text
    assert "+ TOKEN" in page and "+ worker: work" in page
    assert "s3cret" not in page
    assert "No commits to list" in page
    wrong = client.get("/apps/shop/releases/compare/?base=<b>&head=v3").text
    assert "shop has no release &lt;b&gt;." in wrong and 'value="v3"' in wrong
    assert "From v1 to v3" in client.get("/apps/shop/releases/compare/?base=v1").text


def test_rolling_back_says_first_what_it_will_do(app, client):
    page = client.get("/apps/shop/rollbacks/new/?to=1").text
    assert "This makes v4" in page and "- TOKEN" in page and "v3 keeps serving" in page
    dialog = client.get("/apps/shop/rollbacks/new/?to=1", headers=HTMX).text
    assert "<html" not in dialog and "This makes v4" in dialog


def test_it_rolls_back_with_a_reason(app, client):
    answer = client.post("/apps/shop/rollbacks/", {"version": "1", "note": "Hats do not fit"})
    assertRedirects(answer, "/apps/shop/releases/4/", status_code=303)
    release = Release.objects.get(version=4)
    assert (release.kind, release.note, release.from_release.version) == ("rollback", "Hats do not fit", 1)
    assert "Hats do not fit" in client.get("/apps/shop/releases/").text


def test_without_a_release_named_it_goes_back_to_the_last_that_worked(app, client, alice):
    make_release(app, by=alice, status="failed", current=False)
    page = client.get("/apps/shop/rollbacks/new/").text
    assert "Roll shop back to v1?" in page  # v2 has no code, v3 serves
    assert client.get("/apps/shop/rollbacks/new/?to=99").status_code == 404


def test_with_nothing_to_go_back_to_it_says_so(app, client):
    Release.objects.filter(app=app).exclude(version=3).delete()
    answer = client.get("/apps/shop/rollbacks/new/", follow=True)
    assert answer.redirect_chain == [("/apps/shop/releases/", 303)]
    assert "shop has no earlier release to go back to." in answer.text


def test_a_reason_is_asked_for_beside_the_field(app, client):
    answer = client.post("/apps/shop/rollbacks/", {"version": "1", "seen": "3", "note": " "})
    assert answer.status_code == 422
    assert 'id="note-error"' in answer.text and "Roll shop back to v1?" in answer.text
    assert app.releases.count() == 3


def test_the_plan_is_shown_again_when_another_release_serves_by_now(app, client, alice):
    make_release(app, by=alice)
    form = {"version": "1", "seen": "3", "note": "Hats <b>do not fit"}
    answer = client.post("/apps/shop/rollbacks/", form, headers=HTMX)
    assert answer.status_code == 409
    assert "shop runs v4 by now" in answer.text and 'name="seen" value="4"' in answer.text
    assert 'value="Hats &lt;b&gt;do not fit"' in answer.text
    assert app.releases.count() == 4


@pytest.mark.parametrize(
    "form", [{"version": "1"}, {"version": "x", "note": "y"}, {"version": "2", "note": "no code"}]
)
def test_without_reason_or_code_nothing_is_rolled_back(app, client, form):
    assert client.post("/apps/shop/rollbacks/", form, headers=HTMX).status_code == 422
    assert app.releases.count() == 3


def test_a_release_of_an_app_in_a_pipeline_can_be_promoted(shop, alice, client):
    client.force_login(alice)
    page = client.get("/apps/shop-staging/releases/1/").text
    assert "/pipelines/shop/promotions/new/?from=shop-staging&amp;release=1" in page


def test_comparing_lists_the_commits_between(app, client, alice):
    place = repositories.ensure(app)
    shas = []
    for message in ("First hat", "Second hat", "Third <b>hat</b>"):
        parents = ["-p", shas[-1]] if shas else []
        shas.append(_commit(place, message, *parents))
    for sha in (shas[0], shas[2]):
        make_release(app, by=alice, slug=make_slug(app, commit=sha))
    page = client.get("/apps/shop/releases/compare/?base=4&head=5").text
    assert (
        "Commits that v5 has and v4 has not" in page
        and "Second hat" in page
        and "Third &lt;b&gt;hat&lt;/b&gt;" in page
        and "First hat" not in page
    )
    assert shas[1][:7] in page
    back = client.get("/apps/shop/releases/compare/?base=5&head=4").text
    assert "None: v4 is the older code." in back and "Commits that v4 lacks" in back and "Second hat" in back
    plan = client.get("/apps/shop/rollbacks/new/?to=4").text
    assert "2 commits of v5 will not run any more" in plan


def _commit(place, message, *parents):
    """A commit without files in a bare repository."""
    env = {"PATH": os.environ["PATH"], "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.com"}
    env |= {"GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.com"}
    ask = {"cwd": place, "env": env, "check": True, "capture_output": True, "text": True}
    tree = subprocess.run(["git", "mktree"], input="", **ask).stdout.strip()
    return subprocess.run(["git", "commit-tree", tree, "-m", message, *parents], **ask).stdout.strip()
