"""Labels of a model: how fast, at what price, and what a kill costs, against other programs.

    python -m benchmarks.classify --peer curator=PYTHON --peer docetl=PYTHON [--report FILE]

Every program labels the same short documents by the same five labels, through the same OpenAI-compatible
server on loopback (`benchmarks.label_server`), each in processes of its own, in turns, in one go. PYTHON is
that of an environment with `bespokelabs-curator` or `docetl`. They get the documents in one JSON file and do
nothing but label them; we read a folder of files and do all six phases, down to the index and the export.
We send what we send of any document, its first 112 tokens, which is less than the peers send of these: whole
texts and single documents are in the table as well.

What each is asked for is in `contenders`. The server takes 0.1 s for an answer and names quotas in its
headers, as OpenAI does, which nothing here can reach (`--rpm` and `--tpm` make them small, 0 takes them away;
where none are named, Curator asks 200 times a minute). It offers chat/completions only, unless `--decisions`.

Speed is documents over the time from the start of the process to its end; while labelling, from the first
request with a document to the last answer. Requests and tokens are those in the server's journal, which bills
a token for four bytes of the request and of the answer, whoever asks. CPU time is that of the process and its
children, memory their PSS, looked at four times a second. A document names its label in a line of its own,
which the server gives as the answer: labels that came out wrong are counted.

A kill is SIGKILL for all processes of a program at a random moment within twice the latency of an answer
after half of the documents are answered; then the same command comes again. Repaid are documents for which
the journal has more than one answer that was delivered as a whole; billed twice, those, too, of which an
answer found nobody there any more. The call by which a run of ours tries the model, on a text of its own, is
among the requests and tokens, but that text is no document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.corpus import paragraphs
from benchmarks.label_server import KEY, LABELS, MODEL
from benchmarks.pipeline import scratch
from tests.llm.answers import text_hash
from tests.llm.journal import Record, answered_twice, read_journal
from tui_scraper.engine.llm import preflight
from tui_scraper.engine.memory import total_pss

CURATOR_SCRIPT = Path(__file__).with_name("peer_curator.py")
WORDS = 120
_TRIED = text_hash(preflight._DOCUMENT)
_DEADLINE_S = 900.0
_LOOK_S = 0.01
_MEMORY_S = 0.25
_PRICE_IN_USD, _PRICE_OUT_USD = 0.15, 0.6
_QUIET = {
    "DO_NOT_TRACK": "1",
    "TELEMETRY_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NO_PROXY": "127.0.0.1",
}
_UNSET = {"PYTHONPATH", "CURATOR_VIEWER", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
_TASK = (
    "You sort documents. Choose the one label that fits the document best.\n\nLabels:\n"
    + "\n".join(f"- {name}: {about}".removesuffix(": ") for name, about in LABELS.items())
    + "\n\nAnswer with the label only.\n\n"
)
_ONE = "<document>\n{{ input.text }}\n</document>"
_MANY = "{% for input in inputs %}" + _ONE + "\n{% endfor %}"


# --- the documents --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """The same documents as a folder of files and as one JSON file. `labels`: the right one, by path."""

    folder: Path
    listing: Path
    labels: dict[str, str]
    size_bytes: int


def write_corpus(base: Path, documents: int, seed: int = 7) -> Corpus:
    """Documents of real prose that all differ, each with its label in a line of its own."""
    rng = random.Random(seed)
    source = [split for part in paragraphs() if len(split := part.split()) >= 12]
    folder, listing = base / "documents", base / "documents.json"
    labels, rows, size = {}, [], 0
    folder.mkdir()
    for number in range(documents):
        words: list[str] = []
        while len(words) < WORDS:
            words += rng.choice(source)
        path, label = f"{number:05}.txt", rng.choice(list(LABELS))
        text = f"Document {number}\n\nLABEL: {label}\n\n{' '.join(words[:WORDS])}"
        size += (folder / path).write_bytes(text.encode())
        rows.append({"path": path, "text": text})
        labels[path] = label
    listing.write_text(json.dumps(rows), encoding="utf-8")
    return Corpus(folder, listing, labels, size)


# --- who takes part -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One labelling of all documents that can be begun again. `labels` reads what came out, by path."""

    command: list[str]
    environment: dict[str, str]
    labels: Callable[[], dict[str, str]]


