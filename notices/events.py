"""What there is to tell of, in the order in which pages list it."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import Refusal


@dataclass(frozen=True)
class Event:
    """`usual`: a new channel is told of it unless somebody says otherwise. `tone` is its colour: ok, warn, bad, idle."""

    word: str
    title: str
    tone: str
    usual: bool = True


EVENTS = (
    Event("build-failed", "A build fails", "bad"),
    Event("release-failed", "A release fails", "bad"),
    Event("promoted", "A promotion reaches its apps", "ok"),
    Event("promotion-failed", "A promotion fails", "bad"),
    Event("rolled-back", "Somebody rolls an app back", "warn"),
    Event("rolled-back-alone", "An app is rolled back by itself", "bad"),
    Event("approval-asked", "An approval is asked for", "warn"),
    Event("held", "A line is held", "warn"),
    Event("lifted", "A hold is lifted", "ok"),
    Event("freeze-began", "A freeze begins", "idle"),
    Event("freeze-ended", "A freeze ends", "idle"),
    Event("tests-failed", "Tests fail", "bad"),
    Event("tests-fixed", "Tests pass again", "ok"),
    Event("review-failed", "A review app fails", "bad", usual=False),
    Event("alert-on", "An alert of an app comes on", "bad"),
    Event("alert-off", "An alert goes off again", "ok", usual=False),
    Event("dynos-at-most", "Autoscaling comes to the most dynos", "warn", usual=False),
    Event("plan-offered", "slipway.yml asks for other settings", "warn"),
)
TEST, SUMMARY = "test", "summary"  # nobody chooses these
OF_WORD = {event.word: event for event in EVENTS}
USUAL = tuple(event.word for event in EVENTS if event.usual)


def checked(words: Iterable[str]) -> list[str]:
    """`words` in the usual order and each once; `Refusal` when one is none."""
    wanted = set(words)
    unknown = sorted(wanted - set(OF_WORD))
    if unknown:
        text = f"There is no event called {', '.join(unknown)[:80]}. There are: {', '.join(OF_WORD)}."
        raise Refusal(text, fields={"events": text})
    return [word for word in OF_WORD if word in wanted]
