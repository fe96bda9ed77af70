"""The formatted body of an Outlook item: HTML, or compressed RTF that wraps HTML or text."""

from __future__ import annotations

from tui_scraper.engine.extract.base import Extracted
from tui_scraper.engine.extract.mail import outlook_properties as tag
from tui_scraper.engine.extract.mail.body import html_body, written_text
from tui_scraper.engine.extract.mail.outlook_properties import Properties, codec_of
from tui_scraper.engine.extract.mail.outlook_rtf import decompress_rtf, read_rtf_body
from tui_scraper.engine.settings import CleanSettings


def stored_page(properties: Properties, settings: CleanSettings) -> Extracted | None:
    """The text of the formatted body, None where there is none."""
    content = properties.data(tag.HTML)
    if content:
        return html_body(content, codec_of(properties.number(tag.INTERNET_CODE_PAGE)), settings)
    markup = properties.text(tag.HTML)
    if markup:
        return html_body(markup.encode("utf-8", "replace"), "utf-8", settings)
    rtf = decompress_rtf(properties.data(tag.RTF_COMPRESSED))
    if not rtf:
        return None
    text, is_html = read_rtf_body(rtf)
    if is_html:
        return html_body(text.encode("utf-8", "replace"), "utf-8", settings)
    return written_text(text, settings)[0]
