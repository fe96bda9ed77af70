"""Duplicates of the head, and signatures of its texts, kept in files of the workspace.

Duplicates are kept for as long as nothing changes. Signatures belong to texts, so those of texts that are
still there serve when something has: what is new is read, the rest is not. They also serve later versions of
the program, and are kept where the question that made them was stopped.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import apsw
import numpy as np

from tui_scraper.engine.duplicates.grouping import Progress
from tui_scraper.engine.duplicates.model import Duplicates
from tui_scraper.engine.duplicates.reading import Finder, Signed
from tui_scraper.engine.duplicates.signature import PERMUTATIONS, SIGNATURE_VERSION
from tui_scraper.engine.kept import Columns, KeptFile, documents_at, made_by_any, made_from
from tui_scraper.engine.settings import ALIKE
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.moment import MomentReader

_SIGNED_FROM = made_by_any(signatures=SIGNATURE_VERSION, unicode=unicodedata.unidata_version)
"""What a word is hangs on what Python knows of Unicode. Another program signs alike."""
_MOST_STALE = 0.5
"""Signatures of texts that are gone stay in the file until they are so large a share of it."""


def _signed(columns: Columns) -> Signed:
    return Signed(columns["keys"], columns["matrix"].reshape(-1, PERMUTATIONS))


def _duplicates(columns: Columns) -> Duplicates:
    return Duplicates(**{name: column.copy() for name, column in columns.items()})  # in a file they lie askew


DUPLICATES = KeptFile(
    "duplicates.kept",
    {
        "versions": np.int64,
        "uids": np.uint64,
        "sizes": np.int64,
        "exact": np.int32,
        "near": np.int32,
        "similarity": np.float32,
    },
    _duplicates,
)
SIGNATURES = KeptFile("signatures.kept", {"keys": np.uint64, "matrix": np.uint16}, _signed, remembered=False)


class DuplicatesReader(MomentReader):
    """A workspace's duplicates with the paths of its documents."""

    def duplicates(
        self, alike: float = ALIKE, progress: Progress | None = None, *, keep: bool = True
    ) -> Duplicates:
        """Those that are kept, else found now. `alike`: the similarity from which on texts count.

        Raises StoreError where a text is missing or damaged.
        """
        return find_kept(self.directory, self.state, self.blobs, self.head, alike, progress, keep=keep)


def read_kept(directory: Path, state: apsw.Connection, head: Head, alike: float = ALIKE) -> Duplicates | None:
    """The duplicates that are kept, if they are those of the head. Takes 0.1 s for a million documents."""
    return DUPLICATES.read(directory, _made_from(state, head, alike))


def find_kept(
    directory: Path,
    state: apsw.Connection,
    blobs: apsw.Connection,
    head: Head,
    alike: float = ALIKE,
    progress: Progress | None = None,
    *,
    keep: bool = True,
    made: Iterable[Signed] = (),
) -> Duplicates:
    """The duplicates at the head: those that are kept, else found now and kept where the disk allows.

    `made` are signatures that have been made of texts, besides those that are kept. `progress` is told how
    many of the new texts have been signed, then how many of all have been compared; what it raises
    stops that. `keep=False` leaves those that are kept as they are; new signatures are kept all the same.
    Both connections must be inside a read transaction. Raises StoreError where a text is missing or damaged.
    """
    found = read_kept(directory, state, head, alike)
    if found is not None:
        return found
    known = SIGNATURES.read(directory, _SIGNED_FROM) or Signed.none()
    finder = Finder(state, blobs, head)
    try:
        found, signed = finder.find(alike, known, progress, made=made)
    except BaseException:
        if finder.fresh_count:
            _keep_signed(directory, known, finder.fresh())
        raise
    gone = ~np.isin(known.keys, signed.keys)
    is_stale = gone.sum() > _MOST_STALE * (gone.sum() + len(signed.keys))
    stays = Signed.none() if is_stale else Signed(known.keys[gone], known.matrix[gone])
    del known
    if finder.fresh_count or is_stale:
        _keep_signed(directory, stays, signed)
    if keep:
        columns = {name: getattr(found, name) for name in DUPLICATES.columns}
        with contextlib.suppress(OSError):
            DUPLICATES.keep(directory, _made_from(state, head, alike), columns)
    return found


def _keep_signed(directory: Path, *parts: Signed) -> None:
    """Keep signatures of different texts together, where the disk allows."""
    parts = tuple(part for part in parts if len(part.keys)) or (Signed.none(),)
    if len(parts) == 1:  # without a copy of what may be hundreds of megabytes
        keys, matrix = parts[0].keys, parts[0].matrix
    else:
        keys = np.concatenate([part.keys for part in parts])
        matrix = np.concatenate([part.matrix for part in parts])
    with contextlib.suppress(OSError):
        SIGNATURES.keep(directory, _SIGNED_FROM, {"keys": keys, "matrix": matrix})


def _made_from(state: apsw.Connection, head: Head, alike: float) -> str:
    return made_from(alike=alike, signatures=SIGNATURE_VERSION, **documents_at(state, head))
