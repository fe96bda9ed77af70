"""What a workspace counts as near-duplicates, and how many duplicates it has."""

from __future__ import annotations

from pathlib import Path

import apsw

from tui_scraper.engine.duplicates.grouping import Progress
from tui_scraper.engine.duplicates.kept import DuplicatesReader, read_kept
from tui_scraper.engine.duplicates.model import DuplicateCounts, Duplicates
from tui_scraper.engine.settings import ALIKE
from tui_scraper.engine.settings_in_force import settings_at
from tui_scraper.engine.store.connection import open_state, snapshot
from tui_scraper.engine.store.head import Head, read_head


def alike_at(state: apsw.Connection, head: Head) -> float:
    """The similarity from which on texts count for who asks about duplicates.

    It is that of exports. Where those name none, the default: 0 there leaves out a column, and no question.
    """
    return _exported(state, head) or ALIKE


def alike_exported(directory: Path) -> float:
    """The similarity from which on an export of a workspace names near-duplicates; 0: it names none."""
    connection = open_state(directory, read_only=True)
    try:
        with snapshot(connection, directory):
            return _exported(connection, read_head(connection))
    finally:
        connection.close()


def _exported(state: apsw.Connection, head: Head) -> float:
    """`output.near_duplicates` of the settings in force, else the default."""
    settings = settings_at(state, head)
    return settings.output.near_duplicates if settings is not None else ALIKE


def read_duplicates(directory: Path, state: apsw.Connection, head: Head) -> Duplicates | None:
    """The duplicates of the head where they are known already. Takes 0.1 s for a million documents."""
    return read_kept(directory, state, head, alike_at(state, head))


def keep_duplicates(directory: Path, progress: Progress | None = None) -> Duplicates:
    """See that the duplicates of the head are known: some seconds for 100,000 documents that are new.

    Raises StoreError where the workspace or a text in it cannot be read.
    """
    with DuplicatesReader(directory) as reader:
        return reader.duplicates(alike_at(reader.state, reader.head), progress)


def count_duplicates(
    directory: Path, *, find: bool = False, progress: Progress | None = None
) -> DuplicateCounts | None:
    """How much of the head is there more than once: at once where it is known already.

    Else None, or found now where `find` says so.
    """
    with DuplicatesReader(directory) as reader:
        alike = alike_at(reader.state, reader.head)
        known = read_kept(directory, reader.state, reader.head, alike)
        if known is None and find:
            known = reader.duplicates(alike, progress)
        return known.counts() if known is not None else None
