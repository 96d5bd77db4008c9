"""Who may reach code over git, and that strangers learn nothing."""

import base64
import gzip
import os
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from django.utils import timezone

from accounts import actions as account_actions
from apps.models import App, Collaborator
from releases import repositories as repos
from releases import sources
from tests.releases.conftest import Repo, with_token


def ask(url, *, token="", data=None, method=None, **headers):
    if token:
        headers["Authorization"] = "Basic " + base64.b64encode(f"x:{token}".encode()).decode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read(), answer.headers


def refs(server, name, service="git-receive-pack"):
    return f"{server.url}/{name}.git/info/refs?service={service}"


@pytest.fixture
def stranger(charlie):
    return account_actions.create_token(charlie, by=charlie)[1]


def test_what_was_pushed_can_be_cloned(repo, conductor, tmp_path):
    assert repo.push()[0] == 0
    clone = tmp_path / "copy"
    subprocess.run(
        ["git", "clone", "-q", repo.url, str(clone)], check=True, env=repo.env(), capture_output=True
    )
    assert (clone / "index.html").read_text() == "hello"
    assert Repo.head.fget(type("C", (), {"git": lambda _, *a: repo.git("-C", str(clone), *a)})()) == repo.head


def test_nobody_is_asked_who_they_are(server, app):
    status, body, headers = ask(refs(server, "shop"))
    assert status == 401
    assert headers["WWW-Authenticate"] == 'Basic realm="Slipway"'
    assert b"API token" in body


@pytest.mark.parametrize("header", ["Basic !!!", "Basic eA==", "Bearer nonsense", "Digest x", "Basic /w=="])
def test_credentials_that_are_none_are_answered_alike(server, app, header):
    assert ask(refs(server, "shop"), Authorization=header)[0] == 401


def test_a_bearer_token_does_too(server, app, token):
    assert ask(refs(server, "shop"), Authorization=f"Bearer {token}")[0] == 200


def test_a_password_is_no_token(server, app, alice):
    assert ask(refs(server, "shop"), token="a fine password")[0] == 401


def test_the_use_of_a_token_is_noted(server, app, alice, token):
    ask(refs(server, "shop"), token=token)
    assert alice.api_tokens.get().used_at is not None


@pytest.mark.promise("I-28")
@pytest.mark.parametrize("service", ["git-receive-pack", "git-upload-pack"])
def test_a_foreign_app_looks_like_one_that_is_not_there(server, app, stranger, service):
    foreign = ask(refs(server, "shop", service), token=stranger)
    absent = ask(refs(server, "nothing", service), token=stranger)
    changing = ("Date", "X-Request-Id")
    assert foreign[:2] == absent[:2] == (404, b"Couldn't find that app.\n")
    assert [h for h in foreign[2].items() if h[0] not in changing] == [
        h for h in absent[2].items() if h[0] not in changing
    ]


def test_git_shows_the_refusals_to_its_user(repo, server, stranger, app, vera, tmp_path):
    repo.url = with_token(f"{server.url}/shop.git", stranger)
    assert "remote: Couldn't find that app." in repo.push()[1]
    Collaborator.objects.create(app=app, user=vera, rights=["view"])
    repo.url = with_token(f"{server.url}/shop.git", account_actions.create_token(vera, by=vera)[1])
    status, output = repo.push()
    assert status == 128
    assert "remote: You do not have the right to deploy shop." in output
    assert "403" in output


def test_viewing_is_not_reading_code(server, app, vera):
    Collaborator.objects.create(app=app, user=vera, rights=["view"])
    token = account_actions.create_token(vera, by=vera)[1]
    assert ask(refs(server, "shop", "git-upload-pack"), token=token)[0] == 403


def test_a_suspended_app_takes_nothing(server, app, token):
    App.objects.filter(pk=app.pk).update(suspended_at=timezone.now())
    status, body, _ = ask(refs(server, "shop"), token=token)
    assert (status, body) == (
        403,
        b"shop is suspended by an operator. Ask an operator of this Slipway to reinstate it.\n",
    )


