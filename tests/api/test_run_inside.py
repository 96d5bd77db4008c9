"""Commands inside a dyno that runs."""

import pytest

from apps.models import Dyno
from tests.factories import make_app


@pytest.fixture
def web(team):
    app = make_app("till", owner=team, released=True)
    return Dyno.objects.create(
        app=app, type="web", number=1, command="x", release_version=1, state="up", size="basic"
    )


def test_it_is_a_one_off_dyno_in_the_walls_of_another(as_bob, web, bob):
    answer = as_bob.post(
        "/apps/till/dynos/web.1", {"command": "bash", "env": {"TERM": "xterm", "COLUMNS": 90}}
    )
    assert answer.status_code == 201 and "/rendezvous-" in answer.json()["attach_url"]
    row = Dyno.objects.get(one_off=True)
    assert (row.inside, row.command, row.size, row.attached, row.by) == (
        web.incarnation,
        "bash",
        "basic",
        "tty",
        bob,
    )
    assert row.env["COLUMNS"] == "90"
    assert as_bob.get(f"/apps/till/dynos/{row.name}").json()["type"] == "run"


def test_only_who_may_deploy_gets_in(as_vera, as_charlie, web):
    assert as_vera.post("/apps/till/dynos/web.1", {"command": "bash"}).status_code == 403
    assert as_charlie.post("/apps/till/dynos/web.1", {"command": "bash"}).status_code == 404
    assert Dyno.objects.count() == 1


def test_a_dyno_that_does_not_run_lets_nobody_in(api, web):
    assert api.post("/apps/till/dynos/web.2", {"command": "bash"}).json()["resource"] == "dyno"
    Dyno.objects.update(state="crashed")
    answer = api.post("/apps/till/dynos/web.1", {"command": "bash"})
    assert answer.status_code == 422 and "crashed" in answer.json()["message"]
    Dyno.objects.update(state="up")
    assert api.post("/apps/till/dynos/web.1", {"command": " "}).status_code == 422


def test_who_asks_for_ssh_is_told_of_the_other_way(api, web):
    answer = api.get("/apps/till/features/runtime-heroku-exec")
    assert answer.status_code == 404 and "run:inside" in answer.json()["message"]
