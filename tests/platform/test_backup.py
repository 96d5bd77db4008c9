"""A backup that is made under load comes up elsewhere, whole (promise I-48)."""

import shutil
import threading

import pytest

from tests.conftest import eventually
from tests.platform.harness import Platform, commit, git, repository

pytestmark = pytest.mark.platform
PROCFILE = "web: python3 -m http.server $PORT\n"


def elsewhere(fresh, original: Platform) -> Platform:
    """Another machine: a data folder with the keys alone, which travel apart from backups."""
    other = fresh("elsewhere")
    other.data.mkdir()
    other.data.chmod(0o711)
    shutil.copy(original.data / "keys.env", other.data)
    other.token = original.token
    return other


@pytest.mark.promise("I-48")
def test_a_backup_under_load_is_restored_elsewhere(fresh, tmp_path):
    platform = fresh(SLIPWAY_DRAIN_SECONDS="0").start()
    platform.sign_up()
    for name in ("shop", "blog"):
        platform.app(name)
    canary = "wholly-secret-canary-4711"
    platform.api("PATCH", "/apps/shop/config-vars", {"SECRET": canary})
    folders = {
        name: repository(tmp_path / name, Procfile=PROCFILE, index__html=f"{name} 0")
        for name in ("shop", "blog")
    }
    for name, folder in folders.items():
        platform.push(folder, name)
    over, accepted = threading.Event(), {"shop": [], "blog": []}

    def load(name: str) -> None:
        number = 0
        while not over.is_set():
            number += 1
            commit(folders[name], index__html=f"{name} {number}")
            sha = git(folders[name], "rev-parse", "HEAD")
            platform.push(folders[name], name)
            platform.api("PATCH", f"/apps/{name}/config-vars", {"N": str(number)})
            accepted[name].append(sha)

    threads = [threading.Thread(target=load, args=(name,)) for name in folders]
    for thread in threads:
        thread.start()
    eventually(lambda: all(accepted.values()), seconds=60)
    before = {name: list(shas) for name, shas in accepted.items()}
    file = tmp_path / "one.tar.zst"
    told = platform.manage("backup", str(file))
    over.set()
    for thread in threads:
        thread.join()
    assert "found whole" in told.stdout and "Missing" not in told.stderr, told
    assert file.stat().st_mode & 0o777 == 0o600
    platform.stop()

    other = elsewhere(fresh, platform)
    assert "Whole: made" in other.manage("restore", "--check", str(file)).stdout
    other.manage("restore", str(file))
    other.start()
    eventually(lambda: all(other.get(name)[0] == 200 for name in folders), seconds=60)
    eventually(lambda: other.audit() == [], seconds=60, every=1)
    assert other.api("GET", "/apps/shop/config-vars")["SECRET"] == canary
    for name, folder in folders.items():
        there = git(
            other.data / "repos" / f"{other.api('GET', f'/apps/{name}')['id']}.git", "rev-parse", "main"
        )
        known = git(folder, "rev-list", "HEAD").split()
        assert known.index(there) <= known.index(before[name][-1]), "what was accepted before is there"
        assert other.get(name)[1].startswith(name)
        commit(folder, index__html=f"{name} after")
        other.push(folder, name)
        assert other.get(name) == (200, f"{name} after")
    assert "Release v1 created" in other.log("shop"), "lines from before the backup"
