"""Labels that a person has given. They belong to the content of a document, above all branches and settings.

So they lie over what the classify phase has made instead of among its results: whoever reads a label asks
here first, and no rollback, new setting or other model ever hides one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.errors import StoreError, UsageError
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.head import Head, read_head
from tui_scraper.engine.store.writer import Operation, Transaction

METHOD = "human"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Given:
    """A label that was given, or taken away: to which document, and how many there are with its content."""

    path: str
    labels: tuple[str, ...]
    documents: int

    def __str__(self) -> str:
        """A sentence for the log."""
        labels = ", ".join(map(safe_text, self.labels))
        what = f"labelled by hand: {labels}" if labels else "no longer labelled by hand"
        more = self.documents - 1
        are = "is" if more == 1 else "are"
        others = f" (so {are} {more:,} more with the same content)" if more else ""
        return f"{self.path} is {what}{others}."


def human_labels(
    state: apsw.Connection, contents: Collection[bytes] | None = None
) -> dict[bytes, StoredLabel]:
    """Content hash -> the label that a person has given to what has it: of some contents, or all."""
    if contents is None:
        rows: Any = state.execute("SELECT content, data FROM human WHERE data IS NOT NULL").fetchall()
    elif not contents or not last_given(state):
        return {}
    else:
        rows, wanted = [], list(contents)
        for at in range(0, len(wanted), _PAGE):
            page = wanted[at : at + _PAGE]
            marks = ",".join("?" * len(page))
            rows += state.execute(
                f"SELECT content, data FROM human WHERE data IS NOT NULL AND content IN ({marks})",  # noqa: S608
                page,
            ).fetchall()
    try:
        return {content: msgspec.msgpack.decode(data, type=StoredLabel) for content, data in rows}
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"A label that a person has given cannot be read ({error}). `tui-scraper verify` says what is "
            "lost."
        ) from error


def human_labels_of(state: apsw.Connection, versions: Collection[int]) -> dict[int, StoredLabel]:
    """Version -> the label that a person has given to it."""
    if not versions or not last_given(state):
        return {}
    marks = ",".join("?" * len(versions))
    rows: Any = state.execute(
        f"SELECT id, content FROM version WHERE id IN ({marks}) AND content IS NOT NULL",  # noqa: S608
        tuple(versions),
    ).fetchall()
    given = human_labels(state, {content for _version, content in rows})
    return {version: given[content] for version, content in rows if content in given}


def last_given(state: apsw.Connection) -> int:
    """The number of the newest label that was given or taken away; 0 where there never was one."""
    return int(state.execute("SELECT max(number) FROM human").get or 0)


def given_since(state: apsw.Connection, number: int) -> list[int]:
    """The versions whose label a person has given or taken away after a number."""
    if last_given(state) <= number:
        return []
    rows: Any = state.execute(
        "SELECT v.id FROM version v WHERE v.content IN (SELECT content FROM human WHERE number > ?)",
        (number,),
    )
    return [version for (version,) in rows]


def give_label(
    labels: Sequence[str],
    *,
    version: int | None = None,
    path: bytes | None = None,
    expected: Sequence[str] | None = None,
) -> Operation[Given]:
    """Give a document, and every other with its very content, a label; without any, take it away again.

    The document is named by its version, or by its path at the head. `expected` are the labels that whoever
    decides has seen. Raises UsageError where there is no such document, it was never read, or it has others.
    """

    def operation(transaction: Transaction) -> Given:
        state = transaction.state
        head = read_head(state)
        named, content = _document(state, head, version, path)
        if content is None:
            raise UsageError(
                f"{safe_text(show_path(named))}: this was never read, so there is nothing that a label could "
                "belong to."
            )
        if expected is not None and version is not None:
            _refuse_unseen(state, head, version, expected)
        data = None
        if labels:
            data = msgspec.msgpack.encode(StoredLabel(list(labels), 1.0, METHOD, []))
        number = last_given(state) + 1
        state.execute("DELETE FROM human WHERE content = ?", (content,))
        state.execute(
            "INSERT INTO human(number, content, data, time) VALUES(?, ?, ?, ?)",
            (number, content, data, time.time()),
        )
        copies = f"SELECT count(*) FROM version v WHERE v.content = ? AND {head.live()}"  # noqa: S608
        count = int(state.execute(copies, (content,)).get)
        return Given(safe_text(show_path(named)), tuple(labels), count)

    return operation


def _refuse_unseen(state: apsw.Connection, head: Head, version: int, expected: Sequence[str]) -> None:
    from tui_scraper.engine.store.catalogue import read_rows  # which asks here for labels

    for row in read_rows(state, head, [version]):
        if row.labels != tuple(expected):
            now = ", ".join(row.labels) or "none"
            raise UsageError(f"{row.path}: its label has changed meanwhile: {now}. Look again.")


def _document(
    state: apsw.Connection, head: Head, version: int | None, path: bytes | None
) -> tuple[bytes, bytes | None]:
    """(path, content) of a document at the head."""
    condition, value = ("v.id = ?", version) if path is None else ("d.path = ?", path)
    found: Any = state.execute(
        f"""SELECT d.path, v.content FROM document d JOIN version v ON v.document = d.id
        WHERE {condition} AND {head.live()}""",  # noqa: S608
        (value,),
    ).fetchone()
    if found is None:
        name = safe_text(show_path(path)) if path is not None else "This document"
        raise UsageError(f"{name}: there is no such document here.")
    return found[0], found[1]
