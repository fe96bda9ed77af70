from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib

import pytest
import zstandard

from tests.extract import archives as make
from tests.extract.archives import TAR_END, TEXT, pax, seven_zip, tar_entry, tar_header, zip_of, zipped
from tests.extract.files import docx, paragraph
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.detect import HEAD_BYTES, detect, may_be_streamed, streamed_type
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

Found = dict[str | None, bytes | Cause]


def entries(data: bytes, name: str = "a.bin") -> tuple[Found, Cause | None]:
    """What is in an archive (an error in place of what cannot be read), and how it ended."""
    media_type = detect(data, name.encode())
    chosen = registry().readers[media_type]
    assert chosen.entries is not None
    assert chosen.streamed
    found: Found = {}
    try:
        for entry in chosen.entries(io.BytesIO(data), media_type, CleanSettings()):
            try:
                found[entry.name] = b"".join(entry.pieces())
            except DocumentError as error:
                assert error.message.isprintable()
                found[entry.name] = error.cause
    except DocumentError as error:
        assert error.message.isprintable()
        assert error.message.endswith(".")
        return found, error.cause
    return found, None


def whole(data: bytes, name: str = "a.bin") -> Found:
    """What is in an archive that is whole."""
    found, problem = entries(data, name)
    assert problem is None
    return found


# Formats and their types


def tar_of(**files: bytes) -> bytes:
    return b"".join(tar_entry(name.encode(), data) for name, data in files.items()) + TAR_END


CONTENTS = {
    mt.ZIP: zipped({"a.txt": TEXT}),
    mt.TAR: tar_of(a=TEXT),
    mt.SEVEN_ZIP: seven_zip({"a.txt": TEXT}),
    mt.GZIP: gzip.compress(TEXT),
    mt.BZIP2: bz2.compress(TEXT),
    mt.XZ: lzma.compress(TEXT),
    mt.LZMA: lzma.compress(TEXT, lzma.FORMAT_ALONE),
    mt.ZSTD: zstandard.compress(TEXT),
}


@pytest.mark.parametrize("media_type", CONTENTS)
def test_the_type_of_an_archive_is_the_same_from_all_of_it_and_as_a_stream(media_type: str) -> None:
    data = CONTENTS[media_type]
    for name in (b"a", b"a.zip", b"a.txt", b"a.docx", b"a.tar.gz", b"a.pdf"):
        assert detect(data, name) == media_type
        assert streamed_type(io.BytesIO(data), data[:HEAD_BYTES], len(data), name) == media_type
    assert may_be_streamed(data[:HEAD_BYTES])
    assert list(whole(data).values()) == [TEXT]


def test_other_files_are_no_streams() -> None:
    for data in (
        b"",
        b"hello",
        docx(paragraph("x")),
        zipped({"META-INF/MANIFEST.MF": b"x"}),
        zipped({"xl/workbook.xml": b"x"}),
        b"%PDF-1.4",
    ):
        assert streamed_type(io.BytesIO(data), data[:HEAD_BYTES], len(data), b"a") == ""


def test_a_mailbox_is_known_by_its_beginning_alone() -> None:
    data = b"From me@x Mon Jan  1\nReceived: a\nFrom: b\nSubject: c\n\nhello\n" + bytes(range(256)) * 50
    assert detect(data, b"mail") == detect(data, b"a.mbox") == mt.MBOX
    assert streamed_type(io.BytesIO(data), data[:HEAD_BYTES], len(data), b"mail") == mt.MBOX


def test_a_zip_archive_with_an_unpacked_document_in_a_folder_is_a_zip_archive() -> None:
    assert detect(zipped({"backup/word/document.xml": b"x"}), b"a") == mt.ZIP
    assert detect(zipped({"word/document.xml": b"x"}), b"a") == mt.DOCX
    assert detect(zipped({"/word/document.xml": b"x"}), b"a") == mt.DOCX


def test_rubbish_that_is_called_an_archive_fails_as_one_and_text_is_read_as_text() -> None:
    rubbish = b"\x07" + random.Random(1).randbytes(5_000)
    for name in ("a.zip", "a.tar", "a.7z", "a.tar.gz", "a.bz2", "a.xz", "a.zst"):
        assert entries(rubbish, name)[1] or list(entries(rubbish, name)[0].values()) == [Cause.CORRUPT]
        assert detect(b"plain words\n", name.encode()) == mt.PLAIN


