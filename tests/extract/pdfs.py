"""PDFs and pictures made by the tests themselves."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Sequence

Line = tuple[float, float, str]
"""Where a line begins, and what it says."""

WIDE = "Some words of a long enough sentence that goes on over the end of its line and is wrapped there"


class Pdf:
    """Objects put one after another; the first is the catalog."""

    def __init__(self, version: bytes = b"1.7") -> None:
        self._version = version
        self._objects: list[bytes] = []
        self.catalog = ""
        self.trailer = ""
        self.add("")  # the catalog, which is written last
        self.pages_number = self.add("")
        self.font = self.add(
            "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>"
        )
        self.pages: list[int] = []

    def add(self, body: str | bytes) -> int:
        """An object more. Returns its number."""
        self._objects.append(body.encode("cp1252") if isinstance(body, str) else body)
        return len(self._objects)

    def stream(self, data: bytes, entries: str = "") -> int:
        """A stream more."""
        return self.add(f"<< /Length {len(data)} {entries} >>\nstream\n".encode() + data + b"\nendstream")

    def page(self, content: bytes, entries: str = "", resources: str = "") -> int:
        """A page more."""
        number = self.stream(content)
        self.pages.append(
            self.add(
                f"<< /Type /Page /Parent {self.pages_number} 0 R /MediaBox [0 0 612 792]"
                f" /Contents {number} 0 R /Resources << /Font << /F1 {self.font} 0 R >> {resources} >>"
                f" {entries} >>"
            )
        )
        return self.pages[-1]

    def lines(self, lines: Iterable[Line], entries: str = "", size: int = 10) -> int:
        """A page more with lines of text."""
        shown = []
        for x, y, text in lines:
            escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            shown.append(f"BT /F1 {size} Tf {x} {y} Td ({escaped}) Tj ET")
        return self.page("\n".join(shown).encode("cp1252"), entries)

    def data(self) -> bytes:
        """The whole file."""
        kids = " ".join(f"{number} 0 R" for number in self.pages)
        self._objects[0] = f"<< /Type /Catalog /Pages {self.pages_number} 0 R {self.catalog} >>".encode()
        self._objects[self.pages_number - 1] = (
            f"<< /Type /Pages /Kids [{kids}] /Count {len(self.pages)} >>".encode()
        )
        out = io.BytesIO()
        out.write(b"%PDF-" + self._version + b"\n")
        offsets = []
        for number, body in enumerate(self._objects, 1):
            offsets.append(out.tell())
            out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        start = out.tell()
        out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(self._objects) + 1))
        out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
        out.write(
            f"trailer << /Size {len(self._objects) + 1} /Root 1 0 R {self.trailer} >>\n"
            f"startxref\n{start}\n%%EOF\n".encode()
        )
        return out.getvalue()


def body(*texts: str, top: float = 700, left: float = 72, pitch: float = 12) -> list[Line]:
    """Lines below one another."""
    return [(left, top - pitch * number, text) for number, text in enumerate(texts)]


def book(pages: Sequence[Sequence[Line]]) -> bytes:
    """A PDF with these lines on its pages."""
    pdf = Pdf()
    for lines in pages:
        pdf.lines(lines)
    return pdf.data()


def scan(width: int, height: int, pixels: bytes) -> bytes:
    """A PDF whose only page is a grey picture."""
    pdf = Pdf()
    image = pdf.stream(
        zlib.compress(pixels),
        f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray"
        " /BitsPerComponent 8 /Filter /FlateDecode",
    )
    pdf.page(b"q 612 0 0 792 0 0 cm /Im Do Q", resources=f"/XObject << /Im {image} 0 R >>")
    return pdf.data()


def picture(data: bytes, dpi: int = 150) -> tuple[int, int, bytes]:
    """The first page of a PDF as grey pixels: width, height, one byte each."""
    import ctypes

    from tui_scraper.engine.extract.pdf.reader import _pdfium

    api = _pdfium().api
    document = api.FPDF_LoadMemDocument64(data, len(data), None)
    page = api.FPDF_LoadPage(document, 0)
    width = round(api.FPDF_GetPageWidthF(page) * dpi / 72) // 4 * 4
    height = round(api.FPDF_GetPageHeightF(page) * dpi / 72)
    pixels = ctypes.create_string_buffer(width * height)
    bitmap = api.FPDFBitmap_CreateEx(width, height, 1, pixels, width)
    api.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, 0xFFFFFFFF)
    api.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, 0)
    api.FPDFBitmap_Destroy(bitmap)
    api.FPDF_ClosePage(page)
    api.FPDF_CloseDocument(document)
    return width, height, pixels.raw


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A grey picture as PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff(*pictures: tuple[int, int, bytes]) -> bytes:
    """Grey pictures as the pages of a TIFF."""
    out = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for width, height, pixels in pictures:
        at = len(out)
        out += pixels + b"\0" * (len(pixels) % 2)
        struct.pack_into("<I", out, link, len(out))
        tags = [
            (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, at),
            (277, 3, 1), (278, 4, height), (279, 4, len(pixels)),
        ]  # fmt: skip
        out += struct.pack("<H", len(tags))
        for tag, kind, value in tags:
            out += struct.pack("<HHII", tag, kind, 1, value)
        link = len(out)
        out += bytes(4)
    return bytes(out)
