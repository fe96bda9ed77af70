"""Vectors of passages made on this machine, with the embeddings that labels are made with.

They cost no money and little time, so they are not kept in the store: the index has them, and they are made
again wherever it is. Workers make them for what they chunk, the index thread for what comes from the store.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui_scraper.engine.labels import embedding
from tui_scraper.engine.labels.embedding import split_words
from tui_scraper.engine.labels.model_files import DIMENSIONS
from tui_scraper.engine.passages import Vector, kept, passage
from tui_scraper.engine.wire import Chunk, CleanText

_NOTHING = np.zeros(DIMENSIONS, np.int8)


def vector_of(text: str) -> Vector:
    """The vector of a passage or a query; all zeros where it has no words."""
    found = kept(embedding.load().embed_passage(split_words(text)))
    return _NOTHING if found is None else found


def vectors_of(clean: CleanText, chunks: Sequence[Chunk]) -> bytes:
    """The vectors of all chunks of a text, one after another; `unpacked` makes rows of them."""
    title, text = clean.title or "", clean.text
    return b"".join(
        vector_of(passage(title, chunk.heading, text[chunk.start : chunk.end])).tobytes() for chunk in chunks
    )


def unpacked(vectors: bytes, chunks: int) -> Vector | None:
    """(chunks, dimensions) numbers; None where they are not those of so many chunks."""
    if len(vectors) != chunks * DIMENSIONS:
        return None
    return np.frombuffer(vectors, np.int8).reshape(chunks, DIMENSIONS)