# ZIP


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zip_methods_of_the_standard_library(method: int) -> None:
    assert whole(zipped({"a.txt": TEXT, "b/c.txt": b"", "ü.txt": b"x"}, method)) == {
        "a.txt": TEXT,
        "b/c.txt": b"",
        "ü.txt": b"x",
    }


@pytest.mark.parametrize(("method", "pack"), [(95, lzma.compress), (93, zstandard.compress)])
def test_zip_methods_of_newer_programs(method: int, pack: object) -> None:
    packed = pack(TEXT)  # type: ignore[operator]
    line = make.listed(b"a", 0, len(packed), len(TEXT), zlib.crc32(TEXT), method=method)
    body = make.local(b"a", packed, method=method)
    assert whole(body + line + make.end(1, len(line), len(body))) == {"a": TEXT}


def test_an_unknown_zip_method_costs_its_own_entries() -> None:
    good = make.local(b"a", make.deflated(TEXT))
    bad = make.local(b"b", b"xxxx", method=98)
    lines = make.listed(b"a", 0, len(make.deflated(TEXT)), len(TEXT), zlib.crc32(TEXT))
    lines += make.listed(b"b", len(good), 4, 9, 0, method=98)
    data = good + bad + lines + make.end(2, len(lines), len(good + bad))
    assert whole(data) == {"a": TEXT, "b": Cause.UNSUPPORTED}


@pytest.mark.parametrize("flags", [1, 1 | 1 << 6, 1 | 1 << 13])
def test_one_encrypted_entry_makes_the_archive_encrypted(flags: int) -> None:
    first = make.local(b"a", make.deflated(TEXT))
    lines = make.listed(b"a", 0, len(first) - 31, len(TEXT), zlib.crc32(TEXT))
    lines += make.listed(b"b", 0, 5, 5, 0, flags=flags, method=99)
    assert entries(first + lines + make.end(2, len(lines), len(first))) == ({}, Cause.ENCRYPTED)
    assert entries(make.local(b"a", b"x", flags=flags)) == ({}, Cause.ENCRYPTED)


def test_a_damaged_entry_is_damaged_alone() -> None:
    data = bytearray(zipped({"a": TEXT, "b": TEXT + b"!", "c": TEXT}, zipfile.ZIP_STORED))
    data[data.find(TEXT + b"!") + 5] ^= 1
    assert whole(bytes(data)) == {"a": TEXT, "b": Cause.CORRUPT, "c": TEXT}


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"#!/bin/sh\n" * 50, b""), (b"", b"rubbish" * 90), (b"x" * 70_000, b"\0" * 5)],
    ids=["script", "rubbish", "much"],
)
def test_what_stands_before_or_behind_a_zip_archive_does_no_harm(before: bytes, after: bytes) -> None:
    assert whole(before + zipped({"a": TEXT}) + after, "a.zip") == {"a": TEXT}


def test_zip_comments_that_look_like_the_end_are_no_end() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as container:
        container.writestr("a", TEXT)
        container.comment = b"PK\5\6" + b"x" * 40
    assert whole(out.getvalue()) == {"a": TEXT}


def test_wide_zip_archives() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as container, container.open("a", "w", force_zip64=True) as entry:
        entry.write(TEXT)
    assert whole(out.getvalue()) == {"a": TEXT}
    body = make.local(b"a", TEXT, method=0)
    line = make.listed(b"a", 0, len(TEXT), len(TEXT), zlib.crc32(TEXT), method=0)
    wide = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(line), len(body))
    wide += struct.pack("<4sIQI", b"PK\6\7", 0, len(body + line), 1)
    no_sizes = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert whole(body + line + wide + no_sizes) == {"a": TEXT}


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError

    def seek(self, *_where: int) -> int:
        raise OSError


def test_a_zip_archive_written_as_a_stream_is_read_and_found_again_without_its_list() -> None:
    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as container:
        for name in "abc":
            container.writestr(name, TEXT + name.encode())
    data = out.getvalue()
    expected: Found = {name: TEXT + name.encode() for name in "abc"}
    assert whole(data) == expected
    assert entries(data[: data.find(b"PK\1\2")]) == (expected, Cause.CORRUPT)


