"""Conditions on the path, label, type and date of documents, as they were typed or given as options.

They are checked against the store, never the index, so a label by hand and a rollback count at once.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tui_scraper.engine.safe_text import show_path
from tui_scraper.engine.search.asked import Condition
from tui_scraper.engine.search.dates import read_span

_GLOB = re.compile(r"[*?\[]")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")

_WORD = ("application/msword", "application/vnd.openxmlformats-officedocument.wordprocessingml")
_SHEET = ("application/vnd.ms-excel", "application/vnd.openxmlformats-officedocument.spreadsheetml")
_SLIDES = ("application/vnd.ms-powerpoint", "application/vnd.openxmlformats-officedocument.presentationml")
_OPEN = "application/vnd.oasis.opendocument."
_TYPES: dict[str, tuple[str, ...]] = {
    "html": ("text/html", "application/xhtml"),
    "htm": ("text/html", "application/xhtml"),
    "mail": ("message/", "application/mbox", "application/vnd.ms-outlook", "application/vnd.ms-tnef"),
    "text": ("text/plain",),
    "txt": ("text/plain",),
    "md": ("text/markdown", "text/x-markdown"),
    "doc": _WORD,
    "docx": _WORD[1:],
    "word": (*_WORD, _OPEN + "text"),
    "xls": _SHEET,
    "xlsx": _SHEET[1:],
    "excel": _SHEET,
    "sheet": (*_SHEET, _OPEN + "spreadsheet", "text/csv", "text/tab-separated-values"),
    "ppt": _SLIDES,
    "pptx": _SLIDES[1:],
    "powerpoint": _SLIDES,
    "slides": (*_SLIDES, _OPEN + "presentation"),
    "odt": (_OPEN + "text",),
    "ods": (_OPEN + "spreadsheet",),
    "odp": (_OPEN + "presentation",),
    "office": (*_WORD, *_SHEET, *_SLIDES, _OPEN),
    "image": ("image/",),
}
"""Short names, and what the media types that they stand for begin with."""
_SAME = {"email": "mail", "eml": "mail", "markdown": "md", "spreadsheet": "sheet", "presentation": "slides"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows of a document. `modified_ns` is 0 where nobody knows."""

    path: str
    labels: Sequence[str]
    media_type: str
    modified_ns: int


Test = Callable[[Facts], bool]


class Conditions:
    """All of them. Several of one field pass where any does; of dates and of what is excluded all count."""

    def __init__(
        self, typed: Sequence[Condition] = (), *, label: str | None = None, path: str | None = None
    ) -> None:
        self._tests: list[Test] = []
        self.path: str | None = None
        """What paths begin with or match as a whole, as the option of that name says."""
        if path is not None:
            self.path = _shown(path).removeprefix("./")
            self._tests.append(_whole_path(self.path))
        if label is not None:
            self._tests.append(lambda facts: label in facts.labels)
        self.languages = [
            ([value.lower() for value in condition.values], condition.excluded)
            for condition in _together(typed)
            if condition.field == "language"
        ]
        """Of which a document must be in one, or (True) in none: the index knows."""
        self.typed = [condition for condition in _together(typed) if condition.field != "language"]
        self._tests += [_test(condition) for condition in self.typed]

    def passes(self, facts: Facts) -> bool:
        """Whether a document is as it must be."""
        return all(test(facts) for test in self._tests)

    @property
    def narrows(self) -> bool:
        """Whether documents may be told apart by what needs no look at their labels."""
        return any(condition.field != "label" for condition in self.typed)

    def may_pass(self, facts: Facts) -> bool:
        """Whether a document may pass, whatever its labels are."""
        tests = [_test(condition) for condition in self.typed if condition.field != "label"]
        return all(test(facts) for test in tests) and (self.path is None or _whole_path(self.path)(facts))

    def of_type(self, media_types: Sequence[str]) -> list[str]:
        """Those that pass."""
        tests = [_test(condition) for condition in self.typed if condition.field == "type"]
        return [one for one in media_types if all(test(Facts("", (), one, 0)) for test in tests)]

    def when(self) -> tuple[float, float]:
        """From when to when (not included) documents must have been modified, at least: Unix time."""
        first, after = float("-inf"), float("inf")
        for condition in self.typed:
            if condition.field == "date" and not condition.excluded:
                spans = [span for value in condition.values if (span := read_span(value))]
                first = max(first, min(span[0] for span in spans))
                after = min(after, max(span[1] for span in spans))
        return first, after


def fixed_beginning(path: str) -> str:
    """What comes before the first sign of a pattern."""
    return _GLOB.split(path, maxsplit=1)[0]


def _together(typed: Sequence[Condition]) -> list[Condition]:
    """Several wanted values of one field become one condition, but not dates."""
    values: dict[str, tuple[str, ...]] = {}
    rest = []
    for condition in typed:
        if condition.excluded or condition.field == "date":
            rest.append(condition)
        else:
            values[condition.field] = values.get(condition.field, ()) + condition.values
    return [Condition(field, some) for field, some in values.items()] + rest


def _test(condition: Condition) -> Test:
    made = [_MAKERS[condition.field](value) for value in condition.values]
    if condition.excluded:
        return lambda facts: not any(test(facts) for test in made)
    return lambda facts: any(test(facts) for test in made)


def _label(value: str) -> Test:
    wanted = value.casefold()
    if _GLOB.search(wanted):
        return lambda facts: any(fnmatch.fnmatchcase(label.casefold(), wanted) for label in facts.labels)
    return lambda facts: any(label.casefold() == wanted for label in facts.labels)


def _part_of_path(value: str) -> Test:
    wanted = _shown(value).casefold()
    if _GLOB.search(wanted):
        return lambda facts: fnmatch.fnmatchcase(facts.path.casefold(), wanted)
    return lambda facts: wanted in facts.path.casefold()


def _type(value: str) -> Test:
    wanted = value.casefold().removeprefix(".")
    beginnings = (wanted,) if "/" in wanted else _TYPES.get(_SAME.get(wanted, wanted), ())
    if beginnings:
        return lambda facts: facts.media_type.startswith(beginnings)
    return lambda facts: wanted in facts.media_type.partition("/")[2]


def _date(value: str) -> Test:
    first, after = read_span(value) or (0.0, 0.0)
    return lambda facts: facts.modified_ns != 0 and first <= facts.modified_ns / 1e9 < after


_MAKERS: dict[str, Callable[[str], Test]] = {
    "label": _label,
    "path": _part_of_path,
    "type": _type,
    "date": _date,
}


def _whole_path(wanted: str) -> Test:
    if _GLOB.search(wanted):
        return lambda facts: fnmatch.fnmatchcase(facts.path, wanted)
    return lambda facts: facts.path.startswith(wanted)


def _shown(path: str) -> str:
    """A typed path as paths are shown; a byte that is not UTF-8 may come as the system gives it."""
    return show_path(_NO_BYTE.sub("\ufffd", path).encode("utf-8", "surrogateescape"))
