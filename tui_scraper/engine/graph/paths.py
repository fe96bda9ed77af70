"""Where a link leads, as paths inside the folder: the rules of URLs, applied to names of files.

Paths are bytes with '/', as in the store. What lies in an archive has the archive's path and '!/' in front
(its *scope*), and its links stay in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

COMPRESSED = (b".gz", b".bz2", b".xz", b".zst", b".lzma", b".z")
_SLASH = ord("/")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):")
_LOCAL_HOSTS = ("", "localhost")


class Way(Enum):
    """What kind of place a link leads to."""

    INSIDE = "a place in the folder"
    ITSELF = "another place of the same document"
    ELSEWHERE = "somewhere else"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document is. `scope` is '' for a file, else what the path begins with up to the last '!/'.

    `folder` is what its links start from, within the scope and without a '/' at its end.
    """

    path: bytes
    scope: bytes
    folder: bytes

    @property
    def inner(self) -> bytes:
        """The path within the scope."""
        return self.path[len(self.scope) :]


def place_of(path: bytes, around: Place | None = None) -> Place:
    """The place of a file, or of a member of the container `around`.

    What is compressed by itself (`page.html.gz!/page.html`) stands where its container stands.
    """
    if around is None:
        return Place(path, b"", path.rpartition(b"/")[0])
    name = path[len(around.path) + 2 :]
    stem, dot, ending = around.path.rpartition(b"/")[2].rpartition(b".")
    if name == stem and dot + ending.lower() in COMPRESSED:
        return Place(path, around.scope, around.folder)
    return Place(path, around.path + b"!/", name.rpartition(b"/")[0])


def normalized(folder: bytes, name: bytes) -> bytes | None:
    """A path without '.', '..' and empty parts; None where it leads out. A '/' in front starts at the top."""
    if name and name[0] not in b"./" and name[-1] != _SLASH and b"/." not in name and b"//" not in name:
        return folder + b"/" + name if folder else name
    kept: list[bytes] = [] if name.startswith(b"/") or not folder else folder.split(b"/")
    for part in name.split(b"/"):
        if part == b"..":
            if not kept:
                return None
            kept.pop()
        elif part and part != b".":
            kept.append(part)
    return b"/".join(kept)


def leads(target: str, root: bytes) -> tuple[Way, list[bytes]]:
    """Where the target of a link leads, and the paths that it may mean, best first.

    A path begins with '/' where it starts at the top of the scope. `root` is the absolute path of the folder
    of documents. A query and a fragment are dropped and percent signs decoded; after that the target is also
    taken for a file name as it stands, and with '/' in the place of each backslash.
    """
    scheme = _SCHEME.match(target) if ":" in target else None
    path = target
    is_file = False
    if scheme is not None:
        if scheme[1].lower() != "file":
            return Way.ELSEWHERE, []
        path, is_file = target[scheme.end() :], True
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if not is_file or host.lower() not in _LOCAL_HOSTS:
            return Way.ELSEWHERE, []
        path = slash + rest
    cut = path.partition("#")[0].partition("?")[0]
    if not cut and not is_file:
        return Way.ITSELF, []
    decoded = unquote_to_bytes(cut) if "%" in cut else cut.encode("utf-8", "surrogateescape")
    written = path.encode("utf-8", "surrogateescape")
    if "\\" in path or b"\\" in decoded:
        forms = list(dict.fromkeys(_forms(decoded, written)))
    else:
        forms = [form for form in ((decoded, written) if decoded != written else (written,)) if form]
    if is_file:
        inside = [form[len(root) :] for form in forms if form.startswith(root + b"/") and root]
        return (Way.INSIDE, inside) if inside else (Way.ELSEWHERE, [])
    if root and path.startswith(("/", "\\", "%")):
        forms = [form[len(root) :] for form in forms if form.startswith(root + b"/")] + forms
    return Way.INSIDE, forms


def _forms(*names: bytes) -> Iterator[bytes]:
    for name in names:
        if name:
            yield name
        if b"\\" in name:
            yield name.replace(b"\\", b"/")
