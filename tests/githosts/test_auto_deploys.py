"""Automatic deploys: which commits of a branch are built on an app by themselves, when, and in whose name."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains

from accounts import actions as account_actions
from apps import actions as app_actions
from ci import actions as ci_actions
from ci.models import State, TestNode, TestRun
from core.errors import Refusal
from core.models import Event
from forge import auto_deploys, events
from forge.events import Pushed, tell
from forge.models import AutoDeploy, CommitStatus
from pipelines.models import Coupling
from releases.models import Build
from tests.factories import make_app, make_pipeline, make_source, stage
from tests.githosts.conftest import connected
from tests.releases.test_repositories import commit

A, B, C = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture(autouse=True)
def nobody_else_hears(monkeypatch):
    """What else becomes of a push is said by others."""
    monkeypatch.setattr(events, "_listeners", [auto_deploys.on_news])


@pytest.fixture
def staging(shop):
    return Coupling.objects.get(app__name="shop-staging").app


@pytest.fixture
def repository(shop, alice):
    return connected(shop, alice, heads={"main": A, "next": A})


def pushed(shop, sha, *, branch="main", files=None, by=None):
    return tell(Pushed(shop, branch, sha, by=by, files=files))


def test_a_push_of_the_branch_is_built_in_the_name_of_who_said_so(shop, repository, staging, alice, bob):
    auto_deploys.switch_on(staging, branch="main", by=bob)
    assert pushed(shop, B) == ["shop-staging builds bbbbbbb of main."]
    build = Build.objects.get()
    assert (build.app, build.by, build.source.ref, build.source.branch) == (staging, bob, B, "main")
    assert build.source.repository == repository.url
    assert AutoDeploy.objects.get().note == "shop-staging builds bbbbbbb of main."
    assert Event.objects.filter(verb="switched automatic deploys on for", by=bob).exists()


def test_the_same_told_twice_and_other_branches_and_their_end_start_nothing(shop, repository, staging, alice):
    auto_deploys.switch_on(staging, branch="main", by=alice)
    assert pushed(shop, A) == []  # what was there when it was switched on
    pushed(shop, B)
    assert pushed(shop, B) == [] and pushed(shop, C, branch="next") == [] and pushed(shop, "") == []
    assert Build.objects.count() == 1


def test_of_several_only_the_newest_is_built(shop, repository, staging, alice):
    auto_deploys.switch_on(staging, branch="main", by=alice)
    pushed(shop, B)
    pushed(shop, C)
    asked = dict(Build.objects.values_list("source__ref", "cancel_asked"))
    assert asked == {B: True, C: False}


@pytest.mark.parametrize("how", ["role", "inactive", "gone"])
def test_who_may_not_deploy_any_more_deploys_nothing(shop, repository, staging, alice, bob, how):
    auto_deploys.switch_on(staging, branch="main", by=bob)
    if how == "role":
        account_actions.set_role(shop.team, bob, "viewer", by=alice)
    elif how == "inactive":
        type(bob).objects.filter(pk=bob.pk).update(is_active=False)
    else:
        AutoDeploy.objects.update(by=None)
    (said,) = pushed(shop, B)
    assert "may not deploy it any more" in said and not Build.objects.exists()


def test_what_is_refused_is_said_and_harms_nobody(shop, repository, staging, alice):
    other = make_app("shop-other", owner=shop.team, stage=stage(shop, "staging"))
    for app in (staging, other):
        auto_deploys.switch_on(app, branch="main", by=alice)
    type(staging).objects.filter(pk=staging.pk).update(suspended_at="2026-01-01T00:00:00Z")
    said = pushed(shop, B)
    assert said[0] == "shop-other builds bbbbbbb of main." and "suspended" in said[1]
    assert Build.objects.get().app == other


def test_only_changes_below_the_path_count_where_they_are_known(shop, repository, staging, alice):
    auto_deploys.switch_on(staging, branch="main", path="/services/web/", by=alice)
    (said,) = pushed(shop, B, files=frozenset({"services/webhooks/a.py", "README.md"}))
    assert "changes nothing below services/web" in said and not Build.objects.exists()
    pushed(shop, C, files=frozenset({"services/web/a.py"}))
    pushed(shop, B, files=None)  # not known: better once too often
    assert Build.objects.count() == 2


@pytest.mark.parametrize("path", ["../etc", "a//b", "a/./b", "a\\b", "x" * 300, "a\nb"])
def test_a_path_that_is_none_is_refused(repository, staging, alice, path):
    with pytest.raises(Refusal) as no:
        auto_deploys.switch_on(staging, branch="main", path=path, by=alice)
    assert "path" in no.value.fields


@pytest.mark.parametrize("branch", ["", "none", "--upload-pack=x", "a b", "HEAD"])
def test_a_branch_that_is_not_there_is_refused(repository, staging, alice, branch):
    with pytest.raises(Refusal):
        auto_deploys.switch_on(staging, branch=branch, by=alice)
    assert not AutoDeploy.objects.exists()


def test_an_app_outside_of_pipelines_follows_nothing(alice):
    with pytest.raises(Refusal, match="in no pipeline"):
        auto_deploys.switch_on(make_app("lone", owner=alice), branch="main", by=alice)


def test_switched_off_it_is_left_alone(shop, repository, staging, alice):
    auto_deploys.switch_on(staging, branch="main", by=alice)
    auto_deploys.switch_off(staging, by=alice)
    assert pushed(shop, B) == [] and not Build.objects.exists()


# --- tests first ------------------------------------------------------------------------------------------------------


def run_of(shop, sha, state):
    number = TestRun.objects.filter(pipeline=shop).count() + 1
    return TestRun.objects.create(pipeline=shop, number=number, commit=sha, branch="main", state=state)


def end(run, state):
    """As the conductor ends one."""
    held = TestRun.objects.filter(pk=run.pk).claim()
    held.end(TestRun.Status.ENDED, state=state)


def test_it_waits_for_the_tests_of_that_very_commit(shop, repository, staging, alice):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    assert pushed(shop, B) == ["shop-staging waits for the tests of bbbbbbb."]
    run = run_of(shop, B, State.RUNNING)
    other = run_of(shop, C, State.RUNNING)
    end(other, State.SUCCEEDED)
    assert not Build.objects.exists()
    end(run, State.SUCCEEDED)
    assert Build.objects.get().source.ref == B and not AutoDeploy.objects.get().waits


def test_what_fails_its_tests_is_deployed_once_they_pass_when_run_again(
    shop, repository, staging, alice, client
):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    pushed(shop, B)
    run = run_of(shop, B, State.RUNNING)
    end(run, State.FAILED)
    row = AutoDeploy.objects.get()
    assert not Build.objects.exists() and "Test run 1 failed" in row.note
    client.force_login(alice)
    page = client.get("/apps/shop-staging/deploy/")
    assertContains(page, '<a href="/pipelines/shop/tests/1/">Run them again</a>', html=True)
    run.refresh_from_db()
    TestNode.objects.create(run=run, index=1, state=State.FAILED)
    again = ci_actions.rerun(run, by=alice, only_failed=True)
    assert AutoDeploy.objects.get().note == "shop-staging waits for the tests of bbbbbbb."
    end(again, State.SUCCEEDED)
    assert Build.objects.get().source.ref == B and not AutoDeploy.objects.get().waits
    end(ci_actions.rerun(run, by=alice), State.SUCCEEDED)
    assert Build.objects.count() == 1


def test_what_passes_when_run_again_is_not_deployed_once_another_commit_is_newest(
    shop, repository, staging, alice
):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    pushed(shop, B)
    run = run_of(shop, B, State.RUNNING)
    end(run, State.FAILED)
    pushed(shop, C)
    run.refresh_from_db()
    end(ci_actions.rerun(run, by=alice), State.SUCCEEDED)
    assert not Build.objects.exists() and AutoDeploy.objects.get().commit == C


def test_a_run_that_is_cancelled_is_said_and_another_goes_on(
    shop, repository, staging, alice, client, django_assert_max_num_queries
):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    pushed(shop, B)
    run = run_of(shop, B, State.PENDING)
    ci_actions.cancel(run, by=alice)
    waits = "shop-staging waits for the tests of bbbbbbb."
    assert AutoDeploy.objects.get().note == (
        f"{waits} Test run 1 was cancelled: run it again, or push a newer commit."
    )
    client.force_login(alice)
    client.get("/apps/shop-staging/")
    with django_assert_max_num_queries(12):
        page = client.get("/apps/shop-staging/deploy/")
    assertContains(page, '<a href="/pipelines/shop/tests/1/">Run them again</a>', html=True)
    run.refresh_from_db()
    again = ci_actions.rerun(run, by=alice)
    assert AutoDeploy.objects.get().note == waits
    assertNotContains(client.get("/apps/shop-staging/deploy/"), "Run them again")
    end(again, State.SUCCEEDED)
    assert Build.objects.get().source.ref == B and not AutoDeploy.objects.get().waits


def test_a_newer_push_takes_the_place_of_one_whose_run_was_cancelled(shop, repository, staging, alice):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    pushed(shop, B)
    ci_actions.cancel(run_of(shop, B, State.PENDING), by=alice)
    assert pushed(shop, C) == ["shop-staging waits for the tests of ccccccc."]
    end(run_of(shop, C, State.RUNNING), State.SUCCEEDED)
    assert Build.objects.get().source.ref == C


def test_tests_that_end_when_another_commit_is_newest_deploy_nothing(shop, repository, staging, alice):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    pushed(shop, B)
    run = run_of(shop, B, State.RUNNING)
    pushed(shop, C)
    end(run, State.SUCCEEDED)
    assert not Build.objects.exists()


def test_checks_of_the_host_count_as_tests(shop, repository, staging, alice, deliver):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    pushed(shop, B)
    told = {"sha": B, "context": "ci/build", "state": "pending", "updated_at": "2026-01-01T12:00:00Z"}
    deliver(repository, "status", told)
    assert not Build.objects.exists()
    answer = deliver(repository, "status", {**told, "state": "success", "updated_at": "2026-01-01T12:05:00Z"})
    assert answer.json()["caused"] == [
        "ci/build is success for bbbbbbb.",
        "shop-staging builds bbbbbbb of main.",
    ]
    assert Build.objects.get().source.ref == B and CommitStatus.objects.count() == 1


def test_what_we_said_ourselves_is_no_test(shop, repository, staging, alice, deliver):
    auto_deploys.switch_on(staging, branch="main", wait_for_ci=True, by=alice)
    pushed(shop, B)
    told = {"sha": B, "context": "slipway/review-app", "state": "success"}
    deliver(repository, "status", {**told, "updated_at": "2026-01-01T12:00:00Z"})
    assert not Build.objects.exists()


# --- code that is pushed here -----------------------------------------------------------------------------------------


@pytest.fixture
def line(alice):
    """A pipeline without a connected repository; its development app has been pushed to."""
    pipeline = make_pipeline("line", owner=alice)
    dev = make_app("line-dev", owner=alice, stage=stage(pipeline, "development"))
    staging = make_app("line-staging", owner=alice, stage=stage(pipeline, "staging"))
    return pipeline, dev, staging


def branch(app, name, sha):
    from releases import repositories as repos

    repos.git(repos.path(app), "update-ref", f"refs/heads/{name}", sha)


def test_the_code_of_another_app_is_followed(line, alice):
    pipeline, dev, app = line
    first = commit(dev, "One")
    branch(dev, "next", first)
    auto_deploys.switch_on(app, branch="next", by=alice)
    second = commit(dev, "Two", parent=first)
    branch(dev, "next", second)
    assert tell(Pushed(pipeline, "next", second, by=alice)) == [f"line-staging builds {second[:7]} of next."]
    source = Build.objects.get().source
    assert (source.origin, source.commit, source.message) == (dev, second, "Two")


def test_what_was_pushed_to_the_app_itself_is_not_built_twice(line, alice):
    pipeline, dev, _ = line
    first = commit(dev, "One")
    branch(dev, "main", first)
    auto_deploys.switch_on(dev, branch="main", by=alice)
    second = commit(dev, "Two", parent=first)
    branch(dev, "main", second)
    source = make_source(dev)
    type(source).objects.filter(pk=source.pk).update(commit=second)
    Build.objects.create(app=dev, source=source, by=alice, status="succeeded")
    assert "already" in tell(Pushed(pipeline, "main", second, by=alice))[0]
    assert Build.objects.count() == 1


def test_an_app_that_leaves_the_pipeline_follows_it_no_more(line, alice):
    from pipelines import actions

    pipeline, dev, app = line
    branch(dev, "next", commit(dev, "One"))
    auto_deploys.switch_on(app, branch="next", by=alice)
    actions.uncouple(Coupling.objects.get(app=app), by=alice)
    assert tell(Pushed(pipeline, "next", B, by=alice)) == []
    app_actions.destroy_app(app, by=alice, confirm=app.name)
    assert not Build.objects.exists()
