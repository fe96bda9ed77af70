"""iCalendar and vCard: an event or a person a paragraph, a property a line, escapes undone.

Both are lines of `NAME;PARAMETER=VALUE:TEXT`, folded where they are long (RFC 5545, RFC 6350). Version
2.1 of vCard folds by quoted-printable instead.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links, Prose
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

_PROPERTY = re.compile(
    r"(?:[\w-]{1,60}\.)?([A-Za-z][\w-]{0,60})((?:;(?:\"[^\"\n]*\"|[^\":;\n])*)*):(.*)", re.DOTALL
)
_FOLD = re.compile(r"\n[ \t]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z?))?$")
_SILENT: Final = frozenset(
    {
        "VERSION", "PRODID", "CALSCALE", "METHOD", "UID", "DTSTAMP", "SEQUENCE", "REV", "PHOTO", "LOGO",
        "SOUND", "KEY", "TRIGGER", "ACTION", "TZOFFSETFROM", "TZOFFSETTO", "TRANSP", "CREATED",
        "LAST-MODIFIED", "X-LIC-LOCATION", "CLASS", "TZURL",
    }
)  # fmt: skip
_UNREAD: Final = frozenset(("VTIMEZONE", "STANDARD", "DAYLIGHT", "VALARM"))
_TITLES: Final = frozenset(("VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VCARD", "VAVAILABILITY"))
_NAMES: Final = {"SUMMARY": 1, "FN": 1}
_STRUCTURED: Final = frozenset(("N", "ADR", "ORG", "GENDER", "CLIENTPIDMAP"))


def extract_calendar(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """Events, tasks and people, in the order they stand in."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    links = Links()
    entries: list[list[str]] = [[]]
    unread: list[str] = []
    for line in _unfolded(text):
        found = _PROPERTY.match(line)
        if found is None:
            continue
        name, parameters, value = found[1].upper(), found[2], found[3].strip()
        if name == "BEGIN":
            if value.upper() in _UNREAD:
                unread.append(value.upper())
            elif value.upper() in _TITLES:
                entries.append([])
        elif name == "END":
            if unread and unread[-1] == value.upper():
                unread.pop()
            elif value.upper() in _TITLES:
                entries.append([])
        elif not unread and name not in _SILENT:
            shown = _value(name, parameters, value, links)
            if shown:
                entries[-1].append(f"{name.lower()}: {shown}")
    paragraphs = ["\n".join(lines) for lines in entries if lines]
    if not paragraphs:
        return extract_plain(data, media_type, settings)
    return Extracted(text="\n\n".join(paragraphs), links=links.as_list(), prose=Prose.DATA)


def _unfolded(text: str) -> list[str]:
    """The properties, each on one line."""
    lines = _FOLD.sub("", text).split("\n")
    if "QUOTED-PRINTABLE" not in text.upper():
        return lines
    joined: list[list[str]] = []
    continues = False
    for line in lines:
        if continues:
            joined[-1].append(line)
        else:
            joined.append([line])
        is_quoted = continues or "QUOTED-PRINTABLE" in line[:300].upper()
        continues = is_quoted and line.endswith("=")
        if continues:
            joined[-1][-1] = line[:-1]
    return ["".join(pieces) for pieces in joined]


def _value(name: str, parameters: str, value: str, links: Links) -> str:
    said = parameters.upper()
    if "ENCODING=B" in said or "VALUE=BINARY" in said or value.startswith("data:"):
        return ""  # a picture or a key
    if "QUOTED-PRINTABLE" in said:
        value = _quoted_printable(value, parameters)
    if name in ("URL", "ATTACH", "SOURCE", "IMAGE") and "://" in value:
        links.add(value, "hyperlink")
    if name in ("ATTENDEE", "ORGANIZER", "EMAIL"):
        address = value.removeprefix("mailto:").removeprefix("MAILTO:")
        if "@" in address:
            links.add(f"mailto:{address}", "hyperlink")
        who = re.search(r';CN="?([^";:]{1,200})', parameters, re.IGNORECASE)
        return f"{who[1].strip()} <{address}>" if who else address
    if name in _STRUCTURED:
        parts = [part for part in re.split(r"(?<!\\);", value) if part.strip()]
        value = ", ".join(parts)
    stamp = _STAMP.match(value)
    if stamp:
        return _moment(stamp)
    return (
        _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value).strip().replace("\n", "\n  ")
    )


def _moment(stamp: re.Match[str]) -> str:
    date = f"{stamp[1]}-{stamp[2]}-{stamp[3]}"
    if stamp[4] is None:
        return date
    return f"{date} {stamp[4]}:{stamp[5]}{' UTC' if stamp[7] else ''}"


def _quoted_printable(value: str, parameters: str) -> str:
    charset = re.search(r"CHARSET=\"?([\w-]{2,40})", parameters, re.IGNORECASE)
    raw = binascii.a2b_qp(value.encode("latin-1", "replace"))
    try:
        return raw.decode(charset[1] if charset else "utf-8")
    except (UnicodeDecodeError, LookupError):
        return raw.decode("windows-1252", "replace")


FORMATS = (
    Format("calendars and contacts", (mt.CALENDAR, mt.VCARD), extract_calendar, fallback=extract_plain),
)
