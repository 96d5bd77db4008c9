"""The web is killed when git has moved a branch and nobody has been told: the news comes with the next look, once."""

import subprocess
import sys

import pytest

from accounts.actions import create_token
from ci.models import TestRun
from ci.settings import set_settings
from pipelines import actions as pipeline_actions
from releases import repositories as repos
from releases.models import Move
from releases.pushed import tell_untold
from tests.factories import make_app, make_pipeline, stage
from tests.ports import free_port
from tests.promises.conftest import ROOT
from tests.releases.conftest import Repo
from tests.waiting import eventually


class Web:
    """`manage.py web`, which may die at a fail point."""

    def __init__(self, outside):
        self.outside, self.port = outside, free_port()

    def start(self, failpoints=""):
        path = self.outside.data / "web.log"
        with path.open("a") as log:
            web = self.outside.process = subprocess.Popen(
                [sys.executable, "manage.py", "web", "--listen", f"127.0.0.1:{self.port}"],
                cwd=ROOT,
                env=self.outside.environment(FAILPOINTS=failpoints),
                stdout=log,
                stderr=log,
            )
        eventually(lambda: "Serving" in path.read_text() or web.poll() is not None, 60, every=0.1)
        assert web.poll() is None, path.read_text()
        return web


@pytest.mark.platform
@pytest.mark.promise("I-15")
def test_a_branch_that_was_pushed_when_the_web_died_is_tested_all_the_same(outside, alice, tmp_path):
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("shop-dev", owner=alice)
    pipeline_actions.couple(app, stage(pipeline, "development"), by=alice)
    set_settings(pipeline, on_push=True, supersede=True, by=alice)
    token = create_token(alice, "laptop", by=alice)[1]
    web = Web(outside)
    killed = web.start("git.ref_updated=kill")
    repo = Repo(tmp_path / "clone", f"http://x:{token}@127.0.0.1:{web.port}/shop-dev.git")

    repo.push("main:tea")
    assert killed.wait(30) == -9
    assert repos.head(app, "refs/heads/tea") == repo.head
    assert not TestRun.objects.exists() and Move.objects.count() == 1

    assert (tell_untold(), tell_untold()) == (1, 0)
    run = TestRun.objects.get()
    assert (run.branch, run.commit, run.message) == ("tea", repo.head, "First")
    assert not Move.objects.exists()
