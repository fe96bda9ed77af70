"""text/enriched (RFC 1896) and its predecessor text/richtext (RFC 1341) as plain text."""

from __future__ import annotations

import re

_ENRICHED = re.compile(r"(<<)|<(/?)([A-Za-z0-9-]{1,60})>|(\n+)")
_RICHTEXT = re.compile(r"(<lt>)|<(/?)([A-Za-z0-9-]{1,60})>|(\n+)", re.IGNORECASE)
_LEFT_OUT = frozenset(("param", "comment"))
_BREAKS = {"nl": "\n", "paragraph": "\n\n", "np": "\n\n", "heading": "\n\n", "excerpt": "\n\n"}


def enriched_text(markup: str, *, richtext: bool) -> str:
    """The text of enriched markup. One line end in it is a space; of several, all but one are line ends."""
    pieces: list[str] = []
    position = hidden = unfilled = 0  # open elements that are not shown, and those that keep their lines
    for match in (_RICHTEXT if richtext else _ENRICHED).finditer(markup):
        if not hidden:
            pieces.append(markup[position : match.start()])
        position = match.end()
        literal, slash, name, breaks = match.groups()
        name = (name or "").lower()
        if name in _LEFT_OUT:
            hidden = max(0, hidden - 1 if slash else hidden + 1)
        elif name == "nofill":
            unfilled = max(0, unfilled - 1 if slash else unfilled + 1)
        elif hidden:
            continue
        elif literal:
            pieces.append("<")
        elif breaks:
            pieces.append(breaks if unfilled else " " if richtext else breaks[1:] or " ")
        else:
            pieces.append(_BREAKS.get(name, ""))
    if not hidden:
        pieces.append(markup[position:])
    text = "".join(pieces)
    return text if text.strip() or not markup.strip() else _ENRICHED.sub(" ", markup)
