"""What the paragraphs of a Word document are: headings and list items, by their styles and numberings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui_scraper.engine.extract.office.ooxml import Attributes, Package, number, value

_HEADING_STYLE = re.compile(r"(?i)\s*heading\s?([1-9])\s*")
_LEVELS = 9
_USUAL_HEADING = re.compile(r"Heading([1-9])")
_USUAL_TEXT = frozenset(
    [
        "Normal",
        "NormalWeb",
        "BodyText",
        "NoSpacing",
        "PlainText",
        "Header",
        "Footer",
        "FootnoteText",
        "EndnoteText",
        "CommentText",
        "ListParagraph",
        "TableContents",
    ]
)
"""Ids that Word gives to styles which are text in every language. Most documents have no others but
headings, and their styles, half of what there is to read in a short document, need not be read."""


@dataclass(slots=True)
class Style:
    """What a paragraph style says. `outline` is 0 for the first heading level, -1 for text."""

    outline: int = -1
    list_id: str = ""
    list_level: int = 0
    based_on: str = ""


class Styles:
    """Paragraph styles by id. The part is read when the first style with an unusual name is met."""

    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._main = main
        self._styles: dict[str, Style] | None = None

    def of(self, style_id: str) -> Style:
        """The style with what it inherits."""
        if style_id in _USUAL_TEXT:
            return Style()
        usual = _USUAL_HEADING.fullmatch(style_id)
        if usual:
            return Style(outline=int(usual[1]) - 1)
        if self._styles is None:
            self._styles = self._read()
        found = Style()
        wanted, seen = style_id, set[str]()
        while wanted and wanted not in seen and (style := self._styles.get(wanted)):
            seen.add(wanted)
            if found.outline < 0:
                found.outline = style.outline
            if not found.list_id:
                found.list_id, found.list_level = style.list_id, style.list_level
            wanted = style.based_on
        self._styles[style_id] = Style(found.outline, found.list_id, found.list_level)
        return found

    def _read(self) -> dict[str, Style]:
        styles: dict[str, Style] = {}
        current = Style()

        def style(attributes: Attributes) -> None:
            nonlocal current
            current = Style()
            styles[value(attributes, "styleId")] = current

        def name(attributes: Attributes) -> None:
            text = value(attributes, "val")
            heading = _HEADING_STYLE.fullmatch(text)
            if heading:
                current.outline = int(heading[1]) - 1
            elif text.lower() == "title":
                current.outline = 0

        def outline(attributes: Attributes) -> None:
            current.outline = outline_level(attributes)

        def based_on(attributes: Attributes) -> None:
            current.based_on = value(attributes, "val")

        def list_id(attributes: Attributes) -> None:
            current.list_id = value(attributes, "val")

        def list_level(attributes: Attributes) -> None:
            current.list_level = number(value(attributes, "val"))

        actions = {
            "style": style,
            "name": name,
            "outlineLvl": outline,
            "basedOn": based_on,
            "numId": list_id,
            "ilvl": list_level,
        }
        for part in self._package.targets(self._main, "styles")[:1]:
            self._package.parse_if_there(part, actions)
        return styles


class Lists:
    """Numbered and bulleted lists: the marker of each item, counted as Word counts."""

    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._main = main
        self._formats: dict[str, dict[int, str]] | None = None
        self._counts: dict[tuple[str, int], int] = {}

    def marker(self, list_id: str, level: int) -> str:
        """'-' or a number with a point; '' where the paragraph is in no list after all."""
        if self._formats is None:
            self._formats = self._read()
        if list_id not in self._formats:
            return ""
        kind = self._formats[list_id].get(level, "bullet")
        if kind == "none":
            return ""
        if kind == "bullet":
            return "-"
        count = self._counts.get((list_id, level), 0) + 1
        self._counts[list_id, level] = count
        for deeper in range(level + 1, _LEVELS):
            self._counts.pop((list_id, deeper), None)
        return f"{count}."

    def _read(self) -> dict[str, dict[int, str]]:
        abstract: dict[str, dict[int, str]] = {}
        lists: dict[str, dict[int, str]] = {}
        levels: dict[int, str] = {}
        level = 0
        list_id = ""

        def abstract_list(attributes: Attributes) -> None:
            nonlocal levels
            levels = abstract.setdefault(value(attributes, "abstractNumId"), {})

        def list_level(attributes: Attributes) -> None:
            nonlocal level
            level = number(value(attributes, "ilvl"))

        def form(attributes: Attributes) -> None:
            levels[level] = value(attributes, "val")

        def numbering(attributes: Attributes) -> None:
            nonlocal list_id, levels
            list_id = value(attributes, "numId")
            levels = {}  # what overrides of levels say does not reach the abstract list

        def instance_of(attributes: Attributes) -> None:
            lists[list_id] = abstract.get(value(attributes, "val"), {})

        actions = {
            "abstractNum": abstract_list,
            "lvl": list_level,
            "numFmt": form,
            "num": numbering,
            "abstractNumId": instance_of,
        }
        for part in self._package.targets(self._main, "numbering")[:1]:
            self._package.parse_if_there(part, actions)
        return lists


def outline_level(attributes: Attributes) -> int:
    """The level of an outline, 0 for the first, -1 for text (which Word writes as 9)."""
    level = number(value(attributes, "val"), _LEVELS)
    return level if level < _LEVELS else -1
