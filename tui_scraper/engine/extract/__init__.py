"""Text out of files. This module is the registry: which media types are read, and by what.

Everything below runs in sandboxed worker processes, on untrusted bytes. The libraries that parse are
imported by the first document that needs them, or by `preload` in the process workers are forked from.
"""

from __future__ import annotations

import importlib
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extractor
from tui_scraper.engine.extract.data import extract_csv, extract_json, extract_json_lines
from tui_scraper.engine.extract.html import extract_html
from tui_scraper.engine.extract.media_types import name_of
from tui_scraper.engine.extract.office import extract_docx
from tui_scraper.engine.extract.pdf import extract_pdf
from tui_scraper.engine.extract.text import extract_code, extract_markdown, extract_plain, extract_rst

EXTRACTORS: Final[dict[str, Extractor]] = {
    **dict.fromkeys(sorted(mt.PROSE), extract_plain),
    **dict.fromkeys(sorted(mt.SOURCE), extract_code),
    mt.MARKDOWN: extract_markdown,
    mt.RST: extract_rst,
    mt.HTML: extract_html,
    mt.PDF: extract_pdf,
    mt.DOCX: extract_docx,
    mt.CSV: extract_csv,
    mt.TSV: extract_csv,
    mt.JSON: extract_json,
    mt.NOTEBOOK: extract_json,
    mt.NDJSON: extract_json_lines,
}
"""Media type -> extractor."""

READABLE: Final[tuple[str, ...]] = (
    "plain text",
    "Markdown",
    "reStructuredText",
    "HTML",
    "PDF",
    "Word (.docx)",
    "CSV and TSV",
    "JSON and JSON lines",
    "Jupyter notebooks",
    "source code and configuration",
)
"""What is read, in words for people."""

LIBRARIES: Final[tuple[str, ...]] = (
    "pypdfium2_raw",
    "selectolax.lexbor",
    "office_oxide",
    "chardet",
    "ftfy",
    "fasttext",
)
"""The modules that parsing needs, heaviest first."""


def preload() -> None:
    """Import what workers should have warm, in the process they are forked from.

    PDFium is imported but not started: each worker starts its own.
    """
    from tui_scraper.engine.extract import language, tidy

    for name in LIBRARIES:
        importlib.import_module(name)
    language.preload()
    tidy.preload()


__all__ = ["EXTRACTORS", "LIBRARIES", "READABLE", "name_of", "preload"]
