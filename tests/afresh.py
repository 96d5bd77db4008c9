"""Signing in as if somebody had just typed their password, which some deeds ask for."""

from typing import Any


def sign_in_afresh(client: Any, user: Any) -> None:
    """Sign `user` in as if they had just typed their password, which some deeds ask for."""
    client.force_login(user)
    answer = client.post("/account/confirm/?next=/account/", {"password": "a fine password"})
    assert answer.status_code == 302, answer.text
