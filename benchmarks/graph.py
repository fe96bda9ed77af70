"""How long it takes to say who refers to whom, and how much memory, at a hundred thousand documents.

    python -m benchmarks.graph [--documents 100000] [--links 10] [--naive 2000] [--workspace DIR]

Fills a workspace through the real store with prose of about 3.6 KB a document (that of `benchmarks.corpus`),
a title each, and ten references of all kinds: pages, images, RFCs, DOIs, titles that the text cites, mails
that answer others. Measures in processes of their own the first question (everything is read), the second
(the kept file), one document's neighbours, the cycles and an export, and their peak memory. The peer in the
same run is what one would write first: a look into every text for every title, of so few that it ends.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Protocol

from benchmarks.corpus import paragraphs
from benchmarks.history import BATCH, CONFIGS
from tui_scraper.engine.graph.cycles import cycles
from tui_scraper.engine.graph.files import write_graph
from tui_scraper.engine.graph.kept import GRAPH, GraphReader
from tui_scraper.engine.graph.reading import shown_paths
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.codec import digest, pack
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.counters import set_lineages
from tui_scraper.engine.store.head import DOCUMENT_PHASES, config_hash
from tui_scraper.engine.store.members import Place
from tui_scraper.engine.store.results import Work
from tui_scraper.engine.store.scans import FoundFile, begin_scan, end_scan, register
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import Chunk, ChunkResult, CleanResult, CleanText, DocumentReply, LabelResult

_CHARACTERS = 3_600
_IN_A_FOLDER = 500


class Corpus:
    """Documents that refer to each other, each made from its number alone."""

    def __init__(self, documents: int, links: int) -> None:
        self.documents = documents
        self._links = links
        self._prose = paragraphs()
        self._words = sorted({word for part in self._prose for word in part.split() if word.isalpha()})

    def path(self, number: int) -> bytes:
        """Where a document is: every tenth is a mail, every hundredth an RFC."""
        if number % 100 == 0:
            return b"f%04d/rfc%d.txt" % (number // _IN_A_FOLDER, number // 100 + 1)
        return b"f%04d/d%07d.%s" % (number // _IN_A_FOLDER, number, b"eml" if number % 10 == 1 else b"html")

    def title(self, number: int) -> str:
        """Six words, which no other document has for its title."""
        rng = random.Random(number)
        return " ".join([*(rng.choice(self._words) for _ in range(5)), str(number)])

    def text(self, number: int) -> CleanText:
        """Prose, citations and links."""
        rng = random.Random(-number - 1)
        parts: list[str] = []
        while sum(map(len, parts)) < _CHARACTERS:
            parts.append(rng.choice(self._prose))
        links: list[tuple[str, str]] = []
        for _ in range(self._links):
            other = rng.randrange(self.documents)
            match rng.randrange(10):
                case 0:
                    parts.append(f"As is said in {self.title(other)}, this is so.")
                case 1:
                    parts.append(f"See RFC {other // 100 + 1} and doi:10.1234/{other}.")
                case 2:
                    links.append((f"../gone-{other}.html", "hyperlink"))
                case 3:
                    links.append((f"https://example.org/{other}", "hyperlink"))
                case _:
                    links.append((f"../{self.path(other).decode()}#part", rng.choice(("hyperlink", "image"))))
        if number % 10 == 1:
            links.append((f"mid:{number}@example.org", "self"))
            links.append((f"mid:{rng.randrange(number) // 10 * 10 + 1}@example.org", "reference"))
        return CleanText("\n\n".join(parts), self.title(number), "en", links=links)


class Filling(Protocol):
    """What a workspace can be filled with: documents by number."""

    documents: int

    def path(self, number: int) -> bytes:
        """Where a document is."""

    def text(self, number: int) -> CleanText:
        """What it says."""


def fill(directory: Path, corpus: Filling) -> float:
    """Make a workspace of a corpus. Returns documents a second."""
    directory.mkdir(parents=True)
    writer = Writer(directory)
    configs = Configs({phase: config_hash(phase, *CONFIGS[phase]) for phase in DOCUMENT_PHASES})
    started = time.perf_counter()
    writer.call(lambda transaction: set_lineages(transaction.state, CONFIGS))
    writer.call(begin_scan)
    for start in range(0, corpus.documents, BATCH):
        numbers = range(start, min(start + BATCH, corpus.documents))
        files = [FoundFile(corpus.path(number), _CHARACTERS, number) for number in numbers]
        versions = writer.call(register(files, [], []))
        pairs = [
            _reply(version, file, corpus.text(number))
            for number, version, file in zip(numbers, versions, files, strict=True)
        ]
        writer.call(commit_replies(pairs, configs))
    writer.call(end_scan({}))
    writer.close()
    return corpus.documents / (time.perf_counter() - started)


def _reply(version: int, file: FoundFile, text: CleanText) -> tuple[Work, DocumentReply]:
    work = Work(version, file.path, file.size_bytes, None, "", {}, version, Place(file.path, (), version, ()))
    return work, DocumentReply(
        version,
        Status.DONE,
        PhaseName.CLASSIFY,
        content=digest(file.path),
        media_type="message/rfc822" if file.path.endswith(b".eml") else "text/html",
        clean=CleanResult(*pack(text), len(text.text)),
        chunk=ChunkResult(*pack([Chunk(0, len(text.text), 900)]), 1, 900),
        label=LabelResult(digest(file.path), ["a"], 0.5, "local", []),
    )


def ask(directory: Path, what: str) -> None:
    """Ask one thing, as a process of its own, and print how long it took."""
    started, worked = time.perf_counter(), time.process_time()
    with GraphReader(directory) as reader:
        graph = reader.graph()
        if what == "neighbours":
            graph.refers_to(len(graph) // 2), graph.referred_by(len(graph) // 2)
        elif what == "cycles":
            cycles(graph)
        elif what == "export":
            shown = shown_paths(reader.state, reader.head)
            paths = [shown[version] for version in graph.versions.tolist()]
            write_graph(graph, paths, directory / "graph.graphml", "graphml")
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = f"{len(graph.sources):,} references, {len(graph.broken_sources):,} broken"
    print(
        f"{what:12} {seconds:8.2f} s   processor {worked:7.2f} s   peak {peak:6.0f} MB   {found}", flush=True
    )


def peer(corpus: Corpus, documents: int) -> float:
    """Seconds to look for every title in every text of so many documents."""
    texts = [corpus.text(number).text for number in range(documents)]
    titles = [corpus.title(number) for number in range(documents)]
    started = time.perf_counter()
    sum(title in text for text in texts for title in titles)
    return time.perf_counter() - started


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--links", type=int, default=10)
    parser.add_argument("--naive", type=int, default=2_000)
    parser.add_argument("--workspace", type=Path, help="keep it here, or take the one that is there")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        ask(options.workspace, options.ask)
        return
    corpus = Corpus(options.documents, options.links)
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.workspace or Path(temporary) / "w"
        if not directory.exists():
            print(f"filled at {fill(directory, corpus):,.0f} documents a second", flush=True)
        (directory / GRAPH.name).unlink(missing_ok=True)
        for what in ("first", "second", "neighbours", "cycles", "export"):
            command = [sys.executable, "-m", "benchmarks.graph", "--workspace", str(directory), "--ask", what]
            subprocess.run(command, check=True)
    if options.naive:
        seconds = peer(corpus, options.naive)
        whole = seconds * (options.documents / options.naive) ** 2
        print(f"peer: titles of {options.naive:,} documents {seconds:.1f} s; of all {whole / 3600:,.1f} h")


if __name__ == "__main__":
    main()
