"""How well passages are found: sets with known answers that we did not make, and other engines beside ours.

    python -m benchmarks.retrieval                         # every set, every engine
    python -m benchmarks.retrieval --sets de mixed --engines ours fts5
    python -m benchmarks.retrieval --pipeline de           # the same question through `run` and `search`
    python -m benchmarks.retrieval --lancedb PYTHON        # and LanceDB, in a Python that has it

The sets: descriptions of Debian packages, whose first line is the query and whose rest is the document
(`en de fr it es ru`, and `mixed` of all); and perl's FAQ (`faq`), whose questions are the queries, answers
the documents, and the other manual pages of perl stand in the way. They come from `apt-get` (lists of its
own, in `--data`, and the package perl-doc). MRR@10 and recall@10: one document is right for each query.

An engine is a class with `add` and `find` in `ENGINES`; one more is one more class.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tantivy

from tui_scraper.engine.phases.local_vectors import vector_of
from tui_scraper.engine.search.asked import read_query
from tui_scraper.engine.search.fusion import DEPTH, UNLIKE, fused
from tui_scraper.engine.search.hits import Found
from tui_scraper.engine.search.matches import Matches
from tui_scraper.engine.search.meant import understand
from tui_scraper.engine.search.ranking import Ranking
from tui_scraper.engine.search.text_index import TextIndex, open_for_reading
from tui_scraper.engine.search.vector_files import VectorFiles, VectorReader, open_vectors
from tui_scraper.engine.search.vocabulary import Vocabulary

LANGUAGES = ("en", "de", "fr", "it", "es", "ru")
SETS = (*LANGUAGES, "mixed", "faq")
_DEPTH = 10
SPACE = bytes(16)
"""Of our vectors: there is but one."""
_SIGNS = re.compile(r'["“”„«»「」*]|(?<!\S)-|:(?=\S)')
"""What means something in a query of ours: the queries are what people say, and no engine is told so."""
_LEAST = 80
"""Characters of a description worth finding."""
_OF_EACH, _QUERIES_OF_EACH = 3_000, 200
"""Documents and queries of each language in the mixed set."""


@dataclass(frozen=True)
class Collection:
    """Documents by name, with (text, language); queries with the name of the document that answers each."""

    documents: Mapping[str, tuple[str, str]]
    queries: list[tuple[str, str]]


class Engine(Protocol):
    """What is measured. It is made with an empty folder of its own."""

    def add(self, documents: Mapping[str, tuple[str, str]]) -> None:
        """Index everything."""

    def find(self, query: str) -> list[str]:
        """The names of the ten best documents, best first."""


# Sets


def fetch(data: Path) -> None:
    """Descriptions in all languages, through apt, and the package perl-doc."""
    lists = data / "lists"
    if not lists.exists():
        (lists / "partial").mkdir(parents=True)
        options = [f"Dir::State::lists={lists}", f"Acquire::Languages={','.join(LANGUAGES)}"]
        command = ["apt-get", "update", "-qq", *(part for option in options for part in ("-o", option))]
        subprocess.run(command, check=True)
    if not list(data.glob("perl-doc_*.deb")):
        subprocess.run(["apt-get", "download", "-qq", "perl-doc"], check=True, cwd=data)
    if not (data / "perl").exists():
        subprocess.run(["dpkg", "-x", str(next(data.glob("perl-doc_*.deb"))), str(data / "perl")], check=True)


def descriptions(data: Path, language: str) -> Collection:
    """Of packages, each text once. A first line that several have is no query."""
    documents: dict[str, str] = {}
    first: dict[str, str] = {}
    for path in sorted((data / "lists").glob(f"*_main_i18n_Translation-{language}*")):
        command = ["/usr/lib/apt/apt-helper", "cat-file", str(path)]
        text = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        pattern = rf"^Package: (\S+)\n.*\nDescription-{language}: (.*)\n((?: .*\n?)+)"
        for name, line, rest in re.findall(pattern, text, re.MULTILINE):
            body = re.sub(r"^ \.$", "", rest, flags=re.MULTILINE).replace("\n ", "\n").strip()
            if len(body) >= _LEAST:
                documents.setdefault(name, body)
                first.setdefault(name, line)
    once = {body: name for name, body in reversed(documents.items())}
    counts = Counter(first.values())
    kept = {name: (body, language) for name, body in documents.items() if once[body] == name}
    queries = [
        (first[name], name) for name in kept if counts[first[name]] == 1 and len(first[name].split()) > 1
    ]
    random.Random(7).shuffle(queries)
    return Collection(kept, queries)


def mixed(data: Path) -> Collection:
    """Some documents and queries of each language."""
    documents: dict[str, tuple[str, str]] = {}
    queries: list[tuple[str, str]] = []
    for language in LANGUAGES:
        one = descriptions(data, language)
        names = set(list(one.documents)[:_OF_EACH])
        documents |= {f"{language}/{name}": one.documents[name] for name in sorted(names)}
        asked = [(query, f"{language}/{name}") for query, name in one.queries if name in names]
        queries += asked[:_QUERIES_OF_EACH]
    return Collection(documents, queries)


def faq(data: Path) -> Collection:
    """Perl's manual by sections; each question of its FAQ has one section."""
    documents: dict[str, tuple[str, str]] = {}
    queries: list[tuple[str, str]] = []
    for path in sorted((data / "perl").rglob("*.pod")):
        if path.name in {"perlfaq.pod", "perltoc.pod"}:  # they list the questions
            continue
        sections = re.split(r"^(?==head\d )", path.read_text(errors="replace"), flags=re.MULTILINE)
        for at, section in enumerate(sections):
            head = re.match(r"=head(\d) (.*(?:\n.+)*)\n\n", section)
            body = _plain(section[head.end() :]) if head else ""
            if head is None or len(body) < _LEAST:
                continue
            documents[f"{path.name}:{at}"] = body, "en"
            if re.match(r"perlfaq\d", path.name) and head[1] == "2" and "?" in head[2]:
                queries.append((" ".join(_plain(head[2]).split()), f"{path.name}:{at}"))
    return Collection(documents, queries)


