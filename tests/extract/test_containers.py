from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard

from tests.extract import archives as make
from tests.extract.archives import TAR_END, TEXT, seven_zip, tar_entry, tar_header, zip_of, zipped
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import containers, limits
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Entry, Extracted, Format
from tui_scraper.engine.extract.containers import ContainerReader, Expansion, MemberNames, expand, listing
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings
from tui_scraper.engine.wire import Member

SETTINGS = CleanSettings()


def format_of(data: bytes, name: bytes) -> tuple[Format, str]:
    media_type = detect(data, name)
    return registry().readers[media_type], media_type


def expanded(data: bytes, name: bytes = b"a.bin") -> Expansion:
    chosen, media_type = format_of(data, name)
    return expand(chosen, io.BytesIO(data), len(data), media_type, SETTINGS, name)


def refusal(data: bytes, name: bytes = b"a.bin") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        expanded(data, name)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) <= 500
    return caught.value


def opened(data: bytes, name: bytes = b"a.bin", stream: BinaryIO | None = None) -> ContainerReader:
    chosen, media_type = format_of(data, name)
    return ContainerReader(chosen, stream or io.BytesIO(data), len(data), media_type, SETTINGS, name)


def names(data: bytes, name: bytes = b"a.bin") -> list[bytes]:
    return [member.name for member in expanded(data, name).members]


def made_of(*entries: Entry, text: bool = False) -> Format:
    def read(stream: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
        del stream, media_type, settings
        return iter(entries)

    extract = (lambda _data, _type, _settings: Extracted("x")) if text else None
    return Format("parcel (.x)", ("x/x",), extract, entries=read)


def entry(name: str | None, *pieces: bytes | DocumentError) -> Entry:
    def give() -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, DocumentError):
                raise piece
            yield piece

    return Entry(name, give)


# Members


FILES = {f"{n}/ä{n}.txt": random.Random(n).randbytes(n * 300) for n in range(20)}
TAR = b"".join(tar_entry(name.encode(), data) for name, data in FILES.items()) + TAR_END
ARCHIVES = {
    "zip": zipped(FILES),
    "tar": TAR,
    "tar.gz": gzip.compress(TAR),
    "tar.xz": lzma.compress(TAR),
    "7z": seven_zip(FILES, make.lzma_packed(b"".join(FILES.values())), (make.LZMA2,)),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_every_member_is_registered_with_its_counted_size_and_read_by_its_name(kind: str) -> None:
    data = ARCHIVES[kind]
    found = expanded(data)
    assert found.problem is None
    assert [(member.name.decode(), member.size_bytes) for member in found.members] == [
        (name, len(content)) for name, content in FILES.items()
    ]
    order = [member.name for member in found.members]
    for chosen in (order, order[::-1], order[5:9], [order[3]] * 3):
        reader = opened(data)
        for name in chosen:
            assert reader.read(name) == FILES[name.decode()]


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_member_that_is_not_there_any_more_was_changed(kind: str) -> None:
    reader = opened(ARCHIVES[kind])
    reader.read(b"3/\xc3\xa43.txt")
    for name in (b"gone.txt", b"", b"3"):
        with pytest.raises(DocumentError) as caught:
            reader.read(name)
        assert caught.value.cause is Cause.CHANGED
    assert reader.read(b"0/\xc3\xa40.txt") == b""


class Counting(io.BytesIO):
    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "7z", "zip"])
def test_members_in_the_order_of_the_container_cost_one_pass(kind: str) -> None:
    data = ARCHIVES[kind]
    stream = Counting(data)
    reader = opened(data, stream=stream)
    for name in FILES:
        reader.read(name.encode())
    assert stream.taken < 1.5 * len(data) + 70_000  # with a look at its beginning and its list


def test_a_member_that_cannot_be_read_is_registered_and_says_why_when_it_is_read() -> None:
    data = zipped({"a": TEXT, "b": TEXT + b"!", "c": TEXT}, zipfile.ZIP_STORED).replace(b"!", b"?")
    found = expanded(data)
    assert [member.size_bytes for member in found.members] == [len(TEXT), 0, len(TEXT)]
    reader = opened(data)
    with pytest.raises(DocumentError) as caught:
        reader.read(b"b")
    assert caught.value.cause is Cause.CORRUPT
    assert reader.read(b"c") == reader.read(b"a") == TEXT


