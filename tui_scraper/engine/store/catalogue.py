"""Every document at the head, held so that a million of them can be scrolled, sorted and filtered.

Of each document only that is kept which lists are ordered and filtered by, in columns: about 40 bytes and its
path. What a row shows besides is read when it is about to be seen (`read_rows`). Reading the columns takes
some seconds for a million documents, so a list shows its first rows before it has them (`first_versions`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import apsw
import msgspec
import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.models import DocumentRow, Order, PhaseName, Status
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.artifacts import StoredLabel, labels_in_store
from tui_scraper.engine.store.head import DOCUMENT_PHASES, STATUS_NUMBER, STATUSES, Head
from tui_scraper.engine.store.human import METHOD, human_labels
from tui_scraper.engine.store.results import label_of, reached, status_of
from tui_scraper.engine.store.setbacks import bad_results

_DONE, _PENDING = STATUS_NUMBER[Status.DONE], STATUS_NUMBER[Status.PENDING]
_PAGE = 500
_BELOW = re.compile(r"<(\d+(?:\.\d+)?)%?")
_FIELDS = ("path", "label", "status", "method")
_COPIES = ("exact", "near", "first")
_OF_COPIES = re.compile(r"-?(?:is|duplicate):\S")

Rows = NDArray[np.int64]
"""Places in a catalogue, in the order in which they are to be shown."""


class Catalogue:
    """The documents at one point of history, in the order of their paths. Made by `read_catalogue`."""

    def __init__(self, versions: Rows, sizes: Rows, paths: bytes, starts: Rows) -> None:
        self.versions = versions
        self._sizes = sizes
        self._paths = paths
        """Case-folded, in UTF-8, each with a line feed after it; `_starts` says where."""
        self._starts = starts
        count = len(versions)
        self._by_version = np.argsort(versions)
        self._sorted = versions[self._by_version]
        self.status = np.full(count, _PENDING, np.uint8)
        self.cause = np.zeros(count, np.uint8)
        self.causes: list[str] = [""]
        self.label = np.zeros(count, np.uint32)
        self.labels: list[tuple[str, ...]] = [()]
        self.confidence = np.full(count, np.nan, np.float32)
        self.method = np.zeros(count, np.uint8)
        self.methods: list[str] = [""]
        self.copies: dict[str, NDArray[np.bool_]] | None = None
        """Which are exact copies, which near-duplicates, which the first of such; None: not known."""

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.versions)

    def places(self, versions: Sequence[int] | Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Where some versions stand, and which of them are here at all."""
        wanted = np.asarray(versions, np.int64)
        if not len(self):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self) - 1)
        return self._by_version[at], self._sorted[at] == wanted

    def give(self, place: int, label: StoredLabel | None) -> None:
        """Note the label of a document."""
        labels = tuple(label.labels) if label is not None else ()
        self.label[place] = _number(self.labels, labels)
        self.method[place] = _number(self.methods, label.method if label is not None else "")
        sure = label.confidence if label is not None else None
        self.confidence[place] = np.nan if sure is None else sure

    def select(self, query: str) -> Rows:
        """The documents that pass every word of a query, in path order.

        A word passes where it is part of the path or of a label, or begins the status or a word of the cause.
        `label:`, `path:`, `status:` and `method:` ask for one of these; `<60` for labels that are less than
        60 % sure; `is:duplicate` for what is there more than once and could go, `duplicate:exact`,
        `duplicate:near`, `duplicate:first` for some of it; a `-` before a word, for what does not pass it. An
        empty query passes all; one about duplicates none where they are not known.
        """
        kept = np.full(len(self), not self.lacks_copies(query), np.bool_)
        for word in query.casefold().split():
            asked = word.removeprefix("-") or word
            passing = self._passing(asked)
            kept &= ~passing if asked != word else passing
        return np.flatnonzero(kept)

    def lacks_copies(self, query: str) -> bool:
        """Whether a query asks for duplicates, which are not known."""
        return self.copies is None and asks_for_copies(query)

    def sort(self, rows: Rows, order: Order) -> Rows:
        """Put documents, given in path order, into another order."""
        if order is Order.LARGEST:
            return rows[np.argsort(-self._sizes[rows], kind="stable")]
        if order is Order.LEAST_SURE:  # then what nobody said how sure it is, what people said, and no label
            by_hand = np.array([method == METHOD for method in self.methods], np.bool_)[self.method]
            sure = np.where(np.isnan(self.confidence), np.float32(2), self.confidence)
            sure = np.where(by_hand, np.float32(3), np.where(self.label == 0, np.float32(4), sure))
            return rows[np.argsort(sure[rows], kind="stable")]
        return rows

    def _passing(self, word: str) -> NDArray[np.bool_]:
        below = _BELOW.fullmatch(word)
        if below is not None:
            limit = float(below[1])
            return self.confidence < (limit / 100 if limit > 1 else limit)
        field, colon, value = word.partition(":")
        if _OF_COPIES.match(word):
            return self._copied(field, value)
        fields = (field,) if colon and value and field in _FIELDS else _FIELDS[:3]
        if len(fields) > 1:
            value = word
        passing = np.zeros(len(self), np.bool_)
        if "path" in fields:
            passing |= self._with_path(value)
        if "label" in fields:
            passing |= _among(
                self.label, [any(value in one.casefold() for one in labels) for labels in self.labels]
            )
        if "status" in fields:
            words = [str(status).startswith(value) for status in STATUSES]
            passing |= _among(self.status, words) | _among(
                self.cause, [_begins_a_word(value, cause) for cause in self.causes]
            )
        if "method" in fields:
            passing |= _among(self.method, [value in method for method in self.methods])
        return passing

    def _copied(self, field: str, value: str) -> NDArray[np.bool_]:
        names = [name for name in _COPIES if name.startswith(value)]
        if field == "is":
            names = ["exact", "near"] if "duplicate".startswith(value) else []
        passing = np.zeros(len(self), np.bool_)
        if self.copies is not None:
            for name in names:
                passing |= self.copies[name]
        return passing

    def _with_path(self, part: str) -> NDArray[np.bool_]:
        found = np.zeros(len(self), np.bool_)
        wanted = re.escape(part.encode("utf-8", "replace"))
        hits = [hit.start() for hit in re.finditer(wanted + rb"[^\n]*\n", self._paths)]
        if hits:
            found[np.searchsorted(self._starts, np.array(hits, np.int64), side="right") - 1] = True
        return found


