"""The parts of a mail (RFC 2045, 2046), found in one pass over its bytes.

The standard library's parser holds a generator for each nested part and asks all of them about each line:
2,000 nested parts end in a RecursionError, and a long mail costs ten times its size in strings. Here
every line that begins with two hyphens is looked up once among the boundaries that are open, so the time
does not depend on the depth; parts are offsets into the mail. What is missing (the header, the
boundary, the last delimiter) is replaced by what can be seen.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.detect import wide_without_bom
from tui_scraper.engine.extract.limits import MAX_ENTRIES
from tui_scraper.engine.extract.mail.headers import field_text, parameters

MAX_PARTS: Final = MAX_ENTRIES
MAX_FIELDS: Final = 1_000
"""Header fields kept of one part."""
MAX_FIELD_BYTES: Final = 64_000
"""What is kept of one field."""

_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]{0,20}:")
_KNOWN_FIELD = re.compile(
    rb"(?:content-|mime-version|received|return-path|from|to|cc|bcc|subject|date|message-id|reply-to|sender"
    rb"|x-|delivered-to|resent-|references|in-reply-to|newsgroups|path|user-agent|importance|priority|list-"
    rb"|dkim-|arc-|authentication-results|errors-to|organization|organisation|thread-|status|lines|apparently-to"
    rb"|disposition-notification-to|auto-submitted|precedence|mailing-list|comments|keywords|envelope-to)",
    re.IGNORECASE,
)
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+*-]{1,100}")
_GUESSED = re.compile(rb"^--([^\s][^\r\n]{3,199}?)[ \t]*\r?\n(?=[Cc]ontent-[!-9;-~]{1,100}:)", re.MULTILINE)
_EMLX = re.compile(rb"\s{0,100}\d{1,10}[ \t]{0,20}\r?\n")
_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WIDE_SAMPLE: Final = 16
_GUESS_BYTES: Final = 65_536
_MAX_BOUNDARY: Final = 500
_LOOK_AHEAD: Final = 3
_BASE64 = bytes(b for b in range(256) if not (chr(b).isascii() and (chr(b).isalnum() or b in b"+/=")))
_BASE64_LINE = re.compile(rb"\s*[A-Za-z0-9+/=]+[ \t]*\r*(?:\n|\Z)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_PADDING = re.compile(rb"=+")
_MANY_PADDINGS: Final = 10_000
_WORD_CHARS: Final = 20  # base64 has no spaces; the words of a text are shorter than this
_SPACED_BREAK = re.compile(rb"=[ \t]+(?=\r?\n)")


@dataclass(slots=True)
class Part:
    """One part of a mail: its header fields, and where its body lies in the mail's bytes.

    `fields` are names in lower case with their raw values, in order. `media_type` is what the part says it
    is, or what its place says. `number` counts the parts in the order in which they begin.
    """

    number: int
    parent: Part | None
    fields: list[tuple[bytes, bytes]]
    media_type: str
    parameters: dict[str, str]
    start: int
    end: int
    children: list[Part] = field(default_factory=list)

    def field(self, name: bytes) -> bytes:
        """The raw value of the first field of this name that has one, b'' without any."""
        return next((value for key, value in self.fields if key == name and value), b"")

    def text_of(self, name: bytes) -> str:
        """The value of a field as text."""
        return field_text(self.field(name), self.parameters.get("charset", ""))

    @property
    def is_multipart(self) -> bool:
        """Whether it has parts, which not every part does that is called multipart."""
        return bool(self.children)


@dataclass(slots=True)
class Mail:
    """A mail in parts. `parts` has all of them, the root first, each before its children."""

    data: bytes
    root: Part
    parts: list[Part]
    is_cut: bool = False

    def raw(self, part: Part) -> bytes:
        """The body of a part as it stands in the mail."""
        return self.data[part.start : part.end]

    def content(self, part: Part) -> bytes:
        """The body of a part with its transfer encoding undone."""
        return undo_transfer_encoding(self.raw(part), transfer_encoding(part))


class _Open:
    """A multipart whose end has not been seen."""

    __slots__ = ("boundary", "is_closed", "part")

    def __init__(self, part: Part, boundary: bytes) -> None:
        self.part = part
        self.boundary = boundary
        self.is_closed = False


class _Reader:
    """The state of one pass over a mail."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.parts: list[Part] = []
        self._open: list[_Open] = []
        self._levels: dict[bytes, list[int]] = {}  # boundary -> where it stands in `_open`, innermost last
        self._current: Part | None = None

    def read(self) -> Mail:
        data, size = self.data, len(self.data)
        root = self._begin(None, 0)
        position = root.start
        is_cut = False
        while self._open:
            at = position if data.startswith(b"--", position) else data.find(b"\n--", position) + 1
            if at <= 0 and not data.startswith(b"--", position):
                break
            line_end = data.find(b"\n", at)
            line_end = size if line_end < 0 else line_end
            position = min(line_end + 1, size)
            if line_end - at > _MAX_BOUNDARY:
                continue
            level, is_last = self._level(data[at + 2 : line_end].rstrip(b" \t\r"))
            if level >= 0:
                if len(self.parts) >= MAX_PARTS:
                    is_cut = True
                    self._end_current(at)
                    for unended in self._open:
                        unended.part.end = at
                    break
                self._close_above(level, at)
                if is_last:
                    self._close(level)
                else:
                    position = self._begin(self._open[level].part, position).start
            if position >= size:
                break
        if not is_cut:
            self._end_current(size)
        return Mail(data, root, self.parts, is_cut)

    def _level(self, text: bytes) -> tuple[int, bool]:
        """Which open multipart a line delimits, -1 for none, and whether it is the last delimiter."""
        levels = self._levels.get(text)
        if levels:
            return levels[-1], False
        levels = self._levels.get(text[:-2].rstrip(b" \t")) if text.endswith(b"--") else None
        return (levels[-1], True) if levels else (-1, False)

    def _close_above(self, level: int, at: int) -> None:
        self._end_current(at)
        while len(self._open) > level + 1:
            inner = self._open.pop()
            inner.part.end = self._before_line_end(at, inner.part.start)
            self._forget(inner, len(self._open))

    def _close(self, level: int) -> None:
        """The last delimiter was seen. Parts may follow it, unless an outer one has the same boundary."""
        ended = self._open[level]
        if not ended.is_closed and len(self._levels.get(ended.boundary, ())) > 1:
            self._forget(ended, level)
        ended.is_closed = True

    def _forget(self, ended: _Open, level: int) -> None:
        levels = self._levels.get(ended.boundary)
        if levels and levels[-1] == level:
            levels.pop()
            if not levels:
                del self._levels[ended.boundary]

    def _end_current(self, at: int) -> None:
        if self._current is not None:
            self._current.end = self._before_line_end(at, self._current.start)
            self._current = None

    def _before_line_end(self, at: int, start: int) -> int:
        """The line end before a delimiter belongs to the delimiter."""
        if at < len(self.data):
            at -= 2 if self.data.endswith(b"\r\n", 0, at) else 1
        return max(at, start)

    def _begin(self, parent: Part | None, start: int) -> Part:
        """Read the header of a part and open it if it has parts itself."""
        fields, body = _read_header(self.data, start, is_root=parent is None)
        in_digest = parent is not None and parent.media_type == "multipart/digest"
        media_type, found = _media_type(fields, "message/rfc822" if in_digest else "text/plain")
        part = Part(len(self.parts), parent, fields, media_type, found, body, len(self.data))
        self.parts.append(part)
        if parent is not None:
            parent.children.append(part)
        boundary = self._boundary(part)
        if boundary:
            self._levels.setdefault(boundary, []).append(len(self._open))
            self._open.append(_Open(part, boundary))
        else:
            self._current = part
        return part

    def _boundary(self, part: Part) -> bytes:
        declared = b""
        if part.media_type.startswith("multipart/"):
            declared = part.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")[:_MAX_BOUNDARY]
            if part.parent is not None:
                return declared
            if declared and self.data.find(b"--" + declared, part.start) >= 0:
                return declared
        elif part.parent is not None or part.fields:
            return b""
        # Nothing but the lines themselves says what the boundary of this mail is.
        guess = _GUESSED.search(self.data, part.start, part.start + _GUESS_BYTES)
        if guess is None or (not part.fields and self.data[part.start : guess.start()].strip()):
            return declared
        if not part.media_type.startswith("multipart/"):
            part.media_type = "multipart/mixed"
        return guess[1]


