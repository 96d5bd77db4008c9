"""GitHub's own published examples of its hooks, all of them; and those of other hosts, written after their documents."""

import json
import os

import pytest

from forge import events
from forge.models import CommitStatus, PullRequest, Receipt, Repository
from tests.cli.terminal import INSTALLED, install
from tests.githosts.conftest import connected

A, B = "a" * 40, "b" * 40
TOLD = {"push", "pull_request", "status", "check_run", "check_suite", "ping"}


@pytest.fixture(scope="session")
def examples():
    """{event: its examples}."""
    found = install()
    place = INSTALLED / "node_modules" / "@octokit" / "webhooks-examples" / "api.github.com" / "index.json"
    if not place.exists():
        said = found if isinstance(found, str) else f"npm did not bring {place}"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    return {entry["name"]: entry["examples"] for entry in json.loads(place.read_text())}


@pytest.fixture
def heard(monkeypatch):
    news = []

    def listen(one):
        news.append(one)
        return ["Heard."]

    monkeypatch.setattr(events, "_listeners", [listen])
    return news


def test_every_example_of_every_event_is_taken_and_says_what_it_caused(repository, deliver, heard, examples):
    seen = 0
    for event, bodies in examples.items():
        for body in bodies:
            answer = deliver(repository, event, body)
            assert answer.status_code == 200 and answer.json()["caused"], event
            assert not any("It is not what" in said for said in answer.json()["caused"]), (
                event,
                answer.json(),
            )
            seen += 1
    assert seen > 200 and set(examples) >= TOLD
    quiet = Receipt.objects.exclude(event__in=TOLD)
    assert quiet and all("start nothing" in row.caused[0] for row in quiet)


def test_pushes_of_the_examples_are_told_of_as_they_are(repository, deliver, heard, examples):
    for body in examples["push"]:
        Repository.objects.update(heads={}, past={})
        heard.clear()
        deliver(repository, "push", body)
        if not body["ref"].startswith("refs/heads/"):
            assert heard == []
        elif not body["deleted"]:
            (told,) = heard
            assert f"refs/heads/{told.branch}" == body["ref"] and told.commit == body["after"]


def test_pull_requests_of_the_examples_become_rows(repository, deliver, heard, examples):
    for body in examples["pull_request"]:
        if body["action"] not in ("opened", "closed", "reopened", "synchronize", "ready_for_review"):
            continue
        PullRequest.objects.all().delete()
        deliver(repository, "pull_request", body)
        pull, row = body["pull_request"], PullRequest.objects.get()
        state = "merged" if pull["merged"] else pull["state"]
        assert (row.number, row.state, row.draft) == (pull["number"], state, pull["draft"])
        assert (row.branch, row.commit) == (pull["head"]["ref"], pull["head"]["sha"])
        assert (row.title, row.author) == (pull["title"], pull["user"]["login"])
        same = pull["head"]["repo"] and pull["head"]["repo"]["full_name"] == pull["base"]["repo"]["full_name"]
        assert bool(row.from_fork) == (not same)


def test_statuses_and_checks_of_the_examples_become_rows(repository, deliver, examples):
    for body in examples["status"]:
        deliver(repository, "status", body)
        row = CommitStatus.objects.get(commit=body["sha"], context=body["context"])
        assert row.state == body["state"] or row.updated_at is not None
    for body in examples["check_run"]:
        deliver(repository, "check_run", body)
        assert CommitStatus.objects.filter(
            commit=body["check_run"]["head_sha"], context=body["check_run"]["name"]
        ).exists()


# --- the other hosts --------------------------------------------------------------------------------------------------


def gitlab_request(**values):
    return {
        "object_kind": "merge_request",
        "user": {"name": "Zoë", "username": "zoe"},
        "project": {"path_with_namespace": "acme/shop"},
        "object_attributes": {
            "iid": 5,
            "action": "open",
            "state": "opened",
            "title": "Add tea",
            "source_branch": "tea",
            "target_branch": "main",
            "updated_at": "2026-01-01 12:00:00 UTC",
            "draft": True,
            "last_commit": {"id": B},
            "url": "https://gitlab.com/acme/shop/-/merge_requests/5",
            "source": {"path_with_namespace": "acme/shop"},
            "target": {"path_with_namespace": "acme/shop"},
            **values,
        },
    }


def test_gitlab(shop, alice, deliver, heard):
    repository = connected(shop, alice, "gitlab")
    commits = [
        {
            "id": B,
            "message": "Tea\n",
            "author": {"name": "Zoë"},
            "added": ["a"],
            "modified": [],
            "removed": [],
        }
    ]
    push = {
        "object_kind": "push",
        "ref": "refs/heads/tea",
        "before": A,
        "after": B,
        "user_name": "Zoë",
        "commits": commits,
        "total_commits_count": 1,
    }
    deliver(repository, "Push Hook", push)
    assert (heard[0].branch, heard[0].message, heard[0].author) == ("tea", "Tea", "Zoë")
    assert heard[0].files == frozenset({"a"})
    deliver(repository, "Push Hook", {**push, "before": B, "after": "0" * 40, "commits": []})
    assert heard[1].commit == ""
    deliver(repository, "Merge Request Hook", gitlab_request())
    row = PullRequest.objects.get()
    assert (row.number, row.branch, row.author, row.draft, row.from_fork) == (5, "tea", "zoe", True, "")
    later = {"updated_at": "2026-01-01 12:00:01 UTC", "draft": False, "action": "update"}
    deliver(
        repository,
        "Merge Request Hook",
        gitlab_request(**later, source={"path_with_namespace": "mallory/shop"}),
    )
    row.refresh_from_db()
    assert (row.draft, row.from_fork) == (False, "mallory/shop")
    deliver(
        repository,
        "Merge Request Hook",
        gitlab_request(updated_at="2026-01-01T12:00:02.5Z", action="merge", state="merged"),
    )
    row.refresh_from_db()
    assert row.state == "merged"
    run = {
        "sha": B,
        "status": "success",
        "finished_at": "2026-01-01 12:03:00 UTC",
        "detailed_status": "passed",
    }
    deliver(repository, "Pipeline Hook", {"object_kind": "pipeline", "object_attributes": run})
    assert CommitStatus.objects.get().state == "success"
    assert "Tags" in deliver(repository, "Tag Push Hook", {"ref": "refs/tags/v1"}).json()["caused"][0]


