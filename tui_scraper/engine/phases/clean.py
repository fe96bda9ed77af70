"""The clean phase: from the bytes of one document to its clean text.

An extractor gets the text out of the format, `tidy` cleans its characters and lines, and what is left
is cut at the limit, with its title, language, pages and links beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Extractor, Prose
from tui_scraper.engine.extract.language import detect_language
from tui_scraper.engine.extract.limits import MAX_TITLE_CHARS
from tui_scraper.engine.extract.media_types import unread
from tui_scraper.engine.extract.tidy import one_line, tidy
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings, Settings
from tui_scraper.engine.wire import CleanText

VERSION: Final = 2
"""Raised when the same bytes give another text; part of the key of every result of this phase."""

_DATA_PROBABILITY: Final = 0.8  # keys and headings of data are often English when the data is not
_PAGE_BREAK: Final = "\n\n"


def relevant(settings: Settings) -> dict[str, object]:
    """The settings that decide the result of this phase (timeouts and memory do not).

    Whether Tesseract is installed is none of them: who installs it retries what needs OCR, and nothing that
    was read before is read again.
    """
    chosen = settings.clean
    return {
        "max_chars": chosen.max_chars,
        "max_pdf_pages": chosen.max_pdf_pages,
        "max_html_depth": chosen.max_html_depth,
        "archives": settings.input.archives,
        "ocr": chosen.ocr_languages if chosen.ocr == "auto" else "",
    }


def clean(
    data: bytes, media_type: str, settings: CleanSettings, extract: Extractor | None = None
) -> CleanText:
    """The clean text of a document, read by the extractor of its format or by the one that is given.

    Raises DocumentError with the cause UNSUPPORTED, ENCRYPTED, CORRUPT, TOO_LARGE, NEEDS_OCR or NO_TEXT.
    """
    return with_language(*clean_without_language(data, media_type, settings, extract))


@dataclass(frozen=True, slots=True)
class Said:
    """What a document says of its language, and what kind of text it has."""

    prose: Prose
    declared_language: str


def clean_without_language(
    data: bytes, media_type: str, settings: CleanSettings, extract: Extractor | None = None
) -> tuple[CleanText, Said]:
    """As `clean`, with all that is needed for `with_language`."""
    if extract is None:
        from tui_scraper.engine.extract.registry import registry  # the engine, which reads nothing, has none

        chosen = registry().readers.get(media_type)
        if chosen is None or chosen.extract is None:
            raise unread(media_type)
        extract = chosen.extract
    found = extract(data, media_type, settings)
    truncated = found.truncated
    pages: list[int] = []
    if found.pages is None:
        text = tidy(found.text, code=found.prose is Prose.CODE)
    else:
        text, pages = _join_pages(found.pages)
    if len(text) > settings.max_chars:
        text = _cut(text, settings.max_chars)
        pages = [offset for offset in pages if offset < len(text)]
        truncated = True
    if not text or text.isspace():
        raise DocumentError(Cause.NO_TEXT, "The file can be read, but there is no text in it.")
    made = CleanText(
        text=text,
        title=(one_line(found.title, MAX_TITLE_CHARS) or None) if found.title else None,
        pages=pages,
        links=_clean_links(found.links),
        truncated=truncated,
    )
    return made, Said(found.prose, found.declared_language)


def with_language(made: CleanText, said: Said) -> CleanText:
    """A clean text with the language that it is in, if that is clear."""
    return msgspec.structs.replace(made, language=_language(said, made.text))


def _join_pages(pages: list[str]) -> tuple[str, list[int]]:
    """Tidy each page by itself, so that the offsets hold in the text that is kept."""
    pieces: list[str] = []
    offsets: list[int] = []
    position = 0
    for number, page in enumerate(pages):
        text = tidy(page)
        if number and text and position:
            pieces.append(_PAGE_BREAK)
            position += len(_PAGE_BREAK)
        offsets.append(position)
        pieces.append(text)
        position += len(text)
    return "".join(pieces), offsets


def _cut(text: str, max_chars: int) -> str:
    """At most `max_chars` characters, up to a line's end where one is near."""
    line_end = text.rfind("\n", max(0, max_chars - 1_000), max_chars)
    return text[: line_end if line_end > 0 else max_chars].rstrip()


def _clean_links(links: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if not links:
        return []
    return [
        (target if target.isascii() and target.isprintable() else tidy(target), kind)
        for target, kind in links
    ]


def _language(said: Said, text: str) -> str:
    if said.prose is Prose.CODE:
        return ""
    if said.prose is Prose.DATA:
        return detect_language(text, min_probability=_DATA_PROBABILITY)
    detected = detect_language(text)
    if detected or not said.declared_language:
        return detected
    declared = said.declared_language.partition("-")[0].lower()
    return declared if len(declared) == 2 else ""
