"""All that is known of a document: its text and chunks, its label and how sure it is, its links, its copies.

Everything has passed through `safe_text` but the text itself, because chunks refer to it by offset.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tui_scraper.engine.alike import read_duplicates
from tui_scraper.engine.duplicates.model import Copy
from tui_scraper.engine.errors import StoreError, UsageError
from tui_scraper.engine.export.documents import Document
from tui_scraper.engine.export.parts import PartsReader
from tui_scraper.engine.export.row import CHUNK, CLASSIFY, Parts
from tui_scraper.engine.graph.kept import read_kept
from tui_scraper.engine.graph.model import Edge
from tui_scraper.engine.graph.references import SELF
from tui_scraper.engine.models import DocumentRow, Order, PhaseName
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.settings_in_force import labels_at, settings_at
from tui_scraper.engine.store.artifacts import StoredLabel, labels_in_store
from tui_scraper.engine.store.catalogue import (
    Catalogue,
    asks_for_copies,
    first_versions,
    read_catalogue,
    read_rows,
)
from tui_scraper.engine.store.connection import snapshot
from tui_scraper.engine.store.counters import counts_of, read_totals
from tui_scraper.engine.store.head import Head, read_head
from tui_scraper.engine.store.reader import Reader
from tui_scraper.engine.wire import Chunk

MOST_CHARACTERS = 60_000
"""Of a text, so much is read for a screen."""
_MOST_LINKS, _MOST_COPIES = 100, 20
_KINDS = {Copy.NONE: "", Copy.EXACT: "exact", Copy.NEAR: "near"}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What a document refers to and what refers to it: some of them as (kind, path), and how many there are.

    One document that is referred to in two ways is there twice. `broken` are links to what is not there.
    """

    refers_to: tuple[tuple[str, str], ...]
    refers_to_count: int
    referred_by: tuple[tuple[str, str], ...]
    referred_by_count: int
    broken: tuple[tuple[str, str], ...]
    broken_count: int


@dataclass(frozen=True, slots=True)
class CopyGroup:
    """The documents that are the same as one, or nearly.

    `kind` is what that one is to the first of them: 'exact', 'near', or '' where it is the first, which stays
    where the others go; `similarity` is how like the first its text is. `others` are some of the `size` in
    all without itself, as (kind or '' for the first, similarity, path).
    """

    kind: str
    similarity: float
    others: tuple[tuple[str, float, str], ...]
    size: int


@dataclass(frozen=True, slots=True)
class DocumentDetails:
    """One document. `text` is at most the first `MOST_CHARACTERS` of `characters`; chunks refer to all of it.

    `made` is the label that the classify phase has made, where a person has given another over it, else the
    one in force. `copies` are some of the `copy_count` other documents with the very same text; `members` is
    how many documents are directly inside this one. `message` says why it is failed, skipped or empty.
    `neighbours` is None where the graph of this point of history has not been made; `group` where there is no
    other document like it, or, unless `compared`, where that is not known.
    """

    row: DocumentRow
    content_known: bool
    phase: str
    message: str
    title: str
    language: str
    pages: int
    truncated: bool
    text: str
    characters: int
    chunks: tuple[Chunk, ...]
    made: StoredLabel | None
    links: tuple[tuple[str, str], ...]
    link_count: int
    copies: tuple[str, ...]
    copy_count: int
    members: int
    parent: str
    neighbours: Neighbours | None = None
    compared: bool = False
    group: CopyGroup | None = None


