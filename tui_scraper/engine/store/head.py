"""Where a workspace stands: its head, the lineages in force, and which results the head can see.

A lineage says "this phase with these settings, on top of that". A branch begins at a rollback and
reads its ancestors' results only up to the fork and only for the phases that were kept. So moving
the head is all a rollback does, and it costs the same for ten documents as for a million.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import apsw

from tui_scraper.engine.models import PHASES, PhaseName, Status
from tui_scraper.engine.store.codec import digest

PHASE_NUMBER: dict[PhaseName, int] = {name: number for number, name in enumerate(PHASES)}
STATUS_NUMBER: dict[Status, int] = {status: number for number, status in enumerate(Status)}
STATUSES: tuple[Status, ...] = tuple(Status)

DOCUMENT_PHASES: tuple[PhaseName, ...] = PHASES[:5]
"""The phases that leave a result for each document. Output works on the corpus as a whole."""

ALL_SEQS = 2**62
"""No bound: a branch sees all of its own results."""


@dataclass(frozen=True)
class Head:
    """A point of history that everything is read from: where the workspace stands, or stood.

    `chain` lists (branch, last visible seq, last visible phase), the own branch first.
    `lineages` maps each phase to the lineage in force; it is empty before the first run.
    `settled` is the version id up to which every document has finished all its phases.
    `run` is the run whose settings are in force. `pinned`: they stay so since a rollback, whatever the
    settings file says.
    """

    branch: int
    scan: int
    checkpoint: int
    lineages: dict[PhaseName, int]
    chain: tuple[tuple[int, int, int], ...]
    settled: int = 0
    run: int = 0
    pinned: bool = False

    def visible(self, table: str = "r") -> str:
        """An SQL condition on `result` that holds for rows that can be seen from here."""
        if len(self.chain) == 1 and self.chain[0][1] == ALL_SEQS:
            return f"({table}.branch = {self.branch})"
        # CASE and not OR: SQLite bounds the depth of an expression, nobody bounds how often one goes back.
        seqs = " ".join(f"WHEN {branch} THEN {seq}" for branch, seq, _phase in self.chain)
        phases = " ".join(f"WHEN {branch} THEN {phase}" for branch, _seq, phase in self.chain)
        return (
            f"({table}.seq <= CASE {table}.branch {seqs} ELSE -1 END"
            f" AND {table}.phase <= CASE {table}.branch {phases} ELSE -1 END)"
        )

    def live(self, table: str = "v") -> str:
        """An SQL condition on `version` that holds for versions present in the scan."""
        ends = f"{table}.scan_to"
        return f"({table}.scan_from <= {self.scan} AND ({ends} IS NULL OR {ends} > {self.scan}))"

    def encode(self) -> str:
        """The head's row as JSON, as the reflog keeps it."""
        return json.dumps(
            {
                "branch": self.branch,
                "scan": self.scan,
                "checkpoint": self.checkpoint,
                "lineages": {str(phase): lineage for phase, lineage in self.lineages.items()},
                "settled": self.settled,
                "run": self.run,
                "pinned": self.pinned,
            }
        )


def read_head(connection: apsw.Connection) -> Head:
    """Read the head with its chain of branches."""
    branch, scan, checkpoint, lineages, settled, run, pinned = connection.execute(
        "SELECT branch, scan, checkpoint, lineages, settled, run, pinned FROM head"
    ).get
    return Head(
        branch=branch,
        scan=scan,
        checkpoint=checkpoint,
        lineages=decode_lineages(lineages),
        chain=_chain(connection, branch, ALL_SEQS),
        settled=settled,
        run=run,
        pinned=bool(pinned),
    )


def read_point(connection: apsw.Connection, checkpoint: int) -> Head | None:
    """Look at the workspace from a checkpoint; None where there is none with that id."""
    row: Any = connection.execute(
        "SELECT branch, scan, seq, lineages, run FROM checkpoint WHERE id = ?", (checkpoint,)
    ).fetchone()
    if row is None:
        return None
    branch, scan, seq, lineages, run = row
    chain = _chain(connection, branch, seq)
    return Head(branch, scan, checkpoint, decode_lineages(lineages), chain, run=run)


def decode_head(connection: apsw.Connection, text: str) -> Head:
    """The head that a row of the reflog tells of."""
    row = json.loads(text)
    chain = _chain(connection, row["branch"], ALL_SEQS)
    lineages = {PhaseName(name): lineage for name, lineage in row["lineages"].items()}
    return Head(
        row["branch"],
        row["scan"],
        row["checkpoint"],
        lineages,
        chain,
        row["settled"],
        row["run"],
        row["pinned"],
    )


def write_head(connection: apsw.Connection, head: Head) -> None:
    """Put the head somewhere else."""
    connection.execute(
        """UPDATE head SET branch = ?, scan = ?, checkpoint = ?, lineages = ?, settled = ?, run = ?,
        pinned = ?""",
        (
            head.branch,
            head.scan,
            head.checkpoint,
            encode_lineages(head.lineages),
            head.settled,
            head.run,
            head.pinned,
        ),
    )


def encode_lineages(lineages: Mapping[PhaseName, int]) -> str:
    """As JSON: phase -> lineage."""
    return json.dumps({str(phase): lineage for phase, lineage in lineages.items()})


