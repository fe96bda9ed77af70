"""A workspace as it is at one moment, for what takes long to read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.safe_text import safe_text, show_path
from tui_scraper.engine.store.connection import closed_on_error, open_blobs, open_state, snapshot
from tui_scraper.engine.store.head import read_head

_PAGE = 500


class MomentReader:
    """Both databases inside one snapshot, and the head: a context manager, for one thread.

    Everything is of the moment it was opened. Raises StoreError where the workspace cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._open = contextlib.ExitStack()
        self.state = open_state(directory, read_only=True)
        self._open.callback(self.state.close)
        with closed_on_error(self.state):
            self.blobs = open_blobs(directory, read_only=True)
            self._open.callback(self.blobs.close)
            with closed_on_error(self.blobs):
                self._open.enter_context(snapshot(self.state, directory))
                self._open.enter_context(snapshot(self.blobs, directory))
                self.head = read_head(self.state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(None, None, None)

    def version(self, path: bytes) -> int:
        """The document with this path. Raises UsageError where there is none."""
        found = self.state.execute(
            f"""SELECT v.id FROM document d JOIN version v ON v.document = d.id
            WHERE d.path = ? AND {self.head.live()}""",  # noqa: S608
            (path,),
        ).get
        if found is None:
            raise UsageError(f"{safe_text(os.fsdecode(path))}: there is no such document here.")
        return int(found)

    def paths(self, versions: Sequence[int]) -> dict[int, str]:
        """The paths of some documents, as lists show them."""
        found: dict[int, str] = {}
        for at in range(0, len(versions), _PAGE):
            page = versions[at : at + _PAGE]
            marks = ",".join("?" * len(page))
            rows = self.state.execute(
                f"""SELECT v.id, d.path FROM version v JOIN document d ON d.id = v.document
                WHERE v.id IN ({marks})""",  # noqa: S608
                tuple(page),
            )
            found.update((version, safe_text(show_path(path))) for version, path in rows)
        return found
