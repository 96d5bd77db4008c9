"""Review apps as the conductor makes, builds and destroys them, with real builds and dynos."""

import json

from addons.models import Addon
from apps.models import App
from conductor import cleaning
from core.models import Event
from pipelines import stages
from pipelines.models import Stage
from reviews import actions
from reviews.models import AppSetup
from tests.conductor.conftest import SERVER_PY
from tests.conftest import eventually
from tests.reviews.conftest import commit

SERVER = "web: exec python3 -S server.py"
APP_JSON = {
    "env": {"GREETING": "hello", "TOKEN": {"generator": "secret"}, "SHARED": "of app.json"},
    "formation": {"web": {"quantity": 1, "size": "eco"}, "ghost": {"quantity": 1}},
    "addons": ["heroku-postgresql"],
    "scripts": {"postdeploy": "echo seeded $SHARED", "pr-predestroy": "echo farewell"},
    "environments": {"review": {"env": {"GREETING": "review"}}},
}


def push(origin, tmp_path, branch="feature", app_json=None, **files):
    text = json.dumps(APP_JSON if app_json is None else app_json)
    return commit(
        origin, tmp_path, branch, **{"Procfile": SERVER, "server.py": SERVER_PY, "app.json": text, **files}
    )


def come_to(row, *states, seconds=60):
    def check():
        row.refresh_from_db()
        return row.state in states

    try:
        eventually(check, seconds)
    except AssertionError:
        setup = row.setup
        raise AssertionError(
            f"{row.state}: {row.message} {setup and (setup.status, setup.step, setup.failure)}"
        ) from None
    return row


def lines(platform, app):
    return "\n".join(platform.lines(app.log_stream))


def test_a_branch_becomes_an_app_as_its_app_json_says_and_goes_again(
    platform, reviewing, origin, alice, tmp_path, shelf
):
    sha = push(origin, tmp_path)
    stage = Stage.objects.get(pipeline=reviewing, word="review")
    stages.set_vars(stage, {"SHARED": "of the pipeline"}, by=alice)
    [row] = actions.create(reviewing, "feature", by=alice)
    come_to(row, "created", "errored")
    assert row.state == "created", row.message
    app = row.app
    assert (app.ephemeral, app.owner, app.coupling.stage.word) == ("review", reviewing.owner, "review")
    config = app.releases.get(current=True).config
    assert (
        config["SHARED"] == "of the pipeline"
        and config["GREETING"] == "review"
        and len(config["TOKEN"]) == 128
    )
    assert config["HEROKU_APP_NAME"] == app.name and config["HEROKU_BRANCH"] == "feature"
    assert "HEROKU_PR_NUMBER" not in config and "DATABASE_URL" in config
    assert {line.type: line.size for line in app.formation.all()} == {"web": "eco"}
    assert row.commit == row.built_commit == sha == app.releases.get(current=True).slug.commit
    assert row.setup.postdeploy_code == 0 and row.setup.postdeploy_output == "seeded of the pipeline\n"
    assert app.name.startswith("shop-feature-")

    again = push(origin, tmp_path, note="2")
    actions.move_to([row], again)
    eventually(lambda: app.releases.filter(current=True, slug__commit=again).exists(), 60)
    assert AppSetup.objects.filter(app=app).count() == 1

    actions.destroy(row, by=alice)
    eventually(lambda: "farewell" in lines(platform, app), 30)
    eventually(lambda: App.objects.filter(pk=app.pk, destroyed_at__isnull=False).exists(), 30)
    eventually(lambda: _cleared(platform, app), 30)
    come_to(row, "deleted")
    assert row.status == "ended" and row.app is None and not Addon.objects.exists()
    assert not Event.objects.filter(details__icontains="of the pipeline").exists()


def _cleared(platform, app):
    cleaning.clear_destroyed(platform.conductor.parts)
    return not App.objects.filter(pk=app.pk).exists()
