"""Jupyter notebooks, versions 2 to 4 of their format: prose as it is, code fenced, what it printed bounded.

Of an output that is kept in several forms the plain text is taken, else what can be made text; pictures
and what only a browser runs are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.fences import fenced
from tui_scraper.engine.extract.plain.text import extract_plain, markdown_title
from tui_scraper.engine.extract.web.html import fragment_text
from tui_scraper.engine.settings import CleanSettings

_OUTPUT_CHARS: Final = 4_000
"""Kept of what one cell printed."""


def extract_notebook(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The cells of a notebook, in order."""
    try:
        value = json.loads(decode(data))
    except (ValueError, RecursionError):
        return extract_plain(data, media_type, settings)
    if not is_notebook(value):
        return extract_plain(data, media_type, settings)
    return notebook_text(value, settings.max_chars)


def is_notebook(value: Any) -> bool:
    """Whether some JSON is a notebook."""
    if not isinstance(value, dict) or "nbformat" not in value:
        return False
    return isinstance(value.get("cells"), list) or isinstance(value.get("worksheets"), list)


def notebook_text(notebook: dict[str, Any], max_chars: int) -> Extracted:
    """The text of a notebook that is_notebook has seen."""
    language = _language(notebook)
    pieces: list[str] = []
    characters = 0
    for cell in _cells(notebook):
        pieces.extend(_cell(cell, language))
        characters += sum(map(len, pieces[-2:]))
        if characters > max_chars:
            break
    text = "\n\n".join(pieces)
    metadata = notebook.get("metadata")
    named = metadata.get("title") if isinstance(metadata, dict) else None
    title = named if isinstance(named, str) and named.strip() else markdown_title(text)
    return Extracted(text=text, title=title, truncated=characters > max_chars)


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    for where, key in (("kernelspec", "language"), ("language_info", "name")):
        named = metadata.get(where)
        if isinstance(named, dict) and isinstance(named.get(key), str):
            return str(named[key])[:20]
    return ""


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sheets = notebook.get("worksheets")
    lists = [notebook.get("cells")]
    lists += (
        [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        if isinstance(sheets, list)
        else []
    )
    for cells in lists:
        if isinstance(cells, list):
            yield from (cell for cell in cells if isinstance(cell, dict))


def _cell(cell: dict[str, Any], language: str) -> Iterator[str]:
    kind = cell.get("cell_type")
    source = _text(cell.get("source") if "source" in cell else cell.get("input"))
    if kind == "code":
        if source.strip():
            yield fenced(source.strip("\n"), language or str(cell.get("language") or "")[:20])
        outputs = cell.get("outputs")
        printed = "\n".join(filter(str.strip, map(_output, outputs))) if isinstance(outputs, list) else ""
        if printed.strip():
            yield fenced(_bounded(printed.strip("\n")))
    elif source.strip():
        level = cell.get("level")
        if kind == "heading" and str(level).isdecimal():
            yield f"{'#' * min(max(int(str(level)[:2]), 1), 6)} {source.strip()}"
        else:
            yield source


def _output(output: Any) -> str:
    """What one output says."""
    if not isinstance(output, dict):
        return ""
    traceback = output.get("traceback")
    if output.get("ename") or traceback:
        last = f"{output.get('ename', '')}: {output.get('evalue', '')}"
        return (
            _text([f"{line}\n" for line in traceback]) if isinstance(traceback, list) and traceback else last
        )
    data = output.get("data")
    shown: dict[str, Any] = data if isinstance(data, dict) else output
    for key in ("text/plain", "text"):
        text = _text(shown.get(key))
        if text.strip() and not text.startswith("<"):  # a mere '<Figure size 640x480>' says nothing
            return text
    for key in ("text/markdown", "text/latex", "latex"):
        if shown.get(key):
            return _text(shown[key])
    markup = _text(shown.get("text/html") or shown.get("html"))
    return fragment_text(markup, _OUTPUT_CHARS) if markup else ""


def _bounded(text: str) -> str:
    if len(text) <= _OUTPUT_CHARS:
        return text
    cut = text.rfind("\n", 0, _OUTPUT_CHARS)
    return f"{text[: cut if cut > 0 else _OUTPUT_CHARS]}\n…"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


FORMATS = (Format("Jupyter notebooks", (mt.NOTEBOOK,), extract_notebook, fallback=extract_plain),)