@pytest.mark.parametrize("keep", [200, 450, 700, 0.9])
def test_of_a_zip_archive_that_was_cut_the_first_files_are_read(keep: float) -> None:
    noise = random.Random(3)
    files: Found = {f"{n}.bin": noise.randbytes(200) for n in range(4)}
    data = zipped({str(name): content for name, content in files.items()})  # type: ignore[misc]
    found, problem = entries(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    assert problem is Cause.CORRUPT
    readable = {name: content for name, content in found.items() if content is not Cause.CORRUPT}
    assert readable.items() <= files.items()
    assert len(readable) >= (keep if isinstance(keep, int) else 1_000) // 250


def test_an_archive_in_parts_is_said_to_be_one() -> None:
    assert entries(make.local(b"a", b"x") + make.end(1, 60, 0, disk=2)) == ({}, Cause.UNSUPPORTED)


def test_links_devices_and_directories_in_zip_and_7z_archives_are_left_out() -> None:
    link, device = 0o120777 << 16, 0o020666 << 16
    assert whole(seven_zip({"l": b"/etc/passwd", "a": TEXT}, links=1)) == {"a": TEXT}
    for attributes in (link, device):
        assert whole(zip_of([(b"x", b"/etc/passwd")], system=3, attributes=attributes)) == {}
    assert whole(zip_of([(b"d/", b""), (b"e\\", b"")])) == {}
    assert whole(zip_of([(b"d", b"")], attributes=0x10)) == {}
    assert whole(zip_of([(b"odd/", b"content")])) == {"odd/": b"content"}


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("utf-8", ["Größe.txt"]),
        ("cp437", ["Résumé été.txt", "Größe über alles.doc"]),
        ("cp866", ["ПРИВЕТ", "привет.txt"]),
        ("koi8-r", ["ПРИВЕТ", "привет.txt"]),
        ("cp1252", ["Résumé été.txt"]),
        ("cp932", ["表だよ/新しいフォルダ.txt"]),
    ],
)
def test_zip_names_in_old_encodings_stay_readable(encoding: str, names: list[str]) -> None:
    data = zip_of([(name.encode(encoding), b"x") for name in names])
    assert list(whole(data)) == names


def test_a_zip_name_in_the_unicode_field_comes_first() -> None:
    raw = b"caf\x82"
    field = b"\x01" + struct.pack("<I", zlib.crc32(raw)) + "café → 1".encode()
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    body = make.local(raw, TEXT, method=0)
    line = bytearray(make.listed(raw, 0, len(TEXT), len(TEXT), zlib.crc32(TEXT), method=0))
    line[30:32] = struct.pack("<H", len(extra))
    data = body + line + extra + make.end(1, len(line) + len(extra), len(body))
    assert list(whole(data)) == ["café → 1"]


def test_what_macos_keeps_beside_files_is_left_out_and_real_files_of_such_names_stay() -> None:
    fork = b"\0\5\x16\7" + bytes(80)
    files = {"a.txt": TEXT, "__MACOSX/._a.txt": fork, "._real": TEXT, "d/._b": fork}
    expected: Found = {"a.txt": TEXT, "._real": TEXT}
    assert whole(zipped(files)) == expected
    assert whole(seven_zip(files)) == expected
    assert whole(b"".join(tar_entry(name.encode(), data) for name, data in files.items())) == expected


def test_sizes_that_a_zip_list_claims_do_not_count() -> None:
    packed = make.deflated(TEXT)
    body = make.local(b"a", packed, crc=zlib.crc32(TEXT), size=5, packed_size=7)
    line = make.listed(b"a", 0, len(packed), 1 << 31, zlib.crc32(TEXT))
    assert whole(body + line + make.end(1, len(line), len(body))) == {"a": TEXT}
    far = make.listed(b"a", 1 << 31, len(packed), 5, zlib.crc32(TEXT))
    assert whole(body + far + make.end(1, len(far), len(body))) == {"a": Cause.CORRUPT}
    long = make.listed(b"a", 0, 1 << 31, 1 << 31, 0, method=0)
    assert whole(body + long + make.end(1, len(long), len(body))) == {"a": Cause.CORRUPT}


