"""Office Open XML packages: a zip of XML parts that refer to one another, read within limits.

Parts are found as the standard says, through relationships, and where those are missing or wrong, by the
content type or the usual name. Elements are dispatched by their local names: the transitional and the
strict namespaces name the same things, and a prefix that was never declared loses no text. Events rather
than trees, so that memory does not grow with a part. A declared entity, which only an attack has, ends the
reading; one that lies outside is never fetched.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote
from xml.parsers import expat

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.limits import MAX_ENTRIES, UNREADABLE_PART, Allowance, open_container
from tui_scraper.engine.extract.office.ole import NO_TITLES
from tui_scraper.engine.models import Cause

MAX_DEPTH: Final = 100
"""Elements inside one another. Word nests tables, text boxes and content controls some forty deep."""

Attributes = dict[str, str]
Starts = Mapping[str, Callable[[Attributes], None]]
Ends = Mapping[str, Callable[[], None]]

_PIECE: Final = 4_000_000
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Relation:
    """A reference from one part to another, or to an address outside of the package.

    `kind` is the last word of its type, such as 'header'; the words before it name the edition of the
    standard. `target` is the path of a part, or the address as it is written.
    """

    identity: str
    kind: str
    target: str
    is_external: bool


class Package:
    """An opened package. `name` is what people call it: 'Word document'."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._zip = open_container(data, name, count=False)
        self._allowance = Allowance(name, len(data), max_entries=10 * MAX_ENTRIES)  # parts are read anew
        self._parts: dict[str, zipfile.ZipInfo] = {}
        self._relations: dict[str, list[Relation]] = {}
        for info in self._zip.infolist():
            self._parts.setdefault(_normal(info.filename), info)

    def has(self, part: str) -> bool:
        """Whether there is a part of this name, in whatever case."""
        return _normal(part) in self._parts

    def matching(self, pattern: str) -> list[str]:
        """The parts whose whole name matches, numbers in the order of their value."""
        found = [part for part in self._parts if re.fullmatch(pattern, part)]
        return sorted(found, key=lambda part: [int(number) for number in _NUMBER.findall(part)])

    def main_part(self, content_type: str, usual: str) -> str:
        """The part that the document begins with.

        `content_type` is a pattern for its type, `usual` one for its name.

        Raises DocumentError(CORRUPT) where there is none.
        """
        for relation in self.relations(""):
            if relation.kind == "officedocument" and self.has(relation.target):
                return _normal(relation.target)
        named = self.parts_of_type(content_type) or self.matching(usual)
        if not named:
            raise self.damaged("its main part is missing")
        return named[0]

    def parts_of_type(self, content_type: str) -> list[str]:
        """The parts whose content type contains a match of the pattern."""
        found: list[str] = []

        def override(attributes: Attributes) -> None:
            part = attributes.get("PartName", "")
            if self.has(part) and re.search(content_type, attributes.get("ContentType", "")):
                found.append(_normal(part))

        self.parse_if_there("[content_types].xml", {"Override": override})
        return found

    def relations(self, part: str) -> list[Relation]:
        """What a part refers to; '' asks for the package itself. Damaged relations are none."""
        known = self._relations.get(part)
        if known is None:
            known = self._relations[part] = self._read_relations(part)
        return known

    def _read_relations(self, part: str) -> list[Relation]:
        folder, _, file = part.rpartition("/")
        found: list[Relation] = []

        def relationship(attributes: Attributes) -> None:
            target = attributes.get("Target", "")
            is_external = attributes.get("TargetMode", "").lower() == "external"
            kind = attributes.get("Type", "").rpartition("/")[2].lower()
            if not is_external:
                target = _resolve(folder, target)
            found.append(Relation(attributes.get("Id", ""), kind, target, is_external))

        self.parse_if_there(f"{folder}/_rels/{file}.rels", {"Relationship": relationship})
        return found

    def targets(self, part: str, *kinds: str) -> list[str]:
        """The existing parts that a part refers to in one of these ways, each once, in order."""
        found = (one.target for one in self.relations(part) if one.kind in kinds and not one.is_external)
        return list(dict.fromkeys(_normal(target) for target in found if self.has(target)))

    def parse_if_there(
        self, part: str, starts: Starts, ends: Ends | None = None, text: Callable[[str], None] | None = None
    ) -> None:
        """Read a part that a document can do without: damage in it is passed over, an attack is not."""
        if not self.has(part):
            return
        try:
            self.parse(part, starts, ends or {}, text)
        except _DamagedPartError:
            return

    def parse(self, part: str, starts: Starts, ends: Ends, text: Callable[[str], None] | None = None) -> None:
        """Read a part. The functions are called by the local names of the elements that start and end.

        Raises DocumentError: CORRUPT or TOO_LARGE.
        """
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.EntityDeclHandler = self._refuse_entity
        start_of, end_of = _ByLocalName(starts), _ByLocalName(ends)
        depth = 0

        def on_start(name: str, attributes: Attributes) -> None:
            nonlocal depth
            depth += 1
            if depth > MAX_DEPTH:
                raise self.damaged(f"it nests more than {MAX_DEPTH} elements inside one another")
            action = start_of[name]
            if action is not None:
                action(attributes)

        def on_end(name: str) -> None:
            nonlocal depth
            depth -= 1
            action = end_of[name]
            if action is not None:
                action()

        parser.StartElementHandler = on_start
        parser.EndElementHandler = on_end
        if text is not None:
            parser.CharacterDataHandler = text
        try:
            for piece in self.pieces(part):
                parser.Parse(piece, False)
            parser.Parse(b"", True)
        except (expat.ExpatError, LookupError, UnicodeError) as error:
            # pyexpat raises the latter two for encodings that it does not know
            raise _DamagedPartError(Cause.CORRUPT, self._damage("a part of it is not valid XML")) from error

    def pieces(self, part: str) -> Iterator[bytes]:
        """The unpacked bytes of a part, checked against the limits while they come."""
        info = self._parts.get(_normal(part))
        if info is None:
            raise _DamagedPartError(Cause.CORRUPT, self._damage("a part of it is missing"))
        self._allowance.begin(info.compress_size)
        try:
            with self._zip.open(info) as stream:
                while piece := stream.read(_PIECE):
                    self._allowance.add(len(piece))
                    yield piece
        except UNREADABLE_PART as error:
            if isinstance(error, NotImplementedError):
                reason = "a part of it is compressed by a method that cannot be unpacked"
            else:
                reason = "a part of it cannot be unpacked"
            raise _DamagedPartError(Cause.CORRUPT, self._damage(reason)) from None

    def title(self) -> str | None:
        """The title that the document's properties give it."""
        texts: list[str] = []
        inside: list[bool] = []
        core = self.targets("", "core-properties") or ["docprops/core.xml"]
        self.parse_if_there(
            core[0],
            {"title": lambda _attributes: inside.append(True)},
            {"title": inside.clear},
            lambda text: texts.append(text) if inside else None,
        )
        title = " ".join("".join(texts).split())
        return None if title.lower() in NO_TITLES else title or None

    def damaged(self, how: str) -> DocumentError:
        """The error that says how the document is damaged."""
        return DocumentError(Cause.CORRUPT, self._damage(how))

    def _damage(self, how: str) -> str:
        return f"The {self.name} is damaged: {how}."

    def _refuse_entity(
        self,
        name: str,
        is_parameter: bool,
        replacement: str | None,
        *_where: str | None,
    ) -> None:
        if replacement is not None:
            raise self.damaged(
                "it declares entities, which is not valid in this format and how XML bombs begin"
            )


