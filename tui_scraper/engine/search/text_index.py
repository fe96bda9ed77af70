"""The full-text index of one workspace: derived data, written by one thread, rebuildable at any time.

It holds nothing but terms: a hit is a pair (chunk artifact, ordinal), and whatever is shown of it
comes from the store. Artifacts are shared by all branches of history, so a rollback leaves the index
alone; the query asks the store what the head can see.

The store records an artifact as indexed only after the commit here that holds it. A crash between
the two leaves chunks that nobody recorded: they are added again with `replace`, which deletes them
first.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tantivy

from tui_scraper.engine import disk
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.search.segments import INDEX_DIR
from tui_scraper.engine.search.terms import TOKENIZER, analyzer, spaced

_UNNOTED = "unnoted"
"""A file in the index's folder: it is empty, and the store may not know that yet."""

HEAP_BYTES = 20_000_000
"""The writer's arena. The library's minimum, 15 MB, is a third slower, and more than this no faster."""

_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)|\bcode: (\d+)")
"""Where the library names the error number of the system in its messages."""
_THREAD_ENDED = ("An error occurred in a thread", "index writer was killed")
"""What it says once a thread of its own has met an error: not which."""
_OTHER_SCHEMA = "schema does not match"
"""What it says of an index with other fields, or whose words were cut by other rules."""
_LOCKED = ("LockBusy", "LockFailure", "Failed to acquire")
"""What it says where it gets no lock: because another has it, or because locking failed."""


class DamagedIndexError(StoreError):
    """The index cannot be read. It is derived data: the next run builds it again."""


class OlderIndexError(DamagedIndexError):
    """The index was made by a version with other rules. The next run builds it again."""


def schema(*, languages: bool = True) -> Any:
    """The fields of the index. Integers are signed: an unsigned field kills the writer on delete.

    Without `languages`: those before there was a field for them.
    """
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("artifact", indexed=True, fast=True)
    builder.add_integer_field("ordinal", fast=True)
    for name in ("text", "title", "heading"):
        builder.add_text_field(name, tokenizer_name=TOKENIZER)
    if languages:
        builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    return builder.build()


