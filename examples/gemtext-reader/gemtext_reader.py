"""Reads gemtext (.gmi), the page format of the Gemini protocol, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Extracted, Format, Links, hookimpl
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

GEMTEXT = "text/gemini"
_FENCE = "```"


def extract_gemtext(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Headings, lists and quotes are Markdown already; links become Markdown links.

    Raises DocumentError(CORRUPT) where the bytes are no text at all.
    """
    if b"\0" in data:
        raise DocumentError(Cause.CORRUPT, "The gemtext page is damaged: it holds binary data.")
    links, lines, title, fenced = Links(), [], None, False
    for line in decode(data)[: settings.max_chars].splitlines():
        if line.startswith(_FENCE):
            fenced = not fenced
        elif line.startswith("=>") and not fenced:
            target, _, label = line[2:].strip().partition(" ")
            links.add(target, "hyperlink")
            lines.append(f"[{label.strip() or target}]({target})")
            continue
        elif line.startswith("# ") and title is None and not fenced:
            title = line[2:].strip()
        lines.append(line)
    return Extracted(
        text="\n".join(lines),
        title=title,
        links=links.as_list(),
        truncated=len(data) > settings.max_chars * 4,
    )


def extract_plainly(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The safe reader: the page as it is written."""
    return Extracted(text=decode(data))


@hookimpl
def tui_scraper_formats() -> Iterable[Format]:
    """One format, recognised by its ending."""
    return [
        Format(
            name="gemtext",
            media_types=(GEMTEXT,),
            extract=extract_gemtext,
            fallback=extract_plainly,
            endings=("gmi", "gemini"),
        )
    ]