def _plain(pod: str) -> str:
    return re.sub(r"[A-Z]<+\s*|\s*>+", " ", pod)


def collection(data: Path, name: str) -> Collection:
    """A set by its name."""
    fetch(data)
    return {"mixed": mixed, "faq": faq}.get(name, lambda where: descriptions(where, name))(data)


# Engines


class Fts5:
    """SQLite's full-text search: BM25 over any of the words. `tokenize` is its tokenizer."""

    tokenize = "unicode61"

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "fts.db")
        self._names: list[str] = []

    def add(self, documents: Mapping[str, tuple[str, str]]) -> None:
        """One row each."""
        self._names = list(documents)
        self._database.execute(f"CREATE VIRTUAL TABLE found USING fts5(text, tokenize='{self.tokenize}')")
        rows = [(at, documents[name][0]) for at, name in enumerate(self._names)]
        self._database.executemany("INSERT INTO found(rowid, text) VALUES(?, ?)", rows)
        self._database.commit()

    def find(self, query: str) -> list[str]:
        """Any of the words, as its own query language says it."""
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
        sql = "SELECT rowid FROM found WHERE found MATCH ? ORDER BY rank LIMIT ?"
        return [self._names[row] for (row,) in self._database.execute(sql, (words, _DEPTH))] if words else []


class Fts5Porter(Fts5):
    """With English stemming."""

    tokenize = "porter unicode61"


class Tantivy:
    """The library as its README shows it, with its query parser; signs of its language are left out."""

    tokenizer = "default"

    def __init__(self, folder: Path) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("name", stored=True, tokenizer_name="raw")
        builder.add_text_field("body", tokenizer_name=self.tokenizer)
        self._index = tantivy.Index(builder.build(), str(folder))

    def add(self, documents: Mapping[str, tuple[str, str]]) -> None:
        """One document each."""
        writer = self._index.writer(20_000_000, 1)
        for name, (text, _language) in documents.items():
            writer.add_document(tantivy.Document(name=name, body=text))
        writer.commit()
        self._index.reload()

    def find(self, query: str) -> list[str]:
        """Any of the words: its default."""
        words = " ".join(re.findall(r"\w+", query))
        parsed, _errors = self._index.parse_query_lenient(words, ["body"])
        searcher = self._index.searcher()
        hits = searcher.search(parsed, _DEPTH).hits
        return [searcher.doc(address)["name"][0] for _score, address in hits]


class TantivyStemmed(Tantivy):
    """With its English stemmer."""

    tokenizer = "en_stem"