class DocumentReader(Reader):
    """A reader that also knows documents one by one. Each call sees the head as it is then."""

    def count(self) -> int:
        """How many documents there are at the head."""
        with snapshot(self._state, self._directory):
            return counts_of(read_totals(self._state, read_head(self._state))).found

    def first(self, limit: int) -> list[DocumentRow]:
        """The first documents by path."""
        with snapshot(self._state, self._directory):
            head = read_head(self._state)
            return read_rows(self._state, head, first_versions(self._state, head, limit))

    def rows(self, versions: Sequence[int]) -> list[DocumentRow]:
        """Some documents, in the order asked for; those that are gone are left out."""
        with snapshot(self._state, self._directory):
            return read_rows(self._state, read_head(self._state), versions)

    def catalogue(self) -> Catalogue:
        """All documents, to be filtered and sorted. Takes some seconds for a million."""
        with snapshot(self._state, self._directory):
            head = read_head(self._state)
            found = read_catalogue(self._state, head)
            duplicates = read_duplicates(self._directory, self._state, head)
        if duplicates is not None and np.array_equal(duplicates.versions, found.versions):
            found.copies = {
                "exact": duplicates.kinds == Copy.EXACT,
                "near": duplicates.kinds == Copy.NEAR,
                "first": duplicates.standing_for_others(),
            }
        return found

    def version(self, path: str) -> int:
        """The document with a path. Raises UsageError where there is none."""
        return self.find(path)[0]

    def find(self, path: str) -> tuple[int, bytes]:
        """(version, real path) of the document with a path, given as it is or as lists show it.

        Raises UsageError where there is none.
        """
        with snapshot(self._state, self._directory):
            head = read_head(self._state)
            those = f"""SELECT v.id, d.path FROM document d JOIN version v ON v.document = d.id
                WHERE {head.live()}"""  # noqa: S608
            found: Any = self._state.execute(f"{those} AND d.path = ?", (os.fsencode(path),)).fetchone()
            if found is None:  # what a terminal could act on is shown otherwise, so each is looked at
                shown = (row for row in self._state.execute(those) if safe_text(show_path(row[1])) == path)
                found = next(shown, None)
        if found is None:
            raise UsageError(f"{safe_text(path)}: there is no such document here.")
        return int(found[0]), bytes(found[1])

    def labels(self) -> list[str]:
        """The labels of the taxonomy in force. Raises UsageError before the first run."""
        with snapshot(self._state, self._directory):
            labels = labels_at(self._state, read_head(self._state))
        if not labels:
            raise UsageError("Nothing has run here yet, so there are no labels.")
        return labels

    def allows_several(self) -> bool:
        """Whether a document may have more than one label."""
        with snapshot(self._state, self._directory):
            settings = settings_at(self._state, read_head(self._state))
        return settings is not None and settings.classify.multi_label

    def known_label(self, name: str) -> str:
        """A label of the taxonomy as a person has typed it. Raises UsageError with the nearest."""
        labels = self.labels()
        for label in labels:
            if label.casefold() == name.casefold():
                return label
        close = difflib.get_close_matches(name, labels, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(labels)}."
        raise UsageError(f"'{safe_text(name)}' is not a label here; {safe_text(hint)}")

    def details(self, version: int) -> DocumentDetails | None:
        """All of one document; None where it is gone."""
        with snapshot(self._state, self._directory):
            head = read_head(self._state)
            rows = read_rows(self._state, head, [version])
            document = self._document(head, version)
            if not rows or document is None:
                return None
            try:
                (parts,) = PartsReader(self._state, self._blobs, head).read([document])
                message = ""
            except StoreError as error:  # damaged; all that the tables say is still worth showing
                parts, message = Parts(), str(error)
            return self._put_together(head, rows[0], document, parts, message)

    def _document(self, head: Head, version: int) -> Document | None:
        row: Any = self._state.execute(
            f"""SELECT v.id, v.scan_from, d.path, d.uid, v.size_bytes, v.mtime_ns, v.content, v.media_type,
                (SELECT p.uid FROM document p WHERE p.id = d.parent),
                (SELECT count(*) FROM document m CROSS JOIN version w ON w.document = m.id
                    WHERE m.parent = d.id AND m.parent > 0 AND {head.live("w")})
            FROM version v JOIN document d ON d.id = v.document WHERE v.id = ? AND {head.live()}""",  # noqa: S608
            (version,),
        ).fetchone()
        return Document(*row) if row is not None else None

    def _put_together(
        self, head: Head, row: DocumentRow, document: Document, parts: Parts, damage: str
    ) -> DocumentDetails:
        clean, error = parts.clean, parts.error
        text = clean.text if clean is not None else ""
        links = [link for link in clean.links if link[1] != SELF] if clean is not None else []
        copies, copy_count = self._copies(head, document)
        compared, group = self._group(head, document)
        made = document.results.get(CLASSIFY, (0, None, 0))[1]
        return DocumentDetails(
            row=row,
            content_known=document.content is not None,
            phase=error.phase if error is not None else "",
            message=safe_text(error.message if error is not None else damage),
            title=safe_text(clean.title or "") if clean is not None else "",
            language=clean.language if clean is not None else "",
            pages=len(clean.pages) if clean is not None else 0,
            truncated=clean.truncated if clean is not None else False,
            text=text[:MOST_CHARACTERS],
            characters=len(text),
            chunks=tuple(parts.chunks),
            made=labels_in_store(self._state, [made]).get(made) if made is not None else None,
            links=tuple((safe_text(target), safe_text(kind)) for target, kind in links[:_MOST_LINKS]),
            link_count=len(links),
            copies=copies,
            copy_count=copy_count,
            members=document.members,
            parent=self._parent(document),
            neighbours=self._neighbours(head, document),
            compared=compared,
            group=group,
        )

    def _neighbours(self, head: Head, document: Document) -> Neighbours | None:
        graph = read_kept(self._directory, self._state, head)
        place = graph.place(document.version) if graph is not None else None
        if graph is None or place is None:
            return None
        to, by, broken = graph.refers_to(place), graph.referred_by(place), list(graph.broken(place))

        def some(edges: list[Edge], ends: list[int]) -> tuple[tuple[str, str], ...]:
            shown = [int(graph.versions[end]) for end in ends[:_MOST_LINKS]]
            paths = {row.version: row.path for row in read_rows(self._state, head, shown)}
            return tuple((edge.kind, paths.get(at, "")) for edge, at in zip(edges, shown, strict=False))

        return Neighbours(
            some(to, [edge.target for edge in to]),
            len(to),
            some(by, [edge.source for edge in by]),
            len(by),
            tuple((one.kind, safe_text(one.target)) for one in broken[:_MOST_LINKS]),
            len(broken),
        )

    def _group(self, head: Head, document: Document) -> tuple[bool, CopyGroup | None]:
        known = read_duplicates(self._directory, self._state, head)
        place = known.place(document.version) if known is not None else None
        group = known.group(place) if known is not None and place is not None else None
        if known is None or place is None or group is None:
            return place is not None, None
        others = [one for one in (group.first, *group.others) if one != place][:_MOST_COPIES]
        versions = [int(known.versions[one]) for one in others]
        paths = {row.version: row.path for row in read_rows(self._state, head, versions)}
        shown = tuple(
            (_KINDS[known.kinds[one]], float(known.similarity[one]), paths.get(version, ""))
            for one, version in zip(others, versions, strict=True)
        )
        similarity = float(known.similarity[place])
        return True, CopyGroup(_KINDS[known.kinds[place]], similarity, shown, 1 + len(group.others))

    def _copies(self, head: Head, document: Document) -> tuple[tuple[str, ...], int]:
        """Other documents with the same chunks, which are those with the same text."""
        artifact = document.results.get(CHUNK, (0, None, 0))[1]
        if artifact is None:
            return (), 0
        rows: Any = self._state.execute(
            f"""SELECT DISTINCT d.path FROM result r JOIN version v ON v.id = r.version
                JOIN document d ON d.id = v.document
            WHERE r.artifact = ? AND r.phase = {CHUNK} AND r.lineage = ? AND v.id != ?
                AND {head.visible()} AND {head.live()}""",  # noqa: S608
            (artifact, head.lineages[PhaseName.CHUNK], document.version),
        )
        paths = sorted(path for (path,) in rows)
        return tuple(safe_text(show_path(path)) for path in paths[:_MOST_COPIES]), len(paths)

    def _parent(self, document: Document) -> str:
        if document.parent_uid is None:
            return ""
        path = self._state.execute("SELECT path FROM document WHERE uid = ?", (document.parent_uid,)).get
        return safe_text(show_path(path)) if path is not None else ""


__all__ = [
    "MOST_CHARACTERS",
    "Catalogue",
    "DocumentDetails",
    "DocumentReader",
    "Order",
    "asks_for_copies",
]
