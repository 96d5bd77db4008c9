"""`adduser` and `token`, as an operator calls them."""

from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command

from accounts.models import ApiToken, User


def test_adduser_makes_an_account_that_can_sign_in(db, tmp_path):
    (tmp_path / "pw").write_text("a fine long password\n")
    call_command(
        "adduser", "Dana@Example.com", password_file=str(tmp_path / "pw"), operator=True, stdout=StringIO()
    )
    user = User.objects.get()
    assert (user.email, user.is_staff) == ("dana@example.com", True)
    assert user.check_password("a fine long password")


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [
        ("dana", "a fine long password", "not an e-mail address"),
        ("dana@example.com", "short", "too short"),
        ("alice@example.com", "a fine long password", "has an account"),
    ],
)
def test_adduser_says_what_is_wrong(alice, tmp_path, email, password, says):
    (tmp_path / "pw").write_text(password)
    with pytest.raises(CommandError, match=says):
        call_command("adduser", email, password_file=str(tmp_path / "pw"))
    assert User.objects.count() == 1


def test_adduser_without_a_readable_file(db, tmp_path):
    with pytest.raises(CommandError, match="can't be read"):
        call_command("adduser", "dana@example.com", password_file=str(tmp_path / "none"))


def test_token_prints_a_working_secret_as_its_last_line(alice):
    out = StringIO()
    call_command("token", "alice@example.com", stdout=out)
    secret = out.getvalue().strip().splitlines()[-1]
    assert ApiToken.objects.presented(secret).user == alice
    assert secret not in str(ApiToken.objects.values())


def test_no_token_for_nobody(db):
    with pytest.raises(CommandError, match="Nobody here"):
        call_command("token", "nobody@example.com")


def test_signinlink_prints_a_link_that_works_once(alice, client):
    said = StringIO()
    call_command("signinlink", "Alice@Example.com", stdout=said)
    path = said.getvalue().split()[0].partition("/setup")
    assert client.post(f"/setup{path[2]}").status_code == 303
    assert client.session["_auth_user_id"] == str(alice.pk)
    assert client.post(f"/setup{path[2]}").status_code == 404


def test_signinlink_knows_only_who_may_sign_in(alice):
    with pytest.raises(CommandError, match="Nobody who may sign in"):
        call_command("signinlink", "nobody@example.com")


def test_address_gives_someone_another_one(alice, client):
    call_command("address", "alice@example.com", "Alice@new.example", stdout=StringIO())
    good = {"email": "alice@new.example", "password": "a fine password"}
    assert client.post("/sign-in/", good).status_code == 303
    assert [row.email for row in EmailAddress.objects.filter(user=alice)] == ["alice@new.example"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("nobody@example.com", "x@example.com", "Nobody has"),
        ("alice@example.com", "nonsense", "not an e-mail"),
        ("alice@example.com", "Bob@example.com", "Somebody else"),
    ],
)
def test_address_says_what_is_wrong(alice, bob, old, new, says):
    with pytest.raises(CommandError, match=says):
        call_command("address", old, new)
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