def test_members_before_the_damage_are_kept_and_the_loss_is_told() -> None:
    data = tar_entry(b"a", TEXT) + tar_entry(b"b", b"x") + tar_header(b"c", 900) + b"cut"
    found = expanded(data)
    assert [(member.name, member.size_bytes) for member in found.members] == [(b"a", len(TEXT)), (b"b", 1)]
    assert found.problem is not None
    assert found.problem.cause is Cause.CORRUPT
    assert found.problem.message == (
        "The tar archive is damaged: its end is missing. 2 files in it can still be read."
    )
    assert opened(data).read(b"b") == b"x"


def test_nothing_that_can_be_read_is_an_error_of_the_container() -> None:
    assert refusal(gzip.compress(TEXT)[:-9]).cause is Cause.CORRUPT
    assert refusal(tar_header(b"a", 900) + b"cut").cause is Cause.CORRUPT
    unknown = zip_of([(b"a", b"x"), (b"b", b"y")], method=98)
    error = refusal(unknown)
    assert error.cause is Cause.UNSUPPORTED
    assert "compression method PPMd" in error.message
    assert "not supported" in error.message
    unknown = seven_zip({"a": TEXT}, coders=(make.PPMD,))
    assert "compression method PPMd" in refusal(unknown).message
    assert "password" in refusal(seven_zip({"a": TEXT}, coders=(make.AES,))).message


@pytest.mark.parametrize(
    "data",
    [
        zipped({}),
        zip_of([(b"d/", b"")]),
        tar_header(b"d/", kind=b"5") + TAR_END,
        make.around_header(b"", b""),
    ],
)
def test_an_archive_without_files_is_empty(data: bytes) -> None:
    error = refusal(data)
    assert error.cause is Cause.NO_TEXT
    assert error.message.endswith("archive holds no files.")


def test_a_document_that_may_hold_files_need_not_hold_any() -> None:
    chosen = made_of(text=True)
    assert expand(chosen, io.BytesIO(), 9, "x/x", SETTINGS, b"a.x") == Expansion([])
    broken = entry("a", DocumentError(Cause.CORRUPT, "x"))
    found = expand(made_of(broken, text=True), io.BytesIO(), 9, "x/x", SETTINGS, b"a.x")
    assert found == Expansion([Member(b"a", 0, 0)])
    with pytest.raises(DocumentError, match="The parcel holds no files"):
        expand(made_of(), io.BytesIO(), 9, "x/x", SETTINGS, b"a.x")


def test_one_encrypted_member_leaves_none() -> None:
    chosen = made_of(entry("a", b"x"), entry("b", DocumentError(Cause.ENCRYPTED, "x")))
    with pytest.raises(DocumentError) as caught:
        expand(chosen, io.BytesIO(), 9, "x/x", SETTINGS, b"a.x")
    assert caught.value.cause is Cause.ENCRYPTED


# Limits


def zeros(packer: object, megabytes: int) -> bytes:
    out = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]  # type: ignore[attr-defined]
    return b"".join(out) + packer.flush()  # type: ignore[attr-defined, no-any-return]


def overlapping(count: int) -> bytes:
    """Entries that share the same packed bytes, none of which is beyond the ratio by itself."""
    content = random.Random(1).randbytes(2_000) * 250
    packed = make.deflated(content)
    body = make.local(b"k", packed)
    lines = b"".join(
        make.listed(b"%d" % number, 0, len(packed), len(content), zlib.crc32(content))
        for number in range(count)
    )
    return body + lines + make.end(count, len(lines), len(body))


