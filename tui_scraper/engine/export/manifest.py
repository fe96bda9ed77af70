"""`manifest.json`: what an export holds, and the sign by which we know a folder as our own.

Nothing in it depends on the time of the run, so that two runs over the same input give the same
bytes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from tui_scraper.engine import disk

FORMAT = "tui-scraper-export"
FORMAT_VERSION = 3
MANIFEST_FILE = "manifest.json"
_LARGEST_MANIFEST_BYTES = 1_000_000


class ExportedFile(msgspec.Struct, frozen=True):
    """One file of an export. A tree of files is there with its listing, which has the hash of each."""

    name: str
    format: str
    rows: int
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The whole manifest. `settings` maps a phase to the hash of its code version and settings."""

    format: str
    format_version: int
    program_version: str
    documents: int
    counts: dict[str, int]
    chunks: int
    settings: dict[str, str]
    files: list[ExportedFile]

    def encode(self) -> bytes:
        """The manifest as it is written: indented JSON with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def read_manifest(directory: Path) -> tuple[Manifest, bytes] | None:
    """The manifest of one of our exports with the SHA-256 of its bytes, or None.

    Raises StoreError where the disk does not let it be read: a folder is not called someone else's for that.
    """
    path = directory / MANIFEST_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            data = file.read(_LARGEST_MANIFEST_BYTES)
        manifest = msgspec.json.decode(data, type=Manifest)
    except OSError as error:
        if error.errno in disk.REFUSALS:
            raise disk.refusal(path, error.errno) from error
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return (manifest, hashlib.sha256(data).digest()) if manifest.format == FORMAT else None
