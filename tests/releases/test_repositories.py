"""The repository of an app, asked about its commits."""

import os
import subprocess
import threading

import pytest

from releases import repositories as repos
from releases.commits import read_commit
from releases.models import Build
from tests.factories import make_app, make_source


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice)


def commit(app, message, *, parent=None, author="Zoë <zoe@example.com>"):
    """Write a commit straight into the repository of `app`; returns its id."""
    place = repos.ensure(app)
    tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    subprocess.run(
        ["git", "-C", place, "hash-object", "-t", "tree", "-w", "/dev/null"], check=True, capture_output=True
    )
    raw = f"tree {tree}\n"
    raw += f"parent {parent}\n" if parent else ""
    raw += f"author {author} 1700000000 +0100\ncommitter {author} 1700000001 +0100\n\n{message}\n"
    done = subprocess.run(
        ["git", "-C", place, "hash-object", "-t", "commit", "-w", "--stdin"],
        input=raw.encode(),
        check=True,
        capture_output=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture
def line(app):
    """Three commits, one after the other."""
    first = commit(app, "One")
    second = commit(app, "Two\n\nmore", parent=first)
    return first, second, commit(app, "Three", parent=second)


def test_it_is_bare_and_its_head_is_main(app):
    place = repos.ensure(app)
    assert (place / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert not (place / ".git").exists()
    assert repos.ensure(app) == place == repos.path(app.pk)
    assert repos.root().stat().st_mode & 0o077 == 0


def test_the_head_of_a_branch_is_the_same_loose_and_packed(app, line):
    place = repos.path(app)
    git = ["git", "-C", place]
    for branch, sha in (("main", line[0]), ("a/b", line[1])):
        subprocess.run([*git, "update-ref", f"refs/heads/{branch}", sha], check=True)
    loose = [repos.head(app, f"refs/heads/{branch}") for branch in ("main", "a/b", "a", "none", "x/../main")]
    subprocess.run([*git, "pack-refs", "--all"], check=True)
    assert not (place / "refs/heads/main").exists()
    packed = [repos.head(app, f"refs/heads/{branch}") for branch in ("main", "a/b", "a", "none", "x/../main")]
    assert loose == packed == [line[0], line[1], None, None, None]


def test_packs_are_put_together_once_there_are_many(app, line, monkeypatch, tmp_path):
    place, start = repos.path(app), {"check": True, "capture_output": True}
    monkeypatch.setattr(repos, "PACKS", 3)
    subprocess.run(["git", "-C", place, "config", "gc.autoPackLimit", "3"], **start)
    files = [tmp_path / f"{n}" for n in range(4)]
    for file in files:
        file.write_text(file.name)
    blobs = subprocess.run(["git", "-C", place, "hash-object", "-w", *files], **start).stdout.split()
    packs = []
    for blob in blobs:
        git = ["git", "-C", place, "pack-objects", "-q", "objects/pack/pack"]
        subprocess.run(git, input=blob + b"\n", **start)
        repos.tidy(app)
        packs.append(len(list((place / "objects/pack").glob("*.pack"))))
    assert packs[:3] == [1, 2, 3] and packs[3] < 3


def test_a_branch_that_names_another_is_followed(app, line):
    place = repos.path(app)
    for command in (
        ["update-ref", "refs/heads/main", line[0]],
        ["symbolic-ref", "refs/heads/b", "refs/heads/main"],
    ):
        subprocess.run(["git", "-C", place, *command], check=True)
    assert repos.head(app, "refs/heads/b") == line[0]


def test_what_objects_are_is_asked_at_once(app, line):
    place = repos.path(app)
    names = [line[0], f"{line[0]}^{{tree}}", f"{line[0]}:.gitmodules", "0" * 40]
    assert repos.kinds(place, names) == ["commit", "tree", "", ""]


def test_many_first_pushes_at_once_make_one(app):
    barrier, failures = threading.Barrier(8), []

    def make():
        barrier.wait()
        try:
            repos.ensure(app)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [p.name for p in repos.root().iterdir() if str(app.pk) in p.name or p.name.startswith(".new")] == [
        f"{app.pk}.git"
    ]


def test_it_goes_with_its_app_and_twice_is_no_matter(app):
    place = repos.ensure(app)
    repos.remove(app.pk)
    repos.remove(app.pk)
    assert not place.exists()


def test_the_commits_between_two_are_told_newest_first(app, line):
    first, second, third = line
    found = repos.commits_between(app, first, third)
    assert [(c.sha, c.message, c.author, c.author_email) for c in found] == [
        (third, "Three", "Zoë", "zoe@example.com"),
        (second, "Two", "Zoë", "zoe@example.com"),
    ]
    assert found[0].at.timestamp() == 1700000001
    assert [c.message for c in repos.commits_between(app, None, third, limit=1)] == ["Three"]


def test_how_far_ahead_one_is(app, line):
    first, _, third = line
    assert repos.ahead(app, first, third) == 2
    assert repos.ahead(app, third, first) == 0
    assert repos.ahead(app, third, third) == 0


@pytest.mark.parametrize("odd", ["0" * 40, "main", "--all", "HEAD", "", "x" * 40, "-" * 40])
def test_what_is_no_commit_of_this_app_is_unknown(app, line, odd):
    assert repos.ahead(app, odd, line[0]) is None
    assert repos.ahead(app, line[0], odd) is None
    assert repos.commits_between(app, line[0], odd) == []
    assert repos.commits_between(app, odd or "0" * 40, line[0]) == []


def test_an_app_without_a_repository_knows_no_commit(alice, line):
    other = make_app(owner=alice)
    assert repos.ahead(other, line[0], line[1]) is None
    assert repos.commits_between(other, line[0], line[1]) == []
    assert repos.head(other, "refs/heads/main") is None


def test_one_push_holds_it_at_a_time(app):
    with repos.pushing(app):
        with pytest.raises(repos.Busy):
            with repos.pushing(app):
                pass
    with repos.pushing(app):
        pass


@pytest.mark.promise("I-10")
def test_a_deployed_branch_without_a_build_is_found(app, line):
    os.makedirs(repos.path(app) / "refs/heads", exist_ok=True)
    (repos.path(app) / "refs/heads/main").write_text(f"{line[2]}\n")
    assert repos.unbuilt_heads() == [(app, "refs/heads/main", line[2])]
    Build.objects.create(app=app, source=make_source(app), status="succeeded")
    assert len(repos.unbuilt_heads()) == 1
    source = make_source(app)
    source.commit = line[2]
    source.save()
    Build.objects.create(app=app, source=source, status="succeeded")
    assert repos.unbuilt_heads() == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ("", "", None, "")),
        (b"author\ncommitter\n\n", ("", "", None, "")),
        (b"author <> 0\ncommitter <> 99999999999999999\n\n\n\nx", ("", "", None, "x")),
        (
            b"author A\x1b[2J <a\x00@b> 1\nauthor B <b> 2\nencoding nonsense\n\nx\ty\r\nz",
            ("A [2J", "a @b", None, "x y"),
        ),
        (b"author \xff <\xfe> 1 +0\nencoding utf-8\ngpgsig a\n b\n\n\xff", ("�", "�", None, "�")),
    ],
)
def test_a_broken_commit_is_read_as_far_as_it_goes(raw, expected):
    commit = read_commit("a" * 40, raw)
    assert (commit.author, commit.author_email, commit.at, commit.message) == expected
