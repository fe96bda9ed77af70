"""Mending the rows of a database that can be read: what does not hold together is taken out or put back.

All of it is one transaction, and every step looks for itself at what is wrong, so a repair that was
interrupted is simply made again. What becomes pending is made again by the next run, or found by its key:
labels that were paid for or set by a person are artifacts, and stay.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.connection import SCHEMA_VERSION
from tui_scraper.engine.store.head import (
    DOCUMENT_PHASES,
    PHASE_NUMBER,
    STATUS_NUMBER,
    config_of,
    lineage_of,
    parent_lineage,
    read_head,
)
from tui_scraper.engine.store.lost import put_lost_back, put_versions_back, take_away
from tui_scraper.engine.store.seal import NUMBERED, counted, highest, sealed_meta
from tui_scraper.engine.store.setbacks import bad_results, uphold_refusals
from tui_scraper.engine.store.vectors import forget_payload
from tui_scraper.engine.store.writer import Transaction
from tui_scraper.engine.verify.documents import IMPOSSIBLE_VERSION, incomplete_containers, misnamed
from tui_scraper.engine.verify.look import Look
from tui_scraper.engine.verify.mending_counters import count_everything_anew
from tui_scraper.engine.verify.mending_history import mend_history
from tui_scraper.engine.verify.results import HOMELESS, UNFOUNDED, mismatched
from tui_scraper.engine.verify.vectors import STRANGE

_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_INDEX = PHASE_NUMBER[PhaseName.INDEX]
_PENDING = STATUS_NUMBER[Status.PENDING]
_DONE = STATUS_NUMBER[Status.DONE]


_INCOMPLETE = """UPDATE run SET state = 'incomplete'
    WHERE state = 'complete' AND id = (SELECT max(id) FROM run)"""


def mend(look: Look, *, only_index: bool) -> list[str]:
    """Mend what `look` has found, over connections that may write. Returns sentences about what was done.

    With `only_index` the rows are sound, and only the search index is to be made again.
    """
    with look.state:
        mending = _Mending(look)
        if not only_index:
            mending.run()
        elif look.found.index:
            mending.empty_index()
    return mending.done


class _Mending:
    def __init__(self, look: Look) -> None:
        self._look = look
        self._state = look.state
        self.done: list[str] = []

    def run(self) -> None:
        self._restore_meta()
        rows_lost = self._rows_are_missing()
        self._put_floors()
        mend_history(self._look, self._tell)
        self._look.head = read_head(self._state)
        self._documents()
        self._artifacts()
        self._results()
        take_away(self._state, self._look.found.lost)
        self._vectors()
        self._human()
        self._tell(len(self._look.found.lost), "damaged payloads, labels or lists of members taken away")
        self._account()  # from here on numbers are handed out
        transaction = Transaction(self._state, self._look.blobs)
        self._put_back(transaction, all_bad=rows_lost)
        if self._look.found.index:
            self.empty_index()
        count_everything_anew(self._look)
        self._state.execute("UPDATE head SET settled = 0, arrived = 0")
        self._state.execute("UPDATE export SET manifest = x''")
        self._state.execute(_INCOMPLETE)
        self._account()

    def _tell(self, count: int, what: str) -> None:
        if count:
            self.done.append(f"{count:,} {what}")

    def _change(self, sql: str, *values: object) -> int:
        before = self._state.total_changes()
        self._state.execute(sql, values)
        return self._state.total_changes() - before

    def _restore_meta(self) -> None:
        """What is missing, and what is not as it was when the workspace was closed."""
        known: dict[str, Any] = {"schema": SCHEMA_VERSION, "created": time.time()}
        conflict = "NOTHING"
        seal = self._look.seal
        if seal is not None:
            known.update(sealed_meta(seal))
            if seal.closed:
                conflict = "UPDATE SET value = excluded.value WHERE value IS NOT excluded.value"
        for key, value in known.items():
            self._tell(
                self._change(f"INSERT INTO meta VALUES(?, ?) ON CONFLICT DO {conflict}", key, value),
                f"row of the table meta restored ({key})",
            )
        if not counted(self._state, "index_generation") and self._look.one(
            "SELECT 1 FROM config WHERE phase = 4 AND json LIKE '%generation%'"
        ):
            self._look.found.index = True

    def _rows_are_missing(self) -> bool:
        """Whether results were lost that may have followed others."""
        rows = self._look.one("SELECT count(*) FROM result")
        last = highest(self._state, "result", "seq")
        if self._look.seal is not None:
            last = max(last, self._look.seal.last.get("result", 0))
        return bool(last - rows > counted(self._state, "gone:result"))

    def _put_floors(self) -> None:
        """Numbers that were handed out are not handed out again, although their rows are gone."""
        floors = dict(self._look.seal.last) if self._look.seal is not None else {}
        if self._look.seal is None or not self._look.seal.closed:
            seqs = "SELECT max(seq) AS seq FROM checkpoint UNION SELECT max(fork_seq) FROM branch"
            floors["result"] = max(
                floors.get("result", 0),
                self._look.one(f"SELECT coalesce(max(seq), 0) FROM ({seqs})"),  # noqa: S608
            )
            floors["version"] = max(
                floors.get("version", 0), self._look.one("SELECT coalesce(max(version), 0) FROM result")
            )
            floors["artifact"] = max(
                floors.get("artifact", 0), self._look.one("SELECT coalesce(max(artifact), 0) FROM result")
            )
        for table, column in NUMBERED.items():
            floor = floors.get(table, 0)
            if floor > highest(self._state, table, column):
                self._put_number(f"floor:{table}", floor)

    def _put_number(self, key: str, value: int) -> None:
        self._state.execute(
            "INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
        )

    def _account(self) -> None:
        """Say how many rows each table has lost, so that they are no longer missed."""
        for table, column in NUMBERED.items():
            rows = self._look.one(f"SELECT count(*) FROM {table}")  # noqa: S608
            gone = highest(self._state, table, column) - rows
            if gone != counted(self._state, f"gone:{table}"):
                self._put_number(f"gone:{table}", gone)

    def _documents(self) -> None:
        self._tell(
            self._change(
                f"""DELETE FROM version WHERE id IN (SELECT v.id FROM version v WHERE {IMPOSSIBLE_VERSION}
                OR NOT EXISTS (SELECT 1 FROM document d WHERE d.id = v.document))"""  # noqa: S608
            ),
            "versions taken out",
        )
        source = self._look.one("SELECT value FROM meta WHERE key = 'source'")
        removed = 0
        for document, path, uid in list(misnamed(self._look)):
            at_home = isinstance(source, bytes) and os.path.lexists(os.path.join(source, path))
            outside = not self._look.one("SELECT parent FROM document WHERE id = ?", document)
            if outside and at_home:  # the name is right, so the id is not
                self._state.execute("UPDATE document SET uid = ? WHERE id = ?", (uid, document))
            else:
                removed += self._remove_document(document)
        self._tell(removed, "documents taken out, to be registered anew")

    def _artifacts(self) -> None:
        """Take out what nobody can have written; what lost its payload or data only is dealt with later."""
        self._state.execute("UPDATE artifact SET cost_nano_usd = 0 WHERE cost_nano_usd < 0")
        self._state.execute("UPDATE artifact SET blob = NULL WHERE phase = 3 AND blob IS NOT NULL")
        self._tell(
            self._change(
                "DELETE FROM artifact WHERE NOT phase BETWEEN 1 AND 3 OR length(output) != 16 OR amount < 0"
            ),
            "artifacts taken out",
        )

    def _remove_document(self, document: int) -> int:
        """Take out a document and what is inside it; its artifacts stay."""
        waiting, removed = [document], 0
        while waiting:
            one = waiting.pop()
            waiting += [
                row[0]
                for row in self._look.ask("SELECT id FROM document WHERE parent = ? AND parent > 0", one)
            ]
            self._state.execute("DELETE FROM version WHERE document = ?", (one,))
            removed += self._change("DELETE FROM document WHERE id = ?", one)
        return removed

    def _results(self) -> None:
        self._tell(
            self._change(f"DELETE FROM result WHERE seq IN (SELECT r.seq FROM result r WHERE {HOMELESS})"),  # noqa: S608
            "results taken out",
        )
        self._state.execute("CREATE TEMP TABLE wrong(seq INTEGER PRIMARY KEY)")
        self._state.execute(f"INSERT INTO temp.wrong SELECT r.seq FROM result r WHERE {UNFOUNDED}")  # noqa: S608
        self._state.executemany(
            "INSERT OR IGNORE INTO temp.wrong VALUES(?)",
            [(seq,) for seq, _path in list(mismatched(self._look))],
        )
        self._tell(self._look.one("SELECT count(*) FROM temp.wrong"), "results put back to pending")
        self._state.execute(
            f"""UPDATE result SET status = {_PENDING} WHERE phase = {_INDEX} AND status = {_DONE}
            AND version IN (SELECT r.version FROM temp.wrong w JOIN result r ON r.seq = w.seq)"""  # noqa: S608
        )
        self._state.execute(
            f"""UPDATE result SET status = {_PENDING}, artifact = NULL, attempt = max(attempt, 1)
            WHERE seq IN (SELECT seq FROM temp.wrong)"""  # noqa: S608
        )
        self._state.execute("DROP TABLE temp.wrong")
        self._state.execute("DELETE FROM failure WHERE seq NOT IN (SELECT seq FROM result WHERE status > 1)")

    def _put_back(self, transaction: Transaction, *, all_bad: bool) -> None:
        """Put documents at the head back to pending where something is lost or incomplete."""
        head = read_head(self._state)
        self._look.head = head
        if not head.lineages:
            return
        self._tell(
            put_lost_back(transaction), "results at the head put back to pending: what they hold is lost"
        )
        containers = [(_CLEAN, version) for version, _path in list(incomplete_containers(self._look))]
        put_versions_back(transaction, head, containers)
        self._tell(len(containers), "containers put back to pending, to register what is inside them")
        if all_bad:  # a later result of these may be among those that are gone
            bad = [(row.phase, row.version) for row in bad_results(self._state, head)]
            put_versions_back(transaction, head, bad)
            self._tell(len(bad), "documents that failed, were skipped or empty tried again")
        put_versions_back(transaction, head, [(_INDEX, version) for version in self._indexed_too_early()])
        uphold_refusals(transaction)

    def _indexed_too_early(self) -> list[int]:
        """Versions that count as indexed at the head although an earlier phase is to be done again."""
        head = read_head(self._state)

        def latest(phase: PhaseName) -> str:
            return (
                f"(SELECT r.status FROM result r WHERE r.lineage = {head.lineages[phase]}"  # noqa: S608
                f" AND r.version = v.id AND {head.visible()} ORDER BY r.seq DESC LIMIT 1)"
            )

        earlier = " OR ".join(
            f"{latest(phase)} IS NOT {_DONE}"
            for phase in (PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY)
        )
        rows = self._look.ask(
            f"""SELECT v.id FROM version v
            WHERE {head.live()} AND {latest(PhaseName.INDEX)} = {_DONE} AND ({earlier})"""  # noqa: S608
        )
        return [row[0] for row in rows]

    def _vectors(self) -> None:
        for blob in self._look.found.vectors:
            forget_payload(self._state, blob)
        self._tell(len(self._look.found.vectors), "payloads of vectors taken out")
        strange = self._change(f"DELETE FROM unembedded AS u WHERE {STRANGE}")  # noqa: S608
        self._tell(strange, "rows about missing vectors taken out")

    def _human(self) -> None:
        for number in self._look.found.human:
            self._state.execute("UPDATE human SET data = NULL WHERE number = ?", (number,))
        self._tell(len(self._look.found.human), "labels of people that cannot be read taken away")

    def empty_index(self) -> None:
        """Begin the next generation of the search index: every document is indexed again."""
        state = self._state
        generation = counted(state, "index_generation")
        for (text,) in self._look.ask(
            f"SELECT c.json FROM lineage l JOIN config c ON c.id = l.config WHERE l.phase = {_INDEX}"  # noqa: S608
        ):
            known = json.loads(text).get("generation", 0)
            generation = max(generation, known if isinstance(known, int) else 0)
        state.execute("DELETE FROM indexed")
        self._put_number("index_generation", generation + 1)
        self.done.append("the search index emptied; the next run builds it again")
        head = read_head(state)
        if PhaseName.INDEX not in head.lineages:
            return
        version, config = config_of(state, head.lineages[PhaseName.INDEX])
        parent = parent_lineage(head.lineages, PhaseName.INDEX)
        lineage = lineage_of(
            state, PhaseName.INDEX, version, {**config, "generation": generation + 1}, parent
        )
        lineages = {**head.lineages, PhaseName.INDEX: lineage}
        state.execute(
            "UPDATE head SET lineages = ?, settled = 0",
            (json.dumps({str(phase): lineages[phase] for phase in DOCUMENT_PHASES}),),
        )
        state.execute("DELETE FROM counter WHERE branch = ? AND lineage = ?", (head.branch, lineage))
        state.execute(_INCOMPLETE)
