"""Headings, lists, tables and code as Markdown, the rest as paragraphs: from tags to text in one pass.

The tags may be those of a page, or what another format's reader found and said in the names of HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from operator import length_hint
from typing import Final

from tui_scraper.engine.extract.base import Extracted, Links
from tui_scraper.engine.extract.markup.fences import fenced
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.extract.web import boilerplate as bp

Token = tuple[str, str, str, str]
"""('/' for an end tag, tag name, attributes, text up to the next tag with its entities)."""
_BLOCKS: Final = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dir",
        "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup",
        "legend", "main", "optgroup", "option", "p", "search", "section", "summary",
    }
)  # fmt: skip
_HEADINGS: Final = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_CELLS: Final = frozenset(("td", "th"))
_LISTS: Final = frozenset(("ul", "ol", "menu"))
_INLINE: Final = frozenset(
    {
        "span", "em", "strong", "b", "i", "code", "u", "s", "small", "big", "sub", "sup", "tt", "kbd",
        "samp", "var", "cite", "dfn", "abbr", "font", "q", "mark", "time", "wbr", "del", "ins", "label",
        "bdi", "bdo", "ruby", "rb", "html", "tbody", "thead", "tfoot", "colgroup", "col", "acronym",
        "strike", "math", "mi", "mo", "mn", "nobr",
    }
)  # fmt: skip
_ATTRIBUTE = re.compile(r"""([a-zA-Z][\w:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_HREF = re.compile(r'\shref="([^"]*)"')
_ANCHOR_MARKS: Final = frozenset(("¶", "§", "#", "🔗", "☍", "⚓", "[link]", "link", "permalink", "[src]"))
_CODE_LANGUAGE = re.compile(r"\b(?:language|lang|highlight|brush:)[-\s:]?([a-zA-Z0-9+#]{1,20})\b")
_MAX_INDENT: Final = 8
_DEFINITION: Final = ": "
"""Before a definition, on the line after its term."""
_CELL_CHARS: Final = 600  # a longer cell is a page's layout, not a value
_MAX_COLUMN_SPAN: Final = 20
_MAX_ROW_SPAN: Final = 200


def render_tokens(tokens: Iterable[Token], *, max_chars: int) -> Extracted:
    """Render what another format's reader has met, said in the names of HTML. Nothing is left out."""
    renderer = Renderer(structured=True, boilerplate=True)
    renderer.run(tokens, max_chars)
    return renderer.result()


class _Table:
    """A table while it is read: its rows of cells, each cell a list of blocks."""

    def __init__(self, outer: list[_Block]) -> None:
        self.outer = outer
        self.rows: list[list[list[_Block]]] = []
        self.in_cell = False
        self._below: dict[int, int] = {}  # column -> rows that a cell above still reaches into
        self._beside = 0  # columns that the cell before still reaches into

    def start_row(self) -> None:
        self._beside = 0
        self.rows.append([])

    def start_cell(self, columns: int, rows: int) -> list[_Block]:
        if not self.rows:
            self.start_row()
        row = self.rows[-1]
        row.extend([] for _ in range(self._beside))
        while self._below.get(len(row), 0) > 0:
            self._below[len(row)] -= 1
            row.append([])
        for column in range(len(row), len(row) + columns if rows > 1 else 0):
            self._below[column] = rows - 1
        self._beside = columns - 1
        row.append([])
        self.in_cell = True
        return row[-1]

    def close(self) -> list[_Block]:
        """The table as one Markdown block, or, where it only lays out a page, its cells' blocks."""
        rows = [row for row in self.rows if row]
        columns = max(map(len, rows), default=0)
        cells = [cell for row in rows for cell in row]
        is_data = columns > 1 and all(
            all(block.kind == "text" for block in cell)
            and sum(len(block.text) for block in cell) <= _CELL_CHARS
            for cell in cells
        )
        if not is_data:
            return [block for cell in cells for block in cell]
        lines = [[" ".join(block.text.replace("\n", " ") for block in cell) for cell in row] for row in rows]
        lines = [row for row in lines if any(row)]
        if not lines:
            return []
        if len(lines) == 1:
            return [_Block(" | ".join(cell for cell in lines[0] if cell))]
        return [_Block(markdown_table(lines), "table")]


class _Block:
    """A piece of output. `tight` blocks follow the one before without an empty line (list items)."""

    __slots__ = ("kind", "text", "tight")

    def __init__(self, text: str, kind: str = "text", tight: bool = False) -> None:
        self.text = text
        self.kind = kind
        self.tight = tight


class Renderer:
    """The state of one pass over the tags of a document."""

    def __init__(self, *, structured: bool, boilerplate: bool, doubtful: bool = False) -> None:
        self.left_out = 0  # characters of what only may be boilerplate
        self._doubtful = doubtful  # whether that is kept
        self._structured = structured
        self._boilerplate = boilerplate
        self._blocks: list[_Block] = []
        self._sink = self._blocks
        self._inline: list[str] = []
        self._heading = ""
        self._lists: list[list[int]] = []  # next number of each open list, 0 for bullets
        self._marker = ""
        self._first_item = False
        self._in_term = False
        self._term: _Block | None = None
        self._tables: list[_Table] = []
        self._pre: list[str] | None = None
        self._pre_language = ""
        self._anchor = -1
        self._skip = ""
        self._skip_level = 0
        self._title: list[str] | None = None
        self._page_title = ""
        self._first_heading = ""
        self._links = Links()
        self._truncated = False
        self._ahead: list[Token] = []  # all tokens, where they are at hand
        self._stream: Iterator[Token] = iter(())
        self._looked_at = 0

    def run(self, tokens: Iterable[Token], max_chars: int) -> None:
        """Read all tokens, or as many as make `max_chars` of text."""
        characters = 0
        if isinstance(tokens, list):
            self._ahead = tokens
            tokens = self._stream = iter(tokens)
        for slash, name, attributes, text in tokens:
            if self._skip:
                if name == self._skip:
                    self._skip_level += -1 if slash else 1
                    if self._skip_level == 0:
                        self._skip = ""
                if self._skip:
                    continue
            elif name not in _INLINE or attributes:
                if slash:
                    self._end(name)
                elif not self._start(name, attributes):
                    continue
            if text:
                if self._title is not None:
                    self._title.append(text)
                elif self._pre is not None:
                    self._pre.append(text)
                else:
                    self._inline.append(text)
                characters += len(text)
                if characters > max_chars:
                    self._truncated = True
                    break

    def result(self) -> Extracted:
        """What was read, with everything still open closed."""
        if self._pre is not None:
            self._end("pre")
        self._flush()
        while self._tables:
            self._end_table()
        title = self._page_title or self._first_heading
        return Extracted(
            text=_join(self._blocks),
            title=title or None,
            links=self._links.as_list(),
            truncated=self._truncated,
        )

    def _start(self, name: str, attributes: str) -> bool:
        """Begin an element. False where it and all in it are left out."""
        if attributes or name in bp.MAY_BE_LEFT_OUT:
            if self._is_boilerplate(name, attributes):
                if name not in _BLOCKS and name != "nav":
                    self._inline.append(" ")
                self._skip, self._skip_level = name, 1
                return False
            if name in _INLINE:
                return True
        if name == "a":
            self._start_link(attributes)
        elif name == "br":
            self._break_line()
        elif name == "img":
            self._image(attributes)
        elif name in _BLOCKS or name in ("hr", "nav", "table", "pre", "li", "tr") or name in _CELLS:
            self._flush()
            self._start_block(name, attributes)
        elif name in _HEADINGS:
            self._flush()
            self._heading = _HEADINGS[name]
        elif name in _LISTS:
            self._flush()
            self._first_item = not self._lists
            start = 0
            if name == "ol":
                number = _get(attributes, "start") if attributes else ""
                start = int(number) if number.isdecimal() and len(number) < 7 else 1
            self._lists.append([start])
        elif name == "title" and not self._page_title:
            self._title = []
        elif name in ("frame", "iframe"):
            self._links.add(_get(attributes, "src"), "include")
        return True

    def _start_block(self, name: str, attributes: str) -> None:
        if name == "pre" or name in ("xmp", "listing", "plaintext"):
            self._pre = []
            found = _CODE_LANGUAGE.search(attributes)
            self._pre_language = found[1] if found else ""
        elif name == "li":
            self._start_item()
        elif name == "dd":
            self._marker = _DEFINITION
        elif name == "dt":
            self._in_term = True
            self._marker = "" if self._marker == _DEFINITION else self._marker
        elif not self._structured:
            return
        elif name == "table":
            self._tables.append(_Table(self._sink))
        elif self._tables and name == "tr":
            self._tables[-1].start_row()
        elif self._tables and name in _CELLS:
            spans = "span" in attributes
            columns = _span(attributes, "colspan", _MAX_COLUMN_SPAN) if spans else 1
            rows = _span(attributes, "rowspan", _MAX_ROW_SPAN) if spans else 1
            self._sink = self._tables[-1].start_cell(columns, rows)

    def _end(self, name: str) -> None:
        if name == "a":
            self._end_link()
        elif name in _BLOCKS or name in ("tr", "li", "nav"):
            self._flush()
            if name in ("li", "dd"):
                self._marker = ""
            elif name == "dt":
                self._in_term = False
        elif name in _HEADINGS:
            self._flush()
            self._heading = ""
        elif name in _LISTS:
            self._flush()
            if self._lists:
                self._lists.pop()
        elif name in _CELLS:
            self._flush()
            if self._tables and self._tables[-1].in_cell:
                self._tables[-1].in_cell = False
                self._sink = self._tables[-1].outer
        elif name == "table":
            self._flush()
            self._end_table()
        elif name in ("pre", "xmp", "listing") and self._pre is not None:
            self._end_pre()
        elif name == "title" and self._title is not None:
            self._page_title = " ".join(_text("".join(self._title)).split())
            self._title = None

    def _is_boilerplate(self, name: str, attributes: str) -> bool:
        if self._boilerplate or name in bp.NEVER_BOILERPLATE:
            return False
        if name == "nav":
            return True
        if name == "a":
            return "skip" in attributes and bp.is_sure(attributes)
        if name == "button":
            return not self._is_text_button(attributes)
        if name in bp.SHORT_IF_LEFT_OUT:
            return self._weigh(name)[0] <= bp.FEW_CHARS
        if bp.is_sure(attributes):
            return True
        if name not in bp.CONTAINERS or self._doubtful:
            return False
        kind = bp.doubt(attributes)
        if kind == bp.NONE:
            return False
        characters, in_links = self._weigh(name)
        if kind == bp.LINKS:
            is_left_out = in_links >= characters * bp.LINK_SHARE and characters <= bp.LINK_CHARS
        else:
            is_left_out = characters <= bp.FEW_CHARS
        self.left_out += characters if is_left_out else 0
        return is_left_out

    def _is_text_button(self, attributes: str) -> bool:
        """Whether a button is the heading of something that folds, rather than a thing to press."""
        if self._heading or self._in_term:
            return True
        return bp.KEPT_BUTTON.search(attributes) is not None and self._weigh("button")[0] >= bp.BUTTON_CHARS

    def _weigh(self, name: str) -> tuple[int, int]:
        """How many characters the element that begins here holds, and how many of them are in links.

        More than any limit, none of them in links, where that is not at hand or would take long.
        """
        start = len(self._ahead) - length_hint(self._stream)
        depth = characters = in_links = links = 0
        end = min(start + bp.LOOK_AHEAD, len(self._ahead), start + bp.MAX_LOOKED_AT - self._looked_at)
        text = self._ahead[start - 1][3] if start else ""
        position = start
        while position < end:
            size = len(text) if text and not text.isspace() else 0
            characters += size
            in_links += size if links else 0
            slash, other, _attributes, text = self._ahead[position]
            position += 1
            if other == name:
                depth += -1 if slash else 1
                if depth < 0:
                    self._looked_at += position - start
                    return characters, in_links
            elif other == "a":
                links = 0 if slash else 1
            elif other in bp.SIGNS_OF_BODY:
                break
        self._looked_at += position - start
        return bp.LINK_CHARS + 1, 0

    def _start_link(self, attributes: str) -> None:
        if self._structured:
            found = _HREF.search(attributes)
            target = _text(found[1]) if found else ""
        else:
            target = _get(attributes, "href")
        if target:
            self._links.add(target, "hyperlink")
        self._anchor = len(self._inline) if target.startswith("#") and self._pre is None else -1

    def _end_link(self) -> None:
        if self._anchor >= 0:
            label = "".join(self._inline[self._anchor :]).strip().lower()
            if label in _ANCHOR_MARKS or bp.SKIP_LINK.match(label):
                del self._inline[self._anchor :]
            self._anchor = -1

    def _image(self, attributes: str) -> None:
        self._links.add(_get(attributes, "src"), "image")
        alternative = _get(attributes, "alt").strip()
        if " " in alternative and len(alternative) <= 300:
            self._inline.append(f" {html.escape(alternative, quote=False)} ")

    def _break_line(self) -> None:
        if self._pre is not None:
            self._pre.append("\n")
        elif self._inline:
            self._inline.append("\0")

    def _start_item(self) -> None:
        if not self._lists:
            self._lists.append([0])
            self._first_item = True
        number = self._lists[-1]
        self._marker = f"{number[0]}. " if number[0] else "- "
        if number[0]:
            number[0] += 1

    def _flush(self) -> None:
        """End the paragraph that is being read."""
        if not self._inline or self._pre is not None:
            return
        raw = "".join(self._inline)
        self._inline.clear()
        self._anchor = -1
        text = " ".join(_text(raw).split())
        if "\0" in text:
            text = "\n".join(filter(None, (line.strip() for line in text.split("\0"))))
        if not text:
            return
        if self._heading and not self._tables:
            text = text.replace("\n", " ")
            if not self._first_heading:
                self._first_heading = text
            self._sink.append(_Block(self._heading + text, "heading"))
            return
        self._append(text, "text")

    def _append(self, text: str, kind: str) -> None:
        marker, self._marker = self._marker, ""
        depth = len(self._lists) if self._structured else 0
        tight = bool(marker) and not (depth and self._first_item and marker != _DEFINITION)
        self._first_item = self._first_item and not marker
        indent = "  " * min(max(depth - 1, 0), _MAX_INDENT)
        if kind == "pre":
            # A fence stands alone on its line, where those who look for fences expect it.
            if marker and marker != _DEFINITION:
                self._sink.append(_Block((indent + marker).rstrip(), tight=tight))
            hanging = "  " if depth else ""
            lead, tight = hanging, bool(marker)
        elif marker:
            lead = indent + marker
            hanging = " " * len(lead) if depth else ""
        else:
            lead = hanging = indent + "  " if depth else ""
        block = _Block(lead + (text.replace("\n", "\n" + hanging) if hanging else text), kind, tight)
        if self._in_term:
            block.tight = tight or (bool(self._sink) and self._sink[-1] is self._term)
            self._term = block
        self._sink.append(block)

    def _end_pre(self) -> None:
        text = _text("".join(self._pre or ())).strip("\n").replace("\0", "")
        self._pre = None
        if text.strip():
            self._append(fenced(text, self._pre_language), "pre")

    def _end_table(self) -> None:
        if not self._tables:
            return
        table = self._tables.pop()
        self._sink = table.outer
        self._sink.extend(table.close())


def _span(attributes: str, name: str, limit: int) -> int:
    number = _get(attributes, name)
    return max(1, min(int(number), limit)) if number.isdecimal() and len(number) < 7 else 1


def _text(markup: str) -> str:
    return html.unescape(markup) if "&" in markup else markup


def _get(attributes: str, name: str) -> str:
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1].lower() == name:
            return _text(match[2] or match[3] or match[4] or "")
    return ""


def _join(blocks: list[_Block]) -> str:
    pieces: list[str] = []
    for block in blocks:
        if pieces:
            pieces.append("\n" if block.tight else "\n\n")
        pieces.append(block.text)
    return "".join(pieces)
