"""Stores made through the real writer, with what workers would have replied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.search.text_index import TextIndex
from tui_scraper.engine.store.artifacts import Configs
from tui_scraper.engine.store.codec import digest, pack, unpack
from tui_scraper.engine.store.committing import Finished, commit_replies
from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.counters import set_lineages
from tui_scraper.engine.store.head import DOCUMENT_PHASES, config_hash, read_head
from tui_scraper.engine.store.recording import Indexed, record_indexed
from tui_scraper.engine.store.results import unfinished
from tui_scraper.engine.store.scans import (
    FoundFile,
    KnownFile,
    begin_scan,
    end_scan,
    known_files,
    register,
    vanish,
)
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import (
    Chunk,
    ChunkResult,
    CleanResult,
    CleanText,
    DocumentReply,
    LabelResult,
)

MTIME_NS = 1_700_000_000_123_456_789


@dataclass(frozen=True)
class Doc:
    """A document to put into a store."""

    path: bytes
    text: str = ""
    title: str | None = None
    label: str | None = "report"
    cause: Cause | None = None
    message: str = ""
    status: Status = Status.FAILED
    content: bytes | None = None
    links: list[tuple[str, str]] = field(default_factory=list)
    mtime_ns: int = MTIME_NS
    truncated: bool = False
    language: str = "en"
    media_type: str = "text/plain"


def found_file(doc: Doc) -> FoundFile:
    """The document as a scan finds it."""
    return FoundFile(doc.path, len(doc.text.encode()), doc.mtime_ns)


def chunks_of(text: str, size: int = 400) -> list[Chunk]:
    """Cut without overlap, at a fixed number of characters; headings alternate."""
    return [
        Chunk(start, min(start + size, len(text)), size // 4, "Part > One" if start else "")
        for start in range(0, len(text), size)
    ]


class Fabricator:
    """One workspace: its writer, its index, and the steps of a run."""

    def __init__(self, directory: Path, chunk_size: int = 400) -> None:
        self.directory = directory
        self.chunk_size = chunk_size
        directory.mkdir(parents=True, exist_ok=True)
        self.writer = Writer(directory)
        self.settings: dict[PhaseName, tuple[int, dict[str, object]]] = {
            phase: (1, {"phase": str(phase)}) for phase in DOCUMENT_PHASES
        }
        self.configure()

    def configure(self, **changes: object) -> None:
        """Put settings in force; `clean={"x": 1}` changes those of a phase."""
        for name, value in changes.items():
            self.settings[PhaseName(name)] = (1, {"value": value})
        self.configs = Configs(
            {phase: config_hash(phase, *self.settings[phase]) for phase in DOCUMENT_PHASES}
        )
        self.writer.call(lambda transaction: set_lineages(transaction.state, self.settings))

    def scan(
        self, docs: Sequence[Doc], *, gone: Iterable[bytes] = (), touched: Iterable[Doc] = ()
    ) -> list[int]:
        """Register new documents in a scan of its own. Returns their versions."""
        self.writer.call(begin_scan)
        versions: list[int] = []
        for at in range(0, len(docs), 1000):
            files = [
                FoundFile(doc.path, len(doc.text.encode()), doc.mtime_ns) for doc in docs[at : at + 1000]
            ]
            versions += self.writer.call(register(files, [], []))
        again = list(touched)
        if again:
            known = self.known([doc.path for doc in again])
            pairs = [(found_file(doc), known[doc.path]) for doc in again]
            self.writer.call(register([], [], pairs))
        lost = list(gone)
        if lost:
            self.writer.call(vanish([file.version for file in self.known(lost).values()]))
        self.writer.call(end_scan({}))
        return versions

    def known(self, paths: Sequence[bytes]) -> dict[bytes, KnownFile]:
        state = open_state(self.directory, read_only=True)
        try:
            return known_files(state, paths)
        finally:
            state.close()

    def process(self, docs: Sequence[Doc]) -> list[Finished]:
        """Commit what workers would have made of some registered documents."""
        by_path = {doc.path: doc for doc in docs}
        pairs, after = [], 0
        state = open_state(self.directory, read_only=True)
        try:
            while True:
                work, following = unfinished(state, read_head(state), after, 2000, PhaseName.INDEX)
                if following == after:
                    break
                after = following
                for item in work:
                    if item.path in by_path:
                        pairs.append((item, self.reply(item.version, by_path[item.path])))
        finally:
            state.close()
        finished: list[Finished] = []
        for at in range(0, len(pairs), 200):
            finished += self.writer.call(commit_replies(pairs[at : at + 200], self.configs))
        return finished

    def reply(self, version: int, doc: Doc) -> DocumentReply:
        content = digest(doc.content if doc.content is not None else doc.text.encode())
        if doc.cause is not None:
            return DocumentReply(
                version,
                doc.status,
                PhaseName.CLEAN,
                doc.cause,
                doc.message,
                content,
                "text/plain",
            )
        clean = CleanText(doc.text, doc.title, doc.language, [], doc.links, doc.truncated)
        chunks = chunks_of(doc.text, self.chunk_size)
        payload, output = pack(clean)
        chunk_payload, chunk_output = pack(chunks)
        label = None
        if doc.label is not None:
            label = LabelResult(
                digest(f"{doc.label}{doc.text[:200]}".encode()), [doc.label], 0.875, "local", []
            )
        return DocumentReply(
            version=version,
            status=Status.DONE,
            phase=PhaseName.CLASSIFY,
            content=content,
            media_type=doc.media_type,
            clean=CleanResult(payload, output, len(doc.text)),
            chunk=ChunkResult(chunk_payload, chunk_output, len(chunks), sum(part.tokens for part in chunks)),
            label=label,
        )

    def index(self, index: TextIndex, finished: Sequence[Finished], *, record: bool = True) -> None:
        """Add finished documents, commit, and record it unless told to crash before."""
        for item in finished:
            add_payloads(index, item.chunks, item.clean_payload, item.chunk_payload)
        index.commit()
        if record:
            self.record(finished)

    def record(self, finished: Sequence[Finished]) -> None:
        entries = [Indexed(item.version, item.size_bytes, 0, item.chunks) for item in finished if item.chunks]
        for at in range(0, len(entries), 500):
            self.writer.call(record_indexed(entries[at : at + 500]))

    def run(self, docs: Sequence[Doc], index: TextIndex | None = None) -> list[Finished]:
        """Scan, process and index documents."""
        self.scan(docs)
        finished = self.process(docs)
        own = index or TextIndex(self.directory)
        self.index(own, finished)
        if index is None:
            own.close()
        return finished

    def close(self) -> None:
        self.writer.close()


def add_payloads(index: TextIndex, artifact: int | None, clean: bytes | None, chunks: bytes | None) -> None:
    """Add one chunk artifact from its stored payloads."""
    assert artifact is not None
    assert clean is not None
    assert chunks is not None
    text = unpack(clean, CleanText)
    parts = unpack(chunks, list[Chunk])
    index.add(
        artifact,
        text.title or "",
        [text.text[part.start : part.end] for part in parts],
        [part.heading for part in parts],
        replace=True,
        language=text.language,
    )
