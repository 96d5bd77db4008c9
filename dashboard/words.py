"""Lengths of time in words, for estimates."""


def about(seconds: float) -> str:
    """A length of time as roughly as it is known: “a few seconds”, “20 s”, “2 min”."""
    if seconds < 4:
        return "a few seconds"
    if seconds < 55:
        return f"{max(round(seconds / 5) * 5, 5)} s"
    if seconds < 90:
        return "a minute"
    return f"{round(seconds / 60)} min"
