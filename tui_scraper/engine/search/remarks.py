"""What a query asks for that cannot be, in sentences: passed over in silence it would look like an answer."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.search.asked import Wanted
from tui_scraper.engine.search.syntax import DATES, FIELDS

_LIKE = 0.76
"""Likeness from which a name is taken for a misspelt field: "lable", and not "data" or "file"."""
_TOLD = 8


def about_fields(wanted: Wanted, typing: str = "") -> tuple[str, ...]:
    """What stands before a colon and is no field, or after it and cannot be read; that nothing is left.

    Nothing of what the query that is being typed ends with: `date:2` is no date yet.
    """
    found = []
    for name, value in wanted.unread:
        if typing.endswith(f"{name}:{value}"):
            continue
        typed = safe_text(f"{name}:{value}", limit=60)
        field = FIELDS.get(name.lower())
        close = difflib.get_close_matches(name.lower(), FIELDS, 1, _LIKE)
        if field == "date":
            found.append(f'"{typed}" is no date ({DATES}); searched for as words.')
        elif field:
            found.append(f'"{typed}" says nothing about the {field}; searched for as words.')
        elif close:
            found.append(f'"{typed}" was searched for as words; did you mean "{close[0]}:"?')
    if wanted.excluded and not wanted.anything:
        found.append("All of it is to be left out: type also what to look for.")
    return tuple(found)


def about_labels(wanted: Wanted, label: str | None, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels that no document can have, `label` being one given apart; `labels` are all that there are."""
    known = {name.casefold(): name for name in labels}
    typed = (value for one in wanted.conditions if one.field == "label" for value in one.values)
    unknown = [name for name in typed if name.casefold() not in known]
    found = []
    for name in unknown if label is None or label in labels else [*unknown, label]:
        close = difflib.get_close_matches(name.casefold(), known, 1)
        there = ", ".join(labels[:_TOLD]) + (", …" if len(labels) > _TOLD else "")
        hint = f'did you mean "{known[close[0]]}"?' if close else f"there are {there}."
        found.append(safe_text(f'No document here can have the label "{name}"; {hint}'))
    return tuple(found)


def about_languages(wanted: Wanted, languages: Sequence[str]) -> tuple[str, ...]:
    """Languages that nothing is in; `languages` are all that something is."""
    typed = dict.fromkeys(
        value
        for one in wanted.conditions
        if one.field == "language" and not one.excluded
        for value in one.values
    )
    there = ", ".join(languages[:_TOLD]) + (", …" if len(languages) > _TOLD else "")
    hint = f"there are {there}." if there else "of none the language is known."
    return tuple(
        safe_text(f'Nothing here is in the language "{name}"; {hint}', limit=200)
        for name in typed
        if name.lower() not in languages
    )
