"""The rules of the graph once more, written down the slow way: every document is held against every other.

Shares nothing with the program but the constants of its rules.
"""

from __future__ import annotations

import functools
import posixpath
import re
import unicodedata
from collections import Counter
from urllib.parse import unquote_to_bytes, urljoin

from tests.graph.corpora import ROOT, Doc

SHARING = 8
C, PYTHON, SCRIPT = ("text/x-c",), ("text/x-python",), ("text/x-typescript",)
ENDED = ("text/x-c", "text/x-python", "text/x-typescript", "text/css", "text/x-tex", "text/x-bibtex")
MANY = object()


@functools.cache
def words(text: str) -> str:
    """The words of a text with a space around each."""
    spaced = "".join(f" {c} " if "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" else c for c in text)
    parts = re.split(r"[\W_]+", spaced.casefold())
    return f" {' '.join(filter(None, parts))} "


def bare(path: bytes) -> str:
    """As links are kept: in NFC, without white space."""
    return "".join(unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape")).split())


class Naive:
    """Compare `edges`, `broken`, `elsewhere` and `ambiguous`."""

    def __init__(self, docs: list[Doc]) -> None:
        self.docs = docs
        self.edges: Counter = Counter()
        self.broken: Counter = Counter()
        self.elsewhere: Counter = Counter()
        self.ambiguous: Counter = Counter()
        self.stands = [self._stands(at) for at in range(len(docs))]
        self.all_titles = {words(doc.clean.title) for doc in docs if doc.clean and doc.clean.title}
        self.bare = [bare(doc.path) for doc in docs]
        for at in range(len(docs)):
            if docs[at].clean is not None:
                self.read(at)

    # Where a document stands

    def scope_and_folder(self, at: int) -> tuple[bytes, bytes]:
        return self.stands[at]

    def _stands(self, at: int) -> tuple[bytes, bytes]:
        doc = self.docs[at]
        if doc.parent is None:
            return b"", posixpath.dirname(doc.path)
        around = self.docs[doc.parent].path
        if doc.path == around + b"!/" + posixpath.splitext(posixpath.basename(around))[0] and around.endswith(
            b".gz"
        ):
            return self._stands(doc.parent)
        return around + b"!/", posixpath.dirname(doc.path[len(around) + 2 :])

    def inner(self, folder: bytes, name: bytes) -> bytes | None:
        whole = name.lstrip(b"/") if name.startswith(b"/") else posixpath.join(folder, name)
        whole = posixpath.normpath(whole) if whole else b"."
        if whole == b".." or whole.startswith(b"../"):
            return None
        return b"" if whole == b"." else whole

    # Names

    def one(self, found: list[int]) -> object:
        return None if not found else found[0] if len(found) == 1 else MANY

    def exact(self, path: bytes) -> object:
        return self.one([at for at, doc in enumerate(self.docs) if doc.path == path])

    def file(self, at: int, name: bytes) -> object:
        scope, folder = self.scope_and_folder(at)
        inner = self.inner(folder, name)
        if inner is None:
            return None
        found = self.exact(scope + inner)
        if found is None:
            wanted = bare(scope + inner)
            same = [at for at, path in enumerate(self.bare) if path == wanted]
            found = self.one([at for at in same if self.bare[at].encode() != self.docs[at].path])
        return found

    def ending(self, at: int, end: bytes) -> object:
        scope = self.scope_and_folder(at)[0]
        return self.one(
            [
                other
                for other, doc in enumerate(self.docs)
                if doc.media_type in ENDED
                and self.scope_and_folder(other)[0] == scope
                and (b"/" + doc.path[len(scope) :]).endswith(b"/" + end)
            ]
        )

    def page(self, at: int, name: bytes) -> object:
        def manual(other: int) -> tuple[bytes, bytes]:
            scope, folder = self.scope_and_folder(other)
            return scope, posixpath.dirname(folder)

        pages = [
            other
            for other, doc in enumerate(self.docs)
            if doc.media_type == "text/troff" and posixpath.basename(doc.path) == name
        ]
        near = [other for other in pages if manual(other) == manual(at)]
        return self.one(near) if near else self.one(pages)

    @functools.cache  # noqa: B019
    def rfc(self, number: int) -> list[int]:
        found = []
        for at, doc in enumerate(self.docs):
            name = re.fullmatch(
                r"rfc[-_ ]?0*(\d+)(\.[A-Za-z0-9.]+)?", posixpath.basename(doc.path).decode(), re.I
            )
            title = re.match(r"RFC[ -]?0*(\d+)\b", (doc.clean.title or "") if doc.clean else "", re.I)
            if number in {int(match[1]) for match in (name, title) if match}:
                found.append(at)
        return found

    @functools.cache  # noqa: B019
    def doi(self, doi: str) -> list[int]:
        found = []
        for at, doc in enumerate(self.docs):
            file = re.fullmatch(r"10\.1000_(\w+)\.txt", posixpath.basename(doc.path).decode())
            named = file is not None and doi == f"10.1000/{file[1]}"
            stated = set()
            for line in doc.clean.text.split("\n") if doc.clean else ():
                match = re.fullmatch(r"(?:doi:|https://doi\.org/)(10\.\S+)", line, re.I)
                stated |= {match[1].lower()} if match else set()
            if named or stated == {doi}:
                found.append(at)
        return found

    def selves(self, name: str) -> list[int]:
        return [at for at, doc in enumerate(self.docs) if doc.clean and (name, "self") in doc.clean.links]

    # References

    def add(self, at: int, found: object, kind: str, count: int = 1) -> bool:
        """Whether the name meant anything."""
        found = [] if found is None else found
        if found is MANY or (isinstance(found, list) and len(found) > SHARING):
            self.ambiguous[kind] += count
        elif found == []:
            return False
        else:
            for target in found if isinstance(found, list) else [found]:
                if target != at:
                    self.edges[at, target, kind] += count
        return True

    def read(self, at: int) -> None:
        doc = self.docs[at]
        clean = doc.clean
        assert clean is not None
        replies = [t for t, kind in clean.links if kind == "reference" and t.startswith("mid:")]
        for target, kind in clean.links:
            if kind != "self" and target not in replies and not target.startswith("https://doi.org/"):
                self.link(at, target, kind)
        if replies:
            nearest = next((found for found in map(self.selves, replies) if found), [])
            if not self.add(at, nearest, "reply"):
                self.elsewhere["reply"] += 1
        self.code(at)
        if doc.media_type == "text/troff":
            for name in re.findall(r"\b([a-z]+\(\d\w*\))", clean.text):
                if not self.add(at, self.page(at, name.replace("(", ".").strip(")").encode()), "manual"):
                    self.elsewhere["manual"] += 1
        for number in re.findall(r"(?<![A-Za-z0-9])rfc[-\s]?0*([1-9]\d{0,4})(?!\d)", clean.text, re.I):
            if not self.add(at, self.rfc(int(number)), "rfc"):
                self.elsewhere["rfc"] += 1
        in_text = Counter(
            found.lower().rstrip(",.")
            for found in re.findall(r"(?<![\w.])10\.\d{4}/(?:\(x\)y|\w+)", clean.text)
        )
        linked = Counter(
            target.removeprefix("https://doi.org/")
            for target, kind in clean.links
            if kind != "self" and "doi.org" in target
        )
        for doi in in_text | linked:
            count = max(in_text[doi], linked[doi])
            if not self.add(at, self.doi(doi), "doi", count):
                self.elsewhere["doi"] += count
        self.titles(at)

    def titles(self, at: int) -> None:
        clean = self.docs[at].clean
        assert clean is not None
        text, own = words(clean.text), words(clean.title or "")
        for title in self.all_titles:
            letters = len(title.replace(" ", "")) + sum(c > "\u3000" for c in title)
            if len(title.split()) < 4 or letters < 16 or title == own:
                continue
            count = len(re.findall(f"(?={title})", text))
            if count:
                docs = enumerate(self.docs)
                owners = [at for at, doc in docs if doc.clean and words(doc.clean.title or "") == title]
                self.add(at, owners, "title", count)

    def link(self, at: int, target: str, kind: str) -> None:
        media_type = self.docs[at].media_type
        scope, folder = self.scope_and_folder(at)
        clean = self.docs[at].clean
        if clean and ("https://example.org/page", "self") in clean.links and target[0] not in "#?":
            target = urljoin("https://example.org/page", target)
        if target.startswith("file:"):
            rest = target.removeprefix("file://").removeprefix("localhost")
            if not rest.startswith(ROOT.decode() + "/"):
                self.elsewhere[kind] += 1
                return
            forms = [rest[len(ROOT) :].encode()]
        elif target.startswith("//") or re.match(r"[A-Za-z]+:", target):
            if not self.add(at, self.selves(target.partition("#")[0]), kind):
                self.elsewhere[kind] += 1
            return
        elif target[0] in "#?":
            return
        else:
            if media_type == "text/x-tex" and kind == "include" and "," in target:
                for one in target.split(","):
                    self.link(at, one, kind)
                return
            cut = re.sub(r"[?#].*", "", target)
            forms = []
            for form in (unquote_to_bytes(cut), target.encode()):
                forms += [form, form.replace(b"\\", b"/")]
            forms = [form[len(ROOT) :] for form in forms if form.startswith(ROOT + b"/")] + forms
        endings = [b""]
        if media_type == "text/x-tex":
            endings = {
                "include": [b"", b".tex", b".bib", b".pdf"],
                "image": [b"", b".pdf", b".png", b".jpg", b".jpeg", b".eps", b".svg"],
            }.get(kind, [b""])
        for form in forms:
            for ending in endings:
                if self.add(at, self.file(at, form + ending), kind):
                    return
        if kind == "include" and media_type == "text/troff":
            if self.add(at, self.page(at, forms[0].split(b"/")[-1]), kind):
                return
        elif kind == "include" and media_type == "text/x-tex":
            for ending in endings:
                inner = self.inner(b"", forms[0] + ending)
                if inner and self.add(at, self.ending(at, inner), kind):
                    return
        for form in forms:
            inner = self.inner(folder, form)
            if inner is None:
                continue
            start = scope + inner + (b"/" if inner else b"")
            if any(s == scope and (s + f + b"/").startswith(start) for s, f in self.stands):
                for page in (b"index.html", b"index.htm", b"README.md"):
                    if self.add(at, self.file(at, b"/" + inner + b"/" + page), kind):
                        return
                self.elsewhere[kind] += 1
                return
        if all(self.inner(folder, form) is None for form in forms):
            self.elsewhere[kind] += 1
        else:
            self.broken[at, target, kind] += 1

    # Source code

    def code(self, at: int) -> None:
        doc = self.docs[at]
        assert doc.clean is not None
        text = doc.clean.text
        if doc.media_type in C:
            for line in text.split("\n"):
                if match := re.match(r'#include (?:"(.*)"|<(.*)>)', line):
                    self.include(at, match[1], match[2])
        elif doc.media_type in PYTHON:
            for line in text.replace("(run,\n    m)", "run, m").split("\n"):
                self.python(at, line.partition("  #")[0])
        elif doc.media_type in SCRIPT:
            for name in re.findall(r"(?:from|import|require\() ?['\"](.*?)['\"]", text):
                self.script(at, name)
        elif doc.media_type == "text/css":
            for name in re.findall(r"@import (?:url\()?[\"']?([\w./]+)", text):
                self.link(at, name, "import")

    def include(self, at: int, quoted: str | None, angled: str | None) -> None:
        if quoted:
            found = self.file(at, quoted.encode())
            if not self.add(at, found if found is not None else self.ending(at, quoted.encode()), "include"):
                self.broken[at, quoted, "include"] += 1
        elif not self.add(at, self.ending(at, angled.encode()) if "/" in angled else None, "include"):
            self.elsewhere["include"] += 1

    def best(self, look, wanted: list[bytes]) -> object:
        found = [look(name) for name in wanted]
        sure = [one for one in found if one is not None and one is not MANY]
        return sure[0] if sure else MANY if MANY in found else None

    def python(self, at: int, line: str) -> None:
        scope, folder = self.scope_and_folder(at)
        asked: list[tuple[str, list[str], str]] = []
        if match := re.match(r"import (.*)", line):
            if "{" in line or "'" in line or '"' in line:
                asked = [("", [line.split()[1]], "")] if re.match(r"import \w+ from", line) else []
            else:
                asked = [("", part.split()[0].split("."), "") for part in match[1].split(",")]
        elif match := re.match(r"from (\.*)([\w.]*) import (.*)", line):
            for part in match[3].split(","):
                name = part.split()[0].strip("*")
                asked.append((match[1], [one for one in match[2].split(".") if one], name))
        for dots, parts, name in asked:
            longer = "/".join([*parts, name]).encode() if name else b""
            shorter = "/".join(parts).encode()
            written = dots + ".".join(parts) + (("." if parts else "") + name if name else "")
            endings = (b".py", b"/__init__.py", b".pyi", b".pyx")
            modules = [module + ending for module in (longer, shorter) if module for ending in endings]
            if dots:
                base = self.inner(folder, b"../" * (len(dots) - 1))
                if base is None:
                    self.elsewhere["import"] += 1
                    continue
                start = scope + (base + b"/" if base else b"")
                found = self.best(self.exact, [start + module for module in modules])
                if found is None and not parts:
                    found = self.exact(start + b"__init__.py")
                if not self.add(at, found, "import"):
                    self.broken[at, written, "import"] += 1
                continue
            top = folder
            while top and self.exact(scope + top + b"/__init__.py") is not None:
                top = posixpath.dirname(top)
            roots = [top]
            while roots[-1]:
                roots.append(posixpath.dirname(roots[-1]))
            found = None
            for root in roots:
                if found is None:
                    start = scope + (root + b"/" if root else b"")
                    found = self.best(self.exact, [start + module for module in modules])
            if found is None:
                ends = [m + e for m in (longer, shorter) if b"/" in m for e in endings[:3]]
                found = self.best(lambda end: self.ending(at, end), ends)
            if not self.add(at, found, "import"):
                self.elsewhere["import"] += 1

    def script(self, at: int, name: str) -> None:
        scope, folder = self.scope_and_folder(at)
        inner = self.inner(folder, name.encode()) if name.startswith(".") else None
        if inner is None:
            self.elsewhere["import"] += 1
            return
        ends = ["", ".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".json", ".vue"]
        ends += ["/index.ts", "/index.tsx", "/index.js", "/index.jsx", "/index.mjs"]
        wanted = [scope + inner + end.encode() for end in ends]
        if inner.endswith(b".js"):
            wanted += [scope + inner[:-3] + end for end in (b".ts", b".tsx", b".mts", b".cts")]
        if not self.add(at, self.best(self.exact, wanted), "import"):
            self.broken[at, name, "import"] += 1
