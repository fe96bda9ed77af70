"""CSV, TSV, JSON and JSON lines as text that reads, searches and cuts well.

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
from tui_scraper.engine.extract.plain.notebooks import is_notebook, notebook_text
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.settings import CleanSettings

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_LINES: Final = 50
_SAMPLE_CHARS: Final = 50_000
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=([,;|\t])\"?[ \t]*\r?\n", re.IGNORECASE)
_TITLED_COLUMNS: Final = 3
_MAX_TITLES: Final = 20
_QUOTED = re.compile(r'"[^"]*"')
_WRAPPED = re.compile(
    r"(?:\)\]\}',?|while\s{0,9}\(1\);|for\s{0,9}\(;;\);|(?:(?:var|let|const)\s{1,9})?[\w.$]{1,100}\s{0,9}[=(])\s{0,99}"
)
"""What stands before JSON that is made for a script: a call, an assignment, or something that stops one."""
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"?|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"?|,\s*[}\]]', re.DOTALL)
_COMMA_TOO_MANY = re.compile(r",\s*[}\]]")
_BETWEEN = re.compile(r"[\s,\x1e]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]+")
_BINARY_CHARS: Final = 1_000
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
    said = _SEPARATOR_LINE.match(text)
    if said:  # for Excel: which delimiter the rest has
        text = text[said.end() :]
    delimiter = said[1] if said else "\t" if media_type.startswith("text/tab") else _delimiter(text)
    rows = _rows(text, delimiter) if delimiter else []
    if not rows or max(map(len, rows)) < 2 or max(map(len, rows)) > _MAX_COLUMNS:
        return Extracted(text=text, truncated=truncated, prose=Prose.DATA)
    first = _first_row(rows)
    parts = ["\n".join(row[0] for row in rows[:first]), markdown_table(rows[first:])]
    return Extracted(text="\n\n".join(filter(None, parts)), truncated=truncated, prose=Prose.DATA)


def _first_row(rows: list[list[str]]) -> int:
    """Where the table begins: after lines of a single cell, such as a title or a comment, if it has more."""
    if max(map(len, rows)) < _TITLED_COLUMNS:
        return 0
    return next(
        (at for at, row in enumerate(rows[:_MAX_TITLES]) if len([cell for cell in row if cell]) > 1), 0
    )


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
    """A JSON document as `key: value` lines; of several in one file, an empty line between them.

    Comments, commas too many and a call around the whole are forgiven. What still does not parse, and what
    is nested too deeply, is kept as it is written.
    """
    text = decode(data)
    values = _values(text)
    if len(values) == 1 and is_notebook(values[0]):
        return notebook_text(values[0], settings.max_chars)
    documents: list[str] = []
    left = settings.max_chars
    for value in values:
        laid_out, truncated = _lay_out(value, left)
        if laid_out is None:
            return Extracted(text=text, prose=Prose.DATA)
        documents.append(laid_out)
        left -= len(laid_out) + 2
        if truncated or left <= 0:
            return Extracted(text="\n\n".join(documents), truncated=True, prose=Prose.DATA)
    if not values:
        return Extracted(text=text, prose=Prose.DATA)
    title = values[0].get("title") if isinstance(values[0], dict) else None
    return Extracted(
        text="\n\n".join(documents), title=title if isinstance(title, str) else None, prose=Prose.DATA
    )


def _values(text: str) -> list[Any]:
    """The values that a text holds, one after the other; none where it is not JSON."""
    for written in _readings(text):
        try:
            return [_parse(written)]
        except RecursionError:
            return []
        except ValueError:
            found = _sequence(written)
            if found:
                return found
    return []


def _readings(text: str) -> Iterator[str]:
    """The text as it is, then without what JSON does not allow and people write all the same."""
    yield text
    text = text.strip()
    wrapped = _WRAPPED.match(text)
    if wrapped:
        text = text[wrapped.end() :].rstrip(";) \n\r\t")
        yield text
    if "//" in text or "/*" in text or _COMMA_TOO_MANY.search(text):
        text = _STRING_OR_COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
        yield _STRING_OR_COMMA.sub(lambda found: found[0] if found[0][0] == '"' else found[0][1:], text)


def _sequence(text: str) -> list[Any]:
    """Values that follow each other without anything between them but space and commas."""
    values: list[Any] = []
    position = 0
    while position < len(text):
        found = _BETWEEN.match(text, position)
        position = found.end() if found else position
        if position >= len(text):
            break
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            return []
        values.append(value)
    return values if any(isinstance(value, dict | list) for value in values) else []


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


class _Repeated(list[tuple[str, Any]]):
    """An object some of whose keys come more than once, as (key, value) pairs."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repeated:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Repeated(pairs)


_DECODER: Final = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_object, strict=False
)


def _parse(text: str) -> Any:
    return _DECODER.decode(text)


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
    if isinstance(value, dict | _Repeated):
        pairs = value.items() if isinstance(value, dict) else value
        return ((f"{key}: ", item) for key, item in pairs)
    return ((_ITEM, item) for item in value)


def _scalar(value: Any, indent: str) -> str:
    if isinstance(value, str):
        if len(value) > _BINARY_CHARS and _BASE64.fullmatch(value, 0, _BINARY_CHARS):
            return ""  # a file in a string
        return value.replace("\n", f"\n{indent}  ") if "\n" in value else value
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    return ""


FORMATS = (
    Format("CSV and TSV", (mt.CSV, mt.TSV), extract_csv, fallback=extract_plain),
    Format("JSON", (mt.JSON,), extract_json, fallback=extract_plain),
    Format("JSON lines", (mt.NDJSON,), extract_json_lines, fallback=extract_plain),
)
