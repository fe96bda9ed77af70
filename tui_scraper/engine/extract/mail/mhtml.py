"""Saved web pages (MHTML, RFC 2557): the page itself; its pictures and styles are no documents."""

from __future__ import annotations

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import declared_charset
from tui_scraper.engine.extract.mail.body import page_text
from tui_scraper.engine.extract.mail.charsets import decode_labelled
from tui_scraper.engine.extract.mail.message import extract_mail, extract_mail_lines
from tui_scraper.engine.extract.mail.structure import Mail, Part, read_mail
from tui_scraper.engine.settings import CleanSettings

_PAGES = frozenset(("text/html", "application/xhtml+xml"))


def extract_mhtml(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of the page that was saved; of its frames where the page only arranges them."""
    mail = read_mail(data)
    pages = [part for part in mail.parts if part.media_type in _PAGES and not part.is_multipart]
    if not pages:
        return extract_mail(data, media_type, settings)
    first = _root(mail, pages)
    found = _page(mail, first, settings)
    if not found.text.strip():
        frames = [_page(mail, part, settings) for part in pages if part is not first]
        found.text = "\n\n".join(frame.text for frame in frames if frame.text.strip())
        found.truncated = found.truncated or any(frame.truncated for frame in frames)
    address = first.text_of(b"content-location")
    if address.startswith(("http://", "https://")):
        found.links.insert(0, (address, "self"))
    found.title = found.title or mail.root.text_of(b"subject") or None
    found.truncated = found.truncated or mail.is_cut
    return found


def _root(mail: Mail, pages: list[Part]) -> Part:
    start = mail.root.parameters.get("start", "").strip("<> ").encode()
    named = (part for part in pages if start and part.field(b"content-id").strip(b"<> ") == start)
    return next(named, pages[0])


def _page(mail: Mail, part: Part, settings: CleanSettings) -> Extracted:
    content = mail.content(part)
    charset = part.parameters.get("charset", "") or declared_charset(content)
    return page_text(decode_labelled(content, charset), settings)


FORMATS = (
    Format(
        "saved web pages (.mhtml)",
        (mt.MHTML,),
        extract_mhtml,
        fallback=extract_mail_lines,
        modules=("selectolax.lexbor",),
    ),
)
