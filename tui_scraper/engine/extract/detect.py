"""The media type of a file, from its bytes and the ending of its name, and from nothing else.

Magic numbers decide first: a file is what its bytes say, however it is named. Where the bytes only
say "text", the ending tells which text. Artifacts are keyed by content and detected type, so the
answer is a pure function of its two arguments.
"""

from __future__ import annotations

import codecs
import io
import re
import zipfile
from collections.abc import Iterable
from typing import BinaryIO, Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.archives.zip_directory import END, LISTED, find_directory, read_directory
from tui_scraper.engine.extract.limits import UNREADABLE_PART
from tui_scraper.engine.extract.mail.sniffing import mail_type
from tui_scraper.engine.extract.office.ole import top_names
from tui_scraper.engine.extract.plain.text_kinds import (
    is_html_fragment,
    is_info,
    is_roff,
    kind_by_beginning,
    xml_kind,
)

HEAD_BYTES: Final = 4096
"""What is needed to recognise a format by its magic number."""

_TEXT_BYTES = bytes(b for b in range(256) if (b >= 0x20 and b != 0x7F) or b in b"\t\n\r\f\x08\x1b")
_MAX_CONTROL_SHARE = 100  # one control byte in 100: more is not text (random bytes have 10 in 100)
_MAX_ZERO_SHARE = 50  # one zero byte in 50, in a file whose name says that it is text
_EBCDIC_BYTES = 40
_EBCDIC_LETTERS = bytes(
    code + offset for code in (0x80, 0x90, 0xA0, 0xC0, 0xD0, 0xE0, 0xF0) for offset in range(10)
)
_EBCDIC_COMMON = (
    _EBCDIC_LETTERS + b"\x40\x4b\x6b\x60\x5c\x7d\x7f\x15\x25\x0d\x05\x4d\x5d\x61\x7a\x5e\x6f\x4c\x6e"
)
_FEW_CONTROLS = 16  # in a short text, such as the captured output of a terminal
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_EMPTY_ZIP = b"PK\x05\x06"
_ZIP_END_BYTES = 66_000  # the end of a zip container, with the longest comment
_ZIP_LISTING_BYTES = 4 << 20
_UNICODE_BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_BY_FIRST: dict[int, list[tuple[bytes, str]]] = {}
_ELSEWHERE: list[tuple[int, bytes, str]] = []
_BY_ENDING = dict(mt.BY_ENDING)
_OLE_STREAMS = (
    ("WordDocument", mt.DOC),
    ("PowerPoint Document", mt.PPT),
    ("PP40", mt.PPT),
    ("__substg1.0_", mt.MSG),
    ("__properties_version1.0", mt.MSG),
    ("__nameid_version1.0", mt.MSG),
    ("Workbook", mt.XLS),
    ("Book", mt.XLS),
    ("WORKBOOK", mt.XLS),  # programs other than Excel write its stream in capitals
    ("BOOK", mt.XLS),
)
_CONTENT_TYPES_BYTES = 500_000
_PACKAGE_PART = re.compile(rb"(?i)\[content_types\]\.xml|_rels[/\\]|(?:word|xl|ppt)[/\\]\w")
_PACKAGE_TYPES = (
    (re.compile(rb"(?i)ms-excel\.sheet\.binary"), mt.XLSB),
    (
        re.compile(rb"(?i)wordprocessingml\.(?:document|template)\.main|ms-word\.(?:document|template)"),
        mt.DOCX,
    ),
    (re.compile(rb"(?i)spreadsheetml\.(?:sheet|template)\.main|ms-excel\.(?:sheet|template|addin)"), mt.XLSX),
    (re.compile(rb"(?i)presentationml\.(?:presentation|template|slideshow)\.main|ms-powerpoint\."), mt.PPTX),
)
_ENCRYPTED_STREAM = "EncryptedPackage"
_HTML_START = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--(?:[^-]|-(?!->)){0,2000}-->\s*)?"
    rb"<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])",
    re.IGNORECASE,
)
_XML_PROLOG = rb"\s*(?:<[?][^>]{0,200}>\s*|<!DOCTYPE[^>]{0,300}>\s*|<!--(?:[^-]|-(?!->)){0,2000}-->\s*){0,5}"
_FB2_START = re.compile(_XML_PROLOG + rb"<(?:\w{1,20}:)?FictionBook[\s>]")
_FLAT_ODF = re.compile(_XML_PROLOG + rb"<office:document\s(?:[^<>]{0,4000}?\bopendocument\.([a-z]+))?")
_FLAT_TYPES = {b"text": mt.FODT, b"spreadsheet": mt.FODS, b"presentation": mt.FODP, b"graphics": mt.FODG}
_RTF_START = re.compile(rb"\s*\{\s{0,10}\\(?:rtf|pard)")
_SHEBANG = re.compile(
    rb"#![^\n]{0,200}?\b(python|perl|ruby|node|php|lua|awk|tclsh|wish|bash|dash|zsh|ksh|sh)[\d.]*(?:\s|$)"
)
_SHEBANG_TYPES = {
    b"python": "text/x-python",
    b"perl": "text/x-perl",
    b"ruby": "text/x-ruby",
    b"node": "text/javascript",
    b"php": "text/x-php",
    b"lua": "text/x-lua",
    b"awk": "text/x-awk",
    b"tclsh": "text/x-tcl",
    b"wish": "text/x-tcl",
}
_MAYBE_HTML = frozenset({mt.PLAIN, mt.XML, mt.PDF, mt.MHTML, *mt.BINARY_ENDINGS})
_MAYBE_XML = frozenset({mt.XML, *mt.BINARY_ENDINGS})
_PLAIN_ENDINGS = frozenset({mt.PLAIN, mt.CSV, mt.TSV, mt.MARKDOWN, mt.JSON, mt.NDJSON})
_PHP = "text/x-php"
_END_BYTES: Final = 1_000
_MAIL = frozenset({mt.MAIL, mt.MHTML, mt.MBOX})
_CLAIMED = mt.ARCHIVES | {mt.PDF, mt.DOCX, mt.EPUB, mt.IBOOKS} | mt.OPEN_DOCUMENT
_PACKAGES = frozenset({mt.DOCX, mt.XLSX, mt.PPTX, mt.XLSB})
_ALSO_TEXT = frozenset({mt.DOC, mt.XLS, mt.PPT, mt.MSG, mt.RTF})  # endings that plain text has had as well


