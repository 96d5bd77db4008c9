"""What the apps of reviews are called."""

import re
from secrets import token_hex

from apps.models import App
from core import names
from reviews.models import ReviewApp, ReviewSettings

MOST = 30  # characters of an app's name


def app_name(row: ReviewApp, settings: ReviewSettings) -> str:
    """What its app is to be called: “shop-pr-12”, with five random characters more unless names are predictable."""
    base = plain(settings.base_name or row.pipeline.name) or "review"
    what = f"pr-{row.pull_request.number}" if row.pull_request else plain(row.branch) or "branch"
    end = "" if settings.predictable else f"-{token_hex(3)[:5]}"
    part = f"-{plain(row.part)}" if row.part else ""
    room = MOST - len(end) - len(part)
    head = f"{base[: max(room - len(what) - 1, 8)]}-{what}"[:room].strip("-")
    return re.sub(r"-+", "-", f"{head}{part}{end}")


def plain(text: str) -> str:
    """“Feature/Größe 2” as a part of a name: “feature-gr-e-2”."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MOST]


def is_taken(name: str) -> bool:
    """Whether an app is called so, even one that is being cleared away."""
    return App.objects.filter(name=name).exists() or name in names.RESERVED
