"""What a push costs the platform beside the build: questions to the database, processes of git."""

from tests.counting import counting

QUERIES = 30  # 24 with SQLite
FOLLOWING = 'FROM "releases_build"'  # asked at every nudge, so as often as it happens to be
TIDYING = "gc --auto"  # after the pusher has gone


def test_a_push_asks_little_of_the_database_and_starts_few_processes(repo, conductor, monkeypatch):
    assert repo.push()[0] == 0
    repo.commit({"index.html": "changed"}, "Second")
    with counting(monkeypatch) as counted:
        assert repo.push()[0] == 0
    asked = counted.asked_by("push", but=[FOLLOWING])
    assert 0 < len(asked) <= QUERIES, "\n".join(asked)
    commands = [line.split("/")[-1] for line in counted.started(but=[TIDYING])]
    kinds = [" ".join(line.split()[:2]) for line in commands]
    assert sorted(kinds) == [
        "git archive",
        "git cat-file",  # what was pushed, and the commit itself
        "git cat-file",
        "git-http-backend",
        "git-http-backend",
    ]
