"""Releases: new dynos beside the old, one switch, nothing lost."""

import pytest
from django.db import transaction

from apps.models import Dyno, Formation
from releases import actions
from releases.models import Release
from tests.conftest import eventually
from tests.factories import make_app


def deploy(stage, app, alice, **types):
    slug = stage.slug(app, **types)
    with transaction.atomic():
        return actions.create_release(
            app, kind="deploy", description=f"Deploy {slug.short}", by=alice, slug=slug
        )


def ended(release):
    def check():
        release.refresh_from_db()
        return release.status in ("succeeded", "failed")

    eventually(check, 20)
    return release


def test_the_first_release_starts_one_web_dyno(platform, alice):
    app = make_app("shop", owner=alice)
    release = ended(deploy(platform, app, alice, web="exec python3 -S server.py", worker="sleep 100"))
    assert (release.status, release.current, release.reason) == ("succeeded", True, "")
    assert {(f.type, f.quantity) for f in Formation.objects.filter(app=app)} == {("web", 1), ("worker", 0)}
    assert platform.get(app)[0] == "v1"
    assert platform.router.routes[str(app.pk)].hosts == {"shop.localhost"}
    assert [step["name"] for step in release.steps] == ["start", "switch"]
    assert all(step["seconds"] is not None for step in release.steps)


@pytest.mark.promise("I-04")
def test_the_next_one_takes_over_and_the_old_one_ends(platform, alice):
    app = make_app("shop", owner=alice)
    ended(deploy(platform, app, alice))
    ended(deploy(platform, app, alice))
    assert platform.get(app)[0] == "v2"
    eventually(lambda: Dyno.objects.filter(app=app).count() == 1)
    assert Dyno.objects.get(app=app).release_version == 2
    assert all(route.backends for route in platform.router.history[str(app.pk)][1:])
    assert list(Release.objects.filter(current=True).values_list("version", flat=True)) == [2]


@pytest.mark.promise("I-09")
def test_config_reaches_the_dynos(platform, alice):
    app = make_app("shop", owner=alice)
    ended(deploy(platform, app, alice))
    release = ended(actions.set_config(app, {"GREETING": "ahoy"}, by=alice))
    assert release.status == "succeeded"
    assert platform.get(app)[:2] == ("v2", "ahoy")
