"""Signing in and out, tokens, and what the account has."""

import re


def test_log_in_with_a_password_and_out_again(make_shell, platform):
    shell = make_shell()
    assert "not logged in" in shell("whoami", status=100)
    answers = {"Email": "alice@example.com\r", "Password": "a fine long password\r"}
    assert "Logged in as" in shell.at_terminal("login", "-i", answers=answers)
    assert shell("whoami") == "alice@example.com"
    shell("create", "by-password", "--no-remote")
    assert "Heroku CLI login" in shell("authorizations")
    shell("logout")
    assert "not logged in" in shell("whoami", status=100)


def test_a_wrong_password_is_told(make_shell):
    shell = make_shell()
    answers = {"Email": "alice@example.com\r", "Password": "not the password\r"}
    assert "does not match" in shell.at_terminal("login", "-i", answers=answers)
    assert shell.status != 0


def test_tokens_come_and_go(heroku, make_shell, platform):
    made = heroku("authorizations:create", "-d", "for a script", "-e", "3600")
    token = re.search(r"Token:\s+(\S+)", made)[1]
    ref = re.search(r"ID:\s+(\S+)", made)[1]
    script = make_shell(token)
    assert script("whoami") == "alice@example.com"
    assert script("auth:token").splitlines()[-1] == token
    assert "for a script" in heroku("authorizations:info", ref)
    heroku("authorizations:update", ref, "-d", "renamed")
    rotated = re.search(r"Token:\s+(\S+)", heroku("authorizations:rotate", ref))[1]
    assert "invalid" in script("apps", status=1)
    assert make_shell(rotated)("whoami") == "alice@example.com"
    assert "renamed" in heroku("authorizations:revoke", ref)
    assert "invalid" in make_shell(rotated)("apps", status=1)


def test_what_the_account_has_none_of_is_said(heroku):
    assert "no SSH keys" in heroku("keys")
    assert "No OAuth sessions" in heroku("sessions")
    assert "local" in heroku("regions")
    assert "Apps:" in heroku("status")
    assert "git over HTTPS only" in heroku("keys:add", str(_key(heroku)), status=2)


def _key(heroku):
    path = heroku.folder / "id.pub"
    path.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFake a@b\n")
    return path
