"""What a notice says, written from the rows when it is sent: plain text, whose look is the business of `formats`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.apps import apps as registry
from django.conf import settings
from django.db.models import Model
from django.urls import reverse

from notices.events import OF_WORD, TEST
from notices.models import Channel, Notice
from pipelines.models import Promotion, PromotionTarget
from releases.commits import clean
from releases.models import Build, Release

LONGEST = 300  # characters of what others wrote


@dataclass(frozen=True)
class Story:
    """A notice in words. `facts` are (name, text); `url` leads to the page where one can do something about it."""

    title: str
    facts: tuple[tuple[str, str], ...]
    url: str
    link: str
    tone: str = "idle"

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return "\n".join([self.title, *(f"{name}: {text}" for name, text in self.facts), "", self.url])


class Stale(Exception):
    """There is nothing to tell any more; the message says why."""


Teller = Callable[[Any, Notice], Story]


def story_of(notice: Notice) -> Story:
    """What there is to say. `Stale` when it is not so any more."""
    row = _row(notice)
    told = TELLERS[notice.event](row, notice)
    facts = tuple((name, plain(text)) for name, text in told.facts if text)
    tone = OF_WORD[notice.event].tone if notice.event in OF_WORD else told.tone
    return Story(plain(told.title), facts, told.url, told.link, tone)


def plain(text: str) -> str:
    """On one line, of a length that a chat takes, without what turns the direction of writing."""
    line = " ".join(clean(str(text)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def page(name: str, *args: Any, fragment: str = "") -> str:
    """The whole address of a page of the dashboard."""
    path = reverse(name, args=args, urlconf=settings.ROOT_URLCONF)
    return f"{settings.URL}{path}" + (f"#{fragment}" if fragment else "")


def _row(notice: Notice) -> Model:
    model = registry.get_model(notice.kind)
    row = model._default_manager.filter(pk=notice.thing).first()
    if row is None:
        raise Stale("What it was about is gone.")
    return row


# --- builds, releases, promotions ---------------------------------------------------------------------------------------


def _build_failed(build: Build, notice: Notice) -> Story:
    facts = (("Source", str(build.source)), ("Why", build.reason), ("By", _name(build.by)))
    return Story(
        f"A build of {build.app.name} failed",
        facts,
        page("build", build.app.name, build.pk),
        "Open the build",
    )


def _release_failed(release: Release, notice: Notice) -> Story:
    serving = Release.objects.current_for(release.app)
    stays = f"{release.app.name} stays on {serving}." if serving else "It serves nothing yet."
    facts = (
        ("What", release.description),
        ("Why", release.reason),
        ("Now", stays),
        ("By", _name(release.by)),
    )
    return Story(f"{release} of {release.app.name} failed", facts, _page_of(release), "Open the release")


def _rolled_back(release: Release, notice: Notice) -> Story:
    facts = (("What", release.description), ("Note", release.note))
    title = f"{_name(release.by)} rolled {release.app.name} back"
    return Story(title, facts, _page_of(release), "Open the release")


def _promoted(promotion: Promotion, notice: Notice) -> Story:
    names = ", ".join(_targets(promotion))
    title = f"{promotion.release} of {promotion.source.name} is promoted to {names}"
    return Story(title, _of_promotion(promotion), _page_of_promotion(promotion), "Open the promotion")


def _promotion_failed(promotion: Promotion, notice: Notice) -> Story:
    rows = promotion.targets.select_related("app", "release")
    failed = [row for row in rows if row.status == PromotionTarget.Status.FAILED]
    reasons = [(row.app.name, row.reason or (row.release.reason if row.release else "")) for row in failed]
    title = f"The promotion of {promotion.source.name} {promotion.release} failed on {len(failed)} of {len(rows)} apps"
    facts = (*reasons[:5], *_of_promotion(promotion))
    return Story(title, facts, _page_of_promotion(promotion), "Open the promotion")


def _of_promotion(promotion: Promotion) -> tuple[tuple[str, str], ...]:
    slug = promotion.release.slug
    by = "Slipway, by itself" if promotion.automatic else _name(promotion.by)
    return (
        ("Change", f"{slug.short} {slug.message}" if slug else ""),
        ("Note", promotion.note),
        ("Past what kept it out, because", promotion.override),
        ("By", by),
    )


def _targets(promotion: Promotion) -> list[str]:
    return [row.app.name for row in promotion.targets.select_related("app")]


def _page_of(release: Release) -> str:
    return page("release", release.app.name, release.version)


def _page_of_promotion(promotion: Promotion) -> str:
    return page("promotion", promotion.pipeline.name, promotion.pk)


def _name(user: Any) -> str:
    return user.get_full_name() if user else "Slipway"


# --- a test ---------------------------------------------------------------------------------------------------------------


def _test(channel: Channel, notice: Notice) -> Story:
    name = channel.pipeline.name
    facts = (("Told of", ", ".join(channel.events) or "nothing yet"),)
    return Story(
        f"{channel.name} is told of {name} from now on",
        facts,
        page("pipeline-notifications", name),
        "Open its notifications",
    )


TELLERS: dict[str, Teller] = {
    TEST: _test,
    "build-failed": _build_failed,
    "release-failed": _release_failed,
    "rolled-back": _rolled_back,
    "promoted": _promoted,
    "promotion-failed": _promotion_failed,
}
