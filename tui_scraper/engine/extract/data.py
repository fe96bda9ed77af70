"""CSV, TSV, JSON, JSON lines and Jupyter notebooks as text that reads, searches and cuts well.

Tables become Markdown tables: a row a line, the heading once. JSON becomes `key: value` lines with
nesting shown by indentation, numbers as they were written. What does not parse is kept as the plain
text it is: a file that claims to be JSON and is not is still readable.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Prose
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.limits import MAX_JSON_DEPTH
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.extract.text import extract_plain, markdown_title
from tui_scraper.engine.settings import CleanSettings

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_LINES: Final = 50
_SAMPLE_CHARS: Final = 50_000
_QUOTED = re.compile(r'"[^"]*"')
_MAX_INDENT: Final = 16
_ITEM: Final = "- "
_MAX_COLUMNS: Final = 2_000


def extract_csv(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Comma-, semicolon-, tab- or bar-separated values as a Markdown table."""
    text = decode(data).replace("\0", "")
    if len(text) > settings.max_chars:
        text = text[: text.rfind("\n", 0, settings.max_chars) + 1] or text[: settings.max_chars]
        truncated = True
    else:
        truncated = False
    delimiter = "\t" if media_type.startswith("text/tab") else _delimiter(text)
    rows = _rows(text, delimiter) if delimiter else []
    if not rows or max(map(len, rows)) < 2 or max(map(len, rows)) > _MAX_COLUMNS:
        return Extracted(text=text, truncated=truncated, prose=Prose.DATA)
    return Extracted(text=markdown_table(rows), truncated=truncated, prose=Prose.DATA)


def _delimiter(text: str) -> str:
    """The delimiter that most lines have equally often, '' where no line has any."""
    sample = _QUOTED.sub("", text[:_SAMPLE_CHARS])
    lines = [line for line in sample.splitlines()[:_SAMPLE_LINES] if line.strip()]
    best, best_score = "", 0.0
    for delimiter in _DELIMITERS:
        counts = [line.count(delimiter) for line in lines]
        present = [count for count in counts if count]
        if not present:
            continue
        usual = max(set(present), key=present.count)
        score = counts.count(usual) / len(counts) * (1 + min(usual, 20) / 100)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _rows(text: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    # Quotes are honoured only where they are balanced; one stray quote would swallow the file.
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if text.count('"') % 2 == 0 else csv.QUOTE_NONE
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows: list[list[str]] = []
    try:
        for row in csv.reader(_with_ends(lines), delimiter=delimiter, quoting=quoting, skipinitialspace=True):
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells):
                rows.append(cells)
    except csv.Error:
        return []
    return rows


def _with_ends(lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield line + "\n"


def extract_json(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """One JSON document as `key: value` lines."""
    text = decode(data)
    try:
        value = _parse(text)
    except (ValueError, RecursionError):
        return Extracted(text=text, prose=Prose.DATA)
    if isinstance(value, dict) and isinstance(value.get("cells"), list) and "nbformat" in value:
        return _notebook(value)
    laid_out, truncated = _lay_out(value, settings.max_chars)
    if laid_out is None:
        return Extracted(text=text, prose=Prose.DATA)
    title = value.get("title") if isinstance(value, dict) else None
    return Extracted(
        text=laid_out, title=title if isinstance(title, str) else None, truncated=truncated, prose=Prose.DATA
    )


def extract_json_lines(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """JSON lines: each record as `key: value` lines, with an empty line between records.

    A line that is not JSON is kept as it is.
    """
    records: list[str] = []
    left = settings.max_chars
    truncated = False
    for line in decode(data).split("\n"):
        if not line.strip():
            continue
        if left <= 0:
            truncated = True
            break
        try:
            laid_out, cut = _lay_out(_parse(line), left)
        except (ValueError, RecursionError):
            laid_out, cut = None, False
        records.append(laid_out if laid_out is not None else line)
        truncated = truncated or cut
        left -= len(records[-1]) + 2
    return Extracted(text="\n\n".join(records), truncated=truncated, prose=Prose.DATA)


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _lay_out(value: Any, max_chars: int) -> tuple[str | None, bool]:
    """The value as indented lines, and whether it was cut; None where it is nested too deeply.

    Walks with a stack of its own. An entry is (iterator over (lead, value) pairs, level).
    """
    lines: list[str] = []
    characters = dashes = 0
    stack: list[tuple[Iterator[tuple[str, Any]], int]] = [(iter([("", value)]), -1)]
    while stack:
        if len(stack) > MAX_JSON_DEPTH:
            return None, False
        entries, level = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
            continue
        lead, value = entry
        width = min(max(level, 0), _MAX_INDENT)
        is_item = lead == _ITEM
        is_container = isinstance(value, (dict, list)) and bool(value)
        if is_item and is_container:
            if len(stack) == 2 and lines:
                lines.append("")  # records of a list of records
            dashes += 1  # shown before the first line of what the item holds
        elif level >= 0 or not is_container:
            indent = "  " * max(0, width - dashes) + _ITEM * dashes
            shown = "" if is_container else _scalar(value, "  " * width)
            lines.append((indent + lead + shown).rstrip())
            characters += len(lines[-1]) + 1
            dashes = 0
            if characters > max_chars:
                return "\n".join(lines), True
        if is_container:
            stack.append((_entries(value), level + 1))
    return "\n".join(lines), False


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        return ((f"{key}: ", item) for key, item in value.items())
    return ((_ITEM, item) for item in value)


def _scalar(value: Any, indent: str) -> str:
    if isinstance(value, str):
        return value.replace("\n", f"\n{indent}  ") if "\n" in value else value
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    return ""


def _notebook(notebook: dict[str, Any]) -> Extracted:
    """The cells of a Jupyter notebook: Markdown as it is, code fenced, outputs left out."""
    language = ""
    metadata = notebook.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("kernelspec"), dict):
        language = str(metadata["kernelspec"].get("language") or "")[:20]
    pieces = []
    for cell in notebook["cells"]:
        if not isinstance(cell, dict):
            continue
        source = cell.get("source")
        text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
        if not text.strip():
            continue
        pieces.append(f"```{language}\n{text}\n```" if cell.get("cell_type") == "code" else text)
    text = "\n\n".join(pieces)
    return Extracted(text=text, title=markdown_title(text))


FORMATS = (
    Format("CSV and TSV", (mt.CSV, mt.TSV), extract_csv, fallback=extract_plain),
    Format("JSON", (mt.JSON,), extract_json, fallback=extract_plain),
    Format("Jupyter notebooks", (mt.NOTEBOOK,), extract_json, fallback=extract_plain),
    Format("JSON lines", (mt.NDJSON,), extract_json_lines, fallback=extract_plain),
)
