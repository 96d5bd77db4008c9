"""Programs of others: OAuth 2 with authorization codes (RFC 6749), PKCE (RFC 7636) and tokens that are renewed.

A program is registered by somebody, sends people to the page where they consent, and gets a code there. With the code
and its own secret it fetches a token that acts as them, within the scope that they have agreed to.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import scopes
from accounts.models import ApiToken, OAuthClient, OAuthCode, User
from core import activity, live, secrets
from core.errors import NotFound, Refusal

CODE_MINUTES = 5
TOKEN_SECONDS = 8 * 3600
MOST_CLIENTS = 100
MOST_STATE = 2000


# --- programs ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_client(name: str, redirect_uri: str, *, by: User) -> tuple[OAuthClient, str]:
    """Register a program; returns it and its secret, which is never to be seen again."""
    if OAuthClient.objects.filter(user=by).count() >= MOST_CLIENTS:
        raise Refusal(f"You have registered {MOST_CLIENTS} programs, which is the limit.")
    secret = secrets.new_token("client")
    client = OAuthClient.objects.create(
        user=by,
        name=_name(name),
        redirect_uri=_address(redirect_uri),
        digest=secrets.digest(secret),
        hint=secret[-4:],
    )
    activity.record(by, "registered", client, redirect_uri=client.redirect_uri)
    return client, secret


@transaction.atomic
def update_client(
    client: OAuthClient, *, name: str | None, redirect_uri: str | None, by: User
) -> OAuthClient:
    """Change a program's name or where it takes people back to; None: it stays."""
    before = {"name": client.name, "redirect_uri": client.redirect_uri}
    client.name = client.name if name is None else _name(name)
    client.redirect_uri = client.redirect_uri if redirect_uri is None else _address(redirect_uri)
    client.save(update_fields=["name", "redirect_uri", "updated_at"])
    after = {"name": client.name, "redirect_uri": client.redirect_uri}
    activity.record(by, "changed", client, before=before, after=after)
    return client


@transaction.atomic
def rotate_client(client: OAuthClient, *, by: User) -> str:
    """Give a program a new secret, which is returned; the old one ends at once. What it was granted stays."""
    secret = secrets.new_token("client")
    client.digest, client.hint = secrets.digest(secret), secret[-4:]
    client.save(update_fields=["digest", "hint", "updated_at"])
    activity.record(by, "rotated the secret of", client)
    return secret


@transaction.atomic
def delete_client(client: OAuthClient, *, by: User) -> None:
    """Forget a program, with all that people have granted it."""
    holders = set(client.tokens.values_list("user_id", flat=True))
    activity.record(by, "deleted", client, authorizations=len(holders))
    client.delete()
    for holder in holders:
        live.tell(f"user:{holder}")


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 100:
        raise Refusal("A program's name has 1 to 100 characters.", fields={"name": "1 to 100 characters."})
    return name


def _address(text: str) -> str:
    """An address to send people back to: HTTPS, or HTTP on their own machine."""
    said = "Give an https address without a fragment; http is for localhost only."
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Refusal(said, fields={"redirect_uri": said}) from error
    local = parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")
    plain = (
        re.fullmatch(r"[!-~]{1,500}", text) and not parts.fragment and "\\" not in text and not parts.username
    )
    if not (plain and re.fullmatch(r"[\w.:-]+", host) and (local or parts.scheme == "https")):
        raise Refusal(said, fields={"redirect_uri": said})
    return text


# --- consent ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """What a program asks a person, as its link says."""

    client: OAuthClient
    scope: list[str]
    state: str
    challenge: str
    fields: dict[str, str]  # the link's own, to be asked again with

    @property
    def wants(self) -> list[str]:
        """What it wants to do, in words."""
        return [scopes.SCOPES[one] for one in self.scope]

    @property
    def host(self) -> str:
        """Where the person is sent back to."""
        return urlsplit(self.client.redirect_uri).netloc

    def back(self, **answer: str) -> str:
        """The address to send the person back to, with the answer."""
        query = urlencode({**answer, **({"state": self.state} if self.state else {})})
        return f"{self.client.redirect_uri}{'&' if urlsplit(self.client.redirect_uri).query else '?'}{query}"


ASKED = (
    "client_id", "response_type", "scope", "state", "redirect_uri", "code_challenge", "code_challenge_method",
)  # fmt: skip


def question(link: Mapping[str, Any]) -> Question:
    """What the parameters of a link ask. `Refusal` for a link that is wrong: nobody is sent anywhere by it."""
    fields = {name: str(link[name]) for name in ASKED if link.get(name)}
    try:
        client = (
            OAuthClient.objects.select_related("user").filter(pk=UUID(fields.get("client_id", ""))).first()
        )
    except ValueError:
        client = None
    if client is None or not client.user.is_active:
        raise NotFound("The program that sent you here is not registered on this Slipway.")
    problem = _problem(client, fields)
    if problem:
        raise Refusal(f"{client.name} sent you here with a link that is wrong: {problem}.")
    return Question(
        client=client,
        scope=scopes.checked(re.split(r"[\s,]+", fields["scope"].strip()) if fields.get("scope") else []),
        state=fields.get("state", ""),
        challenge=fields.get("code_challenge", ""),
        fields=fields,
    )


