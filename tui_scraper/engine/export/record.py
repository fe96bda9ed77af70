"""What an export holds, in a few numbers, so that what has not changed is not exported again."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from tui_scraper import __version__
from tui_scraper.engine.export.formats import DEFAULT_FORMATS, FORMATS
from tui_scraper.engine.export.manifest import FORMAT_VERSION, ExportedFile, Manifest, read_manifest
from tui_scraper.engine.models import Counts
from tui_scraper.engine.settings import ALIKE
from tui_scraper.engine.store.fingerprint import Fingerprint, read_fingerprint
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.writer import Operation, Transaction

_VERSION, _CHANGES, _GIVEN = "version", "changes", "given"
"""What stands in the recorded JSON of lineages beside the phases."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A finished export. `files` are those that its manifest lists.

    `fingerprint` says what of the store it holds and `manifest_sha256` is the hash of the manifest;
    both are what `record_export` keeps. `carried` of the documents were taken over from the export that
    was in place, because nothing about them had changed.
    """

    directory: Path
    documents: int
    chunks: int
    counts: Counts
    files: list[ExportedFile]
    seconds: float
    fingerprint: Fingerprint
    manifest_sha256: bytes
    carried: int = 0


def record_export(report: ExportReport) -> Operation[int]:
    """Record a finished export. Returns its id."""

    def operation(transaction: Transaction) -> int:
        mark = report.fingerprint
        transaction.state.execute(
            """INSERT INTO export(dir, branch, lineages, seq, scan, documents, manifest, time)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                _name(report.directory),
                mark.branch,
                json.dumps(
                    json.loads(mark.lineages)
                    | {_VERSION: mark.version, _CHANGES: mark.changes, _GIVEN: mark.given},
                    sort_keys=True,
                ),
                mark.seq,
                mark.scan,
                report.documents,
                report.manifest_sha256,
                time.time(),
            ),
        )
        return transaction.state.last_insert_rowid()

    return operation


def recorded(connection: apsw.Connection, target: Path) -> tuple[Fingerprint, Manifest] | None:
    """What the export in `target` holds, by its record; None where there is none or it does not fit.

    The folder must still have the recorded manifest and files of the sizes it states, and have been
    written by this version of the program.
    """
    target = Path(target).resolve()
    row: Any = connection.execute(
        "SELECT branch, lineages, seq, scan, manifest FROM export WHERE dir = ? ORDER BY id DESC LIMIT 1",
        (_name(target),),
    ).fetchone()
    found = read_manifest(target) if row is not None else None
    if found is None or found[1] != row[4]:
        return None
    manifest = found[0]
    if (manifest.format_version, manifest.program_version) != (FORMAT_VERSION, __version__):
        return None
    try:
        for file in manifest.files:
            if (target / file.name).stat().st_size != file.size_bytes:
                return None
            folder = FORMATS[file.format].folder if file.format in FORMATS else ""
            if folder and not (target / folder).is_dir():
                return None
    except OSError:
        return None
    branch, text, seq, scan, _manifest = row
    lineages = json.loads(text)
    version, changes = lineages.pop(_VERSION, 0), lineages.pop(_CHANGES, -1)
    given = lineages.pop(_GIVEN, 0)
    known = json.dumps(lineages, sort_keys=True)
    return Fingerprint(branch, known, seq, scan, version, changes, given), manifest


def is_current(
    connection: apsw.Connection,
    head: Head,
    target: Path,
    sample_versions: Collection[int] | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    alike: float = ALIKE,
) -> bool:
    """Whether `target` holds exactly what exporting now in these formats would write."""
    found = recorded(connection, target)
    if found is None or {file.format for file in found[1].files} & FORMATS.keys() != set(formats):
        return False
    return found[0] == read_fingerprint(connection, head, sample_versions, alike)


def _name(directory: Path) -> str:
    """A folder's name as it is recorded; bytes that are not UTF-8 are escaped."""
    return str(directory).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
