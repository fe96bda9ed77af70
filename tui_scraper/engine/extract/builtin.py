"""The formats that come with the program, registered through the same hook as those of plugins."""

from __future__ import annotations

from collections.abc import Iterable

from tui_scraper.engine.extract import (
    archive,
    asciidoc,
    bibtex,
    calendar_cards,
    data,
    epub,
    fb2,
    gettext_po,
    html,
    info_pages,
    latex,
    mail,
    mailbox,
    mhtml,
    notebooks,
    ocr,
    odf,
    office,
    org,
    outlook,
    pdf,
    roff,
    rst,
    rtf,
    subtitles,
    texinfo,
    text,
    tnef,
    xml_documents,
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
    notebooks,
    archive,
    mail,
    mailbox,
    mhtml,
    outlook,
    tnef,
    ocr,
    xml_documents,
    roff,
    latex,
    bibtex,
    texinfo,
    info_pages,
    org,
    rst,
    asciidoc,
    gettext_po,
    subtitles,
    calendar_cards,
)
"""Modules with a `FORMATS` tuple."""


@hookimpl
def tui_scraper_formats() -> Iterable[Format]:
    """Every format of every family."""
    return [chosen for family in FAMILIES for chosen in family.FORMATS]