class TextIndex:
    """The writer of `<workspace>/index/`. Create, use and close it in one and the same thread.

    `fresh` is True where the directory was missing, damaged or of another schema and an empty index
    has taken its place: whatever the store calls indexed is to be indexed again. It stays so, also for
    the next process, until the first commit: by then the store has taken note.
    """

    def __init__(self, workspace: Path) -> None:
        self.directory = workspace / INDEX_DIR
        with _explained(self.directory):
            existing = _open_existing(self.directory)
            self._mark = self.directory / _UNNOTED
            self.fresh = existing is None or self._mark.exists()
            self._index = existing if existing is not None else _create(self.directory)
            self._writer = self._index.writer(HEAP_BYTES, 1)

    def add(
        self,
        artifact: int,
        title: str,
        chunks: Sequence[str],
        headings: Sequence[str],
        *,
        replace: bool,
        language: str = "",
    ) -> None:
        """Add every chunk of one chunk artifact, in order. `language` is the document's, '' where unclear.

        `replace` first deletes what the index holds of that artifact, committed or not. It is
        needed wherever an earlier process may have got as far as the commit.
        """
        shown_title = spaced(title)
        with _explained(self.directory):
            if replace:
                self._writer.delete_documents_by_term("artifact", artifact)
            for ordinal, (text, heading) in enumerate(zip(chunks, headings, strict=True)):
                document = tantivy.Document()
                document.add_integer("artifact", artifact)
                document.add_integer("ordinal", ordinal)
                document.add_text("text", spaced(text))
                if shown_title:
                    document.add_text("title", shown_title)
                if heading:
                    document.add_text("heading", spaced(heading))
                if language:
                    document.add_text("language", language)
                self._writer.add_document(document)

    def commit(self) -> None:
        """Make everything added so far durable and visible to searches.

        Raises StoreBlockedError where the disk is full or read-only. After any error the index must be
        closed and opened again; what was added since the last commit is lost to it, and only to it.
        """
        with _explained(self.directory):
            self._mark.unlink(missing_ok=True)
            self._writer.commit()

    def close(self, *, finish_merges: bool = False) -> None:
        """Give the directory back. What was added since the last commit is dropped.

        `finish_merges` waits for running merges of segments (seconds on a large index), which makes
        later searches a little faster; without it they are abandoned and done by a later run.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if finish_merges:
            with _explained(self.directory):
                writer.rollback()
                writer.wait_merging_threads()
        del writer, self._index


def open_for_reading(workspace: Path) -> tuple[Any, Any] | None:
    """The committed index as (tantivy Index, analyzer); None before anything was indexed.

    One that has no languages yet can be read as well: `holds_languages` tells. Raises DamagedIndexError.
    """
    directory = workspace / INDEX_DIR
    if not (directory / "meta.json").exists():
        return None
    analyze = analyzer()
    with _explained(directory), _where_a_lock_can_be(directory) as place:
        try:
            index = _opened(place, schema())
        except OlderIndexError:
            index = _opened(place, schema(languages=False))
        index.register_tokenizer(TOKENIZER, analyze)
        index.config_reader("manual", 0)
        index.reload()  # opens all files
    return index, analyze


@contextmanager
def _where_a_lock_can_be(directory: Path) -> Iterator[Path]:
    """The directory; where it is read-only, one with links to its files, until these are open.

    The library puts a lock beside what it reads.
    """
    if os.access(directory, os.W_OK):
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="tui-scraper-") as place:
        for name in os.listdir(directory):
            if not name.endswith(".lock"):
                os.symlink(directory.resolve() / name, Path(place, name))
        yield Path(place)


def holds_languages(index: Any) -> bool:
    """Whether an index that was opened for reading knows the language of each chunk."""
    return bool(index.schema == schema())


def _opened(directory: Path, fields: Any) -> Any:
    with _explained(directory):
        return tantivy.Index(fields, str(directory), reuse=True)


def remove(workspace: Path, pages: Iterable[Sequence[int]]) -> Iterator[Sequence[int]]:
    """Take chunk artifacts out of the index, whether it holds them or not. Yields each committed page.

    Where there is no index, or a damaged one that the next run makes anew, nothing is left of them either.
    Raises StoreError where another process is writing the index, StoreFullError where the disk is full.
    """
    directory = workspace / INDEX_DIR
    index = _open_existing(directory)
    writer = None
    for page in pages:
        if index is not None:
            with _explained(directory):
                writer = writer or index.writer(HEAP_BYTES, 1)
                for artifact in page:
                    writer.delete_documents_by_term("artifact", artifact)
                writer.commit()
        yield page


def guarded(workspace: Path, work: Callable[[], Any]) -> Any:
    """Run a read of the index; what the library throws becomes a DamagedIndexError."""
    with _explained(workspace / INDEX_DIR):
        return work()


def _open_existing(directory: Path) -> Any | None:
    """The index that is there, or None where it must be built anew."""
    if not (directory / "meta.json").exists():
        return None
    try:
        with _explained(directory):
            index = tantivy.Index(schema(), str(directory), reuse=True)
            index.register_tokenizer(TOKENIZER, analyzer())
            index.reload()  # opens every segment: files that are missing or cut short are noticed here
            searcher = index.searcher()
            if searcher.num_docs:
                everything = tantivy.Query.all_query()
                found = searcher.search(everything, 1, count=False).hits
                searcher.fast_field_values("artifact", [address for _score, address in found])
            return index
    except DamagedIndexError:
        return None


def _create(directory: Path) -> Any:
    if directory.is_symlink() or directory.is_file():
        directory.unlink()
    elif directory.exists():
        shutil.rmtree(directory)
    os.makedirs(directory)
    (directory / _UNNOTED).touch()
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    index = tantivy.Index(schema(), str(directory), reuse=False)
    index.register_tokenizer(TOKENIZER, analyzer())
    return index


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn the library's errors, and its panics (which are no Exception), into sentences."""
    try:
        yield
    except (StoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        text = str(error)
        ended, locked = (any(sign in text for sign in signs) for signs in (_THREAD_ENDED, _LOCKED))
        number = disk.state_of(directory) if ended or locked else _system_error(error, text)
        if number in disk.REFUSALS:
            raise disk.refusal(directory, number) from error
        if number in {errno.EACCES, errno.EPERM}:
            raise StoreError(f"{directory}: the search index cannot be written ({text}).") from error
        if ended:
            raise StoreError(
                f"{directory}: the search index could not be written. Everything finished so far is saved; "
                "start again, and look at the disk if it happens again."
            ) from error
        if locked:
            raise StoreError(
                f"{directory}: the search index cannot be locked: another process is writing it, or the disk "
                "refused. Everything finished so far is saved; start again when it is free."
            ) from error
        if _OTHER_SCHEMA in text:
            raise OlderIndexError(
                f"{directory}: the search index was made by another version. The next run builds it again."
            ) from error
        raise DamagedIndexError(
            f"{directory}: the search index is damaged ({text[:200]}). The next run builds it again."
        ) from error


def _system_error(error: BaseException, text: str) -> int:
    """The error number of the system behind an error of the library, 0 where there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _SYSTEM_ERROR.search(text)
    return int(found[1] or found[2]) if found else 0
