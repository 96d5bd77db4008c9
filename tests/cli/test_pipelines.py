"""Pipelines as a tutorial has them."""

import re

from tests.cli.conftest import squeezed


def test_create_add_promote_and_diff(heroku, platform):
    heroku("create", "example-staging-app", "--remote", "staging")
    heroku("create", "example-production-app", "--remote", "production")
    heroku("config:set", "GREETING=staging", "-a", "example-staging-app")
    heroku("config:set", "GREETING=production", "-a", "example-production-app")
    assert "Released" in heroku.run("git", "push", "staging", "main")

    heroku("pipelines:create", "example-pipeline", "-a", "example-staging-app", "-s", "development")
    heroku("pipelines:update", "-a", "example-staging-app", "-s", "staging")
    heroku("pipelines:add", "example-pipeline", "-a", "example-production-app", "-s", "production")
    info = squeezed(heroku("pipelines:info", "example-pipeline"))
    assert "owner: alice@example.com" in info
    assert re.search(r"example-staging-app staging", info) and re.search(
        r"example-production-app production", info
    )

    said = heroku("pipelines:promote", "-a", "example-staging-app")
    assert "Promotion successful" in said
    assert platform.get("example-production-app") == (200, "production from web.1")
    assert "Promote example-staging-app" in heroku("releases", "-a", "example-production-app")
    # The target's release phase ran, with the target's own config.
    assert "migrated production" in heroku("releases:output", "-a", "example-production-app")


def test_a_promotion_without_code_or_target_says_why(heroku):
    heroku("create", "example-empty-app", "--no-remote")
    heroku("pipelines:add", "example-pipeline", "-a", "example-empty-app", "-s", "development")
    assert "has not been deployed" in heroku("pipelines:promote", "-a", "example-empty-app", status=2)
    assert "Cannot promote" in heroku("pipelines:promote", "-a", "example-production-app", status=1)


def test_rename_remove_transfer_destroy(heroku, platform):
    heroku("pipelines:rename", "example-pipeline", "renamed-pipeline")
    assert "renamed-pipeline" in heroku("pipelines")
    assert "example-pipeline" not in heroku("pipelines")
    heroku("pipelines:remove", "-a", "example-empty-app")
    assert "example-empty-app" not in heroku("pipelines:info", "renamed-pipeline")
    heroku("pipelines:destroy", "renamed-pipeline")
    assert "not found" in heroku("pipelines:info", "renamed-pipeline", status=1)
    assert platform.get("example-production-app") == (200, "production from web.1")  # its apps stay
