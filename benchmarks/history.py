"""How going back and looking costs at a million documents.

    python -m benchmarks.history [--documents 1000000] [--rounds 50] [--workspace DIR]

Fills a workspace through the real store, with what workers would have replied (one document in seventy has
failed), then measures: rollback to phases and to checkpoints, undo, opening the workspace, and everything
that a screen or a command asks. The same is measured with a hundredth of the documents in the same run: the
ratio is what shows that a cost does not grow.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tui_scraper.engine.going_back import preview, preview_undo
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.checkpoints import read_checkpoints, take_checkpoint
from tui_scraper.engine.store.codec import digest, pack
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.counters import read_totals, set_lineages
from tui_scraper.engine.store.head import DOCUMENT_PHASES, config_hash, read_head
from tui_scraper.engine.store.members import Place
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.store.recording import Indexed, record_indexed
from tui_scraper.engine.store.results import Work
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
from tui_scraper.engine.store.runs import begin_run, end_run
from tui_scraper.engine.store.scans import FoundFile, begin_scan, end_scan, register
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import Chunk, ChunkResult, CleanResult, CleanText, DocumentReply, LabelResult

BATCH = 500
CONFIGS: dict[PhaseName, tuple[int, dict[str, object]]] = {phase: (1, {}) for phase in DOCUMENT_PHASES}
CAUSES = (Cause.CORRUPT, Cause.ENCRYPTED, Cause.TIMEOUT, Cause.TOO_LARGE)


def fill(directory: Path, documents: int, chars: int = 0) -> float:
    """Make a workspace with so many documents, of texts at least so long. Returns documents a second."""
    directory.mkdir(parents=True)
    writer = Writer(directory)
    configs = Configs({phase: config_hash(phase, *CONFIGS[phase]) for phase in DOCUMENT_PHASES})
    started = time.perf_counter()
    writer.call(lambda transaction: set_lineages(transaction.state, CONFIGS))
    run = writer.call(begin_run(Settings().model_dump_json()))
    writer.call(begin_scan)
    for start in range(0, documents, BATCH):
        files = [
            FoundFile(b"folder-%04d/document-%07d.txt" % (n // 1000, n), 2000 + n % 3000, n)
            for n in range(start, min(start + BATCH, documents))
        ]
        versions = writer.call(register(files, [], []))
        pairs = [_reply(version, file, chars) for version, file in zip(versions, files, strict=True)]
        finished = writer.call(commit_replies(pairs, configs))
        writer.call(
            record_indexed(
                [Indexed(one.version, one.size_bytes, 0, one.chunks) for one in finished if one.chunks]
            )
        )
        if start % max(BATCH, documents // 40 // BATCH * BATCH) == 0:
            writer.call(take_checkpoint(PhaseName.CLEAN))
    writer.call(end_scan({}))
    for phase in DOCUMENT_PHASES:
        writer.call(take_checkpoint(phase))
    writer.call(end_run(run, "complete"))
    writer.close()
    return documents / (time.perf_counter() - started)


def _reply(version: int, file: FoundFile, chars: int) -> tuple[Work, DocumentReply]:
    work = Work(version, file.path, file.size_bytes, None, "", {}, version, Place(file.path, (), version, ()))
    content = digest(file.path)
    if version % 70 == 0:
        return work, DocumentReply(
            version,
            Status.FAILED,
            PhaseName.CLEAN,
            CAUSES[version // 70 % len(CAUSES)],
            "It is damaged.",
            content,
            "application/pdf",
        )
    line = f"The text of document {version}, which is short."
    text = CleanText(line + "".join(f"\n{n * version % 9973} {line}" for n in range(chars // len(line))))
    return work, DocumentReply(
        version,
        Status.DONE,
        PhaseName.CLASSIFY,
        content=content,
        media_type="text/plain",
        clean=CleanResult(*pack(text), len(text.text)),
        chunk=ChunkResult(*pack([Chunk(0, len(text.text), 10)]), 1, 10),
        label=LabelResult(digest(text.text.encode()), [f"label-{version % 12}"], 0.5, "local", []),
    )


Times = dict[str, list[float]]


def measure(directory: Path, rounds: int) -> Times:
    """Milliseconds of each thing, `rounds` times."""
    found: Times = {}

    def timed(name: str, action: Callable[[], object]) -> None:
        started = time.perf_counter()
        action()
        found.setdefault(name, []).append((time.perf_counter() - started) * 1000)

    rng = random.Random(1)
    for _ in range(rounds):
        _looking(directory, timed)
    for _ in range(max(5, rounds // 5)):
        started = time.perf_counter()
        writer = Writer(directory)
        found.setdefault("open for writing", []).append((time.perf_counter() - started) * 1000)
        timed("close", writer.close)
    writer = Writer(directory)
    checkpoints = _checkpoints(directory)
    for _ in range(rounds):
        phase = rng.choice(DOCUMENT_PHASES)
        timed("rollback to a phase", partial(writer.call, roll_back_to_phase(phase)))
        _looking(directory, timed, after=True)
        timed("undo", lambda: writer.call(undo()))
        point = rng.choice(checkpoints)
        timed("rollback to a checkpoint", partial(writer.call, roll_back_to_checkpoint(point)))
        timed("undo", lambda: writer.call(undo()))
    writer.close()
    return found


def _looking(
    directory: Path, timed: Callable[[str, Callable[[], object]], None], *, after: bool = False
) -> None:
    settings = Settings()
    where = " after a rollback" if after else ""
    timed("open, status and close" + where, lambda: _status(directory))
    with Reader(directory) as reader:
        timed("status" + where, reader.status)
        timed("causes of failures" + where, reader.causes)
        timed("a page of failures" + where, lambda: reader.failures(limit=200))
        timed(
            "a page of failures of one cause" + where, lambda: reader.failures(cause=Cause.TIMEOUT, limit=200)
        )
        timed("checkpoints" + where, reader.checkpoints)
        timed("preview of a text" + where, lambda: reader.preview(1234))
    state = open_state(directory, read_only=True)
    timed("counters of a snapshot" + where, lambda: read_totals(state, read_head(state)))
    state.close()
    timed("preview of a rollback" + where, lambda: preview(directory, PhaseName.CLEAN, settings))
    if after:
        timed("preview of an undo", lambda: preview_undo(directory, settings))


def _status(directory: Path) -> None:
    with Reader(directory) as reader:
        reader.status()


def _checkpoints(directory: Path) -> list[int]:
    state = open_state(directory, read_only=True)
    try:
        return [point.id for point in read_checkpoints(state)]
    finally:
        state.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--workspace", type=Path, help="keep what is made here, or use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = options.workspace or Path(scratch)
        results: list[Times] = []
        for documents in (options.documents // 100, options.documents):
            directory = base / f"workspace-{documents}"
            if not directory.exists():
                print(
                    f"{documents:,} documents: {fill(directory, documents):,.0f} a second through the store"
                )
            results.append(measure(directory, options.rounds))
    small, large = results
    print(f"{'ms':48}{'p50':>9}{'p95':>9}{'max':>9}{'p50 to a hundredth':>20}")
    for name, times in large.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        ratio = statistics.median(times) / statistics.median(small[name])
        print(f"{name:48}{statistics.median(times):9.2f}{p95:9.2f}{max(times):9.2f}{ratio:20.2f}")


if __name__ == "__main__":
    main()
