from __future__ import annotations

import os
import stat
import struct
import time
from pathlib import Path

import pytest

from tests.extract.files import PROSE, pdf, read
from tests.extract.pdfs import Pdf, body, book, picture, png, scan, tiff
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.pdf import ocr
from tui_scraper.engine.models import Cause
from tui_scraper.engine.phases.clean import relevant
from tui_scraper.engine.settings import CleanSettings, Settings

needs_tesseract = pytest.mark.skipif(
    not ocr.languages(CleanSettings()), reason="Tesseract with English is not installed"
)
NAMES = {
    "a.png": struct.pack(">8s4s4sII", b"\x89PNG\r\n\x1a\n", b"\0\0\0\r", b"IHDR", 640, 480) + bytes(9),
    "a.gif": b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(9),
    "a.bmp": b"BM" + struct.pack("<I4xI", 99, 54) + struct.pack("<Iii", 40, 640, -480) + bytes(40),
    "a.jpg": b"\xff\xd8\xff\xe0\0\4ab\xff\xff\xc0\0\x11\x08" + struct.pack(">HH", 480, 640) + bytes(9),
    "a.webp": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\x7f\2\0" + b"\xdf\1\0",
    "b.webp": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14),
    "c.webp": b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480),
    "a.tif": tiff((640, 480, b"")),
    "b.tif": b"MM\0*" + struct.pack(">IHHHIIHHII", 8, 2, 256, 4, 1, 640, 257, 4, 1, 480) + bytes(4),
    "c.tif": b"II+\0\x08\0\0\0"
    + struct.pack("<QQHHQQHHQQ", 16, 2, 256, 4, 1, 640, 257, 4, 1, 480)
    + bytes(8),
}
"""Headers of pictures of 640 by 480 pixels, and next to nothing behind them."""


def refusal(data: bytes, name: str, **settings: object) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(data, name, **settings)
    assert caught.value.message.isprintable()
    assert caught.value.message.endswith((".", ")."))
    return caught.value


@pytest.fixture
def without_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a program in Tesseract's place."""
    program = folder / "tesseract"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = --list-langs ]; then printf "List (1):\\neng\\n"; exit; fi\n{script}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def words(*rows: tuple[int, int, int, str]) -> str:
    """Tesseract's table of words: paragraph, line, likelihood, word."""
    shown = "".join(
        f"5\\t1\\t1\\t{paragraph}\\t{line}\\t1\\t{10 * number}\\t0\\t9\\t9\\t{likely}\\t{word}\\n"
        for number, (paragraph, line, likely, word) in enumerate(rows)
    )
    return f"cat >/dev/null; printf 'level\\n{shown}'"


@pytest.mark.usefixtures("without_tesseract")
@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_told_to_need_ocr_where_there_is_none(name: str) -> None:
    error = refusal(NAMES[name], name)
    assert error.cause is Cause.NEEDS_OCR
    assert "tesseract-ocr" in error.message
    assert 'retry --cause "needs OCR"' in error.message


@pytest.mark.usefixtures("without_tesseract")
def test_scans_are_told_to_need_ocr_where_there_is_none() -> None:
    error = refusal(scan(4, 4, bytes(16)), "a.pdf")
    assert error.cause is Cause.NEEDS_OCR
    assert "tesseract-ocr" in error.message


def test_ocr_that_is_off_is_named() -> None:
    error = refusal(NAMES["a.png"], "a.png", ocr="off")
    assert error.cause is Cause.NEEDS_OCR
    assert "clean.ocr" in error.message


def test_a_language_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, tmp_path, "exit 1")
    assert "tlh" in refusal(NAMES["a.png"], "a.png", ocr_languages="tlh").message
    assert ocr.languages(CleanSettings(ocr_languages="tlh+eng")) == "eng"


def test_the_settings_of_ocr_decide_and_what_is_installed_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, tmp_path, "exit 1")
    with_ocr = relevant(Settings())
    assert relevant(Settings(clean=CleanSettings(ocr="off"))) != with_ocr
    assert relevant(Settings(clean=CleanSettings(ocr_languages="deu"))) != with_ocr
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert relevant(Settings()) == with_ocr


@pytest.mark.parametrize("languages", ["eng;rm -rf", "../eng", "-l", "", "eng+"])
def test_only_names_of_languages_are_languages(languages: str) -> None:
    with pytest.raises(ValueError, match="ocr_languages"):
        CleanSettings(ocr_languages=languages)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)),
        ("a.jpg", b"\xff\xd8\xff"),
        ("a.jpg", b"\xff\xd8\xff" + b"\xff" * 300_000),
        ("a.tif", b"II*\0\xff\xff\xff\x7f"),
        ("a.gif", b"GIF89a\0\0"),
    ],
)
def test_pictures_without_a_size_are_damaged(name: str, data: bytes) -> None:
    assert refusal(data, name).cause is Cause.CORRUPT


