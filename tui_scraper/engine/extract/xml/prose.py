"""XML that people write documents in (DocBook, JATS, TEI, DITA and their like) as structure.

These vocabularies agree on what most of their names mean, so that one table serves them all. A name that
it does not have is running text inside a paragraph, and a line of its own outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tui_scraper.engine.extract.markup.structure import Structure
from tui_scraper.engine.extract.xml.events import END, START, TEXT, Event

ROOTS: Final = frozenset(
    {
        "article", "book", "chapter", "part", "section", "sect1", "sect2", "appendix", "preface",
        "refentry", "set", "reference", "glossary", "bibliography", "TEI", "TEI.2", "teiCorpus", "topic",
        "concept", "task", "glossentry", "dita", "map", "bookmap", "troubleshooting", "document",
        "FictionBook", "sect", "simplesect",
    }
)  # fmt: skip
"""Root elements of documents in these vocabularies."""

_SECTIONS: Final = frozenset(
    {
        "article", "book", "chapter", "part", "section", "sect1", "sect2", "sect3", "sect4", "sect5",
        "simplesect", "sect", "appendix", "preface", "refentry", "refsect1", "refsect2", "refsect3",
        "refsection", "refsynopsisdiv", "glossary", "bibliography", "colophon", "dedication", "set",
        "acknowledgements", "sec", "app", "ack", "ref-list", "div", "div1", "div2", "div3", "div4",
        "div5", "div6", "div7", "topic", "concept", "task", "reference", "glossentry", "troubleshooting",
        "abstract", "trans-abstract", "bibliodiv", "glossdiv", "TEI", "TEI.2", "teiCorpus", "document",
        "map", "bookmap", "FictionBook", "notes",
    }
)  # fmt: skip
_TITLES: Final = frozenset(("title", "head", "article-title", "mainbooktitle", "refentrytitle"))
_BEFORE_TITLES: Final = frozenset(
    {
        "info", "articleinfo", "bookinfo", "chapterinfo", "sectioninfo", "sect1info", "title-group",
        "titleStmt", "front", "article-meta", "fileDesc", "teiHeader", "header", "biblFull", "refmeta",
        "bookmeta", "booktitle", "description", "title-info", "book-meta", "objectinfo", "body", "text",
        "front-stub", "book-title-group",
    }
)  # fmt: skip
"""Elements that a section's title may stand in without being theirs."""

_PARAGRAPHS: Final = frozenset(
    {
        "para", "simpara", "formalpara", "paragraph", "p", "ab", "lg", "sp", "speaker", "blockquote",
        "disp-quote", "epigraph", "quote", "caption", "subtitle", "legalnotice", "shortdesc", "cmd",
        "stepresult", "stepxmp", "info-p", "refpurpose", "refname", "address-block", "disp-formula",
        "informalequation", "equation", "stage", "trailer", "closer", "opener", "salute", "byline",
        "attribution", "note", "tip", "warning", "caution", "important", "figure", "informalfigure",
        "example", "fig", "boxed-text", "sidebar", "cmdsynopsis", "funcsynopsis", "classsynopsis",
        "castList", "question", "answer", "stanza", "poem", "cite", "text-author", "rubric", "subtitle-p",
    }
)  # fmt: skip
"""What begins a paragraph wherever it stands."""

_FACTS: Final = frozenset(
    {
        "author", "editor", "contrib", "aff", "affiliation", "copyright", "license", "permissions",
        "date", "pub-date", "pubdate", "revision", "kwd-group", "subj-group", "email", "publisher",
        "publicationStmt", "sourceDesc", "availability", "bibl", "biblStruct", "mixed-citation",
        "element-citation", "nlm-citation", "citation", "releaseinfo", "orgname", "corpauthor", "collab",
        "isbn", "issn", "titlepart", "docTitle", "docImprint", "docAuthor", "docDate", "keywords",
        "term-group", "history", "fn", "graphic", "media", "editionStmt", "respStmt", "othercredit",
        "authorgroup", "pubid", "article-id", "journal-title", "journal-meta", "name", "person-group",
        "sequence", "translator", "genre", "lang", "src-lang", "custom-meta", "math", "inline-formula",
        "alternatives", "tex-math",
    }
)  # fmt: skip
"""What is a paragraph of its own unless it stands in running text, as a date or a name may."""

_SPACED: Final = frozenset(
    {
        "author", "editor", "contrib", "aff", "affiliation", "copyright", "date", "pub-date", "pubdate",
        "revision", "element-citation", "nlm-citation", "biblioentry", "name", "string-name",
        "person-group", "personname", "persName", "othercredit", "biblStruct", "publisher", "keywords",
        "kwd-group", "subj-group", "address", "translator", "monogr", "analytic", "imprint", "history",
        "term-group", "book-meta",
    }
)  # fmt: skip
"""Elements whose parts are fields, with nothing between them that a reader would take for a space."""

