"""LaTeX and plain TeX: what a reader of the source would read, without carrying anything out.

Commands that are known become structure, letters or links; of one that is not, the name goes and what
stands in its braces stays. Formulas stay as they are written. Macros are not expanded, but for those
without arguments that stand for a few words. The source is read once from front to back: whoever needs
the end of a group looks it up in a table of matching braces.
"""

from __future__ import annotations

import re
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.markup.latex_characters import (
    ACCENTS,
    LETTERS,
    SIGNS,
    match_accent,
    plain_latex,
)
from tui_scraper.engine.extract.markup.structure import Structure
from tui_scraper.engine.extract.plain.text import extract_code, extract_plain
from tui_scraper.engine.settings import CleanSettings

_TOKEN = re.compile(
    r"\\(?P<command>[a-zA-Z]+)\*?|\\(?P<sign>.|\n)|(?P<comment>%[^\n]*(?:\n[ \t]*)?)|(?P<math>\$\$?)"
    r"|(?P<open>\{)|(?P<close>\})|(?P<blank>\n[ \t]*\n\s*)|(?P<mark>``|''|---?|~)|(?P<cell>&)"
    r"|(?P<text>[^\\%${}\n~&`'-]+|[`'\n\\-])",
    re.DOTALL,
)
_BRACE = re.compile(r"\\.|%[^\n]*|[{}]", re.DOTALL)
_OPTION = re.compile(r"[ \t]*\[((?:[^\[\]]|\[[^\[\]]{0,200}\]){0,1000})\]")
_GAP = re.compile(r"[ \t]*(?:%[^\n]*\n[ \t]*|\n(?![ \t]*\n)[ \t]*){0,3}")
_INLINE_MATH = re.compile(r"\$((?:[^$\\\n]|\\.|\n(?![ \t]*\n)){1,4000})\$", re.DOTALL)
_DEFINITION = re.compile(
    r"\\(?:(?:re|provide)?newcommand\*?|providecommand\*?|renewcommand\*?|DeclareRobustCommand\*?)[ \t]*"
    r"\{?\\([a-zA-Z]{1,60})\}?[ \t]*\{|\\def[ \t]*\\([a-zA-Z]{1,60})[ \t]*\{"
)
_CHARACTER_CODE = re.compile(r"(?:\"([0-9A-F]{1,4})|'([0-7]{1,5})|(\d{1,5}))[ ]?")
_DEFINES = re.compile(
    r"\\(?:[gex]?def|let|newcommand|renewcommand|catcode|newif|newcount|newdimen)(?![a-zA-Z])"
)
_SAYS = re.compile(
    r"\\(?:(?:sub){0,2}section|chapter|part|paragraph|item|begin|cite|emph|textbf|footnote|bye)(?![a-zA-Z])"
    r"|\n[ \t]*\n[A-Z]"
)
_BLANKS = re.compile(r"[ \t]*")
_LABEL = re.compile(r"\\label\{[^{}]{0,200}\}")
_LANGUAGE = re.compile(r"language[ \t]*=[ \t]*\{?(?:\[[^\]]{0,40}\])?([A-Za-z+#]{1,20})")

