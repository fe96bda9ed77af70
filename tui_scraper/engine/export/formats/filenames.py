"""Names of files and folders made from what strangers called their documents.

A name is safe (letters, digits, marks and a few signs; nothing that a file system, a shell or Windows gives a
meaning), short, and the same whatever else is exported. Every file has the document's id in it, which makes
it unique in the whole tree, also where upper and lower case are one; so folders whose names differ in case
only may become one on another file system, and no file is lost.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

from tui_scraper.engine.models import Status

MOST_BYTES = 100
"""Of a name before its id; file systems take 255 bytes, and some count characters that they take apart."""
FILE_NAME = re.compile(r"(?:.*-)?[0-9a-f]{16}\.md", re.DOTALL)
"""What every file is called."""
_UID = re.compile(r"[0-9a-f]{16}")
_KEPT_SIGNS = frozenset(" ._-")
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"]
)
"""Names that Windows takes for devices, with any ending."""


def safe_name(text: str) -> str:
    """A name like `text`; empty where nothing of it can be kept."""
    kept = "".join(
        char if char in _KEPT_SIGNS or unicodedata.category(char)[0] in "LMN" else "_"
        for char in unicodedata.normalize("NFC", text[: 4 * MOST_BYTES])
    )
    short = kept.lstrip(" ._-").encode()[:MOST_BYTES].decode(errors="ignore").rstrip(" .")
    reserved = short.split(".")[0].rstrip().casefold() in _RESERVED
    return f"_{short}" if reserved else short


def file_name(path: str, uid: str) -> str:
    """What the file of a document is called; `uid` is its `id`. Raises ValueError where it is none."""
    if not _UID.fullmatch(uid):
        raise ValueError(f"{uid!r} is not the id of a document")
    name = safe_name(path.rstrip("/").rsplit("/", 1)[-1])
    return f"{name}-{uid}.md" if name else f"{uid}.md"


@lru_cache(1024)
def folder_name(label: str) -> str:
    """The folder of a label. Labels that cannot be names are told apart by a hash."""
    name = safe_name(label)
    if name and name == label and not name.startswith("_"):
        return name
    return f"{name or 'label'}-{hashlib.sha256(label.encode()).hexdigest()[:12]}"


def state_folder(status: str) -> str:
    """The folder of documents without a label, by their state. No label has such a folder.

    Raises ValueError where there is no such state.
    """
    Status(status)
    return "_unlabelled" if status == "done" else f"_{status}"
