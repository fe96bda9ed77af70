"""The rows of the Failed screen: groups by cause, documents read from the store a page at a time.

The list may have 100,000 rows. Only pages that were looked at are kept, the last few dozen; where
a page begins is remembered (`anchors`), since the store continues after a version rather than at
a row number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tui_scraper.engine.models import Cause, CauseCount, FailureRow, PhaseName, Status
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import STATUS_SIGNS, Line, Span, cut, cut_left, number, pad, size

PAGE_ROWS = 200
KEEP_PAGES = 40
MOST_MATCHES = 2_000
_READ_ROWS = 2_000

Key = tuple[PhaseName, Status, Cause]


@dataclass
class Group:
    """The documents of one phase, status and cause. `anchors[n]` is the version before page n."""

    key: Key
    count: int
    folded: bool = False
    anchors: list[int] = field(default_factory=lambda: [0])

    @property
    def height(self) -> int:
        """Rows in the list, heading included."""
        return 1 if self.folded else 1 + self.count


@dataclass(frozen=True, slots=True)
class Pages:
    """Rows that were read: consecutive rows of a group from the beginning of page `first`."""

    key: Key
    first: int
    rows: list[FailureRow]


def read_pages(directory: Path, key: Key, anchors: list[int], page: int) -> list[Pages]:
    """Read the store up to and including a page of a group, from the nearest known anchor."""
    from tui_scraper.engine.store.reader import Reader

    phase, status, cause = key
    at = min(page, len(anchors) - 1)
    after = anchors[at]
    read: list[Pages] = []
    with Reader(directory) as reader:
        while at <= page:
            limit = PAGE_ROWS * min(_READ_ROWS // PAGE_ROWS, page - at + 1)
            rows = reader.failures(cause=cause, phase=phase, status=status, after=after, limit=limit)
            read.append(Pages(key, at, rows))
            if len(rows) < limit:
                break
            at += limit // PAGE_ROWS
            after = rows[-1].version
    return read


def read_causes(directory: Path) -> list[CauseCount]:
    """How many documents there are of each phase, status and cause."""
    from tui_scraper.engine.store.reader import Reader

    with Reader(directory) as reader:
        return reader.causes()


def read_matches(directory: Path, text: str) -> tuple[list[FailureRow], bool]:
    """Rows whose path or message contains a text, and whether these are all of them."""
    from tui_scraper.engine.store.reader import Reader

    after = 0
    matches: list[FailureRow] = []
    with Reader(directory) as reader:
        while rows := reader.failures(after=after, limit=_READ_ROWS):
            matches += matching(rows, text)
            if len(matches) >= MOST_MATCHES:
                return matches[:MOST_MATCHES], False
            after = rows[-1].version
    return matches, True


def matching(rows: Iterable[FailureRow], text: str) -> list[FailureRow]:
    """Those whose path or message contains a text."""
    needle = text.casefold()
    return [row for row in rows if needle in row.path.casefold() or needle in row.message.casefold()]


def read_again(directory: Path, rows: list[FailureRow]) -> dict[int, FailureRow | None]:
    """What the store now says of documents, by version; None for one that is no longer in the list."""
    from tui_scraper.engine.store.reader import Reader

    now: dict[int, FailureRow | None] = {}
    with Reader(directory) as reader:
        for row in rows:
            found = reader.failures(
                cause=row.cause, phase=row.phase, status=row.status, after=row.version - 1, limit=1
            )
            now[row.version] = found[0] if found and found[0].version == row.version else None
    return now


class FailureRows:
    """What the list shows: groups with their documents, or the matches of a filter.

    `asked` are documents that the person wants retried and that still stand here as they were.
    """

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.matches: list[FailureRow] | None = None
        self.asked: dict[int, FailureRow] = {}
        self._pages: OrderedDict[tuple[Key, int], list[FailureRow]] = OrderedDict()

    def __len__(self) -> int:
        """Rows in the list."""
        if self.matches is not None:
            return len(self.matches)
        return sum(group.height for group in self.groups)

    @property
    def documents(self) -> int:
        """Documents in all groups."""
        return sum(group.count for group in self.groups)

    def set_causes(self, causes: list[CauseCount]) -> None:
        """Take over new counts. Groups whose count is the same keep what was read of them."""
        old = {group.key: group for group in self.groups}
        groups = []
        for cause in causes:
            key = (cause.phase, cause.status, cause.cause)
            known = old.get(key)
            if known is None or known.count != cause.count:
                self._forget(key)
                known = Group(key, cause.count, known.folded if known else False)
            groups.append(known)
        self.groups = groups

    def forget_all(self) -> None:
        """Another workspace: begin anew."""
        self.groups, self.matches = [], None
        self.asked.clear()
        self._pages.clear()

    def take_up(self, now: dict[int, FailureRow | None]) -> None:
        """Of what was asked for, forget what has changed: it is read anew."""
        for version, row in now.items():
            before = self.asked.get(version)
            if before is not None and row != before:
                del self.asked[version]
                self._forget((before.phase, before.status, before.cause))

    def _forget(self, key: Key) -> None:
        for page in [page for page in self._pages if page[0] == key]:
            del self._pages[page]

    def put(self, read: Pages) -> None:
        """Keep rows that were read, and the anchors they reveal."""
        group = next((group for group in self.groups if group.key == read.key), None)
        if group is None:
            return
        for start in range(0, max(1, len(read.rows)), PAGE_ROWS):
            page = read.first + start // PAGE_ROWS
            rows = read.rows[start : start + PAGE_ROWS]
            self._pages[read.key, page] = rows
            self._pages.move_to_end((read.key, page))
            if len(rows) == PAGE_ROWS and len(group.anchors) == page + 1:
                group.anchors.append(rows[-1].version)
        while len(self._pages) > KEEP_PAGES:
            self._pages.popitem(last=False)

    def place(self, index: int) -> tuple[Group, int] | None:
        """The group of a row and the number of the document in it, -1 for the heading."""
        for group in self.groups:
            if index < group.height:
                return group, index - 1
            index -= group.height
        return None

    def row(self, index: int) -> FailureRow | None:
        """The document at a row; None for a heading and for what has not been read."""
        if self.matches is not None:
            return self.matches[index] if 0 <= index < len(self.matches) else None
        place = self.place(index)
        if place is None or place[1] < 0:
            return None
        group, number_in_group = place
        page, offset = divmod(number_in_group, PAGE_ROWS)
        rows = self._pages.get((group.key, page))
        if rows is None:
            return None
        self._pages.move_to_end((group.key, page))
        return rows[offset] if offset < len(rows) else None

    def missing(self, index: int) -> bool:
        """Whether the page of a row has yet to be read."""
        place = self.place(index) if self.matches is None else None
        return (
            place is not None and place[1] >= 0 and (place[0].key, place[1] // PAGE_ROWS) not in self._pages
        )

    def key(self, index: int) -> Key | None:
        """The phase, status and cause a row belongs to."""
        if self.matches is not None:
            row = self.row(index)
            return (row.phase, row.status, row.cause) if row else None
        place = self.place(index)
        return place[0].key if place else None

    def count(self, phase: PhaseName, cause: Cause) -> int:
        """Documents of a phase and cause, whatever their status: what a retry of a cause takes."""
        return sum(group.count for group in self.groups if (group.key[0], group.key[2]) == (phase, cause))

    def identity(self, index: int) -> int | Key | None:
        """The version of a document, or the key of a heading; None for what has not been read."""
        row = self.row(index)
        if row is not None:
            return row.version
        place = self.place(index) if self.matches is None else None
        return place[0].key if place is not None and place[1] < 0 else None

    def index_of(self, identity: Hashable) -> int | None:
        """The row of a document or a heading; None where it is not here, not read, or folded away."""
        if self.matches is not None:
            versions = (row.version for row in self.matches)
            return next((index for index, version in enumerate(versions) if version == identity), None)
        top = 0
        for group in self.groups:
            if group.key == identity:
                return top
            pages = [] if group.folded else [page for key, page in self._pages if key == group.key]
            for page in pages:
                for offset, row in enumerate(self._pages[group.key, page]):
                    if row.version == identity:
                        return top + 1 + page * PAGE_ROWS + offset
            top += group.height
        return None

    def toggle(self, index: int) -> int:
        """Fold or unfold the group of a row. Returns the row of its heading."""
        place = self.place(index) if self.matches is None else None
        if place is None:
            return index
        group, number_in_group = place
        group.folded = not group.folded
        return index - number_in_group - 1

    def line(self, index: int, width: int) -> Line | None:
        """A row of the list; None where the page is not here yet."""
        if self.matches is None:
            place = self.place(index)
            if place is None:
                return ()
            if place[1] < 0:
                return heading(place[0], width)
        row = self.row(index)
        if row is None:
            return None if self.missing(index) else (Span("   gone meanwhile", "dim"),)
        sign, role = STATUS_SIGNS[row.status]
        taken = 14
        asked = row.version in self.asked
        return (
            Span("→ " if asked else f"{sign} ", "accent" if asked else role),
            Span(f"{'asked' if asked else size(row.size_bytes):>8}  ", "accent" if asked else "dim"),
            Span(cut_left(safe_text(row.path), max(8, width - taken))),
        )


def heading(group: Group, width: int) -> Line:
    """`▾ encrypted · failed in clean          14`."""
    phase, status, cause = group.key
    count = number(group.count)
    sign = "▸" if group.folded else "▾"
    words = f" · {status} in {phase}"
    room = max(8, width - len(count) - 5)
    name = cut(str(cause), room)
    rest = pad(words, max(0, room - len(name)))
    return Span(f"{sign} ", "dim"), Span(name, "strong"), Span(rest, "dim"), Span(f" {count}", "strong")
