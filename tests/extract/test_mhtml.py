from __future__ import annotations

from tests.extract.files import read
from tests.extract.mails import b64
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.mail.mhtml import extract_mhtml
from tui_scraper.engine.settings import CleanSettings

PAGE = (
    '<!DOCTYPE html><html><head><meta charset=3D"utf-8"><title>A =C3=9C page</title></head>'
    '<body><h1>Head</h1><p>Text with a <a href=3D"http://x.y/">link</a></body></html>'
)


def saved(*parts: str, fields: str = "", start: str = "") -> bytes:
    head = (
        "From: <Saved by Blink>\nSnapshot-Content-Location: http://x.y/\nSubject: =?utf-8?Q?Saved?=\n"
        f'{fields}MIME-Version: 1.0\nContent-Type: multipart/related;\n\ttype="text/html";{start}\n'
        '\tboundary="--B"\n\n'
    )
    return (head + "".join(f"----B\n{part}\n" for part in parts) + "----B--\n").encode()


HTML = f"Content-Type: text/html\nContent-ID: <one@x>\nContent-Transfer-Encoding: quoted-printable\n\n{PAGE}"
PICTURE = f"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n{b64(bytes(30))}"


def test_a_saved_page_is_the_page() -> None:
    found = read(saved(HTML, PICTURE), "a.mhtml")
    assert found.text == "# Head\n\nText with a link"
    assert found.title == "A Ü page"
    assert found.links == [("http://x.y/", "hyperlink")]


def test_a_saved_page_is_known_without_its_ending() -> None:
    assert detect(saved(HTML), b"page") == "application/x-mimearchive"
    assert detect(b"<!DOCTYPE html><html><p>x", b"a.mht") == "text/html"


def test_the_page_is_the_part_that_the_header_names() -> None:
    other = "Content-Type: text/html\nContent-ID: <two@x>\n\n<p>the real page"
    assert read(saved(HTML, other, start=' start="<two@x>";'), "a.mht").text == "the real page"


def test_frames_are_read_where_the_page_only_arranges_them() -> None:
    frames = "Content-Type: text/html\n\n<html><frameset><frame src=a></frameset></html>"
    assert read(saved(frames, "Content-Type: text/html\n\n<p>in a frame"), "a.mht").text == "in a frame"


def test_a_page_without_html_is_read_as_a_mail() -> None:
    assert read(saved("Content-Type: text/plain\n\nplain"), "a.mht").text.endswith("plain")


def test_a_saved_page_knows_its_address() -> None:
    page = (
        b"Content-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n"
        b"Content-Location: https://x.org/page\r\n\r\n<p>Text <a href='other'>there</a></p>\r\n--x--\r\n"
    )
    found = extract_mhtml(page, "application/x-mimearchive", CleanSettings())
    assert found.links == [("https://x.org/page", "self"), ("other", "hyperlink")]
