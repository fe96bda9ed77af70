"""What the head holds, in a few numbers: what is made from it is not made again while nothing changes."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

import apsw

from tui_scraper.engine.models import PHASES, PhaseName
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.head import PHASE_NUMBER, Head
from tui_scraper.engine.store.human import last_given
from tui_scraper.engine.store.writer import FLOOR

_SAMPLE, _ALIKE = "sample", "alike"
"""What may stand in the JSON of lineages beside the phases."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Equal fingerprints of one workspace mean the same rows.

    `seq` is the last result, `version` the last version of a document, and `scan` the last scan at the head
    that changed anything; `changes` is all that the scans up to the head's have registered. `lineages` is
    JSON, with a hash of the sample and the similarity of near-duplicates where there are such. `given` is the
    last label that a person gave.
    """

    branch: int
    lineages: str
    seq: int
    scan: int
    version: int
    changes: int
    given: int = 0

    def leads_to(self, later: Fingerprint) -> bool:
        """Whether all that happened since is in results, versions and scans with higher numbers.

        Not so after a rollback, with other settings, or for a sample.
        """
        return (
            (self.branch, self.lineages) == (later.branch, later.lineages)
            and _SAMPLE not in json.loads(self.lineages)
            and self.seq <= later.seq
            and self.scan <= later.scan
            and self.version <= later.version
            and self.given <= later.given
            and self.changes >= 0
        )


def read_fingerprint(
    connection: apsw.Connection,
    head: Head,
    sample_versions: Collection[int] | None = None,
    alike: float = 0.0,
    *,
    through: PhaseName | None = None,
) -> Fingerprint:
    """What the head holds now. Costs the same for any number of documents.

    `alike`: near-duplicates from this similarity on are part of it; 0: they are not. `through`: nothing is
    that later phases have made, nor a label by hand; rows of those that came last are passed over.
    """
    last = PHASE_NUMBER[through or PHASES[-1]]
    lineages: dict[str, object] = {
        str(phase): lineage for phase, lineage in head.lineages.items() if PHASE_NUMBER[phase] <= last
    }
    if sample_versions is not None:
        listed = b"".join(version.to_bytes(8, "big") for version in sorted(sample_versions))
        lineages[_SAMPLE] = digest(listed).hex()
    if alike:
        lineages[_ALIKE] = alike
    scan, changes = connection.execute(
        """SELECT coalesce(max(iif(changes > 0, id, 0)), 0), coalesce(sum(changes), 0)
        FROM scan WHERE id <= ?""",
        (head.scan,),
    ).get
    return Fingerprint(
        branch=head.branch,
        lineages=json.dumps(lineages, sort_keys=True),
        seq=_last(connection, "result", "seq", f"WHERE phase <= {last}" if through else ""),
        scan=scan,
        version=_last(connection, "version", "id"),
        changes=changes,
        given=0 if through else last_given(connection),
    )


def _last(connection: apsw.Connection, table: str, column: str, where: str = "") -> int:
    """The highest number handed out in a table, also where what had it was freed."""
    last = f"SELECT {column} FROM {table} {where} ORDER BY {column} DESC LIMIT 1"  # noqa: S608
    found = connection.execute(last).get
    freed = connection.execute("SELECT value FROM meta WHERE key = ?", (FLOOR + table,)).get
    return max(int(found or 0), int(freed or 0))
