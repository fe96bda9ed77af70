"""What one document refers to: its links, what its code imports, and what its text cites.

The rules are those of docs/architecture.md ("The graph"). Everything is a lookup of a name; nothing is
guessed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, urljoin

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.graph.imports import imports
from tui_scraper.engine.graph.model import Kind
from tui_scraper.engine.graph.names import AMBIGUOUS, Names
from tui_scraper.engine.graph.paths import Place, Way, leads, normalized
from tui_scraper.engine.graph.titles import Titles
from tui_scraper.engine.wire import CleanText

SELF: Final = "self"
"""The kind of a link that names the document itself, such as the Message-ID of a mail."""
MESSAGE: Final = "mid:"
"""The scheme of a mail's name (RFC 2392)."""

_RFCS = {
    word: re.compile(rf"{word}(?<![A-Za-z0-9]{word})[-\s\u00a0]?0{{0,4}}([1-9]\d{{0,4}})(?!\d)")
    for word in ("RFC", "rfc", "Rfc")
}
"""What comes before is looked at last: an expression that begins with letters is searched for much faster."""
_DOI_REST = r"\d{4,9}/[^\s\"<>{}|\\^`\[\]]{1,200}"
_DOI = rf"10\.{_DOI_REST}"
_DOI_IN_TEXT = re.compile(rf"10\.(?<![\w.]10\.){_DOI_REST}")
_DOI_LINE = re.compile(
    rf"^\W{{0,10}}(?:doi[: ]\s{{0,5}}|https?://(?:dx\.)?doi\.org/)({_DOI})[ \t*_>)]{{0,5}}$",
    re.IGNORECASE | re.MULTILINE,
)
_DOI_URL = re.compile(rf"https?://(?:dx\.)?doi\.org/({_DOI})", re.IGNORECASE)
_DOI_HEAD_CHARS: Final = 2_000
_MANUAL = re.compile(r"(?<![\w.:+/-])([A-Za-z_.][\w.:+-]{0,80})\(([0-9n][a-z]{0,4})\)")
_CSS_IMPORT = re.compile(
    r"@import\s{1,20}(?:url\(\s{0,20})?(?:'([^'\n]{1,500})'|\"([^\"\n]{1,500})\"|([^\s'\"();]{1,500}))"
)
_LATEX_ENDINGS: Final = {
    Kind.INCLUDE: (b"", b".tex", b".bib", b".pdf"),
    Kind.IMAGE: (b"", b".pdf", b".png", b".jpg", b".jpeg", b".eps", b".svg"),
}
_LINK_KINDS: Final = frozenset({Kind.HYPERLINK, Kind.IMAGE, Kind.INCLUDE, Kind.REFERENCE})


_zeros: Callable[[], defaultdict[Any, int]] = partial(defaultdict, int)


@dataclass(slots=True)
class References:
    """What one document refers to, and how often. `found` has (document, kind), `broken` (name, kind)."""

    found: defaultdict[tuple[int, Kind], int] = field(default_factory=_zeros)
    broken: defaultdict[tuple[str, Kind], int] = field(default_factory=_zeros)
    elsewhere: defaultdict[Kind, int] = field(default_factory=_zeros)
    ambiguous: defaultdict[Kind, int] = field(default_factory=_zeros)

    def add(self, documents: Sequence[int] | None, kind: Kind, count: int = 1) -> None:
        """Note a name that some documents have; None where they are too many."""
        if documents is None or AMBIGUOUS in documents:
            self.ambiguous[kind] += count
        elif not documents:
            self.elsewhere[kind] += count
        else:
            for document in documents:
                self.found[document, kind] += count


def own_names(names: Names, titles: Titles, document: int, clean: CleanText) -> None:
    """Enter what a text says that its document is called."""
    for target, kind in clean.links:
        if kind == SELF:
            names.selves.add(named(target), document)
    if clean.title:
        names.call(document, clean.title)
        titles.add(document, clean.title)
    head = clean.text[:_DOI_HEAD_CHARS]
    if "10." in head:
        stated = {_doi(found) for found in _DOI_LINE.findall(head)}
        if len(stated) == 1:
            names.dois.add(stated.pop(), document)


def named(target: str) -> str:
    """An address as it is compared: without a fragment; the name of a mail without its percent signs."""
    return unquote(target) if target.startswith(MESSAGE) else target.partition("#")[0]


