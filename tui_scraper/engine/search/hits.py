"""What is shown of a chunk that was found, from the stored text."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import apsw

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import SearchHit
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.search.holders import Holder
from tui_scraper.engine.search.snippet import marks, snippet
from tui_scraper.engine.search.terms import spaced
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.wire import Chunk, CleanText

_KEPT = 32
"""Documents whose text is kept at a time: one looks into thousands for what a query leaves out."""

_WORDS_KEPT = 100_000

_Payload = TypeVar("_Payload")


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk of the index, and how well it answers."""

    score: float
    artifact: int
    ordinal: int


class Hits:
    """Makes what is shown of a hit, from the stored text. Those of the last documents are kept."""

    def __init__(self, state: apsw.Connection, blobs: apsw.Connection, terms: frozenset[str], analyze: Any):
        self._state = state
        self._blobs = blobs
        self._terms = terms
        self._analyze_text = analyze
        self._analyze = functools.lru_cache(_WORDS_KEPT)(analyze)  # a word stands in many hits
        self._texts: OrderedDict[int, CleanText] = OrderedDict()
        self._chunks: OrderedDict[int, list[Chunk]] = OrderedDict()

    def language(self, holder: Holder) -> str:
        """The language of the document, '' where unclear."""
        return self._text(holder).language

    def title_terms(self, holder: Holder) -> list[str]:
        """The terms of the title that the document gives itself."""
        return self._terms_in(self._text(holder).title or "")

    def terms_of(self, found: Found, holder: Holder) -> list[list[str]]:
        """The terms of each place where words are looked for: title, heading and text."""
        text, chunk = self._read(found, holder)
        return [
            self._terms_in(part)
            for part in (text.title or "", chunk.heading, text.text[chunk.start : chunk.end])
        ]

    def _terms_in(self, text: str) -> list[str]:
        terms: list[str] = self._analyze_text(spaced(text))
        return terms

    def _text(self, holder: Holder) -> CleanText:
        return _kept(self._texts, holder.clean, lambda: self._payload(holder.clean, CleanText, holder.path))

    def _read(self, found: Found, holder: Holder) -> tuple[CleanText, Chunk]:
        text = self._text(holder)
        chunks = _kept(
            self._chunks, holder.chunks, lambda: self._payload(holder.chunks, list[Chunk], holder.path)
        )
        if found.ordinal >= len(chunks):
            raise StoreError(
                f"{safe_text(show_path(holder.path))}: the search index disagrees with the store. "
                "Delete the folders 'index' and 'vectors' of the workspace; the next run makes them again."
            )
        return text, chunks[found.ordinal]

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


def _kept(known: OrderedDict[int, _Payload], artifact: int, read: Callable[[], _Payload]) -> _Payload:
    """A payload from those that were used last, or read; the one that was not used longest goes."""
    payload = known.get(artifact)
    if payload is None:
        payload = known[artifact] = read()
        if len(known) > _KEPT:
            known.popitem(last=False)
    else:
        known.move_to_end(artifact)
    return payload
