"""Static embeddings: every token has one vector, a text is the sum of its tokens' vectors.

Words are tokenized one at a time and remembered. No token of this vocabulary reaches over a
space, so the tokens are the same, and a document costs a dictionary look-up a word where the
whole-text tokenizer took longer (140 us) than all the rest of labelling does now.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.labels import model_files
from tui_scraper.engine.labels.model_files import DIMENSIONS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vector = NDArray[np.float32]

_REMEMBERED_WORDS = 32_768

_WORD = re.compile(r"\w{1,32}")
"""Letters, digits and underscores. Text without spaces (Chinese, base64) comes in pieces, so that
no single word can be long enough to slow the tokenizer or crowd its memory."""


def split_words(text: str) -> list[str]:
    """The words of a text, case-folded, in order."""
    return _WORD.findall(text.casefold())


class StaticEmbedding:
    """A matrix of token vectors with its tokenizer."""

    def __init__(self, matrix: Vector, tokenizer: Tokenizer) -> None:
        self._matrix = matrix
        self._tokenizer = tokenizer
        self._ids: dict[str, list[int]] = {}

    def embed(self, words: Sequence[str]) -> Vector:
        """The unit vector of a text given as its words; all zeros where there is nothing to embed."""
        known, ids = self._ids, []
        for word in words:
            of_word = known.get(word)
            if of_word is None:
                of_word = self._tokenize(word)
            ids += of_word
        if not ids:
            return np.zeros(DIMENSIONS, np.float32)
        rows = self._matrix.take(ids, axis=0)
        total: Vector = np.add.reduce(rows, axis=0)
        length = float(np.sqrt(total @ total))
        return total / np.float32(length) if length > 0 else total

    def _tokenize(self, word: str) -> list[int]:
        if len(self._ids) >= _REMEMBERED_WORDS:
            self._ids.clear()
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        self._ids[word] = ids
        return ids


@functools.lru_cache(maxsize=1)
def load() -> StaticEmbedding:
    """The packaged model, loaded once a process.

    Raises FileNotFoundError where the package's files are missing and ValueError where the
    weights are not what this version knows.
    """
    from tokenizers import Tokenizer

    weights, tokenizer = model_files.paths()
    shape, offset = model_files.read_header(weights)
    half = np.memmap(weights, dtype="<f2", mode="r", offset=offset, shape=shape)
    return StaticEmbedding(half.astype(np.float32), Tokenizer.from_file(tokenizer))
