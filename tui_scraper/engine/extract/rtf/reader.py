"""RTF, through a reader of our own: paragraphs, headings, lists, tables, notes and links.

One pass over the tokens with a stack of groups, so that time is linear and nesting costs nothing. The
bytes of a run are decoded together, in the code page of its font: a character of an East Asian text may
be written half as an escape and half as a letter. What a run looks like is not kept, hidden text is.

A document that ends too early gives the text up to there, as it does in every word processor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links
from tui_scraper.engine.extract.rtf import codes
from tui_scraper.engine.extract.rtf.layout import Flow, Style, join
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_TOKEN = re.compile(
    rb"\\([a-zA-Z]+)(-?[0-9]+)? ?|((?:\\'[0-9a-fA-F]{2})+)|([^\\{}]+)|([{}])|\\([^a-zA-Z])|\\\Z", re.DOTALL
)
_WORD, _NUMBER, _ESCAPES, _TEXT, _BRACE, _SIGN = range(1, 7)
_SKIPPED = re.compile(rb"([{}])|\\(?:bin([0-9]{1,10}) ?|.)", re.DOTALL)
_START = b"{\\rtf"
_START_WITHIN: Final = 1_024
_FRAGMENT = re.compile(rb"[\s\0]{0,100}\{\s{0,10}\\[a-z]")
_LINE_ENDS = b"\r\n\0"
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\r\n\0")
_MAX_CONTROL_SHARE: Final = 20  # one control byte in 20: not text, whatever the first bytes say
_MAX_GROUPS: Final = 2_000
_NUMBER_CHARS: Final = 11
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINK = re.compile(r'\s*HYPERLINK\s+(?:\\[mnt]\s+)*"?([^"\\\s][^"\s]{0,2000})', re.IGNORECASE)
_SYMBOL_FIELD = re.compile(
    r'\s*SYMBOL\s+(?:0x([0-9a-f]{1,5})|(\d{1,6}))\b[^"]{0,40}(?:"([^"]{0,60})")?', re.IGNORECASE
)
_HEADING_NAME = re.compile(
    r"(?:heading|überschrift|titre|título|titolo|kop|заголовок)\s{0,3}([1-9])\b", re.IGNORECASE
)

# What a group is, beyond running text.
(
    _RUNNING,
    _IGNORED,
    _FONTS,
    _STYLES,
    _INFO,
    _TITLE,
    _INSTRUCTION,
    _MARKER,
    _HEADER,
    _FOOTER,
    _NOTE,
    _COMMENT,
    _BOX,
) = range(13)
_FLOWS: Final = frozenset((_HEADER, _FOOTER, _NOTE, _COMMENT, _BOX))


def extract_rtf(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an RTF document with its structure, and its title if it was given one.

    Raises DocumentError (CORRUPT) for what is no RTF, or not any more.
    """
    start = data.find(_START, 0, _START_WITHIN)
    if start < 0 and _FRAGMENT.match(data):
        start = 0  # a piece of a document, without the head that names its fonts
    if start < 0:
        raise DocumentError(Cause.CORRUPT, "The RTF document is damaged: it does not begin as RTF does.")
    return _Reader(data, settings.max_chars).read(start)


def rtf_to_text(data: bytes, max_chars: int) -> str:
    """The text of an RTF document that is part of something else, such as a mail. Raises as `extract_rtf`."""
    return extract_rtf(data, mt.RTF, CleanSettings(max_chars=max_chars)).text


class _State:
    """What a group inherits from the one around it."""

    __slots__ = (
        "codec", "deleted", "fallback_chars", "flow", "in_table", "is_item", "kind", "level",
        "outline", "sink", "style",
    )  # fmt: skip

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.kind = _RUNNING
        self.sink: list[str] | None = None  # where text goes that is not part of the flow
        self.codec = ""
        self.fallback_chars = 1
        self.deleted = False
        self.reset_paragraph()

    def reset_paragraph(self) -> None:
        self.style = self.outline = -1
        self.in_table = self.is_item = False
        self.level = 0

    def copy(self) -> _State:
        other = _State.__new__(_State)
        other.flow = self.flow
        other.kind = self.kind
        other.sink = self.sink
        other.codec = self.codec
        other.fallback_chars = self.fallback_chars
        other.deleted = self.deleted
        other.style = self.style
        other.outline = self.outline
        other.in_table = self.in_table
        other.is_item = self.is_item
        other.level = self.level
        return other


