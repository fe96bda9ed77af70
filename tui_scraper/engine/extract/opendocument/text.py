"""The text of OpenDocument texts, presentations and drawings, as HTML for the renderer of HTML.

What stands inside a paragraph without being part of it (text boxes, notes, comments) is collected aside:
boxes follow their paragraph, notes and comments come after the text. Deleted text that is only kept for
tracking changes is left out, hidden text is not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tui_scraper.engine.extract.xml.events import END, START, Event

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_STAR = "http://openoffice.org/2000/"
PREFIXES: Final[dict[str, str]] = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.w3.org/1999/xlink": "xlink",
    "http://www.w3.org/1998/Math/MathML": "math",
    **{
        f"{_OASIS}{name}:1.0": prefix
        for name, prefix in {
            "office": "office", "style": "style", "text": "text", "table": "table", "drawing": "draw",
            "presentation": "presentation", "meta": "meta", "svg-compatible": "svg", "form": "form",
            "manifest": "manifest", "script": "script",
        }.items()
    },
    **{
        f"{_STAR}{name}": prefix
        for name, prefix in {
            "office": "office", "style": "style", "text": "text", "table": "table", "drawing": "draw",
            "presentation": "presentation", "meta": "meta", "form": "form",
        }.items()
    },
}  # fmt: skip
"""The namespaces of OpenDocument, and of the formats of OpenOffice.org 1 that it came from."""

SKIPPED: Final = frozenset(
    {
        "text:tracked-changes", "table:tracked-changes", "office:forms", "office:script", "office:scripts",
        "office:event-listeners", "office:binary-data", "office:font-face-decls", "office:font-decls",
        "office:settings", "text:sequence-decls", "text:variable-decls", "text:user-field-decls",
        "text:table-of-content-source", "text:alphabetical-index-source", "text:illustration-index-source",
        "text:table-index-source", "text:user-index-source", "text:bibliography-source",
        "text:object-index-source", "text:ruby-text", "presentation:settings", "draw:glue-point",
        "table:content-validations", "table:calculation-settings", "table:named-expressions",
        "table:database-ranges", "table:data-pilot-tables", "table:label-ranges", "table:dde-links",
        "draw:image-map", "form:form",
    }
)  # fmt: skip
"""Elements without text for a reader, with everything in them."""

_PREFORMATTED: Final = ("preformatted", "codeblock", "source_20_code", "sourcecode")
_CITATIONS: Final = ("text:note-citation", "text:footnote-citation", "text:endnote-citation")
_NOTES: Final = ("text:note-body", "text:footnote-body", "text:endnote-body")
_HEADERS: Final = (
    "style:header", "style:header-left", "style:header-first",
    "style:footer", "style:footer-left", "style:footer-first",
)  # fmt: skip
_PAGE_FIELDS: Final = frozenset(("text:page-number", "text:page-count", "text:sheet-name"))
_FIELDS: Final = _PAGE_FIELDS | {
    "text:title", "text:date", "text:time", "text:file-name", "text:author-name", "text:author-initials",
    "text:creation-date", "text:modification-date", "text:print-date", "text:chapter",
}  # fmt: skip
_PAGE_WORD_CHARS: Final = 12  # "Page  of " around a number
_TAG = re.compile(r"<[^>]*>")
_SHAPES: Final = frozenset(
    {
        "draw:frame", "draw:text-box", "draw:custom-shape", "draw:rect", "draw:ellipse", "draw:circle",
        "draw:line", "draw:polygon", "draw:polyline", "draw:path", "draw:connector", "draw:caption",
        "draw:measure", "draw:regular-polygon", "draw:g", "draw:a",
    }
)  # fmt: skip
_NO_NAMES: Final = ("page", "slide", "folie", "seite", "diapo", "dia")
_MAX_SPACES: Final = 100
_MAX_REPEATED: Final = 20


class _List:
    """An open list: its style, its element in HTML, and the number of its next item."""

    __slots__ = ("element", "identity", "number", "style")

    def __init__(self, style: str, element: str, number: int, identity: str) -> None:
        self.style = style
        self.element = element
        self.number = number
        self.identity = identity


class _Sink:
    """A place where text is collected, with what is open in it."""

    __slots__ = (
        "boxes", "element", "has_fields", "in_pre", "item_begins", "kind", "lead", "lists", "paragraphs",
        "pieces",
    )  # fmt: skip

    def __init__(self, kind: str, lead: str = "") -> None:
        self.kind = kind
        self.lead = lead  # what comes before the text of the first paragraph
        self.pieces: list[str] = []
        self.boxes: list[str] = []  # text boxes, until their paragraph ends
        self.lists: list[_List] = []
        self.paragraphs = 0
        self.element = "p"  # of the paragraph that is open
        self.item_begins = False
        self.has_fields = False
        self.in_pre = False


class Writer:
    """Turns the events of a document into HTML. Styles must come before the text that uses them.

    `open_object` gives the events of an object that the document embeds.
    """

    def __init__(self, max_chars: int, open_object: Callable[[str], Iterable[Event]] | None = None) -> None:
        self.title = ""
        self.language = ""
        self.has_pictures = False
        self._headers: dict[str, None] = {}
        self._footers: dict[str, None] = {}
        self._notes: list[str] = []
        self._open_object = open_object
        self._left = max_chars
        self._sinks = [_Sink("body")]
        self._sink = self._sinks[0]
        self._skipped = 0
        self._parents: dict[str, str] = {}
        self._numbered_from: dict[tuple[str, int], int] = {}  # style and level -> number of the first item
        self._goes_on_at: dict[tuple[str, int], int] = {}  # the same, or a list's id -> its next number
        self._list_style = ""
        self._citation = ""
        self._page_name = self._page_title = ""

    @property
    def is_full(self) -> bool:
        """Whether as much text as is kept of one document was collected."""
        return self._left < 0

    def write(self, events: Iterable[Event]) -> None:
        """Take the events of one part, until there is enough."""
        starts, ends = _STARTS, _ENDS
        for kind, value, attributes in events:
            if self._skipped:
                if kind == START:
                    self._skipped += 1
                elif kind == END:
                    self._skipped -= 1
            elif kind == START:
                if value in SKIPPED or (value in _FIELDS and self._is_field(value)):
                    self._skipped = 1
                elif value in starts:
                    starts[value](self, attributes)
            elif kind == END:
                if value in ends:
                    ends[value](self, value)
            elif self._sink.paragraphs:
                self._text(value)
            if self._left < 0:
                break

    def _is_field(self, name: str) -> bool:
        """Whether an element stands for what changes from page to page or copy to copy."""
        in_margin = any(sink.kind == "header" for sink in self._sinks)
        self._sink.has_fields = self._sink.has_fields or in_margin
        return in_margin or name in _PAGE_FIELDS

    def drop_open(self) -> None:
        """Leave out what is still open, after a part that ended too early."""
        del self._sinks[1:]
        self._sink = self._sinks[0]
        self._skipped = 0

    def margins(self) -> str:
        """The headers and footers of the pages, each once."""
        return "".join([*self._headers, *self._footers])

    def markup(self) -> str:
        """The whole document: headers, body, notes, footers."""
        while len(self._sinks) > 1:
            self._sinks[-2].pieces.append(self._end_aside(self._sink.kind))
        self._end_pre()
        return "".join([*self._headers, *self._sink.pieces, *self._notes, *self._footers])

    # Text

    def _text(self, text: str) -> None:
        self._left -= len(text)
        self._sink.pieces.append(html.escape(text, quote=False))

    def _start_paragraph(self, attributes: Mapping[str, str], name: str = "p") -> None:
        sink = self._sink
        is_pre = name == "p" and not sink.paragraphs and self._is_pre(attributes.get("text:style-name", ""))
        if sink.in_pre:
            if is_pre:
                sink.pieces.append("\n")
                sink.paragraphs += 1
                return
            self._end_pre()
        if sink.item_begins:
            sink.item_begins = False
            if name == "p":
                sink.pieces.append("<li>")
        if not sink.paragraphs:
            sink.element = "pre" if is_pre else name
            sink.pieces.append(f"<{sink.element}>")
            sink.in_pre = is_pre
            if sink.lead:
                sink.pieces.append(sink.lead)
                sink.lead = ""
        sink.paragraphs += 1

    def _heading(self, attributes: Mapping[str, str]) -> None:
        level = _number(attributes.get("text:outline-level") or attributes.get("text:level"))
        self._start_paragraph(attributes, f"h{min(max(level, 1), 6)}")

    def _title_or_paragraph(self, attributes: Mapping[str, str]) -> None:
        is_title = not self._sink.lists and self._has_style(attributes.get("text:style-name", ""), ("title",))
        self._start_paragraph(attributes, "h1" if is_title else "p")

    def _end_paragraph(self, _name: str) -> None:
        sink = self._sink
        if not sink.paragraphs:
            return
        sink.paragraphs -= 1
        if sink.paragraphs or sink.in_pre:
            return
        sink.pieces.append(f"</{sink.element}>")
        self._place_boxes()

    def _end_pre(self) -> None:
        if self._sink.in_pre:
            self._sink.in_pre = False
            self._sink.pieces.append("</pre>")
            self._place_boxes()

    def _place_boxes(self) -> None:
        if self._sink.boxes:
            self._sink.pieces.extend(self._sink.boxes)
            self._sink.boxes.clear()

    def _spaces(self, attributes: Mapping[str, str]) -> None:
        self._blank(" " * min(_number(attributes.get("text:c")), _MAX_SPACES))

    def _tab(self, _attributes: Mapping[str, str]) -> None:
        self._blank("\t")

    def _blank(self, text: str) -> None:
        if self._sink.paragraphs:
            self._text(text)

    def _line_break(self, _attributes: Mapping[str, str]) -> None:
        if self._sink.paragraphs:
            self._sink.pieces.append("<br>")

    def _link(self, attributes: Mapping[str, str]) -> None:
        target = attributes.get("xlink:href", "")
        self._sink.pieces.append(f'<a href="{html.escape(target)}">' if target else "<a>")

    def _end_link(self, _name: str) -> None:
        self._sink.pieces.append("</a>")

    def _hidden(self, attributes: Mapping[str, str]) -> None:
        self._blank(attributes.get("text:string-value", ""))

    # Styles

    def _style(self, attributes: Mapping[str, str]) -> None:
        name = attributes.get("style:name", "")
        if attributes.get("style:family", "paragraph") == "paragraph":
            self._parents[name] = attributes.get("style:parent-style-name", "")

    def _start_list_style(self, attributes: Mapping[str, str]) -> None:
        self._list_style = attributes.get("style:name", "")

    def _numbered(self, attributes: Mapping[str, str]) -> None:
        if attributes.get("style:num-format", "1"):
            level = _number(attributes.get("text:level"))
            self._numbered_from[self._list_style, level] = _number(attributes.get("text:start-value"))

    def _has_style(self, style: str, names: tuple[str, ...]) -> bool:
        for _ in range(5):
            if style.lower() in names:
                return True
            style = self._parents.get(style, "")
        return False

    def _is_pre(self, style: str) -> bool:
        for _ in range(5):
            if any(name in style.lower() for name in _PREFORMATTED):
                return True
            style = self._parents.get(style, "")
        return False

    # Lists

    def _start_list(self, attributes: Mapping[str, str], element: str = "") -> None:
        sink = self._sink
        self._end_pre()
        style = attributes.get("text:style-name") or (sink.lists[-1].style if sink.lists else "")
        here = (style, len(sink.lists) + 1)
        element = element or ("ol" if here in self._numbered_from else "ul")
        number = self._numbered_from.get(here, 1)
        continued = attributes.get("text:continue-list")
        if continued is not None or attributes.get("text:continue-numbering") == "true":
            number = self._goes_on_at.get((continued, 0) if continued else here, number)
        sink.lists.append(_List(style, element, number, attributes.get("xml:id", "")))
        sink.pieces.append(
            f'<{element} start="{number}">' if element == "ol" and number > 1 else f"<{element}>"
        )

    def _start_numbered_list(self, attributes: Mapping[str, str]) -> None:
        self._start_list(attributes, "ol")

    def _start_bullet_list(self, attributes: Mapping[str, str]) -> None:
        self._start_list(attributes, "ul")

    def _end_list(self, _name: str) -> None:
        self._end_pre()
        if self._sink.lists:
            ended = self._sink.lists.pop()
            self._goes_on_at[ended.style, len(self._sink.lists) + 1] = ended.number
            self._goes_on_at[ended.identity, 0] = ended.number
            self._sink.pieces.append(f"</{ended.element}>")

    def _start_item(self, attributes: Mapping[str, str]) -> None:
        self._end_pre()
        self._sink.item_begins = True
        if not self._sink.lists:
            return
        current = self._sink.lists[-1]
        start = attributes.get("text:start-value")
        if start and current.element == "ol":
            current.number = _number(start)
            self._sink.pieces.append(f'</ol><ol start="{current.number}">')
        current.number += 1

    def _end_item(self, _name: str) -> None:
        self._end_pre()
        self._sink.item_begins = False
        self._sink.pieces.append("</li>")

    # Tables

    def _start_table(self, _attributes: Mapping[str, str]) -> None:
        self._end_pre()
        self._sink.pieces.append("<table>")

    def _start_row(self, _attributes: Mapping[str, str]) -> None:
        self._sink.pieces.append("<tr>")

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        count = min(_number(attributes.get("table:number-columns-repeated")), _MAX_REPEATED)
        self._sink.pieces.append("<td></td>" * (count - 1) + "<td>")

    def _end_block(self, name: str) -> None:
        self._end_pre()
        self._sink.pieces.append(_END_TAGS[name])

    # Asides

    def _start_aside(self, kind: str, lead: str = "") -> None:
        self._sink = _Sink(kind, lead)
        self._sinks.append(self._sink)

    def _end_aside(self, kind: str) -> str:
        """What was collected. What is still open in it the renderer ends."""
        if self._sink.kind != kind or len(self._sinks) == 1:
            return ""
        self._end_pre()
        self._place_boxes()
        ended = self._sinks.pop()
        self._sink = self._sinks[-1]
        return "".join(ended.pieces)

    def _start_shape(self, attributes: Mapping[str, str]) -> None:
        is_title = attributes.get("presentation:class") == "title" and not self._page_title
        self._start_aside("title" if is_title else "shape")

    def _end_shape(self, _name: str) -> None:
        if self._sink.kind == "title":
            self._page_title = _plain(self._end_aside("title"))
            return
        found = self._end_aside("shape")
        if self._sink.paragraphs or self._sink.in_pre:
            self._sink.boxes.append(found)
        else:
            self._sink.pieces.append(found)

    def _start_description(self, _attributes: Mapping[str, str]) -> None:
        self._start_paragraph({})

    def _picture(self, _attributes: Mapping[str, str]) -> None:
        self.has_pictures = True

    def _object(self, attributes: Mapping[str, str]) -> None:
        if self._open_object is not None:
            opened, self._open_object = self._open_object, None
            self.write(opened(attributes.get("xlink:href", "")))
            self._open_object = opened

    def _start_words(self, _attributes: Mapping[str, str]) -> None:
        self._start_aside("words")
        self._sink.paragraphs = 1

    def _words(self) -> str:
        return _plain(self._end_aside("words"))

    def _end_formula(self, _name: str) -> None:
        formula = self._words()
        self._sink.pieces.append(f"<p>{formula}</p>")

    def _end_title(self, _name: str) -> None:
        self.title = self.title or html.unescape(self._words())

    def _end_language(self, _name: str) -> None:
        self.language = self._words()

    def _end_citation(self, _name: str) -> None:
        self._citation = f"[{self._words()}]"
        self._sink.pieces.append(self._citation)

    def _start_note(self, _attributes: Mapping[str, str]) -> None:
        self._start_aside("note", f"{self._citation} ")

    def _start_comment(self, _attributes: Mapping[str, str]) -> None:
        self._start_aside("note", "[comment] ")

    def _end_note(self, _name: str) -> None:
        self._notes.append(self._end_aside("note"))

    def _start_header(self, _attributes: Mapping[str, str]) -> None:
        self._start_aside("header")

    def _end_header(self, name: str) -> None:
        has_fields = self._sink.has_fields
        found = self._end_aside("header")
        if not has_fields or len(_plain(found)) > _PAGE_WORD_CHARS:
            (self._headers if name.startswith("style:header") else self._footers)[found] = None

    def _start_master(self, _attributes: Mapping[str, str]) -> None:
        self._start_aside("master")

    def _end_master(self, _name: str) -> None:
        self._end_aside("master")  # placeholders, and what stands on every page

    # Pages of presentations and drawings

    def _start_page(self, attributes: Mapping[str, str]) -> None:
        self._start_aside("page")
        self._page_title = ""
        name = attributes.get("draw:name", "")
        is_given = not name.lower().rstrip("0123456789 ").endswith(_NO_NAMES)
        self._page_name = html.escape(name, quote=False) if is_given else ""

    def _end_page(self, _name: str) -> None:
        found = self._end_aside("page")
        title = self._page_title or (self._page_name if _plain(found) else "")
        self._sink.pieces.append(f"<h2>{title}</h2>{found}" if title else found)
        self._page_title = ""


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 7 else 1


def _plain(markup: str) -> str:
    """The text in some markup, with its entities, on one line."""
    return " ".join(_TAG.sub(" ", markup).split())


_END_TAGS: Final = {
    "table:table": "</table>",
    "table:table-row": "</tr>",
    "table:table-cell": "</td>",
    "table:covered-table-cell": "</td>",
}

_STARTS: Final[dict[str, Callable[[Writer, Mapping[str, str]], None]]] = {
    "text:p": Writer._title_or_paragraph,
    "text:h": Writer._heading,
    "text:s": Writer._spaces,
    "text:tab": Writer._tab,
    "text:tab-stop": Writer._tab,
    "text:line-break": Writer._line_break,
    "text:a": Writer._link,
    "text:hidden-text": Writer._hidden,
    "style:style": Writer._style,
    "text:list-style": Writer._start_list_style,
    "text:list-level-style-number": Writer._numbered,
    "text:list": Writer._start_list,
    "text:ordered-list": Writer._start_numbered_list,
    "text:unordered-list": Writer._start_bullet_list,
    "text:list-item": Writer._start_item,
    "table:table": Writer._start_table,
    "table:table-row": Writer._start_row,
    "table:table-cell": Writer._start_cell,
    "table:covered-table-cell": Writer._start_cell,
    **dict.fromkeys(_SHAPES, Writer._start_shape),
    "svg:title": Writer._start_description,
    "svg:desc": Writer._start_description,
    "draw:image": Writer._picture,
    "draw:object": Writer._object,
    "math:annotation": Writer._start_words,
    **dict.fromkeys(_CITATIONS, Writer._start_words),
    **dict.fromkeys(_NOTES, Writer._start_note),
    "office:annotation": Writer._start_comment,
    "style:master-page": Writer._start_master,
    **dict.fromkeys(_HEADERS, Writer._start_header),
    "draw:page": Writer._start_page,
    "dc:title": Writer._start_words,
    "dc:language": Writer._start_words,
}
_ENDS: Final[dict[str, Callable[[Writer, str], None]]] = {
    "text:p": Writer._end_paragraph,
    "text:h": Writer._end_paragraph,
    "text:a": Writer._end_link,
    "text:list": Writer._end_list,
    "text:ordered-list": Writer._end_list,
    "text:unordered-list": Writer._end_list,
    "text:list-item": Writer._end_item,
    **dict.fromkeys(_END_TAGS, Writer._end_block),
    **dict.fromkeys(_SHAPES, Writer._end_shape),
    "svg:title": Writer._end_paragraph,
    "svg:desc": Writer._end_paragraph,
    "math:annotation": Writer._end_formula,
    **dict.fromkeys(_CITATIONS, Writer._end_citation),
    **dict.fromkeys(_NOTES, Writer._end_note),
    "office:annotation": Writer._end_note,
    "style:master-page": Writer._end_master,
    **dict.fromkeys(_HEADERS, Writer._end_header),
    "draw:page": Writer._end_page,
    "dc:title": Writer._end_title,
    "dc:language": Writer._end_language,
}
