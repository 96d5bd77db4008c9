"""What hosts are told: statuses of commits and one comment a pull request, again after trouble, and only the newest."""

import pytest
from django.utils import timezone

from conductor import hosts as desk
from conductor.work import Held, Kind, run
from forge.models import PullRequest, Report
from forge.reports import comment, report

KINDS = ["github", "gitlab", "gitea", "bitbucket"]
SHA = "c" * 40


def work():
    """Do what is to be done, as a conductor does."""
    kind = Kind("report", Report, 1, desk.advance, desk.fail)
    Report.objects.update(wake_at=None)
    while held := kind.claim():
        assert isinstance(held, Held)
        run(held)


@pytest.fixture
def hosted(connect, host_of, request):
    api = host_of(request.param)
    repository, _ = connect(host=request.param, token="token-1")
    return api, repository


@pytest.mark.parametrize("hosted", KINDS, indirect=True)
def test_a_status_reaches_the_host(hosted, shop):
    api, _ = hosted
    report(shop, SHA, "slipway/ci", "pending", "Running", "https://x.example/1")
    work()
    report(shop, SHA, "slipway/ci", "failure", "2 of 9 failed", "https://x.example/1")
    work()
    assert len(api.statuses) == 2 and api.statuses[1]["commit"] == SHA
    assert api.statuses[1]["state"] in ("failure", "failed", "FAILED")
    assert {row.status for row in Report.objects.all()} == {"succeeded"}


@pytest.mark.parametrize("hosted", ["gitlab"], indirect=True)
def test_a_state_that_gitlab_has_already_is_no_trouble(hosted, shop):
    for _ in range(2):
        report(shop, SHA, "slipway/ci", "pending")
        work()
    assert {row.status for row in Report.objects.all()} == {"succeeded"}


@pytest.mark.parametrize("hosted", KINDS, indirect=True)
def test_a_pull_request_has_one_comment_that_changes(hosted, shop):
    api, repository = hosted
    pull = PullRequest.objects.create(repository=repository, number=4, branch="tea", commit=SHA)
    comment(pull, "Building")
    work()
    pull.refresh_from_db()
    comment(pull, "There: https://tea.example")
    work()
    (one,) = api.comments.values()
    assert one["body"].startswith("There: https://tea.example")
    PullRequest.objects.update(comment_ref="")  # a conductor that died before it could write that down
    comment(pull, "Once more")
    work()
    (one,) = api.comments.values()
    assert one["body"].startswith("Once more")


@pytest.mark.parametrize("hosted", ["github"], indirect=True)
def test_a_comment_that_somebody_deleted_is_made_again(hosted, shop):
    api, repository = hosted
    pull = PullRequest.objects.create(
        repository=repository, number=4, branch="tea", commit=SHA, comment_ref="77"
    )
    comment(pull, "Hello")
    work()
    assert [one["body"].split("\n")[0] for one in api.comments.values()] == ["Hello"]


@pytest.mark.parametrize("hosted", ["github"], indirect=True)
def test_a_host_that_is_down_is_told_later(hosted, shop):
    api, _ = hosted
    api.down = 2
    report(shop, SHA, "slipway/ci", "success")
    work()
    assert api.statuses == [] or len(api.statuses) == 1
    row = Report.objects.get()
    assert row.status in ("running", "pending", "succeeded")
    for _ in range(3):
        work()
    assert len(api.statuses) == 1 and Report.objects.get().status == "succeeded"


@pytest.mark.parametrize("hosted", ["github"], indirect=True)
def test_a_token_that_may_not_is_said_and_not_tried_again(hosted, shop):
    api, _ = hosted
    api.rights = False
    report(shop, SHA, "slipway/ci", "success")
    work()
    row = Report.objects.get()
    assert row.status == "failed" and "may not do that" in row.reason and row.attempt == 1


@pytest.mark.parametrize("hosted", ["github"], indirect=True)
def test_of_several_about_the_same_only_the_newest_is_told(hosted, shop):
    api, _ = hosted
    for state in ("pending", "failure", "success"):
        report(shop, SHA, "slipway/ci", state)
    report(shop, SHA, "slipway/review-app", "pending")
    work()
    assert [(one["context"], one["state"]) for one in api.statuses] == [
        ("slipway/ci", "success"),
        ("slipway/review-app", "pending"),
    ]


def test_without_a_token_nothing_is_queued(connect, shop):
    assert report(shop, SHA, "slipway/ci", "success") is None
    connect(host="github")
    assert report(shop, SHA, "slipway/ci", "success") is None and not Report.objects.exists()


@pytest.mark.parametrize("hosted", ["github"], indirect=True)
def test_two_conductors_tell_it_once(hosted, shop):
    api, _ = hosted
    report(shop, SHA, "slipway/ci", "success")
    assert Report.objects.all().claim() is not None
    assert Report.objects.all().claim() is None
    Report.objects.update(lease_until=timezone.now())
    work()
    assert len(api.statuses) == 1
