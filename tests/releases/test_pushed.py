"""What a push has moved is told to whoever follows, as news of the pipeline's code, once the ref is in its place."""

import pytest
from django.utils import timezone

from forge import events
from pipelines import actions as pipeline_actions
from releases import pushed
from releases import repositories as repos
from releases.models import Move
from releases.pushed import tell_untold
from tests.factories import make_pipeline, stage
from tests.githosts.conftest import connected
from tests.waiting import eventually


class News(list):
    """News, each with what the app's repository said of the branch just then."""

    def __init__(self, app):
        self.app = app

    def __call__(self, one):
        self.append((one, repos.head(self.app, f"refs/heads/{one.branch}")))
        return []


@pytest.fixture
def line(app, alice):
    pipeline = make_pipeline("line", owner=alice)
    pipeline_actions.couple(app, stage(pipeline, "development"), by=alice)
    return pipeline


@pytest.fixture
def news(app, monkeypatch):
    news = News(app)
    monkeypatch.setattr(events, "_listeners", [news])
    return news


def test_each_branch_that_a_push_moves_is_told_of_when_it_has_moved(repo, line, news, alice, conductor):
    assert repo.push("main", "main:tea", "main:refs/tags/v1")[0] == 0
    eventually(lambda: len(news) == 2)
    assert [(told.branch, told.commit, told.by, head) for told, head in news] == [
        (branch, repo.head, alice, repo.head) for branch in ("main", "tea")
    ]
    assert news[0][0].pipeline == line and news[0][0].message == "First"


def test_what_changed_and_what_went_is_told_too(repo, line, news):
    repo.push("main:tea")
    repo.commit({"web.txt": "x"}, "Second")
    repo.push("main:tea")
    repo.push(":tea")
    eventually(lambda: len(news) == 3)
    assert [told.files for told, _ in news] == [None, frozenset({"web.txt"}), None]
    assert (news[2][0].commit, news[2][1]) == ("", None)


def test_a_push_that_is_rejected_is_no_news(repo, line, news):
    assert repo.push(":main")[0] != 0
    assert repo.push("main:main/x")[0] != 0
    assert news == []


@pytest.mark.parametrize("branch", ["ü/é", "<b>bold</b>", "a;rm", "$(id)"])
def test_any_name_of_a_branch_is_told_as_it_is(repo, line, news, branch):
    assert repo.push(f"main:refs/heads/{branch}")[0] == 0
    eventually(lambda: [told.branch for told, _ in news] == [branch])


def test_what_a_death_left_untold_is_told_once_by_the_next_look(repo, line, news, monkeypatch):
    monkeypatch.setenv("FAILPOINTS", "git.ref_updated=error")
    repo.push("main:tea")
    eventually(lambda: Move.objects.exists())
    assert news == []
    monkeypatch.delenv("FAILPOINTS")
    assert (tell_untold(), tell_untold()) == (1, 0)
    assert [(told.branch, told.commit) for told, _ in news] == [("tea", repo.head)]
    assert not Move.objects.exists()


def test_what_has_not_moved_yet_is_waited_for_and_then_forgotten(app, line, news, alice):
    pushed.expect([pushed.Moved(app, "tea", "a" * 40, "", alice)])
    assert tell_untold() == 0 and Move.objects.exists()
    Move.objects.update(created_at=timezone.now() - pushed.LONGEST)
    with repos.pushing(app):
        assert tell_untold() == 0 and Move.objects.exists()
    assert tell_untold() == 0 and not Move.objects.exists()
    assert news == []


def test_nothing_is_left_of_a_push_that_is_rejected_or_done(repo, line, news, conductor):
    assert repo.push(":main")[0] != 0
    assert repo.push("main", "main:tea")[0] == 0
    eventually(lambda: len(news) == 2 and not Move.objects.exists())


def test_news_that_nobody_can_take_is_told_again_and_given_up_at_last(repo, line, app, monkeypatch):
    tried = []

    def break_down(one):
        tried.append(one.branch)
        raise RuntimeError("This is a test.")

    monkeypatch.setattr(events, "_listeners", [break_down])
    assert repo.push("main:tea")[0] == 0
    eventually(lambda: Move.objects.filter(tries=1).exists())
    for _ in range(pushed.TRIES + 1):
        tell_untold()
    assert tried == ["tea"] * pushed.TRIES and not Move.objects.exists()


def test_code_of_a_pipeline_that_lives_elsewhere_is_not_news_when_pushed_here(repo, line, news, alice):
    connected(line, alice)
    assert repo.push("main:tea")[0] == 0
    assert news == []


def test_an_app_without_a_pipeline_has_no_news(repo, news):
    assert repo.push("main:tea")[0] == 0
    assert news == []


def test_trouble_with_news_does_not_turn_a_push_into_a_failure(repo, line, monkeypatch, app):
    def break_down(_):
        raise RuntimeError("This is a test.")

    monkeypatch.setattr(events, "_listeners", [break_down])
    status, output = repo.push("main:tea")
    assert status == 0, output
    assert repos.head(app, "refs/heads/tea") == repo.head