@dataclass(frozen=True)
class Contender:
    """A program with its settings. `job` takes the documents, the server's URL and an empty folder."""

    name: str
    job: Callable[[Corpus, str, Path], Job]


def ours(name: str, **settings: Any) -> Contender:
    """We, with settings of the section `classify` besides those that all have."""
    taxonomy = "".join(
        f"[[classify.labels]]\nname = {json.dumps(name)}\ndescription = {json.dumps(about)}\n"
        for name, about in LABELS.items()
    )

    def job(corpus: Corpus, url: str, folder: Path) -> Job:
        its = {
            "backend": "openai",
            "base_url": url,
            "model": MODEL,
            "price_in_usd": _PRICE_IN_USD,
            "price_out_usd": _PRICE_OUT_USD,
            "budget_usd": 100.0,
            **settings,
        }
        config, workspace = folder / "tui-scraper.toml", folder / "workspace"
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in its.items())
        config.write_text(f"[classify]\n{lines}{taxonomy}", encoding="utf-8")
        command = [sys.executable, "-m", "tui_scraper", "run", str(corpus.folder), "-w", str(workspace)]
        environment = {**os.environ, "OPENAI_API_KEY": KEY}

        def labels() -> dict[str, str]:
            found = {}
            for path in (workspace / "export").glob("*.jsonl"):
                for line in path.read_bytes().splitlines():
                    row = json.loads(line)
                    found[row["path"]] = row["label"] if row["method"] == "openai" else ""
            return found

        return Job([*command, "--config", str(config)], environment, labels)

    return Contender(f"tui-scraper, {name}", job)


def curator(python: str, name: str, *, structured: bool = False, **backend_params: Any) -> Contender:
    """Bespoke Curator, one row a document, its cache in a folder of its own."""

    def job(corpus: Corpus, url: str, folder: Path) -> Job:
        settings = {
            "model": MODEL,
            "prompt": _TASK + _ONE,
            "backend_params": {"base_url": url, **backend_params},
            "labels": list(LABELS) if structured else None,
        }
        paths = [str(corpus.listing), str(folder / "working"), str(folder / "labels.json")]
        command = [python, str(CURATOR_SCRIPT), *paths, json.dumps(settings)]
        return Job(command, _peer_environment(python, folder), lambda: _rows(folder / "labels.json"))

    return Contender(f"Curator, {name}", job)


def docetl(python: str, name: str, *, threads: int | None = None, batch: int | None = None) -> Contender:
    """DocETL's own command line on a pipeline of one map operation; its cache in a folder of its own."""
    operation = {
        "name": "label",
        "type": "map",
        "prompt": _TASK + _ONE,
        "output": {"schema": {"label": "string"}},
        **({"max_batch_size": batch, "batch_prompt": _TASK + _MANY} if batch else {}),
    }

    def job(corpus: Corpus, url: str, folder: Path) -> Job:
        pipeline = {
            "default_model": f"openai/{MODEL}",
            "default_lm_api_base": url,
            "datasets": {"documents": {"type": "file", "path": str(corpus.listing)}},
            "operations": [operation],
            "pipeline": {
                "steps": [{"name": "labelling", "input": "documents", "operations": ["label"]}],
                "output": {
                    "type": "file",
                    "path": str(folder / "labels.json"),
                    "intermediate_dir": str(folder / "intermediate"),
                },
            },
        }
        config = folder / "pipeline.yaml"
        config.write_text(json.dumps(pipeline, indent=1), encoding="utf-8")  # JSON is YAML, too
        command = [str(Path(python).with_name("docetl")), "run", str(config)]
        if threads is not None:
            command += ["--max-threads", str(threads)]
        return Job(command, _peer_environment(python, folder), lambda: _rows(folder / "labels.json"))

    return Contender(f"DocETL, {name}", job)


