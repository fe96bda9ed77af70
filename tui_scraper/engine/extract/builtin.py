"""The formats that come with the program, registered through the same hook as those of plugins."""

from __future__ import annotations

from collections.abc import Iterable

from tui_scraper.engine.extract import (
    archive,
    data,
    epub,
    fb2,
    html,
    mail,
    mailbox,
    mhtml,
    ocr,
    odf,
    office,
    outlook,
    pdf,
    rtf,
    text,
    tnef,
)
from tui_scraper.engine.extract.base import Format, hookimpl

FAMILIES = (
    text,
    html,
    pdf,
    office,
    odf,
    epub,
    fb2,
    rtf,
    data,
    archive,
    mail,
    mailbox,
    mhtml,
    outlook,
    tnef,
    ocr,
)
"""Modules with a `FORMATS` tuple."""


@hookimpl
def tui_scraper_formats() -> Iterable[Format]:
    """Every format of every family."""
    return [chosen for family in FAMILIES for chosen in family.FORMATS]
