"""Hooks in: who may send them, what is taken, and what late, double and hostile ones do."""

import json
import random

import pytest

from forge import actions, events
from forge.models import CommitStatus, PullRequest, Receipt, Repository
from tests.githosts.conftest import SECRET, connected, signature

A, B, C = "a" * 40, "b" * 40, "c" * 40
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def heard(monkeypatch):
    """All news that is told of, in order; nobody else hears of it."""
    news = []

    def listen(one):
        news.append(one)
        return ["Heard."]

    monkeypatch.setattr(events, "_listeners", [listen])
    return news


def push(branch="main", before=A, after=B, **extra):
    return {"ref": f"refs/heads/{branch}", "before": before, "after": after, "commits": [], **extra}


def pull(number=7, state="open", at="2026-01-01T12:00:00Z", action="synchronize", sha=B, **extra):
    return {
        "action": action,
        "pull_request": {
            "number": number,
            "state": state,
            "merged": state == "merged",
            "title": "Add tea",
            "html_url": f"https://github.com/acme/shop/pull/{number}",
            "user": {"login": "zoe"},
            "updated_at": at,
            "draft": False,
            "head": {"ref": "tea", "sha": sha, "repo": {"full_name": "acme/shop"}},
            "base": {"ref": "main", "repo": {"full_name": "acme/shop"}},
            **extra,
        },
    }


@pytest.mark.promise("I-43")
@pytest.mark.parametrize("host", ["github", "gitlab", "gitea", "bitbucket"])
def test_what_is_signed_is_taken_and_what_is_not_is_turned_down(shop, alice, deliver, heard, host):
    repository = connected(shop, alice, host)
    event, payload = {
        "gitlab": ("Push Hook", push(total_commits_count=0)),
        "bitbucket": (
            "repo:push",
            {"push": {"changes": [{"new": {"type": "branch", "name": "main", "target": {"hash": B}}}]}},
        ),
    }.get(host, ("push", push()))
    for secret in ("wrong", "", SECRET.upper()):
        assert deliver(repository, event, payload, secret=secret).status_code == 403
    assert deliver(repository, event, payload, headers={}).status_code == 403
    assert heard == []
    answer = deliver(repository, event, payload)
    assert (answer.status_code, answer.json()) == (200, {"caused": ["Heard."]})
    assert (heard[0].branch, heard[0].commit) == ("main", B)


@pytest.mark.promise("I-43")
def test_an_unknown_repository_looks_as_a_wrong_signature_does(repository, deliver, client):
    wrong = deliver(repository, "push", push(), secret="wrong")
    body = json.dumps(push()).encode()
    unknown = client.post(
        f"/hooks/{NOBODY}/",
        data=body,
        content_type="application/json",
        headers={"X-GitHub-Event": "push", "X-Hub-Signature-256": signature("github", SECRET, body)},
    )
    assert (unknown.status_code, unknown.content) == (
        wrong.status_code,
        wrong.content,
    ) and wrong.status_code == 403


@pytest.mark.promise("I-43")
def test_a_weaker_signature_and_those_of_other_hosts_are_none(repository, client, heard):
    import hashlib
    import hmac

    body = json.dumps(push()).encode()
    sha1 = "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    sha256 = signature("github", SECRET, body)
    for headers in (
        {"X-Hub-Signature": sha1},
        {"X-Hub-Signature": sha256},
        {"X-Hub-Signature-256": sha1},
        {"X-Hub-Signature-256": sha256.removeprefix("sha256=")},
        {"X-Gitea-Signature": sha256.removeprefix("sha256=")},
        {"X-Gitlab-Token": SECRET},
    ):
        answer = client.post(
            f"/hooks/{repository.pk}/",
            data=body,
            content_type="application/json",
            headers={"X-GitHub-Event": "push", **headers},
        )
        assert answer.status_code == 403, headers
    assert heard == []