_LISTS: Final = {
    "itemizedlist": "ul", "orderedlist": "ol", "simplelist": "ul", "procedure": "ol", "substeps": "ol",
    "steps": "ol", "steps-unordered": "ul", "ul": "ul", "ol": "ol", "sl": "ul", "variablelist": "dl",
    "glosslist": "dl", "def-list": "dl", "dl": "dl", "parml": "dl", "list": "ul", "listBibl": "ul",
    "bullet_list": "ul", "enumerated_list": "ol", "definition_list": "dl", "choices": "ul",
    "segmentedlist": "ul", "calloutlist": "ul", "qandaset": "ul",
}  # fmt: skip
_ITEMS: Final = frozenset(
    {
        "listitem", "list-item", "item", "member", "step", "substep", "li", "sli", "callout", "list_item",
        "choice", "castItem", "seglistitem", "qandaentry", "biblioentry", "bibliomixed", "ref",
    }
)  # fmt: skip
_TERMS: Final = frozenset(("term", "dt", "glossterm", "pt"))
_DEFINITIONS: Final = frozenset(("def", "dd", "glossdef", "pd", "definition"))
_CODE: Final = frozenset(
    {
        "programlisting", "screen", "literallayout", "synopsis", "codeblock", "preformat", "eg",
        "msgblock", "pre", "lines", "literal_block", "doctest_block",
    }
)  # fmt: skip
_TABLES: Final = frozenset(
    ["table", "informaltable", "tgroup", "simpletable", "properties", "choicetable", "table-wrap", "array"]
)
_ROWS: Final = frozenset(["row", "tr", "strow", "sthead", "property", "prophead", "chrow", "chhead"])
_CELLS: Final = frozenset(
    {
        "entry", "td", "th", "cell", "stentry", "proptype", "propvalue", "propdesc", "proptypehd",
        "propvaluehd", "propdeschd", "choption", "chdesc", "choptionhd", "chdeschd",
    }
)  # fmt: skip
_BREAKS: Final = frozenset(("sbr", "br", "lb", "break", "l", "line", "v"))
_SPACES: Final = frozenset(("tab", "pb", "cb", "milestone"))
_UNREAD: Final = frozenset(
    {
        "indexterm", "colspec", "spanspec", "journal-id", "object-id", "binary", "x-metadata",
        "index-term", "counts", "custom-meta-group", "system_message", "substitution_definition",
        "target",
    }
)  # fmt: skip
_LINKS: Final = ("url", "xlink:href", "href", "fileref", "refuri", "uri", "l:href")
_IMAGES: Final = frozenset(["imagedata", "graphic", "inline-graphic", "image", "img", "inlinegraphic"])
_MAX_OPEN: Final = 100
"""Levels that are told apart; what is deeper is running text."""