BOMBS = {
    "gz": zeros(zlib.compressobj(9, zlib.DEFLATED, 31), 20),
    "bz2": zeros(bz2.BZ2Compressor(), 200),
    "xz": zeros(lzma.LZMACompressor(preset=0), 100),
    "zst": zeros(zstandard.ZstdCompressor().compressobj(), 100),
    "zip": zip_of([(b"a", bytes(20_000_000))]),
    "zip of bzip2": zipped({"a": bytes(100_000_000)}, zipfile.ZIP_BZIP2),
    "zip of equal parts": overlapping(2_000),
    "7z": seven_zip({"a": bytes(50_000_000)}, make.lzma_packed(bytes(50_000_000)), (make.LZMA2,)),
    "7z behind a link": seven_zip(
        {"l": bytes(50_000_000), "a": b"x"},
        make.lzma_packed(bytes(50_000_000) + b"x"),
        (make.LZMA2,),
        links=1,
    ),
    "tar.gz": gzip.compress(tar_entry(b"a", bytes(20_000_000)) + TAR_END),
    "tar.gz of zeros": gzip.compress(tar_entry(b"a", b"x") + bytes(20_000_000)),
    "tar.gz of directories": gzip.compress(b"".join(tar_header(b"d/", kind=b"5") for _ in range(40_000))),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_soon_and_with_little_memory(kind: str) -> None:
    data = BOMBS[kind]
    tracemalloc.start()
    started = time.process_time()
    error = refusal(data)
    assert time.process_time() - started < 20
    assert tracemalloc.get_traced_memory()[1] < 40_000_000
    tracemalloc.stop()
    assert error.cause is Cause.TOO_LARGE
    assert "zip bomb" in error.message


def test_a_single_member_is_read_within_the_limits_as_well() -> None:
    with pytest.raises(DocumentError) as caught:
        opened(BOMBS["zip"]).read(b"a")
    assert caught.value.cause is Cause.TOO_LARGE


def test_zstandard_that_grows_in_every_block_stays_small() -> None:
    block = (131_072 << 3 | 2).to_bytes(3, "little") + b"A"
    data = b"\x28\xb5\x2f\xfd\x00" + bytes([10 << 3]) + block * 100_000
    tracemalloc.start()
    assert refusal(data).cause is Cause.TOO_LARGE
    assert tracemalloc.get_traced_memory()[1] < 120_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x01\x00\x00",
        seven_zip({"a": TEXT}, coders=(make.lzma1(0xFFFFFFFF),), size=1 << 40),
    ],
    ids=["zst", "7z"],
)
def test_dictionaries_of_gigabytes_are_not_reserved(data: bytes) -> None:
    assert refusal(data).cause is Cause.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        zip_of([(b"x", b"")] * 10_001),
        b"".join(tar_header(b"f") for _ in range(10_001)),
        seven_zip({f"{n}": b"" for n in range(10_001)} | {"a": b"x"}),
    ],
    ids=["zip", "tar", "7z"],
)
def test_more_than_ten_thousand_members_are_refused(data: bytes) -> None:
    error = refusal(data)
    assert error.cause is Cause.TOO_LARGE
    assert "10,000" in error.message


def test_ten_thousand_members_are_taken_in_seconds() -> None:
    data = zip_of([(b"dup/x.txt", b"")] * 10_000)
    started = time.process_time()
    members = expanded(data).members
    assert len({member.name for member in members}) == 10_000
    assert opened(data).read(members[-1].name) == b""
    assert time.process_time() - started < 30


def test_sizes_are_limited_where_the_ratio_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = os.urandom(20_000) * 2  # packs to a half
    data = zipped({"a": noise, "b": noise, "c": noise})
    monkeypatch.setattr(limits, "MAX_ENTRY_BYTES", 39_999)
    assert refusal(data).cause is Cause.TOO_LARGE
    monkeypatch.setattr(limits, "MAX_ENTRY_BYTES", 40_000)
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 119_999)
    assert refusal(data).cause is Cause.TOO_LARGE
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 120_000)
    assert len(expanded(data).members) == 3


def test_an_archive_that_holds_itself_is_one_level_at_a_time() -> None:
    data = TEXT
    for _ in range(50):
        data = zipped({"again.zip": data})
    assert names(data) == [b"again.zip"]
    assert detect(opened(data).read(b"again.zip"), b"again.zip") == mt.ZIP


# Names


@pytest.mark.parametrize(
    ("claimed", "safe"),
    [
        ("a/b.txt", "a/b.txt"),
        ("a\\b.txt", "a/b.txt"),
        ("/etc/passwd", "etc/passwd"),
        ("../../x", "x"),
        ("a/../../b/./c//d", "a/b/c/d"),
        ("..\\..\\x", "x"),
        ("C:\\Users\\x.txt", "Users/x.txt"),
        ("c:/x", "x"),
        ("D:../x", "x"),
        ("\\\\server\\share\\x", "server/share/x"),
        ("a:b.txt", "a:b.txt"),
        ("a\nb\x1b[31m\x00.txt", "a_b_[31m_.txt"),
        ("\x85\u2028\x7f", "___"),
        ("\ud800x", "_x"),
        ("inner.zip!/x.txt", "inner.zip_/x.txt"),
        ("wow!", "wow!"),
        ("", "unnamed"),
        ("/", "unnamed"),
        ("..", "unnamed"),
        (" ", " "),
        ("grüße/名.txt", "grüße/名.txt"),
    ],
)
def test_names_are_made_safe(claimed: str, safe: str) -> None:
    assert MemberNames(b"a.zip").take(claimed) == safe.encode()