@pytest.mark.promise("I-43")
def test_without_a_secret_hooks_are_off(repository, alice, deliver, client, heard):
    actions.turn_hooks_off(repository, by=alice)
    for secret in (SECRET, ""):
        assert deliver(repository, "push", push(), secret=secret).status_code == 403
    repository.host = "gitlab"
    repository.save()
    for token in ("", "None"):
        answer = client.post(
            f"/hooks/{repository.pk}/", b"{}", "application/json", headers={"X-Gitlab-Token": token}
        )
        assert answer.status_code == 403
    assert heard == []


@pytest.mark.promise("I-43")
def test_a_delivery_is_taken_once(repository, deliver, heard):
    assert deliver(repository, "push", push(), delivery="one").json() == {"caused": ["Heard."]}
    again = deliver(repository, "push", push(), delivery="one").json()
    under_another_number = deliver(repository, "push", push(), delivery="two").json()
    assert again == under_another_number == {"caused": ["Taken before: nothing was done again."]}
    assert len(heard) == 1 and Receipt.objects.count() == 1


def test_those_turned_down_are_counted_not_kept_each(repository, deliver, client):
    for _ in range(5):
        deliver(repository, "push", push(), secret="wrong")
    (row,) = Receipt.objects.all()
    assert not row.accepted and row.times == 1 and "not signed" in row.caused[0]  # no oftener than every 10 s


def test_a_thousand_receipts_are_kept(repository, deliver, monkeypatch):
    monkeypatch.setattr("forge.receiving.KEPT", 5)
    for number in range(9):
        deliver(repository, "ping", {"zen": str(number)})
    assert Receipt.objects.count() == 5


def test_a_hook_over_the_limit_is_not_read(repository, deliver, settings):
    settings.HOOK_BYTES = 2000
    answer = deliver(repository, "push", push(junk="x" * 3000))
    assert answer.status_code == 413 and not Receipt.objects.exists()


@pytest.mark.parametrize(
    "body, status",
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"[" * 200_000, 400),
        (b'"' + b"x" * 100, 400),
        (b"\xff\xfe", 400),
    ],
)
def test_a_signed_body_that_is_no_object_is_an_error_that_says_so(repository, deliver, body, status):
    assert deliver(repository, "push", body).status_code == status


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"ref": 5, "after": B},
        {"ref": "refs/heads/main", "after": None},
        {"ref": "refs/heads/main", "after": B, "commits": "x", "head_commit": []},
        {"ref": "refs/heads/" + "x" * 300, "after": B},
    ],
)
def test_a_push_with_parts_missing_or_wrong_is_survived(repository, deliver, payload):
    answer = deliver(repository, "push", payload)
    assert answer.status_code == 200 and Receipt.objects.get().caused


def test_a_body_nested_a_thousand_deep_is_survived(repository, deliver):
    deep = b'{"ref": ' * 900 + b"1" + b"}" * 900
    assert deliver(repository, "push", deep).status_code in (200, 400)


# --- branches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "branch", ["--upload-pack=touch /tmp/x", "a b", "feature/ü", "<script>alert(1)</script>", "-x"]
)
def test_any_name_of_a_branch_is_only_text(repository, deliver, heard, branch):
    assert deliver(repository, "push", push(branch)).status_code == 200
    assert [(one.branch, one.commit) for one in heard] == [(branch, B)]


def test_a_branch_that_goes_is_told_of_without_a_commit(repository, deliver, heard):
    deliver(repository, "push", push("tea", before=A, after=B))
    deliver(repository, "push", push("tea", before=B, after="0" * 40, deleted=True))
    assert [one.commit for one in heard] == [B, ""]
    repository.refresh_from_db()
    assert repository.heads == {}


def test_a_tag_starts_nothing_and_says_so(repository, deliver, heard):
    answer = deliver(repository, "push", {**push(), "ref": "refs/tags/v1"})
    assert answer.json() == {"caused": ["Tags start nothing."]} and heard == []


def test_a_late_push_does_not_undo_a_newer_one(repository, deliver, heard):
    deliver(repository, "push", push(before=B, after=C, commits=[{"id": C}]))
    late = deliver(repository, "push", push(before=A, after=B))
    assert "came late" in late.json()["caused"][0]
    assert [one.commit for one in heard] == [C]
    deliver(repository, "push", push(before=C, after=B))  # this one goes back on purpose
    assert [one.commit for one in heard] == [C, B]


