"""A pipeline with code of its own, and a host's repository whose pull requests come and go."""

import subprocess

import pytest

from forge import events
from forge.models import PullRequest, Repository
from pipelines.models import Stage
from releases import repositories
from reviews import actions
from tests.conductor.conftest import data, platform, source, stage  # noqa: F401
from tests.factories import make_app


def git(place, *words, **options):
    done = subprocess.run(
        ["git", "-c", "user.name=Alice", "-c", "user.email=a@example.com", *words],
        cwd=place,
        check=True,
        capture_output=True,
        text=True,
        **options,
    )
    return done.stdout.strip()


def commit(app, tmp_path, branch="main", message="A change", **files):
    """Put a commit with these files on a branch of the app's own repository; returns it."""
    work = tmp_path / f"work-{app.name}"
    if not work.exists():
        work.mkdir(parents=True)
        git(work, "init", "-q", "-b", "main")
    if branch not in git(work, "branch", "--format=%(refname:short)"):
        git(work, "checkout", "-q", *(["-b"] if (work / ".git/refs/heads/main").exists() else ["-B"]), branch)
    git(work, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
    for name, text in files.items():
        place = work / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-q", "--allow-empty", "-m", message)
    git(work, "push", "-q", "-f", str(repositories.ensure(app)), f"HEAD:refs/heads/{branch}")
    return git(work, "rev-parse", "HEAD")


@pytest.fixture
def origin(shop, alice, db):
    """The app that the pipeline's code was pushed to."""
    return make_app("shop-main", owner=shop.owner, stage=Stage.objects.get(pipeline=shop, name="staging"))


@pytest.fixture
def reviewing(shop, alice):
    """The shop, with review apps for every pull request."""
    actions.set_settings(shop, enabled=True, automatic=True, by=alice)
    return shop


@pytest.fixture
def repository(reviewing, alice):
    return Repository.objects.create(
        pipeline=reviewing,
        host="github",
        url="https://git.example.com/acme/shop.git",
        full_name="acme/shop",
        by=alice,
    )


@pytest.fixture
def opened(repository, alice):
    """Have a pull request be as said, and tell of it."""

    def be(number=1, state="open", commit="a" * 40, branch="feature", **more):
        row, _ = PullRequest.objects.update_or_create(
            repository=repository,
            number=number,
            defaults={"state": state, "commit": commit, "branch": branch, "title": "A feature", **more},
        )
        said = events.tell(events.PullRequestMoved(repository.pipeline, row, by=alice))
        return row, said

    return be
