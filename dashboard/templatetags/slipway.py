"""What templates need over and over: glyphs, avatars, ticks, states, ages."""

from datetime import datetime
from functools import lru_cache

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from accounts.models import User
from dashboard import links
from dashboard.forms import Form

register = template.Library()
# A board draws the same few glyphs and states hundreds of times: what depends on the arguments alone is drawn once.
once = lru_cache(maxsize=4096)

# state → (hue, glyph, how the glyph moves): every state has a silhouette of its own and never stands without a word.
STATES = {
    "live": ("ok", "st-live", ""),
    "passed": ("ok", "check", ""),
    "building": ("busy", "st-building", "spin"),
    "releasing": ("busy", "st-releasing", "lift"),
    "crashed": ("bad", "st-crashed", ""),
    "failed": ("bad", "x", ""),
    "waiting": ("warn", "st-waiting", ""),
    "approval": ("warn", "user-check", ""),
    "degraded": ("warn", "st-warn", ""),
    "idle": ("idle", "st-idle", ""),
    "stopped": ("idle", "st-stopped", ""),
    "queued": ("idle", "st-queued", ""),
    "none": ("idle", "minus", ""),
}


@register.simple_tag
def link(page: str, *args: object) -> str:
    """What `url` gives, for partials that are drawn hundreds of times."""
    return links.link(page, *args)


@register.simple_tag
@once
def icon(name: str, classes: str = "") -> SafeString:
    """The glyph `name` of static/img/icons.svg, hidden from screen readers: words stand beside it."""
    return format_html(
        '<svg class="i{}" aria-hidden="true"><use href="{}#i-{}"/></svg>',
        f" {classes}" if classes else "",
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
@once
def status(kind: str, label: str = "") -> SafeString:
    """A state as glyph and word."""
    return _state(kind, label, "status", "status--")


@register.simple_tag
@once
def badge(kind: str, label: str) -> SafeString:
    """A state on a tint, for table cells and heads; cards use `status`."""
    return _state(kind, label, "badge", "badge--")


def _state(kind: str, label: str, block: str, modifier: str) -> SafeString:
    hue, glyph, motion = STATES[kind]
    bare = block == "badge" and hue == "idle"
    return format_html(
        '<span class="{}{}">{}{}</span>',
        block,
        "" if bare else f" {modifier}{hue}",
        icon(glyph, motion),
        label,
    )


@register.simple_tag
@once
def glyph(kind: str) -> SafeString:
    """The glyph of a state alone, where words follow."""
    hue, name, motion = STATES[kind]
    return icon(name, " ".join(part for part in (motion, hue if hue in ("bad", "warn") else "") if part))


@register.filter
def hue(kind: str) -> str:
    """The colour of a state: ok, busy, warn, bad or idle."""
    return STATES[kind][0]


@register.simple_tag
@once
def ticks(
    on: int, of: int, classes: str = "", *, now: int = 0, bad: int = 0, off: int = 0, cap: int = 12
) -> SafeString:
    """One mark a unit: `on` filled, `now` in progress, `bad` down, `off` behind, the rest up to `of` still to come.
    The number always follows in words, so they are hidden from screen readers."""
    marks = ["on"] * on + ["now"] * now + ["bad"] * bad + ["off"] * off
    marks += [""] * (of - len(marks))
    items = format_html_join(
        "", "<i{}></i>", ((format_html(' class="{}"', mark) if mark else "",) for mark in marks[:cap])
    )
    return format_html(
        '<span class="ticks{}" aria-hidden="true">{}</span>', f" {classes}" if classes else "", items
    )


@register.simple_tag
def avatar(user: User | None, classes: str = "") -> SafeString:
    """A person's initials in their colour; the robot stands for Slipway itself."""
    extra = f" {classes}" if classes else ""
    if user is None:
        return format_html('<span class="av av--bot{}" title="Slipway">{}</span>', extra, icon("robot"))
    return format_html(
        '<span class="av av--{}{}" title="{}">{}</span>', user.hue, extra, user.get_full_name(), user.initials
    )


@register.simple_tag
@once
def author_avatar(name: str, classes: str = "") -> SafeString:
    """The initials of a commit's author, who need not have an account."""
    if not name:
        return avatar(None, classes)
    words = name.replace(".", " ").replace("-", " ").split()
    initials = "".join(word[0] for word in words[:2]).upper() or "?"
    hue = sum(name.encode()) % 6 + 1
    extra = f" {classes}" if classes else ""
    return format_html('<span class="av av--{}{}" title="{}">{}</span>', hue, extra, name, initials)


@register.simple_tag
def age(at: datetime | None, classes: str = "") -> SafeString:
    """How long ago, short; the full time on hover."""
    if at is None:
        return mark_safe("")
    return format_html(
        '<time{} datetime="{}" title="{}">{}</time>',
        format_html(' class="{}"', classes) if classes else "",
        at.isoformat(timespec="seconds"),
        f"{at:%-d %B %Y, %H:%M} UTC",
        short_age(at),
    )


@register.filter
def short_age(at: datetime) -> str:
    """`at` as cards write it: “just now”, “38 min”, “1 h”, “2 days”, then a date."""
    seconds = (timezone.now() - at).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(round(seconds / 60), 1)} min"
    if seconds < 24 * 3600:
        return f"{round(seconds / 3600)} h"
    days = round(seconds / (24 * 3600))
    if days < 14:
        return f"{days} day{'s' if days > 1 else ''}"
    return f"{at:%-d %b}" if at.year == timezone.now().year else f"{at:%-d %b %Y}"


@register.filter
def elapsed(since: datetime) -> float:
    """Seconds since then."""
    return max((timezone.now() - since).total_seconds(), 0)


@register.filter
def span(seconds: float | None) -> str:
    """A length of time as cards write it: “0:48”, “12:05”, “1:00:12”."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.inclusion_tag("_copy.html")
def copy(text: str, label: str = "Copy") -> dict[str, str]:
    """A button that puts `text` onto the clipboard."""
    return {"text": text, "label": label}


@register.inclusion_tag("_command.html")
def command(text: str) -> dict[str, str]:
    """A command line to copy."""
    return {"text": text}


@register.filter
def times(number: int, noun: str) -> str:
    """`3|times:"commit"` → “3 commits”; `1|times:"commit"` → “1 commit”."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@register.filter
def people(number: int) -> str:
    """“1 person”, “4 people”."""
    return "1 person" if number == 1 else f"{number} people"


@register.simple_tag
def typed(form: Form | None, name: str, part: str, otherwise: object) -> str:
    """What came in for the field `name.part`, or else what the platform has."""
    return (form.value(f"{name}.{part}") if form else "") or str(otherwise)