def learn(media_type: str, endings: Iterable[str], magic: Iterable[tuple[int, bytes]]) -> None:
    """Recognise a media type by more endings and magic numbers; what is learnt last comes first."""
    for one in endings:
        _BY_ENDING[one.lower().encode()] = media_type
    for offset, signature in magic:
        if offset:
            _ELSEWHERE.insert(0, (offset, signature, media_type))
        else:
            _BY_FIRST.setdefault(signature[0], []).insert(0, (signature, media_type))


for _offset, _signature, _type in reversed(mt.MAGIC):
    learn(_type, (), ((_offset, _signature),))


def ending(path: bytes) -> bytes:
    """The ending of the file name in lower case, without the dot; b'' where there is none."""
    name = path[path.rfind(b"/") + 1 :]
    dot = name.rfind(b".")
    return name[dot + 1 :].lower() if dot > 0 else b""


def proven_format(head: bytes) -> str | None:
    """The media type that the first bytes prove, whatever the file is called.

    `head` is the start of the file, `HEAD_BYTES` of it or the whole. None means: more must be read.
    """
    if not head:
        return None
    for magic, media_type in _BY_FIRST.get(head[0], ()):
        if head.startswith(magic):
            return None if head[0] == 0xFF and _is_utf16(head) else media_type
    for offset, magic, media_type in _ELSEWHERE:
        if head.startswith(magic, offset):
            return media_type
    if head.startswith(b"ftyp", 4):
        return mt.FTYP.get(head[8:12], "video/mp4")
    if head.startswith(b"RIFF"):
        return mt.RIFF.get(head[8:12], mt.BINARY)
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if head.startswith(_ZIP) and head[30:38] == b"mimetype":
        return _mimetype_entry(head)
    if is_tar_header(head):
        return mt.TAR
    return mt.LZMA if _is_lzma(head) else None


