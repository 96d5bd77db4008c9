"""People of a team and their apps, and what comes after a mishap."""

import pytest

from tests.cli.conftest import squeezed


@pytest.fixture(scope="module")
def bob(platform, make_shell, tmp_path_factory):
    """Bob's shell; he is in Alice's team, which has an app."""
    email = "bob@example.com"
    password = tmp_path_factory.mktemp("bob") / "password"
    password.write_text("another fine password")
    platform.manage("adduser", email, "--password-file", str(password))
    return make_shell(platform.manage("token", email).stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module", autouse=True)
def crew(platform, heroku, bob):
    platform.manage(
        "shell", "-c",
        "from accounts.models import User; from accounts import actions\n"
        "alice = User.objects.get(email='alice@example.com'); bob = User.objects.get(email='bob@example.com')\n"
        "team = actions.create_team('crew', by=alice); actions.set_role(team, bob, 'member', by=alice)",
    )  # fmt: skip
    heroku("create", "boat", "--team", "crew")
    heroku.run("git", "push", "heroku", "main")


def test_members_change_roles(heroku):
    heroku("members:set", "bob@example.com", "--role", "admin", "--team", "crew")
    assert "bob@example.com admin" in squeezed(heroku("members", "--team", "crew"))
    heroku("members:set", "bob@example.com", "--role", "member", "--team", "crew")
    assert "bob@example.com member" in squeezed(heroku("members", "--team", "crew"))


def test_a_locked_app_is_for_those_who_had_joined(heroku, bob):
    heroku("apps:lock", "-a", "boat")
    assert "locked" in bob("join", "-a", "boat", status=2)
    assert "right to operate" in bob("maintenance:off", "-a", "boat", status=2)
    heroku("apps:unlock", "-a", "boat")
    bob("join", "-a", "boat")
    heroku("apps:lock", "-a", "boat")
    bob("maintenance:off", "-a", "boat")
    bob("leave", "-a", "boat")
    assert "right to operate" in bob("maintenance:off", "-a", "boat", status=2)
    heroku("apps:unlock", "-a", "boat")


def test_a_clone_of_an_app(heroku, bob):
    bob("git:clone", "-a", "boat", "copy")
    assert (bob.folder / "copy" / "server.py").exists()
    assert "boat.git" in bob.run("git", "-C", "copy", "remote", "-v")


def test_a_failed_release_is_tried_again(heroku):
    heroku("releases:retry", "-a", "boat")
    listed = heroku("releases", "-a", "boat")
    assert "Retry" in listed
    assert "migrated" in heroku("releases:output", "-a", "boat")


def test_a_pipeline_changes_hands(heroku):
    heroku("pipelines:create", "fleet", "-a", "boat", "-s", "production")
    heroku("pipelines:transfer", "crew", "-p", "fleet", "-c", "fleet")
    assert "owner: crew (team)" in squeezed(heroku("pipelines:info", "fleet"))
