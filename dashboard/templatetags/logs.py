"""`{% log_lines stream as log %}`: what `logs/_log.html` draws."""

from typing import Any

from django import template

from dashboard.log_lines import LINES, log_context

register = template.Library()


@register.simple_tag
def log_lines(
    stream: str, lines: int | str = LINES, source: str = "", dyno: str = "", text: str = "", level: str = ""
) -> dict[str, Any]:
    """`dashboard.log_lines.log_context` for templates; absent parameters come in as empty strings."""
    return log_context(
        stream, int(lines or LINES), source=source or "", dyno=dyno or "", text=text or "", level=level or ""
    )
