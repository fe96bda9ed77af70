"""A workspace whose documents did not get through, made by the real writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_scraper.engine.models import Cause, Counts, PhaseName, Status
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.counters import set_lineages
from tui_scraper.engine.store.head import DOCUMENT_PHASES, config_hash, read_head
from tui_scraper.engine.store.results import unfinished
from tui_scraper.engine.store.scans import FoundFile, begin_scan, end_scan, register
from tui_scraper.engine.store.setbacks import put_back
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import DocumentReply


@dataclass(frozen=True)
class Bad:
    """A document that does not get through."""

    path: str
    cause: Cause = Cause.ENCRYPTED
    message: str = "This file needs a password."
    status: Status = Status.FAILED
    size_bytes: int = 12_345


HOSTILE = "report [/final] [2024] \x1b]52;c;aGk=\x07 \u202egnp.pdf"


def write_failures(directory: Path, documents: Sequence[Bad]) -> Counts:
    """Make a workspace with these documents. Returns its counts."""
    directory.mkdir(parents=True, exist_ok=True)
    writer = Writer(directory)
    try:
        settings: dict[PhaseName, tuple[int, dict[str, object]]] = {
            phase: (1, {}) for phase in DOCUMENT_PHASES
        }
        configs = Configs({phase: config_hash(phase, *settings[phase]) for phase in DOCUMENT_PHASES})
        writer.call(lambda transaction: set_lineages(transaction.state, settings))
        writer.call(begin_scan)
        by_path = {document.path.encode("utf-8", "surrogateescape"): document for document in documents}
        found = [FoundFile(path, document.size_bytes, 1) for path, document in by_path.items()]
        for at in range(0, len(found), 1000):
            writer.call(register(found[at : at + 1000], [], []))
        writer.call(end_scan({}))
        _fail(writer, directory, configs, by_path)
    finally:
        writer.close()
    by_status = {status: sum(d.status is status for d in documents) for status in Status}
    return Counts(
        found=len(documents),
        failed=by_status[Status.FAILED],
        skipped=by_status[Status.SKIPPED],
        empty=by_status[Status.EMPTY],
    )


def put_back_one(directory: Path, version: int) -> None:
    """Have the real writer put one document back to pending, as an engine would."""
    writer = Writer(directory)
    try:
        writer.call(put_back(version=version))
    finally:
        writer.close()


def _fail(writer: Writer, directory: Path, configs: Configs, by_path: dict[bytes, Bad]) -> None:
    state = open_state(directory, read_only=True)
    try:
        after = 0
        while True:
            work, following = unfinished(state, read_head(state), after, 2000, PhaseName.INDEX)
            if following == after:
                return
            after = following
            pairs = [(item, _reply(item.version, by_path[item.path])) for item in work]
            for at in range(0, len(pairs), 500):
                writer.call(commit_replies(pairs[at : at + 500], configs))
    finally:
        state.close()


def _reply(version: int, document: Bad) -> DocumentReply:
    return DocumentReply(
        version=version,
        status=document.status,
        phase=PhaseName.CLEAN,
        cause=document.cause,
        message=document.message,
        content=digest(document.path.encode("utf-8", "surrogateescape")),
        media_type="application/pdf",
    )