def test_names_are_unique_whatever_is_claimed() -> None:
    given = MemberNames(b"a.zip")
    claimed = ["x.txt", "x.txt", "x (2).txt", "x.txt", "./x.txt", "d/.rc", "d/.rc", "X.txt", "", "/"]
    assert [given.take(name).decode() for name in claimed] == [
        "x.txt",
        "x (2).txt",
        "x (2) (2).txt",
        "x (3).txt",
        "x (4).txt",
        "d/.rc",
        "d/.rc (2)",
        "X.txt",
        "unnamed",
        "unnamed (2)",
    ]


def test_long_names_are_cut_before_their_ending_and_stay_apart() -> None:
    given = MemberNames(b"a.zip")
    long = "ä" * 5_000
    taken = [given.take(f"{long}{n}.txt") for n in (1, 2)] + [given.take(f"{long}1.txt"), given.take(long)]
    assert len(set(taken)) == 4
    for name in taken:
        assert len(name) <= limits.MAX_NAME_BYTES
        name.decode()
    assert taken[0].endswith(b".txt")
    assert given.take("x" * 1_024) == b"x" * 1_024


def test_names_that_collide_on_purpose_take_no_longer() -> None:
    given = MemberNames(b"a.zip")
    started = time.process_time()
    for number in range(2, 5_000):
        given.take(f"x ({number}).txt")
    taken = {given.take("x.txt") for _ in range(5_000)}
    assert len(taken) == 5_000
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("container", "inner"),
    [
        (b"notes.txt.gz", "notes.txt"),
        (b"dir/notes.txt.gz", "notes.txt"),
        (b"all.tgz", "all.tar"),
        (b"all.TBZ2", "all.tar"),
        (b"notes", "notes"),
        (b".gz", "gz"),
        (b"", "unnamed"),
        (b"caf\xe9.txt.gz", "café.txt"),
        (b"a\nb.txt.gz", "a_b.txt"),
    ],
)
def test_what_has_no_name_is_named_after_its_container(container: bytes, inner: str) -> None:
    assert MemberNames(container).take(None) == inner.encode()
    assert names(zlib.compress(TEXT, wbits=31), container) == [inner.encode()]


def test_hostile_names_in_archives_lead_nowhere() -> None:
    hostile = [b"../../etc/cron.d/x", b"/abs", b"C:\\x", b"a\0b", b"\xff\xfe", b"x\r\ny", b"", b"a/../../b"]
    data = zip_of([(name, b"x") for name in hostile])
    for name in names(data):
        text = name.decode()
        assert text.isprintable()
        assert not text.startswith("/")
        assert not {"", ".", ".."} & set(text.split("/"))
        assert opened(data).read(name) == b"x"


def test_the_listing_names_the_members_and_is_bounded() -> None:
    members = [Member(f"d/{number}.txt".encode(), 1, 0) for number in range(1_000)]
    assert listing(members[:2], 100) == "- d/0.txt\n- d/1.txt\n"
    assert len(listing(members, 1_000)) <= 1_000
    assert listing(members, 1_000).endswith(".txt\n")
    assert listing(members, 3) == ""


def test_the_module_trusts_no_declared_size() -> None:
    lying = Entry("a", lambda: iter((b"x" * 10,)), size_bytes=1 << 60, mtime_ns=5)
    found = containers.expand(made_of(lying), io.BytesIO(), 9, "x/x", SETTINGS, b"a")
    assert found.members == [Member(b"a", 10, 5)]


def test_times_far_outside_are_no_times() -> None:
    def entries(stream: BinaryIO, media_type: str, settings: CleanSettings) -> Iterator[Entry]:
        for number, mtime_ns in enumerate((2**63, -(2**63), 1_700_000_000)):
            yield Entry(str(number), lambda: iter([b"x"]), 1, mtime_ns)

    chosen = Format("odd clocks", ("application/x-odd",), entries=entries)
    found = expand(chosen, io.BytesIO(b"xxx"), 3, "application/x-odd", CleanSettings(), b"a")
    assert [member.mtime_ns for member in found.members] == [0, 0, 1_700_000_000]


def test_names_that_claim_to_be_longer_than_a_cut_archive(tmp_path: Path) -> None:
    path = tmp_path / "cut.zip"  # a file on disk refuses to be read backwards, where one in memory does not
    path.write_bytes(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 8, 8, 0, 0, 0, 0, 0, 60_000, 9) + b"name")
    with path.open("rb") as stream, pytest.raises(DocumentError) as caught:
        expand(registry().readers[mt.ZIP], stream, path.stat().st_size, mt.ZIP, CleanSettings(), b"cut.zip")
    assert caught.value.cause is Cause.CORRUPT
