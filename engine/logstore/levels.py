"""Errors and warnings among lines, as a search sees them: close to what `is_error` says of a shown line."""

# What a line of a level is recognised by. Compared byte by byte: a search that ignores case takes ten times as long.
LEVELS = {
    "error": (
        b"rror",
        b"RROR",
        b"FATAL",
        b"atal",
        b"CRITICAL",
        b"panic",
        b"Traceback",
        b"xception",
        b"status=5",
    ),
    "warning": (b"WARN", b"arning", b"warn", b"status=4"),
}