# tar


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_archives_of_every_form(form: int) -> None:
    files: Found = {"a.txt": TEXT, "ü/" + "long" * 23: b"x" * 1_000, "empty": b""}
    if form != tarfile.USTAR_FORMAT:
        files["very/" * 60 + "ø.txt"] = b"deep"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(str(name))
            assert isinstance(data, bytes)
            info.size, info.mtime = len(data), 1_600_000_000
            archive.addfile(info, io.BytesIO(data))
    assert whole(out.getvalue()) == files
    assert whole(gzip.compress(out.getvalue())) == files


def test_the_old_form_of_tar_is_known_by_its_checksum() -> None:
    data = tar_entry(b"a.txt", TEXT, b"\0", magic=bytes(8)) + TAR_END
    assert detect(data, b"a") == mt.TAR
    assert whole(data) == {"a.txt": TEXT}
    assert detect(b"x" + data[1:], b"a") == mt.BINARY


def test_links_devices_and_directories_in_tar_archives_are_left_out() -> None:
    data = tar_entry(b"a", TEXT)
    for kind in b"123456":
        data += tar_header(b"odd", 0, bytes([kind]), link=b"/etc/passwd")
    data += tar_header(b"old/", 0, b"\0") + tar_header(b"dir/", 0) + tar_entry(b"z", b"x") + TAR_END
    assert whole(data) == {"a": TEXT, "z": b"x"}


def test_a_link_or_directory_with_a_size_but_no_data_does_not_lose_what_follows() -> None:
    data = tar_header(b"l", 600, b"1") + tar_header(b"d", 600, b"5") + tar_entry(b"z", b"x") + TAR_END
    assert whole(data) == {"z": b"x"}
    assert whole(tar_entry(b"l", TEXT * 9, b"1") + tar_entry(b"z", b"x") + TAR_END) == {"z": b"x"}


def test_pax_headers_say_names_and_sizes() -> None:
    name = "ä" * 300
    data = pax(path=name.encode(), size=b"5", mtime=b"1.5") + tar_header(b"short", 0) + b"hello" + bytes(507)
    assert whole(data + TAR_END) == {name: b"hello"}
    shared = pax(path=b"shared").replace(b"PaxHeaders/x", b"PaxHeaders/g")
    block = bytearray(shared[:512])
    block[156:157] = b"g"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert whole(bytes(block) + shared[512:] + tar_entry(b"own", b"1") + TAR_END) == {"shared": b"1"}


def test_large_sizes_are_binary_numbers() -> None:
    data = tar_header(b"a", raw_size=b"\x80" + (5).to_bytes(11, "big")) + b"hello" + bytes(507) + TAR_END
    assert whole(data) == {"a": b"hello"}


def test_holes_of_sparse_files_are_zeros() -> None:
    stored = b"A" * 512 + b"B" * 512
    expected = bytes(1_000) + b"A" * 512 + bytes(488) + b"B" * 512 + bytes(88)
    by_records = pax(
        GNU__sparse__map=b"1000,512,2000,512", GNU__sparse__realsize=b"2600", GNU__sparse__name=b"s"
    )
    assert whole(by_records + tar_entry(b"x", stored) + TAR_END) == {"s": expected}
    in_data = b"2\n1000\n512\n2000\n512\n".ljust(512, b"\0") + stored
    marked = pax(
        GNU__sparse__major=b"1",
        GNU__sparse__minor=b"0",
        GNU__sparse__realsize=b"2600",
        GNU__sparse__name=b"s",
    )
    assert whole(marked + tar_entry(b"x", in_data) + TAR_END) == {"s": expected}
    block = bytearray(tar_header(b"s", 1_024, b"S", magic=b"ustar  \0"))
    for at, value in ((386, 1_000), (398, 512), (410, 2_000), (422, 512), (483, 2_600)):
        block[at : at + 12] = b"%011o\0" % value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert whole(bytes(block) + stored + TAR_END) == {"s": expected}


def test_a_file_of_nothing_but_holes_is_not_unpacked() -> None:
    data = pax(GNU__sparse__map=b"0,5", GNU__sparse__realsize=b"9" * 15) + tar_entry(b"x", b"hello")
    assert whole(data + tar_entry(b"y", b"1") + TAR_END) == {"x": Cause.UNSUPPORTED, "y": b"1"}


