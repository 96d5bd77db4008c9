"""A harmless text as HTML: colours become classes, web addresses links, and text is only ever text (I-44).

`static/js/ansi.js` does the same for lines that come later."""

import re
from dataclasses import dataclass, replace

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_COLOUR = re.compile(r"\x1b\[([0-9;:]*)m")
_ADDRESS = re.compile(r"""(https?://[^\s<>"'`]*[^\s<>"'`.,:;!?)\]}])""")
_HUES = ("", "a-red", "a-green", "a-yellow", "a-blue", "a-magenta", "a-cyan", "")


@dataclass(frozen=True)
class Look:
    """How text looks from here on."""

    hue: str = ""
    bold: bool = False
    dim: bool = False

    @property
    def classes(self) -> str:
        """As the stylesheet calls it."""
        return " ".join(filter(None, (self.hue, "a-bold" * self.bold, "a-dim" * self.dim)))


def html(text: str) -> SafeString:
    """Markup for what `engine.logstore.harmless` returned."""
    look, parts = Look(), []
    for i, part in enumerate(_COLOUR.split(text)):
        if i % 2:
            look = _turn(look, [int(code or 0) for code in re.split("[;:]", part)])
        elif part:
            inner = _links(part)
            parts.append(f'<span class="{look.classes}">{inner}</span>' if look.classes else inner)
    return mark_safe("".join(parts))  # noqa: S308  every part is escaped


def _links(text: str) -> str:
    return "".join(
        f'<a href="{escape(part)}" rel="noopener noreferrer" target="_blank">{escape(part)}</a>'
        if i % 2
        else escape(part)
        for i, part in enumerate(_ADDRESS.split(text))
    )


def _turn(look: Look, codes: list[int]) -> Look:
    """The look after the codes of one colour sequence."""
    while codes:
        code = codes.pop(0)
        if code in (38, 48):  # a colour of 256 (5;n) or of all (2;r;g;b)
            hue = _of_many(codes)
            look = replace(look, hue=hue) if code == 38 else look
        else:
            look = _simple(look, code)
    return look


def _simple(look: Look, code: int) -> Look:
    if code == 0:
        return Look()
    if code in (1, 2):
        return replace(look, bold=look.bold or code == 1, dim=look.dim or code == 2)
    if code == 22:
        return replace(look, bold=False, dim=False)
    if code == 39 or 30 <= code <= 37:
        return replace(look, hue=_HUES[code - 30] if code != 39 else "")
    return replace(look, hue=_bright(code - 90)) if 90 <= code <= 97 else look


def _of_many(codes: list[int]) -> str:
    kind, n = (*codes[:2], 0, 16)[:2] if len(codes) > 1 else (0, 16)
    del codes[: 4 if kind == 2 else 2]
    if kind != 5 or n >= 16:
        return ""
    return _HUES[n] if n < 8 else _bright(n - 8)


def _bright(n: int) -> str:
    return _HUES[n] if n else "a-grey"
