"""How a thing stands, as templates draw it: `{% stands release %}`, `{% stands build "badge" %}`."""

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.models import Dyno
from dashboard import standing
from dashboard.templatetags.slipway import badge, short_age, span, status
from releases.estimates import Estimate
from releases.models import Build, Release

register = template.Library()


@register.simple_tag
def stands(thing: Build | Release | Dyno, shape: str = "status") -> SafeString:
    """A glyph and a word for the state of a build, release or dyno."""
    if isinstance(thing, Build):
        state = standing.of_build(thing)
    elif isinstance(thing, Release):
        state = standing.of_release(thing)
    else:
        state = standing.of_dyno(thing)
    return (badge if shape == "badge" else status)(state.kind, state.label)


@register.simple_tag
def ago(at: datetime | None) -> SafeString:
    """How long ago, as a sentence goes on: “38 min ago”, “just now”, “2 Nov”; the full time on hover."""
    if at is None:
        return SafeString()
    text = short_age(at)
    past = text.endswith((" min", " h", " day", " days"))
    title = f"{at:%-d %B %Y, %H:%M} UTC"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        title,
        text + " ago" * past,
    )


@register.simple_tag
def took(job: Build | Release) -> str:
    """How long a job took, once it has ended."""
    if job.finished_at is None or job.started_at is None:
        return ""
    return lasted((job.finished_at - job.started_at).total_seconds())


@register.filter
def lasted(seconds: float | None) -> str:
    """A length of time that is over: “0.4 s”, “45 s”, “12:05”."""
    if seconds is None or seconds >= 60:
        return span(seconds)
    if seconds < 0.05:
        return "< 0.1 s"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


@register.filter
def about(seconds: float | None) -> str:
    """A length of time that one may expect, no more exact than it can be: “about 4 s”, “about 40 s”, “about 3 min”."""
    if seconds is None:
        return ""
    if seconds < 1.5:
        return "about 1 s"
    if seconds < 10:
        return f"about {seconds:.0f} s"
    if seconds < 87.5:
        return f"about {round(seconds / 5) * 5} s"
    return f"about {max(round(seconds / 60), 1)} min"


@register.filter
def drawn_from(estimate: Estimate, noun: str) -> str:
    """`usual|drawn_from:"build"` → “about 40 s, from the last 5 builds”."""
    runs = f"the last {noun}" if estimate.runs == 1 else f"the last {estimate.runs} {noun}s"
    return f"{about(estimate.seconds)}, from {runs}"
