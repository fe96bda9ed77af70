"""`markdown/`: one file for each document, in a folder for each label, with what is known of it in front.

The front matter is YAML of which every line is one key with a JSON value, so that any reader of YAML or JSON
gives back what was written, whatever a document is called. After it comes an empty line, the text, and one
line feed. Documents without a label lie in a folder of their state, such as `_failed`.

A file that would be the same as the one in the export before is linked, not written: what has not changed
keeps its time stamp, and takes no room twice while both exports are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.export.formats import tree
from tui_scraper.engine.export.formats.filenames import file_name, folder_name, state_folder
from tui_scraper.engine.export.formats.port import Format, Line, Tally, Writer, mismatch
from tui_scraper.engine.export.formats.sink import Sink, hash_file
from tui_scraper.engine.export.formats.values import Value, about, decimal
from tui_scraper.engine.export.manifest import ExportedFile
from tui_scraper.engine.export.row import Row

_LISTED_BYTES = 1_000_000
_SPECIAL = re.compile(
    '["\\\\\x00-\x1f\x7f-\xa0\xad'  # what JSON escapes; DEL, C1 and the blanks that look like others
    "\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff0-\uffff"  # unseen, or turning the line around
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_NAMED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Markdown(Format):
    """A tree of Markdown files."""

    name = "markdown"
    file = "markdown.sha256"
    folder = "markdown"

    def writer(self, directory: Path, before: Path) -> MarkdownWriter:
        """A writer; files that are the same in `before` are linked."""
        return MarkdownWriter(directory, before)

    def tally(self, directory: Path, proceed: Callable[[], None]) -> Tally:
        """Count the files of a finished tree, by its listing."""
        tally = Tally()
        for _sha256, _name in tree.read_listing(directory / self.file):
            tally.rows += 1
            proceed()
        return tally

    def wrong(self, directory: Path, proceed: Callable[[], None]) -> str:
        """The first file of the tree that is not what the listing says."""
        try:
            return tree.wrong_files(directory, self.file, proceed)
        except ValueError as error:
            return f"{self.file}: {error}"

    def foreign(self, directory: Path, listed: ExportedFile) -> str:
        """Something in the tree that no export wrote; where its listing is damaged, by the names alone."""
        try:
            sound = hash_file(directory / self.file, lambda: None) == (listed.size_bytes, listed.sha256)
        except OSError:
            sound = False
        return tree.foreign_file(directory, self.folder, self.file if sound else None)

    def clear(self, directory: Path) -> None:
        """Delete the tree."""
        tree.clear(directory / self.folder)

    def weigh(self, directory: Path) -> tuple[int, int]:
        """What the tree takes."""
        return tree.weigh(directory / self.folder)


class MarkdownWriter(Writer):
    """Writes, or links, a file for each document."""

    def __init__(self, directory: Path, before: Path) -> None:
        self._directory = directory
        self._before = os.path.join(before, Markdown.folder)
        self._top = os.path.join(directory, Markdown.folder)
        self._listed = bytearray()
        self._rows = 0
        os.mkdir(self._top)
        self._sink = Sink(directory / Markdown.file)
        self._written: ExportedFile | None = None

    def add(self, line: Line) -> None:
        """Write or link a file."""
        row = line.row
        data = document(row)
        inside = place(row)
        self._make(inside, data)
        self._listed += f"{hashlib.sha256(data).hexdigest()}  {Markdown.folder}/{inside}\n".encode()
        self._rows += 1
        if len(self._listed) >= _LISTED_BYTES:
            self._flush()

    def finish(self) -> ExportedFile:
        """End the listing."""
        self._flush()
        size_bytes, sha256 = self._sink.finish()
        self._written = ExportedFile(Markdown.file, "markdown", self._rows, size_bytes, sha256)
        return self._written

    def sync(self) -> None:
        """Make the whole tree durable."""
        tree.sync_all(self._directory)
        self._sink.sync()

    def check(self, total: Tally, proceed: Callable[[], None]) -> None:
        """Read every file back."""
        assert self._written is not None
        wrong = MARKDOWN.wrong(self._directory, proceed)
        if wrong:
            raise StoreError(
                f"{wrong}: the export could not be read back as it was written. "
                "The disk may be failing; the export before is unchanged."
            )
        found = hash_file(self._directory / Markdown.file, proceed)
        if found != (self._written.size_bytes, self._written.sha256) or total.rows != self._rows:
            raise StoreError(mismatch(Markdown.file, f"{found[0]} bytes", f"{self._written.size_bytes}"))

    def close(self) -> None:
        """Let go of the listing."""
        self._sink.close()

    def _flush(self) -> None:
        self._sink.put(self._listed)
        self._listed = bytearray()

    def _make(self, inside: str, data: bytes) -> None:
        new = f"{self._top}/{inside}"
        try:
            if self._link(inside, data, new):
                return
            file = _create(new)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.dirname(new))
            if self._link(inside, data, new):
                return
            file = _create(new)
        with open(file, "wb", buffering=0) as opened:
            view = memoryview(data)
            while view:
                view = view[opened.write(view) :]

    def _link(self, inside: str, data: bytes, new: str) -> bool:
        """Whether the file of the export before is this one, and could be linked."""
        old = f"{self._before}/{inside}"
        try:
            if os.lstat(old).st_size != len(data) or tree.read_file(old) != data:
                return False
        except OSError:
            return False  # there is none
        try:
            os.link(old, new, follow_symlinks=False)
        except FileNotFoundError:
            raise  # the folder is not made yet
        except OSError:
            return False  # not on this file system, or somebody else's file
        return True


def place(row: Row) -> str:
    """Where the file of a document lies, inside the tree."""
    folder = folder_name(row.label) if row.label is not None else state_folder(row.status)
    return f"{folder}/{file_name(row.path, row.id)}"


def document(row: Row) -> bytes:
    """The file of a document."""
    front = "".join(f"{key}: {scalar(value)}\n" for key, value in about(row).items())
    return f"---\n{front}---\n\n{row.text or ''}\n".encode()


def scalar(value: Value) -> str:
    """A value that YAML 1.1 and 1.2 read alike, on one line."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'"{_SPECIAL.sub(_escaped, value)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {scalar(part)}' for key, part in value.items())}}}"
    return str(value)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


MARKDOWN = Markdown()
