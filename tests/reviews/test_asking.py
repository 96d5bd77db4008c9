"""Review apps as they are asked for: by hand, by pull requests, and how they are given up. Nothing is made here."""

import pytest

from core.errors import Conflict, Refusal
from core.models import Event
from forge import events
from pipelines import actions as pipeline_actions
from pipelines.models import Stage
from reviews import actions
from reviews.models import ReviewApp, ReviewSettings


def rows(**which):
    return list(ReviewApp.objects.filter(**which).order_by("created_at"))


def wanted():
    return rows(gone=False)


def test_a_branch_gets_one_and_not_another(reviewing, alice):
    [row] = actions.create(reviewing, "feature", by=alice)
    assert (row.state, row.branch, row.by, row.commit) == ("pending", "feature", alice, "")
    with pytest.raises(Conflict, match="There is a review app of feature already"):
        actions.create(reviewing, "feature", by=alice)
    assert len(actions.create(reviewing, "other", by=alice)) == 1


@pytest.mark.parametrize("branch", ["--upload-pack=x", "a b", "-x", "a..b", "x\ny", "a:b"])
def test_what_is_no_branch_is_refused(reviewing, alice, branch):
    with pytest.raises(Refusal):
        actions.create(reviewing, branch, by=alice)
    assert rows() == []


def test_a_pipeline_without_review_apps_makes_none(shop, alice):
    with pytest.raises(Refusal, match="has no review apps"):
        actions.create(shop, "feature", by=alice)


def test_a_pull_request_gets_one_by_itself_and_loses_it_when_it_closes(opened):
    _, said = opened()
    [row] = wanted()
    assert row.automatic and row.commit == "a" * 40 and said == ["Asked for the review app of #1."]
    opened(state="merged")
    row.refresh_from_db()
    assert row.gone and row.message == "#1 was merged."


def test_a_draft_gets_one_once_it_is_ready_and_keeps_it(opened, reviewing, alice):
    _, said = opened(draft=True)
    assert wanted() == [] and said == ["It is a draft: its review app comes once it is ready."]
    _, said = opened(draft=False)
    [row] = wanted()
    assert row.automatic and said == ["Asked for the review app of #1."]
    opened(draft=True, commit="b" * 40)
    assert [(row.commit, row.gone) for row in rows()] == [("b" * 40, False)]


def test_drafts_get_one_where_the_settings_say_so_and_by_hand(opened, reviewing, alice):
    pull_request, _ = opened(draft=True)
    [by_hand] = actions.create(reviewing, "", pull_request=pull_request, by=alice)
    assert wanted() == [by_hand]
    actions.set_settings(reviewing, drafts=True, by=alice)
    opened(2, draft=True, branch="other")
    assert [row.automatic for row in wanted()] == [False, True]


def test_news_that_come_twice_change_nothing(opened):
    for _ in range(3):
        opened()
    assert len(rows()) == 1
    for _ in range(3):
        opened(state="closed")
    assert wanted() == [] and len(rows()) == 1


def test_only_the_last_word_counts(opened):
    for _ in range(10):
        opened()
        opened(state="closed")
    assert wanted() == []
    opened(commit="b" * 40)
    [row] = wanted()
    assert row.commit == "b" * 40


def test_a_new_commit_is_wanted_at_once(opened):
    opened()
    _, said = opened(commit="b" * 40)
    assert said == ["Builds the review app of #1 again."] and wanted()[0].commit == "b" * 40


def test_none_comes_by_itself_unless_that_was_asked_for(opened, reviewing, alice):
    actions.set_settings(reviewing, automatic=False, by=alice)
    pull_request, said = opened()
    assert said == [] and rows() == []
    [row] = actions.create(reviewing, "", pull_request=pull_request, by=alice)
    assert row.branch == "feature" and row.pull_request == pull_request and not row.automatic


@pytest.mark.promise("I-40")
def test_a_fork_waits_for_a_persons_yes_for_each_commit(opened, reviewing, alice):
    pull_request, said = opened(from_fork="mallory/shop")
    assert rows() == [] and said == ["It comes from a fork: a review app waits for a person's yes."]
    [row] = actions.create(reviewing, "", pull_request=pull_request, by=alice)
    assert row.from_fork == "mallory/shop"
    _, said = opened(from_fork="mallory/shop", commit="b" * 40)
    row.refresh_from_db()
    assert row.commit == "a" * 40 and said == ["Its newest commit waits for a person's yes."]
    row.pull_request.refresh_from_db()
    actions.build_newest(row, by=alice)
    row.refresh_from_db()
    assert row.commit == "b" * 40
    with pytest.raises(Conflict):
        actions.build_newest(ReviewApp.objects.get(), by=alice)