def is_tar_header(block: bytes) -> bool:
    """Whether a block begins an entry of a tar archive, of whatever age: its checksum is right."""
    if len(block) < 512:
        return False
    stored = block[148:156].strip(b"\0 ")
    if not stored.isdigit() or b"8" in stored or b"9" in stored:
        return False
    total = int(stored, 8)
    others = block[:148] + block[156:512]
    unsigned = sum(others) + 8 * 0x20  # the checksum's own bytes count as spaces
    if total == unsigned:
        return True
    return total == unsigned - 256 * sum(byte > 0x7F for byte in others)  # as some old systems added


def detect(data: bytes, path: bytes) -> str:
    """The media type of a file with this content and this name."""
    hint = _BY_ENDING.get(ending(path), "")
    head = data[:HEAD_BYTES]
    found = proven_format(data[:33000] if len(data) > HEAD_BYTES and head[:1] == b"\0" else head)
    if found is not None:
        return found
    if head.startswith((_ZIP, _EMPTY_ZIP)) or (hint == mt.ZIP and END in data[-_ZIP_END_BYTES:]):
        return _zip_type(io.BytesIO(data), len(data), hint)
    if head.startswith(_OLE):
        return _ole_type(data, hint)
    if head.startswith(b"%PDF-") or (b"%PDF-" in head[:1024] and (hint == mt.PDF or not is_text(data))):
        return mt.PDF
    if _is_mbox(head, hint):
        return mt.MBOX
    if b"\x1f" in head and is_info(head):
        return mt.INFO
    if not is_text(data):
        if hint == mt.HTML and _HTML_START.match(head) and _few_controls(data):
            return mt.HTML  # damaged, but no other format begins like this
        if (not hint or hint in _MAIL) and (mail := mail_type(head)):
            return hint or mail  # a mail may hold any bytes
        if hint in _PLAIN_ENDINGS and _is_text_but_for_a_few_zeros(data):
            return hint
        return hint if hint in _CLAIMED else mt.BINARY
    return _text_type(head, "" if hint in mt.ARCHIVES else hint, data)


def may_be_streamed(head: bytes) -> bool:
    """Whether a file that begins like this may be a container that is read as a stream."""
    return head.startswith((_ZIP, _EMPTY_ZIP, b"From ")) or proven_format(head) in mt.STREAMED


def streamed_type(stream: BinaryIO, head: bytes, size_bytes: int, path: bytes) -> str:
    """The media type of a container that is read as a stream, '' for anything else.

    It is the one that `detect` finds, from the first bytes and, of a zip container, its list of contents.
    """
    hint = _BY_ENDING.get(ending(path), "")
    found = proven_format(head)
    if found is None and head.startswith((_ZIP, _EMPTY_ZIP)):
        found = _zip_type(stream, size_bytes, hint)
    if found is None and _is_mbox(head, hint):
        found = mt.MBOX
    return found if found is not None and found in mt.STREAMED else ""


