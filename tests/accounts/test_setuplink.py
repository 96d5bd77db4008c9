"""The way in to an installation that nobody has an account of yet."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command


def test_the_link_creates_the_first_account_and_there_is_no_second_one(db, client, settings):
    text = StringIO()
    call_command("setuplink", stdout=text)
    url = text.getvalue().strip()
    assert url.startswith(f"{settings.URL}/setup/")
    path = url.removeprefix(settings.URL)
    assert client.get(path).status_code == 200
    client.post(path, {"email": "first@example.com", "password": "a fine long password"})
    with pytest.raises(CommandError, match="signinlink EMAIL"):
        call_command("setuplink")