def read_mail(data: bytes) -> Mail:
    """Take a mail apart. Never fails: what has no structure is one part of plain text."""
    return _Reader(_plain_bytes(data)).read()


def _plain_bytes(data: bytes) -> bytes:
    """The mail as bytes with line feeds: without byte order marks, wide characters and Apple's first line."""
    if data.startswith(_WIDE_MARKS) or (b"\0" in data[:_WIDE_SAMPLE] and wide_without_bom(data)):
        data = decode(data).encode("utf-8", "replace")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    length_line = _EMLX.match(data)
    if length_line:
        length = int(length_line[0])
        if 0 < length <= len(data) - length_line.end():
            data = data[length_line.end() : length_line.end() + length]
    return data


def _read_header(data: bytes, start: int, *, is_root: bool) -> tuple[list[tuple[bytes, bytes]], int]:
    """The fields at `start`, and where the body begins. No field that mail has: all is body."""
    size = len(data)
    position = start
    if is_root:
        while position < size and data[position] in b" \t\r\n":
            position += 1
        position = data.rfind(b"\n", start, position) + 1 if position > start else position
    begin = max(position, start)
    position = begin
    fields: list[tuple[bytes, list[bytes]]] = []
    is_known = False
    room = 0  # bytes that the last field may still have
    while position < size:
        end = data.find(b"\n", position)
        end = size if end < 0 else end
        if end - position <= 2 and not data[position:end].strip(b"\r"):
            position = min(end + 1, size)
            break
        is_indented = data[position] in b" \t" and fields
        found = None if is_indented else _FIELD.match(data, position, end)
        if found:
            is_known = is_known or _KNOWN_FIELD.match(found[1]) is not None
            room = MAX_FIELD_BYTES if len(fields) < MAX_FIELDS else 0
            if room:
                fields.append((found[1].lower(), []))
        elif not is_indented and data.startswith((b"From ", b">From "), position):
            room = 0  # the separator line of a mailbox
        elif not is_indented and (
            not is_known or data.startswith(b"--", position) or not _is_folded(data, end)
        ):
            break
        if room:
            value = data[found.end() if found else position : end][:room].rstrip(b"\r")
            fields[-1][1].append(value if found or is_indented else b" " + value)
            room -= len(value)
        position = end + 1
    if not is_known:
        return [], begin
    return [(name, b"".join(pieces).strip()) for name, pieces in fields], min(position, size)


