"""How well and how fast near-duplicates are found, at a hundred thousand documents, and in how much memory.

    python -m benchmarks.duplicates [--documents 100000] [--naive 2000] [--peer PYTHON] [--workspace DIR]

Texts are prose of about 3.6 KB (that of `benchmarks.corpus`, whose paragraphs come again and again); every
tenth is another one with some of its words changed, every fiftieth the very same. Accuracy: pairs of
`--naive` texts, against the exact share of common runs of words of every text with every other. Speed: a
workspace filled through the real store, each question in a process of its own: the first (every text is read
and signed), the next where something has changed (its signatures are there), the same again (the kept file).
The peer is datasketch, by an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.corpus import paragraphs
from benchmarks.graph import fill
from tests.duplicates.naive import jaccard, runs
from tui_scraper.engine.duplicates.grouping import group
from tui_scraper.engine.duplicates.kept import DUPLICATES, SIGNATURES, DuplicatesReader
from tui_scraper.engine.duplicates.signature import PERMUTATIONS, signatures
from tui_scraper.engine.settings import ALIKE
from tui_scraper.engine.wire import CleanText

_CHARACTERS = 3_600
_IN_A_FOLDER = 500


class Corpus:
    """Documents, each made from its number alone."""

    def __init__(self, documents: int) -> None:
        self.documents = documents
        self._prose = paragraphs()
        self._words = sorted({word for part in self._prose for word in part.split() if word.isalpha()})

    def path(self, number: int) -> bytes:
        """Where a document is."""
        return b"f%04d/d%07d.txt" % (number // _IN_A_FOLDER, number)

    def text(self, number: int) -> CleanText:
        """Its text."""
        return CleanText(self._text(number), None, "en")

    def _text(self, number: int) -> str:
        rng = random.Random(-number - 1)
        if number % 50 == 49:
            return self._text(rng.randrange(number))
        if number % 10 == 9:
            words = self._text(rng.randrange(number)).split(" ")
            for _change in range(rng.randrange(1, 30)):
                words[rng.randrange(len(words))] = rng.choice(self._words)
            return " ".join(words)
        parts: list[str] = []
        while sum(map(len, parts)) < _CHARACTERS:
            words = rng.choice(self._prose).split(" ")
            for at in range(rng.randrange(20), len(words), 20):
                words[at] = rng.choice(self._words)
            parts.append(" ".join(words))
        return "\n\n".join(parts)


def accuracy(corpus: Corpus, documents: int) -> None:
    """Print recall and precision of pairs against the exact similarity of every text with every other."""
    texts = [corpus.text(number).text for number in range(documents)]
    started = time.perf_counter()
    sets = [runs(text) for text in texts]
    exact = {
        (one, other): share
        for one, other in combinations(range(documents), 2)
        if (share := jaccard(sets[one], sets[other])) >= 0.3
    }
    naive = time.perf_counter() - started
    started = time.perf_counter()
    matrix = signatures(texts)
    signed = time.perf_counter() - started
    leaders, similarity = group(matrix)
    found = time.perf_counter() - started
    print(f"naive {naive:.1f} s, ours {found:.2f} s ({signed:.2f} of it signatures), {documents:,} texts")
    keys = np.ascontiguousarray(matrix).view(np.uint64)
    for alike in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9):
        wanted = {pair for pair, share in exact.items() if share >= alike}
        shares = {pair: (matrix[pair[0]] == matrix[pair[1]]).mean() for pair in exact}
        ours = {
            pair
            for pair, share in shares.items()
            if share >= alike and (keys[pair[0]] == keys[pair[1]]).any()
        }
        near = {pair for pair in ours if exact[pair] >= alike - 0.05}
        both = len(wanted & ours)
        recall, precision = both / max(1, len(wanted)), both / max(1, len(ours))
        print(
            f"alike {alike:.2f}: {len(wanted):5} pairs, recall {recall:.3f}, precision {precision:.3f}, "
            f"at most 0.05 less alike {len(near) / max(1, len(ours)):.3f}"
        )
    members = [at for at in range(documents) if leaders[at] != at]
    true = [exact.get((int(leaders[at]), at), 0.0) for at in members]
    off = np.abs(np.array(true) - similarity[members])
    print(
        f"{len(members)} members of groups: similarity off by {off.mean():.3f} on average, "
        f"{off.max():.3f} at most; the least alike {min(true):.3f}"
    )


def peer(corpus: Corpus, documents: int, interpreter: Path) -> None:
    """Print how long datasketch takes for some of the texts, and how far it agrees."""
    texts = [corpus.text(number).text for number in range(documents)]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(text) + "\n" for text in texts)
        file.flush()
        script = Path(__file__).with_name("peer_datasketch.py")
        command = [str(interpreter), str(script), file.name, str(ALIKE)]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    started = time.perf_counter()
    leaders, _similarity = group(signatures(texts))
    seconds = time.perf_counter() - started
    same = (np.array(answer["leaders"]) == leaders).mean()
    print(
        f"datasketch {answer['seconds']:.1f} s, ours {seconds:.2f} s for {documents:,} texts: "
        f"{answer['seconds'] / seconds:.1f} times; the same leader for {same:.2%}"
    )


def ask(directory: Path) -> None:
    """Find the duplicates of a workspace, as a process of its own, and print how long it took."""
    started, worked = time.perf_counter(), time.process_time()
    with DuplicatesReader(directory) as reader:
        counts = reader.duplicates().counts()
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    print(
        f"{seconds:8.2f} s   processor {worked:7.2f} s   peak {_peak_mb():6} MB   "
        f"{counts.exact:,} exact, {counts.near:,} near, {counts.groups:,} groups",
        flush=True,
    )


def grouping(texts: int) -> None:
    """Group signatures of so many texts, a third of them changed copies, in a process of its own."""
    chance = np.random.default_rng(1)
    matrix = chance.integers(0, 1 << 16, (texts, PERMUTATIONS), np.uint16)
    for at in range(2, texts, 3):
        matrix[at] = matrix[chance.integers(max(0, at - 10_000), at)]
        changes = chance.integers(0, 25)
        matrix[at, chance.integers(0, PERMUTATIONS, changes)] = chance.integers(0, 1 << 16, changes)
    started = time.perf_counter()
    leaders, _similarity = group(matrix)
    seconds = time.perf_counter() - started
    grouped = int((leaders != np.arange(texts)).sum())
    print(f"{texts:9,} texts grouped in {seconds:6.2f} s, peak {_peak_mb():.0f} MB, {grouped:,} could go")


def _peak_mb() -> int:
    """Of this process; what `getrusage` says may be that of the one that has started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--naive", type=int, default=2_000)
    parser.add_argument("--peer", type=Path, help="an interpreter that has datasketch")
    parser.add_argument("--workspace", type=Path, help="keep it here, or take the one that is there")
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--group", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask or options.group:
        ask(options.workspace) if options.ask else grouping(options.group)
        return
    corpus = Corpus(options.documents)
    if options.naive:
        accuracy(corpus, options.naive)
    if options.peer:
        peer(corpus, options.naive or 2_000, options.peer)
    itself = [sys.executable, "-m", "benchmarks.duplicates"]
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.workspace or Path(temporary) / "w"
        if not directory.exists():
            print(f"filled at {fill(directory, corpus):,.0f} documents a second", flush=True)
        steps = {"first": (DUPLICATES, SIGNATURES), "changed": (DUPLICATES,), "second": ()}
        for name, gone in steps.items():
            for file in gone:
                (directory / file.name).unlink(missing_ok=True)
            print(f"{name:14}", end="", flush=True)
            subprocess.run([*itself, "--workspace", str(directory), "--ask"], check=True)
    for texts in (options.documents, 10 * options.documents):
        subprocess.run([*itself, "--group", str(texts)], check=True)


if __name__ == "__main__":
    main()
