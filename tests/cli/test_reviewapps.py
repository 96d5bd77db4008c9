"""Review apps from the stock command line."""

from tests.cli.conftest import squeezed
from tests.conftest import eventually
from tests.platform.harness import commit


def test_enable_create_wait_and_disable(heroku, platform):
    heroku("create", "example-review-app", "--remote", "review")
    heroku("pipelines:create", "reviewed", "-a", "example-review-app", "-s", "staging")
    assert "Released" in heroku.run("git", "push", "review", "main")
    heroku.run("git", "checkout", "-q", "-b", "feature")
    commit(heroku.folder, "A feature")
    heroku.run("git", "push", "review", "feature")

    assert "done" in squeezed(heroku("reviewapps:enable", "-p", "reviewed", "--autodestroy", "--autodeploy"))
    pipeline = platform.api("GET", "/pipelines/reviewed")["id"]
    config = platform.api("GET", f"/pipelines/{pipeline}/review-app-config")
    assert config["automatic_review_apps"] and config["destroy_stale_apps"]

    said = heroku("reviewapps:create", "-p", "reviewed", "-b", "feature", "--wait")
    assert "Creating review app from feature... done" in said
    (row,) = platform.api("GET", f"/pipelines/{pipeline}/review-apps")
    app = platform.api("GET", f"/apps/{row['app']['id']}")
    heroku("reviewapps:wait", app["name"])
    assert platform.get(app["name"])[0] == 200
    assert "doesn't exist" in heroku("reviewapps:create", "-p", "reviewed", "-b", "nowhere", status=1)

    heroku("reviewapps:disable", "-p", "reviewed", "--no-autodeploy")
    assert not platform.api("GET", f"/pipelines/{pipeline}/review-app-config")["automatic_review_apps"]
    heroku("reviewapps:disable", "-p", "reviewed")
    platform.api("GET", f"/pipelines/{pipeline}/review-app-config", status=404)
    platform.api("DELETE", f"/review-apps/{row['id']}")
    eventually(lambda: platform.api("GET", f"/review-apps/{row['id']}")["status"] == "deleted", 90, 0.5)