def _problem(client: OAuthClient, fields: Mapping[str, str]) -> str:
    if fields.get("response_type") != "code":
        return "its response_type is not code"
    if fields.get("redirect_uri", client.redirect_uri) != client.redirect_uri:
        return "its redirect_uri is not the one that is registered"
    if len(fields.get("state", "")) > MOST_STATE:
        return f"its state is longer than {MOST_STATE} characters"
    challenge = fields.get("code_challenge", "")
    if challenge and (
        fields.get("code_challenge_method") != "S256" or not re.fullmatch(r"[\w-]{43}", challenge)
    ):
        return "its code_challenge is not one of S256"
    return ""


@transaction.atomic
def consent(asked: Question, *, by: User) -> str:
    """Let a program act as `by` within the scope that it asks for; returns the code that it fetches its token with."""
    OAuthCode.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
    code = secrets.new_token("code")
    OAuthCode.objects.create(
        digest=secrets.digest(code),
        client=asked.client,
        user=by,
        scope=asked.scope,
        redirect_uri=asked.fields.get("redirect_uri", ""),
        challenge=asked.challenge,
    )
    activity.record(by, "authorized", asked.client, scope=asked.scope)
    return code


# --- tokens -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Granted:
    """What a program gets: a token with its secret, and the secret that renews it."""

    token: ApiToken
    secret: str
    refresh: str


def exchange(code: str, *, client_id: str, secret: str, verifier: str, redirect_uri: str) -> Granted:
    """The token that `code` stands for, once. A code that comes again ends what it was spent on, since then somebody
    else has it too. `Refusal` as RFC 6749 names them."""
    with transaction.atomic():
        row = OAuthCode.objects.select_for_update(of=("self",)).select_related("client", "user").filter(
            digest=secrets.digest(code)
        ).first()  # fmt: skip
        _demand_client(row.client if row else None, client_id, secret)
        assert row is not None
        if row.token_id is None:
            _demand_fresh(row, verifier, redirect_uri)
            granted = _grant(row)
            OAuthCode.objects.filter(pk=row.pk).update(token=granted.token)
            return granted
        _end(row.token)
    raise _wrong("This code was used already.")


def _demand_fresh(row: OAuthCode, verifier: str, redirect_uri: str) -> None:
    if row.created_at < timezone.now() - timedelta(minutes=CODE_MINUTES) or not row.user.is_active:
        raise _wrong("This code has expired.")
    if row.redirect_uri and redirect_uri != row.redirect_uri:
        raise _wrong("The redirect_uri is not the one that the code was asked for with.")
    proof = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    if row.challenge and not hmac.compare_digest(proof, row.challenge):
        raise _wrong("The code_verifier does not fit.")


def _grant(row: OAuthCode) -> Granted:
    secret, refresh = secrets.new_token("SLWY"), secrets.new_token("refresh")
    token = ApiToken.objects.create(
        user=row.user,
        client=row.client,
        description=row.client.name,
        scope=row.scope,
        digest=secrets.digest(secret),
        hint=secret[-4:],
        refresh_digest=secrets.digest(refresh),
        expires_at=timezone.now() + timedelta(seconds=TOKEN_SECONDS),
    )
    activity.record(row.user, "created", token, client=row.client.name)
    return Granted(token, secret, refresh)


@transaction.atomic
def refresh(refresh: str, *, client_id: str, secret: str) -> Granted:
    """Renew a token: it gets a new secret for some hours, and the old one ends. `Refusal` as RFC 6749 names them."""
    rows = ApiToken.objects.standing().select_related("client", "user").filter(client__isnull=False)
    row = rows.filter(refresh_digest=secrets.digest(refresh)).first()
    _demand_client(row.client if row else None, client_id, secret)
    assert row is not None
    fresh = secrets.new_token("SLWY")
    row.digest, row.hint = secrets.digest(fresh), fresh[-4:]
    row.expires_at = timezone.now() + timedelta(seconds=TOKEN_SECONDS)
    still = ApiToken.objects.filter(pk=row.pk, revoked_at__isnull=True)
    if not still.update(digest=row.digest, hint=row.hint, expires_at=row.expires_at):
        raise _wrong("It was revoked.")
    return Granted(row, fresh, refresh)


def _end(token: ApiToken | None) -> None:
    if token is not None:
        ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
        activity.record(None, "revoked", token, why="its code came a second time")
        live.tell(f"user:{token.user_id}")


def _demand_client(client: OAuthClient | None, client_id: str, secret: str) -> None:
    """Whether the program that asks is the one that was granted something. Nothing there and not yours are the same."""
    if client is None:
        raise _wrong("It is unknown, was used up, or was revoked.")
    if not hmac.compare_digest(secrets.digest(secret), client.digest) or (
        client_id and client_id != str(client.pk)
    ):
        raise Refusal("The program's id or secret is wrong.", id="invalid_client", status=401)


def _wrong(message: str) -> Refusal:
    return Refusal(message, id="invalid_grant", status=400)
