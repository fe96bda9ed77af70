"""Header fields of mail: unfolded, decoded, and taken apart into values and parameters.

Written for the headers that exist rather than for the ones RFC 5322, 2047 and 2231 describe: encoded
words inside quotes, without spaces between them, cut in the middle of a character, eight-bit text of
any charset. The standard library's parser of header values builds a tree of tokens, which takes minutes
for a hostile field; what is here looks at each character a fixed number of times.
"""

from __future__ import annotations

import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from tui_scraper.engine.extract.mail.charsets import decode_labelled

MAX_SHOWN_CHARS: Final = 50_000
"""Of one field as text: a list of some thousand recipients."""

_WORD_START = re.compile(r"=\?([\w.:+-]{1,60})(?:\*[\w-]{0,40})?\?([bBqQ])\?")
_PARAMETER = re.compile(
    r";[\s;]{0,20}([^\s=;\"()<>@,/\[\]?]{1,100})\s{0,20}=\s{0,20}(?:\"((?:[^\"\\]|\\.)*)\"?|([^;]*))"
)
_SEGMENT = re.compile(r"(.{1,90}?)\*(\d{1,3})?(\*)?\Z")
_BROKEN_BOUNDARY = re.compile(
    r"boundary\s{0,20}=\s{0,20}(?:\"([^\"]{1,500})\"|([^\s;\"]{1,500}))", re.IGNORECASE
)
_COMMENT = re.compile(r"\s*\([^()]{0,1000}\)\s*\Z")
_MAX_SEGMENTS: Final = 200


def field_text(raw: bytes, charset: str = "", *, words: bool = True) -> str:
    """A field's value as one line of text. `charset` is that of the mail's body, for eight-bit fields.

    `words` says whether encoded words are decoded, which comes later for values with parameters.
    """
    text = " ".join(decode_labelled(raw, charset).replace("\0", "").split())
    return decode_words(text) if words and "=?" in text else text


def decode_words(text: str) -> str:
    """Text with its encoded words (RFC 2047) decoded, wherever they stand."""
    pieces: list[str] = []
    held: list[bytes] = []  # neighbours in one charset: a character may be cut between them
    held_charset = ""
    position = search_from = 0
    while (start := text.find("=?", search_from)) >= 0:
        word = _WORD_START.match(text, start)
        if word is None:
            search_from = start + 2
            continue
        between = text[position:start]
        if between.strip() or word[1].lower() != held_charset:
            pieces.append(decode_labelled(b"".join(held), held_charset))
            pieces.append(between if between.strip() or not held else "")
            held, held_charset = [], word[1].lower()
        content, position = _content(text, word.end())
        held.append(_base64_word(content) if word[2] in "bB" else _quoted_word(content))
        search_from = position
    pieces.append(decode_labelled(b"".join(held), held_charset))
    pieces.append(text[position:])
    return " ".join("".join(pieces).split())


def _content(text: str, start: int) -> tuple[str, int]:
    """What an encoded word holds, and where the text goes on. The end may be missing."""
    end = text.find("?=", start)
    following = text.find("=?", start, end) if end >= 0 else text.find("=?", start)
    while following >= 0 and not _WORD_START.match(text, following):
        following = text.find("=?", following + 2, end) if end >= 0 else text.find("=?", following + 2)
    if following >= 0:
        return text[start:following], following
    return (text[start:end], end + 2) if end >= 0 else (text[start:], len(text))


def _base64_word(content: str) -> bytes:
    letters = re.sub(r"[^A-Za-z0-9+/]", "", content)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + "=" * (-len(letters) % 4))


def _quoted_word(content: str) -> bytes:
    return binascii.a2b_qp(content.encode("utf-8", "replace"), header=True)


def parameters(value: str) -> dict[str, str]:
    """The parameters of a Content-Type or Content-Disposition value, names in lower case.

    Continued and labelled values (RFC 2231) are put together, encoded words in others decoded.
    """
    found: dict[str, str] = {}
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(value):
        name = match[1].lower()
        if match[2] is not None:
            content = re.sub(r"\\(.)", r"\1", match[2]) if "\\" in match[2] else match[2]
        else:
            content = _COMMENT.sub("", match[3]).strip()
        segment = _SEGMENT.match(name) if "*" in name else None
        if segment:
            parts = segments.setdefault(segment[1], {})
            if len(parts) < _MAX_SEGMENTS:
                parts[int(segment[2] or 0)] = (content, bool(segment[3] or not segment[2]))
        else:
            found.setdefault(name, decode_words(content) if "=?" in content else content)
    for name, parts in segments.items():
        found[name] = _joined(parts)
    if "boundary" not in found:
        broken = _BROKEN_BOUNDARY.search(value[:10_000])
        if broken:
            found["boundary"] = broken[1] or broken[2]
    return found


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    charset = ""
    first, is_encoded = parts.get(0, ("", False))
    if is_encoded and first.count("'") >= 2:
        charset, _language, first = first.split("'", 2)
        parts[0] = (first, True)
    raw = b"".join(
        unquote_to_bytes(content) if encoded else content.encode("utf-8", "replace")
        for _number, (content, encoded) in sorted(parts.items())
    )
    text = decode_labelled(raw, charset)
    return decode_words(text) if "=?" in text else text
