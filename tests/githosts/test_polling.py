"""Looking at repositories without hooks: branches and pull requests that moved are told of, once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from forge import events, polling
from forge.models import PullRequest, Repository


@pytest.fixture
def heard(monkeypatch):
    news = []

    def listen(one):
        news.append(one)
        return ["Heard."]

    monkeypatch.setattr(events, "_listeners", [listen])
    return news


def look(repository):
    Repository.objects.update(polled_at=timezone.now() - timedelta(hours=2))
    return polling.look(repository.pk)


def test_what_was_there_when_it_was_connected_is_no_news(connect, heard):
    repository, _ = connect()
    assert look(repository) == [] and heard == []


def test_new_commits_new_branches_and_gone_ones_are_told_of_once(connect, forge, heard):
    repository, _ = connect()
    sha = forge.commit("shop.git", "Second", **{"a.txt": "a"})
    forge.git("shop.git", "branch", "tea")
    look(repository)
    assert {(one.branch, one.commit) for one in heard} == {("main", sha), ("tea", sha)}
    assert look(repository) == []
    forge.git("shop.git", "branch", "-D", "tea")
    look(repository)
    assert (heard[-1].branch, heard[-1].commit) == ("tea", "") and len(heard) == 3


def test_pull_requests_are_seen_by_their_refs(connect, forge, heard):
    repository, _ = connect()
    main = forge.git("shop.git", "rev-parse", "main")
    forge.git("shop.git", "update-ref", "refs/pull/3/head", main)
    forge.git("shop.git", "checkout", "-q", "--detach")
    fork = forge.commit("shop.git", "Of a fork")
    forge.git("shop.git", "update-ref", "refs/merge-requests/4/head", fork)
    forge.git("shop.git", "checkout", "-q", "main")
    look(repository)
    rows = {row.number: (row.branch, row.commit, bool(row.from_fork)) for row in PullRequest.objects.all()}
    assert rows == {3: ("main", main, False), 4: ("pull/4", fork, True)}
    forge.git("shop.git", "update-ref", "-d", "refs/pull/3/head")
    look(repository)
    assert PullRequest.objects.get(number=3).state == "closed"
    assert len(heard) == 3


def test_with_a_token_the_host_tells_of_pull_requests(connect, forge, host_of, heard):
    api = host_of("gitea")
    repository, _ = connect(host="gitea", token="token-1")
    main = forge.git("shop.git", "rev-parse", "main")
    pull = {
        "number": 9,
        "state": "open",
        "title": "Add tea",
        "updated_at": "2026-01-01T10:00:00Z",
        "head": {"ref": "tea", "sha": main, "repo": {"full_name": "shop"}},
        "base": {"ref": "main", "repo": {"full_name": "shop"}},
    }
    api.pulls["9"] = pull
    look(repository)
    look(repository)
    assert (PullRequest.objects.get().title, len(heard)) == ("Add tea", 1)
    api.pulls["9"] = {**pull, "state": "closed", "merged": True, "updated_at": "2026-01-01T11:00:00Z"}
    look(repository)
    assert PullRequest.objects.get().state == "merged" and len(heard) == 2


def test_what_can_not_be_read_is_looked_at_more_rarely_and_says_why(connect, forge, heard, settings):
    repository, _ = connect()
    (forge.folder / "shop.git").rename(forge.folder / "away.git")
    for _ in range(3):
        assert look(repository) == []
    repository.refresh_from_db()
    assert repository.failures == 3 and "no repository" in repository.error
    now = timezone.now()
    Repository.objects.update(polled_at=now - timedelta(seconds=settings.POLL_SECONDS * 5))
    assert polling.due(now) == []
    Repository.objects.update(polled_at=now - timedelta(seconds=settings.POLL_SECONDS * 9))
    assert polling.due(now) == [repository.pk]
    (forge.folder / "away.git").rename(forge.folder / "shop.git")
    look(repository)
    repository.refresh_from_db()
    assert (repository.failures, repository.error) == (0, "")


def test_two_that_look_at_once_look_once(connect, forge, heard):
    repository, _ = connect()
    forge.commit("shop.git", "Second")
    Repository.objects.update(polled_at=timezone.now() - timedelta(hours=2))
    assert polling.look(repository.pk) == ["Heard."] and polling.look(repository.pk) == []


def test_one_that_is_not_watched_is_never_due(connect):
    repository, _ = connect(polls=False)
    Repository.objects.update(polled_at=timezone.now() - timedelta(hours=2))
    assert polling.due(timezone.now()) == [] and polling.look(repository.pk) == []