def test_what_changed_is_told_where_the_host_tells_it(repository, deliver, heard):
    files = {"added": ["web/a.py"], "modified": [], "removed": ["b.py"]}
    deliver(repository, "push", push(commits=[{"id": B, "message": "Tea\n\nand more", **files}]))
    deliver(repository, "push", push(before=B, after=C, forced=True, commits=[{"id": C, **files}]))
    assert [one.files for one in heard] == [frozenset({"web/a.py", "b.py"}), None]
    assert heard[0].message == "Tea"


# --- pull requests ----------------------------------------------------------------------------------------------------


def test_a_pull_request_is_kept_as_its_host_last_told(repository, deliver, heard):
    deliver(repository, "pull_request", pull(action="opened", draft=True))
    deliver(
        repository,
        "pull_request",
        pull(action="ready_for_review", at="2026-01-01T12:01:00Z", title="Add teas"),
    )
    deliver(repository, "pull_request", pull(state="merged", action="closed", at="2026-01-01T12:02:00Z"))
    row = PullRequest.objects.get()
    assert (row.number, row.branch, row.state, row.author) == (7, "tea", "merged", "zoe")
    assert [type(one).__name__ for one in heard] == ["PullRequestMoved"] * 3


def test_a_pull_request_of_a_fork_says_whose(repository, deliver):
    head = {"ref": "main", "sha": B, "repo": {"full_name": "mallory/shop"}}
    deliver(repository, "pull_request", pull(number=1, head=head))
    deliver(repository, "pull_request", pull(number=2, head={**head, "repo": None}))
    assert PullRequest.objects.get(number=1).from_fork == "mallory/shop"
    assert PullRequest.objects.get(number=2).from_fork  # a fork that is gone is a fork


def test_one_that_opens_and_closes_ten_times_a_second_ends_as_last_told(repository, deliver):
    for turn in range(10):
        at = f"2026-01-01T12:00:00.{turn}Z"
        deliver(repository, "pull_request", pull(state="open", action="reopened", at=at, n=turn))
        deliver(repository, "pull_request", pull(state="closed", action="closed", at=at, n=turn))
    assert PullRequest.objects.get().state == "closed"


def test_in_whatever_order_hooks_come_the_newest_counts(repository, deliver):
    told = [
        pull(state="closed" if turn % 2 else "open", action="closed", at=f"2026-01-01T12:00:{turn:02}Z")
        for turn in range(12)
    ]
    random.Random(5).shuffle(told)
    for payload in told:
        deliver(repository, "pull_request", payload)
    assert PullRequest.objects.get().state == "closed"


def test_what_is_merged_stays_merged(repository, deliver):
    deliver(repository, "pull_request", pull(state="merged", action="closed"))
    deliver(repository, "pull_request", pull(state="open", action="edited", at="2027-01-01T12:00:00Z"))
    assert PullRequest.objects.get().state == "merged"


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_statuses_and_checks_are_kept_the_newest_of_each(repository, deliver):
    def status(state, at):
        return {"sha": B, "context": "ci/build", "state": state, "updated_at": at}

    deliver(repository, "status", status("success", "2026-01-01T12:01:00Z"))
    deliver(repository, "status", status("pending", "2026-01-01T12:00:00Z"))
    check = {
        "name": "lint",
        "head_sha": B,
        "status": "completed",
        "conclusion": "failure",
        "html_url": "javascript:alert(1)",
    }
    deliver(repository, "check_run", {"action": "completed", "check_run": check})
    assert {(one.context, one.state, one.url) for one in CommitStatus.objects.all()} == {
        ("ci/build", "success", ""),
        ("lint", "failure", ""),
    }


def test_a_repository_that_is_gone_takes_its_receipts_along(repository, deliver, alice):
    deliver(repository, "push", push())
    gone = Repository.objects.get(pk=repository.pk)
    actions.disconnect(repository, by=alice)
    assert not Receipt.objects.exists() and not Repository.objects.exists()
    assert deliver(gone, "push", push()).status_code == 403