def test_the_same_push_to_gitlab_twice_is_two_pushes(shop, alice, deliver, heard):
    repository = connected(shop, alice, "gitlab")
    there = {"ref": "refs/heads/main", "before": A, "after": B, "commits": []}
    back = {"ref": "refs/heads/main", "before": B, "after": A, "commits": []}
    for body in (there, back, there):
        deliver(repository, "Push Hook", body)
    assert [one.commit for one in heard] == [B, A, B]


def gitea_request(**values):
    repo = {"full_name": "acme/shop"}
    return {
        "action": "opened",
        "number": 6,
        "pull_request": {
            "number": 6,
            "title": "WIP: Add tea",
            "state": "open",
            "merged": False,
            "html_url": "https://codeberg.org/acme/shop/pulls/6",
            "user": {"login": "zoe"},
            "updated_at": "2026-01-01T12:00:00+01:00",
            "head": {"ref": "tea", "sha": B, "repo": repo},
            "base": {"ref": "main", "sha": A, "repo": repo},
            **values,
        },
        "repository": repo,
    }


def test_gitea(shop, alice, deliver, heard):
    repository = connected(shop, alice, "gitea")
    push = {
        "ref": "refs/heads/tea",
        "before": A,
        "after": B,
        "commits": [
            {
                "id": B,
                "message": "Tea\n\nmore",
                "author": {"name": "Zoë"},
                "added": [],
                "modified": ["a"],
                "removed": [],
            }
        ],
    }
    deliver(repository, "push", push)
    assert (heard[0].message, heard[0].author, heard[0].files) == ("Tea", "Zoë", frozenset({"a"}))
    deliver(repository, "pull_request", gitea_request())
    row = PullRequest.objects.get()
    assert (row.number, row.draft, row.state) == (6, True, "open")
    moved = {**gitea_request(title="Add tea", updated_at="2026-01-01T11:00:01Z"), "action": "synchronized"}
    deliver(repository, "pull_request_sync", moved)
    row.refresh_from_db()
    assert not row.draft
    closed = gitea_request(state="closed", merged=True, updated_at="2026-01-01T11:00:02Z")
    deliver(repository, "pull_request", {**closed, "action": "closed"})
    row.refresh_from_db()
    assert row.state == "merged"
    deliver(repository, "delete", {"ref": "tea", "ref_type": "branch"})
    assert (heard[-1].branch, heard[-1].commit) == ("tea", "")
    told = {"sha": B, "context": "ci/woodpecker", "state": "warning", "updated_at": "2026-01-01T12:00:00Z"}
    deliver(repository, "status", told)
    assert CommitStatus.objects.get().state == "failure"


def bitbucket_request(**values):
    here = {"full_name": "acme/shop"}
    return {
        "pullrequest": {
            "id": 8,
            "title": "Add tea",
            "state": "OPEN",
            "author": {"display_name": "Zoë", "nickname": "zoe"},
            "source": {"branch": {"name": "tea"}, "commit": {"hash": "b" * 12}, "repository": here},
            "destination": {"branch": {"name": "main"}, "commit": {"hash": "a" * 12}, "repository": here},
            "updated_on": "2026-01-01T12:00:00.123456+00:00",
            "links": {"html": {"href": "https://bitbucket.org/acme/shop/pull-requests/8"}},
            **values,
        }
    }


def test_bitbucket(shop, alice, deliver, heard):
    repository = connected(shop, alice, "bitbucket")
    target = {"hash": B, "message": "Tea\n", "author": {"raw": "Zoë <zoe@example.com>"}}
    change = {
        "new": {"type": "branch", "name": "tea", "target": target},
        "old": {"type": "branch", "name": "tea", "target": {"hash": A}},
    }
    tag = {"new": {"type": "tag", "name": "v1", "target": target}, "old": None}
    answer = deliver(repository, "repo:push", {"push": {"changes": [change, tag]}})
    assert answer.json()["caused"] == ["Heard.", "Tags start nothing."]
    assert (heard[0].branch, heard[0].commit, heard[0].author) == ("tea", B, "Zoë")
    deliver(repository, "repo:push", {"push": {"changes": [{"new": None, "old": change["new"]}]}})
    assert heard[1].commit == ""
    deliver(repository, "pullrequest:created", bitbucket_request())
    row = PullRequest.objects.get()
    assert (row.number, row.branch, row.author, row.state) == (8, "tea", "zoe", "open")
    declined = bitbucket_request(state="DECLINED", updated_on="2026-01-01T12:01:00+00:00")
    deliver(repository, "pullrequest:rejected", declined)
    row.refresh_from_db()
    assert row.state == "closed"
    status = {
        "name": "Build 7",
        "key": "build",
        "state": "FAILED",
        "updated_on": "2026-01-01T12:00:00+00:00",
        "url": "https://ci.example/7",
        "links": {"commit": {"href": f"https://api.bitbucket.org/2.0/repositories/acme/shop/commit/{B}"}},
    }
    deliver(repository, "repo:commit_status_updated", {"commit_status": status})
    row = CommitStatus.objects.get()
    assert (row.commit, row.context, row.state) == (B, "Build 7", "failure")
