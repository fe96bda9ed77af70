"""A corpus in a real store to which anything can happen that happens to one, in any order.

What a document holds follows from its size alone, so that documents of one size are copies of each other, and
those whose contents leave the same rest when divided by three are nearly the same.
Those whose names end with `zip` have members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_scraper.engine.export import ExportReport, export, is_current, record_export
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.codec import digest, pack
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.connection import open_blobs, open_state
from tui_scraper.engine.store.counters import set_lineages
from tui_scraper.engine.store.garbage import Garbage
from tui_scraper.engine.store.gc import sweep
from tui_scraper.engine.store.head import DOCUMENT_PHASES, config_hash, read_head
from tui_scraper.engine.store.members import match_members
from tui_scraper.engine.store.recording import Indexed, record_indexed
from tui_scraper.engine.store.results import Work, unfinished
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase, undo
from tui_scraper.engine.store.scans import FoundFile, begin_scan, end_scan, known_files, register, vanish
from tui_scraper.engine.store.setbacks import put_back, uphold_refusals
from tui_scraper.engine.store.writer import Transaction, Writer
from tui_scraper.engine.wire import (
    Chunk,
    ChunkResult,
    CleanResult,
    CleanText,
    DocumentReply,
    LabelResult,
    Member,
)

OUTCOMES = ("done", "done", "done", "corrupt", "refused", "empty", "late")


@dataclass(frozen=True)
class File:
    """A file in the source folder: what it holds (a small number), and its time stamp."""

    content: int
    mtime_s: int = 0


class ChangingCorpus:
    """A workspace, and steps like those of runs over a folder that changes."""

    def __init__(self, directory: Path, formats: Sequence[str] = ("jsonl",)) -> None:
        self.formats = formats
        directory.mkdir(parents=True)
        self.directory = directory
        self.exported = directory.parent / "exported"
        self.writer = Writer(directory)
        self.checkpoints: list[int] = []
        self._moved = False
        self.use()

    def close(self) -> None:
        self.writer.close()

    def use(self, **changed: int) -> None:
        """Put settings in force; the named phases have other ones than usual."""
        settings: dict[PhaseName, tuple[int, dict[str, object]]] = {
            phase: (1, {"setting": changed.get(str(phase), 0)}) for phase in DOCUMENT_PHASES
        }
        self.configs = Configs({phase: config_hash(phase, *settings[phase]) for phase in DOCUMENT_PHASES})

        def operation(transaction: Transaction) -> None:
            phases = set_lineages(transaction.state, settings)
            if phases:
                uphold_refusals(transaction)
            if PhaseName.CLEAN in phases:
                match_members(transaction)

        self.writer.call(operation)

    def scan(self, files: dict[bytes, File]) -> None:
        """A scan that finds exactly these files."""
        self.writer.call(begin_scan)
        state = open_state(self.directory, read_only=True)
        try:
            known = known_files(state, list(files)) if files else {}
            rows = state.execute(
                """SELECT v.id, d.path FROM version v JOIN document d ON d.id = v.document
                WHERE v.scan_to IS NULL AND d.parent = 0"""
            ).fetchall()
        finally:
            state.close()
        new, changed, touched = [], [], []
        for path, file in sorted(files.items()):
            found = FoundFile(path, size_of(file.content), file.mtime_s * 10**9)
            before = known.get(path)
            if before is None:
                new.append(found)
            elif before.size_bytes != found.size_bytes:
                changed.append((found, before))
            elif before.mtime_ns != found.mtime_ns:
                same = before.content == digest(text_of(found.size_bytes).encode())
                (touched if same else changed).append((found, before))
        self.writer.call(register(new, changed, touched))
        self.writer.call(vanish([version for version, path in rows if path not in files]))
        self.writer.call(end_scan({}))

    def work(self, outcome: str = "done", limit: int = 1000, *, indexed: bool = True) -> None:
        """Give unfinished documents (at most `limit`) this outcome, through to the index."""
        state = open_state(self.directory, read_only=True)
        try:
            chosen = unfinished(state, read_head(state), 0, 1000, PhaseName.INDEX)[0][:limit]
        finally:
            state.close()
        replies = [(work, reply(work, outcome)) for work in chosen]
        finished = self.writer.call(commit_replies(replies, self.configs))
        attempts = {work.version: work.reached[4].attempt if 4 in work.reached else 0 for work in chosen}
        entries = [
            Indexed(one.version, one.size_bytes, attempts[one.version], one.chunks)
            for one in finished
            if one.chunks
        ]
        if entries and indexed:
            self.writer.call(record_indexed(entries))

    def retry(self, phase: PhaseName | None = None) -> None:
        """Put failures back to pending."""
        self.writer.call(put_back(phase=phase))

    def checkpoint(self) -> None:
        self.checkpoints.append(self.writer.call(take_checkpoint(PhaseName.CLEAN)))

    def roll_back(self, target: PhaseName | int) -> None:
        """To a phase, or to one of the checkpoints (by number, in turn)."""
        if not isinstance(target, PhaseName) and not self.checkpoints:
            return
        self._moved = True
        if isinstance(target, PhaseName):
            self.checkpoints.append(self.writer.call(roll_back_to_phase(target)))
        else:
            self.writer.call(roll_back_to_checkpoint(self.checkpoints[target % len(self.checkpoints)]))

    def undo(self) -> None:
        """Take the last move of the head back, if there was one."""
        if self._moved:
            self.writer.call(undo())

    def collect_garbage(self) -> int:
        """Forget all of history but what the head needs. Returns how many results went."""
        state = open_state(self.directory, read_only=True)
        blobs = open_blobs(self.directory, read_only=True)
        try:
            freed = sweep(self.directory, self.writer, Garbage(state, blobs, keep=0))
        finally:
            blobs.close()
            state.close()
        self.checkpoints, self._moved = [], False
        return freed.results

    def restart(self) -> None:
        self.writer.close()
        self.writer = Writer(self.directory)

    def export(self) -> ExportReport:
        """Export to the same place as before, and record it."""
        report = export(self.directory, self.exported, formats=self.formats)
        self.writer.call(record_export(report))
        return report

    def is_current(self) -> bool:
        """Whether the export is what exporting now would write, as far as its record tells."""
        state = open_state(self.directory, read_only=True)
        try:
            return is_current(state, read_head(state), self.exported, formats=self.formats)
        finally:
            state.close()

    def export_anew(self) -> dict[str, bytes]:
        """The files of an export that has no other to build on."""
        number = len(list(self.directory.parent.iterdir()))
        report = export(self.directory, self.directory.parent / f"anew-{number}", formats=self.formats)
        assert report.carried == 0
        return contents(report.directory)


def contents(target: Path) -> dict[str, bytes]:
    files = (path for path in sorted(target.rglob("*")) if not path.is_dir())
    return {str(path.relative_to(target)): path.read_bytes() for path in files}


def size_of(content: int) -> int:
    return 630 + 10 * content


def text_of(size_bytes: int) -> str:
    family = size_bytes // 10 % 3
    words = hashlib.shake_128(f"{family}é".encode()).hexdigest(size_bytes)
    return " ".join(words[at : at + 7] for at in range(0, len(words), 7))[:size_bytes]


def reply(work: Work, outcome: str) -> DocumentReply:
    """What a worker would say of a document."""
    have = {phase for phase, result in work.reached.items() if result.status == 1}
    if outcome == "refused" and 1 not in have:
        return DocumentReply(
            work.version, Status.FAILED, PhaseName.INPUT, Cause.NO_PERMISSION, "It may not be read."
        )
    members = None
    if work.path.endswith(b"zip") and len(work.place.inside) < 3 and 1 not in have:
        members = [
            Member(name, size_of(number + 1), 0)
            for number, name in enumerate([b"in.txt", b"inner.zip", b"more.txt"][: work.size_bytes // 10 % 4])
        ]
    text = text_of(work.size_bytes)
    content = digest(text.encode())
    if outcome in {"corrupt", "empty"} and 1 not in have:
        status, cause = Status.FAILED, Cause.CORRUPT
        if outcome == "empty":
            status, cause = Status.EMPTY, Cause.NO_TEXT
        kept = members if outcome == "corrupt" else None
        sentence = f"No: {work.size_bytes}."
        return DocumentReply(
            work.version, status, PhaseName.CLEAN, cause, sentence, content, "text/plain", members=kept
        )
    found = CleanText(text, f"Title {work.size_bytes}", "en", [], [("https://example.org/", "hyperlink")])
    clean = CleanResult(*pack(found), len(text)) if 1 not in have else None
    half = len(text) // 2
    parts = [Chunk(0, half, 7), Chunk(half, len(text), 8, "Part")]
    chunk = ChunkResult(*pack(parts), len(parts), 15) if 2 not in have else None
    if 1 in have:  # then no file is read: work goes on from what is stored
        content = b""
    late = outcome == "late"
    label = None
    if 3 not in have and not late:
        label = LabelResult(digest(text.encode()), ["report", "letter"], 0.5, "rules", [])
    return DocumentReply(
        version=work.version,
        status=Status.FAILED if late else Status.DONE,
        phase=PhaseName.CLASSIFY,
        cause=Cause.CRASHED if late else None,
        message="It crashed." if late else "",
        content=content,
        media_type="text/plain",
        clean=clean,
        chunk=chunk,
        label=label,
        members=members,
    )
