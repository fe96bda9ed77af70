"""XML that is not well-formed, as the same events: what looks like a tag is one, everything else is text.

For documents that a strict parser gives up on: an attribute twice, a bare ampersand, tags that cross, an
end that is missing. Ends are matched to what is open, so that readers see a proper nesting.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Final

from tui_scraper.engine.extract.decoding import declared_charset, decode
from tui_scraper.engine.extract.xml.events import END, START, TEXT, Event

_MARK = re.compile(
    r"<(?:(!--)|(!\[CDATA\[)|(\?)|(!)|(/?)([A-Za-z_][\w:.-]{0,200})(?=[\s/>])([^<>]{0,20000})>)"
)
_ATTRIBUTE = re.compile(r"""([\w:.-]{1,200})\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_SUBSET = re.compile(r"[\[>]")
_NOTHING: Mapping[str, str] = {}
_MAX_OPEN: Final = 10_000


def loose_xml_events(data: bytes) -> Iterator[Event]:
    """The events of a document that may break every rule of XML. Raises nothing."""
    text = decode(data, declared_charset(data))
    opened: list[str] = []
    counts: dict[str, int] = {}
    missing: set[str] = set()
    position = 0
    while found := _MARK.search(text, position):
        if found.start() > position:
            yield TEXT, html.unescape(text[position : found.start()]), _NOTHING
        position = found.end()
        if found[1]:
            position = _after(text, position, "-->", missing)
        elif found[2]:
            end = _after(text, position, "]]>", missing)
            yield TEXT, text[position:end].removesuffix("]]>"), _NOTHING
            position = end
        elif found[3]:
            position = _after(text, position, "?>", missing)
        elif found[4]:
            position = _after_declaration(text, position, missing)
        elif found[5]:
            yield from _close(found[6], opened, counts)
        else:
            yield START, found[6], _attributes(found[7])
            if found[7].endswith("/"):
                yield END, found[6], _NOTHING
            elif len(opened) < _MAX_OPEN:
                opened.append(found[6])
                counts[found[6]] = counts.get(found[6], 0) + 1
    if position < len(text):
        yield TEXT, html.unescape(text[position:]), _NOTHING
    while opened:
        yield END, opened.pop(), _NOTHING


def _close(name: str, opened: list[str], counts: dict[str, int]) -> Iterator[Event]:
    """The ends of an element and of those that were left open in it; none where it is not open."""
    if not counts.get(name):
        return
    while opened:
        last = opened.pop()
        counts[last] -= 1
        yield END, last, _NOTHING
        if last == name:
            return


def _after(text: str, position: int, end: str, missing: set[str]) -> int:
    """Where `end` ends; where it does not come, the mark that asked for it is passed over."""
    at = -1 if end in missing else text.find(end, position)
    if at < 0:
        missing.add(end)
        return position
    return at + len(end)


def _after_declaration(text: str, position: int, missing: set[str]) -> int:
    found = None if ">" in missing else _SUBSET.search(text, position)
    if found is None:
        missing.add(">")
        return position
    if found[0] == "[" and "]" not in missing:
        at = text.find("]", found.end())
        while at >= 0 and text[at + 1 : at + 20].lstrip()[:1] != ">":
            at = text.find("]", at + 1)
        if at >= 0:
            return text.find(">", at) + 1
        missing.add("]")
    return found.end()


def _attributes(written: str) -> dict[str, str]:
    return {name: html.unescape(double or single) for name, double, single in _ATTRIBUTE.findall(written)}