class Ours:
    """The classes of `engine.search`, without the store: each document is one chunk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._opened: tuple[Any, Any] | None = None
        self.chunks = 0

    def add(self, documents: Mapping[str, tuple[str, str]]) -> None:
        """As the index thread does it."""
        self._names = list(documents)
        index = TextIndex(self._folder)
        for number, name in enumerate(self._names):
            text, language = documents[name]
            index.add(number, "", [text], [""], replace=False, language=language)
        index.commit()
        index.close(finish_merges=True)
        self.open()

    def open(self) -> None:
        """Take what was committed."""
        self._opened = open_for_reading(self._folder)

    def find(self, query: str) -> list[str]:
        """The best by their words."""
        return [self._names[found.artifact] for found in self.hits(query, _DEPTH)]

    def hits(self, query: str, k: int) -> list[Found]:
        """As `Search.look` does it."""
        assert self._opened is not None
        index, analyze = self._opened
        searcher = index.searcher()
        vocabulary = Vocabulary(searcher)
        ranking = Ranking(index.schema, vocabulary)

        matches = Matches(searcher, lambda work: work())

        def anywhere(word: Any) -> bool:
            return vocabulary.is_frequent(word.terms) or any(
                matches.every(ranking.query([word], [], []).whole, 1)
            )

        typed = read_query(_SIGNS.sub(" ", query), analyze)
        meant, excluded, _replaced = understand(typed, vocabulary, anywhere)
        ranked = ranking.query(meant, excluded, [])
        self.chunks = searcher.num_docs
        return matches.best(ranked, k)[:k] or list(itertools.islice(matches.every(ranked.whole, k), k))


class OursByMeaning(Ours):
    """Vectors of this machine alone."""

    def add(self, documents: Mapping[str, tuple[str, str]]) -> None:
        """As the index thread does it with what a worker has made."""
        self._names = list(documents)
        files = VectorFiles(self._folder, SPACE)
        for number, name in enumerate(self._names):
            files.add(number, [0], vector_of(documents[name][0])[np.newaxis, :])
        files.commit()
        files.close()

    def find(self, query: str) -> list[str]:
        """The nearest."""
        return [self._names[found.artifact] for found in self.nearest(query, _DEPTH)]

    def nearest(self, query: str, k: int) -> list[Found]:
        """As `Search.look` does it."""
        return self._nearest(self._reader(), vector_of(query).astype("f4"), k)

    def _nearest(self, reader: VectorReader, aim: Any, k: int) -> list[Found]:
        return [Found(score, number, 0) for score, number, _ in itertools.islice(reader.nearest(aim), k)]

    def _reader(self) -> VectorReader:
        reader = open_vectors(self._folder, SPACE, 1)
        assert reader is not None
        return reader


class OursByBoth(OursByMeaning):
    """Words and meaning, as `search` does it."""

    def add(self, documents: Mapping[str, tuple[str, str]]) -> None:
        """Both indexes."""
        Ours.add(self, documents)
        super().add(documents)

    def find(self, query: str) -> list[str]:
        """The best by both."""
        return [self._names[found.artifact] for found in self.both(query)[:_DEPTH]]

    def both(self, query: str) -> list[Found]:
        """As `Search.look` does it."""
        words = self.hits(query, DEPTH)
        aim, reader = vector_of(query).astype("f4"), self._reader()
        near = [found for found in self._nearest(reader, aim, DEPTH) if found.score >= UNLIKE]
        cosines = reader.cosines(aim, [(found.artifact, found.ordinal) for found in words])
        groups = fused(
            [(found, []) for found in words],
            [(found, []) for found in near],
            cosines,
        )
        return sorted((found for found, _holders in groups), key=lambda found: -found.score)


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "fts5": Fts5,
    "fts5 porter": Fts5Porter,
    "tantivy": Tantivy,
    "tantivy en_stem": TantivyStemmed,
    "ours, words": Ours,
    "ours, meaning": OursByMeaning,
    "ours, both": OursByBoth,
}


# Measuring


@dataclass(frozen=True)
class Quality:
    """How good, and how fast: milliseconds of a query, by the clock, and of processors on average."""

    mrr: float
    recall: float
    p50: float
    p95: float
    cpu: float

    @property
    def found(self) -> str:
        """How good, in words."""
        return f"MRR@10 {self.mrr:.3f}   recall@10 {self.recall:.3f}"

    def __str__(self) -> str:
        """A row."""
        return f"{self.found}   p50 {self.p50:6.1f} ms   p95 {self.p95:6.1f} ms   CPU {self.cpu:6.2f} ms"


def measure(find: Callable[[str], list[str]], queries: list[tuple[str, str]]) -> Quality:
    """Ask everything."""
    reciprocal, found, times = 0.0, 0, []
    started = time.process_time()
    for query, name in queries:
        began = time.perf_counter()
        names = find(query)[:_DEPTH]
        times.append((time.perf_counter() - began) * 1e3)
        if name in names:
            reciprocal += 1 / (names.index(name) + 1)
            found += 1
    cpu = (time.process_time() - started) * 1e3
    times.sort()
    count = len(queries)
    return Quality(
        reciprocal / count, found / count, times[count // 2], times[int(count * 0.95)], cpu / count
    )


def lancedb(python: str, one: Collection, queries: list[tuple[str, str]], folder: Path) -> Iterator[str]:
    """LanceDB with our vectors: its text search, its vectors, and its hybrid search."""
    names = list(one.documents)
    found = np.stack([vector_of(one.documents[name][0]) for name in names]).astype(np.float32)
    np.save(folder / "vectors.npy", found)
    np.save(folder / "queries.npy", np.stack([vector_of(query) for query, _name in queries]).astype("f4"))
    (folder / "texts.json").write_text(json.dumps([one.documents[name][0] for name in names]))
    (folder / "queries.json").write_text(json.dumps([query for query, _name in queries]))
    script = Path(__file__).with_name("peer_lancedb.py")
    command = [python, str(script), str(folder), str(_DEPTH)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for way in map(json.loads, done.stdout.splitlines()):
        answers = [[names[number] for number in numbers] for numbers in way["found"]]
        answered = dict(zip((query for query, _name in queries), answers, strict=True))
        quality = measure(answered.__getitem__, queries)
        each = way["seconds"] / len(queries) * 1e3
        yield f"{'lancedb ' + way['way']:16} {quality.found}   mean {each:6.1f} ms"


def through_the_pipeline(one: Collection, queries: list[tuple[str, str]], folder: Path) -> Iterator[str]:
    """Files in a folder, `run`, and the search that `search` uses."""
    from tui_scraper.engine.search.query import Search

    source, workspace = folder / "source", folder / "w"
    for name, (text, _language) in one.documents.items():
        path = source / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "tui_scraper", "run", str(source), "-w", str(workspace), "--offline"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    yield f"run: {time.perf_counter() - began:.1f} s"
    with Search(workspace) as reader:
        for way, words, meaning in (("words", True, False), ("meaning", False, True), ("both", True, True)):

            def find(query: str, words: bool = words, meaning: bool = meaning) -> list[str]:
                vector = vector_of(query) if meaning else None
                hits = reader.find(query, k=3 * _DEPTH, vector=vector, words=words)
                return list(dict.fromkeys(hit.path.removesuffix(".txt") for hit in hits))

            yield f"{'ours, ' + way + ', through the pipeline':36} {measure(find, queries)}"


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--engines", nargs="+", choices=[*ENGINES], default=[*ENGINES])
    parser.add_argument("--queries", type=int, default=2_000, help="of each set, at most")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "tui-scraper-retrieval")
    parser.add_argument("--lancedb", metavar="PYTHON", help="compare with it; this Python has it")
    parser.add_argument("--pipeline", choices=SETS, help="this set, through the real pipeline")
    options = parser.parse_args()
    for name in [options.pipeline] if options.pipeline else options.sets:
        one = collection(options.data, name)
        queries = one.queries[: options.queries]
        size = sum(len(text.encode()) for text, _language in one.documents.values())
        shown = f"{name}: {len(one.documents):,} documents, {size / 1e6:.1f} MB, {len(queries):,} queries"
        print(f"{shown}, load {os.getloadavg()[0]:.1f}")
        with tempfile.TemporaryDirectory() as scratch:
            if options.pipeline:
                for line in through_the_pipeline(one, queries, Path(scratch)):
                    print(f"  {line}", flush=True)
                continue
            for engine_name in options.engines:
                folder = Path(scratch) / engine_name.replace(" ", "-")
                folder.mkdir()
                engine = ENGINES[engine_name](folder)
                began = time.process_time()
                engine.add(one.documents)
                rate = size / 1e6 / (time.process_time() - began)
                found = measure(engine.find, queries)
                print(f"  {engine_name:16} {found}   {rate:5.1f} MB per CPU s", flush=True)
            if options.lancedb:
                for line in lancedb(options.lancedb, one, queries, Path(scratch)):
                    print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
