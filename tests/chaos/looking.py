"""All that a workspace shows from its head or from a point of its history, as one value to compare.

Each result is read the way search finds it and the way the feeder does, and what it consists of is decoded
and checked against its sums.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec
import zstandard

from tests.chaos.folder import CLASSIFY, CLEAN, INDEX, Result, Results
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.search.visible import latest
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.settings_in_force import DOCUMENT_SECTIONS
from tui_scraper.engine.store.artifacts import LOST, StoredLabel, sum_of
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.head import PHASE_NUMBER, STATUSES, Head, read_head
from tui_scraper.engine.store.results import reached


@dataclass(frozen=True)
class Document:
    """A document as the store sees it from its head: what is not in `results` is pending."""

    version: int
    size_bytes: int
    parent: bytes | None
    results: Results
    artifacts: Mapping[PhaseName, int]

    def only(self, phases: Collection[PhaseName]) -> Document:
        """The same document with the results of some phases only."""
        results = {phase: result for phase, result in self.results.items() if phase in phases}
        artifacts = {phase: artifact for phase, artifact in self.artifacts.items() if phase in phases}
        return dataclasses.replace(self, results=results, artifacts=artifacts)

    def without(self, phases: Collection[PhaseName]) -> Document:
        """The same document with some phases pending."""
        return self.only(self.results.keys() - phases)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return INDEX in self.results or any(status != "done" for status, *_ in self.results.values())


@dataclass(frozen=True)
class View:
    """All that a head shows: its documents by path, and the settings in force."""

    documents: Mapping[bytes, Document]
    settings: str
    pinned: bool

    def without(self, lost: Collection[int]) -> View:
        """The same where some artifacts are lost: what holds them is pending, and so is its index."""
        documents = {
            path: document.without({INDEX, *phases}) if phases else document
            for path, document in self.documents.items()
            for phases in [{phase for phase, artifact in document.artifacts.items() if artifact in lost}]
        }
        return dataclasses.replace(self, documents=documents)


@dataclass
class Eyes:
    """Look with these connections. `lost` are artifacts known to be damaged, with what they held."""

    state: apsw.Connection
    blobs: apsw.Connection
    lost: dict[int, object] = field(default_factory=dict)
    _values: dict[int, object] = field(default_factory=dict)

    def look(self, head: Head | None = None) -> View:
        """All that the head shows, as search sees it and as the feeder sees it: they must agree."""
        head = head or read_head(self.state)
        columns = "".join(
            f", {latest(head, 'status', lineage)}, {latest(head, 'artifact', lineage)}, "
            f"(SELECT cause FROM failure WHERE seq = {latest(head, 'seq', lineage)})"
            for lineage in head.lineages.values()
        )
        rows: Any = self.state.execute(
            f"""SELECT r.version, r.path, r.size_bytes,
                (SELECT path FROM document WHERE id = r.parent){columns}
            FROM (SELECT v.id AS version, d.path, v.size_bytes, d.parent
                FROM version v JOIN document d ON d.id = v.document WHERE {head.live()}) r"""
        ).fetchall()
        fed = reached(self.state, head, [row[0] for row in rows]) if head.lineages else {}
        documents: dict[bytes, Document] = {}
        for version, path, size_bytes, parent, *found in rows:
            results: dict[PhaseName, Result] = {}
            artifacts: dict[PhaseName, int] = {}
            for place, phase in enumerate(head.lineages):
                status, artifact, cause = found[place * 3 : place * 3 + 3]
                other = fed[version].get(PHASE_NUMBER[phase])
                assert (status, artifact) == ((other.status, other.artifact) if other else (None, None))
                if status:
                    value = self.value(artifact) if status == 1 and artifact else None
                    results[phase] = str(STATUSES[status]), cause or "", value
                    if artifact:
                        artifacts[phase] = artifact
            assert path not in documents
            documents[path] = Document(version, size_bytes, parent, results, artifacts)
        run = self.state.execute("SELECT settings FROM run WHERE id = ?", (head.run,)).get
        settings = _recorded(str(run)) if run else ""
        return View(documents, settings, head.pinned)

    def lost_now(self) -> set[int]:
        """Artifacts that have lost what they held."""
        rows: Any = self.state.execute(f"SELECT id FROM artifact a WHERE {LOST}").fetchall()
        return {row[0] for row in rows}

    def value(self, artifact: int) -> object:
        """What an artifact holds, decoded and checked against its sums."""
        row: Any = self.state.execute(
            f"SELECT phase, output, blob, data, data_sum, amount, {LOST} FROM artifact a WHERE id = ?",
            (artifact,),
        ).fetchone()
        phase, output, blob, data, data_sum, amount, lost = row
        if lost:
            return self.lost[artifact]
        self.lost.pop(artifact, None)
        assert data_sum in (None, sum_of(data))  # none where an older version of the program made it
        if phase == PHASE_NUMBER[CLASSIFY]:
            return tuple(msgspec.msgpack.decode(data, type=StoredLabel).labels)
        if artifact not in self._values:
            payload = self.blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get
            assert digest(zstandard.decompress(payload)) == output
            self._values[artifact] = output if phase == PHASE_NUMBER[CLEAN] else (output, amount)
        return self._values[artifact]


@functools.cache
def _recorded(text: str) -> str:
    return shown(Settings.model_validate_json(text))


def shown(settings: Settings) -> str:
    """The settings that documents' results may depend on."""
    return settings.model_dump_json(include=set(DOCUMENT_SECTIONS))