def _peer_environment(python: str, folder: Path) -> dict[str, str]:
    """What a peer may know: the key, a home of its own, and that it is to call nobody else.

    Both count tokens by vocabularies that tiktoken would download; litellm, which both need, has them.
    """
    kept = {name: value for name, value in os.environ.items() if name.upper() not in _UNSET}
    inside = "lib/python3*/site-packages/litellm/litellm_core_utils/tokenizers"
    vocabularies = next(Path(python).parents[1].glob(inside), folder)
    return {
        **kept,
        **_QUIET,
        "TIKTOKEN_CACHE_DIR": str(vocabularies),
        "HOME": str(folder),
        "DOCETL_HOME_DIR": str(folder),
        "OPENAI_API_KEY": KEY,
    }


def _rows(path: Path) -> dict[str, str]:
    return {row["path"]: row["label"] for row in json.loads(path.read_bytes())}


def contenders(peers: dict[str, str]) -> list[Contender]:
    """Everybody, ours first: the first one is what the others are compared with."""
    found = [
        ours("packs of up to 16"),
        ours("packs of up to 16, whole texts", digest_tokens=1_000),
        ours("one document a request", docs_per_request=1),
    ]
    if python := peers.get("curator"):
        found += [
            curator(python, "as it comes"),
            curator(python, "limits raised", **_CURATOR_MOST),
        ]
    if python := peers.get("docetl"):
        found += [
            docetl(python, "as it comes"),
            docetl(python, "64 threads", threads=64),
            docetl(python, "batches of 16", batch=16),
        ]
    return found


_CURATOR_MOST: dict[str, Any] = {
    "max_requests_per_minute": 1_000_000,
    "max_tokens_per_minute": 10_000_000_000,
    "max_concurrent_requests": 256,
}


# --- running and watching -------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one command did. `records` are those of the server since it was started."""

    status: int
    elapsed_s: float
    cpu_s: float
    peak_bytes: int
    said: str


class Tail:
    """Counts the documents in a journal that have been answered, while it is written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._sizes: dict[int, int] = {}
        self._rest = b""
        self.answered = 0

    def look(self) -> int:
        """How many there are by now."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            record = json.loads(line)
            if "path" in record:
                self._sizes[record["number"]] = len(record["documents"]) if record["good"] else 0
            elif record["whole"]:
                self.answered += self._sizes[record["number"]]
        return self.answered

    def close(self) -> None:
        """No more looks."""
        self._file.close()


@contextmanager
def label_server(journal: Path, options: argparse.Namespace) -> Iterator[str]:
    """A server in a process of its own; gives its URL."""
    command = [sys.executable, "-m", "benchmarks.label_server", "--journal", str(journal)]
    command += ["--latency-s", str(options.latency_s)]
    command += ["--rpm", str(options.rpm)] if options.rpm else []
    command += ["--tpm", str(options.tpm)] if options.tpm else []
    command += ["--decisions"] if options.decisions else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def run(job: Job, log: Path, tail: Tail, *, kill_at: int | None = None, kill_after_s: float = 0.0) -> Outcome:
    """Run a command to its end, or kill it with all that it started once so many documents are answered."""
    peak, looked = 0, 0.0
    with log.open("wb") as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=job.environment,
            start_new_session=True,
        )
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        now = time.perf_counter()
        if pid:
            break
        if now - started > _DEADLINE_S or (kill_at is not None and tail.look() >= kill_at):
            time.sleep(kill_after_s)
            _kill(process.pid)
            pid, status, usage = os.wait4(process.pid, 0)
            now = time.perf_counter()
            break
        if now - looked >= _MEMORY_S:
            peak, looked = max(peak, total_pss(_tree(process.pid))), now
        time.sleep(_LOOK_S)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Outcome(
        process.returncode,
        now - started,
        usage.ru_utime + usage.ru_stime,
        peak,
        log.read_text(encoding="utf-8", errors="replace")[-600:],
    )