def is_text(data: bytes) -> bool:
    """Whether the bytes are text in some encoding: hardly any control characters among them."""
    if data.startswith(_UNICODE_BOMS):
        return True
    controls = data.translate(None, _TEXT_BYTES)
    if not controls:
        return True
    if b"\0" in controls:
        if wide_without_bom(data):
            return True
        if b"\0" in data[:HEAD_BYTES]:
            return False
    if len(controls) * _MAX_CONTROL_SHARE <= len(data):
        return True
    if is_ebcdic(data):
        return True
    return len(controls) <= _FEW_CONTROLS and b"\0" not in controls and _is_utf8(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_text_but_for_a_few_zeros(data: bytes) -> bool:
    rest = data.replace(b"\0", b"")
    zeros = len(data) - len(rest)
    return (zeros <= 2 or zeros * _MAX_ZERO_SHARE <= len(data)) and is_text(rest) and _is_utf8(rest)


def _few_controls(data: bytes) -> bool:
    return len(data.translate(None, _TEXT_BYTES)) * (_MAX_CONTROL_SHARE // 4) <= len(data)


def is_ebcdic(data: bytes) -> bool:
    """Whether this is text from a mainframe: letters, digits and spaces stand where EBCDIC has them."""
    sample = data[:HEAD_BYTES]
    if len(sample) < _EBCDIC_BYTES or sample.count(0x40) * 40 < len(sample):
        return False
    others = sample.translate(None, _EBCDIC_COMMON)
    return len(others) * 10 <= len(sample) and len(sample.translate(None, _EBCDIC_LETTERS)) * 2 <= len(sample)


def wide_without_bom(data: bytes) -> str:
    """The kind of UTF-16 or UTF-32 where zero bytes stand where Western text has them, else ''."""
    sample = data[:HEAD_BYTES]
    quarter = len(sample) // 4
    if quarter > 3 and len(data) % 4 == 0:
        zeros = [sample[at : quarter * 4 : 4].count(0) for at in range(4)]
        if min(zeros[2:]) == quarter and zeros[0] == 0:
            return "utf-32-le" if _is_western(sample[0 : quarter * 4 : 4]) else ""
        if min(zeros[:2]) == quarter and zeros[3] == 0:
            return "utf-32-be" if _is_western(sample[3 : quarter * 4 : 4]) else ""
    pairs = len(sample) // 2
    if pairs < 4 or len(data) % 2:
        return ""
    even, odd = sample[0 : pairs * 2 : 2].count(0), sample[1 : pairs * 2 : 2].count(0)
    if odd * 10 >= pairs * 7 and even * 50 <= pairs:
        return "utf-16-le" if _is_western(sample[0 : pairs * 2 : 2]) else ""
    if even * 10 >= pairs * 7 and odd * 50 <= pairs:
        return "utf-16-be" if _is_western(sample[1 : pairs * 2 : 2]) else ""
    return ""


def _is_western(half: bytes) -> bool:
    return len(half.translate(None, _TEXT_BYTES)) * 50 <= len(half)


def _is_utf16(head: bytes) -> bool:
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _mimetype_entry(head: bytes) -> str | None:
    """OpenDocument and EPUB store their media type, uncompressed, as the first entry."""
    stored = re.match(rb"[a-z]+/[a-zA-Z0-9.+-]{3,80}", head[38:140])
    if stored is None:
        return None
    name = stored[0].decode("ascii")
    known = re.match(
        r"application/(?:epub\+zip|x-ibooks\+zip|vnd\.oasis\.opendocument\.[a-z]+(?:-template|-master|-web)?"
        r"|vnd\.sun\.xml\.[a-z]+(?:\.template|\.global)?)",
        name,
    )
    return known[0] if known else None


def _zip_type(stream: BinaryIO, size_bytes: int, hint: str) -> str:
    directory = find_directory(stream, size_bytes)
    listing = read_directory(stream, directory, _ZIP_LISTING_BYTES) if directory is not None else b""
    if not listing.startswith(LISTED):
        return hint if hint in _CLAIMED | _PACKAGES else mt.ZIP
    for name, media_type in mt.ZIP_CONTENTS:
        if _lists(listing, name):
            return media_type
    if len(listing) < _ZIP_LISTING_BYTES and _PACKAGE_PART.search(listing):
        # What is called a document and has lost its main part is a damaged document.
        return _package_type(stream) or (hint if hint in _PACKAGES else mt.ZIP)
    if _lists(listing, b"content.xml") and (
        hint in mt.OPEN_DOCUMENT or _lists(listing, b"META-INF/manifest.xml")
    ):
        return hint if hint in mt.OPEN_DOCUMENT else mt.ODT  # without the entry that says which it is
    if hint == mt.EPUB and b".opf" in listing:
        return hint
    return mt.FB2_ZIP if _lists_one_fb2(listing, hint) else mt.ZIP


def _lists_one_fb2(listing: bytes, hint: str) -> bool:
    """Whether there is one entry, a FictionBook: that is how such books are passed on."""
    name = listing[46 : 46 + int.from_bytes(listing[28:30], "little")].lower()
    return listing.count(LISTED) == 1 and (hint == mt.FB2_ZIP or name.endswith(b".fb2"))


def _package_type(stream: BinaryIO) -> str:
    """The kind of an Office document with unusual names of parts, by its content types; '' for others."""
    try:
        with zipfile.ZipFile(stream) as package:
            names = {name.lower().lstrip("/\\"): name for name in package.namelist()}
            info = package.getinfo(names["[content_types].xml"])
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                return ""  # others are unpacked in one go, however much that is
            with package.open(info) as part:
                types = part.read(_CONTENT_TYPES_BYTES)
    except UNREADABLE_PART:
        return ""
    return next((media_type for pattern, media_type in _PACKAGE_TYPES if pattern.search(types)), "")


def _lists(listing: bytes, beginning: bytes) -> bool:
    """Whether a name in the list begins like this: a folder below may hold a document that was unpacked."""
    at = listing.find(beginning)
    while at >= 0:
        if LISTED in (listing[at - 46 : at - 42], listing[at - 47 : at - 43]):  # perhaps after a slash
            return True
        at = listing.find(beginning, at + 1)
    return False


def _is_lzma(head: bytes) -> bool:
    """Whether this is the header of a .lzma file: the usual properties, a round dictionary, a size."""
    if not head.startswith(b"\x5d\x00\x00") or len(head) < 14 or head[13]:
        return False
    dictionary, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    return dictionary.bit_count() <= 2 and (size < 1 << 38 or size == (1 << 64) - 1)


def _is_mbox(head: bytes, hint: str) -> bool:
    return head.startswith(b"From ") and (hint == mt.MBOX or (not hint and mail_type(head) == mt.MBOX))


def _ole_type(data: bytes, hint: str) -> str:
    names = top_names(data)
    if not names:  # a damaged directory: its names are still somewhere
        known = (_ENCRYPTED_STREAM, *(name for name, _type in _OLE_STREAMS))
        names = [name for name in known if name.encode("utf-16-le") in data]
    if _ENCRYPTED_STREAM in names:
        return hint if hint in _PACKAGES else mt.DOCX
    found = [media_type for name, media_type in _OLE_STREAMS if any(one.startswith(name) for one in names)]
    if hint in found or (hint == mt.MSG and not found):
        return hint
    return found[0] if found else mt.OLE


def _text_type(head: bytes, hint: str, data: bytes) -> str:
    bare = head
    if head.startswith(_UNICODE_BOMS):
        bare = head.removeprefix(codecs.BOM_UTF8)
        if _is_utf16(head):
            bare = head[: len(head) // 2 * 2].decode("utf-16", "ignore").encode("utf-8", "ignore")
    if hint in mt.SOURCE or hint in (mt.MARKDOWN, mt.RST, mt.HTML, mt.CSV, mt.TSV):
        if hint == _PHP and b"<?php" not in head and _HTML_START.match(bare):
            return mt.HTML  # a page that was saved under the name it had on the web
        if hint == mt.HTML and bare.lstrip().startswith(b"<?xml"):
            return xml_kind(bare, is_sure=True)
        return hint
    start = bare.lstrip(b" \t\r\n")[:1]
    if start == b"<":
        found = _markup_type(bare, hint)
        if found:
            return found
    if hint == mt.MSG and mail_type(head):
        return mt.MAIL
    if start == b"{" and _RTF_START.match(head):
        return mt.RTF
    if start in (b".", b"'") and hint in ("", mt.PLAIN) and is_roff(data):
        return mt.ROFF
    if hint:
        return mt.PLAIN if hint in _ALSO_TEXT else hint
    if head.startswith(b"#!"):
        script = _SHEBANG.match(head)
        return _SHEBANG_TYPES.get(script[1], "text/x-shellscript") if script else mt.PLAIN
    return kind_by_beginning(bare, data[-_END_BYTES:]) or mail_type(head) or mt.PLAIN


def _markup_type(bare: bytes, hint: str) -> str:
    """The type of a text that begins with a tag; '' where its name says something else."""
    if (not hint or hint in _MAYBE_HTML) and _HTML_START.match(bare):
        return mt.HTML
    if _FB2_START.match(bare):
        return mt.FB2
    flat = _FLAT_ODF.match(bare)
    if flat:
        return _FLAT_TYPES.get(flat[1]) or (hint if hint in mt.OPEN_DOCUMENT else mt.FODT)
    if not hint or hint in _MAYBE_XML:
        found = xml_kind(bare, is_sure=hint == mt.XML)
        if found:
            return found
    return mt.HTML if not hint and is_html_fragment(bare) else ""