class _DamagedPartError(DocumentError):
    """One part cannot be read; the document can perhaps do without it."""


class _ByLocalName(dict[str, Callable[..., None] | None]):
    """Maps 'w:p', 'x:p' and 'p' to what is known of 'p'."""

    def __init__(self, actions: Mapping[str, Callable[..., None]]) -> None:
        super().__init__()
        self._actions = actions

    def __missing__(self, name: str) -> Callable[..., None] | None:
        action = self._actions.get(name.rpartition(":")[2])
        self[name] = action
        return action


def _normal(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()


def _resolve(folder: str, target: str) -> str:
    target = unquote(target.partition("#")[0]).replace("\\", "/")
    path = target if target.startswith("/") else f"{folder}/{target}"
    return posixpath.normpath("/" + path.lstrip("/")).lstrip("/").lower()


def value(attributes: Attributes, name: str, prefix: str = "w:") -> str:
    """An attribute by its local name, whatever its prefix; '' where it is missing."""
    found = attributes.get(prefix + name)
    if found is not None:
        return found
    ending = ":" + name
    for key, content in attributes.items():
        if key == name or key.endswith(ending):
            return content
    return ""


def relation_of(attributes: Attributes, name: str = "id") -> str:
    """The relationship that an element names: an attribute of a namespace of its own, unlike a plain 'id'."""
    found = attributes.get("r:" + name)
    if found is not None:
        return found
    ending = ":" + name
    return next((content for key, content in attributes.items() if key.endswith(ending)), "")


def number(text: str, default: int = 0) -> int:
    """A small whole number, `default` where it is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else default


def is_on(text: str) -> bool:
    """Whether a switch that is present is on: it is unless it says otherwise."""
    return text.lower() not in ("0", "false", "off", "none")
