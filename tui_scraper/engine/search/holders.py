"""Which documents of the head have a chunk artifact, and pass the person's filters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.safe_text import show_path
from tui_scraper.engine.search.conditions import Conditions, Facts, fixed_beginning
from tui_scraper.engine.search.visible import latest
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.head import PHASE_NUMBER, STATUS_NUMBER, Head
from tui_scraper.engine.store.human import human_labels

_DONE = STATUS_NUMBER[Status.DONE]
_CHUNK = PHASE_NUMBER[PhaseName.CHUNK]
_FEW = 2_000
"""Chunk artifacts up to which a path filter is put into the index query instead of after it."""

_LATEST_NS = 2.0**63

_COPIES_LOOKED_AT = 1_000
"""Documents with one and the same text among which the first by path is chosen."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A document that has a chunk artifact at the head."""

    path: bytes
    clean: int
    chunks: int
    label: str | None


class Filter:
    """Which documents of the head have a chunk artifact and pass the person's filters."""

    def __init__(
        self,
        directory: Path,
        state: apsw.Connection,
        head: Head,
        k: int,
        conditions: Conditions,
    ) -> None:
        self._directory = directory
        self._state = state
        self._scan = head.scan
        self._k = k
        self._conditions = conditions
        self._cache: dict[int, list[Holder]] = {}
        clean, chunk, classify, index = (
            head.lineages[name]
            for name in (PhaseName.CLEAN, PhaseName.CHUNK, PhaseName.CLASSIFY, PhaseName.INDEX)
        )

        self._under = f"""
            SELECT DISTINCT r.artifact
            FROM document d CROSS JOIN version v ON v.document = d.id AND v.scan_to IS NULL
                CROSS JOIN result r ON r.version = v.id
            WHERE d.path >= ? AND d.path < ? AND r.lineage = {chunk} AND r.artifact IS NOT NULL
            LIMIT ?"""  # noqa: S608
        self._types = f"SELECT DISTINCT media_type FROM version v WHERE {head.live()}"  # noqa: S608
        self._like = f"""
            SELECT v.id, d.path, v.media_type, v.mtime_ns FROM version v JOIN document d ON d.id = v.document
            WHERE {head.live()}"""  # noqa: S608
        self._chunked = f"""
            SELECT DISTINCT artifact FROM result
            WHERE lineage = {chunk} AND version = ? AND artifact IS NOT NULL"""  # noqa: S608
        self._sql = f"""
            SELECT d.path, {latest(head, "artifact", clean)}, r.artifact,
                {latest(head, "artifact", classify)}, v.content, v.media_type, v.mtime_ns
            FROM result r JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
            WHERE r.artifact = ? AND r.phase = {_CHUNK} AND r.lineage = {chunk} AND r.status = {_DONE}
                AND {head.visible()} AND {head.live()}
                AND r.seq = {latest(head, "seq", chunk)} AND {latest(head, "status", index)} = {_DONE}
            """  # noqa: S608

    def few_artifacts(self) -> list[int] | None:
        """The chunk artifacts under the path filter's fixed beginning; None where there are many.

        Without this a filter that few documents pass would have every hit of a common word looked
        up in the store, at 40-75 microseconds each.
        """
        path = self._conditions.path
        if path is None:
            return None
        prefix = fixed_beginning(path).partition("\\")[0].encode()  # from there on it may be an escaped byte
        newest = self._state.execute("SELECT max(id) FROM scan").get
        if not prefix or self._scan != newest:  # live versions of an older scan have no index
            return None
        rows: list[Any] = self._state.execute(
            self._under, (prefix, prefix[:-1] + bytes([prefix[-1] + 1]), _FEW + 1)
        ).fetchall()
        return [artifact for (artifact,) in rows] if len(rows) <= _FEW else None

    def few_of_all(self) -> list[int] | None:
        """The chunk artifacts of documents that may pass, found among all of them; None where there are many.

        For what is so rare that looking up one hit after another would take longer (a second for a million).
        """
        if not self._conditions.narrows:
            return None
        types: list[Any] = self._state.execute(self._types).fetchall()
        of_type = self._conditions.of_type([media_type or "" for (media_type,) in types])
        sql = self._like
        values: list[int | str] = []
        for moment, compared in zip(self._conditions.when(), (">=", "<"), strict=True):
            if abs(moment * 1e9) < _LATEST_NS:  # beyond it SQLite has no number, and no document a date
                sql += f" AND v.mtime_ns {compared} ?"
                values.append(int(moment * 1e9))
        if len(of_type) < len(types):
            sql += f" AND coalesce(v.media_type, '') IN ({','.join('?' * len(of_type))})"
            values += of_type
        versions = []
        for version, path, media_type, modified in self._state.execute(sql, values):
            if self._conditions.may_pass(Facts(show_path(path), (), media_type or "", modified)):
                versions.append(version)
                if len(versions) > _FEW:
                    return None
        found: set[int] = set()
        for version in versions:
            found.update(artifact for (artifact,) in self._state.execute(self._chunked, (version,)))
        return sorted(found)

    def holders(self, artifact: int) -> list[Holder]:
        """Up to `k` documents with that chunk artifact, by path."""
        known = self._cache.get(artifact)
        if known is None:
            known = self._cache[artifact] = self._look_up(artifact)
        return known

    def _look_up(self, artifact: int) -> list[Holder]:
        found: list[Holder] = []
        rows: list[Any] = self._state.execute(self._sql, (artifact,)).fetchall()
        by_hand = human_labels(self._state, {row[4] for row in rows if row[4] is not None})
        for path, clean, chunks, label_artifact, content, media_type, modified in rows:
            if clean is None:
                continue
            given = by_hand.get(content)
            labels = self._labels(label_artifact) if given is None else given.labels
            if self._conditions.passes(Facts(show_path(path), labels, media_type or "", modified)):
                found.append(Holder(path, clean, chunks, labels[0] if labels else None))
            if len(found) == _COPIES_LOOKED_AT:
                break
        return sorted(found, key=lambda holder: holder.path)[: self._k]

    def _labels(self, artifact: int | None) -> list[str]:
        if artifact is None:
            return []
        data = self._state.execute("SELECT data FROM artifact WHERE id = ?", (artifact,)).get
        try:
            return msgspec.msgpack.decode(data or b"", type=StoredLabel).labels
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self._directory}: a stored label cannot be read ({error}). "
                "Copy the workspace before doing anything else."
            ) from error
