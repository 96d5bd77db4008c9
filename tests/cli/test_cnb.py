"""The stack cnb by the Heroku CLI: from `create --stack cnb` to `rollback`, on a Docker engine."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.cli.conftest import squeezed
from tests.cli.terminal import Shell
from tests.cnb import HELLO, make_builder
from tests.platform.harness import Platform, commit, repository
from tests.platform.test_containers import removed
from tests.waiting import eventually

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def swarm(engine):
    name = f"slipway/{engine.instance()}/builder:1"
    make_builder(engine, name)
    folder = Path(tempfile.mkdtemp(prefix="slipway-cnb-"))
    folder.chmod(0o755)
    platform = Platform(folder / "data", ENGINE_URL=engine.engine_url, SLIPWAY_CNB_BUILDER=name)
    platform.start()
    try:
        platform.sign_up()
        yield platform
    finally:
        instance = platform.instance()
        platform.stop()
        eventually(lambda: removed(engine, instance), seconds=60, every=1)
        engine.client.images.remove(name, force=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_app_on_the_stack_of_buildpacks(swarm, program, tmp_path_factory):
    heroku = Shell(swarm, tmp_path_factory.mktemp("home"), program, swarm.token)
    repository(heroku.folder, hello__py=HELLO, said="one", release__sh='echo "migrated $1"\n')
    assert "cnb" in heroku("create", "native", "--stack", "cnb")
    assert "* cnb" in heroku("stack")
    assert "migrated two words" in heroku.run("git", "push", "heroku", "main")
    assert swarm.get("native") == (200, "one / set by a buildpack / None")
    assert "python3 /workspace/hello.py" in heroku("ps")
    assert "hello set by a buildpack" in heroku("run", "--no-tty", "greet $GREETING")
    assert "hello set by a buildpack" in heroku("run:inside", "web.1", "greet $GREETING")
    assert "Stack: cnb" in squeezed(heroku("info"))

    heroku("stack:set", "container")
    assert "* container" in heroku("stack")
    heroku("stack:set", "cnb")
    heroku("buildpacks:set", "slipway-tests/nowhere")
    commit(heroku.folder, said="two")
    said = heroku.run("git", "push", "heroku", "main", status=1)
    assert (
        "has no buildpack slipway-tests/nowhere. It has: slipway-tests/hello, slipway-tests/procfile" in said
    )
    heroku("buildpacks:set", "slipway-tests/hello")
    heroku("config:set", "COLOUR=green")
    heroku.run("git", "push", "heroku", "main")
    assert swarm.get("native") == (200, "two / set by a buildpack / green")
    heroku("rollback")
    eventually(lambda: swarm.get("native")[1].startswith("one /"), seconds=30)