@pytest.mark.promise("I-40")
def test_a_fork_gets_none_where_that_is_the_rule(opened, reviewing, alice):
    actions.set_settings(reviewing, forks="never", by=alice)
    pull_request, _ = opened(from_fork="mallory/shop")
    with pytest.raises(Refusal, match="makes no review apps of forks"):
        actions.create(reviewing, "", pull_request=pull_request, by=alice)


@pytest.mark.promise("I-40")
def test_a_fork_of_the_same_branch_name_moves_nothing_of_ours(opened, reviewing, alice):
    [row] = actions.create(reviewing, "feature", by=alice)
    opened(from_fork="mallory/shop", commit="b" * 40)
    row.refresh_from_db()
    assert row.pull_request is None and row.commit == ""


def test_several_apps_of_one_pull_request(opened, reviewing, alice):
    parts = [{"name": "web", "path": "apps/web"}, {"name": "api", "path": "apps/api"}]
    actions.set_settings(reviewing, parts=parts, by=alice)
    opened()
    assert [(row.part, row.path) for row in wanted()] == [("web", "apps/web"), ("api", "apps/api")]
    opened(state="closed")
    assert wanted() == []


def test_a_push_moves_its_branch_and_its_end_ends_it(reviewing, alice):
    [row] = actions.create(reviewing, "feature", by=alice)
    said = events.tell(events.Pushed(reviewing, "feature", "c" * 40, by=alice))
    row.refresh_from_db()
    assert row.commit == "c" * 40 and said == ["Builds the review app of feature again."]
    events.tell(events.Pushed(reviewing, "other", "d" * 40, by=alice))
    row.refresh_from_db()
    assert row.commit == "c" * 40
    events.tell(events.Pushed(reviewing, "feature", "", by=alice))
    row.refresh_from_db()
    assert row.gone and row.message == "Its branch is gone."


def test_a_pull_request_takes_over_what_its_branch_has(opened, reviewing, alice):
    [row] = actions.create(reviewing, "feature", by=alice)
    pull_request, _ = opened()
    row.refresh_from_db()
    assert row.pull_request == pull_request and len(rows()) == 1
    opened(state="closed")
    assert wanted() == []


def test_what_the_host_forgets_can_be_forgotten(opened, reviewing, repository, alice):
    opened(number=1, from_fork="a/shop", branch="main")
    opened(number=2, from_fork="b/shop", branch="main")
    for pull_request in repository.pull_requests.all():
        actions.create(reviewing, "", pull_request=pull_request, by=alice)
    repository.delete()
    assert len(wanted()) == 2


def test_settings_are_kept_and_told(shop, alice):
    row = actions.set_settings(shop, enabled=True, stale_days=7, destroy_stale=True, most=3, by=alice)
    assert (row.stale_days, row.by) == (7, alice)
    assert actions.set_settings(shop, enabled=True, by=alice).by == alice
    event = Event.objects.filter(kind="pipeline").order_by("-at").first()
    assert event.verb == "changed review apps of" and event.details["after"]["most"] == 3
    actions.set_settings(shop, enabled=False, by=alice)
    assert not ReviewSettings.objects.get().enabled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stale_days", 0),
        ("stale_days", 31),
        ("most", 0),
        ("most", 101),
        ("most", True),
        ("sleep_minutes", -1),
        ("base_name", "Shop!"),
        ("base_name", "shop-"),
        ("forks", "always"),
        ("parts", [{"name": "Web", "path": "x"}]),
        ("parts", [{"name": "web", "path": "../x"}]),
        ("parts", [{"name": "web", "path": "a:b"}]),
        ("parts", [{"name": "web", "path": "a"}, {"name": "web", "path": "b"}]),
        ("parts", [{"name": f"p{n}", "path": "a"} for n in range(11)]),
    ],
)
def test_settings_that_cannot_be_are_refused_beside_their_field(shop, alice, name, value):
    with pytest.raises(Refusal) as refusal:
        actions.set_settings(shop, **{name: value}, by=alice)
    assert name in refusal.value.fields and not ReviewSettings.objects.filter(enabled=True).exists()


def test_without_a_review_stage_they_cannot_be_enabled(shop, alice):
    pipeline_actions.remove_stage(Stage.objects.get(pipeline=shop, word="review"), by=alice)
    with pytest.raises(Refusal, match="has no review stage"):
        actions.set_settings(shop, enabled=True, by=alice)
