"""What an export holds, in a few numbers, so that an unchanged corpus is not exported again."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import apsw

from tui_scraper import __version__
from tui_scraper.engine.export.manifest import FORMAT_VERSION, read_manifest
from tui_scraper.engine.models import Counts
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.writer import Operation, Transaction


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Equal fingerprints of one workspace mean the same rows.

    `seq` is the last result the head can see, `scan` the last one at the head that changed anything.
    `lineages` is JSON, with a hash of the sample where there is one.
    """

    branch: int
    lineages: str
    seq: int
    scan: int


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A finished export. `sha256` and `size_bytes` are those of `documents.jsonl`.

    `fingerprint` says what of the store it holds and `manifest_sha256` is the hash of the manifest;
    both are what `record_export` keeps.
    """

    directory: Path
    documents: int
    chunks: int
    counts: Counts
    sha256: str
    size_bytes: int
    seconds: float
    fingerprint: Fingerprint
    manifest_sha256: bytes


def read_fingerprint(
    connection: apsw.Connection, head: Head, sample_versions: Collection[int] | None = None
) -> Fingerprint:
    """What the head holds now. Costs the same for any number of documents."""
    lineages: dict[str, object] = {str(phase): lineage for phase, lineage in head.lineages.items()}
    if sample_versions is not None:
        listed = b"".join(version.to_bytes(8, "big") for version in sorted(sample_versions))
        lineages["sample"] = digest(listed).hex()
    return Fingerprint(
        branch=head.branch,
        lineages=json.dumps(lineages, sort_keys=True),
        seq=connection.execute("SELECT coalesce(max(seq), 0) FROM result").get,
        scan=connection.execute(
            "SELECT coalesce(max(id), 0) FROM scan WHERE changes > 0 AND id <= ?", (head.scan,)
        ).get,
    )


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
                mark.lineages,
                mark.seq,
                mark.scan,
                report.documents,
                report.manifest_sha256,
                time.time(),
            ),
        )
        return transaction.state.last_insert_rowid()

    return operation


def is_current(
    connection: apsw.Connection,
    head: Head,
    target: Path,
    sample_versions: Collection[int] | None = None,
) -> bool:
    """Whether `target` holds exactly what exporting now would write.

    The folder must still have the recorded manifest and files of the sizes it states, and have been
    written by this version of the program.
    """
    target = Path(target).resolve()
    row = connection.execute(
        "SELECT branch, lineages, seq, scan, manifest FROM export WHERE dir = ? ORDER BY id DESC LIMIT 1",
        (_name(target),),
    ).fetchone()
    if row is None or Fingerprint(*row[:4]) != read_fingerprint(connection, head, sample_versions):
        return False
    found = read_manifest(target)
    if found is None or found[1] != row[4]:
        return False
    manifest = found[0]
    if (manifest.format_version, manifest.program_version) != (FORMAT_VERSION, __version__):
        return False
    try:
        return all((target / file.name).stat().st_size == file.size_bytes for file in manifest.files)
    except OSError:
        return False


def _name(directory: Path) -> str:
    """A folder's name as it is recorded; bytes that are not UTF-8 are escaped."""
    return str(directory).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
