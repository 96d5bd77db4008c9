"""The whole platform is killed where a request stands: nothing acknowledged is lost, nothing is stuck, and the next try
works. (The conductor's own fail points are in `tests/promises/test_kill.py`.)"""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.platform.harness import Platform, commit, git, repository
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.promise("I-15"), pytest.mark.promise("I-10")]
FILES = {"Procfile": "web: python3 -m http.server $PORT\n", "index__html": "one"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A platform with a pushed and promoted app, which each test starts again so that it dies at a fail point."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-killed-"))
    platform = Platform(
        folder / "data",
        SLIPWAY_FAILPOINTS="1",
        SLIPWAY_LEASE_SECONDS="3",
        SLIPWAY_HEARTBEAT_SECONDS="1",
        SLIPWAY_SWEEP_SECONDS="1",
    ).start()
    platform.sign_up()
    platform.shop = platform.pipeline("shop", staging="shop-staging", production="shop-live")
    platform.folder = repository(tmp_path_factory.mktemp("work") / "app", **FILES)
    platform.push(platform.folder, "shop-staging")
    platform.promote(platform.shop, "shop-staging", "shop-live")

    def dies_at(name: str) -> None:
        platform.stop()
        platform.start(FAILPOINTS=f"{name}=kill")
        eventually(lambda: platform.get("shop-live")[0] == 200, seconds=30)

    platform.dies_at = dies_at
    yield platform
    platform.stop()
    shutil.rmtree(folder, ignore_errors=True)


def settled(platform) -> bool:
    """Whether nothing is under way and the auditor finds nothing."""
    rows = [
        row
        for app in ("shop-staging", "shop-live")
        for kind in ("builds", "releases")
        for row in platform.api("GET", f"/apps/{app}/{kind}")
    ]
    return all(row["status"] != "pending" for row in rows) and platform.audit() == []


def killed(platform) -> bool:
    return platform.process.wait(timeout=90) == -9


@pytest.mark.parametrize("name", ["git.objects_received", "git.build_row", "git.ref_updated"])
def test_killed_in_a_push(shop, name):
    shop.dies_at(name)
    commit(shop.folder, index__html="two")
    pushed = shop.push(shop.folder, "shop-staging", check=False)
    assert killed(shop)
    shop.start()
    eventually(lambda: settled(shop), seconds=60, every=1)
    ref = git(
        shop.folder,
        "ls-remote",
        shop.git_url("shop-staging").replace("://", f"://x:{shop.token}@"),
        "refs/heads/main",
    )
    serving = shop.get("shop-staging")
    assert serving[0] == 200
    if pushed.returncode == 0:  # acknowledged: ref and code must be there
        assert ref.startswith(git(shop.folder, "rev-parse", "HEAD"))
        assert serving[1] == "two"
    shop.push(shop.folder, "shop-staging", check=False)
    commit(shop.folder, index__html="three")
    assert shop.push(shop.folder, "shop-staging").returncode == 0
    assert shop.get("shop-staging") == (200, "three")


def test_killed_when_a_promotion_was_accepted(shop):
    commit(shop.folder, index__html="two")
    shop.push(shop.folder, "shop-staging")
    shop.dies_at("promotion.accepted")
    with pytest.raises(OSError):  # the connection breaks in one way or another
        shop.promote(shop.shop, "shop-staging", "shop-live")
    assert killed(shop)
    shop.start()
    eventually(lambda: settled(shop), seconds=60, every=1)
    shop.promote(shop.shop, "shop-staging", "shop-live")
    assert shop.get("shop-live") == (200, "two")


@pytest.mark.promise("I-09")
@pytest.mark.parametrize("name", ["config.snapshot", "release.row"])
def test_killed_in_a_config_change(shop, name):
    before = shop.api("GET", "/apps/shop-live/config-vars")
    shop.dies_at(name)
    with pytest.raises(OSError):
        shop.api("PATCH", "/apps/shop-live/config-vars", {"A": name, "B": name})
    assert killed(shop)
    shop.start()
    eventually(lambda: settled(shop), seconds=60, every=1)
    assert shop.api("GET", "/apps/shop-live/config-vars") == before
    shop.api("PATCH", "/apps/shop-live/config-vars", {"A": name, "B": name})
    eventually(lambda: settled(shop), seconds=60, every=1)
    assert shop.api("GET", "/apps/shop-live/config-vars") == {"A": name, "B": name}


def test_killed_after_scaling(shop):
    shop.dies_at("scale.applied")
    with pytest.raises(OSError):
        shop.api("PATCH", "/apps/shop-live/formation/web", {"quantity": 2})
    assert killed(shop)
    shop.start()
    eventually(lambda: settled(shop), seconds=60, every=1)
    rows = shop.api("GET", "/apps/shop-live/formation")
    eventually(lambda: len(shop.api("GET", "/apps/shop-live/dynos")) == rows[0]["quantity"], seconds=30)
