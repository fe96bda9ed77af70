"""Containers: which files are inside, under which names, and how one of them is read.

Two passes over a container must agree: the one that registers its members and the one that, later and in
another process, reads one of them. So both take the entries in the container's order and give them names
by the same function. Everything is counted while it is unpacked; what a container says about itself is
never a reason to reserve memory or to trust it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from blake3 import blake3

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.base import Entry, Format
from tui_scraper.engine.extract.decoding import decode_name
from tui_scraper.engine.extract.limits import MAX_NAME_BYTES, MAX_TIME_NS, Allowance
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings
from tui_scraper.engine.wire import Member

_UNNAMED: Final = "unnamed"
_LONGEST_ENDING = 16
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:(?=/|\.\./|$)")
_TAR_ENDINGS = {"tgz": "tar", "tbz": "tar", "tbz2": "tar", "txz": "tar", "tzst": "tar"}
_WHOLE = frozenset({Cause.ENCRYPTED, Cause.TOO_LARGE})
"""What is wrong with the whole container, where it is wrong with one entry."""

_GONE = "This file is not in its archive any more: the archive was changed since it was listed."


@dataclass(frozen=True, slots=True)
class Expansion:
    """The members of a container, and what is wrong with it where some of them are lost."""

    members: list[Member]
    problem: DocumentError | None = None


def expand(
    chosen: Format, stream: BinaryIO, packed_bytes: int, media_type: str, settings: CleanSettings, name: bytes
) -> Expansion:
    """Pass over a container and unpack everything in it once, to know its members and their sizes.

    `packed_bytes` is the size of the container and `name` its file name. An entry that cannot be read is a
    member all the same: reading it says why. Where the container itself is damaged from some place on, its
    members are those that can be read. Raises DocumentError where there are no members to register: for a
    container that is encrypted, exceeds the limits, cannot be read at all or, if it has no text of its own,
    holds no files.
    """
    noun = _noun(chosen)
    allowance, names = Allowance(noun, packed_bytes, chosen.max_entries), MemberNames(name)
    members: list[Member] = []
    refusals: dict[bytes, DocumentError] = {}
    try:
        for entry in chosen.entries(stream, media_type, settings) if chosen.entries else ():
            allowance.begin()
            unique, size_bytes = names.take(entry.name), 0
            try:
                for piece in entry.pieces():
                    size_bytes += len(piece)
                    allowance.add(len(piece))
            except DocumentError as error:
                if error.cause in _WHOLE:
                    raise
                refusals[unique], size_bytes = error, 0
            members.append(Member(unique, size_bytes, _sane_time(entry.mtime_ns)))
    except DocumentError as error:
        readable = [member for member in members if member.name not in refusals]
        if error.cause is not Cause.CORRUPT or not readable:
            raise
        return Expansion(readable, _partly(error, len(readable)))
    if chosen.extract is None:
        if not members:
            raise DocumentError(Cause.NO_TEXT, f"The {noun} holds no files.")
        if len(refusals) == len(members):
            raise refusals[members[0].name]
    return Expansion(members)


def _sane_time(mtime_ns: int) -> int:
    """A time that the store can hold, 0 for one far outside: a tar may claim the year 2242 or 292 billion."""
    return mtime_ns if abs(mtime_ns) < MAX_TIME_NS else 0


def _noun(chosen: Format) -> str:
    """What a sentence calls the format: 'Word document' of 'Word document (.docx)'."""
    return chosen.name.partition(" (")[0]


def _partly(error: DocumentError, readable: int) -> DocumentError:
    files = "One file in it" if readable == 1 else f"{readable:,} files in it"
    return DocumentError(error.cause, f"{error.message} {files} can still be read.")


def listing(members: list[Member], max_chars: int) -> str:
    """The names of members as a Markdown list, as many as there is room for."""
    lines: list[str] = []
    room = max_chars
    for member in members:
        line = f"- {member.name.decode('utf-8', 'replace')}\n"
        room -= len(line)
        if room < 0:
            break
        lines.append(line)
    return "".join(lines)


class ContainerReader:
    """Reads single members of an open container.

    Members that are asked for in the container's order cost one pass over it, as much of it as is needed;
    to go back means to begin anew.
    """

    def __init__(
        self,
        chosen: Format,
        stream: BinaryIO,
        packed_bytes: int,
        media_type: str,
        settings: CleanSettings,
        name: bytes,
    ) -> None:
        self._format = chosen
        self._stream = stream
        self._packed_bytes = packed_bytes
        self._media_type = media_type
        self._settings = settings
        self._name = name
        self._named: Iterator[tuple[bytes, Entry]] | None = None

    def read(self, name: bytes) -> bytes:
        """The bytes of one member.

        Raises DocumentError where it cannot be read, TOO_LARGE beyond the limits, CHANGED where it is not
        there any more.
        """
        entry = self._find(name)
        allowance = Allowance(_noun(self._format), self._packed_bytes)
        allowance.begin()
        content = io.BytesIO()
        for piece in entry.pieces():
            allowance.add(len(piece))
            content.write(piece)
        return content.getvalue()

    def _find(self, wanted: bytes) -> Entry:
        under_way, self._named = self._named, None
        for entries in (under_way, self._from_the_front()):
            if entries is None:
                continue
            try:
                for name, entry in entries:
                    if name == wanted:
                        self._named = entries
                        return entry
            except DocumentError:
                if entries is not under_way:
                    raise
        raise DocumentError(Cause.CHANGED, _GONE)

    def _from_the_front(self) -> Iterator[tuple[bytes, Entry]]:
        names = MemberNames(self._name)
        if self._format.entries is not None:
            self._stream.seek(0)
            for entry in self._format.entries(self._stream, self._media_type, self._settings):
                yield names.take(entry.name), entry


class MemberNames:
    """Gives the entries of one container names that are unique and safe, in their order.

    `container` is the file name of the container: what has no name of its own is named after it.
    """

    def __init__(self, container: bytes) -> None:
        self._inner = _inner_name(decode_name(container))
        self._taken: set[bytes] = set()
        self._next: dict[bytes, int] = {}

    def take(self, claimed: str | None) -> bytes:
        """The name of the next entry: UTF-8, with '/' and without a way out of the container."""
        plain = self._inner if claimed is None else _safe(claimed)
        name = _short(plain.encode())
        number = self._next.get(name, 2)
        unique = name
        while unique in self._taken:
            unique = _short(_with_suffix(plain, f" ({number})").encode())
            number += 1
        self._next[name] = number
        self._taken.add(unique)
        return unique


def _inner_name(container: str) -> str:
    """'notes.txt' for 'notes.txt.gz', 'all.tar' for 'all.tgz', 'notes' for 'notes'."""
    stem, dot, ending = _safe(container).rpartition("/")[2].rpartition(".")
    if not stem:
        return ending or _UNNAMED
    tar = _TAR_ENDINGS.get(ending.lower())
    return f"{stem}{dot}{tar}" if tar else stem


def _safe(claimed: str) -> str:
    path = _CONTROLS.sub("_", claimed).replace("\\", "/")
    path = _DRIVE.sub("", path, count=1) if path[1:2] == ":" else path
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    # 'a!/b' is how a path shows that b is inside of a.
    parts[:-1] = [f"{part[:-1]}_" if part.endswith("!") else part for part in parts[:-1]]
    return "/".join(parts) or _UNNAMED


def _with_suffix(name: str, suffix: str) -> str:
    """'a/x (2).txt' for 'a/x.txt'."""
    folder, slash, base = name.rpartition("/")
    stem, dot, ending = base.rpartition(".")
    if not stem:
        return f"{name}{suffix}"
    return f"{folder}{slash}{stem}{suffix}{dot}{ending}"


def _short(name: bytes) -> bytes:
    """A name that is too long is cut before its ending, with a hash of all of it in place of the rest."""
    if len(name) <= MAX_NAME_BYTES:
        return name
    dot = name.rfind(b".")
    ending = name[dot:] if 0 < len(name) - dot <= _LONGEST_ENDING and b"/" not in name[dot:] else b""
    mark = b"~" + blake3(name).hexdigest(length=4).encode()
    room = MAX_NAME_BYTES - len(mark) - len(ending)
    return name[:room].decode("utf-8", "ignore").encode() + mark + ending
