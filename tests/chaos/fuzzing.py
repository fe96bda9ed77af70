"""Feeds damaged files of every format to the real workers and checks what the pool and the engine make of it.

    python -m tests.chaos.fuzzing --inputs 20000 --seed 1 [--seeds FOLDER] [--keep FOLDER]
    python -m tests.chaos.fuzzing --engine --inputs 2000           # whole runs over folders of such files
    python -m tests.chaos.fuzzing --files FILE ...                 # what becomes of these, as they are

The same seeds and the same number give the same files, on every machine. Every input must get exactly one
outcome, in time, with a sentence that a person can read; `done` means that there is text; and the memory
of the process that owns the pool stays where it is. What breaks that is a *violation* and fails the run. A
worker that died, a reader that raised what it must not and a text that looks like bytes are *weaknesses*:
survived, counted, and worth a look. Both are kept in a folder with the line that repeats them.

The memory that is held against a limit is that of the pool's owner; of a whole engine, which has an index and
a store as well, it is only shown.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tests.chaos.seeds import Corpus, Input, Seed, made_seeds, seeds_of
from tui_scraper.engine import Cause, PhaseName, RunState, Settings, Status
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.wire import CleanText, DocumentReply, WorkItem
from tui_scraper.engine.workers.frames import HEARTBEAT
from tui_scraper.engine.workers.pool import Pool

GRACE_S = 2.0
"""A document may take this much longer than its deadline: the watch looks four times a second."""
SLOW_S = 5.0
"""No seed is so large that it must take longer: what does is worth a look."""
MAX_GROWTH_BYTES = 50_000_000
WARM_UP_SHARE = 0.1
_BATCH = 24
_MEMBERS = 12  # followed up of each container
_DEPTH = 6
_SAMPLE_S = 0.04
_ENGINE_BATCH = 2_000
_ENGINE_DEADLINE_S = 1_800.0
_KEPT_OF_A_KIND = 3
_UNTRUE = (Cause.NO_PERMISSION, Cause.VANISHED, Cause.CHANGED, Cause.READ_ERROR)
"""The files that are tried here lie still and may be read."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_CLASS_NAME = re.compile(r"[\w.]*(?:Error|Exception|Exit|Fault|Warning)\b[\s:(]*['\"()]*$")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or only weak, with what became of an input."""

    input: Input
    what: str
    weak: bool = False


@dataclass
class Report:
    """What a series of inputs showed."""

    seed: int
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    findings: list[Finding] = field(default_factory=list)
    inputs: int = 0
    members: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str, str]] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def violations(self) -> list[Finding]:
        """What must not be."""
        return [finding for finding in self.findings if not finding.weak]

    @property
    def growth_bytes(self) -> int:
        """How far the memory of this process wandered after the warm-up."""
        settled = self.rss[max(1, int(len(self.rss) * WARM_UP_SHARE)) :]
        return max(settled, default=0) - min(settled, default=0)

    def count(self, one: Input, status: str, cause: str, *, member: bool) -> None:
        """Add an outcome of an input, or of a member of one."""
        counts = self.outcomes[one.origin.kind]
        counts["members" if member else "inputs"] += 1
        counts[status if status != "failed" else f"failed: {cause}"] += 1
        self.members += member

    def spent(self, seconds: float, one: Input) -> None:
        """Add how long an input took."""
        self.slowest = sorted([*self.slowest, (seconds, one.name, one.origin.name)], reverse=True)[:5]

    def note_memory(self) -> None:
        """Add the memory of this process."""
        self.rss.append(psutil.Process().memory_info().rss)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.inputs:,} inputs of {len(self.outcomes)} formats and {self.members:,} "
            f"members in {self.elapsed_s:,.0f} s",
            "",
            *self._table(),
            "",
            f"workers that died: {sum(self.deaths.values())} {dict(self.deaths) or ''}",
            "slowest: " + "; ".join(f"{s:.1f} s {name} (of {origin})" for s, name, origin in self.slowest),
            f"memory of this process: {' '.join(f'{size / 1e6:.0f}' for size in self.rss)} MB, "
            f"{self.growth_bytes / 1e6:.0f} MB apart after the warm-up",
            f"violations: {len(self.violations)}",
            *self._grouped(weak=False),
            f"weaknesses: {len(self.findings) - len(self.violations)}",
            *self._grouped(weak=True),
        ]
        return "\n".join(lines)

    def _table(self) -> Iterable[str]:
        columns = ["inputs", "members", "done", "empty", "skipped"]
        columns += sorted({name for counts in self.outcomes.values() for name in counts} - set(columns))
        yield "| format | " + " | ".join(columns) + " |"
        yield "| --- |" + " --- |" * len(columns)
        for kind, counts in sorted(self.outcomes.items()):
            yield f"| {kind} | " + " | ".join(str(counts[column] or "") for column in columns) + " |"

    def _grouped(self, *, weak: bool) -> Iterable[str]:
        groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for finding in self.findings:
            if finding.weak is weak:
                groups[(finding.input.origin.kind, _gist(finding.what))].append(finding)
        for (kind, _what), found in sorted(groups.items(), key=lambda group: -len(group[1])):
            first = found[0]
            example = f"{first.input.name} of {first.input.origin.name}"
            yield f"  {len(found):5} x {kind}: {first.what}  [{example}]"