_MARKS: Final = {"``": "“", "''": "”", "--": "–", "---": "—", "~": " "}
_SECTIONS: Final = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5,
    "subparagraph": 6, "frametitle": 3, "framesubtitle": 4, "title": 1, "beginsection": 2,
}  # fmt: skip
_CITES: Final = frozenset(
    {
        "cite", "citep", "citet", "citealp", "citealt", "citenum", "parencite", "textcite", "autocite",
        "footcite", "smartcite", "supercite", "fullcite", "citeauthor", "citeyear", "citeyearpar", "ref",
        "eqref", "pageref", "autoref", "cref", "Cref", "vref", "nameref", "hyperref", "labelcref",
        "subref",
    }
)  # fmt: skip
_FILES: Final = {
    "input": "include", "include": "include", "subfile": "include", "import": "include",
    "bibliography": "include", "addbibresource": "include", "includegraphics": "image",
    "includepdf": "include", "lstinputlisting": "include", "verbatiminput": "include",
}  # fmt: skip
_DROPPED: Final = {
    "label": 1, "vspace": 1, "hspace": 1, "setlength": 2, "addtolength": 2, "settowidth": 2, "pagestyle": 1,
    "bibliographystyle": 1, "thispagestyle": 1, "pagenumbering": 1, "setcounter": 2, "addtocounter": 2,
    "stepcounter": 1, "refstepcounter": 1, "newcounter": 1, "newlength": 1, "color": 1, "textcolor": 1,
    "colorbox": 1, "fcolorbox": 2, "definecolor": 3, "colorlet": 2, "fontsize": 2, "rule": 2, "raisebox": 1,
    "parbox": 1, "resizebox": 2, "scalebox": 1, "rotatebox": 1, "graphicspath": 1, "hypersetup": 1,
    "geometry": 1, "usetikzlibrary": 1, "lstset": 1, "index": 1, "glossary": 1, "phantom": 1, "hphantom": 1,
    "vphantom": 1, "cline": 1, "cmidrule": 1, "multirow": 2, "newenvironment": 3, "renewenvironment": 3,
    "newtheorem": 2, "theoremstyle": 1, "DeclareMathOperator": 2, "addcontentsline": 3, "markboth": 2,
    "markright": 1, "hyphenation": 1, "special": 1, "documentclass": 1, "documentstyle": 1, "usepackage": 1,
    "RequirePackage": 1, "newcommand": 2, "renewcommand": 2, "providecommand": 2, "nocite": 1,
    "setmainfont": 1, "selectlanguage": 1, "includeonly": 1, "pgfplotsset": 1, "tikzset": 1, "usetheme": 1,
    "DeclareRobustCommand": 2, "titleformat": 5, "titlespacing": 4, "fancyhead": 1, "fancyfoot": 1,
    "lhead": 1, "chead": 1, "rhead": 1, "lfoot": 1, "cfoot": 1, "rfoot": 1, "arrayrulecolor": 1,
    "rowcolor": 1, "columncolor": 1, "cellcolor": 1, "foreignlanguage": 1, "hypertarget": 1, "hyperlink": 1,
    "inputencoding": 1, "enlargethispage": 1, "foilhead": 0, "tabcolsep": 0, "captionsetup": 1, "newif": 1,
    "begingroup": 0, "input@path": 1, "AtBeginDocument": 1, "makeatletter": 0,
}  # fmt: skip
_BREAKS: Final = frozenset(
    {
        "par", "bigskip", "medskip", "smallskip", "newpage", "clearpage", "cleardoublepage", "pagebreak",
        "maketitle", "noindent", "hrule", "tableofcontents", "bye", "eject", "vfill", "hline", "toprule",
        "midrule", "bottomrule",
    }
)  # fmt: skip
_RULES: Final = frozenset(
    {
        "hline", "toprule", "midrule", "bottomrule", "endhead", "endfirsthead", "endfoot", "endlastfoot",
    }
)  # fmt: skip
_VERBATIM: Final = frozenset(
    {
        "verbatim", "Verbatim", "lstlisting", "minted", "alltt", "code", "semiverbatim", "sourcecode",
        "verbatimtab", "BVerbatim", "LVerbatim", "SaveVerbatim", "Code", "CodeInput", "CodeOutput",
        "Sinput", "Soutput",
    }
)  # fmt: skip
_MATHS: Final = frozenset(
    {
        "equation", "align", "gather", "multline", "eqnarray", "displaymath", "math", "flalign",
        "alignat", "dmath", "split", "aligned", "IEEEeqnarray", "array",
    }
)  # fmt: skip
_UNREAD: Final = frozenset(
    ["comment", "tikzpicture", "pgfpicture", "picture", "filecontents", "pspicture", "xy", "asy", "CCSXML"]
)
_LISTS: Final = {
    "itemize": "ul", "enumerate": "ol", "description": "dl", "compactitem": "ul", "compactenum": "ol",
    "compactdesc": "dl", "tasks": "ul", "inparaenum": "ol", "thebibliography": "ul", "trivlist": "ul",
    "list": "ul", "dingautolist": "ol", "easylist": "ul", "enumitem": "ol",
}  # fmt: skip
_TABLES: Final = {
    "tabular": 1, "tabularx": 2, "tabulary": 2, "longtable": 1, "supertabular": 1, "xltabular": 2, "tabu": 1,
    "longtabu": 1, "tblr": 1, "longtblr": 1,
}  # fmt: skip
_ENVIRONMENT_ARGUMENTS: Final = {
    "minipage": 1, "multicols": 1, "wrapfigure": 2, "wraptable": 2, "subfigure": 1, "subtable": 1,
    "column": 1, "adjustbox": 1, "thebibliography": 1, "list": 2, "spacing": 1, "otherlanguage": 1,
    "textblock": 1, "alignat": 1, "tabbing": 0, "onlyenv": 0, "SCfigure": 0,
}  # fmt: skip
_STATEMENTS: Final = frozenset(
    {
        "theorem", "lemma", "corollary", "proposition", "definition", "proof", "remark", "example",
        "conjecture", "claim", "exercise", "problem", "solution", "note", "axiom",
    }
)  # fmt: skip
_MAX_MACRO_CHARS: Final = 200
_MAX_MACROS: Final = 2_000
_MAX_OPEN: Final = 200


