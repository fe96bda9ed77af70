"""The text of drawings that are parts of their own: charts, diagrams, and the text boxes of a sheet."""

from __future__ import annotations

from collections.abc import Callable

from tui_scraper.engine.extract.office.blocks import one_paragraph
from tui_scraper.engine.extract.office.ooxml import Attributes, Package

CHARTS = ("chart", "chartex", "diagramdata")
"""The kinds of relationship by which charts and diagrams are found."""


def write_drawings(package: Package, part: str, write: Callable[[str], None]) -> None:
    """Write the text of what is drawn on a sheet: text boxes, then charts and diagrams."""
    for drawing in package.targets(part, "drawing"):
        for text in drawing_text(package, drawing):
            write(text)
        for chart in package.targets(drawing, *CHARTS):
            for text in drawing_text(package, chart):
                write(text)


def drawing_text(package: Package, part: str) -> list[str]:
    """The paragraphs of a drawing, and of a chart the names of its series and categories, each once."""
    found: dict[str, None] = {}
    pieces: list[str] = []
    in_text = in_names = False

    def start_paragraph(_attributes: Attributes) -> None:
        pieces.clear()

    def end_paragraph() -> None:
        text = one_paragraph("".join(pieces))
        if text:
            found[text] = None
        pieces.clear()

    def start_text(_attributes: Attributes) -> None:
        nonlocal in_text
        in_text = True

    def end_text() -> None:
        nonlocal in_text
        in_text = False

    def start_names(_attributes: Attributes) -> None:
        nonlocal in_names
        in_names = True

    def end_names() -> None:
        nonlocal in_names
        in_names = False

    def start_value(_attributes: Attributes) -> None:
        nonlocal in_text
        pieces.clear()
        in_text = in_names

    def end_value() -> None:
        if in_names:
            end_text()
            end_paragraph()

    def text(characters: str) -> None:
        if in_text:
            pieces.append(characters)

    package.parse_if_there(
        part,
        {
            "p": start_paragraph,
            "t": start_text,
            "br": lambda _attributes: pieces.append("\n"),
            "strCache": start_names,
            "v": start_value,
        },
        {"p": end_paragraph, "t": end_text, "strCache": end_names, "v": end_value},
        text,
    )
    return list(found)