def test_a_tiff_that_goes_in_circles_ends() -> None:
    data = bytearray(tiff((640, 480, b"")))
    struct.pack_into("<I", data, len(data) - 4, struct.unpack_from("<I", data, 4)[0])
    assert refusal(bytes(data), "a.tif", ocr="off").cause is Cause.NEEDS_OCR
    nested = b"II*\0\x08\0\0\0" + b"\xff\xff\x08\0" * 400_000
    started = time.monotonic()
    refusal(nested, "a.tif", ocr="off")
    assert time.monotonic() - started < 2


def test_pictures_too_large_or_too_small_are_not_given_to_tesseract(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, tmp_path, f"touch {tmp_path}/started")
    bomb = png(4, 4, bytes(16)).replace(struct.pack(">II", 4, 4), struct.pack(">II", 60_000, 60_000))
    assert refusal(bomb, "a.png").cause is Cause.TOO_LARGE
    assert refusal(png(4, 4, bytes(16)), "a.png").cause is Cause.NO_TEXT
    assert not (tmp_path / "started").exists()


def test_unlikely_words_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(
        monkeypatch,
        tmp_path,
        words(
            (1, 1, 95, "Likely"),
            (1, 1, 20, "x~q"),
            (1, 1, 90, "words"),
            (2, 1, 91, "Another"),
            (3, 1, 96, "|"),
        ),
    )
    assert read(NAMES["a.png"], "a.png").text == "Likely words\n\nAnother"


@pytest.mark.parametrize(
    "script", [words((1, 1, 96, "ab")), words(*[(1, 1, 45, "photograph")] * 9), words(), "cat >/dev/null"]
)
def test_next_to_nothing_in_a_picture_is_no_text(
    script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, tmp_path, script)
    assert refusal(NAMES["a.png"], "a.png").cause is Cause.NO_TEXT


def test_a_picture_that_tesseract_refuses_is_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, tmp_path, "exit 1")
    assert refusal(NAMES["a.png"], "a.png").cause is Cause.CORRUPT


def test_a_tesseract_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, tmp_path, "exec sleep 600")
    started = time.monotonic()
    assert refusal(NAMES["a.png"], "a.png", timeout_s=0.5).cause is Cause.TIMEOUT
    assert refusal(scan(4, 4, bytes(16)), "a.pdf", timeout_s=0.5).cause is Cause.TIMEOUT
    assert time.monotonic() - started < 10


def mixed() -> bytes:
    """A PDF of a page with text and two without."""
    document = Pdf()
    document.lines(body("a page with text"))
    image = document.stream(
        bytes(16),
        "/Type /XObject /Subtype /Image /Width 4 /Height 4 /ColorSpace /DeviceGray /BitsPerComponent 8",
    )
    for _ in range(2):
        document.page(b"q 612 0 0 792 0 0 cm /Im Do Q", resources=f"/XObject << /Im {image} 0 R >>")
    return document.data()


def test_only_pages_without_text_are_read_by_ocr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, tmp_path, f"echo >>{tmp_path}/calls; " + words((1, 1, 96, "recognised")))
    found = read(mixed(), "a.pdf")
    assert found.text == "a page with text\n\nrecognised\n\nrecognised"
    assert len(found.pages) == 3
    assert (tmp_path / "calls").read_text() == "\n\n"
    assert not found.truncated


def test_a_pdf_whose_ocr_takes_too_long_is_cut_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = f"if [ -e {tmp_path}/called ]; then exec sleep 600; fi; touch {tmp_path}/called; "
    pretend(monkeypatch, tmp_path, first + words((1, 1, 96, "recognised")))
    found = read(mixed(), "a.pdf", timeout_s=4)
    assert found.text == "a page with text\n\nrecognised"
    assert found.truncated


@needs_tesseract
def test_the_text_of_a_picture_is_read() -> None:
    shown = picture(book([body("The quick brown fox", "jumps over the lazy dog", pitch=24)]))
    text = read(png(*shown), "a.png").text
    assert text.split() == ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]


@needs_tesseract
def test_the_pages_of_a_tiff_are_read_one_by_one() -> None:
    pages = [picture(pdf([PROSE[:40]])), picture(pdf(["another page of words"]))]
    found = read(tiff(*pages), "a.tif")
    assert len(found.pages) == 2
    assert "quick brown" in found.text[: found.pages[1]]
    assert "another page" in found.text[found.pages[1] :]


@needs_tesseract
def test_a_scanned_page_is_read() -> None:
    text = read(scan(*picture(pdf(["Scanned words on a page", "and a second line"]))), "a.pdf").text
    assert "Scanned words on a page" in text


@needs_tesseract
def test_a_white_picture_has_no_text() -> None:
    assert refusal(png(400, 400, b"\xff" * 160_000), "a.png").cause is Cause.NO_TEXT