def test_an_app_is_found_by_its_name_alone(server, app, token):
    assert ask(refs(server, str(app.pk)), token=token)[0] == 404
    assert ask(refs(server, "SHOP"), token=token)[0] == 404


@pytest.mark.parametrize(
    "path", ["HEAD", "config", "objects/info/packs", "info/refs", "info/refs?service=git-x", ""]
)
def test_there_is_no_other_way_in(server, app, token, path):
    assert ask(f"{server.url}/shop.git/{path}", token=token)[0] in (403, 404)


def test_the_git_protocol_of_today_is_spoken(server, app, token):
    _, body, headers = ask(refs(server, "shop", "git-upload-pack"), token=token, Git_Protocol="version=2")
    assert headers["Content-Type"] == "application/x-git-upload-pack-advertisement"
    assert b"version 2" in body


def test_a_packed_request_is_unpacked(server, app, token):
    data = gzip.compress(b"0014command=ls-refs\n0000")
    status, body, _ = ask(
        f"{server.url}/shop.git/git-upload-pack",
        token=token,
        data=data,
        Content_Encoding="gzip",
        Content_Type="application/x-git-upload-pack-request",
        Git_Protocol="version=2",
    )
    assert (status, body) == (200, b"0000")


@pytest.mark.promise("I-46")
@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"not gzip", 400), (gzip.compress(b"0" * 2_000_000), 413)],
    ids=["no gzip", "a bomb"],
)
def test_a_request_that_unpacks_to_no_good_is_refused(server, app, token, settings, data, expected):
    settings.PUSH_BYTES = 1_000_000
    status, _, _ = ask(
        f"{server.url}/shop.git/git-receive-pack", token=token, data=data, Content_Encoding="gzip"
    )
    assert status == expected


def test_reading_makes_no_ref(server, app, token):
    ask(refs(server, "shop", "git-upload-pack"), token=token)
    assert repos.head(app, "refs/heads/main") is None


@pytest.mark.promise("I-46")
@pytest.mark.parametrize("head", ["Content-Length: 500000000", "Transfer-Encoding: chunked"])
def test_a_stranger_is_stopped_before_a_large_push_is_taken(server, app, stranger, head, settings):
    settings.BODY_BYTES = 1000
    credentials = base64.b64encode(f"x:{stranger}".encode()).decode()
    with socket.create_connection(("127.0.0.1", server.running.port), timeout=10) as connection:
        connection.sendall(
            f"POST /shop.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\n{head}\r\n"
            f"Authorization: Basic {credentials}\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")


def test_a_large_push_of_who_may_is_taken(repo, app, conductor):
    (repo.folder / "blob").write_bytes(os.urandom(3_000_000))
    repo.commit({}, "Large")
    status, output = repo.push()
    assert status == 0, output
    assert repos.head(app, "refs/heads/main") == repo.head


def test_a_large_source_is_taken_at_its_address_alone(server, alice, settings):
    settings.URL = server.url
    _, put_url, get_url = sources.create_source(alice)
    data = os.urandom(3_000_000)
    status = ask(f"{server.url}/_sources/src-nothing", data=data, method="PUT")[0]
    assert status == 403
    assert ask(put_url, data=data, method="PUT")[0] == 200
    assert ask(get_url)[1] == data


@pytest.mark.promise("I-32")
@pytest.mark.parametrize(
    ("scope", "fetch", "push"), [("identity", 403, 403), ("read", 200, 403), ("write", 200, 200)]
)
def test_a_token_fetches_and_pushes_only_within_its_scopes(server, app, alice, scope, fetch, push):
    secret = account_actions.create_token(alice, by=alice, scope=[scope])[1]
    assert ask(refs(server, "shop", "git-upload-pack"), token=secret)[0] == fetch
    assert ask(refs(server, "shop", "git-receive-pack"), token=secret)[0] == push
