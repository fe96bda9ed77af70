"""Vectors of passages made on this machine, with the embeddings that labels are made with.

They cost no money and little time, so they are not kept in the store: the index has them, and they are made
again wherever it is. Workers make them for what they chunk, the index thread for what comes from the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tui_scraper.engine.labels import embedding
from tui_scraper.engine.labels.embedding import split_words
from tui_scraper.engine.labels.model_files import DIMENSIONS
from tui_scraper.engine.passages import Vector, kept, passage
from tui_scraper.engine.wire import Chunk, CleanText

_NOTHING = np.zeros(DIMENSIONS, np.int8)


def vector_of(text: str) -> Vector:
    """The vector of a passage or a query; all zeros where it has no words."""
    return _vector_of(split_words(text))


def vectors_of(clean: CleanText, chunks: Sequence[Chunk]) -> bytes:
    """The vectors of all chunks of a text, one after another; `unpacked` makes rows of them."""
    return of_passages(passages_of(clean, chunks))


def passages_of(clean: CleanText, chunks: Sequence[Chunk]) -> list[list[str]]:
    """The words of each chunk's passage."""
    title, text = clean.title or "", clean.text
    return [split_words(passage(title, chunk.heading, text[chunk.start : chunk.end])) for chunk in chunks]


def expect(passages: Iterable[Sequence[str]]) -> None:
    """Learn the words of many passages at once, which takes less time than with each."""
    embedding.load().learn(passages)


def of_passages(passages: Iterable[Sequence[str]]) -> bytes:
    """The vectors of passages that are given as their words, one after another."""
    return b"".join(_vector_of(words).tobytes() for words in passages)


def _vector_of(words: Sequence[str]) -> Vector:
    found = kept(embedding.load().embed_passage(words))
    return _NOTHING if found is None else found


def unpacked(vectors: bytes, chunks: int) -> Vector | None:
    """(chunks, dimensions) numbers; None where they are not those of so many chunks."""
    if len(vectors) != chunks * DIMENSIONS:
        return None
    return np.frombuffer(vectors, np.int8).reshape(chunks, DIMENSIONS)
