"""What the CLI's ps:exec asks before it speaks SSH."""

import base64
import json

import asyncssh
import pytest

from accounts.actions import create_token
from accounts.models import ApiToken
from apps import dyno_keys
from apps.models import Dyno
from tests.factories import make_app

KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


@pytest.fixture
def listening(settings, tmp_path):
    settings.DATA = tmp_path
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ssh.json").write_text(json.dumps({"host": "127.0.0.9", "why": ""}))


@pytest.fixture
def web(team, listening):
    app = make_app("till", owner=team, released=True)
    return Dyno.objects.create(
        app=app, type="web", number=1, command="x", release_version=1, state="up", size="basic"
    )


@pytest.fixture
def ask(client):
    """Asks with an app's name and a token, as the CLI does."""

    def asking(user, path="/api/v2/web.1", body=None, *, app="till", scope=("global",), token=None):
        token = token or create_token(user, by=user, scope=scope)[1]
        basic = base64.b64encode(f"{app}:{token}".encode()).decode()
        send = {"Authorization": f"Basic {basic}"}
        if body is None:
            return client.get(path, headers=send)
        data = body if isinstance(body, str) else json.dumps(body)
        return client.put(path, data, content_type="application/json", headers=send)

    return asking


def test_a_key_gets_a_name_to_come_under(ask, web, bob):
    answer = ask(bob, body={"client_key": KEY})
    said = answer.json()
    assert answer.status_code == 200 and "no-store" in answer.headers["Cache-Control"]
    assert (said["tunnel_host"], said["dyno_ip"]) == ("127.0.0.9", "127.0.0.1")
    assert said["proxy_public_key"].startswith("ssh-ed25519 ")
    found = dyno_keys.find(said["client_user"])
    assert (found.app, found.dyno, found.by) == (str(web.app_id), "web.1", str(bob.pk))
    assert ApiToken.objects.get(pk=found.token).user == bob
    assert found.blob == asyncssh.import_public_key(KEY).public_data
    assert ask(bob, body={"client_key": KEY}).json()["client_user"] != said["client_user"]


def test_only_who_may_deploy_gets_one(ask, web, vera, charlie, bob):
    assert ask(vera, body={"client_key": KEY}).status_code == 403
    assert ask(charlie, body={"client_key": KEY}).status_code == 404
    assert ask(bob, body={"client_key": KEY}, scope=["write"]).status_code == 403
    assert ask(bob, body={"client_key": KEY}, token="nonsense").status_code == 401
    assert ask(bob, body={"client_key": KEY}, app="").status_code == 404
    assert ask(bob, "/api/v2/web.2", {"client_key": KEY}).json()["resource"] == "dyno"
    for name in ("..", "web.1%00", "%2e%2e%2fx", "'; rm -rf", "é" * 300):
        assert ask(bob, f"/api/v2/{name}", {"client_key": KEY}).status_code == 404


def test_what_is_no_key_is_turned_down(ask, web, bob):
    weak = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_public_key().decode()
    for key, why in (
        ("", "public key"),
        ("ssh-ed25519", "public key"),
        ("ssh-ed25519 AAAA", "public key"),
        (KEY.replace("ed25519", "rsa", 1), "public key"),
        ("x" * 30_000, "public key"),
        ("ssh-rsa é", "public key"),
        (None, "public key"),
        (weak, "too weak"),
    ):
        answer = ask(bob, body={"client_key": key})
        assert answer.status_code == 422 and why in answer.json()["message"], key
    assert ask(bob, body="[]").status_code == 422
    assert ask(bob, body="{").status_code == 400
    assert ask(bob, body={"client_key": KEY + " a comment"}).status_code == 200


def test_a_dyno_that_does_not_run_is_not_opened(ask, web, bob):
    Dyno.objects.update(state="crashed")
    answer = ask(bob, body={"client_key": KEY})
    assert answer.status_code == 422 and "crashed" in answer.json()["message"]


def test_it_lists_dynos_that_run(ask, web, vera, charlie):
    Dyno.objects.create(app=web.app, type="web", number=2, command="x", release_version=1, state="down")
    assert ask(vera, "/api/v2").json() == [{"dyno_name": "web.1"}]
    assert ask(charlie, "/api/v2").status_code == 404
    assert ask(vera, "/api/v2", scope=["identity"]).status_code == 403


def test_where_nobody_listens_it_says_why(ask, web, bob, settings, api):
    why = "127.0.0.2:80 can't be listened at: Permission denied"
    (settings.DATA / "run" / "ssh.json").write_text(json.dumps({"host": "", "why": why}))
    for answer in (ask(bob, body={"client_key": KEY}), ask(bob, "/api/v2")):
        assert answer.status_code == 503 and why in answer.json()["message"]
    answer = api.get("/apps/till/features/runtime-heroku-exec")
    assert answer.status_code == 404 and why in answer.json()["message"]


def test_the_feature_is_on_and_stays_on(web, as_bob):
    path = "/apps/till/features/runtime-heroku-exec"
    assert as_bob.get(path).json()["enabled"] is True
    assert path.rpartition("/")[2] in [one["name"] for one in as_bob.get("/apps/till/features").json()]
    assert as_bob.patch(path, {"enabled": True}).json()["enabled"] is True
    assert as_bob.patch(path, {"enabled": False}).status_code == 422


def test_other_methods_are_turned_down(web, client):
    assert client.post("/api/v2/web.1").status_code == 405
    assert client.put("/api/v2").status_code == 405
    assert client.get("/api/v2").status_code == 401
