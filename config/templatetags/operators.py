"""What the operators' site writes its figures with."""

from django import template

register = template.Library()
UNITS = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))


@register.filter
def duration(seconds: float | None) -> str:
    """A length of time in its largest unit: “3 days”, “5 h”, “12 min”, “4 s”."""
    if seconds is None:
        return ""
    for size, unit in UNITS:
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return "0 s"
