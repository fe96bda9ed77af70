"""What a typed query asks for: words, phrases, and what the documents must be.

What people type must never be an error, so the query is read by a few rules of our own instead of the index
library's language: words, "phrases", beginnings of words (`invoi*`), `-` before what is left out, and the
fields of `syntax.FIELDS` before what they must be. A field's name that is none, or whose value cannot be, is
a word like any other.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Any

from tui_scraper.engine.search.dates import read_span
from tui_scraper.engine.search.syntax import FIELDS
from tui_scraper.engine.search.terms import is_unspaced, spaced

MAX_QUERY_CHARS = 1_000
MAX_QUERY_WORDS = 32
_SHORTEST_BEGINNING = 2
"""Letters before a `*`; with fewer it is a word."""

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "「": '"', "」": '"'})
_PART = re.compile(
    rf"""(?<!\S)(?P<minus>-(?=[^\s-]))?(?:(?P<field>{"|".join(FIELDS)}):(?=[^\s"]|"[^"]))?"""
    r"""(?:"(?P<quoted>[^"]*)(?:"|$)|(?P<bare>\S+))|"(?P<within>[^"]*)(?:"|$)|(?P<rest>\S+)""",
    re.IGNORECASE,
)
_NAMED = re.compile(r"^(\w+):(.+)")


@dataclass(frozen=True, slots=True)
class Word:
    """One word or phrase. `exact`: as it stands. `begins`: any word that begins so. `title`: in titles.

    `times` is how often it was typed.
    """

    terms: tuple[str, ...]
    exact: bool = False
    begins: bool = False
    title: bool = False
    times: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a field of the documents must be, one of `values`, or must not."""

    field: str
    values: tuple[str, ...]
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query asks for."""

    words: tuple[Word, ...] = ()
    excluded: tuple[Word, ...] = ()
    conditions: tuple[Condition, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    """What stood before and after a colon and was taken for words."""

    @property
    def anything(self) -> bool:
        """Whether there is something to look for; leaving out alone is not."""
        return bool(self.words) or any(not condition.excluded for condition in self.conditions)


def read_query(query: str, analyze: Any) -> Wanted:
    """Understand what was typed. Never raises; signs that mean nothing are passed over."""
    words: list[Word] = []
    excluded: list[Word] = []
    conditions: list[Condition] = []
    unread: list[tuple[str, str]] = []
    for match in _parts(query):
        about, part, exact = _read(match)
        unread += _NAMED.findall(match["bare"] or "") if not about else ()
        if about and about != "title":
            values = _values(about, part, exact)
            if values:
                conditions.append(Condition(about, values, bool(match["minus"])))
                continue
            unread.append((match["field"], part))
            part, exact = f"{match['field']} {part}", False
        terms = tuple(analyze.analyze(spaced(part)))[:MAX_QUERY_WORDS]
        starred = not exact and part.endswith("*")
        into = excluded if match["minus"] else words
        for some in [terms] if exact or match["minus"] else _split(terms):
            begins = (
                starred and some[-1:] == terms[-1:] and len(some) == 1 and len(some[0]) >= _SHORTEST_BEGINNING
            )
            word = Word(some, exact, begins, about == "title")
            if word in into:
                at = into.index(word)
                into[at] = replace(word, times=into[at].times + 1)
            elif some and len(words) + len(excluded) < MAX_QUERY_WORDS:
                into.append(word)
    return Wanted(tuple(words), tuple(excluded), tuple(conditions[:MAX_QUERY_WORDS]), tuple(unread))


def in_words(query: str) -> str:
    """A query as a person would say it: without what it leaves out, its fields and its signs."""
    wanted = []
    for match in _parts(query):
        about, part, quoted = _read(match)
        if match["minus"] or (about not in ("", "title") and _values(about, part, quoted)):
            continue
        if about not in ("", "title"):
            wanted.append(match["field"])
        wanted.append(part if part.strip("*") == "" else part.rstrip("*"))
    return " ".join(" ".join(wanted).split())


def _parts(query: str) -> list[re.Match[str]]:
    text = query[:MAX_QUERY_CHARS].encode("utf-8", "replace").decode("utf-8")
    return list(_PART.finditer(unicodedata.normalize("NFC", text).translate(_QUOTES)))


def _read(match: re.Match[str]) -> tuple[str, str, bool]:
    """The field, '' for none, what follows it, and whether that is quoted."""
    about = FIELDS.get((match["field"] or "").lower(), "")
    part = next(text for text in match.group("quoted", "bare", "within", "rest") if text is not None)
    return about, part, match["quoted"] is not None or match["within"] is not None


def _split(terms: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words of what was typed without a space, as "e-mail", for each counts.

    Characters of a script without spaces stay together.
    """
    kinds = itertools.groupby(enumerate(terms), lambda pair: -1 if is_unspaced(pair[1]) else pair[0])
    return [tuple(term for _at, term in some) for _kind, some in kinds]


def _values(about: str, text: str, quoted: bool) -> tuple[str, ...]:
    """What a field may be; () where that cannot be read."""
    if about == "path":
        return (text,)
    parts = [text] if quoted else text.split(",")
    values = tuple(part.strip() for part in parts if part.strip())
    if about == "date" and not all(read_span(value) for value in values):
        return ()
    if about == "type":
        return tuple(value for value in values if value.strip("."))
    return values