def _tree(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return []


def _kill(pid: int) -> None:
    tree = _tree(pid)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    for one in tree[1:]:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


# --- figures --------------------------------------------------------------------------------------


@dataclass
class Whole:
    """An undisturbed labelling."""

    elapsed_s: float
    labelling_s: float
    cpu_s: float
    peak_bytes: int
    requests: int
    tokens_in: int
    tokens_out: int
    wrong: int


@dataclass
class Killed:
    """A labelling that was killed once and begun again."""

    answered: int
    repaid: int
    billed_twice: int
    tokens_repaid: int
    finished: bool
    wrong: int
    again_s: float


@dataclass
class Figures:
    """All that one contender showed."""

    whole: list[Whole] = field(default_factory=list)
    killed: list[Killed] = field(default_factory=list)

    def of(self, what: Callable[[Whole], float]) -> float:
        """The median of something."""
        return median(map(what, self.whole))


def wrong_labels(job: Job, corpus: Corpus) -> int:
    """Documents that did not end with the label that the server gave them."""
    try:
        found = job.labels()
    except (OSError, ValueError, LookupError):
        found = {}
    return sum(found.get(path) != label for path, label in corpus.labels.items())


def measure_whole(one: Contender, corpus: Corpus, folder: Path, options: argparse.Namespace) -> Whole:
    """One run without trouble. Raises RuntimeError where the program fails."""
    folder.mkdir()
    journal = folder / "journal"
    with label_server(journal, options) as url:
        job, tail = one.job(corpus, url, folder), Tail(journal)
        outcome = run(job, folder / "log", tail)
        tail.close()
    if outcome.status:
        raise RuntimeError(f"{one.name} ended with {outcome.status}: {outcome.said}")
    records = [record for record in read_journal(journal) if record.api != "models"]
    asked = [record for record in records if record.documents]
    return Whole(
        outcome.elapsed_s,
        max(record.answered or 0.0 for record in asked) - min(record.received for record in asked),
        outcome.cpu_s,
        outcome.peak_bytes,
        len(records),
        sum(record.tokens_in for record in records if record.billed),
        sum(record.tokens_out for record in records if record.billed),
        wrong_labels(job, corpus),
    )


def measure_killed(one: Contender, corpus: Corpus, folder: Path, options: argparse.Namespace) -> Killed:
    """A kill at half of the documents, and the same command again."""
    folder.mkdir()
    journal = folder / "journal"
    with label_server(journal, options) as url:
        job, tail = one.job(corpus, url, folder), Tail(journal)
        after_s = random.Random(folder.name).random() * 2 * options.latency_s
        first = run(job, folder / "log", tail, kill_at=len(corpus.labels) // 2, kill_after_s=after_s)
        if first.status != -signal.SIGKILL:
            raise RuntimeError(f"{one.name} ended with {first.status} before its kill: {first.said}")
        time.sleep(options.latency_s * 3)  # until what was under way has ended
        answered = tail.look()
        again = run(job, folder / "log-again", tail)
        tail.close()
    records = [record for record in read_journal(journal) if _TRIED not in record.documents.values()]
    billed = Counter(text for record in records if record.billed for text in record.documents.values())
    repaid = answered_twice(records)
    return Killed(
        answered,
        len(repaid),
        sum(count > 1 for count in billed.values()),
        _tokens_of_repeats(records),
        again.status == 0,
        wrong_labels(job, corpus),
        again.elapsed_s,
    )


def _tokens_of_repeats(records: Sequence[Record]) -> int:
    """Tokens billed for documents that had been billed for before, by their share of the request."""
    seen: set[str] = set()
    total = 0.0
    for record in records:
        if record.billed and (texts := set(record.documents.values())):
            total += (record.tokens_in + record.tokens_out) * len(texts & seen) / len(texts)
            seen |= texts
    return round(total)


# --- the report -----------------------------------------------------------------------------------


def markdown(figures: dict[str, Figures], documents: int) -> str:
    """Both tables. Ratios are to the first contender: above 1 is better for it."""
    columns = (
        *("program", "documents/s", "ours to it", "while labelling", "ours to it", "requests"),
        *("tokens a document, in + out", "to ours", "CPU s", "to ours", "peak memory", "wrong labels"),
    )
    lines = _head(columns)
    measured = [its for its in figures.values() if its.whole]
    first = measured[0] if measured else Figures()

    def tokens(one: Whole) -> float:
        return (one.tokens_in + one.tokens_out) / documents

    for name, its in figures.items():
        if not its.whole:
            lines.append(f"| {name} | – |" + " |" * (len(columns) - 2))
            continue
        rates = sorted(documents / one.elapsed_s for one in its.whole)
        spread = f" ({rates[0]:,.0f} to {rates[-1]:,.0f})" if len(rates) > 1 else ""
        tokens_in, tokens_out = its.of(lambda one: one.tokens_in), its.of(lambda one: one.tokens_out)
        cells = [
            name,
            f"{median(rates):,.0f}{spread}",
            f"{its.of(lambda one: one.elapsed_s) / first.of(lambda one: one.elapsed_s):.1f}",
            f"{documents / its.of(lambda one: one.labelling_s):,.0f}",
            f"{its.of(lambda one: one.labelling_s) / first.of(lambda one: one.labelling_s):.1f}",
            f"{its.of(lambda one: one.requests):,.0f}",
            f"{tokens_in / documents:.0f} + {tokens_out / documents:.1f}",
            f"{its.of(tokens) / first.of(tokens):.1f}",
            f"{its.of(lambda one: one.cpu_s):.1f}",
            f"{its.of(lambda one: one.cpu_s) / first.of(lambda one: one.cpu_s):.1f}",
            f"{its.of(lambda one: one.peak_bytes) / 1e6:,.0f} MB",
            f"{max(one.wrong for one in its.whole)}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    killed_columns = (
        *("program, killed at half", "answered by then", "repaid", "billed twice", "tokens for those"),
        *("second command", "wrong labels"),
    )
    lines += ["", *_head(killed_columns)]
    for name, its in figures.items():
        for killed in its.killed:
            second = f"finished in {killed.again_s:.1f} s" if killed.finished else "failed"
            numbers = [killed.answered, killed.repaid, killed.billed_twice, killed.tokens_repaid]
            shown = " | ".join(f"{number:,}" for number in numbers)
            lines.append(f"| {name} | {shown} | {second} | {killed.wrong} |")
    return "\n".join(lines) + "\n"


def _head(columns: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]


def compare(base: Path, options: argparse.Namespace) -> str:
    """Let everybody run in turns, and give the tables."""
    peers = dict(peer.partition("=")[::2] for peer in options.peer)
    for name in peers.keys() - {"curator", "docetl"}:
        sys.exit(f"{name}: no such peer; there are curator and docetl.")
    corpus = write_corpus(base, options.documents)
    everybody = [one for one in contenders(peers) if not options.only or options.only in one.name]
    figures = {one.name: Figures() for one in everybody}
    print(f"{options.documents:,} documents of {corpus.size_bytes / options.documents:.0f} bytes", flush=True)
    for number in range(options.rounds + options.kills):
        for place, one in enumerate(everybody):
            folder = base / f"{number}-{place}"
            its = figures[one.name]
            try:
                if number < options.rounds:
                    its.whole.append(measure_whole(one, corpus, folder, options))
                    print(f"{one.name}: {its.whole[-1]}", flush=True)
                else:
                    its.killed.append(measure_killed(one, corpus, folder, options))
                    print(f"{one.name}: {its.killed[-1]}", flush=True)
            except RuntimeError as error:
                print(error, file=sys.stderr, flush=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    quotas = f"{_quota(options.rpm)} requests and {_quota(options.tpm)} tokens a minute"
    what = (
        f"{options.documents:,} documents, {options.rounds} rounds, {options.latency_s} s an answer, {quotas}"
    )
    return f"{what}; {machine}\n\n{markdown(figures, options.documents)}"


def _quota(most: int) -> str:
    return f"{most:,}" if most else "any number of"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="curator, docetl")
    parser.add_argument("--rounds", type=int, default=3, help="undisturbed runs of each (default 3)")
    parser.add_argument("--kills", type=int, default=1, help="killed runs of each (default 1)")
    parser.add_argument("--latency-s", type=float, default=0.1)
    parser.add_argument("--rpm", type=int, default=100_000, help="requests a minute; 0: no quota is named")
    parser.add_argument(
        "--tpm", type=int, default=1_000_000_000, help="tokens a minute; 0: no quota is named"
    )
    parser.add_argument("--decisions", action="store_true", help="the server offers /decisions, too")
    parser.add_argument("--only", metavar="TEXT", help="only programs with this in their name")
    parser.add_argument("--scratch", type=Path, help="an empty folder to work in; kept afterwards")
    parser.add_argument("--report", type=Path, help="write the tables there as Markdown")
    options = parser.parse_args()
    with scratch(options.scratch) as base:
        report = compare(base, options)
    print(report)
    if options.report:
        options.report.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
