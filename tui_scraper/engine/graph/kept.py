"""The graph of the head, kept in a file of the workspace for as long as nothing changes.

The file is derived: it is used only where its hash is that of its content and it was made from exactly what
the head holds now, by this version of the program. Anything else is as if there were none.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import struct
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import apsw
import msgspec
import numpy as np
from blake3 import blake3

from tui_scraper import __version__
from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.export.record import read_fingerprint
from tui_scraper.engine.graph.model import KINDS, Graph
from tui_scraper.engine.graph.reading import Progress, make_graph, source_root
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.connection import closed_on_error, open_blobs, open_state, snapshot
from tui_scraper.engine.store.head import Head, read_head

GRAPH_FILE = "graph.kept"
_UNFINISHED, _UNFINISHED_KEPT_S = ".graph-", 86_400
_FORMAT = 1
_MAGIC = b"tui-scraper graph\n"
_HASH_BYTES = 32
_SIZE = struct.Struct("<Q")
_LARGEST_BYTES = 4_000_000_000
_COLUMNS: dict[str, Any] = {
    "versions": np.int64,
    "sources": np.int32,
    "targets": np.int32,
    "kinds": np.uint8,
    "counts": np.uint32,
    "broken_sources": np.int32,
    "broken_kinds": np.uint8,
    "broken_counts": np.uint32,
    "elsewhere": np.int64,
    "ambiguous": np.int64,
}


class _Start(msgspec.Struct, array_like=True):
    """What the file begins with below the hash; then come the columns and the broken names as in memory.

    `sizes_bytes` are theirs, in the order of `_COLUMNS`, the names last.
    """

    made_from: str
    sizes_bytes: list[int]


class GraphReader:
    """A workspace's graph with the paths of its documents: a context manager, for one thread.

    Everything is of the moment it was opened. Raises StoreError where the workspace cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open = contextlib.ExitStack()
        self._state = open_state(directory, read_only=True)
        self._open.callback(self._state.close)
        with closed_on_error(self._state):
            self._blobs = open_blobs(directory, read_only=True)
            self._open.callback(self._blobs.close)
            with closed_on_error(self._blobs):
                self._open.enter_context(snapshot(self._state, directory))
                self._open.enter_context(snapshot(self._blobs, directory))
                self.head = read_head(self._state)

    def __enter__(self) -> GraphReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(None, None, None)

    def graph(self, progress: Progress | None = None) -> Graph:
        """The graph: the one that is kept, else made now and kept.

        Raises StoreError where a text is missing or damaged. Where it cannot be kept it is made all the same.
        """
        found = read_kept(self._directory, self._state, self.head)
        if found is None:
            found = make_graph(self._state, self._blobs, self.head, progress)
            with contextlib.suppress(OSError):
                _keep(self._directory, _made_from(self._state, self.head), found)
        return found

    def version(self, path: bytes) -> int:
        """The document with this path. Raises UsageError where there is none."""
        found = self._state.execute(
            f"""SELECT v.id FROM document d JOIN version v ON v.document = d.id
            WHERE d.path = ? AND {self.head.live()}""",  # noqa: S608
            (path,),
        ).get
        if found is None:
            raise UsageError(f"{safe_text(os.fsdecode(path))}: there is no such document here.")
        return int(found)

    @property
    def state(self) -> apsw.Connection:
        """The state tables, inside the snapshot."""
        return self._state


_last: tuple[tuple[int, ...], str, Graph] | None = None
"""The last graph that was read: the file it is from, what it was made from, and itself."""


def read_kept(directory: Path, state: apsw.Connection, head: Head) -> Graph | None:
    """The graph that is kept, if it is that of the head. Takes a second for ten million references.

    The last one stays in memory, for who looks at one document after another.
    """
    global _last  # noqa: PLW0603
    made_from = _made_from(state, head)
    try:
        descriptor = os.open(
            directory / GRAPH_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
                return None
            mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            last = _last
            if last is not None and last[:2] == (mark, made_from):
                return last[2]
            data = file.read()
    except OSError:
        return None
    found = _decoded(data, made_from)
    if found is not None:
        _last = (mark, made_from, found)
    return found


def keep_graph(directory: Path) -> None:
    """See that the graph of the head is kept."""
    with GraphReader(directory) as reader:
        reader.graph()


def _decoded(data: bytes, made_from: str) -> Graph | None:
    at = len(_MAGIC) + _HASH_BYTES
    body = memoryview(data)[at:]
    if not data.startswith(_MAGIC) or blake3(body).digest() != data[len(_MAGIC) : at]:
        return None
    try:
        (size,) = _SIZE.unpack_from(body)
        start = msgspec.msgpack.decode(body[_SIZE.size : _SIZE.size + size], type=_Start)
        if start.made_from != made_from:
            return None
        ends = [_SIZE.size + size]
        for one in start.sizes_bytes:
            ends.append(ends[-1] + one)
        parts = [body[begin:end] for begin, end in itertools.pairwise(ends)]
        *columns, names = parts
        found = {
            name: np.frombuffer(part, kind)
            for (name, kind), part in zip(_COLUMNS.items(), columns, strict=True)
        }
    except (msgspec.MsgspecError, struct.error, ValueError):
        return None
    return Graph(**found, broken_targets=bytes(names))


def _made_from(state: apsw.Connection, head: Head) -> str:
    """All that a graph depends on; labels by hand are none of it."""
    mark = replace(read_fingerprint(state, head), given=0)
    root = source_root(state).hex()
    made = {"format": _FORMAT, "program": __version__, "kinds": list(map(str, KINDS)), "root": root}
    return msgspec.json.encode(made | asdict(mark), order="sorted").decode()


def _keep(directory: Path, made_from: str, graph: Graph) -> None:
    """Put the file in place at once and whole; readable for its owner alone."""
    parts: list[memoryview] = [
        np.ascontiguousarray(getattr(graph, name), kind).view(np.uint8).data
        for name, kind in _COLUMNS.items()
    ]
    parts.append(memoryview(graph.broken_targets))
    sizes = [part.nbytes for part in parts]
    if sum(sizes) >= _LARGEST_BYTES:
        return
    start = msgspec.msgpack.encode(_Start(made_from, sizes))
    pieces: list[bytes | memoryview] = [_SIZE.pack(len(start)), start, *parts]
    hashed = blake3()
    for piece in pieces:
        hashed.update(piece)
    _clear_unfinished(directory)
    descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=directory)  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            for piece in (_MAGIC, hashed.digest(), *pieces):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, directory / GRAPH_FILE)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _clear_unfinished(directory: Path) -> None:
    """Take away what a program that was killed has left."""
    for path in directory.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > _UNFINISHED_KEPT_S:
                path.unlink()
