"""A workspace whose documents have the names, messages and labels that a test wants, by the real writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.checkpoints import name_checkpoint, take_checkpoint
from tui_scraper.engine.store.codec import digest, pack
from tui_scraper.engine.store.committing import commit_replies
from tui_scraper.engine.store.counters import set_lineages
from tui_scraper.engine.store.head import DOCUMENT_PHASES, config_hash
from tui_scraper.engine.store.members import Place
from tui_scraper.engine.store.recording import Indexed, record_indexed
from tui_scraper.engine.store.results import Work
from tui_scraper.engine.store.runs import begin_run, end_run
from tui_scraper.engine.store.scans import FoundFile, begin_scan, end_scan, register
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import Chunk, ChunkResult, CleanResult, CleanText, DocumentReply, LabelResult


@dataclass(frozen=True)
class Doc:
    """A document: done with a label, or failed with a message where it has none."""

    path: bytes
    label: str = ""
    message: str = ""
    confidence: float = 0.5
    media_type: str = "text/plain"
    language: str = "en"
    content: bytes = b""
    size_bytes: int = 1_234


def write_documents(
    directory: Path, documents: Sequence[Doc], checkpoint: str = "", source: str = ""
) -> None:
    """Make the workspace, by one run."""
    writer = Writer(directory)
    settings: dict[PhaseName, tuple[int, dict[str, object]]] = {phase: (1, {}) for phase in DOCUMENT_PHASES}
    configs = Configs({phase: config_hash(phase, *settings[phase]) for phase in DOCUMENT_PHASES})
    try:
        writer.call(lambda transaction: set_lineages(transaction.state, settings))
        if source:
            writer.call(
                lambda transaction: transaction.state.execute(
                    "INSERT INTO meta VALUES('source', ?)", (source.encode(),)
                )
            )
        run = writer.call(begin_run(Settings().model_dump_json()))
        writer.call(begin_scan)
        files = [FoundFile(one.path, one.size_bytes, at) for at, one in enumerate(documents, 1)]
        versions = writer.call(register(files, [], []))
        pairs = [_reply(*each) for each in zip(versions, files, documents, strict=True)]
        finished = writer.call(commit_replies(pairs, configs))
        indexed = [Indexed(one.version, one.size_bytes, 0, one.chunks) for one in finished if one.chunks]
        writer.call(record_indexed(indexed))
        writer.call(end_scan({}))
        for phase in DOCUMENT_PHASES:
            point = writer.call(take_checkpoint(phase))
        if checkpoint:
            writer.call(name_checkpoint(point, checkpoint))
        writer.call(end_run(run, "complete"))
    finally:
        writer.close()


def _reply(version: int, file: FoundFile, document: Doc) -> tuple[Work, DocumentReply]:
    work = Work(version, file.path, file.size_bytes, None, "", {}, version, Place(file.path, (), version, ()))
    content = digest(document.content or file.path)
    if not document.label:
        return work, DocumentReply(
            version,
            Status.FAILED,
            PhaseName.CLEAN,
            Cause.CORRUPT,
            document.message,
            content,
            document.media_type,
        )
    text = CleanText(f"The text of {version}.", language=document.language)
    return work, DocumentReply(
        version,
        Status.DONE,
        PhaseName.CLASSIFY,
        content=content,
        media_type=document.media_type,
        clean=CleanResult(*pack(text), len(text.text)),
        chunk=ChunkResult(*pack([Chunk(0, len(text.text), 10)]), 1, 10),
        label=LabelResult(digest(text.text.encode()), [document.label], document.confidence, "local", []),
    )
