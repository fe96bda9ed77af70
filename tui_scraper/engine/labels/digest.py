"""The digest: the few hundred characters of a document that its label is decided from.

A short document is its own digest. Of a long one we take what says most about it for its length:
the title, the headings, how it opens, and a passage from its middle. Everything is a slice of
bounded length, so a document of ten million characters costs the same as a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tui_scraper.engine.store.codec import digest as content_hash
from tui_scraper.engine.wire import Chunk, CleanText

CHARACTERS_PER_TOKEN = 4.2
"""Characters of one o200k token where no chunk was counted: 4.5 in the package descriptions of the
labelled corpus, 3.8 in the technical documentation of a Debian system, counted with quicktok."""

_TITLE_CHARACTERS = 200
_HEADINGS_SHARE = 0.25
_OPENING_SHARE = 0.65
"""Of what title and headings leave, the opening gets this much and the middle the rest. Accuracy on
855 longer package descriptions cut to 64 tokens and on the kinds of 300 Debian files is flat from .5
to .85; the middle is there for what begins with a licence or a table of contents."""

_HEADINGS_LOOKED_AT = 64


@dataclass(frozen=True, slots=True)
class Digest:
    """What a classifier reads of one document, and nothing else.

    `hint` is the media type, kept only where the taxonomy has a use for it ('' otherwise), so
    that documents that read the same share one label.
    """

    text: str
    hint: str = ""

    @property
    def key(self) -> bytes:
        """The 16-byte hash of everything in here."""
        return content_hash(f"{self.hint}\0{self.text}".encode())


def make_digest(text: CleanText, chunks: Sequence[Chunk], tokens: int, hint: str = "") -> Digest:
    """Cut a digest of about `tokens` tokens.

    The characters that fit are estimated from the exact token counts of the first chunks, so
    dense scripts (one character a token) and prose (four) get the same budget in tokens.
    """
    budget = int(tokens * _characters_per_token(chunks))
    body, title = text.text, (text.title or "").strip()[:_TITLE_CHARACTERS]
    if title and body.startswith(title):
        title = ""
    if len(title) + len(body) <= budget:
        return Digest(_encodable(_join((title, body))), hint)
    parts = [title[:budget], *_headings(chunks, int(budget * _HEADINGS_SHARE))]
    left = budget - sum(map(len, parts))
    opening = _cut(body, 0, int(left * _OPENING_SHARE))
    parts.append(opening)
    left -= len(opening)
    middle = max(len(opening), _middle(chunks, body))
    parts.append(_cut(body, middle, middle + left).lstrip())
    return Digest(_encodable(_join(parts)), hint)


def cut_example(text: str, tokens: int) -> str:
    """An example of a label, cut to what would be read of a document with that text."""
    return _encodable(_cut(text, 0, int(tokens * CHARACTERS_PER_TOKEN)))


def _characters_per_token(chunks: Sequence[Chunk]) -> float:
    counted = [(chunk.end - chunk.start, chunk.tokens) for chunk in chunks[:4] if chunk.tokens > 0]
    if not counted:
        return CHARACTERS_PER_TOKEN
    return min(8.0, max(1.0, sum(size for size, _ in counted) / sum(tokens for _, tokens in counted)))


def _headings(chunks: Sequence[Chunk], budget: int) -> list[str]:
    """The first headings that differ, each by its last part, as long as they fit."""
    seen: dict[str, None] = {}
    for chunk in chunks[:_HEADINGS_LOOKED_AT]:
        name = chunk.heading.rpartition(" > ")[2].strip()[:_TITLE_CHARACTERS]
        if name and name not in seen:
            budget -= len(name)
            if budget < 0:
                break
            seen[name] = None
    return list(seen)


def _middle(chunks: Sequence[Chunk], body: str) -> int:
    """Where the middle chunk starts (a paragraph, if the chunker found one), else a word."""
    if len(chunks) > 2:
        return chunks[len(chunks) // 2].start
    half = len(body) // 2
    return max(half, body.find(" ", half, half + 40))


def _cut(text: str, start: int, end: int) -> str:
    """`text[start:end]`, ended at a space where one is near, so that no word is cut in two."""
    piece = text[start:end]
    if end < len(text):
        space = piece.rfind(" ", max(0, len(piece) - 40))
        if space > 0:
            piece = piece[:space]
    return piece


def _join(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part)


def _encodable(text: str) -> str:
    """Without lone surrogates, which neither a hash nor a tokenizer can take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "ignore").decode()
    return text
