"""Text that is kept as it is written: Markdown's fenced blocks."""

from __future__ import annotations

import re

_RUN = re.compile("`{3,}")


def fenced(text: str, language: str = "") -> str:
    """A block in a fence that is longer than any in it."""
    longest = max(map(len, _RUN.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
