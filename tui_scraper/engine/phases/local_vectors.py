"""Vectors of passages made on this machine, with the embeddings that labels are made with.

They cost no money and little time, so they are not kept in the store: the index has them, and they are made
again wherever it is. Workers make them for what they chunk, the index thread for what comes from the store.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tui_scraper.engine.labels import embedding
from tui_scraper.engine.labels.embedding import split_words
from tui_scraper.engine.labels.model_files import DIMENSIONS
from tui_scraper.engine.passages import Vector, kept_rows, passage
from tui_scraper.engine.wire import Chunk, CleanText


def vector_of(text: str) -> Vector:
    """The vector of a passage or a query; all zeros where it has no words."""
    made: Vector = _made([Counter(split_words(text))])[0]
    return made


def vectors_of(clean: CleanText, chunks: Sequence[Chunk]) -> bytes:
    """The vectors of all chunks of a text, one after another; `unpacked` makes rows of them."""
    return vectors_of_all([(clean, chunks)])[0]


def vectors_of_all(texts: Sequence[tuple[CleanText, Sequence[Chunk]]]) -> list[bytes]:
    """As `vectors_of`, for many texts, whose new words are learnt at once."""
    passages = [
        Counter(split_words(passage(clean.title or "", chunk.heading, clean.text[chunk.start : chunk.end])))
        for clean, chunks in texts
        for chunk in chunks
    ]
    made = _made(passages).tobytes()
    ends = list(itertools.accumulate((len(chunks) * DIMENSIONS for _clean, chunks in texts), initial=0))
    return [made[start:end] for start, end in itertools.pairwise(ends)]


def _made(passages: Sequence[Counter[str]]) -> Vector:
    """(passages, dimensions) numbers; zeros for a passage without words."""
    model = embedding.load()
    model.learn(passages)
    numbers = np.zeros((len(passages), DIMENSIONS), np.float32)
    for row, words in zip(numbers, passages, strict=True):
        row[:] = model.embed_passage(words)
    return kept_rows(numbers)


def unpacked(vectors: bytes, chunks: int) -> Vector | None:
    """(chunks, dimensions) numbers; None where they are not those of so many chunks."""
    if len(vectors) != chunks * DIMENSIONS:
        return None
    return np.frombuffer(vectors, np.int8).reshape(chunks, DIMENSIONS)
