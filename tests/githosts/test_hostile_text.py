"""What hosts and commits say may hold what no row takes: a NUL, half a character. It is kept without."""

import pytest

from ci.models import TestRun
from core.text import is_text
from forge import events
from forge.models import CommitStatus, PullRequest, Receipt, Repository
from releases.commits import read_commit
from tests.githosts.conftest import connected
from tests.githosts.test_receiving import A, B, pull, push

ODD = "a\0b\ud800c\udfff"


@pytest.fixture
def branches(monkeypatch):
    news = []
    monkeypatch.setattr(events, "_listeners", [lambda one: news.append(one) or [f"Heard of {one}."]])
    return news


def test_hooks_are_taken_and_kept_without(repository, deliver, branches):
    commit = {"id": B, "message": ODD, "author": {"name": ODD}, "modified": [ODD]}
    for event, payload in (
        ("push", push(ODD, head_commit=commit, commits=[commit])),
        ("pull_request", pull(title=ODD, user={"login": ODD})),
        ("status", {"sha": B, "context": ODD, "state": "success", "description": ODD, "target_url": ODD}),
        (ODD.replace("\0", "").encode("utf-8", "replace").decode(), push("tea", before=A)),
    ):
        assert deliver(repository, event, payload).status_code == 200, event
    assert [row.accepted for row in Receipt.objects.all()] == [True] * 4
    assert Repository.objects.get().heads["ab?c?"] == B
    assert (branches[0].branch, branches[0].message, branches[0].author) == ("ab?c?",) * 3
    assert branches[0].files == {"ab?c?"}
    row = PullRequest.objects.get()
    assert (row.title, row.author) == ("ab?c?", "ab?c?")
    assert CommitStatus.objects.get().description == "ab?c?"


@pytest.mark.parametrize("host", ["gitlab", "gitea", "bitbucket"])
def test_whatever_host_it_is(shop, alice, deliver, branches, host):
    body = {
        "bitbucket": {
            "push": {
                "changes": [
                    {
                        "new": {
                            "type": "branch",
                            "name": ODD,
                            "target": {"hash": B, "message": ODD, "author": {"raw": ODD}},
                        }
                    }
                ]
            }
        },
    }.get(host, push(ODD, user_name=ODD, total_commits_count=1))
    event = {"gitlab": "Push Hook", "bitbucket": "repo:push"}.get(host, "push")
    assert deliver(connected(shop, alice, host), event, body).status_code == 200
    assert [news.branch for news in branches] == ["ab?c?"]


def test_tests_that_a_hook_starts_are_of_such_a_branch(repository, deliver, shop, alice):
    from ci.settings import set_settings

    set_settings(shop, on_push=True, supersede=True, by=alice)
    answer = deliver(
        repository, "push", push(ODD, head_commit={"id": B, "message": ODD, "author": {"name": ODD}})
    )
    assert answer.status_code == 200
    run = TestRun.objects.get()
    assert (run.branch, run.message, run.author) == ("ab?c?", "ab?c?", "ab?c?")


@pytest.mark.parametrize(
    "encoding",
    [
        "undefined",
        "idna",
        "punycode",
        "utf-7",
        "unicode_escape",
        "raw_unicode_escape",
        "hex",
        "rot13",
        "a\0b",
        "utf-16",
    ],
)
def test_a_commit_may_name_any_encoding(encoding):
    raw = b"author A +2AA- \\ud800 \0 <a\0@b.example> 1 +0000\nencoding %s\n\nT +2AA- \\ud800 \0 \xed\xa0\x80"
    commit = read_commit("c" * 40, raw % encoding.encode())
    assert all(map(is_text, (commit.author, commit.author_email, commit.message)))
    assert commit.sha == "c" * 40