@pytest.mark.parametrize("holes", [b"9", b"5,1,0,1", b"0,9999", b"-5,1", b"0,1,x"])
def test_a_map_of_holes_that_cannot_be_right_is_damage(holes: bytes) -> None:
    data = pax(GNU__sparse__map=holes, GNU__sparse__realsize=b"600") + tar_entry(b"x", b"hello") + TAR_END
    found, problem = entries(data)
    assert problem is Cause.CORRUPT or found in ({"x": Cause.CORRUPT}, {"x": bytes(600)})


def test_appended_tar_archives_are_read_and_rubbish_behind_the_end_is_not() -> None:
    data = tar_of(a=TEXT) + bytes(4_096) + tar_of(b=b"x")
    assert whole(data) == {"a": TEXT, "b": b"x"}
    assert whole(data + b"rubbish" * 500) == {"a": TEXT, "b": b"x"}


def test_a_tar_archive_without_an_end_or_padding_is_whole() -> None:
    assert whole(tar_entry(b"a", TEXT)) == {"a": TEXT}
    assert whole(tar_header(b"a", 5) + b"hello") == {"a": b"hello"}


def test_files_before_the_damage_are_read() -> None:
    good = tar_entry(b"a", TEXT) + tar_entry(b"b", b"x")
    assert entries(good + tar_header(b"c", 5_000) + b"cut") == (
        {"a": TEXT, "b": b"x", "c": Cause.CORRUPT},
        Cause.CORRUPT,
    )
    assert entries(good + b"\1" * 512 + tar_entry(b"c", b"x")) == ({"a": TEXT, "b": b"x"}, Cause.CORRUPT)
    assert entries(good + tar_entry(b"c", TEXT)[:100]) == ({"a": TEXT, "b": b"x"}, Cause.CORRUPT)
    for size in (b"\x80" + (1 << 63).to_bytes(11, "big"), b"77777777777\0"):
        lying = tar_header(b"c", raw_size=size)
        assert entries(good + lying) == ({"a": TEXT, "b": b"x", "c": Cause.CORRUPT}, Cause.CORRUPT)
    for size in (b"\xff" * 12, b"-0000000001\0", b"zzz".ljust(12)):
        assert entries(good + tar_header(b"c", raw_size=size)) == ({"a": TEXT, "b": b"x"}, Cause.CORRUPT)


def test_metadata_of_exabytes_takes_no_memory() -> None:
    size = b"\x80" + (1 << 62).to_bytes(11, "big")
    for kind in (b"L", b"x", b"g", b"K"):
        assert entries(tar_header(b"n", kind=kind, raw_size=size) + bytes(2_000))[1] is Cause.CORRUPT
    for bad in (b"99 path=x\n", b"x", b"3 a=\n", b"0 path=x\n", b"-5 path=x\n", b"9" * 99):
        assert entries(tar_entry(b"n", bad, b"x") + tar_entry(b"a", b"1"))[1] is Cause.CORRUPT


# Compressed files


