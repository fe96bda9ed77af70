"""Clean texts of many documents at a point of history, read page by page: of all, only numbers are held."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

import apsw

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.codec import Unpacker
from tui_scraper.engine.store.head import STATUS_NUMBER, Head
from tui_scraper.engine.wire import CleanText

_PAGE = 400
_PAYLOADS_BYTES = 8_000_000
"""Of compressed texts that are held at once; a single one may be larger."""
_DONE = STATUS_NUMBER[Status.DONE]
_LOST = -1


class CleanTexts:
    """The clean texts of some versions, which are numbered as they are given.

    `payloads` says for each where its text is, 0 where it has none; `outputs` holds the first eight bytes of
    the hash of what the clean phase has made. Both connections must be inside a read transaction.
    """

    def __init__(
        self,
        state: apsw.Connection,
        blobs: apsw.Connection,
        head: Head,
        versions: Sequence[int],
        path: Callable[[int], bytes],
    ) -> None:
        self._blobs = blobs
        self._path = path
        self._unpack = Unpacker(CleanText)
        self.payloads = array("q", bytes(8 * len(versions)))
        self.outputs = array("Q", bytes(8 * len(versions)))
        self._find(state, head, versions)

    def _find(self, state: apsw.Connection, head: Head, versions: Sequence[int]) -> None:
        lineage = head.lineages.get(PhaseName.CLEAN)
        if lineage is None:
            return
        for start in range(0, len(versions), _PAGE):
            page = list(versions[start : start + _PAGE])
            places = {version: start + at for at, version in enumerate(page)}
            rows = state.execute(
                f"""SELECT f.version, f.status, a.blob, a.output
                FROM (SELECT r.version, r.status, r.artifact, max(r.seq) FROM result r
                    WHERE r.lineage = ? AND r.version IN ({_marks(len(page))}) AND {head.visible()}
                    GROUP BY r.version) f
                LEFT JOIN artifact a ON a.id = f.artifact""",  # noqa: S608
                (lineage, *page),
            )
            for version, status, blob, output in rows:
                if status == _DONE:
                    self.payloads[places[version]] = blob or _LOST
                    self.outputs[places[version]] = int.from_bytes((output or b"")[:8], "big")

    def __len__(self) -> int:
        """How many have a text."""
        return sum(payload != 0 for payload in self.payloads)

    def places(self) -> Iterator[int]:
        """Those that have a text."""
        return (place for place, payload in enumerate(self.payloads) if payload)

    def read(self, places: Iterable[int]) -> Iterator[tuple[int, CleanText]]:
        """The texts of some that have one, in the order asked for.

        Raises StoreError where one is missing or damaged.
        """
        waiting: list[int] = []
        for place in places:
            waiting.append(place)
            if len(waiting) == _PAGE:
                yield from self._read(waiting)
                waiting = []
        yield from self._read(waiting)

    def _read(self, page: list[int]) -> Iterator[tuple[int, CleanText]]:
        wanted = {self.payloads[place] for place in page}
        sizes = dict(
            self._blobs.execute(
                f"SELECT id, length(data) FROM blob WHERE id IN ({_marks(len(wanted))})",  # noqa: S608
                tuple(wanted),
            )
        )
        batch: list[int] = []
        size_bytes = 0
        for place in page:
            batch.append(place)
            size_bytes += sizes.get(self.payloads[place], 0)
            if size_bytes >= _PAYLOADS_BYTES:
                yield from self._unpacked(batch)
                batch, size_bytes = [], 0
        yield from self._unpacked(batch)

    def _unpacked(self, batch: list[int]) -> Iterator[tuple[int, CleanText]]:
        wanted = {self.payloads[place] for place in batch}
        payloads = dict(
            self._blobs.execute(
                f"SELECT id, data FROM blob WHERE id IN ({_marks(len(wanted))})",  # noqa: S608
                tuple(wanted),
            )
        )
        for place in batch:
            try:
                clean = self._unpack(payloads.get(self.payloads[place], b""))
            except ValueError as error:
                path = safe_text(show_path(self._path(place)))
                raise StoreError(
                    f"{path}: its text cannot be read ({error}). `tui-scraper verify` says what is lost, and "
                    "with --repair mends it."
                ) from error
            yield place, clean


def _marks(count: int) -> str:
    return ",".join("?" * count)