class _Reader:
    """The state of one pass over a document."""

    def __init__(self, data: bytes, max_chars: int) -> None:
        self._data = data
        self._max_chars = max_chars
        self._body = Flow()
        self._state = _State(self._body)
        self._stack: list[_State] = []
        self._too_deep = 0
        self._position = 0
        self._has_ended = False
        self._starred = False
        self._to_skip = 0
        self._raw = bytearray()
        self._is_utf8 = not data.isascii() and _is_utf8(data)
        self._page_codec = "cp1252"
        self._default_font = -1
        self._fonts: dict[int, str] = {}
        self._font = _Font()
        self._headings: dict[int, int] = {}
        self._name: list[str] = []
        self._headers: dict[str, None] = {}
        self._footers: dict[str, None] = {}
        self._notes: list[str] = []
        self._note_count = 0
        self._links = Links()
        self._title = ""
        self._characters = self._text_bytes = self._control_bytes = 0

    def read(self, start: int) -> Extracted:
        """Read from the byte at `start`, where the outermost group begins."""
        data, token = self._data, _TOKEN.match
        self._position, end = start, len(data)
        while self._position < end and self._characters <= self._max_chars:
            match = token(data, self._position)
            if match is None:
                break
            self._position = match.end()
            kind = match.lastindex
            if kind == _TEXT:
                self._text(match[_TEXT].translate(None, _LINE_ENDS))
            elif kind == _ESCAPES:
                self._escapes(bytes.fromhex(match[_ESCAPES].replace(b"\\'", b"").decode("ascii")))
            elif kind == _WORD:
                self._word(match[_WORD].lower(), None)
            elif kind == _NUMBER:
                self._word(match[_WORD].lower(), int(match[_NUMBER][:_NUMBER_CHARS]))
            elif kind == _SIGN:
                self._sign(match[_SIGN])
            elif match[_BRACE] == b"{":
                self._open()
            else:
                self._close()
        self._flush()
        if self._control_bytes * _MAX_CONTROL_SHARE > self._text_bytes:
            raise DocumentError(
                Cause.CORRUPT, "The RTF document is damaged: it holds bytes that are no text."
            )
        while self._stack:
            self._leave()
        return self._result()

    def _result(self) -> Extracted:
        body = join(self._body.close())
        pieces = [*self._headers, body, *self._notes, *self._footers]
        text = "\n\n".join(filter(None, pieces))
        if _SURROGATE.search(text):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        return Extracted(
            text=text,
            title=self._title or None,
            links=self._links.as_list(),
            truncated=self._characters > self._max_chars,
        )

    # Groups

    def _open(self) -> None:
        self._flush()
        self._starred = False
        self._to_skip = 0
        if len(self._stack) >= _MAX_GROUPS:
            self._too_deep += 1
            return
        self._stack.append(self._state)
        self._state = self._state.copy()

    def _close(self) -> None:
        self._flush()
        self._starred = False
        self._to_skip = 0
        if self._too_deep:
            self._too_deep -= 1
        elif self._stack:
            self._leave()
        if not self._stack and not self._has_ended:
            self._has_ended = True
            rest = self._data[self._position :]
            if _START not in rest and b"\\par" not in rest:
                self._position = len(self._data)  # what follows the document is none of it

    def _leave(self) -> None:
        ended, self._state = self._state, self._stack.pop()
        if (
            ended.kind == self._state.kind
            and ended.flow is self._state.flow
            and ended.sink is self._state.sink
        ):
            return
        if ended.kind in (_FONTS, _STYLES):
            self._end_entry(ended)
        elif ended.kind == _TITLE:
            self._title = "".join(ended.sink or ()).strip()
        elif ended.kind == _INSTRUCTION:
            self._obey("".join(ended.sink or ()))
        elif ended.kind == _MARKER:
            self._state.flow.marker = "".join(ended.sink or ()).strip() or "•"
        elif ended.kind in _FLOWS:
            self._end_flow(ended)

    def _end_flow(self, ended: _State) -> None:
        blocks = ended.flow.close()
        if ended.kind == _BOX:
            self._state.flow.boxes.extend(block for block in blocks if block.kind)
            return
        text = join(blocks).strip()
        if not text:
            return
        if ended.kind == _HEADER:
            self._headers[text] = None
        elif ended.kind == _FOOTER:
            self._footers[text] = None
        elif ended.kind == _COMMENT:
            self._notes.append(f"[comment] {text}")
        else:
            self._notes.append(f"[{ended.sink[0] if ended.sink else ''}] {text}")

    def _skip_group(self) -> None:
        """Go to the brace that ends the group, past everything in it."""
        depth = 0
        position = self._position
        while match := _SKIPPED.search(self._data, position):
            position = match.end()
            if match[2]:
                position += int(match[2])
            elif match[1] == b"{":
                depth += 1
            elif match[1]:
                depth -= 1
                if depth < 0:
                    self._position = match.start()
                    return
        self._position = len(self._data)

    def _divert(self, kind: int, *, into_flow: bool = False) -> None:
        """Make the group something other than running text."""
        self._state.kind = kind
        if into_flow:
            self._state.flow = Flow()
            self._state.sink = None
            self._state.reset_paragraph()
        else:
            self._state.sink = []

    # Text

    def _text(self, raw: bytes) -> None:
        if self._to_skip:
            skipped = min(self._to_skip, len(raw))
            self._to_skip -= skipped
            raw = raw[skipped:]
        if not raw:
            return
        self._starred = False
        self._text_bytes += len(raw)
        self._control_bytes += len(raw) - len(raw.translate(None, _CONTROLS))
        # After an escape, a letter may be the second half of a character.
        is_plain = raw.isascii() and not self._raw
        if (is_plain or self._is_utf8) and self._state.codec not in codes.WITHOUT_LETTERS:
            self._flush()
            self._emit(raw.decode("utf-8"))
        else:
            self._raw += raw

    def _escapes(self, raw: bytes) -> None:
        skipped = min(self._to_skip, len(raw))
        self._to_skip -= skipped
        self._starred = False
        self._raw += raw[skipped:]

    def _flush(self) -> None:
        """Decode the bytes of the run that ends here."""
        if not self._raw:
            return
        codec = self._state.codec or self._page_codec
        if codec in codes.WITHOUT_LETTERS:
            text = "".join([codes.symbol(code, codec) for code in self._raw])
        else:
            text = self._raw.decode(codec, "replace")
        self._raw.clear()
        self._emit(text)

    def _emit(self, text: str) -> None:
        state = self._state
        if state.kind in (_FONTS, _STYLES):
            self._collect_names(text)
        elif state.deleted:
            return
        elif state.sink is not None and state.kind not in _FLOWS:
            state.sink.append(text)
        else:
            state.flow.write(text)
            self._characters += len(text)

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._starred = True
            return
        if self._to_skip:
            self._to_skip -= 1
            return
        if sign == b"\\" or sign in b"{}":
            self._text(sign)
            return
        self._flush()
        if sign in b"\r\n":
            self._end_paragraph()
        elif sign in codes.SYMBOLS:
            self._emit(codes.SYMBOLS[sign])

    # Control words

    def _word(self, word: bytes, number: int | None) -> None:
        starred, self._starred = self._starred, False
        if word == b"bin":
            self._position += max(0, number or 0)
            return
        character = codes.CHARACTERS.get(word)
        if self._to_skip:
            skipped, self._to_skip = self._to_skip, 0
            if character is not None:
                self._to_skip = skipped - 1
                return
        self._flush()
        if character is not None:
            self._emit(character)
        elif word in codes.WITHOUT_TEXT or (starred and word not in codes.STARRED):
            self._skip_group()
        elif word in codes.PARAGRAPH_ENDS:
            self._end_paragraph()
        else:
            handler = _HANDLERS.get(word)
            if handler is not None:
                handler(self, number)

    def _end_paragraph(self) -> None:
        state = self._state
        if state.sink is not None and state.kind not in _FLOWS:
            state.sink.append(" ")
            return
        heading = state.outline + 1 if 0 <= state.outline < 9 else self._headings.get(state.style, 0)
        state.flow.end_paragraph(Style(heading, state.in_table, state.is_item, state.level))
        self._characters += 1

    def _end_cell(self, _number: int | None) -> None:
        self._state.flow.end_cell()
        self._characters += 1

    def _end_row(self, _number: int | None) -> None:
        self._state.flow.end_row()

    def _unicode(self, number: int | None) -> None:
        self._to_skip = self._state.fallback_chars
        code = number or 0
        if -0x8000 <= code < 0:
            code += 0x10000
        if not 0 < code <= 0x10FFFF:
            return
        if 0xF020 <= code <= 0xF0FF:
            self._emit(codes.symbol(code - 0xF000, self._state.codec))
        else:
            self._emit(chr(code))

    def _fallback_chars(self, number: int | None) -> None:
        self._state.fallback_chars = min(max(number or 0, 0), 100) if number is not None else 1

    def _plain(self, _number: int | None) -> None:
        self._state.deleted = False
        self._state.codec = self._fonts.get(self._default_font, "")

    def _reset_paragraph(self, _number: int | None) -> None:
        self._state.reset_paragraph()

    def _delete(self, number: int | None) -> None:
        self._state.deleted = number != 0

    def _in_table(self, _number: int | None) -> None:
        self._state.in_table = True

    def _table_depth(self, number: int | None) -> None:
        self._state.in_table = (number or 0) > 0

    def _style(self, number: int | None) -> None:
        self._state.style = number or 0

    def _outline(self, number: int | None) -> None:
        self._state.outline = number or 0

    def _list(self, number: int | None) -> None:
        self._state.is_item = (number or 0) > 0

    def _list_level(self, number: int | None) -> None:
        self._state.level = min(max(number or 0, 0), 8)

    # Encodings

    def _page(self, number: int | None) -> None:
        self._page_codec = codes.codec_of_page(number or 1252)

    def _mac(self, _number: int | None) -> None:
        self._page_codec = "mac_roman"

    def _dos(self, _number: int | None) -> None:
        self._page_codec = "cp437"

    def _dos_latin(self, _number: int | None) -> None:
        self._page_codec = "cp850"

    def _default(self, number: int | None) -> None:
        self._default_font = number or 0

    def _choose_font(self, number: int | None) -> None:
        if self._state.kind == _FONTS:
            self._end_entry(self._state)
            self._font = _Font(number or 0)
        else:
            self._state.codec = self._fonts.get(number or 0, "")

    def _charset(self, number: int | None) -> None:
        self._font.codec = codes.codec_of_charset(number or 0)

    def _font_page(self, number: int | None) -> None:
        self._font.codec = codes.codec_of_page(number or 1252)

    def _collect_names(self, text: str) -> None:
        name, semicolon, rest = text.partition(";")
        while semicolon:
            self._name.append(name)
            self._end_entry(self._state)
            name, semicolon, rest = rest.partition(";")
        self._name.append(name)

    def _end_entry(self, state: _State) -> None:
        name = "".join(self._name).strip()
        self._name.clear()
        if state.kind == _FONTS:
            if self._font.number >= 0:
                self._fonts[self._font.number] = codes.codec_of_font(name) or self._font.codec
                self._font = _Font()
        elif name and state.style >= 0:
            named = _HEADING_NAME.match(name)
            level = state.outline + 1 if 0 <= state.outline < 9 else int(named[1]) if named else 0
            if level:
                self._headings[state.style] = level

    # Destinations

    def _font_table(self, _number: int | None) -> None:
        self._divert(_FONTS)

    def _style_sheet(self, _number: int | None) -> None:
        self._state.reset_paragraph()
        self._divert(_STYLES)

    def _info(self, _number: int | None) -> None:
        self._divert(_INFO)

    def _title_of_info(self, _number: int | None) -> None:
        if self._state.kind == _INFO:
            self._divert(_TITLE)

    def _instruction(self, _number: int | None) -> None:
        self._divert(_INSTRUCTION)

    def _item_marker(self, _number: int | None) -> None:
        self._divert(_MARKER)

    def _ignore(self, _number: int | None) -> None:
        self._divert(_IGNORED)

    def _header(self, _number: int | None) -> None:
        self._divert(_HEADER, into_flow=True)

    def _footer(self, _number: int | None) -> None:
        self._divert(_FOOTER, into_flow=True)

    def _note(self, _number: int | None) -> None:
        self._note_count += 1
        self._emit(f"[{self._note_count}]")
        self._divert(_NOTE, into_flow=True)
        self._state.sink = [str(self._note_count)]

    def _comment(self, _number: int | None) -> None:
        self._divert(_COMMENT, into_flow=True)

    def _box(self, _number: int | None) -> None:
        if self._state.kind in (_RUNNING, *_FLOWS):
            self._divert(_BOX, into_flow=True)

    def _either(self, _number: int | None) -> None:
        r"""Skip the first of the two in {\upr{in bytes}{\*\ud{in Unicode}}}."""
        brace = self._data.find(b"{", self._position, self._position + 10)
        if brace >= 0:
            self._position = brace + 1
            self._skip_group()
            self._position += 1

    def _obey(self, instruction: str) -> None:
        """What the instruction of a field says about its result."""
        link = _LINK.match(instruction)
        if link:
            self._links.add(link[1], "hyperlink")
            return
        sign = _SYMBOL_FIELD.match(instruction)
        if sign:
            code = int(sign[1], 16) if sign[1] else int(sign[2])
            codec = codes.codec_of_font(sign[3] or "")
            if codec:
                self._emit(codes.symbol(code & 0xFF, codec))
            elif 0x20 <= code <= 0xFFFF:
                self._emit(bytes([code]).decode(self._page_codec, "replace") if code < 0x100 else chr(code))