def extract_latex(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """The text of a LaTeX document, its preamble left out but for title, author and date."""
    source = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    if _is_program(source):
        return extract_code(data, media_type, settings)
    found = _Reader(source, Structure(settings.max_chars)).read()
    return found if found.text.strip() else extract_plain(data, media_type, settings)


def _is_program(source: str) -> bool:
    """Whether a file defines macros for others rather than saying something itself."""
    if "\\begin{document}" in source:
        return False
    return len(_DEFINES.findall(source)) > 4 + 2 * len(_SAYS.findall(source))


class _Reader:
    """One pass over a source."""

    def __init__(self, source: str, structure: Structure) -> None:
        self._source = source
        self._out = structure
        self._position = 0
        self._braces = matching_braces(source)
        self._groups: list[str] = []  # what to do where each open group ends
        self._environments: list[tuple[str, str]] = []  # (name, element) of those that are open
        self._macros: dict[str, str] = {}
        self._missing: set[str] = set()  # ends that do not come any more

    def read(self) -> Extracted:
        """Read the whole document."""
        start = self._source.find("\\begin{document}")
        if start >= 0:
            self._preamble(start)
            self._position = start + len("\\begin{document}")
        while self._position < len(self._source) and not self._out.is_full:
            token = _TOKEN.match(self._source, self._position)
            if token is None:
                break
            self._position = token.end()
            kind = token.lastgroup
            if kind == "command":
                if not self._command(token["command"]):
                    break
            elif kind == "text":
                self._out.text(token[0])
            elif kind == "mark":
                self._out.text(_MARKS[token[0]])
            elif kind == "sign":
                self._sign(token)
            elif kind == "blank":
                self._out.paragraph()
            elif kind == "open":
                self._groups.append("")
            elif kind == "close":
                self._close_group()
            elif kind == "math":
                self._math(token)
            elif kind == "cell":
                self._cell()
        return self._out.extracted()

    def _preamble(self, end: int) -> None:
        preamble = self._source[:end]
        for found in _DEFINITION.finditer(preamble):
            self._define(found[1] or found[2], found.end() - 1)
        for command in ("title", "author", "date"):
            for found in re.finditer(rf"\\{command}(?![a-zA-Z])", preamble):
                self._position = found.end()
                self._option()
                self._front(command, self._argument())
        for command, kind in _FILES.items():
            for found in re.finditer(rf"\\{command}(?![a-zA-Z])", preamble):
                self._position = found.end()
                self._option()
                self._out.links.add(self._argument().strip()[:1_000], kind)

    def _front(self, command: str, raw: str) -> None:
        words = plain_latex(self._known_macros(raw[:2_000].replace("\\and", ", ")))
        if not words:
            return
        if command == "title":
            self._out.title = self._out.title or words
            self._out.heading(1, words)
        else:
            self._out.paragraph(words)

    def _known_macros(self, raw: str) -> str:
        return re.sub(r"\\([a-zA-Z]{1,60})(?:\{\})?", lambda found: self._macros.get(found[1], found[0]), raw)

    def _define(self, name: str, brace: int) -> None:
        """Remember a macro that stands for a few words."""
        body = self._source[brace + 1 : self._braces.get(brace, brace)]
        if body and len(body) <= _MAX_MACRO_CHARS and "#" not in body and len(self._macros) < _MAX_MACROS:
            self._macros[name] = plain_latex(body)[:_MAX_MACRO_CHARS]

    def _skip_gap(self) -> None:
        found = _GAP.match(self._source, self._position)
        if found:
            self._position = found.end()

    def _option(self) -> str:
        """Read what stands in square brackets, if it comes next."""
        found = _OPTION.match(self._source, self._position)
        if found is None:
            return ""
        self._position = found.end()
        return found[1]

    def _argument(self) -> str:
        """Read the next argument as it is written; '' where there is none."""
        before = self._position
        self._skip_gap()
        at = self._position
        if self._source[at : at + 1] == "{" and at in self._braces:
            end = self._braces[at]
            self._position = end + 1
            return self._source[at + 1 : end]
        token = _TOKEN.match(self._source, at)
        if token is not None and token.lastgroup == "command":
            self._position = token.end()
            return token[0]
        self._position = before
        return ""

    def _until(self, end: str) -> str | None:
        """Read up to and over `end`; None where it does not come."""
        at = -1 if end in self._missing else self._source.find(end, self._position)
        if at < 0:
            self._missing.add(end)
            return None
        raw = self._source[self._position : at]
        self._position = at + len(end)
        return raw

    def _enter(self, closing: str) -> bool:
        """Begin the next group, with what to do at its end. False where no whole group comes."""
        before = self._position
        self._skip_gap()
        if self._position in self._braces:
            self._position += 1
            self._groups.append(closing)
            return True
        self._position = before
        return False

    def _close_group(self) -> None:
        closing = self._groups.pop() if self._groups else ""
        if closing[:1] == "/":
            self._out.end(closing[1:])
        elif closing[:1] == "&":
            for _ in range(int(closing[1:])):
                self._cell()
        elif closing:
            self._out.text(closing)
        elif self._source[self._position : self._position + 1] == "{":
            self._out.text(" ")

    def _sign(self, token: re.Match[str]) -> None:
        sign = token["sign"]
        if sign == "\\":
            self._row()
        elif sign in "([":
            end = "\\)" if sign == "(" else "\\]"
            raw = self._until(end)
            if raw is not None:
                self._formula(raw, display=sign == "[")
        elif sign in ACCENTS and self._accent(token.start()):
            pass
        else:
            self._out.text(SIGNS.get(sign, sign if sign not in "()[]" else ""))

    def _accent(self, start: int) -> bool:
        found = match_accent(self._source, start)
        if found is None:
            return False
        letter, self._position = found
        self._out.text(letter)
        return True

    def _math(self, token: re.Match[str]) -> None:
        if token[0] == "$$":
            raw = self._until("$$")
            if raw is not None:
                self._formula(raw, display=True)
            return
        found = _INLINE_MATH.match(self._source, token.start())
        if found is None:
            self._out.text("$")
            return
        self._position = found.end()
        self._formula(found[1], display=False)

    def _formula(self, raw: str, *, display: bool) -> None:
        """A formula as it is written."""
        body = _LABEL.sub("", raw).strip()
        if not body:
            return
        if not display:
            self._out.text(f"${body}$")
            return
        self._out.paragraph(f"$$ {body} $$")

    def _row(self) -> None:
        self._option()
        if self._in_table():
            self._out.end("tr")
            self._out.start("tr")
            self._out.start("td")
        else:
            self._out.line_break()

    def _cell(self) -> None:
        if self._in_table():
            self._out.end("td")
            self._out.start("td")
        else:
            self._out.text("&")

    def _in_table(self) -> bool:
        return any(element == "table" for _, element in self._environments[-1:])

    def _command(self, name: str) -> bool:
        """Carry out a command. False at the end of the document."""
        if name == "begin":
            self._begin(self._argument().strip())
        elif name == "end":
            environment = self._argument().strip()
            if environment == "document":
                return False
            self._end(environment)
        elif name in LETTERS:
            self._out.text(LETTERS[name])
            self._skip_end_of_letter(LETTERS[name])
        elif name in self._macros:
            self._out.text(self._macros[name])
            if self._source.startswith("{}", self._position):
                self._position += 2
        elif name in ("item", "bibitem"):
            self._item(name)
        elif name in _SECTIONS:
            self._section(name)
        elif name in ACCENTS and self._accent(self._position - len(name) - 1):
            pass
        elif name in _BREAKS:
            if not (name in _RULES and self._in_table()):
                self._out.paragraph()
        elif name in ("newline", "linebreak", "cr", "tabularnewline"):
            self._row()
        elif name in _CITES:
            self._cite()
        elif name in _FILES:
            self._option()
            self._out.links.add(self._argument().strip()[:1_000], _FILES[name])
        elif name in ("footnote", "footnotetext", "thanks", "marginpar", "todo"):
            self._option()
            if self._enter(")"):
                self._out.text(" (")
        elif name in ("caption", "captionof"):
            if name == "captionof":
                self._argument()
            self._option()
            self._out.paragraph()
            self._enter("/p")
        elif name in ("url", "path", "nolinkurl", "href"):
            self._url(name)
        elif name in ("verb", "lstinline", "mintinline"):
            self._verb(name)
        elif name == "multicolumn":
            columns = self._argument().strip()
            self._argument()
            self._enter(
                f"&{min(int(columns), 50) - 1}"
                if columns.isdecimal() and len(columns) < 4 and int(columns)
                else ""
            )
        elif name == "char":
            self._character()
        elif name == "iffalse":
            self._until("\\fi")
        elif name in ("def", "gdef", "edef", "let"):
            self._definition(name)
        elif name in _DROPPED:
            self._option()
            for _ in range(_DROPPED[name]):
                self._option()
                self._argument()
        elif name in ("author", "date"):
            self._option()
            self._front(name, self._argument())
        elif self._source[self._position : self._position + 1] == "[":
            self._option()
        return True

    def _character(self) -> None:
        found = _CHARACTER_CODE.match(self._source, self._position)
        if found is None:
            return
        self._position = found.end()
        base = 16 if found[1] is not None else 8 if found[2] is not None else 10
        code = int(found[1] or found[2] or found[3], base)
        self._out.text(chr(code) if 31 < code < 0xD800 else "")

    def _skip_end_of_letter(self, letter: str) -> None:
        """Pass over what ends a command that is part of a word."""
        if self._source.startswith("{}", self._position):
            self._position += 2
        elif len(letter) == 1 and letter.isalpha():
            found = _BLANKS.match(self._source, self._position)
            self._position = found.end() if found else self._position

    def _section(self, name: str) -> None:
        self._option()
        if name == "title" and not self._out.title:
            at = self._position
            self._out.title = plain_latex(self._known_macros(self._argument()[:2_000]))
            self._position = at
        heading = f"h{_SECTIONS[name]}"
        if self._enter("/" + heading):
            self._out.start(heading)

    def _cite(self) -> None:
        while self._option():
            pass
        keys = [key.strip() for key in self._argument()[:1_000].split(",")]
        if any(keys):
            self._out.text(f"[{', '.join(filter(None, keys))}]")

    def _url(self, name: str) -> None:
        target = self._argument().strip().replace("\\", "")
        self._out.links.add(target[:3_000], "hyperlink")
        if name != "href":
            self._out.text(target)
        elif self._enter(""):
            pass

    def _verb(self, name: str) -> None:
        self._option()
        if name == "mintinline":
            self._argument()
        delimiter = self._source[self._position : self._position + 1]
        if not delimiter or delimiter.isspace():
            return
        if delimiter == "{":
            self._out.text(self._argument())
            return
        line_end = self._source.find("\n", self._position, self._position + 2_000)
        end = self._source.find(
            delimiter, self._position + 1, line_end if line_end > 0 else self._position + 2_000
        )
        if end > 0:
            self._out.text(self._source[self._position + 1 : end])
            self._position = end + 1

    def _definition(self, name: str) -> None:
        """Skip a definition; one without arguments that stands for a few words is remembered."""
        found = re.compile(r"[ \t]*\\([a-zA-Z]+|.)([^{}\n\\]{0,60})=?").match(self._source, self._position)
        if found is None:
            return
        self._position = found.end()
        if name == "let":
            self._argument()
            return
        if self._position in self._braces:
            if not found[2].strip() and found[1].isalpha():
                self._define(found[1], self._position)
            self._position = self._braces[self._position] + 1

    def _item(self, name: str) -> None:
        has_option = self._source[self._position : self._position + 1] == "[" or bool(
            re.compile(r"[ \t]+\[").match(self._source, self._position)
        )
        option = self._option() if has_option else ""
        if name == "bibitem":
            key = self._argument()
            self._out.start("li")
            self._out.text(f"[{plain_latex(option or key)[:100]}] ")
            return
        element = self._environments[-1][1] if self._environments else "ul"
        if element == "dl":
            self._out.start("dt")
            self._out.text(plain_latex(self._known_macros(option)))
            self._out.end("dt")
            self._out.start("dd")
        else:
            self._out.start("li")
            if option:
                self._out.text(plain_latex(self._known_macros(option)) + " ")

    def _begin(self, name: str) -> None:
        bare = name.rstrip("*")
        if name in _VERBATIM or bare in _VERBATIM:
            self._verbatim(name)
        elif bare in _UNREAD:
            self._until(f"\\end{{{name}}}")
        elif bare in _MATHS:
            if bare == "alignat":
                self._argument()
            raw = self._until(f"\\end{{{name}}}")
            if raw is not None:
                self._formula(raw, display=True)
        elif len(self._environments) >= _MAX_OPEN:
            return
        elif bare in _LISTS:
            self._begin_list(bare)
        elif bare in _TABLES:
            self._option()
            for _ in range(_TABLES[bare] + (name == "tabular*")):
                self._argument()
            self._open(name, "table")
            self._out.start("tr")
            self._out.start("td")
        else:
            self._begin_other(name, bare)

    def _begin_list(self, bare: str) -> None:
        self._option()
        for _ in range(_ENVIRONMENT_ARGUMENTS.get(bare, 0)):
            self._argument()
        if bare == "thebibliography":
            self._out.heading(2, "References")
        self._open(bare, _LISTS[bare])

    def _begin_other(self, name: str, bare: str) -> None:
        option = self._option()
        for _ in range(_ENVIRONMENT_ARGUMENTS.get(bare, 0)):
            self._option()
            self._argument()
        self._option()
        if bare == "abstract":
            self._out.heading(2, "Abstract")
        elif bare == "frame" and self._source[self._position : self._position + 1] == "{":
            self._section("frametitle")
        self._open(name, "blockquote" if bare in ("quote", "quotation", "verse") else "div")
        if bare in _STATEMENTS:
            label = f" ({plain_latex(option)})" if option else ""
            self._out.text(f"{bare.capitalize()}{label}. ")

    def _open(self, name: str, element: str) -> None:
        self._environments.append((name, element))
        self._out.start(element)

    def _end(self, name: str) -> None:
        names = [open_name.rstrip("*") for open_name, _ in self._environments]
        bare = name.rstrip("*")
        if bare not in names:
            return
        while self._environments:
            open_name, element = self._environments.pop()
            if element == "table":
                self._out.end("tr")
            self._out.end(element)
            if open_name.rstrip("*") == bare:
                break

    def _verbatim(self, name: str) -> None:
        options = self._option()
        language = self._argument() if name.startswith("minted") else ""
        if not language:
            found = _LANGUAGE.search(options)
            language = found[1].lower() if found else ""
        raw = self._until(f"\\end{{{name}}}")
        if raw is None:
            return
        first, line_end, rest = raw.partition("\n")
        self._out.code(rest if line_end and not first.strip() else raw, re.sub(r"[^\w+#]", "", language)[:20])


def matching_braces(source: str) -> dict[int, int]:
    """Where each group that is opened ends."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACE.finditer(source):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            found[opened.pop()] = match.start()
    return found


FORMATS = (Format("LaTeX", (mt.LATEX,), extract_latex, fallback=extract_plain),)
