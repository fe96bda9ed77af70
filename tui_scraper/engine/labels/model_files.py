"""Where the embedding's files are, what they are, and how to tell them from others.

They are those of the `wordllama` package, read without importing it: that would bring an HTTP
client, a loader that may download and a call of `logging.basicConfig`. Apart from `embedding`
because the engine needs the model's identity in its cache keys, but neither numpy nor the model.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from typing import Any

from blake3 import blake3

DIMENSIONS = 256
_SAMPLES = 16
_SAMPLE_BYTES = 4_096


def paths() -> tuple[str, str]:
    """The weights (safetensors, float16) and the tokenizer (JSON)."""
    folder = _folder()
    return (
        os.path.join(folder, "weights", "l2_supercat_256.safetensors"),
        os.path.join(folder, "tokenizers", "l2_supercat_tokenizer_config.json"),
    )


@functools.lru_cache(maxsize=1)
def identity() -> str:
    """A fingerprint of the model's files by sizes and samples: reading all 18 MB would delay every start."""
    hasher = blake3()
    for path in paths():
        size = os.path.getsize(path)
        hasher.update(size.to_bytes(8, "little"))
        with open(path, "rb") as file:
            for part in range(_SAMPLES):
                file.seek(size * part // _SAMPLES)
                hasher.update(file.read(_SAMPLE_BYTES))
    return f"wordllama l2_supercat {DIMENSIONS} {hasher.hexdigest(length=16)}"


def read_header(path: str) -> tuple[tuple[int, int], int]:
    """Shape and byte offset of the one tensor in a safetensors file.

    The format: 8 bytes with the length of a JSON header, the header, then the tensors.
    """
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        tensor: dict[str, Any] = json.loads(file.read(min(size, 1_000_000))).get("embedding.weight", {})
    if tensor.get("dtype") != "F16" or len(tensor.get("shape", ())) != 2 or tensor["shape"][1] != DIMENSIONS:
        raise ValueError(f"{path}: these are not the embeddings that this version was made for.")
    rows, columns = tensor["shape"]
    return (rows, columns), 8 + size + tensor["data_offsets"][0]


def _folder() -> str:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The package 'wordllama', which holds the embeddings, is not installed.")
    return spec.submodule_search_locations[0]