def decode_lineages(text: str) -> dict[PhaseName, int]:
    """What `encode_lineages` has written."""
    return {PhaseName(name): lineage for name, lineage in json.loads(text).items()}


def _chain(connection: apsw.Connection, branch: int, seq: int) -> tuple[tuple[int, int, int], ...]:
    rows: Any = connection.execute(
        """WITH RECURSIVE chain(branch, seq, phase) AS (
            VALUES(?, ?, ?)
            UNION ALL
            SELECT b.parent, min(c.seq, b.fork_seq), min(c.phase, b.kept)
            FROM chain c JOIN branch b ON b.id = c.branch WHERE b.parent > 0
        ) SELECT branch, seq, phase FROM chain""",
        (branch, seq, PHASE_NUMBER[PhaseName.OUTPUT]),
    )
    return tuple(rows)


PhaseConfigs = Mapping[PhaseName, tuple[int, Mapping[str, object]]]
"""Phase -> (version of its code, the settings that matter to it)."""


def config_hash(phase: PhaseName, version: int, config: Mapping[str, object]) -> bytes:
    """Identify the settings of a phase together with the version of its code."""
    text = json.dumps([phase, version, config], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return digest(text.encode())


def is_known(
    connection: apsw.Connection, phase: PhaseName, version: int, config: Mapping[str, object]
) -> bool:
    """Whether these settings of a phase have ever been in force here."""
    known = "SELECT EXISTS(SELECT 1 FROM config WHERE phase = ? AND hash = ?)"
    return bool(connection.execute(known, (PHASE_NUMBER[phase], config_hash(phase, version, config))).get)


def artifact_key(config: bytes, source: bytes) -> bytes:
    """The key of what a phase makes of `source` with `config` (both hashes)."""
    return digest(config + source)


def clean_source(content: bytes, media_type: str) -> bytes:
    """What the clean phase's key is made from: the hash of a file's bytes, and what they were taken for."""
    return content + media_type.encode()


def lineage_of(
    connection: apsw.Connection, phase: PhaseName, version: int, config: Mapping[str, object], parent: int
) -> int:
    """The lineage "this phase with these settings, on top of `parent`" (0: of nothing), made if it is new."""
    number = PHASE_NUMBER[phase]
    hashed = config_hash(phase, version, config)
    connection.execute(
        """INSERT INTO config(phase, hash, json, version) VALUES(?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET version = excluded.version WHERE version = 0""",  # of an older schema
        (number, hashed, json.dumps(config, sort_keys=True), version),
    )
    config_id = connection.execute("SELECT id FROM config WHERE phase = ? AND hash = ?", (number, hashed)).get
    connection.execute(
        "INSERT INTO lineage(parent, phase, config) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
        (parent, number, config_id),
    )
    return int(
        connection.execute(
            "SELECT id FROM lineage WHERE parent = ? AND phase = ? AND config = ?",
            (parent, number, config_id),
        ).get
    )


def parent_lineage(lineages: Mapping[PhaseName, int], phase: PhaseName) -> int:
    """What a phase's lineage stands on.

    The input phase stands by itself: what it lets in changes which documents there are, not what
    becomes of them. The other phases form a chain, so that a change redoes all that follows it.
    """
    before = DOCUMENT_PHASES.index(phase) - 1
    return lineages[DOCUMENT_PHASES[before]] if before > 0 else 0


def chain_of_lineages(connection: apsw.Connection, configs: PhaseConfigs) -> dict[PhaseName, int]:
    """The lineage of each phase under some settings. `configs` maps a phase to (code version, settings)."""
    lineages: dict[PhaseName, int] = {}
    for phase in DOCUMENT_PHASES:
        version, config = configs[phase]
        lineages[phase] = lineage_of(connection, phase, version, config, parent_lineage(lineages, phase))
    return lineages


def config_of(connection: apsw.Connection, lineage: int) -> tuple[int, dict[str, object]]:
    """(version of the code, settings) of a lineage's phase."""
    version, text = connection.execute(
        "SELECT c.version, c.json FROM lineage l JOIN config c ON c.id = l.config WHERE l.id = ?", (lineage,)
    ).get
    return version, json.loads(text)


SALT = "asked anew"
"""A key in the settings of a phase that was asked anew: it makes other keys of the same questions."""
GENERATION = "generation"
"""A key in the settings of the index: which one it is of those that were built one after another."""


def settings_hash(phase: PhaseName, version: int, config: Mapping[str, object]) -> bytes:
    """Identify what was chosen for a phase: an index built again has the settings of the one before."""
    chosen = {key: value for key, value in config.items() if key not in (SALT, GENERATION)}
    return config_hash(phase, version, chosen)


def salts(connection: apsw.Connection, head: Head) -> dict[PhaseName, dict[str, object]]:
    """What phases that were asked anew have besides their settings, for as long as the head stays there."""
    found: dict[PhaseName, dict[str, object]] = {}
    for phase, lineage in head.lineages.items():
        salt = config_of(connection, lineage)[1].get(SALT)
        if salt is not None:
            found[phase] = {SALT: salt}
    return found
