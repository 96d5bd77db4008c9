"""`heroku login`: the CLI asks, its person says yes in a browser, the CLI fetches a token. Each step once."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import actions
from accounts.models import CliSignIn, User
from core import secrets
from core.errors import Conflict, NotFound, Refusal
from core.text import is_text

MINUTES = 10
TOKEN_DAYS = 30
MOST_WAITING = 10_000
MOST_OF_ONE_ADDRESS = 20  # so that nobody can use up all of them


def ask(description: str, *, address: str | None) -> tuple[CliSignIn, str]:
    """A CLI asks to be let in; returns the question, and the secret that its answer is fetched with."""
    if not is_text(description):
        raise Refusal("The description has a NUL or half a character in it.", status=400, id="bad_request")
    CliSignIn.objects.filter(created_at__lt=timezone.now() - timedelta(minutes=MINUTES)).delete()
    mine = CliSignIn.objects.filter(address=address or "").count()
    if mine >= MOST_OF_ONE_ADDRESS or CliSignIn.objects.count() >= MOST_WAITING:
        raise Refusal(
            "Too many sign-ins are waiting. Try again in some minutes.", id="rate_limit", status=429
        )
    secret = secrets.new_token("cli")
    question = CliSignIn.objects.create(
        description=" ".join(description.split())[:200] or "Heroku CLI",
        address=address or "",
        digest=secrets.digest(secret),
    )
    return question, secret


def waiting(ref: UUID) -> CliSignIn:
    """The question, while it can be answered."""
    since = timezone.now() - timedelta(minutes=MINUTES)
    found = CliSignIn.objects.filter(pk=ref, token=None, refused=False, created_at__gt=since).first()
    if found is None:
        raise NotFound("This sign-in was answered already, or waited too long. Run heroku login again.")
    return found


@transaction.atomic
def approve(question: CliSignIn, *, by: User) -> None:
    """Let the CLI that asked in, as `by`: it gets a token that is good for 30 days."""
    token, secret = actions.create_token(
        by, question.description, by=by, expires_at=timezone.now() + timedelta(days=TOKEN_DAYS)
    )
    sealed = secrets.seal(secret.encode(), to=question.bound_to)
    still = CliSignIn.objects.filter(pk=question.pk, token=None, refused=False)
    if not still.update(token=token, sealed=sealed):
        raise Conflict("This sign-in was answered already.")


def refuse(question: CliSignIn) -> None:
    """Tell the CLI that asked that nobody here did."""
    CliSignIn.objects.filter(pk=question.pk, token=None).update(refused=True)


def answer(ref: UUID, secret: str) -> dict[str, str] | None:
    """What the CLI is told: its token, once, or why there is none; None while nobody has answered."""
    row = CliSignIn.objects.filter(pk=ref, digest=secrets.digest(secret)).first()
    if row is None:
        return {"error": "This sign-in is over. Run heroku login again."}
    if row.refused:
        row.delete()
        return {"error": "The sign-in was refused in the browser."}
    if row.token_id is None:
        return None
    if not CliSignIn.objects.filter(pk=row.pk).delete()[0]:
        return {"error": "The answer was fetched already."}
    return {"access_token": secrets.unseal(row.sealed, to=row.bound_to).decode()}
