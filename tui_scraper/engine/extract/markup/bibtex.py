"""BibTeX databases: an entry a paragraph, a field a line, its LaTeX as characters."""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links, Prose
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.latex import matching_braces
from tui_scraper.engine.extract.markup.latex_characters import plain_latex
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

_ENTRY = re.compile(r"@[ \t]*([a-zA-Z]{1,40})[ \t\n]*([{(])[ \t\n]*")
_KEY = re.compile(r"[^\s,{}()=\"]{0,200}")
_FIELD = re.compile(r"[\s,]*([a-zA-Z][\w:.+/-]{0,60})\s*=\s*")
_VALUE = re.compile(r"\s*(?:(\{)|(\")|([\w:.+/-]{1,200}))")
_AND = re.compile(r"\s+and\s+")
_PEOPLE: Final = frozenset(("author", "editor", "translator", "bookauthor"))


def extract_bibtex(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The entries of a BibTeX database. What stands between them is a comment, as BibTeX has it."""
    source = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    braces = matching_braces(source)
    strings: dict[str, str] = {}
    links = Links()
    entries: list[str] = []
    characters = position = 0
    while characters <= settings.max_chars and (found := _ENTRY.search(source, position)):
        kind, position = found[1].lower(), found.end()
        if kind in ("comment", "preamble"):
            continue
        key = ""
        if kind != "string":
            named = _KEY.match(source, position)
            key, position = (named[0], named.end()) if named else ("", position)
        lines, position = _fields(source, position, braces, strings)
        if kind == "string":
            strings.update((name.lower(), value) for name, value in lines)
            continue
        for name, value in lines:
            if name in ("url", "doi"):
                links.add(value if "://" in value else f"https://doi.org/{value}", "hyperlink")
        shown = [
            f"{key} ({kind})",
            *(f"{name}: {_shown(name, value)}" for name, value in lines if value.strip()),
        ]
        entries.append("\n".join(shown))
        characters += len(entries[-1])
    if not entries:
        return extract_plain(data, media_type, settings)
    return Extracted(text="\n\n".join(entries), links=links.as_list(), prose=Prose.DATA)


def _fields(
    source: str, position: int, braces: dict[int, int], strings: dict[str, str]
) -> tuple[list[tuple[str, str]], int]:
    """The fields of an entry as (name, value as it is written), and where they end."""
    fields: list[tuple[str, str]] = []
    while found := _FIELD.match(source, position):
        position = found.end()
        pieces: list[str] = []
        while value := _VALUE.match(source, position):
            position = value.end()
            if value[1]:
                end = braces.get(position - 1, position)
                pieces.append(source[position:end])
                position = end + 1
            elif value[2]:
                end = _quote_end(source, position, braces)
                pieces.append(source[position:end])
                position = end + 1
            else:
                pieces.append(strings.get(value[3].lower(), value[3]))
            joined = re.compile(r"\s*#").match(source, position)
            if joined is None:
                break
            position = joined.end()
        fields.append((found[1].lower(), "".join(pieces)))
    return fields, position


def _quote_end(source: str, position: int, braces: dict[int, int]) -> int:
    """Where a quoted value ends: at the first quote that is in no braces."""
    pattern = re.compile(r'[{"]')
    while found := pattern.search(source, position):
        if found[0] == '"':
            return found.start()
        position = braces.get(found.start(), found.start()) + 1
    return len(source)


def _shown(name: str, value: str) -> str:
    if name in ("url", "doi", "file", "eprint"):
        return " ".join(value.split())
    if name in _PEOPLE:
        value = _AND.sub("; ", value)
    return plain_latex(value)


FORMATS = (Format("BibTeX", (mt.BIBTEX,), extract_bibtex, fallback=extract_plain),)