def _is_folded(data: bytes, end: int) -> bool:
    """Whether a line that ends at `end` continues a field though it is not indented: others follow it."""
    for _line in range(_LOOK_AHEAD):
        start = end + 1
        end = data.find(b"\n", start)
        if end < 0:
            return False
        name = _FIELD.match(data, start, end)
        if name:
            return _KNOWN_FIELD.match(name[1]) is not None
        if not data[start:end].strip():
            return False
    return False


def _media_type(fields: list[tuple[bytes, bytes]], default: str) -> tuple[str, dict[str, str]]:
    """The media type of a part in lower case, with its parameters."""
    value = next((value for name, value in fields if name == b"content-type" and value), b"")
    if not value:
        return default, {}
    text = field_text(value, words=False)
    found = parameters(text)
    named = _TYPE.match(text.lower().lstrip("\"' :"))
    if named:
        return named[0], found
    family = text.lower().partition(";")[0].strip().rstrip("/")
    if family == "multipart" or "boundary" in found:
        return "multipart/mixed", found
    return ("text/html" if family in ("html", "text/html") else default), found


def transfer_encoding(part: Part) -> str:
    """The name of the encoding that a part is sent in: 'base64', 'quoted-printable', 'uu', 'yenc' or ''."""
    name = part.field(b"content-transfer-encoding").strip(b" \t\"'").lower()
    if name.startswith((b"base64", b"base-64", b"base 64", b"x-base64")):
        return "base64"
    if name.startswith(b"quoted"):
        return "quoted-printable"
    if name.startswith((b"x-uu", b"uu")):
        return "uu"
    return "yenc" if name.startswith((b"x-yenc", b"yenc")) else ""


def undo_transfer_encoding(raw: bytes, encoding: str) -> bytes:
    """The bytes behind a transfer encoding; as they are where they are not in it."""
    if encoding == "base64":
        if not _BASE64_LINE.match(raw[:2_000]) and raw.strip():
            return raw
        blob, rest = _split_base64(raw)
        return _base64(blob) + rest
    if encoding == "quoted-printable":
        return binascii.a2b_qp(_SPACED_BREAK.sub(b"=", raw))
    if encoding in ("uu", "yenc"):
        from tui_scraper.engine.extract.mail.inline import inline_files

        _text, files = inline_files(raw)
        return files[0].content() if files else raw
    return raw


def _split_base64(raw: bytes) -> tuple[bytes, bytes]:
    """Base64 and the plain text behind it, which mailing lists append to mails they do not understand."""
    found = _NOT_BASE64.search(raw)
    if found is None:
        return raw, b""
    start = raw.rfind(b"\n", 0, found.start()) + 1
    rest = raw[start : start + 2_000].split()
    if rest and sum(map(len, rest)) < len(rest) * _WORD_CHARS:
        return raw[:start], b"\n" + raw[start:]
    return raw, b""


def _base64(raw: bytes) -> bytes:
    letters = raw.translate(None, _BASE64).rstrip(b"=")
    paddings = letters.count(b"=")
    if paddings > _MANY_PADDINGS:
        letters, paddings = letters.replace(b"=", b""), 0
    pieces = _PADDING.split(letters) if paddings else [letters]  # pieces that were encoded by themselves
    return b"".join(map(_one_base64, pieces))


def _one_base64(letters: bytes) -> bytes:
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def in_megabytes(content: bytes) -> Iterator[bytes]:
    """Bytes in the pieces that an `Entry` gives."""
    for start in range(0, len(content), 1_000_000):
        yield content[start : start + 1_000_000]