class Resolver:
    """Resolves the references of documents. `root` is the absolute path of their folder, b'' if unknown."""

    def __init__(self, names: Names, titles: Titles, root: bytes) -> None:
        self._names = names
        self._titles = titles
        self._root = root

    def references(self, place: Place, media_type: str, clean: CleanText) -> References:
        """What a document refers to. References to itself are among them."""
        found = References()
        address = next((target for target, kind in clean.links if kind == SELF and _is_web(target)), "")
        replied: list[str] = []
        dois: Counter[str] = Counter()
        for target, kind in clean.links:
            if kind == SELF:
                continue
            if kind == Kind.REFERENCE and target.startswith(MESSAGE):
                replied.append(named(target))
            elif doi := _DOI_URL.match(target):
                dois[_doi(doi[1])] += 1
            elif address and (whole := _joined(address, target)) != target:
                found.add(self._names.selves.of(named(whole)), _kind(kind))
            else:
                self._link(found, place, media_type, target, _kind(kind))
        if replied:
            self._reply(found, replied)
        for (kind, written, document, must), count in imports(self._names, place, media_type, clean.text):
            if document is not None:
                found.add((document,), kind, count)
            elif must:
                found.broken[written, kind] += count
            else:
                found.elsewhere[kind] += count
        self._text(found, place, media_type, clean, dois)
        return found

    def _reply(self, found: References, replied: list[str]) -> None:
        """The nearest of the mails that a mail answers, where any is here."""
        owners = (self._names.selves.of(name) for name in replied)
        found.add(next((one for one in owners if one is None or one), ()), Kind.REPLY)

    def _link(self, found: References, place: Place, media_type: str, target: str, kind: Kind) -> None:
        way, forms = leads(target, self._root)
        if way is Way.ITSELF:
            return
        if way is Way.ELSEWHERE:
            found.add(self._names.selves.of(named(target)), kind)
            return
        if media_type == mt.LATEX and kind is Kind.INCLUDE and "," in target:  # \bibliography{one,two}
            for one in filter(None, target.split(",")):
                self._link(found, place, media_type, one, kind)
            return
        document = self._file(place, media_type, forms, kind)
        if document is not None:
            found.add((document,), kind)
            return
        for form in forms:
            is_folder, page = self._names.index(place, form)
            if is_folder:
                found.add((page,) if page is not None else (), kind)
                return
        if all(normalized(place.folder, form) is None for form in forms):
            found.elsewhere[kind] += 1
        else:
            found.broken[target, kind] += 1

    def _file(self, place: Place, media_type: str, forms: list[bytes], kind: Kind) -> int | None:
        names = self._names
        endings = _LATEX_ENDINGS.get(kind, (b"",)) if media_type == mt.LATEX else (b"",)
        for form in forms:
            for ending in endings:
                document = names.path(place, form + ending)
                if document is not None:
                    return document
        if kind is not Kind.INCLUDE:
            return None
        if media_type == mt.ROFF:  # `.so man3/printf.3` starts from the manual, and may be compressed there
            return names.page(place, forms[0].rpartition(b"/")[2])
        if media_type == mt.LATEX:  # relative to the main file, which may be any
            for ending in endings:
                inner = normalized(b"", forms[0] + ending)
                document = names.ending(place.scope, inner) if inner else None
                if document is not None:
                    return document
        return None

    def _text(
        self, found: References, place: Place, media_type: str, clean: CleanText, linked: Counter[str]
    ) -> None:
        text, names = clean.text, self._names
        if media_type == "text/css" and "@import" in text:
            for match in _CSS_IMPORT.finditer(text):
                self._link(found, place, media_type, match[1] or match[2] or match[3], Kind.IMPORT)
        if media_type == mt.ROFF and "(" in text:
            for (name, section), count in Counter(_MANUAL.findall(text)).items():
                page = names.page(place, f"{name}.{section}".encode())
                found.add((page,) if page is not None else (), Kind.MANUAL, count)
        for word, pattern in _RFCS.items():
            if word in text:
                for number, count in Counter(map(int, pattern.findall(text))).items():
                    found.add(names.rfcs.of(number), Kind.RFC, count)
        if "10." in text or linked:
            cited = Counter(map(_doi, _DOI_IN_TEXT.findall(text)))
            for doi, count in (cited | linked).items():
                found.add(names.dois.of(doi), Kind.DOI, count)
        own = self._titles.key(clean.title)
        for title, count in self._titles.find(text).items():
            if title != own:
                found.add(self._titles.owners(title), Kind.TITLE, count)


def _kind(name: str) -> Kind:
    return Kind(name) if name in _LINK_KINDS else Kind.REFERENCE


def _is_web(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def _joined(address: str, target: str) -> str:
    """Where a link of a page leads that was saved from an address; '' where that is no address."""
    if target[:1] in ("#", "?"):
        return target
    try:
        return urljoin(address, target)
    except ValueError:
        return ""


def _doi(found: str) -> str:
    """A DOI without what belongs to the sentence around it; they are compared without regard to case."""
    doi = found.rstrip(".,;:!?'*_")
    while doi.endswith(")") and doi.count("(") < doi.count(")"):
        doi = doi[:-1].rstrip(".,;:!?'*_")
    return doi.lower()
