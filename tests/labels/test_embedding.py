"""The embedding: the packaged weights, without the network, shared by forked workers."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tui_scraper.engine.labels import embedding, model_files
from tui_scraper.engine.labels.embedding import split_words

IN_ITS_OWN_PROCESS = """
import logging, os, sys

def watch(event, arguments):
    if event.startswith("socket.") or event.startswith("subprocess.") or event.startswith("os.exec"):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(watch)
from tui_scraper.engine.phases.classify import Classifier, relevant
from tui_scraper.engine.settings import Settings
assert "numpy" not in sys.modules and "tokenizers" not in sys.modules
relevant(Settings())
assert "numpy" not in sys.modules
from tui_scraper.engine.wire import CleanText
classifier = Classifier(Settings().classify.model_copy(update={"backend": sys.argv[1]}))
for text in ("An invoice.", "\\N{SNOWMAN}", "x" * 100_000):
    classifier.classify(CleanText(text), [], "text/plain")
for name in ("requests", "wordllama", "huggingface_hub", "urllib3", "textual"):
    assert name not in sys.modules, name
assert not logging.root.handlers
assert len(os.listdir("/proc/self/task")) == 1
print("labelled")
"""


@pytest.mark.parametrize("backend", ["local", "rules"])
def test_labelling_opens_no_socket_starts_no_thread_and_needs_no_cache(
    tmp_path: object, backend: str
) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
        environ.pop(name, None)
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_ITS_OWN_PROCESS, backend],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (found.stdout, found.stderr) == ("labelled\n", "")
    assert os.listdir(str(tmp_path)) == []


def test_word_by_word_tokens_are_those_of_the_whole_text() -> None:
    model = embedding.load()
    text = "the quick brown foxes overslept in reykjavík 2024 naïve 東京 snake_case"
    words = split_words(text)
    assert " ".join(words) == text
    whole = model._tokenizer.encode(text, add_special_tokens=False).ids
    total = model._matrix[whole].astype(np.float32).sum(axis=0)
    np.testing.assert_allclose(model.embed(words), total / np.linalg.norm(total), rtol=1e-4, atol=1e-6)


def test_a_word_has_the_same_vector_whatever_it_is_tokenized_with() -> None:
    model = embedding.load()
    words = ["reykjavík", "東京", "x" * 32, "_", "the", "\u0301", "naïve", *(f"word{n}" for n in range(600))]
    together = model._vectors(words)
    assert together.shape == (len(words), 256)
    for word, vector in zip(words, together, strict=True):
        alone = model._tokenizer.encode(word, add_special_tokens=False).ids
        np.testing.assert_allclose(vector, model._matrix[alone].astype(np.float32).sum(axis=0), atol=1e-5)
        assert (model._vectors([word])[0] == vector).all()


@pytest.mark.parametrize(
    "text",
    [
        "".join(map(chr, range(128))),
        "Don't e-mail ADMIN@example.com; see a_b, 3.14 & __init__!\r\n\ttabs\x00nul\x7f",
        "x" * 31 + " " + "Y" * 32 + " " + "z" * 33 + " w" * 3,
        "a" * 1000,
        "",
        " \n",
    ],
)
def test_plain_words_are_those_of_the_rule_for_all(text: str) -> None:
    assert split_words(text) == embedding._WORD.findall(text.casefold())
    assert split_words(f"{text} ß") == [*embedding._WORD.findall(text.casefold()), "ss"]


def test_like_is_near_like() -> None:
    def vector(text: str) -> embedding.Vector:
        return embedding.load().embed(split_words(text))

    near = vector("the bank raised interest rates") @ vector("lenders increase mortgage costs")
    far = vector("the bank raised interest rates") @ vector("the kitten plays with wool")
    assert near > far + 0.1
    assert not vector("!?").any()


def test_weights_of_another_shape_are_refused(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "other.safetensors")
    header = b'{"embedding.weight": {"dtype": "F32", "shape": [10, 256], "data_offsets": [0, 1]}}'
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="not the embeddings"):
        model_files.read_header(path)


def test_a_forked_worker_shares_the_matrix() -> None:
    model = embedding.load()
    model.embed(["word"])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for number in range(2_000):
            model.embed([f"word{number}"])
        with open("/proc/self/smaps_rollup", encoding="ascii") as file:
            private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
        os.write(write, str(private).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    private_mb = int(os.read(read, 100)) / 1024
    os.close(read)
    assert private_mb < 25  # the matrix alone is 33
