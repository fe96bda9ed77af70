"""Artifacts: every payload unpacks into what its hash was taken of, every label and list has its checksum."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import msgspec
import zstandard

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.artifacts import StoredLabel, sum_of
from tui_scraper.engine.store.codec import MAX_RAW_BYTES, digest
from tui_scraper.engine.store.connection import BLOB_FILE, STATE_FILE, is_damage
from tui_scraper.engine.store.head import DOCUMENT_PHASES, PHASE_NUMBER
from tui_scraper.engine.verify.look import Finding, Gathered, Look, damage
from tui_scraper.engine.wire import Chunk, CleanText, Member

_CLEAN = PHASE_NUMBER[PhaseName.CLEAN]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_PAGE = 1_000

_TAKEN_AWAY = (
    "What is damaged is taken away and the documents become pending. Made again, it is there for all."
)

_KINDS = {
    "payload": ("{n} results hold a text or chunks that are damaged or missing.", BLOB_FILE),
    "data": ("{n} results hold a label or a list of members that is damaged.", f"{STATE_FILE}: artifact"),
    "amount": ("{n} results have another size than is kept with them.", f"{STATE_FILE}: artifact"),
    "shape": ("{n} results have an artifact that nobody can have written.", f"{STATE_FILE}: artifact"),
}


def check_artifacts(look: Look) -> Iterator[Finding]:
    """Read everything that phases have made."""
    look.chunks = array("i", [-1]) * (look.one("SELECT coalesce(max(id), 0) FROM artifact") + 1)
    look.state.execute("CREATE TEMP TABLE damaged(artifact INTEGER PRIMARY KEY, kind TEXT NOT NULL)")
    try:
        reader = _Reader(look)
        after = 0
        while rows := look.ask(_ARTIFACTS, after, _PAGE):
            found = [(row[0], kind) for row in rows if (kind := reader.judge(row))]
            look.state.executemany("INSERT INTO temp.damaged VALUES(?, ?)", found)
            look.found.lost.extend(artifact for artifact, _kind in found)
            after = rows[-1][0]
            look.proceed(len(rows))
        if look.found.lost:
            yield from _told(look)
    finally:
        look.state.execute("DROP TABLE temp.damaged")


_ARTIFACTS = """SELECT id, phase, output, blob, data, data_sum, amount, cost_nano_usd, created FROM artifact
    WHERE id > ? ORDER BY id LIMIT ?"""


class _Reader:
    """Reads one artifact after another."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._unpack = zstandard.ZstdDecompressor().decompress
        self._clean = msgspec.msgpack.Decoder(CleanText).decode
        self._chunks = msgspec.msgpack.Decoder(list[Chunk]).decode
        self._label = msgspec.msgpack.Decoder(StoredLabel).decode
        self._members = msgspec.msgpack.Decoder(list[Member]).decode

    def judge(self, row: Sequence[Any]) -> str:
        """What is wrong with an artifact: a key of `_KINDS`, '' where it is sound or known as lost."""
        artifact, phase, output, blob, data, data_sum, amount, cost, _created = row
        texts = phase in (_CLEAN, _CHUNK)
        whole = isinstance(output, bytes) and len(output) == 16 and amount >= 0 and cost >= 0
        if not whole or not (texts or phase == _CLASSIFY) or (not texts and blob is not None):
            return "shape"
        if data is None and phase == _CLASSIFY and data_sum is None:
            return "data"
        if data is not None and not self._sound_data(phase, data, data_sum):
            return "data"
        if not texts or blob is None:
            return ""
        return self._payload(artifact, phase, output, blob, amount)

    def _sound_data(self, phase: int, data: bytes, data_sum: bytes | None) -> bool:
        if data_sum is not None and sum_of(data) != data_sum:
            return False
        try:
            if phase == _CLASSIFY:
                self._label(data)
            else:
                self._members(data)
        except msgspec.MsgspecError:
            return False
        return True

    def _payload(self, artifact: int, phase: int, output: bytes, blob: int, amount: int) -> str:
        try:
            payload = self._look.blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get
        except apsw.Error as error:
            if not is_damage(error):
                raise
            return "payload"
        if not isinstance(payload, bytes):
            return "payload"
        try:
            if not 0 <= zstandard.get_frame_parameters(payload).content_size <= MAX_RAW_BYTES:
                return "payload"
            raw = self._unpack(payload, max_output_size=MAX_RAW_BYTES)
            if digest(raw) != output:
                return "payload"
            if phase == _CLEAN:
                return "" if len(self._clean(raw).text) == amount else "amount"
            chunks = self._chunks(raw)
        except (zstandard.ZstdError, msgspec.MsgspecError):
            return "payload"
        self._look.chunks[artifact] = len(chunks)
        return "" if sum(chunk.tokens for chunk in chunks) == amount else "amount"


def _told(look: Look) -> Iterator[Finding]:
    """Which documents at the head the damaged artifacts belong to: one pass over the results."""
    kinds = {kind: Gathered() for kind in _KINDS}
    artifacts = dict(look.ask("SELECT kind, count(*) FROM temp.damaged GROUP BY kind"))
    head = look.head
    if head is not None and head.lineages:
        lineages = [head.lineages[phase] for phase in DOCUMENT_PHASES]
        rows: Any = look.state.execute(
            f"""SELECT DISTINCT x.kind, d.path
            FROM result r CROSS JOIN temp.damaged x ON x.artifact = r.artifact
                JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
            WHERE r.lineage IN ({",".join("?" * len(lineages))}) AND {head.visible()} AND {head.live()}""",  # noqa: S608
            lineages,
        )
        for kind, path in rows:
            kinds[kind].add(path)
    for kind, count in artifacts.items():
        what, where = _KINDS[kind]
        found = kinds[kind]
        if found.count:
            yield from damage(found, what, where, _TAKEN_AWAY)
        else:
            found.count = count
            yield from damage(found, what + " None of them counts at the head.", where, _TAKEN_AWAY)