class _WatchedPool(Pool):
    """The pool, with a note of every worker that it lost and of how long each document was in hand."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.deaths: Counter[str] = Counter()
        self.spent_s: dict[int, float] = defaultdict(float)
        self._in_hand: dict[int, tuple[int, int]] = {}

    async def _bury(self, worker: Any) -> Any:
        blame = await super()._bury(worker)
        self.deaths[
            "at the deadline" if blame.cause is Cause.TIMEOUT else blame.message.partition(" on ")[0]
        ] += 1
        return blame

    async def sample(self) -> None:
        """Look at the shared page until cancelled."""
        while True:
            await asyncio.sleep(_SAMPLE_S)
            now = time.monotonic_ns()
            for slot, worker in self._workers.items():
                version, since = HEARTBEAT.unpack_from(worker.page)[:2]
                if version and since:  # the two are not written at once
                    earlier = self._in_hand.get(slot)
                    before = earlier[1] if earlier and earlier[0] == since else since
                    self.spent_s[version] += (now - before) / 1e9
                    self._in_hand[slot] = (since, now)


_corpus: Corpus


def _load(folder: Path | None, seed: int) -> None:
    global _corpus  # noqa: PLW0603 - of the process that makes inputs
    _corpus = Corpus(seeds_of(folder) if folder else made_seeds(), seed)


def _write(numbers: Sequence[int], folder: Path) -> list[Input]:
    """Make inputs as files. What comes back is without their bytes: they do not pass the parent."""
    made = []
    for number in numbers:
        one = _corpus.make(number)
        (folder / one.name).write_bytes(one.data)
        origin = Seed(one.origin.name, one.origin.kind, b"")
        made.append(Input(one.number, one.name, origin, one.how, b""))
    return made


class _Maker:
    """Makes inputs in a process of its own, so that the parent's memory is that of an engine."""

    def __init__(self, seeds: Path | None, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(1, mp_context=context, initializer=_load, initargs=(seeds, seed))

    def __enter__(self) -> _Maker:
        return self

    def __exit__(self, *_error: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def write(self, numbers: Sequence[int], folder: Path) -> asyncio.Future[list[Input]]:
        """Begin to make these."""
        return asyncio.wrap_future(self._executor.submit(_write, numbers, folder))

    def write_now(self, numbers: Sequence[int], folder: Path) -> list[Input]:
        """Make these."""
        return self._executor.submit(_write, numbers, folder).result()


_Asked = dict[int, tuple[Input, WorkItem]]
"""Version -> the input that a work item stems from, and the item."""


class _Series:
    """One series of inputs through one pool."""

    def __init__(self, pool: _WatchedPool, report: Report, settings: Settings, keep: _Keep) -> None:
        self._pool = pool
        self._report = report
        self._limit_s = settings.clean.timeout_s + GRACE_S
        self._max_chars = settings.clean.max_chars
        self._unpack = Unpacker(CleanText)
        self._keep = keep
        self._versions = itertools.count(1)

    async def run(self, inputs: Sequence[Input], folder: Path) -> None:
        """Have a batch read, with the members of its containers, and judge what comes back."""
        asked = {}
        for one in inputs:
            item = file_item(folder / one.name, next(self._versions))
            asked[item.version] = (one, item)
        while asked:
            asked = await self._round(asked, folder)
        self._report.inputs += len(inputs)

    async def _round(self, asked: _Asked, folder: Path) -> _Asked:
        replies: list[DocumentReply] = []
        items = [item for _one, item in asked.values()]
        try:
            await asyncio.wait_for(self._pool.run(items, replies.extend), self._limit_s * (len(items) + 1))
        except TimeoutError:
            self._find(folder, asked[items[0].version][0], "the pool did not end its batch")
        answered = Counter(reply.version for reply in replies)
        for version, (one, _item) in asked.items():
            if answered[version] != 1:
                self._find(folder, one, f"{answered[version]} outcomes, not one")
            seconds = self._pool.spent_s.pop(version, 0.0)
            self._report.spent(seconds, one)
            if seconds > self._limit_s:
                self._find(folder, one, f"took {seconds:.1f} s, more than its deadline")
            elif seconds > SLOW_S:
                self._find(folder, one, f"took {seconds:.1f} s", weak=True)
        inside: _Asked = {}
        for reply in replies:
            one, item = asked[reply.version]
            self._report.count(one, reply.status, str(reply.cause or ""), member=bool(item.inside))
            for what, weak in self._faults(reply):
                self._find(folder, one, what, weak=weak)
            for deeper in member_items(item, reply, self._versions):
                inside[deeper.version] = (one, deeper)
        return inside

    def _faults(self, reply: DocumentReply) -> Iterable[tuple[str, bool]]:
        if reply.status is Status.DONE:
            yield from self._faults_of_text(reply)
            return
        if reply.status is Status.PENDING or reply.cause is None:
            yield f"no outcome but {reply.status} with cause {reply.cause}", False
        if unclear := unclear_message(reply.message):
            yield f"{unclear}: {reply.message!r}", False
        if reply.cause in _UNTRUE:
            yield f"what is said is not so: {reply.message}", False
        if reply.cause in (Cause.CRASHED, Cause.TIMEOUT):
            yield f"{reply.media_type or 'unknown type'}: {reply.message}", True

    def _faults_of_text(self, reply: DocumentReply) -> Iterable[tuple[str, bool]]:
        if reply.clean is None:
            yield "done without a text", False
            return
        text = self._unpack(reply.clean.payload).text
        if not text.strip() and not reply.members:
            yield "done, but the text is empty", False
        if _CONTROLS.search(text):
            yield "a text with control characters", False
        if len(text) > self._max_chars:
            yield "a text over clean.max_chars", False
        if looks_like_bytes(text):
            yield f"{reply.media_type}: a text that looks like bytes", True

    def _find(self, folder: Path, one: Input, what: str, *, weak: bool = False) -> None:
        finding = Finding(one, what, weak)
        self._report.findings.append(finding)
        self._keep.put(folder / one.name, finding)


class _Keep:
    """Keeps the files that showed something, a few of each kind, with the line that repeats it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._seen: Counter[tuple[str, str]] = Counter()

    def put(self, path: Path, finding: Finding) -> None:
        """Copy the file, unless there are enough of this kind."""
        kind = (finding.input.origin.kind, _gist(finding.what))
        self._seen[kind] += 1
        if self._folder is None or self._seen[kind] > _KEPT_OF_A_KIND or not path.is_file():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / path.name
        shutil.copyfile(path, kept)
        with (self._folder / "findings.tsv").open("a", encoding="utf-8") as file:
            level = "weakness" if finding.weak else "VIOLATION"
            how = "+".join(finding.input.how)
            line = (level, finding.input.origin.kind, finding.what, finding.input.origin.name, how)
            file.write("\t".join((*line, f"python -m tests.chaos.fuzzing --files {kept}")) + "\n")


def file_item(path: Path, version: int) -> WorkItem:
    """The work that reading a file is."""
    return WorkItem(version, os.fsencode(path), path.stat().st_size)


def member_items(of: WorkItem, reply: DocumentReply, versions: Iterator[int]) -> list[WorkItem]:
    """The work that follows from a container: its first members, unless it lies too deep."""
    if not reply.members or len(of.inside) >= _DEPTH:
        return []
    names = [member.name for member in reply.members[:_MEMBERS]]
    return [WorkItem(next(versions), of.path, of.size_bytes, inside=[*of.inside, name]) for name in names]


def unclear_message(message: str) -> str:
    """What is wrong with a message as a sentence for a person; '' where nothing is."""
    if not message.strip():
        return "no message"
    if len(message) > 500:
        return "a message over 500 characters"
    if not message.isprintable():
        return "a message with unprintable characters"
    if "Traceback (most recent" in message or re.search(r'File "[^"]*", line \d+', message):
        return "a traceback for a message"
    if _CLASS_NAME.fullmatch(message) or len(message.split()) < 3:
        return "a message that is no sentence"
    if not message.rstrip(")'\"").endswith((".", "!", "?")) or not (
        message[0].isupper() or not message[0].isalpha()
    ):
        return "a message that is no whole sentence"
    return ""


def looks_like_bytes(text: str) -> bool:
    """Whether a good part of a text is what nobody writes, but what bytes become in a wrong encoding."""
    sample = "".join(text[:20_000].split())
    return len(sample) >= 40 and sum(map(_is_odd, sample)) * 5 > len(sample)


def _is_odd(one: str) -> bool:
    if "\x80" <= one <= "\xde":
        return one not in "«»°©®§·"
    return one == "\ufffd" or unicodedata.category(one) in ("Co", "Cn", "Cc")


def _gist(what: str) -> str:
    """A finding without its numbers and quoted details, to tell kinds of findings apart."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|0x[0-9a-f]+|[\d.,]+", "#", what)[:160]


@asynccontextmanager
async def _watched(
    workers: int,
    settings: Settings,
    folders: Sequence[Path],
    warn: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[_WatchedPool]:
    """A pool that may read these folders, watched all the time."""
    readable = [os.fsencode(folder) for folder in folders]
    pool = _WatchedPool(workers, settings, PhaseName.CLASSIFY, warn, readable=readable)
    await pool.start()
    sampling = asyncio.create_task(pool.sample())
    try:
        yield pool
    finally:
        sampling.cancel()
        await pool.close()


async def fuzz(
    inputs: int,
    seed: int,
    *,
    seeds: Path | None = None,
    keep: Path | None = None,
    settings: Settings | None = None,
    workers: int = 2,
    first: int = 0,
) -> Report:
    """Run a series of inputs through a pool."""
    report, chosen = Report(seed), settings or Settings()
    started = time.monotonic()
    numbers = [range(at, min(at + _BATCH, first + inputs)) for at in range(first, first + inputs, _BATCH)]
    memory_every = max(1, len(numbers) // 40)
    with tempfile.TemporaryDirectory() as scratch, _Maker(seeds, seed) as maker:
        async with _watched(workers, chosen, [Path(scratch)]) as pool:
            series = _Series(pool, report, chosen, _Keep(keep))

            async def work(mine: Sequence[range], folder: Path) -> None:
                folder.mkdir()
                ahead = maker.write(mine[0], folder) if mine else None
                for place, _ in enumerate(mine):
                    assert ahead is not None
                    made = await ahead
                    ahead = maker.write(mine[place + 1], folder) if place + 1 < len(mine) else None
                    await series.run(made, folder)
                    for one in made:
                        (folder / one.name).unlink()
                    if mine is shares[0] and place * workers % memory_every < workers:
                        report.note_memory()

            shares = [numbers[start::workers] for start in range(workers)]
            async with asyncio.TaskGroup() as group:
                for number, share in enumerate(shares):
                    group.create_task(work(share, Path(scratch) / str(number)))
    report.deaths = pool.deaths
    report.elapsed_s = time.monotonic() - started
    return report


def fuzz_engine(
    inputs: int,
    seed: int,
    *,
    seeds: Path | None = None,
    keep: Path | None = None,
    settings: dict[str, dict[str, object]] | None = None,
    batch: int = _ENGINE_BATCH,
) -> Report:
    """Run whole passes of the engine over folders of inputs."""
    from tests.engine import running

    report, keeping = Report(seed), _Keep(keep)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, _Maker(seeds, seed) as maker:
        for at in range(0, inputs, batch):
            source, workspace = Path(scratch) / f"source-{at}", Path(scratch) / f"workspace-{at}"
            source.mkdir()
            made = maker.write_now(range(at, min(at + batch, inputs)), source)
            with running.running(source, workspace, settings=settings) as run:
                end = run.wait(
                    lambda now: now.state in running.ENDED or run.host.ended, "end", _ENGINE_DEADLINE_S
                )
                state, trouble = end.state, f"{end.notice} {run.host.error}"
            if state is not RunState.COMPLETE:
                for one in made:
                    finding = Finding(one, f"the run of its folder ended {state}: {trouble}")
                    report.findings.append(finding)
                    keeping.put(source / one.name, finding)
            else:
                _judge_rows(made, source, workspace, report, keeping)
            report.inputs += len(made)
            report.note_memory()
            shutil.rmtree(source)
            shutil.rmtree(workspace)
    report.elapsed_s = time.monotonic() - started
    return report


def _judge_rows(made: Sequence[Input], source: Path, workspace: Path, report: Report, keeping: _Keep) -> None:
    from tests.engine.running import check_counters

    def rows() -> Iterator[dict[str, Any]]:
        with (workspace / "export" / "documents.jsonl").open("rb") as file:
            for line in file:  # one at a time: this is the process whose memory is watched
                yield msgspec.json.decode(line)

    def found(one: Input, what: str, *, weak: bool = False) -> None:
        report.findings.append(Finding(one, what, weak))
        keeping.put(source / one.name, report.findings[-1])

    check_counters(workspace)
    by_name = {one.name: one for one in made}
    seen: Counter[str] = Counter()
    for row in rows():
        seen[row["path"]] += 1
        one = by_name[row["path"].partition("!/")[0]]
        error = row["error"] or {}
        report.count(one, row["status"], error.get("cause", ""), member=bool(row.get("parent")))
        if row["status"] == "done":
            if not (row["text"] or "").strip() and not row["members"]:
                found(one, "done, but the text is empty")
        elif row["status"] == "pending":
            found(one, "still pending after the run")
        elif unclear := unclear_message(error.get("message", "")):
            found(one, f"{unclear}: {error.get('message')!r}")
        elif error.get("cause") in _UNTRUE:
            found(one, f"what is said is not so: {error['message']}")
        if error.get("cause") in (str(Cause.CRASHED), str(Cause.TIMEOUT)):
            found(one, f"{row['media_type']}: {error['message']}", weak=True)
    for path, times in seen.items():
        if times > 1:
            found(by_name[path.partition("!/")[0]], f"{times} rows in the export")
    for name, one in by_name.items():
        if not seen[name]:
            found(one, "no row in the export")


async def try_files(paths: Sequence[Path], settings: Settings) -> None:
    """Print what becomes of some files, with the members of containers."""
    unpack, versions = Unpacker(CleanText), itertools.count(1)
    items = [file_item(path, next(versions)) for path in paths]
    async with _watched(1, settings, [path.parent for path in paths], print) as pool:
        while items:
            inside: list[WorkItem] = []
            for item in items:
                replies: list[DocumentReply] = []
                await pool.run([item], replies.extend)
                (reply,) = replies
                name = "!/".join(map(os.fsdecode, (item.path, *item.inside)))
                became = f"{reply.cause}: {reply.message}"
                if reply.clean is not None:
                    text = unpack(reply.clean.payload).text
                    became = f"{len(text):,} characters: {text[:100]!r}"
                seconds = pool.spent_s[item.version]
                print(f"{reply.status} {name!r} ({reply.media_type}, {seconds:.1f} s) {became}")
                inside += member_items(item, reply, versions)
            items = inside


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input (default 0)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="real files to start from")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="where files that showed something are put"
    )
    parser.add_argument(
        "--timeout", type=float, default=Settings().clean.timeout_s, help="seconds for a file"
    )
    parser.add_argument("--engine", action="store_true", help="whole runs of the engine, not the pool alone")
    parser.add_argument("--files", type=Path, nargs="+", help="take these files as they are")
    options = parser.parse_args()
    clean = {"timeout_s": options.timeout}
    if options.files:
        asyncio.run(try_files(options.files, Settings.model_validate({"clean": clean})))
        return 0
    keep = options.keep or Path(tempfile.gettempdir()) / f"fuzzing-{options.seed}"
    if options.engine:
        report = fuzz_engine(
            options.inputs, options.seed, seeds=options.seeds, keep=keep, settings={"clean": clean}
        )
    else:
        report = asyncio.run(
            fuzz(
                options.inputs,
                options.seed,
                seeds=options.seeds,
                keep=keep,
                settings=Settings.model_validate({"clean": clean}),
                first=options.first,
            )
        )
    print(report)
    if report.findings:
        print(f"what was found is in {keep}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak memory of this process: {peak / 1e6:.0f} MB")
    return 1 if report.violations or (report.growth_bytes > MAX_GROWTH_BYTES and not options.engine) else 0


if __name__ == "__main__":
    sys.exit(main())
