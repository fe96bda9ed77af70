"""How long a search takes in a large index, for words and for both, while another process adds to it.

    python -m benchmarks.words [--chunks 1000000] [--queries 500] [--index DIR] [--data DIR]

Passages of two descriptions of Debian packages each (see `benchmarks.retrieval`) and a word that no other
has, so that the list of words grows as it does with real documents. The queries are first lines of
descriptions, as they stand and with a misspelt word. A vector is the mean of those of two descriptions.
Times are of the clock and of this thread's processor: on a shared machine they differ.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.retrieval import SPACE, OursByBoth, collection
from tui_scraper.engine.phases.local_vectors import vector_of
from tui_scraper.engine.search.text_index import TextIndex
from tui_scraper.engine.search.vector_files import VectorFiles

_CHARACTERS = 300
"""Of each description."""
_EACH = 10
"""Passages of a document."""


def passages(data: Path, count: int, seed: int) -> Iterator[str]:
    """Texts to index."""
    texts = [text for text, _language in collection(data, "en").documents.values()]
    rng = random.Random(seed)
    for number in range(count):
        one, other = rng.choice(texts), rng.choice(texts)
        yield f"{one[:_CHARACTERS]} x{seed}n{number:x} {other[:_CHARACTERS]}"


def fill(folder: Path, data: Path, count: int, seed: int = 0, first: int = 0) -> float:
    """Index passages, committing as a run does. Returns MB a CPU second."""
    index = TextIndex(folder)
    size, last, group, artifact = 0, time.monotonic(), [], first
    began = time.process_time()
    for text in passages(data, count, seed):
        size += len(text)
        group.append(text)
        if len(group) == _EACH:
            index.add(artifact, "", group, [""] * _EACH, replace=False, language="en")
            group, artifact = [], artifact + 1
        if time.monotonic() - last > 1.5:
            index.commit()
            last = time.monotonic()
    index.commit()
    rate = size / 1e6 / (time.process_time() - began)
    index.close(finish_merges=seed == 0)
    return rate


def fill_vectors(folder: Path, data: Path, count: int) -> None:
    """One for each passage."""
    texts = [text[:_CHARACTERS] for text, _language in collection(data, "en").documents.values()][:10_000]
    each = np.stack([vector_of(text) for text in texts]).astype(np.int16)
    rng = np.random.default_rng(0)
    files = VectorFiles(folder, SPACE)
    for artifact in range(count // _EACH):
        one, other = rng.integers(0, len(each), (2, _EACH))
        files.add(artifact, range(_EACH), ((each[one] + each[other]) // 2).astype(np.int8))
        if artifact % 5_000 == 0:
            files.commit()
    files.commit()
    files.close()


def misspelt(query: str, rng: random.Random) -> str:
    """With two letters of its longest word exchanged."""
    word = max(query.split(), key=len)
    at = rng.randrange(1, max(2, len(word) - 1))
    return query.replace(word, word[:at] + word[at : at + 2][::-1] + word[at + 2 :])


def main() -> None:
    """Fill, write beside, ask."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--index", type=Path, help="keep it here, or take the one that is there")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "tui-scraper-retrieval")
    parser.add_argument("--write", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        fill(options.index, options.data, options.write, os.getpid(), 10**9)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.index or Path(scratch)
        if not (folder / "index" / "meta.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            print(f"filled: {fill(folder, options.data, options.chunks):.1f} MB a CPU second", flush=True)
            fill_vectors(folder, options.data, options.chunks)
        queries = [query for query, _name in collection(options.data, "en").queries[: options.queries]]
        command = [sys.executable, "-m", "benchmarks.words", "--index", folder, "--data", options.data]
        with subprocess.Popen([*command, "--write", "200000"]) as writer:
            time.sleep(10)
            try:
                _ask(folder, queries)
            finally:
                writer.kill()


def _ask(folder: Path, queries: list[str]) -> None:
    rng = random.Random(1)
    ours = OursByBoth(folder)
    wrong = [misspelt(one, rng) for one in queries]
    words: Callable[[str], object] = lambda query: ours.hits(query, 10)  # noqa: E731
    for what, asked, find in (
        ("words", queries, words),
        ("words, one misspelt", wrong, words),
        ("words and meaning", queries, ours.both),
    ):
        times = []
        for at, query in enumerate(asked):
            if at % 20 == 0:
                ours.open()
                find("warm")
            clock, cpu = time.perf_counter(), time.thread_time()
            find(query)
            times.append((time.perf_counter() - clock, time.thread_time() - cpu))
        print(f"{what}: {len(asked):,} in {ours.chunks:,} chunks, load {os.getloadavg()[0]:.1f}")
        for name, kind in (("clock", 0), ("CPU", 1)):
            some = sorted(pair[kind] * 1e3 for pair in times)
            p50, p95 = some[len(some) // 2], some[int(len(some) * 0.95)]
            print(f"  {name:6} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   worst {some[-1]:6.1f} ms")


if __name__ == "__main__":
    main()
