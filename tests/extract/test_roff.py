from __future__ import annotations

import time

import pytest

from tests.extract.files import read
from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.markup.roff_characters import character, plain_text
from tui_scraper.engine.models import Cause

PAGE = r""".\" a comment
.TH LS 1 "May 2020" "GNU" "User Commands"
.SH NAME
ls \- list \fIdirectory\fR contents
.SH "SEE ALSO"
.BR dir (1),
.B "bold words"
.SS Options
.TP
\fB\-a\fR, \fB\-\-all\fR
do not ignore \(lqdots\(rq
.TP
.BI \-w= COLS
width
.IP \(bu 2
first
.IP \(bu
second
.PP
After.
.nf
int  main(void);
.B bold in code
.fi
.UR http://a.b/c
the site
.UE
"""


def test_manual_pages_become_headings_terms_lists_and_code() -> None:
    result = read(PAGE, "ls.1")
    assert result.title == "LS(1)"
    assert result.text == (
        "# LS(1)\n\n## NAME\n\nls - list directory contents\n\n## SEE ALSO\n\ndir(1), bold words\n\n### "
        "Options\n\n"
        "-a, --all\n: do not ignore “dots”\n\n-w=COLS\n: width\n\n- first\n- second\n\nAfter.\n\n"
        "```\nint  main(void);\nbold in code\n```\n\nhttp://a.b/c the site"
    )
    assert result.links == [("http://a.b/c", "hyperlink")]


@pytest.mark.parametrize("name", ["ls.1", "foo.3pm", "tool.8", "page", "page.txt", "a.man"])
def test_manual_pages_are_known_by_their_macros(name: str) -> None:
    assert detect(PAGE.encode(), name.encode()) == "text/troff"
    assert detect(b".gitignore and others\n", name.encode()) != "text/troff" or name.endswith(".man")


def test_mdoc_pages_say_what_words_are() -> None:
    text = read(
        ".Dd May 1, 2020\n.Dt CAT 1\n.Os\n.Sh NAME\n.Nm cat\n.Nd print files\n.Sh SYNOPSIS\n.Nm\n.Op Fl "
        "benst\n"
        ".Op Ar\n.Sh DESCRIPTION\nThe\n.Nm\nutility reads\n.Dq files .\nSee\n.Xr less 1 ,\nand\n.Pa /etc/x "
        ".\n"
        ".Bl -tag -width x\n.It Fl n Ar number\nLines.\n.El\n.Bl -bullet\n.It\none\n.It\ntwo\n.El\n"
        '.Bd -literal\nx  = 1\n.Ed\n.Fn main "int argc" "char **argv"\n.Sm off\n.Oo Ar user No @ Oc\n.Sm '
        "on\nend\n",
        "cat.1",
    ).text
    assert text == (
        "# cat(1)\n\n## NAME\n\ncat – print files\n\n## SYNOPSIS\n\ncat [-benst] [file ...]\n\n## "
        "DESCRIPTION\n\n"
        "The cat utility reads “files”. See less(1), and /etc/x.\n\n-n number\n: Lines.\n\n- one\n- two\n\n"
        "```\nx  = 1\n```\n\nmain(int argc, char **argv) [user@] end"
    )


def test_tables_of_tbl() -> None:
    text = read(
        ".TH x 1\n.SH T\n.TS\nallbox tab(;);\nl l\nl r.\nName;Size\n_\nT{\na long\nname\nT};5\nb;\\-\n.TE\n",
        "x.1",
    ).text
    assert text.endswith("| Name | Size |\n| --- | --- |\n| a long name | 5 |\n| b | - |")


def test_conditions_take_the_branch_of_terminals_and_definitions_are_replaced() -> None:
    text = read(
        ".TH x 1\n.ds C+ C\\v'-.1v'++\n.ie n .ds Q \"quoted\n.el .ds Q wrong\n.if t \\{\\\nnot this\n.\\}\n"
        ".de Me\n.B \\\\$1\nand \\\\$2\n..\n.de Ignored\n..\n.SH A\nIn \\*(C+ it is \\*Q.\n.Me one two\n"
        ".Ignored words\n"
        ".ig\nnothing\n..\n",
        "x.1",
    ).text
    assert text == "# x(1)\n\n## A\n\nIn C++ it is quoted. one and two"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\(em\[en]\(bu", "—–•"),
        (r"\['e]\(:u\(oA", "éüÅ"),
        (r"\[u00E4]\[u0041_030A]", "äA\u030a"),
        (r"\fBx\fP\f(CWy\fR\s-2z\s0", "xyz"),
        (r"a\&b\ c\~d\%e\|f\^g\/h\,i", "ab c defghi"),
        (r"\e \\ \- \(aq \(ga", "\\ \\ - ' `"),
        (r"\h'1i'\w'abc'x\o'e/'", "xe/"),
        ('x \\" comment', "x "),
        (r"\(*a\(*W \(no-such", "αΩ -such".replace(" -such", " ¬-such")),
    ],
)
def test_escapes(written: str, meant: str) -> None:
    assert plain_text(written, {}) == meant


def test_unknown_characters_leave_nothing() -> None:
    assert character("zzz") == ""
    assert character("*") == "*"


def test_a_page_that_only_points_to_another_is_empty_and_links_to_it() -> None:
    with pytest.raises(DocumentError) as caught:
        read(".so man3/printf.3\n", "fprintf.3")
    assert caught.value.cause is Cause.NO_TEXT


def test_a_page_that_expands_without_end_is_bounded() -> None:
    lines = ".TH x 1\n.SH A\nword\n"
    lines += "".join(f".de M{n}\n" + f".M{n + 1}\n" * 50 + "..\n" for n in range(9)) + ".M0\n" * 20
    start = time.process_time()
    assert "word" in read(lines, "x.1").text
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "piece",
    [".TP\n", ".RS\n", ".nf\n", ".TS\n", ".de x\n", ".if n \\{\\\n", "\\*a", "\\f(", '.B "', ".Op Op Op\n"],
)
def test_hostile_repetition_is_bounded(piece: str) -> None:
    start = time.process_time()
    try:
        read(".TH x 1\n.SH A\nword\n" + piece * (300_000 // len(piece)), "x.1")
    except DocumentError as error:
        assert error.cause is Cause.NO_TEXT
    assert time.process_time() - start < 30
