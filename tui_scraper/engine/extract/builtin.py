"""The formats that come with the program, registered through the same hook as those of plugins."""

from __future__ import annotations

from collections.abc import Iterable

from tui_scraper.engine.extract.archives import formats as archive
from tui_scraper.engine.extract.base import Format, hookimpl
from tui_scraper.engine.extract.books import epub, fb2
from tui_scraper.engine.extract.mail import mailbox, mhtml, outlook, tnef
from tui_scraper.engine.extract.mail import message as mail
from tui_scraper.engine.extract.markup import (
    asciidoc,
    bibtex,
    calendar_cards,
    gettext_po,
    info_pages,
    latex,
    org,
    roff,
    rst,
    subtitles,
    texinfo,
)
from tui_scraper.engine.extract.office import formats as office
from tui_scraper.engine.extract.opendocument import formats as odf
from tui_scraper.engine.extract.pdf import ocr
from tui_scraper.engine.extract.pdf import reader as pdf
from tui_scraper.engine.extract.plain import data, notebooks, text
from tui_scraper.engine.extract.rtf import reader as rtf
from tui_scraper.engine.extract.web import html
from tui_scraper.engine.extract.xml import documents as xml_documents

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
