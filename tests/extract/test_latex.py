from __future__ import annotations

import contextlib
import random
import time

import pytest

from tests.extract.files import read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.markup.latex_characters import plain_latex

PAPER = r"""\documentclass[12pt]{article}
\usepackage{amsmath}
\newcommand{\tool}{\textsc{Fox}\ Tool}
\title{On \emph{Foxes} \\ and \tool}
\author{Ann Lee \and J\"org Mei\ss ner}
\begin{document}
\maketitle % a comment
\begin{abstract}
Short.
\end{abstract}
\section{Intro}\label{sec:intro}
We use \tool{} --- see~\cite{lee2020,mei21} and Section~\ref{sec:intro}.\footnote{A note.}
It costs 5\,\% of \$10 \& more: $e = mc^2$ ``quoted''.

\begin{itemize}
  \item first
  \item[x] second
\end{itemize}
\subsection*{Data}
\begin{table}
\caption{Sizes}
\begin{tabular}{l|r}
\hline
Name & Size \\ \hline
a & 1 \\
\multicolumn{2}{c}{both}
\end{tabular}
\end{table}
\begin{equation}
a^2 + b^2 = c^2 \label{eq:p}
\end{equation}
\begin{lstlisting}[language=Python]
if a < b:
    print("{")
\end{lstlisting}
\includegraphics[width=3cm]{fox.png}
\href{http://a.b/c}{the site} \url{http://d.e/f_g}
\begin{description}
\item[Term] means this
\end{description}
\begin{thebibliography}{9}
\bibitem{lee2020} A. Lee, \emph{Foxes}.
\end{thebibliography}
\end{document}
not read
"""


def test_a_paper_reads_as_its_reader_would_read_it() -> None:
    result = read(PAPER, "a.tex")
    assert result.title == "On Foxes and Fox Tool"
    assert result.text == (
        "# On Foxes and Fox Tool\n\nAnn Lee , Jörg Meißner\n\n## Abstract\n\nShort.\n\n## Intro\n\n"
        "We use Fox Tool — see [lee2020, mei21] and Section [sec:intro]. (A note.) It costs 5 % of $10 & "
        "more:"
        " $e = mc^2$ “quoted”.\n\n- first\n- x second\n\n### Data\n\nSizes\n\n| Name | Size |\n| --- | --- "
        "|\n"
        "| a | 1 |\n| both |  |\n\n$$ a^2 + b^2 = c^2 $$\n\n"
        '```python\nif a < b:\n    print("{")\n```\n\nthe site http://d.e/f_g\n\nTerm\n: means this\n\n'
        "## References\n\n- [lee2020] A. Lee, Foxes."
    )
    assert ("fox.png", "image") in result.links
    assert ("http://a.b/c", "hyperlink") in result.links


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\"{a}\"o\"{\i}\'e\`{a}\^{\i}", "äöïéàî"),
        (r"\c{c}\v s\H{o}\k{a}\~n\u{g}\r a", "çšőąñğå"),
        (r"\ss \o\AE\L{}\aa", "ßøÆŁå"),
        (r"Erd\H{o}s--R\'enyi", "Erdős–Rényi"),
        (r"{\bf bold} \textit{it} $x_1$ 50\%", "bold it $x_1$ 50%"),
    ],
)
def test_accents_and_letters(written: str, meant: str) -> None:
    assert plain_latex(written) == meant
    assert meant.replace("  ", " ") in read(f"\\section{{A}} {written}", "a.tex").text.replace("  ", " ")


def test_a_fragment_without_a_document_is_read() -> None:
    result = read("\\chapter{One}\nWords \\input{two} here.\n", "part.tex")
    assert result.text == "# One\n\nWords here."
    assert result.links == [("two", "include")]


def test_macros_for_others_stay_as_they_are_written() -> None:
    code = "\\def\\a{x}\n\\def\\b{y}\n\\let\\c=\\b\n\\newcommand{\\d}{z}\n\\def\\e#1{[#1]}\n"
    assert read(code, "macros.tex").text == code.strip()
    assert read(code, "style.sty").text == code.strip()


def test_comments_are_left_out_and_escaped_percents_are_not() -> None:
    assert (
        read("\\section{A}\nkept % gone\nalso 5\\% kept\n%gone\n", "a.tex").text
        == "## A\n\nkept also 5% kept"
    )


def test_unclosed_groups_lose_no_text() -> None:
    text = read(
        "\\section{Broken\n\nwords \\textbf{and more \\begin{itemize} \\item x $ y\n\nend", "a.tex"
    ).text
    for word in ("Broken", "words", "and more", "x $ y", "end"):
        assert word in text


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "}",
        "\\begin{itemize}",
        "\\begin{tabular}{ll}",
        "$",
        "$$",
        "\\[",
        "\\verb|",
        "\\section{",
        "\\x[",
        "\\cite{",
    ],
)
def test_hostile_repetition_is_bounded(piece: str) -> None:
    start = time.process_time()
    with contextlib.suppress(DocumentError):
        read("word " + piece * (300_000 // len(piece)), "a.tex")
    assert time.process_time() - start < 30


def test_flipped_bytes_never_raise() -> None:
    dice = random.Random(1)
    for _ in range(40):
        broken = bytearray(PAPER.encode())
        for _ in range(20):
            broken[dice.randrange(len(broken))] = dice.randrange(32, 256)
        assert read(bytes(broken), "a.tex").text


def test_bibliographies_are_entries_with_their_fields() -> None:
    result = read(
        'comment\n@string{pub = "Big Press"}\n@Article{lee:1,\n  author = {Lee, Ann and M{\\"u}ller, J.},\n'
        '  title = "{Foxes} \\& Hounds", year = 1999, publisher = pub # " Ltd",\n  url = {http://a.b/c_d} }\n'
        "@comment{ignored}\n@book{two, title={Nested {deep {er}}}}",
        "a.bib",
    )
    assert result.text == (
        "lee:1 (article)\nauthor: Lee, Ann; Müller, J.\ntitle: Foxes & Hounds\nyear: 1999\n"
        "publisher: Big Press Ltd\nurl: http://a.b/c_d\n\ntwo (book)\ntitle: Nested deep er"
    )
    assert result.links == [("http://a.b/c_d", "hyperlink")]
