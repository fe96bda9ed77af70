"""What formats other than HTML find in a document (headings, lists, tables, code), as text.

A reader says what it meets, in order, by the names that HTML has for it; the renderer of HTML lays it out.
So every format's lists and tables look the same, and a reader is only its own grammar.
"""

from __future__ import annotations

import html

from tui_scraper.engine.extract.base import Extracted, Links
from tui_scraper.engine.extract.web.layout import Token, render_tokens


class Structure:
    """Collects the structure of one document, up to `max_chars` characters of text."""

    def __init__(self, max_chars: int) -> None:
        self.links = Links()
        self.title = ""
        self._tokens: list[Token] = []
        self._max_chars = max_chars
        self._characters = 0

    @property
    def is_full(self) -> bool:
        """Whether what was collected already makes `max_chars` of text: the rest need not be read."""
        return self._characters > self._max_chars

    def start(self, name: str, attributes: str = "") -> None:
        """Begin an element: 'p', 'h2', 'ul', 'li', 'dl', 'dt', 'dd', 'table', 'tr', 'td', 'pre', ..."""
        self._tokens.append(("", name, attributes, ""))

    def end(self, name: str) -> None:
        """End an element. One that is not open does no harm."""
        self._tokens.append(("/", name, "", ""))

    def text(self, text: str) -> None:
        """Running text; white space counts as in HTML."""
        if text:
            self._tokens.append(("", "span", "", html.escape(text, quote=False)))
            self._characters += len(text) + 1

    def line_break(self) -> None:
        """A new line in the same paragraph."""
        self._tokens.append(("", "br", "", ""))

    def paragraph(self, text: str = "") -> None:
        """End the paragraph that is being read, and add one with this text."""
        self.start("p")
        if text:
            self.text(text)
            self.end("p")

    def heading(self, level: int, text: str) -> None:
        """A heading of its own, from 1 to 6."""
        name = f"h{min(max(level, 1), 6)}"
        self.start(name)
        self.text(text)
        self.end(name)

    def code(self, text: str, language: str = "") -> None:
        """A block that is kept as it is written."""
        self.start("pre", f' class="language-{language}"' if language else "")
        self.text(text)
        self.end("pre")

    def table(self, rows: list[list[str]]) -> None:
        """A table whose cells are plain text; the first row is the heading."""
        self.start("table")
        for row in rows:
            self.start("tr")
            for cell in row:
                self.start("td")
                self.text(cell)
                self.end("td")
            self.end("tr")
        self.end("table")

    def extracted(self) -> Extracted:
        """The text of everything that was collected."""
        found = render_tokens(self._tokens, max_chars=self._max_chars)
        found.title = self.title.strip() or found.title
        found.links = self.links.as_list() or found.links
        return found
