"""Marking, in a line's markup, the words that it was found by."""

import html
import re
from collections.abc import Sequence

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_TAG = re.compile(
    r"(<[^>]*>)"
)  # there is no other `>` in what `ansi.html` makes: it is escaped, in attributes too
HITS = 12  # of a line; the eye needs no more, and a page stays small


def marked(markup: SafeString, words: Sequence[bytes]) -> SafeString:
    """`markup`, which `ansi.html` made, with up to `HITS` places marked where one of `words` stands."""
    shown = [re.escape(word.decode(errors="replace")) for word in words]
    if not shown:
        return markup
    pattern, left = re.compile(f"({'|'.join(shown)})", re.IGNORECASE), HITS
    parts = []
    for i, part in enumerate(_TAG.split(markup)):
        if i % 2:
            parts.append(part)
            continue
        pieces = pattern.split(html.unescape(part), maxsplit=left) if left else [html.unescape(part)]
        left -= len(pieces) // 2
        parts += [
            f"<mark>{escape(piece)}</mark>" if j % 2 else escape(piece) for j, piece in enumerate(pieces)
        ]
    return mark_safe("".join(parts))  # noqa: S308  every part is a tag of `ansi.html`'s or escaped
