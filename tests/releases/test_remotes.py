"""Fetching from a git repository elsewhere: what comes, and what is turned down."""

import time
from urllib.parse import urlsplit

import pytest

from core.errors import EngineError, Refusal
from engine.outbound import Target
from releases import checkouts, remotes, repositories
from releases.models import Source
from tests.factories import make_app


@pytest.fixture
def place(tmp_path):
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def fetch(url, ref, place, stop=lambda: False):
    return remotes.fetch(url, ref, place, stop=stop)


@pytest.mark.parametrize(
    "ref, branch", [("main", "main"), ("HEAD", ""), ("v1", ""), ("feature/ü", "feature/ü")]
)
def test_a_branch_a_tag_or_the_head_is_fetched(forge, place, ref, branch):
    url = forge.repository()
    forge.git("shop.git", "tag", "v1")
    forge.git("shop.git", "branch", "feature/ü")
    sha = forge.git("shop.git", "rev-parse", "main")
    assert fetch(url, ref, place) == (sha, branch)


def test_a_commit_is_fetched_by_its_digits(forge, place):
    url = forge.repository()
    sha = forge.git("shop.git", "rev-parse", "main")
    forge.commit("shop.git", "Second")
    assert fetch(url, sha, place) == (sha, "")


@pytest.mark.promise("I-41")
def test_a_host_name_is_pinned_to_the_address_that_was_checked(forge, place):
    url = forge.repository().replace("127.0.0.1", "localhost")
    assert fetch(url, "main", place)[1] == "main"


@pytest.mark.promise("I-41")
def test_git_asks_nobody_where_the_host_is(forge, place):
    url = forge.repository().replace("127.0.0.1", "git.invalid")  # only the pin leads anywhere
    target = Target(urlsplit(url), "git.invalid", forge.server.server_port, ("127.0.0.1",))
    repositories.git(place, "init", "--quiet", "--bare", ".")
    assert remotes._run(["git", "fetch", "--quiet", url, "main"], place, target, lambda: False) == ""


@pytest.mark.promise("I-41")
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "169.254.169.254", "10.1.2.3"]
)
def test_internal_addresses_are_refused(settings, place, host):
    settings.OUTBOUND_ALLOW = []
    with pytest.raises(Refusal, match="internal"):
        fetch(f"http://{host}/shop.git", "main", place)


@pytest.mark.promise("I-41")
def test_a_redirect_is_not_followed(forge, place):
    url = forge.repository()
    forge.answers["/moved.git/info/refs"] = (302, {"Location": f"{url}/info/refs?service=git-upload-pack"})
    with pytest.raises(Refusal, match="leads to another address"):
        fetch(f"{forge.url}/moved.git", "main", place)
    assert not any(path.startswith("/shop.git") for path in forge.asked)


def test_a_host_that_is_not_known_is_said_to_be(place):
    with pytest.raises(EngineError, match="not known"):
        fetch("https://git.invalid/shop.git", "main", place)


@pytest.mark.parametrize(
    "status, says",
    [(401, "it asks for a password"), (403, "it asks for a password"), (404, "no repository at")],
)
def test_what_is_not_public_is_refused_without_asking_for_a_password(forge, place, status, says):
    forge.answers["/shop.git/info/refs"] = (status, {"WWW-Authenticate": 'Basic realm="x"'})
    with pytest.raises(Refusal, match=says):
        fetch(f"{forge.url}/shop.git", "main", place)


def test_a_ref_that_is_not_there_is_named(forge, place):
    url = forge.repository()
    with pytest.raises(Refusal, match="no branch or tag nope"):
        fetch(url, "nope", place)


def test_a_repository_that_is_too_large_is_given_up(forge, place, settings):
    settings.SOURCE_BYTES = 10_000
    url = forge.repository(big="".join(str(number * number * 7919) for number in range(100_000)))
    with pytest.raises(Refusal, match="larger than"):
        fetch(url, "main", place)


def test_it_stops_when_told(forge, place):
    began = time.monotonic()
    assert fetch(forge.repository(), "main", place, stop=lambda: True) is None
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x",
        "file:///etc",
        "ssh://git@example.com/x.git",
        "git://example.com/x.git",
        "/etc",
        "--upload-pack=touch /tmp/x",
        "https://user:secret@example.com/x.git",
        "https://example.com\\@127.0.0.1/x.git",
        "https://example.com/x.git?token=1",
        "https://example.com/x.git#main",
        "https://example.com/x y.git",
        "https://example.com/\n.git",
        "https://example.com:99999/x.git",
        "https://exämple.com/x.git",
        "https://example.com",
        "https:///x.git",
        "",
    ],
)
def test_what_is_no_address_of_a_repository_is_refused(url):
    with pytest.raises(Refusal) as refusal:
        remotes.check_url(url)
    assert "url" in refusal.value.fields


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=touch /tmp/x",
        "-x",
        "+main",
        "main:other",
        "^main",
        "a b",
        "a..b",
        "a\nb",
        "a@{1}",
        "/x",
    ],
)
def test_what_git_would_not_take_for_a_ref_is_refused(ref):
    with pytest.raises(Refusal) as refusal:
        remotes.check_ref(ref)
    assert "ref" in refusal.value.fields


@pytest.mark.parametrize("ref", ["x/", "x.lock", "a//b", "*", "a\x7f", ".x", "x" * 256])
def test_what_is_no_ref_is_refused(ref):
    with pytest.raises(Refusal) as refusal:
        remotes.check_ref(ref)
    assert "ref" in refusal.value.fields


@pytest.mark.parametrize("ref", ["main", "feature/x", "v1.2", "fix#12", "ü", "a" * 40, "release_1-2"])
def test_what_is_a_ref_is_taken(ref):
    assert remotes.check_ref(f" {ref} ") == ref


@pytest.mark.django_db
def test_what_came_before_a_commit_is_kept_with_the_app_it_is_built_on(forge, alice):
    app, url = make_app(owner=alice), forge.repository()
    first = forge.git("shop.git", "rev-parse", "main")
    checkouts.fill(make_source_of(app, url), say=lambda line: None, stop=lambda: False)
    forge.commit("shop.git", "Second")
    third = forge.commit("shop.git", "Third") or forge.git("shop.git", "rev-parse", "main")
    source = make_source_of(app, url)
    checkouts.fill(source, say=lambda line: None, stop=lambda: False)
    assert source.commit == third
    assert repositories.ahead(app, first, third) == 2
    assert [one.message for one in repositories.commits_between(app, first, third)] == ["Third", "Second"]
    assert repositories.branches(app) == [], "nobody pushed here"


@pytest.mark.django_db
def test_a_history_that_is_too_long_is_left_for_good_and_the_build_goes_on(forge, alice, monkeypatch):
    app, url = make_app(owner=alice), forge.repository()
    monkeypatch.setattr(remotes, "HISTORY_SECONDS", -1)
    source = make_source_of(app, url)
    checkouts.fill(source, say=lambda line: None, stop=lambda: False)
    assert source.path and source.commit
    assert repositories.head(app, f"{source.commit}^{{commit}}") is None
    monkeypatch.undo()
    place = repositories.path(app)
    assert not remotes.fetch_history(url, source.commit, place, stop=lambda: False)


def make_source_of(app, url):
    return Source.objects.create(app=app, repository=url, ref="main")
