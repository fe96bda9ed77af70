"""What is signed or encrypted in a mail: OpenPGP armour, and the wrappers of S/MIME (CMS, RFC 5652).

A signed text is readable and is unwrapped; nothing is verified. An encrypted one is recognised, so that
its armour is never taken for its text.
"""

from __future__ import annotations

import re
from typing import Final

SIGNATURES: Final = frozenset(
    (
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-encrypted",  # the part that only gives the version
        "application/pgp-keys",
    )
)
"""Parts that are neither text nor files of the person who wrote."""
SMIME: Final = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
RIGHTS_MANAGED: Final = frozenset(("application/x-microsoft-rpmsg-message",))

_ARMOUR = re.compile(
    r"^(?:> ?)*-----BEGIN PGP (MESSAGE(?:, PART [^\n-]{1,20})?|SIGNATURE|SIGNED MESSAGE|PUBLIC KEY BLOCK)"
    r"-----[ \t]*$",
    re.MULTILINE,
)
_HASH_FIELDS = re.compile(r"\s*\n(?:[A-Za-z]{2,20}: [^\n]{0,200}\n){0,5}[ \t]*\n?")
_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
_CONSTRUCTED: Final = 0x20
_OCTETS: Final = 0x04
_MAX_LEVELS: Final = 12


def without_armour(text: str) -> tuple[str, bool]:
    """A text without OpenPGP signatures, keys and encrypted blocks, and whether one of these was there."""
    if "-----BEGIN PGP " not in text:
        return text, False
    text = text.replace("\r\n", "\n")
    kept: list[str] = []
    position = 0
    is_encrypted = is_signed = False
    endless: set[str] = set()
    while armour := _ARMOUR.search(text, position):
        kept.append(text[position : armour.start()])
        kind = armour[1].partition(",")[0]
        position = armour.end()
        if kind == "SIGNED MESSAGE":
            fields = _HASH_FIELDS.match(text, position)
            position = fields.end() if fields else position
            is_signed = True
            continue
        end = -1 if kind in endless else text.find(f"-----END PGP {kind}", position)
        if end >= 0:
            line_end = text.find("\n", end)
            position = len(text) if line_end < 0 else line_end + 1
            is_encrypted = is_encrypted or kind == "MESSAGE"
        elif kind == "MESSAGE":
            position, is_encrypted = len(text), True
        else:
            endless.add(kind)
            kept.append(armour[0])
    kept.append(text[position:])
    plain = "".join(kept)
    return plain.replace("\n- -", "\n-") if is_signed else plain, is_encrypted


def is_signed(data: bytes) -> bool:
    """Whether the start of an S/MIME wrapper says that it is signed; else it is encrypted or compressed."""
    return data.find(_SIGNED_DATA, 0, 100) >= 0


def signed_content(data: bytes) -> bytes | None:
    """What an opaque S/MIME signature wraps, a MIME part as bytes; None where nothing readable is inside."""
    found = data.find(_SIGNED_DATA, 0, 100)
    if found < 0:
        return None
    # SignedData ::= [0] SEQUENCE { version, digestAlgorithms, encapContentInfo { type, [0] OCTET STRING } }
    position = found + len(_SIGNED_DATA)
    for tag in (0xA0, 0x30):
        content = _enter(data, position, tag)
        if content is None:
            return None
        position = content[0]
    for _version_and_algorithms in range(2):
        after = _skip(data, position, 0)
        if after is None:
            return None
        position = after
    content = _enter(data, position, 0x30)
    after = _skip(data, content[0], 0) if content else None
    content = _enter(data, after, 0xA0) if after is not None else None
    return _octets(data, content[0]) if content else None


def _length(data: bytes, position: int) -> tuple[int, int] | None:
    """(where the content begins, its length or -1 for 'up to the end mark') of the element at `position`."""
    if position + 1 >= len(data):
        return None
    first = data[position + 1]
    if first < 0x80:
        return position + 2, first
    count = first & 0x7F
    if count == 0:
        return position + 2, -1
    if count > 4:
        return None
    return position + 2 + count, int.from_bytes(data[position + 2 : position + 2 + count], "big")


def _enter(data: bytes, position: int, tag: int) -> tuple[int, int] | None:
    return _length(data, position) if position < len(data) and data[position] == tag else None


def _skip(data: bytes, position: int, level: int) -> int | None:
    """Where the element after the one at `position` begins."""
    found = _length(data, position)
    if found is None or level > _MAX_LEVELS:
        return None
    start, length = found
    if length >= 0:
        return start + length if start + length <= len(data) else None
    while data[start : start + 2] != b"\0\0":
        after = _skip(data, start, level + 1)
        if after is None:
            return None
        start = after
    return start + 2


def _octets(data: bytes, position: int) -> bytes | None:
    """The content of an octet string, which may be in pieces."""
    found = _length(data, position)
    if found is None or data[position] & ~_CONSTRUCTED != _OCTETS:
        return None
    start, length = found
    if not data[position] & _CONSTRUCTED:
        return data[start : start + length] if length >= 0 else None
    pieces: list[bytes] = []
    end = start + length if length >= 0 else len(data)
    while start < end and data[start] == _OCTETS:
        piece = _length(data, start)
        if piece is None or piece[1] < 0:
            break
        pieces.append(data[piece[0] : piece[0] + piece[1]])
        start = piece[0] + piece[1]
    return b"".join(pieces) or None
