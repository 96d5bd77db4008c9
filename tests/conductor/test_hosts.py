"""Repositories elsewhere, with a real conductor: it looks for new commits, builds them, and tells the host."""

from apps.models import App
from core.errors import EngineError
from forge import actions, auto_deploys, hosts
from forge.models import Repository
from forge.reports import report
from releases.actions import create_build
from releases.models import Build
from tests.conductor.conftest import SERVER, SERVER_PY, ended
from tests.factories import make_app, make_pipeline, stage
from tests.githosts.apis import HOSTS
from tests.waiting import eventually


def test_a_commit_elsewhere_is_found_built_released_and_told_of(platform, alice, forge, settings):
    settings.POLL_SECONDS = 0.2
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("shop-dev", owner=alice, stage=stage(pipeline, "development"))
    url = forge.repository(**{"Procfile": f"web: {SERVER}\n", "server.py": SERVER_PY, "requirements.txt": ""})
    forge.api = HOSTS["gitea"]("t0ken")
    forge.private, forge.password = {"shop.git"}, "t0ken"
    actions.connect(pipeline, url, host="gitea", token="t0ken", by=alice)
    auto_deploys.switch_on(app, branch="main", by=alice)
    sha = forge.commit("shop.git", "Add tea", **{"tea.txt": "tea"})
    eventually(lambda: Build.objects.filter(app=app).exists(), 30)
    build = ended(Build.objects.get(app=app), 90)
    assert build.status == "succeeded", build.reason
    assert (build.slug.commit, build.slug.branch, build.slug.message) == (sha, "main", "Add tea")
    assert ended(build.release, 60).status == "succeeded"
    assert platform.get(App.objects.get(pk=app.pk))[0] == "v1"
    assert not any("t0ken" in line for line in platform.lines(build.log_stream))
    report(pipeline, sha, "slipway/ci", "success", "All passed")
    eventually(
        lambda: [(one["commit"], one["state"]) for one in forge.api.statuses] == [(sha, "success")], 30
    )


def test_a_host_that_hangs_delays_no_build(platform, alice, source, forge):
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("shop-dev", owner=alice, stage=stage(pipeline, "development"))
    forge.api = HOSTS["github"]("t0ken")
    actions.connect(pipeline, forge.repository(), host="github", token="t0ken", by=alice)
    asked = []

    def hang(method, path, headers, body):
        asked.append(path)
        eventually(lambda: Build.objects.exclude(status__in=["pending", "running"]).exists(), 100)
        return 503, {}

    forge.api = hang
    report(pipeline, "a" * 40, "slipway/ci", "success")
    eventually(lambda: asked, 30)
    assert ended(create_build(app, source(app), by=alice), 90).status == "succeeded"


def test_the_hosts_errors_are_told_apart(forge):
    api = hosts.make_api("github", f"{forge.url}/api/v3", "shop", "t0ken")
    for status, kind in ((500, EngineError), (429, EngineError), (403, hosts.Denied), (404, hosts.Denied)):
        forge.api = lambda *_, status=status: (status, {})
        try:
            api.find()
        except kind:
            continue
        raise AssertionError(status)
    assert "t0ken" not in repr(api) and Repository._meta.get_field("sealed_token").editable is False
