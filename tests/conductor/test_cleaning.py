"""What is not needed any more goes; what may be needed stays."""

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from apps import actions as app_actions
from apps.models import App, Dyno
from conductor import cleaning
from engine.spec import Line
from pipelines import actions as pipeline_actions
from releases import actions, repositories
from releases.models import Build, Release, Slug, Source
from tests.conductor.conftest import ended
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, make_release
from tests.factories import stage as stage_of


def test_a_destroyed_app_leaves_nothing(stage, alice, source, settings):
    settings.SWEEP_SECONDS = 0.2
    stage.start()
    platform = stage
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("shop-staging", owner=alice, stage=stage_of(pipeline, "staging"))
    other = make_app("shop-production", owner=alice, stage=stage_of(pipeline, "production"))
    build = ended(actions.create_build(app, source(app), by=alice), 60)
    ended(build.release)
    repositories.ensure(app)
    promotion = pipeline_actions.promote(app.coupling, [other.coupling], by=alice)
    ended(promotion.targets.get())
    slug = build.slug

    app_actions.destroy_app(app, confirm="shop-staging", by=alice)
    eventually(lambda: not App.objects.filter(pk=app.pk).exists(), 20)

    eventually(lambda: str(app.pk) not in platform.router.routes)
    assert platform.conductor.parts.driver.observe(str(app.pk)) == []
    assert not Build.objects.exists() and not Source.objects.exists()
    eventually(lambda: not repositories.path(app.pk).exists())
    assert not list((platform.data / "sources").iterdir())
    assert not (platform.data / "caches" / str(app.pk)).exists()
    assert platform.lines(f"app/{app.pk}") == []
    assert platform.slugs.has(slug.digest), "the app it was promoted to still runs it"
    assert platform.get(other)[0] == "v1"


@pytest.fixture
def old(db, stage, alice, settings):
    """An app with three releases of a slug each, of which two are kept."""
    settings.KEEP_SLUGS = 2
    app = make_app("shop", owner=alice)
    releases = [make_release(app, by=alice, slug=stage.slug(app, files={"n": str(n)})) for n in range(3)]
    Slug.objects.update(created_at=timezone.now() - timedelta(days=2))
    return app, releases


def parts(stage):
    stage.start()
    return stage.conductor.parts


def test_old_slugs_expire(old, stage):
    _, releases = old
    cleaning.clean(parts(stage))
    found = dict(Release.objects.values_list("version", "status"))
    assert found == {1: "expired", 2: "succeeded", 3: "succeeded"}
    releases[0].slug.refresh_from_db()
    assert releases[0].slug.expired_at is not None


def test_a_slug_that_another_app_runs_stays(old, stage, alice):
    _, releases = old
    make_release(make_app("other", owner=alice), by=alice, slug=releases[0].slug)
    cleaning.clean(parts(stage))
    assert not Release.objects.filter(status="expired").exists()


def test_archives_that_no_slug_needs_are_deleted(old, stage):
    _, releases = old
    for archive in stage.slugs.archives.glob("*"):
        os.utime(archive, (1, 1))
    cleaning.clean(parts(stage))
    assert [stage.slugs.has(release.slug.digest) for release in releases] == [False, True, True]


def test_an_archive_that_goes_meanwhile_stops_no_cleaning(old, stage):
    _, releases = old
    for archive in stage.slugs.archives.glob("*"):
        os.utime(archive, (1, 1))
    (stage.slugs.archives / f"{'0' * 64}.tar.zst").symlink_to("gone")  # listed, and not there
    cleaning.clean(parts(stage))
    assert [stage.slugs.has(release.slug.digest) for release in releases] == [False, True, True]


def test_sources_beyond_the_last_builds_are_deleted(stage, alice, source, monkeypatch):
    monkeypatch.setattr(cleaning, "KEEP_SOURCES", 1)
    app = make_app("shop", owner=alice)
    made = [source(app) for _ in range(3)]
    for one in made:
        Build.objects.create(app=app, source=one, status="succeeded")
    cleaning.clean(parts(stage))
    kept = [bool(Source.objects.get(pk=one.pk).path) for one in made]
    assert kept == [False, False, True]
    assert len(list((stage.data / "sources").iterdir())) == 1


def test_one_offs_and_outputs_of_long_ago_go(stage, alice, settings):
    settings.KEEP_DAYS = 1
    app = make_app("shop", owner=alice, released=True)
    release = Release.objects.get()
    long_ago = timezone.now() - timedelta(days=3)
    Release.objects.update(finished_at=long_ago)
    stage.logs.append(release.log_stream, [Line("app", "release.1", b"hello", 1.0)])
    row = Dyno(app=app, type="run", number=1234, command="ls", release_version=1, one_off=True, state="down")
    row.state_at = long_ago
    row.save()
    cleaning.clean(parts(stage))
    assert stage.lines(release.log_stream) == []
    assert not Dyno.objects.filter(one_off=True).exists()
