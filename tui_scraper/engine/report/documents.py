"""What the documents are, from one pass over them: types, sizes, copies, and languages of a sample.

Of each document only 24 bytes are kept, so that a million of them need no more memory than a screen.
"""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec
import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.duplicates.model import Copy, Duplicates
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.report.facts import CopyGroup, CopyGroups, Found, Group, Languages, Sized
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.counters import Totals
from tui_scraper.engine.store.head import STATUS_NUMBER, Head

Tell = Callable[[str, int], None]
"""Called with what is being read, and how much of it has been."""
EVERY = 20_000
"""Rows between two signs of life."""
_BIGGEST, _CONTAINERS, _GROUPS, _PATHS = 8, 5, 5, 3
_LOOKED_AT = 5_000
"""Texts whose language is looked up. It lies in the texts themselves, and of so many drawn by lot a share is
known to 1.4 points (two standard errors, at worst)."""
_SEED = 1
_DONE = STATUS_NUMBER[Status.DONE]
_HASH_BYTES = 8
"""Of a content's hash. That two of a million contents share them is as likely as 1 in 37 million."""


class Corpus:
    """The documents at a point of history, in columns: versions in ascending order, sizes, hashes.

    A hash is 0 where the content is not known. The connection must be inside a read
    transaction.
    """

    def __init__(self, state: apsw.Connection, head: Head, tell: Tell) -> None:
        self._state, self._head = state, head
        newest = head.scan == state.execute("SELECT coalesce(max(id), 0) FROM scan").get
        self._live = "v.scan_to IS NULL" if newest else head.live()
        versions, sizes, hashes = array("q"), array("q"), bytearray()
        types: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        unknown = bytes(_HASH_BYTES)
        rows: Any = state.execute(
            f"""SELECT v.id, v.size_bytes, v.media_type, v.content FROM version v NOT INDEXED
            WHERE {self._live} ORDER BY v.id"""  # noqa: S608
        )
        for version, size_bytes, media_type, content in rows:
            versions.append(version)
            if not len(versions) % EVERY:
                tell("reading documents", len(versions))
            sizes.append(size_bytes)
            hashes += content[:_HASH_BYTES] if content is not None else unknown
            counted = types[media_type or ""]
            counted[0] += 1
            counted[1] += size_bytes
        self.versions: NDArray[np.int64] = np.frombuffer(versions, np.int64)
        self._sizes: NDArray[np.int64] = np.frombuffer(sizes, np.int64)
        self._hashes: NDArray[np.uint64] = np.frombuffer(hashes, np.uint64)
        self._types = types

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.versions)

    def places(self, versions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where those of some versions stand that are here, and which of them are."""
        if not len(self):
            return np.zeros(0, np.int64), np.zeros(len(versions), np.bool_)
        at = np.minimum(np.searchsorted(self.versions, versions), len(self) - 1)
        here = self.versions[at] == versions
        return at[here], here

    def with_contents(self, contents: Sequence[bytes]) -> list[int]:
        """The places of the documents that have one of some contents."""
        hashes = np.frombuffer(b"".join(content[:_HASH_BYTES] for content in contents), np.uint64)
        return [int(at) for at in np.flatnonzero(np.isin(self._hashes, hashes))]

    def content(self, place: int) -> bytes | None:
        """The whole hash of a document's content."""
        version = int(self.versions[place])
        found = self._state.execute("SELECT content FROM version WHERE id = ?", (version,)).get
        return found if isinstance(found, bytes) else None

    def found(self, totals: Totals, blobs: apsw.Connection) -> Found:
        """What there is."""
        size_bytes = sum(count.size_bytes for count in totals[PhaseName.INPUT].values())
        types = [Group(safe_text(name), *counted) for name, counted in self._types.items()]
        containers, count = self._containers()
        return Found(
            size_bytes=size_bytes - totals.inside.size_bytes,
            inside_bytes=totals.inside.size_bytes,
            types=tuple(sorted(types, key=lambda group: (-group.documents, group.name))),
            languages=self._languages(blobs),
            biggest=self._biggest(),
            containers=containers,
            container_count=count,
        )

    def paths(self, versions: Sequence[int]) -> list[str]:
        """The paths of some documents, in their order."""
        marks = ",".join("?" * len(versions))
        rows: Any = self._state.execute(
            f"""SELECT v.id, d.path FROM version v JOIN document d ON d.id = v.document
            WHERE v.id IN ({marks})""",  # noqa: S608
            tuple(versions),
        )
        found = {version: safe_text(show_path(path)) for version, path in rows}
        return [found.get(version, "") for version in versions]

    def _biggest(self) -> tuple[Sized, ...]:
        if not len(self):
            return ()
        most = min(_BIGGEST, len(self))
        places = np.argpartition(-self._sizes, most - 1)[:most]
        places = places[np.lexsort((places, -self._sizes[places]))]
        versions = [int(version) for version in self.versions[places]]
        marks = ",".join("?" * len(versions))
        rows: Any = self._state.execute(
            f"SELECT id, media_type FROM version WHERE id IN ({marks})",  # noqa: S608
            tuple(versions),
        )
        types = dict(rows)
        return tuple(
            Sized(path, int(self._sizes[place]), safe_text(types.get(version) or ""))
            for path, place, version in zip(self.paths(versions), places, versions, strict=True)
        )

    def _containers(self) -> tuple[tuple[Group, ...], int]:
        rows: Any = self._state.execute(
            f"""SELECT d.parent, count(*), sum(v.size_bytes) FROM document d
                JOIN version v ON v.document = d.id WHERE d.parent > 0 AND {self._live} GROUP BY d.parent"""  # noqa: S608
        )
        largest: list[tuple[int, int, int]] = []
        count = 0
        for parent, members, size_bytes in rows:
            count += 1
            heapq.heappush(largest, (members, -parent, size_bytes))
            if len(largest) > _CONTAINERS:
                heapq.heappop(largest)
        groups = []
        for members, parent, size_bytes in sorted(largest, reverse=True):
            path = self._state.execute("SELECT path FROM document WHERE id = ?", (-parent,)).get
            groups.append(Group(safe_text(show_path(path)), members, size_bytes))
        return tuple(groups), count

    def copies(self) -> CopyGroups:
        """Documents with the very same bytes."""
        order = np.argsort(self._hashes, kind="stable")
        order = order[(self._hashes[order] != 0) & (self._sizes[order] > 0)]
        if not len(order):
            return CopyGroups()
        ordered = self._hashes[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        counts = np.diff(np.append(starts, len(ordered)))
        starts, counts = starts[counts > 1], counts[counts > 1]
        sizes = self._sizes[order[starts]]
        wasted = (counts - 1) * sizes
        worst = np.lexsort((starts, -counts, -wasted))[:_GROUPS]
        groups = []
        for one in worst:
            members = np.sort(self.versions[order[starts[one] : starts[one] + counts[one]]])
            paths = self.paths([int(version) for version in members[:_PATHS]])
            groups.append(CopyGroup(int(counts[one]), int(sizes[one]), tuple(paths)))
        return CopyGroups(len(counts), int((counts - 1).sum()), int(wasted.sum()), tuple(groups))

    def near(self, duplicates: Duplicates) -> CopyGroups:
        """Documents with nearly the same text, each content once."""
        groups = list(duplicates.only(Copy.NEAR).groups())
        worst = []
        for group in groups[:_GROUPS]:
            members = [int(duplicates.versions[place]) for place in (group.first, *group.others)]
            size_bytes = group.bytes_could_go // len(group.others)
            worst.append(CopyGroup(len(members), size_bytes, tuple(self.paths(members[:_PATHS]))))
        extra_bytes = sum(group.bytes_could_go for group in groups)
        return CopyGroups(len(groups), sum(len(group.others) for group in groups), extra_bytes, tuple(worst))

    def _languages(self, blobs: apsw.Connection) -> Languages:
        lineage = self._head.lineages.get(PhaseName.CLEAN)
        if lineage is None or not len(self):
            return Languages()
        chosen: Any = self.versions
        if len(self) > _LOOKED_AT:
            lot = np.random.default_rng(_SEED).choice(len(self), _LOOKED_AT, replace=False)
            chosen = self.versions[np.sort(lot)]
        blob_of = f"""SELECT iif(r.status = {_DONE}, a.blob, NULL)
            FROM result r LEFT JOIN artifact a ON a.id = r.artifact
            WHERE r.lineage = ? AND r.version = ? AND {self._head.visible()}
            ORDER BY r.seq DESC LIMIT 1"""  # noqa: S608
        unpack = Unpacker(_LanguageOfText)
        counts: defaultdict[str, int] = defaultdict(int)
        for version in chosen.tolist():
            blob = self._state.execute(blob_of, (lineage, version)).get
            payload = blobs.execute("SELECT data FROM blob WHERE id = ?", (blob,)).get if blob else None
            if payload is None:
                continue
            try:
                found = unpack(payload)
            except ValueError:  # damaged: `verify` says so
                continue
            if len(found.text) > 1:  # an empty one is a byte, of an archive or a picture
                counts[found.language] += 1
        groups = [Group(safe_text(language), n) for language, n in counts.items()]
        groups.sort(key=lambda group: (-group.documents, group.name))
        return Languages(tuple(groups), sum(counts.values()), len(self) > _LOOKED_AT)


class _LanguageOfText(msgspec.Struct, array_like=True, frozen=True):
    """A `wire.CleanText` of which only the language is wanted."""

    text: msgspec.Raw
    title: str | None = None
    language: str = ""
