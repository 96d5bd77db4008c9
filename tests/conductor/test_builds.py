"""Builds: from a source to a slug and its release."""

import pytest

from releases import actions
from releases.models import Build, Release
from tests.conductor.conftest import ended
from tests.conftest import eventually
from tests.factories import make_app

SLOW = {"Procfile": "web: x\n", "requirements.txt": "", "bin/pre_compile": "sleep 30\n"}


def test_a_build_makes_a_slug_and_a_release(platform, alice, source):
    app = make_app("shop", owner=alice)
    build = ended(actions.create_build(app, source(app), by=alice), 60)
    assert build.status == "succeeded", build.reason
    assert build.slug.process_types == {"web": "exec python3 -S server.py"}
    assert build.slug.commit == build.source.commit
    assert (build.release.version, build.release.by) == (1, alice)
    assert build.release.description == f"Deploy {build.source.commit[:7]}"
    assert [step["name"] for step in build.steps] == ["fetch source", "compile", "release"]
    assert ended(build.release).status == "succeeded", build.release.reason
    assert platform.get(app)[0] == "v1"
    eventually(lambda: platform.logs.ended(build.log_stream))
    assert any(line.startswith("-----> ") for line in platform.lines(build.log_stream))
    eventually(lambda: "Build succeeded" in platform.lines(app.log_stream))
    assert any("Build started by user alice@" in line for line in platform.lines(app.log_stream))
    assert not list((platform.data / "work").glob("*"))


def test_a_failed_build_says_why_and_makes_no_release(platform, alice, source):
    app = make_app("shop", owner=alice)
    build = ended(actions.create_build(app, source(app, Procfile="not a procfile"), by=alice), 60)
    assert build.status == "failed" and build.reason
    eventually(lambda: platform.logs.ended(build.log_stream))
    assert f" !     {build.reason.splitlines()[0]}" in platform.lines(build.log_stream)
    assert not Release.objects.exists()


def test_a_source_that_was_tampered_with_is_not_built(platform, alice, source):
    app = make_app("shop", owner=alice)
    made = source(app)
    (platform.data / made.path).write_bytes(b"something else")
    build = ended(actions.create_build(app, made, by=alice), 60)
    assert build.status == "failed" and "checksum" in build.reason


@pytest.mark.promise("I-13")
def test_a_pending_build_is_cancelled_at_once(stage, alice, source):
    app = make_app("shop", owner=alice)
    build = actions.create_build(app, source(app), by=alice)
    actions.cancel_build(build, by=alice)
    stage.start()
    assert ended(build, 3).status == "cancelled"
    eventually(lambda: stage.logs.ended(build.log_stream))
    assert not Release.objects.exists()


@pytest.mark.promise("I-13")
def test_a_running_build_is_cancelled_within_seconds(platform, alice, source):
    app = make_app("shop", owner=alice)
    build = actions.create_build(app, source(app, **SLOW), by=alice)
    eventually(lambda: Build.objects.get().step == 1, 30)
    actions.cancel_build(build, by=alice)
    assert ended(build, 10).status == "cancelled"
    assert not list((platform.data / "work").glob("*"))