class _Font:
    """An entry of the font table while it is read."""

    def __init__(self, number: int = -1) -> None:
        self.number = number
        self.codec = ""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_HANDLERS: Final[dict[bytes, Callable[[_Reader, int | None], None]]] = {
    b"cell": _Reader._end_cell,
    b"row": _Reader._end_row,
    b"u": _Reader._unicode,
    b"uc": _Reader._fallback_chars,
    b"plain": _Reader._plain,
    b"pard": _Reader._reset_paragraph,
    b"deleted": _Reader._delete,
    b"intbl": _Reader._in_table,
    b"itap": _Reader._table_depth,
    b"s": _Reader._style,
    b"outlinelevel": _Reader._outline,
    b"ls": _Reader._list,
    b"ilvl": _Reader._list_level,
    b"ansicpg": _Reader._page,
    b"mac": _Reader._mac,
    b"pc": _Reader._dos,
    b"pca": _Reader._dos_latin,
    b"deff": _Reader._default,
    b"f": _Reader._choose_font,
    b"fcharset": _Reader._charset,
    b"cpg": _Reader._font_page,
    b"fonttbl": _Reader._font_table,
    b"stylesheet": _Reader._style_sheet,
    b"info": _Reader._info,
    b"title": _Reader._title_of_info,
    b"fldinst": _Reader._instruction,
    b"listtext": _Reader._item_marker,
    b"pntext": _Reader._item_marker,
    b"atnauthor": _Reader._ignore,
    b"footnote": _Reader._note,
    b"annotation": _Reader._comment,
    b"shptxt": _Reader._box,
    b"dptxbxtext": _Reader._box,
    b"upr": _Reader._either,
    **dict.fromkeys(codes.HEADERS, _Reader._header),
    **dict.fromkeys(codes.FOOTERS, _Reader._footer),
}

FORMATS = (Format("RTF", (mt.RTF,), extract_rtf),)