def asks_for_copies(query: str) -> bool:
    """Whether a query needs to know what is there more than once."""
    return any(map(_OF_COPIES.match, query.casefold().split()))


def _number(known: list[Any], value: object) -> int:
    """The number of a value in a list, to which it is added where it is new."""
    try:
        return known.index(value)
    except ValueError:
        known.append(value)
        return len(known) - 1


def _begins_a_word(start: str, text: str) -> bool:
    return any(word.startswith(start) for word in text.casefold().split())


def _among(column: NDArray[Any], passing: Sequence[bool]) -> NDArray[np.bool_]:
    chosen: NDArray[np.bool_] = np.array(passing, np.bool_)[column]
    return chosen


def first_versions(state: apsw.Connection, head: Head, limit: int) -> list[int]:
    """The first documents by path, quickly."""
    rows: Any = state.execute(_in_path_order(state, head, "v.id") + " LIMIT ?", (limit,))
    return [version for (version,) in rows]


def read_catalogue(state: apsw.Connection, head: Head) -> Catalogue:
    """Read all documents at a point. The connection must be inside a read transaction."""
    given = human_labels(state)
    versions, sizes, contents = [], [], {}
    folded = bytearray()
    starts = []
    columns = "v.id, v.size_bytes, d.path, v.content" if given else "v.id, v.size_bytes, d.path, NULL"
    for version, size_bytes, path, content in state.execute(_in_path_order(state, head, columns)):
        versions.append(version)
        sizes.append(size_bytes)
        starts.append(len(folded))
        folded += show_path(path).casefold().replace("\n", " ").encode("utf-8", "replace") + b"\n"
        if content in given:
            contents[version] = content
    found = Catalogue(
        np.array(versions, np.int64), np.array(sizes, np.int64), bytes(folded), np.array(starts, np.int64)
    )
    if not all(phase in head.lineages for phase in DOCUMENT_PHASES):
        return found
    _read_statuses(state, head, found)
    _read_labels(state, head, found)
    places, here = found.places(list(contents))
    for place, is_here, content in zip(places.tolist(), here.tolist(), contents.values(), strict=True):
        if is_here:
            found.give(place, given[content])
    return found


