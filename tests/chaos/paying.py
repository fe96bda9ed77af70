"""Runs that pay and are killed: no label or vector that was saved is paid for again, and no cap is passed.

    python -m tests.chaos.paying --documents 2000 --kills 20 --seed 1 [--vectors]

A model server in this process answers over a real socket and keeps a journal of what it has answered and
billed. After each kill -9 the same command goes on. In the end the journal is held against the ledger.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.llm.journal import Record
from tests.llm.model_server import KEY, ModelServer, serving
from tests.loaded import Program
from tui_scraper.engine.store.ledger import Answers, Audit
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.verify import verify

WORDS = ("invoice", "meeting", "river", "chapter", "price", "clause", "server", "error", "novel", "vat")
BUDGET_USD = 5.0
_DEADLINE_S = 120.0
_PASSAGES_TOGETHER = 128


@dataclass(frozen=True)
class Outcome:
    """What the kills have left. `repeats` are texts that were answered in full more than once."""

    kills: int
    documents: int
    requests: int
    repeats: int
    in_flight: int
    unanswered: int
    cost_usd: float


def write_documents(folder: Path, count: int, seed: int) -> None:
    """Documents that all differ."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        words = " ".join(rng.choice(WORDS) for _word in range(80))
        (folder / f"{number:05}.txt").write_text(f"{words}\n{number}\n")


def begin(source: Path, workspace: Path, url: str, *, vectors: bool) -> subprocess.Popen[bytes]:
    """Start a run that asks the server, in a process group of its own: for labels, or for vectors."""
    environment = {
        **os.environ,
        "OPENAI_API_KEY": KEY,
        "TUI_SCRAPER_CLASSIFY__BACKEND": "local" if vectors else "openai",
        "TUI_SCRAPER_INDEX__EMBEDDINGS": "openai" if vectors else "none",
        "TUI_SCRAPER_INDEX__PRICE_USD": "0.1",
        "TUI_SCRAPER_CLASSIFY__BASE_URL": url,
        "TUI_SCRAPER_CLASSIFY__DOCS_PER_REQUEST": "4",
        "TUI_SCRAPER_CLASSIFY__PRICE_IN_USD": "0.1",
        "TUI_SCRAPER_CLASSIFY__PRICE_OUT_USD": "0.5",
    }
    return Program(
        *("run", source, "-w", workspace, "--budget", str(BUDGET_USD)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


def labels_in(records: list[Record]) -> Counter[str]:
    """Text -> how often a label or vector of it was answered in full. What is asked to try is left out."""
    tried = set(records[0].documents.values()) if records else set()
    return Counter(
        text
        for record in records
        if record.good and record.whole
        for text in record.documents.values()
        if text not in tried
    )


def kill_and_pay(
    directory: Path,
    *,
    documents: int,
    kills: int,
    seed: int,
    latency_s: float = 0.05,
    vectors: bool = False,
) -> Outcome:
    """Kill a run again and again, let the last one end, and raise AssertionError for what must not be."""
    source, workspace = directory / "source", directory / "workspace"
    write_documents(source, documents, seed)
    rng = random.Random(seed)
    killed = in_flight = 0
    with serving(latency_s=latency_s) as server:
        while killed < kills:
            run = begin(source, workspace, server.url, vectors=vectors)
            before = len(server.records)
            together = _PASSAGES_TOGETHER if vectors else 4
            wanted = before + rng.randrange(1, max(2, documents // together // max(kills, 1)))
            if _wait(server, run, wanted):
                time.sleep(rng.random() * latency_s)
                os.killpg(run.pid, signal.SIGKILL)
                in_flight += sum(
                    len(record.documents) for record in server.records[before:] if record.answered is None
                )
                killed += 1
            _out, said = run.communicate()
            if run.returncode == 0:
                break
            assert run.returncode == -signal.SIGKILL, (run.returncode, said)
        run = begin(source, workspace, server.url, vectors=vectors)
        _out, said = run.communicate(timeout=_DEADLINE_S)
        assert run.returncode == 0, said
        records = list(server.records)
    with Reader(workspace) as reader:
        audit = reader.audit()
        status = reader.status()
    assert status.counts.done == documents
    assert not status.without_vectors
    _check(audit, audit.vectors if vectors else audit.labels, records, documents)
    report = verify(workspace)
    assert report.sound, [damage.what for damage in report.damages]
    repeats = sum(count - 1 for count in labels_in(records).values())
    return Outcome(
        killed,
        documents,
        len(records),
        repeats,
        in_flight,
        len(audit.unanswered),
        audit.spending.cost_nano_usd / 1e9,
    )


def _check(audit: Audit, answers: Answers, records: list[Record], documents: int) -> None:
    assert audit.proven
    assert answers.saved == documents
    assert answers.repeated == 0, "an answer that was saved was paid for again"
    answered = labels_in(records)
    assert len(answered) == documents
    repeats = sum(count - 1 for count in answered.values())
    listed = sum(call.repeated for call in audit.unanswered)
    assert repeats <= listed, f"{repeats} repeated answers, {listed} of them listed"
    billed = sum(record.tokens_in for record in records if record.billed)
    most = audit.spending.tokens_in + audit.spending.open_tokens
    assert billed <= most, f"the server has billed {billed} tokens, the ledger knows of {most}"
    assert audit.spending.most_nano_usd <= BUDGET_USD * 1e9


def _wait(server: ModelServer, run: subprocess.Popen[bytes], requests: int) -> bool:
    """Wait until the server has got so many requests. False where the run has ended before."""
    until = time.monotonic() + _DEADLINE_S
    while len(server.records) < requests:
        if run.poll() is not None:
            return False
        assert time.monotonic() < until, "the run asks nothing"
        time.sleep(0.002)
    return True


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vectors", action="store_true", help="pay for vectors, not for labels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        print(kill_and_pay(Path(directory), **vars(options)))


if __name__ == "__main__":
    main()
