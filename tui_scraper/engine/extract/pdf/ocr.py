"""Text in pictures, read by Tesseract where it is installed and `clean.ocr` is "auto".

Tesseract runs as a program of its own: one process a picture, picture in and table of words out through
pipes, no temporary file, one thread, in the worker's process group and under its limits. A picture is
measured by its header before anything unpacks it. Words that Tesseract itself holds for unlikely are left
out: photographs and drawings otherwise come back as a sprinkle of letters.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from tui_scraper.engine.errors import DocumentError, timeout_sentence
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.media_types import name_of
from tui_scraper.engine.extract.pdf.layout import Page, character_width, render
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

MAX_PIXELS: Final = 100_000_000
"""Of one picture: A4 at 1,000 dots an inch."""
_MIN_SIDE: Final = 12  # pixels; no letter can be told apart in less
_TIME_SHARE: Final = 0.75
"""The part of a document's time that its OCR may take."""
_LIKELY: Final = 40.0
_LIKELY_PAGE: Final = 60.0
_FEWEST_CHARS: Final = 6
_INHERITED: Final = ("PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "TMPDIR")
_MAX_TIFF_PAGES: Final = 2_000
_MAX_TAGS_BEFORE_SIZE: Final = 20  # tags are sorted, and these are the first but for a few
_MAX_SEGMENTS: Final = 20_000
_INSTALL: Final = 'install tesseract-ocr, then run `tui-scraper retry --cause "needs OCR"`'

Size = tuple[int, int]


class UnreadablePictureError(Exception):
    """Tesseract does not know what to make of a picture."""


@dataclass(frozen=True, slots=True)
class Tesseract:
    """An installed Tesseract: where it is, and the languages it has."""

    path: str
    languages: frozenset[str]


def installed() -> Tesseract | None:
    """The Tesseract of this system, if it works."""
    return _installed(os.environ.get("PATH", ""), os.environ.get("TESSDATA_PREFIX", ""))


@cache
def _installed(path: str, tessdata: str) -> Tesseract | None:
    del tessdata  # decides which languages there are
    program = shutil.which("tesseract", path=path)
    if program is None:
        return None
    try:
        listed = subprocess.run([program, "--list-langs"], capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (listed.stdout or listed.stderr).decode("utf-8", "replace").split("\n")
    return Tesseract(program, frozenset(line.strip() for line in lines[1:] if line.strip()))


def languages(settings: CleanSettings) -> str:
    """The languages that pictures are read in here, joined by '+'; '' where there is no OCR."""
    if settings.ocr == "off":
        return ""
    found = installed()
    if found is None:
        return ""
    return "+".join(one for one in settings.ocr_languages.split("+") if one in found.languages)


def missing(settings: CleanSettings) -> str:
    """Why there is no OCR here and what the person can do, as the end of a sentence; '' where there is."""
    if settings.ocr == "off":
        return 'OCR is off in the settings (set clean.ocr to "auto")'
    if installed() is None:
        return f"no OCR is installed ({_INSTALL})"
    if not languages(settings):
        return f"Tesseract lacks the language {settings.ocr_languages} of clean.ocr_languages (install it)"
    return ""


def needs(settings: CleanSettings) -> str:
    """The same as a sentence of its own, for `doctor`."""
    reason = missing(settings)
    return f"{reason[0].upper()}{reason[1:]}." if reason else ""


def extract_picture(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text that is to be seen in a picture, page by page where it has several (TIFF)."""
    until = time.monotonic() + settings.timeout_s * _TIME_SHARE
    what = f"{name_of(media_type).removesuffix('s')}"
    sizes = _sizes(data, media_type, what)
    if all(min(size) < _MIN_SIDE for size in sizes):
        raise DocumentError(Cause.NO_TEXT, f"The {what} is too small to hold any text.")
    if reason := missing(settings):
        raise DocumentError(Cause.NEEDS_OCR, f"The {what} may show text, but {reason}.")
    if max(width * height for width, height in sizes) > MAX_PIXELS:
        raise DocumentError(
            Cause.TOO_LARGE, f"The {what} has more than {MAX_PIXELS // 10**6} megapixels, too many for OCR."
        )
    pages: list[str] = []
    unread = 0
    for number in range(len(sizes)):
        try:
            pages.append(read_picture(data, settings, until, page=number if len(sizes) > 1 else None))
        except TimeoutError:
            break
        except UnreadablePictureError:
            pages.append("")
            unread += 1
    if not any(pages):
        if len(pages) < len(sizes):
            raise DocumentError(Cause.TIMEOUT, timeout_sentence(settings))
        if unread:
            raise DocumentError(
                Cause.CORRUPT, f"The {what} is damaged, or of a kind that Tesseract cannot read."
            )
        raise DocumentError(Cause.NO_TEXT, f"No text was found in the {what}.")
    truncated = len(pages) < len(sizes)
    return Extracted(text=pages[0]) if len(sizes) == 1 else Extracted(pages=pages, truncated=truncated)


def read_gray(width: int, height: int, pixels: bytes, dpi: int, settings: CleanSettings, until: float) -> str:
    """The text in a grey picture of one byte a pixel. `until` is a time of the monotonic clock.

    Raises TimeoutError, or UnreadablePictureError where Tesseract fails.
    """
    return read_picture(b"P5\n%d %d\n255\n%b" % (width, height, pixels), settings, until, dpi=dpi)


def read_picture(
    data: bytes, settings: CleanSettings, until: float, *, page: int | None = None, dpi: int = 0
) -> str:
    """The text in the file of a picture; see `read_gray`."""
    tesseract = installed()
    seconds = until - time.monotonic()
    if tesseract is None or seconds <= 0:
        raise TimeoutError
    rotated = "osd" in tesseract.languages  # then it looks which way is up
    command = [tesseract.path, "stdin", "stdout", "-l", languages(settings), "--psm", "1" if rotated else "3"]
    command += ["--dpi", str(dpi)] if dpi else []
    command += ["-c", "tessedit_create_tsv=1"]
    command += [] if page is None else ["-c", f"tessedit_page_number={page}"]
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=seconds, env=environment, check=True
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    except subprocess.CalledProcessError:
        raise UnreadablePictureError from None
    return _text(done.stdout.decode("utf-8", "replace"))


@dataclass(slots=True)
class _Line:
    words: list[str]
    left: int
    right: int


def _text(table: str) -> str:
    """The text of Tesseract's table of words, in paragraphs."""
    paragraphs: dict[tuple[str, ...], dict[str, _Line]] = {}
    likelihoods: list[float] = []
    for row in table.split("\n")[1:]:
        cells = row.split("\t")
        if len(cells) != 12 or cells[0] != "5":
            continue
        word, likelihood = cells[11].strip(), float(cells[10])
        if not word or likelihood < _LIKELY:
            continue
        likelihoods.append(likelihood)
        left, width = int(cells[6]), int(cells[8])
        line = paragraphs.setdefault(tuple(cells[1:4]), {}).setdefault(cells[4], _Line([], left, 0))
        line.words.append(word)
        line.right = left + width
    texts = [_paragraph(list(lines.values())) for lines in paragraphs.values()]
    text = "\n\n".join(filter(None, texts))
    if sum(map(str.isalnum, text)) < _FEWEST_CHARS or sum(likelihoods) < _LIKELY_PAGE * len(likelihoods):
        return ""
    return text


def _paragraph(lines: list[_Line]) -> str:
    """One of Tesseract's paragraphs, which may be a list: its lines are joined where they were wrapped."""
    page = Page([])
    for line in lines:
        text = " ".join(line.words)
        if any(map(str.isalnum, text)):
            page.texts.append(text)
            page.x0.append(line.left)
            page.x1.append(line.right - (line.right - line.left) / len(text))
    spacing = 2.4 * character_width(page)
    page.y0 = [-spacing * number for number in range(len(page.texts))]
    page.y1 = page.y0
    return render(page, {}, {})


def _sizes(data: bytes, media_type: str, what: str) -> list[Size]:
    """Width and height of each page of a picture, from its header alone.

    Raises DocumentError(CORRUPT) where it tells none.
    """
    sizes: list[Size] = []
    with contextlib.suppress(struct.error, IndexError):  # cut off: what came before counts
        for width, height in _MEASURES[media_type](data):
            if width <= 0 or height <= 0:
                break
            sizes.append((width, height))
    if not sizes:
        raise DocumentError(Cause.CORRUPT, f"The {what} is damaged: it does not tell its size.")
    return sizes


def _png(data: bytes) -> Iterator[Size]:
    if data[12:16] == b"IHDR":
        yield struct.unpack_from(">II", data, 16)


def _gif(data: bytes) -> Iterator[Size]:
    yield struct.unpack_from("<HH", data, 6)


def _bmp(data: bytes) -> Iterator[Size]:
    if data[14] == 12:
        yield struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
        yield width, abs(height)


def _jpeg(data: bytes) -> Iterator[Size]:
    position = 2
    for _ in range(_MAX_SEGMENTS):
        marker = data[position + 1]
        if data[position] != 0xFF:
            return
        if marker == 0xFF:
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            position += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            yield width, height
            return
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            position += 2 + max(2, length)


def _webp(data: bytes) -> Iterator[Size]:
    kind = data[12:16]
    if kind == b"VP8X":
        yield tuple(1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))  # type: ignore[misc]
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        yield 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        yield width & 0x3FFF, height & 0x3FFF


def _tiff(data: bytes) -> Iterator[Size]:
    order = "<" if data[:2] == b"II" else ">"
    offset, count, entry = ("Q", "Q", "HHQ") if 43 in data[2:4] else ("I", "H", "HHI")  # 43: BigTIFF
    wide = struct.calcsize(offset)
    step = struct.calcsize("=" + entry) + wide
    (start,) = struct.unpack_from(order + offset, data, wide if wide == 4 else 8)
    seen: set[int] = set()
    while start and start not in seen and len(seen) < _MAX_TIFF_PAGES:
        seen.add(start)
        (entries,) = struct.unpack_from(order + count, data, start)
        first = start + struct.calcsize(count)
        size = {256: 0, 257: 0}
        for at in range(first, first + step * min(entries, _MAX_TAGS_BEFORE_SIZE), step):
            tag, kind, _ = struct.unpack_from(order + entry, data, at)
            if tag in size:
                (size[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + step - wide)
        yield size[256], size[257]
        (start,) = struct.unpack_from(order + offset, data, first + step * entries)


_MEASURES: Final = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/tiff": _tiff,
    "image/gif": _gif,
    "image/bmp": _bmp,
    "image/webp": _webp,
}
FORMATS = (Format("pictures (by OCR)", tuple(_MEASURES), extract_picture, needs=needs),)
