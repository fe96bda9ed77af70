"""GNU Info manuals: the text of their nodes, underlined titles as headings, marks for programs left out."""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

_NODE = re.compile(r"File: [^\n]{0,200}?Node:")
_MARKER = re.compile(r"\0\x08\[[^\]\0]{0,300}\0\x08\]")
_CHARSET = re.compile(rb"coding:[ \t]*([\w.-]{2,30})")
_TABLES: Final = ("Tag Table:", "Indirect:", "End Tag Table", "Local Variables:")
_UNDERLINES: Final = {"*": "#", "=": "##", "-": "###", ".": "####"}


def extract_info(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an Info file."""
    charset = _CHARSET.search(data[-2_000:])
    text = decode(data, charset[1].decode("ascii") if charset else "").replace("\r\n", "\n")
    nodes: list[str] = []
    title = ""
    for node in _MARKER.sub("", text).split("\x1f"):
        body = node.removeprefix("\x0c").lstrip("\n")
        if body.startswith(_TABLES):
            continue
        if _NODE.match(body):
            body = body.partition("\n")[2]
        lines = _with_headings(body.split("\n"))
        title = title or next((line.lstrip("# ") for line in lines if line.startswith("#")), "")
        nodes.append("\n".join(lines))
    found = Extracted(text="\n\n".join(nodes), title=title or None)
    return found if found.text.strip() else extract_plain(data, media_type, settings)


def _with_headings(lines: list[str]) -> list[str]:
    """The lines with those that are underlined as headings."""
    made: list[str] = []
    for line in lines:
        mark = line[:1]
        if (
            mark in _UNDERLINES
            and len(line) > 1
            and line == mark * len(line)
            and made
            and len(made[-1].rstrip()) == len(line)
        ):
            made[-1] = f"{_UNDERLINES[mark]} {made[-1].strip()}"
            made.append("")
        elif line != "* Menu:":
            made.append(line)
    return made


FORMATS = (Format("Info manuals", (mt.INFO,), extract_info, fallback=extract_plain),)