PACKERS = {
    "gz": gzip.compress,
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


@pytest.mark.parametrize("kind", PACKERS)
def test_compressed_files_and_compressed_tar_archives(kind: str) -> None:
    assert whole(PACKERS[kind](TEXT)) == {None: TEXT}
    assert whole(PACKERS[kind](b"")) == {None: b""}
    assert whole(PACKERS[kind](tar_of(a=TEXT, b=b"x"))) == {"a": TEXT, "b": b"x"}


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_streams_in_a_row_are_one_file_and_rubbish_behind_them_is_ignored(kind: str) -> None:
    data = PACKERS[kind](TEXT) + PACKERS[kind](b"") + PACKERS[kind](b"more")
    assert whole(data) == {None: TEXT + b"more"}
    assert whole(data + b"rubbish") == {None: TEXT + b"more"}
    assert whole(PACKERS[kind](TEXT) + bytes(64)) == {None: TEXT}
    assert whole(PACKERS[kind](TEXT) + bytes(64) + PACKERS[kind](b"more")) == {None: TEXT + b"more"}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_compressed_file_that_is_cut_or_changed_is_never_text(kind: str) -> None:
    noise = random.Random(5).randbytes(3_000)
    data = PACKERS[kind](noise)
    for size in range(len(data) // 2, len(data), 97):
        assert list(entries(data[:size], f"a.{kind}")[0].values()) == [Cause.CORRUPT]
    if kind != "lzma":  # which has no checksum
        at = len(data) // 2
        changed = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        assert list(entries(changed, f"a.{kind}")[0].values()) == [Cause.CORRUPT]


@pytest.mark.parametrize("kind", PACKERS)
def test_of_a_compressed_tar_archive_that_is_cut_the_first_files_are_read(kind: str) -> None:
    noise = random.Random(5)
    files = {name: noise.randbytes(70_000) for name in "abcd"}
    data = PACKERS[kind](tar_of(**files))
    found, problem = entries(data[: len(data) * 3 // 4])
    assert problem is Cause.CORRUPT
    assert found["a"] == files["a"]
    assert Cause.CORRUPT in found.values() or len(found) < 4


def test_a_gzip_file_names_what_is_in_it() -> None:
    head = b"\x1f\x8b\x08"
    body = make.deflated(TEXT) + struct.pack("<II", zlib.crc32(TEXT), len(TEXT))
    extra = struct.pack("<H", 6) + b"AB\x02\0hi"
    assert whole(head + b"\x08" + bytes(6) + b"caf\xe9.txt\0" + body) == {"café.txt": TEXT}
    assert whole(head + b"\x0c" + bytes(6) + extra + b"a.txt\0" + body) == {"a.txt": TEXT}
    assert whole(head + b"\x04" + bytes(6) + extra + body) == {None: TEXT}
    assert whole(head + b"\x08" + bytes(6) + b"\0" + body) == {None: TEXT}


# 7z


@pytest.mark.parametrize(
    ("coders", "pack"),
    [
        ((make.COPY,), bytes),
        ((make.BZIP2,), bz2.compress),
        ((make.DEFLATE,), make.deflated),
        ((make.LZMA2,), make.lzma_packed),
        (
            (make.lzma1(),),
            lambda data: make.lzma_packed(data, {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}),
        ),
        (
            (make.DELTA, make.LZMA2),
            lambda data: make.lzma_packed(
                data, {"id": lzma.FILTER_DELTA, "dist": 1}, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}
            ),
        ),
        (
            (make.X86, make.LZMA2),
            lambda data: make.lzma_packed(
                data, {"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}
            ),
        ),
        ((make.COPY, make.BZIP2), bz2.compress),
    ],
)
def test_7z_methods(coders: tuple[bytes, ...], pack: object) -> None:
    files = {
        "a.txt": TEXT * 40,
        "leer/ü.txt": b"",
        "code": b"\xe8\x00\x01\x00\x00\x90" * 30_000,
        "z": random.Random(2).randbytes(999),
    }
    packed = pack(b"".join(files.values()))  # type: ignore[operator]
    assert whole(seven_zip(files, packed, coders)) == files


def test_a_packed_7z_list_of_contents() -> None:
    plain = seven_zip({"a.txt": TEXT})
    offset, size = struct.unpack("<QQ", plain[12:28])
    content, header = plain[32 : 32 + offset], plain[32 + offset :]
    packed = make.lzma_packed(header)
    about = (
        b"\x17\x06"
        + b"\xff"
        + struct.pack("<Q", len(content))
        + b"\x01\x09\xff"
        + struct.pack("<Q", len(packed))
    )
    about += b"\x00\x07\x0b\x01\x00\x01" + make.LZMA2 + b"\x0c\xff" + struct.pack("<Q", size) + b"\x00\x00"
    assert whole(make.around_header(content + packed, about)) == {"a.txt": TEXT}


def test_7z_archives_that_are_encrypted_even_in_part_or_in_their_list() -> None:
    assert entries(seven_zip({"a": TEXT}, coders=(make.COPY, make.AES))) == ({}, Cause.ENCRYPTED)
    about = b"\x17\x06\x00\x01\x09\x05\x00\x07\x0b\x01\x00\x01" + make.AES + b"\x0c\x05\x00\x00"
    assert entries(make.around_header(b"xxxxx", about)) == ({}, Cause.ENCRYPTED)


def test_unknown_7z_methods_are_named() -> None:
    assert whole(seven_zip({"a": TEXT, "e": b""}, coders=(make.PPMD,))) == {"a": Cause.UNSUPPORTED, "e": b""}


def test_damage_in_7z_archives() -> None:
    data = seven_zip({"a": TEXT, "b": TEXT + b"!", "c": TEXT})
    changed = data.replace(b"!", b"?")
    assert whole(changed) == {"a": TEXT, "b": Cause.CORRUPT, "c": TEXT}
    for size in (10, 33, len(data) // 2, len(data) - 1):
        assert entries(data[:size], "a.7z") == ({}, Cause.CORRUPT)
    assert whole(seven_zip({"a": TEXT}, TEXT[:50])) == {"a": Cause.CORRUPT}
    packed = make.lzma_packed(TEXT * 900)
    cut = seven_zip({"a": TEXT * 800, "b": TEXT * 100}, packed[: len(packed) // 2], (make.LZMA2,))
    assert set(whole(cut).values()) == {Cause.CORRUPT}
    assert entries(make.around_header(b"", b"\x01\x05\x05\x00\x00"))[1] in (Cause.CORRUPT, None)


@pytest.mark.parametrize(
    "claims", [{"size": 1 << 62}, {"packed_size": 1 << 62}, {"count": 1 << 40}, {"count": 99}]
)
def test_what_a_7z_list_claims_takes_no_memory(claims: dict[str, int]) -> None:
    data = seven_zip({"a": TEXT}, coders=(make.lzma1(0xFFFFFFFF),), **claims)
    tracemalloc.start()
    found, problem = entries(data)
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()
    assert problem in (Cause.CORRUPT, Cause.TOO_LARGE) or set(found.values()) <= {
        Cause.CORRUPT,
        Cause.TOO_LARGE,
    }


def test_a_7z_list_that_repeats_itself_takes_no_time() -> None:
    for again in (
        b"\x05\xff" + struct.pack("<Q", 90_000) + b"\x00",
        b"\x04\x00",
        b"\x04\x07\x0b\x00\x00\x0c\x00\x00",
    ):
        started = time.process_time()
        assert entries(make.around_header(b"", b"\x01" + again * 50_000 + b"\x00"))[1] is Cause.CORRUPT
        assert time.process_time() - started < 10


def test_a_huge_dictionary_is_no_larger_than_what_is_unpacked() -> None:
    packed = make.lzma_packed(TEXT, {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16})
    assert whole(seven_zip({"a": TEXT}, packed, (make.lzma1(0xFFFFFFFF),))) == {"a": TEXT}


# All of them


@pytest.mark.parametrize("media_type", [*CONTENTS, "tar.gz"])
def test_bytes_changed_at_random_give_entries_or_a_sentence(media_type: str) -> None:
    files = {"a.txt": TEXT, "b.txt": b"y" * 700, "c/d.txt": b""}
    data = {
        mt.ZIP: zipped(files),
        mt.TAR: pax(path=b"p") + b"".join(tar_entry(name.encode(), text) for name, text in files.items()),
        mt.SEVEN_ZIP: seven_zip(files, make.lzma_packed(b"".join(files.values())), (make.LZMA2,)),
        "tar.gz": gzip.compress(tar_of(a=TEXT, b=b"x")),
    }.get(media_type, CONTENTS.get(media_type, b""))
    ending = {mt.ZIP: "zip", mt.TAR: "tar", mt.SEVEN_ZIP: "7z", mt.BZIP2: "bz2", mt.XZ: "xz", mt.ZSTD: "zst"}
    name = f"a.{ending.get(media_type, 'gz')}"
    chance = random.Random(7)
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        if media_type == mt.SEVEN_ZIP:  # so that what lies behind the checksums is reached
            start = int.from_bytes(changed[12:20], "little")
            header = changed[32 + min(start, len(changed)) :]
            changed[28:32] = struct.pack("<I", zlib.crc32(header))
            changed[20:28] = struct.pack("<Q", len(header))
            changed[8:12] = struct.pack("<I", zlib.crc32(changed[12:32]))
        if registry().readers.get(detect(bytes(changed), name.encode())):
            media = detect(bytes(changed), name.encode())
            if registry().readers[media].entries is not None:
                entries(bytes(changed), name)


def test_a_hundred_thousand_headers_are_passed_in_seconds() -> None:
    data = gzip.compress(
        b"".join(tar_header(b"d%d/" % n, kind=b"5") for n in range(60_000)) + tar_of(a=TEXT), 1
    )
    started = time.process_time()
    assert whole(data) == {"a": TEXT}
    assert time.process_time() - started < 50
    assert entries(b"".join(tar_header(b"d/", kind=b"5") for _ in range(100_001)))[1] is Cause.TOO_LARGE
