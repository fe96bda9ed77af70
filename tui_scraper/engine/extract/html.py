"""HTML and XHTML: headings, lists, tables and code as Markdown, the rest as paragraphs.

lexbor repairs the markup into a tree and writes it out again, well-formed; one pass over those tags
then renders the text. Walking the tree from Python instead costs several calls a node. The same
pass also reads raw markup, which is what happens to documents nested so deeply that building the
tree would take quadratic time: their text survives, their tables and lists become lines.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format, Links
from tui_scraper.engine.extract.decoding import declared_charset, decode
from tui_scraper.engine.extract.tables import markdown_table
from tui_scraper.engine.models import Cause
from tui_scraper.engine.settings import CleanSettings

_DROPPED: Final = [
    "script", "style", "template", "svg", "noscript", "iframe", "object", "embed", "applet", "canvas",
    "audio", "video", "select", "datalist", "button", "textarea", "noembed", "rp", "rt", "dialog", "map",
]  # fmt: skip
_VOID: Final = frozenset(
    {
        "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input",
        "keygen", "link", "meta", "param", "source", "track", "wbr",
    }
)  # fmt: skip
_IMPLIED_END: Final = frozenset(
    {
        "p", "li", "td", "th", "tr", "dt", "dd", "option", "thead", "tbody", "tfoot", "colgroup",
    }
) | _VOID  # fmt: skip
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

# What lexbor writes: attribute values in double quotes, '<' only where a tag begins.
_CLEAN_TOKEN = re.compile(
    r"<(?:!--.*?--|(/?)([a-zA-Z][^\s/>]*)((?:\s+[^\s=>\"]+(?:=\"[^\"]*\")?)*)[^>]*)>([^<]*)", re.DOTALL
)
_RAW_TOKEN = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)([^<>]*)>([^<]*)|(<[^<]*)")
_RAW_DROPPED = re.compile(r"<(script|style|title|textarea|svg|template|noscript|iframe)\b", re.IGNORECASE)
_TAG = re.compile(rb"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_ATTRIBUTE = re.compile(r"""([a-zA-Z][\w:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_HREF = re.compile(r'\shref="([^"]*)"')
_BOILERPLATE = re.compile(
    r"""\srole="(?:navigation|search|menubar|menu|toolbar|tablist|dialog|alertdialog)"|\shidden="(?:hidden)?\""""
    r"""|\s(?:class|id)="(?:[^"]*[\s_-])?(?:cookie-?(?:banner|consent|notice|bar|popup|law)|gdpr|onetrust|cky-consent"""
    r"""|skip-?link|skip-to-content|sr-only-focusable|linenos?|lineno|sphinxsidebar|breadcrumbs?|navbar|navheader"""
    r"""|navfooter|docnav|nav-wrapper|mobile-nav|site-nav|main-nav|sidebar-nav|theme-popup|pagination)(?:[\s_-][^"]*)?\"""",
    re.IGNORECASE,
)
_NEVER_BOILERPLATE: Final = frozenset(("html", "body", "main", "article", "table", "tbody"))
_ANCHOR_MARKS: Final = frozenset(("¶", "§", "#", "🔗", "☍", "⚓", "[link]", "link", "permalink", "[src]"))
_LANGUAGE = re.compile(r"<html[^>]{0,500}?\slang=[\"']?([a-zA-Z]{2,3}(?:-[a-zA-Z0-9]{1,8})*)", re.IGNORECASE)
_CODE_LANGUAGE = re.compile(r"\b(?:language|lang|highlight|brush:)[-\s:]?([a-zA-Z0-9+#]{1,20})\b")
_MAX_INDENT: Final = 8
_CELL_CHARS: Final = 600  # a longer cell is a page's layout, not a value
_MAX_COLUMN_SPAN: Final = 20
_MAX_ROW_SPAN: Final = 200
_BLOCK_BYTES: Final = 4096
_AT_ONCE_CHARS: Final = 500_000
_TREE_BYTES: Final = 8_000_000
"""A tree takes 19 times the memory of its markup: larger documents go the linear way, which lays out
neither lists nor tables."""
_CACHED_CHARS: Final = 100  # attributes of one element; 1,024 such strings are remembered


def extract_html(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an HTML document without scripts, styles, navigation and cookie notices."""
    if len(data) > _TREE_BYTES or deeper_than(data, settings.max_html_depth):
        return extract_html_linear(data, media_type, settings)
    markup = _markup(data)
    clean = _parse(markup)
    found = render(clean, trusted=True, max_chars=settings.max_chars)
    if not found.text.strip():
        found = render(clean, trusted=True, max_chars=settings.max_chars, boilerplate=True)
    return _with_language(found, markup)


def extract_html_linear(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of an HTML document in linear time, without a tree: tables and lists become lines."""
    markup = _markup(data)
    found = render(_without_raw_elements(markup), trusted=False, max_chars=settings.max_chars)
    title = re.search(r"<title[^<>]*>([^<]{1,1000})", markup, re.IGNORECASE)
    found.title = html.unescape(title[1]) if title else found.title
    return _with_language(found, markup)


def _markup(data: bytes) -> str:
    markup = decode(data, declared_charset(data))
    return markup.replace("\0", "") if "\0" in markup else markup


def _with_language(found: Extracted, markup: str) -> Extracted:
    language = _LANGUAGE.search(markup[:4096])
    found.declared_language = language[1] if language else ""
    return found


def deeper_than(data: bytes, depth: int) -> bool:
    """Whether elements may be nested deeper than `depth`, found in linear time.

    A bound from counts of '<' and '</' in blocks settles nearly every document; only where it does
    not, tags are counted one by one. Elements whose end tag is often left out are not counted: they
    add a small factor to the depth at most.
    """
    if data.count(b"<") <= depth:
        return False
    running = 0
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES].lower()
        ends = block.count(b"</")
        leaves = sum(
            block.count(tag) for tag in (b"<br", b"<img", b"<hr", b"<meta", b"<link", b"<input", b"<!")
        )
        starts = block.count(b"<") - ends - leaves
        if running + starts > depth:
            break
        running += starts - ends
    else:
        return False
    running = 0
    for match in _TAG.finditer(data):
        if match[2].lower().decode("ascii") in _IMPLIED_END:
            continue
        running += -1 if match[1] else 1
        if running > depth:
            return True
        running = max(running, 0)
    return False


def _parse(markup: str) -> str:
    from selectolax.lexbor import LexborHTMLParser

    try:
        tree = LexborHTMLParser(markup.encode("utf-8", "replace"))
        root = tree.root
        if root is None:
            return ""
        root.strip_tags(_DROPPED, recursive=True)
        return tree.html or ""
    except Exception as error:
        # selectolax raises SelectolaxError, RuntimeError or MemoryError, by the step that fails.
        if isinstance(error, MemoryError):
            raise
        raise DocumentError(Cause.CORRUPT, "The HTML document is damaged and cannot be read.") from None


def _without_raw_elements(markup: str) -> str:
    """Raw markup without comments, declarations and elements whose content is no text. Linear."""
    head, *parts = markup.split("<!--")
    kept = [head, *(part.partition("-->")[2] for part in parts)]
    markup = "".join(kept)
    lower = markup.lower() if len(markup.lower()) == len(markup) else markup
    pieces, position = [], 0
    missing: set[str] = set()
    while match := _RAW_DROPPED.search(markup, position):
        name = match[1].lower()
        pieces.append(markup[position : match.start()])
        end = -1 if name in missing else lower.find(f"</{name}", match.end())
        if end < 0:
            missing.add(name)
            position = match.end()
            continue
        position = end
    pieces.append(markup[position:])
    return "".join(pieces)


def render(markup: str, *, trusted: bool, max_chars: int, boilerplate: bool = False) -> Extracted:
    """Render markup as Markdown-like text.

    `trusted` markup is well-formed (lexbor or office-oxide wrote it): lists and tables are laid out.
    `boilerplate` keeps navigation, for pages that consist of nothing else.
    """
    renderer = _Renderer(structured=trusted, boilerplate=boilerplate)
    renderer.run(_tokens(markup, trusted), max_chars)
    return renderer.result()


def _tokens(markup: str, trusted: bool) -> Iterator[tuple[str, str, str, str]]:
    """(slash, tag name, attributes, text up to the next tag); the text before any tag comes as a 'p'."""
    first = markup.find("<")
    before = markup if first < 0 else markup[:first]
    if before.strip():
        yield "", "p", "", before
    if trusted:
        for slash, name, attributes, text in _matches(_CLEAN_TOKEN, markup):
            yield slash, name, attributes, text
        return
    for slash, name, attributes, text, stray in _matches(_RAW_TOKEN, markup):
        if stray:
            yield "", "span", "", "" if stray.startswith(("<!", "<?")) else stray
        else:
            yield slash, name.lower(), attributes, text


def _matches(pattern: re.Pattern[str], markup: str) -> Iterable[tuple[str, ...]]:
    """The groups of every match: all at once where that is fast and small, one by one in a large document."""
    if len(markup) <= _AT_ONCE_CHARS:
        found: list[tuple[str, ...]] = pattern.findall(markup)
        return found
    return (match.groups(default="") for match in pattern.finditer(markup))


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


class _Renderer:
    """The state of one pass over the tags of a document."""

    def __init__(self, *, structured: bool, boilerplate: bool) -> None:
        self._structured = structured
        self._boilerplate = boilerplate
        self._blocks: list[_Block] = []
        self._sink = self._blocks
        self._inline: list[str] = []
        self._heading = ""
        self._lists: list[list[int]] = []  # next number of each open list, 0 for bullets
        self._marker = ""
        self._first_item = False
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

    def run(self, tokens: Iterator[tuple[str, str, str, str]], max_chars: int) -> None:
        """Read all tokens, or as many as make `max_chars` of text."""
        characters = 0
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
        if attributes or name == "nav":
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
            if name == "li":
                self._marker = ""
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
        if self._boilerplate or name in _NEVER_BOILERPLATE or name in _VOID:
            return False
        if name == "nav":
            return True
        if name == "a":
            return "skip" in attributes and _BOILERPLATE.search(attributes) is not None
        if len(attributes) <= _CACHED_CHARS:
            return _marks_boilerplate(attributes)
        return _BOILERPLATE.search(attributes) is not None

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
            if label in _ANCHOR_MARKS:
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
        if not self._lists or not self._structured:
            self._sink.append(_Block(self._marker + text, kind, tight=bool(self._marker)))
            self._marker = ""
            return
        indent = "  " * min(len(self._lists) - 1, _MAX_INDENT)
        if self._marker:
            lead = indent + self._marker
            hanging = " " * len(lead)
            block = _Block(lead + text.replace("\n", "\n" + hanging), kind, tight=not self._first_item)
            self._marker, self._first_item = "", False
        else:
            hanging = indent + "  "
            block = _Block(hanging + text.replace("\n", "\n" + hanging), kind)
        self._sink.append(block)

    def _end_pre(self) -> None:
        text = _text("".join(self._pre or ())).strip("\n").replace("\0", "")
        self._pre = None
        if text.strip():
            fence = "```"
            while fence in text:
                fence += "`"
            self._append(f"{fence}{self._pre_language}\n{text}\n{fence}", "pre")

    def _end_table(self) -> None:
        if not self._tables:
            return
        table = self._tables.pop()
        self._sink = table.outer
        self._sink.extend(table.close())


def _span(attributes: str, name: str, limit: int) -> int:
    number = _get(attributes, name)
    return max(1, min(int(number), limit)) if number.isdecimal() and len(number) < 7 else 1


@lru_cache(maxsize=1024)
def _marks_boilerplate(attributes: str) -> bool:
    return _BOILERPLATE.search(attributes) is not None


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


FORMATS = (
    Format("HTML", (mt.HTML,), extract_html, fallback=extract_html_linear, modules=("selectolax.lexbor",)),
)