def _in_path_order(state: apsw.Connection, head: Head, columns: str) -> str:
    newest = head.scan == state.execute("SELECT coalesce(max(id), 0) FROM scan").get
    live = "v.scan_to IS NULL" if newest else head.live()  # the first has an index of its own
    return (
        f"SELECT {columns} FROM document d CROSS JOIN version v ON v.document = d.id"  # noqa: S608
        f" WHERE {live} ORDER BY d.path, d.parent"
    )


def _read_statuses(state: apsw.Connection, head: Head, found: Catalogue) -> None:
    """What is settled is done unless it is among the bad; of the rest every phase is looked at."""
    done = np.zeros(len(found), np.uint8)
    phases = DOCUMENT_PHASES[1:]
    for phase in phases:
        rows: Any = state.execute(
            f"""SELECT r.version, r.status, max(r.seq) FROM result r
            WHERE r.lineage = ? AND r.version > ? AND {head.visible()} GROUP BY r.version""",  # noqa: S608
            (head.lineages[phase], head.settled),
        )
        passed = [version for version, status, _seq in rows if status == _DONE]
        places, here = found.places(passed)
        done[places[here]] += 1
    found.status[(done == len(phases)) | (found.versions <= head.settled)] = _DONE
    for bad in bad_results(state, head):
        (place,), (is_here,) = found.places([bad.version])
        if is_here:
            found.status[place] = bad.status
            found.cause[place] = _number(found.causes, bad.cause)


def _read_labels(state: apsw.Connection, head: Head, found: Catalogue) -> None:
    decode = msgspec.msgpack.Decoder(StoredLabel).decode
    rows: Any = state.execute(
        f"""SELECT r.version, iif(r.status = {_DONE}, a.data, NULL), max(r.seq)
        FROM result r LEFT JOIN artifact a ON a.id = r.artifact
        WHERE r.lineage = ? AND {head.visible()} GROUP BY r.version""",  # noqa: S608
        (head.lineages[PhaseName.CLASSIFY],),
    )
    versions, labels, methods, confidences = [], [], [], []
    known: dict[tuple[str, ...], int] = {(): 0}
    for version, data, _seq in rows:
        if data is None:
            continue
        try:
            label = decode(data)
        except msgspec.MsgspecError:
            continue  # the row says so where it is shown, and `verify` what to do
        versions.append(version)
        labels.append(known.setdefault(tuple(label.labels), len(known)))
        methods.append(_number(found.methods, label.method))
        confidences.append(np.nan if label.confidence is None else label.confidence)
    found.labels = list(known)
    places, here = found.places(versions)
    places = places[here]
    found.label[places] = np.array(labels, np.uint32)[here]
    found.method[places] = np.array(methods, np.uint8)[here]
    found.confidence[places] = np.array(confidences, np.float32)[here]


def read_rows(state: apsw.Connection, head: Head, versions: Sequence[int]) -> list[DocumentRow]:
    """Documents as lists show them, in the order asked for; those that are gone are left out.

    The connection must be inside a read transaction.
    """
    found: dict[int, DocumentRow] = {}
    for at in range(0, len(versions), _PAGE):
        found.update(_read_page(state, head, versions[at : at + _PAGE]))
    return [found[version] for version in versions if version in found]


def _read_page(state: apsw.Connection, head: Head, page: Sequence[int]) -> dict[int, DocumentRow]:
    rows: Any = state.execute(
        f"""SELECT v.id, d.path, v.size_bytes, v.media_type, v.content
        FROM version v JOIN document d ON d.id = v.document
        WHERE v.id IN ({_marks(page)}) AND {head.live()}""",  # noqa: S608
        tuple(page),
    ).fetchall()
    begun = all(phase in head.lineages for phase in DOCUMENT_PHASES)
    states = reached(state, head, page) if begun else {version: {} for version in page}
    given = human_labels(state, {row[4] for row in rows if row[4] is not None})
    artifacts = {artifact for one in states.values() if (artifact := label_of(one)) is not None}
    labels = labels_in_store(state, artifacts)
    found = {}
    for version, path, size_bytes, media_type, content in rows:
        status, cause = status_of(states[version])
        label = given.get(content) or labels.get(label_of(states[version]) or 0)
        found[version] = DocumentRow(
            version=version,
            path=safe_text(show_path(path)),
            status=status,
            cause=cause,
            size_bytes=size_bytes,
            media_type=safe_text(media_type or ""),
            labels=tuple(map(safe_text, label.labels)) if label is not None else (),
            confidence=label.confidence if label is not None else None,
            method=safe_text(label.method) if label is not None else "",
        )
    return found


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))
