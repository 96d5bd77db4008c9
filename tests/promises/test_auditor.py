"""The auditor finds what breaks a promise, and nothing in what is whole."""

import json
import os
import signal
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from apps.models import App, ConfigVar, Formation
from conductor import status
from conductor.audit import audit
from engine.spec import Line
from pipelines import actions as pipeline_actions
from pipelines import layers
from pipelines.models import Pipeline, Promotion, StageVar
from releases import actions, repositories
from releases.models import Release, Slug
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, make_release
from tests.factories import stage as stage_of


@pytest.fixture
def shop(outside, alice):
    """Two apps that ran a slug each, a promotion between them that is over, config vars, a rollback."""
    pipeline = make_pipeline("shop", owner=alice)
    staging = make_app("shop-staging", owner=alice, stage=stage_of(pipeline, "staging"))
    production = make_app("shop-production", owner=alice, stage=stage_of(pipeline, "production"))
    first = make_release(staging, by=alice, slug=outside.stage.slug(staging))
    promotion = pipeline_actions.promote(staging.coupling, [production.coupling], by=alice)
    promoted = make_release(production, by=alice, slug=first.slug, kind="promote")
    promotion.targets.update(status="succeeded", release=promoted)
    Promotion.objects.update(status="completed")
    finish(actions.set_config(staging, {"A": "1", "B": "2"}, by=alice), first)
    finish(actions.rollback(staging, first, by=alice), first)
    return staging


def finish(release, like):
    release.refresh_from_db()
    Release.objects.filter(app=release.app).update(current=False)
    Release.objects.filter(pk=release.pk).update(
        status="succeeded",
        current=True,
        slug=like.slug,
        process_types=like.process_types,
        finished_at=timezone.now(),
    )


def promises():
    return {violation["promise"] for violation in audit()["violations"]}


@pytest.mark.promise("I-01")
@pytest.mark.promise("I-09")
def test_what_is_whole_breaks_nothing(shop, capsys):
    call_command("audit", "--json")
    assert json.loads(capsys.readouterr().out)["violations"] == []


@pytest.mark.parametrize(
    ("promise", "harm"),
    [
        ("I-01", lambda app: Release.objects.filter(app=app, version=2).delete()),
        ("I-01", lambda app: App.objects.filter(pk=app.pk).update(last_version=9)),
        (
            "I-02",
            lambda app: Release.objects.filter(app=app, version=3).update(process_types={"web": "evil"}),
        ),
        ("I-06", lambda app: Release.objects.filter(app=app).update(current=False)),
        ("I-07", lambda app: Promotion.objects.update(status="pending")),
        ("I-07", lambda app: Release.objects.filter(kind="promote").update(status="failed", current=False)),
        ("I-09", lambda app: ConfigVar.objects.create(app=app, key="C", sealed=resealed(app, "C"))),
        ("I-14", lambda app: damage(Slug.objects.first())),
        ("I-38", lambda app: swap_configs(app)),
    ],
)
def test_it_finds_harm(shop, promise, harm):
    harm(shop)
    assert promise in promises()


def test_what_is_inherited_is_what_stage_and_pipeline_say(shop, alice):
    before = Release.objects.filter(app=shop).order_by("-version").first()
    layers.set_vars(stage_of(Pipeline.objects.get(), "staging"), {"LEVEL": "debug", "A": "9"}, by=alice)
    finish(Release.objects.filter(app=shop).order_by("-version").first(), before)
    actions.set_config(shop, {"LEVEL": "error"}, by=alice)
    finish(Release.objects.filter(app=shop).order_by("-version").first(), before)
    finish(actions.rollback(shop, before, by=alice), before)
    assert promises() == set()
    StageVar.objects.filter(key="LEVEL").delete()
    assert {v["message"] for v in audit()["violations"]} == {"LEVEL is not what it inherits"}


@pytest.mark.promise("I-10")
def test_it_finds_a_branch_at_a_commit_that_was_not_built(shop):
    place = repositories.ensure(shop)
    tree = repositories.git(place, "hash-object", "-t", "tree", "-w", "/dev/null").decode().strip()
    who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    commit = repositories.git(place, "commit-tree", "-m", "x", tree, extra=who).decode().strip()
    repositories.git(place, "update-ref", "refs/heads/main", commit)
    assert promises() == {"I-10"}


@pytest.mark.promise("I-22")
def test_it_finds_a_gap_in_a_log(shop, outside):
    outside.stage.logs.append(shop.log_stream, [Line("app", "web.1", b"hello", 1.0)] * 3)
    [segment] = (outside.data / "logs").rglob("*1.*")
    segment.with_stem(segment.stem.replace("1", "9")).write_bytes(segment.read_bytes())
    assert promises() == {"I-22"}


@pytest.mark.promise("I-19")
def test_it_finds_leftover_folders(shop, outside, capsys):
    (outside.data / "work" / "leftover").mkdir(parents=True)
    with pytest.raises(CommandError) as error:
        call_command("audit")
    assert error.value.returncode == 1
    assert "I-19  work folder leftover" in capsys.readouterr().out


def test_ps_lists_roles(shop, capsys):
    call_command("ps", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [row["role"] for row in rows] == ["web", "git", "worker", "scheduler", "router", "logd"]
    assert {row["state"] for row in rows} == {"down"}
    assert status.read() is None


def resealed(app, key):
    var = ConfigVar(app=app, key=key)
    var.value = "x"
    return var.sealed


def damage(slug):
    from releases.slugs import store

    path = store().path(slug.digest)
    path.chmod(0o644)
    path.write_bytes(b"damaged")


def swap_configs(app):
    """Put the sealed config of one release into another's row."""
    one, two = Release.objects.filter(app=app).order_by("version")[:2]
    Release.objects.filter(pk=one.pk).update(sealed_config=two.sealed_config)


@pytest.mark.promise("I-19")
@pytest.mark.platform
def test_beside_a_running_conductor_it_compares_dynos_with_the_formation(outside, alice):
    app = make_app("shop", owner=alice)
    make_release(app, by=alice, slug=outside.stage.slug(app))
    outside.start()
    eventually(lambda: app.dynos.filter(state="up").exists(), 30)
    eventually(lambda: not audit()["violations"], 10)
    pid = status.read()["pid"]
    with transaction.atomic():
        Formation.objects.filter(app=app).update(quantity=2)
        outside.process.send_signal(signal.SIGSTOP)  # it can't start what is asked for now, nor holds a lock
    assert "web.2 does not run" in {violation["message"] for violation in audit()["violations"]}
    outside.process.send_signal(signal.SIGCONT)
    eventually(lambda: app.dynos.filter(state="up").count() == 2, 20)
    outside.stop(signal.SIGKILL)
    assert pid == outside.process.pid
    assert status.read() is None
    eventually(lambda: audit()["violations"] == [], 10)


@pytest.mark.promise("I-15")
def test_it_finds_a_job_that_nobody_works_on(outside, alice):
    app = make_app("shop", owner=alice, released=True)
    actions.set_config(app, {"A": "1"}, by=alice)
    long_ago = timezone.now() - timedelta(minutes=5)
    Release.objects.filter(version=2).update(status="running", created_at=long_ago, lease_until=long_ago)
    assert "I-15" not in promises(), "without a conductor it only waits for one"
    now = {"at": time.time(), "pid": os.getpid(), "stopped": False, "roles": [], "jobs": [], "dynos": {}}
    status.path().parent.mkdir()
    status.path().write_text(json.dumps(now))
    assert "I-15" in promises()