class ProseReader:
    """Reads events into structure. Each open element has a role, which says what its end ends."""

    def __init__(self, structure: Structure) -> None:
        self._out = structure
        self._open: list[tuple[str, str]] = []  # (name, role)
        self._deeper = 0  # elements open below the last level that is told apart
        self._sections = 0
        self._running = 0  # open elements whose text is running text
        self._spaced = 0
        self._in_title = 0
        self._asides = 0
        self._unread = 0
        self._code: list[str] | None = None
        self._language = ""
        self._lists: list[str] = []
        self._tables: list[bool] = []  # of each open element that may be a table: whether it has rows yet

    def read(self, events: Iterable[Event]) -> None:
        """Read a whole document, or as much of it as is wanted."""
        for kind, value, attributes in events:
            if kind == TEXT:
                self._text(value)
            elif kind == START:
                if len(self._open) >= _MAX_OPEN:
                    self._deeper += 1
                    self._space()
                else:
                    self._start(_local(value), attributes)
            elif kind == END:
                if self._deeper:
                    self._deeper -= 1
                    self._space()
                else:
                    self._end()
            if self._out.is_full:
                break
        while self._open:
            self._end()

    def _space(self) -> None:
        if self._code is None and not self._unread:
            self._out.text(" ")

    def _text(self, text: str) -> None:
        if self._unread:
            return
        if self._code is not None:
            self._code.append(text)
        elif self._running or self._in_title:
            self._out.text(text)
        elif text.strip():
            self._out.text(text)
            self._out.line_break()

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        role = self._role(name, attributes)
        self._open.append((name, role))
        if role == "unread":
            self._unread += 1
        if self._unread:
            return
        if attributes:
            self._attributes(name, attributes)
        if self._spaced and self._code is None:
            self._out.text(" ")
        if name in _SPACED:
            self._spaced += 1
        self._begin(name, role, attributes)

    def _role(self, name: str, attributes: Mapping[str, str]) -> str:
        if self._unread or self._code is not None:
            return ""
        if name in _UNREAD:
            return "unread"
        if self._in_title:
            return "words"
        if name in _TITLES:
            return self._title_role()
        if name in _CODE or (name == "code" and ("language" in attributes or "code-type" in attributes)):
            return "code"
        if name in _ITEMS or (name == "label" and self._lists[-1:] == ["dl"]):
            return self._item_role(name)
        if self._asides and (name in _PARAGRAPHS or name in _FACTS):
            return "words"
        for names, role in _ROLES:
            if name in names:
                return role
        if name in _FACTS and not self._running:
            return "paragraph"
        return ""

    def _title_role(self) -> str:
        for name, role in reversed(self._open):
            if role == "section":
                return "heading"
            if name not in _BEFORE_TITLES:
                return "" if self._running and role != "paragraph" else "caption"
        return "heading"

    def _item_role(self, name: str) -> str:
        inside = self._lists[-1] if self._lists else ""
        if inside == "dl":
            return "term" if name == "label" else "definition"
        return "item"

    def _begin(self, name: str, role: str, attributes: Mapping[str, str]) -> None:
        if role == "section":
            self._sections += 1
            self._out.paragraph()
        elif role in ("heading", "caption"):
            self._in_title += 1
            self._out.start(f"h{min(max(self._sections, 1), 6)}" if role == "heading" else "p")
        elif role == "code":
            self._code = []
            self._language = attributes.get("language", "")
        elif role == "list":
            kind = _list_kind(name, attributes)
            self._lists.append(kind)
            self._out.start(kind or "ul")
        elif role in ("item", "term", "definition"):
            self._out.start({"item": "li", "term": "dt", "definition": "dd"}[role])
            self._running += 1
        elif role == "table":
            self._tables.append(False)
        elif role == "row":
            if self._tables and not self._tables[-1]:
                self._tables[-1] = True
                self._out.start("table")
            self._out.start("tr")
        elif role == "cell":
            self._out.start("td", _spans(attributes))
            self._running += 1
        elif role == "paragraph":
            self._out.paragraph()
            self._running += 1
        elif role == "aside":
            self._out.text(" (")
            self._running += 1
            self._asides += 1
        elif role == "break":
            self._out.line_break()
        elif role in ("space", "words"):
            self._out.text(" " if role == "space" or name in _PARAGRAPHS or name in _FACTS else "")

    def _end(self) -> None:
        name, role = self._open.pop()
        if role == "unread":
            self._unread -= 1
            return
        if self._unread:
            return
        if name in _SPACED:
            self._spaced = max(self._spaced - 1, 0)
        if role == "section":
            self._sections -= 1
            self._out.paragraph()
        elif role in ("heading", "caption"):
            self._in_title -= 1
            self._out.end(f"h{min(max(self._sections, 1), 6)}" if role == "heading" else "p")
        elif role == "code":
            lines, self._code = self._code or [], None
            self._out.code("".join(lines), self._language if self._language.isalnum() else "")
        elif role == "list":
            self._out.end(self._lists.pop() or "ul")
        elif role in ("item", "term", "definition"):
            self._out.end({"item": "li", "term": "dt", "definition": "dd"}[role])
            self._running -= 1
        elif role == "table":
            if self._tables.pop():
                self._out.end("table")
        elif role == "row":
            self._out.end("tr")
        elif role == "cell":
            self._out.end("td")
            self._running -= 1
        elif role == "paragraph":
            self._out.paragraph()
            self._running -= 1
        elif role == "aside":
            self._out.text(")")
            self._running -= 1
            self._asides -= 1

    def _attributes(self, name: str, attributes: Mapping[str, str]) -> None:
        """Note where an element leads to, and the words that some keep in an attribute."""
        for key in _LINKS:
            if key in attributes:
                self._out.links.add(attributes[key].strip(), "image" if name in _IMAGES else "hyperlink")
        if name == "xref" and "linkend" in attributes:
            self._out.text(f"[{attributes['linkend']}]")
        if "navtitle" in attributes:
            self._out.paragraph(attributes["navtitle"])
        elif name in _IMAGES and " " in attributes.get("alt", ""):
            self._out.text(f" {attributes['alt']} ")


_ROLES: Final = (
    (_SECTIONS, "section"),
    (frozenset(_LISTS), "list"),
    (_TERMS, "term"),
    (_DEFINITIONS, "definition"),
    (_TABLES, "table"),
    (_ROWS, "row"),
    (_CELLS, "cell"),
    (_PARAGRAPHS, "paragraph"),
    (frozenset(("footnote",)), "aside"),
    (_BREAKS, "break"),
    (_SPACES, "space"),
)


def _local(name: str) -> str:
    return (
        name.rpartition(":")[2]
        if name.startswith(("d:", "db:", "docbook:", "tei:", "xi:", "mml:", "m:"))
        else name
    )


def _list_kind(name: str, attributes: Mapping[str, str]) -> str:
    said = " ".join(attributes.get(key, "") for key in ("list-type", "type", "rend")).lower()
    if name == "list" and said.strip():
        if "gloss" in said:
            return "dl"
        if any(word in said for word in ("order", "alpha", "roman", "numbered")) and "unordered" not in said:
            return "ol"
    return _LISTS[name]


def _spans(attributes: Mapping[str, str]) -> str:
    rows = attributes.get("rowspan") or attributes.get("rows") or ""
    columns = attributes.get("colspan") or attributes.get("cols") or ""
    more = attributes.get("morerows", "")
    if more.isdecimal() and len(more) < 4:
        rows = str(int(more) + 1)
    said = ""
    if rows.isdecimal():
        said += f' rowspan="{rows}"'
    if columns.isdecimal():
        said += f' colspan="{columns}"'
    return said
