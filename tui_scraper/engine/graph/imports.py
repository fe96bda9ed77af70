"""What source code includes and imports, by lines that read so, and which documents that means.

A name that must be a file of the same project (`"x.h"`, `from .x import y`, `'./x'`) is broken where it is
not there; any other may be a package of this machine, which is elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.graph.model import Kind
from tui_scraper.engine.graph.names import AMBIGUOUS, Names
from tui_scraper.engine.graph.paths import Place, normalized

Import = tuple[Kind, str, "int | None", bool]
"""(kind, what is written, the document it means or AMBIGUOUS or None, whether it must be there)."""

_C: Final = frozenset({"text/x-c", "text/x-c++", "text/x-objective-c", "text/x-asm"})
_SCRIPT: Final = frozenset({"text/javascript", "text/x-typescript", "text/x-vue"})
_PYTHON: Final = "text/x-python"
SOURCES: Final = mt.SOURCE | {mt.LATEX, mt.BIBTEX}
"""Documents that may be meant by the end of their path."""

_C_LINE = re.compile(
    r'^[ \t]{0,80}#[ \t]{0,20}(?:include|import)[ \t]{0,20}(?:"([^"\n]{1,500})"|<([^>\n]{1,500})>)',
    re.MULTILINE,
)
_PYTHON_LINE = re.compile(
    r"^[ \t]{0,80}(?:from[ \t]{1,20}(\.{0,20})((?:\w[\w.]{0,300})?)[ \t]{1,20}import[ \t]{0,20}"
    r"(\([^()]{0,4000}\)|[^\n;#(]{1,1000})|import[ \t]{1,20}([\w., \t]{1,1000}))",
    re.MULTILINE,
)
_NAME = re.compile(r"[^\W\d]\w*|\*")
_SCRIPT_NAME = re.compile(
    r"(?:\bfrom|\bimport|\brequire)\s{0,20}\(?\s{0,20}(?:'([^'\n]{1,500})'|\"([^\"\n]{1,500})\")"
)
_SCRIPT_ENDINGS: Final = (
    b"", b".ts", b".tsx", b".d.ts", b".js", b".jsx", b".mjs", b".cjs", b".json", b".vue",
    b"/index.ts", b"/index.tsx", b"/index.js", b"/index.jsx", b"/index.mjs",
)  # fmt: skip
_PYTHON_ENDINGS: Final = (b".py", b"/__init__.py", b".pyi", b".pyx")
_DEEPEST: Final = 64


def imports(names: Names, place: Place, media_type: str, text: str) -> Iterator[tuple[Import, int]]:
    """What a document of source code includes and imports, and how often; nothing of other documents."""
    if media_type in _C:
        found = Counter(_C_LINE.findall(text))
        for (quoted, angled), count in found.items():
            yield _include(names, place, quoted, angled), count
    elif media_type == _PYTHON:
        for (dots, module, name), count in Counter(_python_names(text)).items():
            yield _python(names, place, dots, module, name), count
    elif media_type in _SCRIPT:
        written = Counter(single or double for single, double in _SCRIPT_NAME.findall(text))
        for name, count in written.items():
            yield _script(names, place, name), count


def _include(names: Names, place: Place, quoted: str, angled: str) -> Import:
    name = (quoted or angled).replace("\\", "/").encode()
    found = names.path(place, name) if quoted else None
    if found is None and (quoted or "/" in angled):
        end = normalized(b"", name)
        found = names.ending(place.scope, end) if end else None
    return Kind.INCLUDE, quoted or angled, found, bool(quoted)


def _python_names(text: str) -> Iterator[tuple[str, str, str]]:
    """(dots, module, name in it or '') of everything imported."""
    for dots, module, listed, modules in _PYTHON_LINE.findall(text):
        if modules:
            for one in modules.split(","):
                name = one.split()[0] if one.split() else ""
                if name.strip("."):
                    yield "", name.strip("."), ""
        elif dots or module:
            lines = (line.partition("#")[0] for line in listed.split("\n"))
            for one in " ".join(lines).strip("() \t").split(","):
                if match := _NAME.match(one.strip()):
                    yield dots, module.strip("."), match[0].strip("*")


def _python(names: Names, place: Place, dots: str, module: str, name: str) -> Import:
    parts = [part for part in module.split(".") if part]
    longer = "/".join([*parts, name]).encode() if name else b""
    shorter = "/".join(parts).encode()
    written = f"{dots}{module}" + (f"{'.' if module else ''}{name}" if name else "")
    if dots:
        base = normalized(place.folder, b"../" * (len(dots) - 1))
        if base is None:
            return Kind.IMPORT, written, None, False
        start = place.scope + (base + b"/" if base else b"")
        found = _first(names, start, (longer, shorter))
        if found is None and not shorter:
            found = names.exact(start + b"__init__.py")
        return Kind.IMPORT, written, found, True
    for folder in _search_folders(names, place):
        found = _first(names, place.scope + (folder + b"/" if folder else b""), (longer, shorter))
        if found is not None:
            return Kind.IMPORT, written, found, False
    ends = (end + ending for end in (longer, shorter) if b"/" in end for ending in _PYTHON_ENDINGS[:3])
    return Kind.IMPORT, written, _best(lambda end: names.ending(place.scope, end), ends), False


def _first(names: Names, start: bytes, modules: Iterable[bytes]) -> int | None:
    return _best(
        names.exact, (start + module + ending for module in modules if module for ending in _PYTHON_ENDINGS)
    )


def _best(look: Callable[[bytes], int | None], wanted: Iterable[bytes]) -> int | None:
    """The first document that is found; AMBIGUOUS where nothing better is."""
    found = None
    for name in wanted:
        one = look(name)
        if one is not None and one != AMBIGUOUS:
            return one
        found = found if one is None else one
    return found


def _search_folders(names: Names, place: Place) -> Iterator[bytes]:
    """Where Python would look: the folder around the package a file is in, and then the ones around that."""
    folder = place.folder
    for _ in range(_DEEPEST):
        inside = names.exact(place.scope + folder + b"/__init__.py") if folder else None
        if inside is None:
            break
        folder = folder.rpartition(b"/")[0]
    for _ in range(_DEEPEST):
        yield folder
        if not folder:
            return
        folder = folder.rpartition(b"/")[0]


def _script(names: Names, place: Place, name: str) -> Import:
    if not name.startswith("."):
        return Kind.IMPORT, name, None, False
    inner = normalized(place.folder, name.partition("?")[0].encode())
    if inner is None:
        return Kind.IMPORT, name, None, False
    start = place.scope + inner
    wanted = [start + ending for ending in _SCRIPT_ENDINGS]
    stem, dot, ending = start.rpartition(b".")
    if dot and ending in (b"js", b"jsx", b"mjs", b"cjs"):  # TypeScript names what the file will be called
        wanted += [stem + b".ts", stem + b".tsx", stem + b".mts", stem + b".cts"]
    return Kind.IMPORT, name, _best(names.exact, wanted), True
