"""Translations in gettext's PO format: each message with its translation, what only tools read left out."""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Prose
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr(?:\[\d{1,2}\])?|domain)[ \t]*(\".*)?$")
_CHARSET = re.compile(rb"Content-Type:[^\n]{0,200}?charset=([\w.:-]{2,40})")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "", "a": "", "b": "", "f": "", "v": "", "\\": "\\", '"': '"'}


def extract_po(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Messages and their translations, and what translators and programmers noted about them."""
    charset = _CHARSET.search(data[:8192])
    text = decode(data, charset[1].decode("ascii") if charset else "")
    entries: list[str] = []
    fields: list[tuple[str, list[str]]] = []
    notes: list[str] = []
    for line in [*text.replace("\r\n", "\n").split("\n"), ""]:
        bare = line.strip()
        bare = bare.removeprefix("#~").lstrip() if bare.startswith("#~") else bare
        keyword = _KEYWORD.match(bare)
        starts = keyword is not None and keyword[1] in ("msgctxt", "msgid")
        if fields and (not bare or bare[:1] == "#" or (starts and fields[-1][0] != "msgctxt")):
            entries.append(_entry(fields, notes))
            fields, notes = [], []
        if bare.startswith(("#. ", "# ")):
            notes.append(bare[2:].strip())
        elif keyword is not None:
            fields.append((keyword[1], [_string(keyword[2] or "")]))
        elif bare[:1] == '"' and fields:
            fields[-1][1].append(_string(bare))
    entries = [entry for entry in entries if entry]
    if not entries:
        return extract_plain(data, media_type, settings)
    return Extracted(text="\n\n".join(entries), prose=Prose.DATA)


def _string(quoted: str) -> str:
    body = quoted.strip()[1:].removesuffix('"')
    return _ESCAPE.sub(_unescape, body) if "\\" in body else body


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)


def _entry(fields: list[tuple[str, list[str]]], notes: list[str]) -> str:
    lines = [note for note in notes if note]
    if fields[0][0] == "msgid" and not "".join(fields[0][1]):
        header = "".join(piece for name, pieces in fields[1:] for piece in pieces)
        return "\n".join([*lines, *filter(None, header.split("\n"))])
    for name, pieces in fields:
        value = "".join(pieces).strip("\n")
        if value:
            lines.append(f"{name}: {value}")
    return "\n".join(lines)


FORMATS = (Format("translations (PO)", (mt.PO,), extract_po, fallback=extract_plain),)
