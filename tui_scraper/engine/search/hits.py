"""What is shown of a chunk that was found, from the stored text."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import SearchHit
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.search.holders import Holder
from tui_scraper.engine.search.snippet import marks, snippet
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.wire import Chunk, CleanText


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk of the index, and how well it answers."""

    score: float
    artifact: int
    ordinal: int


class Hits:
    """Makes what is shown of a hit, from the stored text. Each text is read once."""

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, terms: frozenset[str], analyze: Any):
        self._state = state
        self._blobs = blobs
        self._terms = terms
        self._analyze = functools.cache(analyze)  # a word stands in many hits
        self._texts: dict[int, CleanText] = {}
        self._chunks: dict[int, list[Chunk]] = {}

    def language(self, found: Found, holder: Holder) -> str:
        """The language of the document, '' where unclear."""
        return self._read(found, holder)[0].language

    def title(self, found: Found, holder: Holder) -> str:
        """The title that the document gives itself, '' for none."""
        return self._read(found, holder)[0].title or ""

    def text(self, found: Found, holder: Holder) -> str:
        """What words are looked for in: a chunk with what stands above it."""
        text, chunk = self._read(found, holder)
        return "\n".join((text.title or "", chunk.heading, text.text[chunk.start : chunk.end]))

    def _read(self, found: Found, holder: Holder) -> tuple[CleanText, Chunk]:
        if holder.clean not in self._texts:
            self._texts[holder.clean] = self._payload(holder.clean, CleanText, holder.path)
        if holder.chunks not in self._chunks:
            self._chunks[holder.chunks] = self._payload(holder.chunks, list[Chunk], holder.path)
        chunks = self._chunks[holder.chunks]
        if found.ordinal >= len(chunks):
            raise StoreError(
                f"{safe_text(show_path(holder.path))}: the search index disagrees with the store. "
                "Delete the folders 'index' and 'vectors' of the workspace; the next run makes them again."
            )
        return self._texts[holder.clean], chunks[found.ordinal]

    def make(self, found: Found, holder: Holder) -> SearchHit:
        """What is shown of a chunk of a document."""
        text, chunk = self._read(found, holder)
        path = safe_text(show_path(holder.path))
        passage = text.text[chunk.start : chunk.end]
        shown, piece = safe_text(passage, newlines=True), snippet(passage, self._terms, self._analyze)
        return SearchHit(
            path=path,
            title=safe_text(text.title or "") or path.rpartition("/")[2],
            label=None if holder.label is None else safe_text(holder.label),
            score=round(found.score, 4),
            chunk=found.ordinal,
            start=chunk.start,
            end=chunk.end,
            snippet=piece,
            text=shown,
            snippet_marks=marks(piece, self._terms, self._analyze),
            text_marks=marks(shown, self._terms, self._analyze),
        )

    def _payload(self, artifact: int, kind: Any, path: bytes) -> Any:
        blob = self._state.execute("SELECT blob FROM artifact WHERE id = ?", (artifact,)).get
        row = self._blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).fetchone()
        try:
            if row is None:
                raise ValueError("the payload is missing")
            return unpack(row[0], kind)
        except ValueError as error:
            raise StoreError(
                f"{safe_text(show_path(path))}: the stored text cannot be read ({error}). "
                "Copy the workspace before doing anything else."
            ) from error
