"""Signing in and out, tokens, and what the account has."""

import re
import sys

from tests.cli.conftest import squeezed


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


def test_regions_and_status(heroku):
    assert "local" in heroku("regions")
    assert "Apps:" in heroku("status")


# Signs in as a person does, and says yes to the question whose address it is given.
BROWSER = """#!{python}
import http.cookiejar, re, ssl, sys, urllib.parse, urllib.request
url = sys.argv[1]
origin = "{{0.scheme}}://{{0.netloc}}".format(urllib.parse.urlsplit(url))
tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile="{ca}"))
jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
opener = urllib.request.build_opener(tls, jar)
opener.addheaders = [("Referer", origin + "/")]

def post(path, page, **fields):
    fields["csrfmiddlewaretoken"] = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    return opener.open(origin + path, urllib.parse.urlencode(fields).encode()).read().decode()

door = opener.open(url).read().decode()
post("/sign-in/", door, email="alice@example.com", login="alice@example.com", password="a fine long password")
page = opener.open(url).read().decode()
post(re.search('action="([^"]+/approval/)"', page)[1], page)
"""


def test_log_in_with_a_browser(make_shell, tmp_path):
    shell = make_shell()
    browser = tmp_path / "browser"
    browser.write_text(BROWSER.format(python=sys.executable, ca=shell.env["NODE_EXTRA_CA_CERTS"]))
    browser.chmod(0o755)
    said = shell.at_terminal("login", f"--browser={browser}", answers={"Press any key": "x"})
    assert "Logged in as" in said, said
    assert shell("whoami") == "alice@example.com"


def test_keys_are_kept_and_open_nothing(heroku):
    assert "no SSH keys" in heroku("keys")
    for name in ("laptop", "desktop"):
        file = heroku.folder / f"{name}.pub"
        heroku.run(
            "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"me@{name}", "-f", str(file.with_suffix(""))
        )
        assert "git uses HTTPS" in heroku("keys:add", str(file), "--yes")
    listed = heroku("keys")
    assert "me@laptop" in listed and "me@desktop" in listed
    heroku("keys:remove", "me@laptop")
    assert "me@laptop" not in heroku("keys")
    heroku("keys:clear")
    assert "no SSH keys" in heroku("keys")


def test_a_token_does_no_more_than_its_scope(heroku, make_shell):
    heroku("create", "scoped", "--no-remote")
    made = heroku("authorizations:create", "-d", "reader", "-s", "read")
    reader = make_shell(re.search(r"Token:\s+(\S+)", made)[1])
    assert "Scope:       read" in made
    assert "scoped" in reader("apps:info", "-a", "scoped")
    assert "needs read-protected" in squeezed(reader("config", "-a", "scoped", status=2))
    assert "needs write" in squeezed(reader("maintenance:on", "-a", "scoped", status=2))


def test_programs(heroku):
    made = heroku("clients:create", "Bot", "https://bot.example.com/back")
    ref = re.search(r"HEROKU_OAUTH_ID=(\S+)", made)[1]
    secret = re.search(r"HEROKU_OAUTH_SECRET=(\S+)", made)[1]
    assert "Bot" in heroku("clients")
    assert secret not in heroku("clients:info", ref)
    heroku("clients:update", ref, "-n", "Robot")
    assert "Robot" in heroku("clients")
    assert secret not in heroku("clients:rotate", ref, "--shell")
    heroku("clients:destroy", ref)
    assert "No OAuth clients" in heroku("clients")


def test_sessions(heroku):
    assert "Python" in heroku("sessions") or "browser" in heroku("sessions")
