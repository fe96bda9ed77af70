"""Org-mode, reStructuredText, AsciiDoc, Texinfo and Info: written to be read as they are, and by programs."""

from __future__ import annotations

import time

import pytest

from tests.extract.files import read


def test_org_files_become_headings_lists_code_and_tables() -> None:
    result = read(
        "#+TITLE: Notes\n#+OPTIONS: toc:nil\n# a comment\n* TODO One\n:PROPERTIES:\n:ID: 7\n:END:\n"
        "Text with [[http://a.b/c][a link]] and [[file:fox.png]].\n\n** Two\n- item\n  + deeper\n"
        "#+BEGIN_SRC python\n  if a:\n      b()\n#+END_SRC\n: fixed   width\n| k | v |\n|---+---|\n| x | 1 "
        "|\n"
        "#+begin_quote\nquoted\n#+end_quote\n#+begin_src\nnever ends\n",
        "a.org",
    )
    assert result.title == "Notes"
    assert result.text == (
        "# Notes\n\n## TODO One\n\nText with a link and fox.png.\n\n### Two\n\n- item\n  + deeper\n\n"
        "```python\nif a:\n    b()\n```\n\n```\nfixed   width\n```\n\n| k | v |\n| --- | --- |\n| x | 1 |\n\n"
        "quoted\n\nnever ends"
    )
    assert result.links == [("http://a.b/c", "hyperlink"), ("fox.png", "image")]


def test_restructured_text_keeps_its_words_and_gains_headings() -> None:
    result = read(
        "=====\nTitle\n=====\n\n:Author: Ann\n\nOne\n---\n\nSee :func:`~os.path.join` and `docs "
        "<http://a.b>`_ or\n"
        ":ref:`here <x>`; ``code``. Example::\n\n  a = 1\n\n    b\n\n.. note:: Mind this.\n\n   And "
        "*that*.\n\n"
        ".. code-block:: c\n   :linenos:\n\n   int x;\n\n.. a comment\n   of two lines\n\n.. image:: "
        "fox.png\n"
        "   :alt: a small fox\n\n.. _t: http://c.d\n.. [1] The note.\n\nTwo\n---\n\n===  ===\nA    ..\n=== "
        " ===\n"
        "1    2\n===  ===\n\nend\n",
        "a.rst",
    )
    assert result.title == "Title"
    assert result.text == (
        "# Title\n\nAuthor: Ann\n\n## One\n\nSee join and docs or\nhere; `code`. Example:\n\n"
        "```\na = 1\n\n  b\n```\n\nNote: Mind this.\nAnd *that*.\n\n```c\nint x;\n```\n\na small fox\n\n"
        "[1] The note.\n\n"
        "## Two\n\n===  ===\nA    ..\n===  ===\n1    2\n===  ===\n\nend"
    )
    assert set(result.links) == {
        ("http://a.b", "hyperlink"), ("fox.png", "image"), ("http://c.d", "hyperlink"),
    }  # fmt: skip


def test_asciidoc_becomes_headings_lists_code_and_tables() -> None:
    result = read(
        "= Guide\nAnn Lee\n:toc:\n\n// comment\n== One\n\nText with http://a.b/c[a link] and <<x,there>> "
        "+\nnext.\n\n"
        "* item\n** deeper\n. first\n. second\n\nTerm:: means this\n\n[source,ruby]\n----\nputs 1\n\n\n"
        "puts 2\n----\n\n"
        ".Sizes\n[cols=2]\n|===\n|k |v\n\n|x\n|1\n|===\n\nNOTE: Mind.\n\nOld title\n---------\n"
        "image::fox.png[A fox]\n"
        "====\ninside\n====\n////\nhidden\n////\n",
        "a.adoc",
    )
    assert result.title == "Guide"
    assert result.text == (
        "# Guide\n\nAnn Lee\n\n## One\n\nText with a link and there\nnext.\n\n- item\n  - deeper\n1. "
        "first\n2. second\n\n"
        "Term\n: means this\n\n```ruby\nputs 1\n\n\nputs 2\n```\n\nSizes\n\n| k | v |\n| --- | --- |\n| x "
        "| 1 |\n\n"
        "NOTE: Mind.\n\n## Old title\n\nA fox\n\ninside"
    )
    assert result.links == [("http://a.b/c", "hyperlink"), ("fox.png", "image")]


def test_texinfo_manuals_become_headings_lists_and_code() -> None:
    result = read(
        "\\input texinfo\n@settitle The Manual\n@set V 1.2\n@ifnottex\n@node Top\n@top The Manual\n@end "
        "ifnottex\n"
        "@menu\n* One::\n@end menu\n@node One\n@chapter One @code{x}\n@cindex foo\nVersion @value{V} of "
        "@emph{it}@dots{}"
        " costs 5@@b. @xref{Two, , the second}. @uref{http://a.b, site}. Caf@'e.\n@itemize @bullet\n@item "
        "a\n@item b\n"
        "@end itemize\n@example\nif @{x@} --all\n@end example\n@table @option\n@item -v\nloud\n@end table\n"
        "@deffn Command foo arg\nDoes it.\n@end deffn\n@multitable @columnfractions .5 .5\n@item k @tab v\n"
        "@end multitable\n@c gone\n@iftex\nprinted\n@end iftex\n@bye\nnot read\n",
        "a.texi",
    )
    assert result.title == "The Manual"
    assert result.text == (
        "# The Manual\n\n## One x\n\nVersion 1.2 of it… costs 5@b. See the second. site (http://a.b). "
        "Café.\n\n"
        "- a\n- b\n\n```\nif {x} --all\n```\n\n-v\n: loud\n\nCommand foo arg\n: Does it.\n\nk | v"
    )
    assert ("http://a.b", "hyperlink") in result.links


def test_info_manuals_lose_the_marks_of_their_reader() -> None:
    result = read(
        "This is a.info, produced by makeinfo.\n\n\x1f\nFile: a.info,  Node: Top,  Up: (dir)\n\nThe "
        "Manual\n**********\n\n"
        "Words.\n\n* Menu:\n\n* One::\n\n\x1f\nFile: a.info,  Node: One,  Prev: Top\n\n1 First\n=======\n\n"
        "More.\x00\x08[index\x00\x08]\n"
        "\x1f\nTag Table:\nNode: Top\x7f60\n\x1f\nEnd Tag Table\n",
        "a.info",
    )
    assert result.title == "The Manual"
    assert "# The Manual\n\nWords." in result.text
    assert result.text.endswith("## 1 First\n\nMore.")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.rst", ".. include:: other.rst\n"),
        ("a.org", "# only a comment\n"),
        ("a.adoc", "// only a comment\n"),
    ],
)
def test_a_file_of_nothing_but_instructions_stays_as_it_is_written(name: str, data: str) -> None:
    assert read(data, name).text == data.strip()


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("a.org", "#+begin_src\n"), ("a.org", ":a:\n"), ("a.org", "| a "), ("a.org", "[["),
        ("a.rst", "a\n=\n"), ("a.rst", "=== ===\n"), ("a.rst", ".. a::\n  "), ("a.rst", "::\n\n"),
        ("a.rst", "`a <"), ("a.adoc", "----\n"), ("a.adoc", "|===\n"), ("a.adoc", "link:"),
        ("a.adoc", "**"), ("a.adoc", "["), ("a.texi", "@code{"), ("a.texi", "@table @x\n"),
        ("a.texi", "@ref{"), ("a.texi", "@example\n"), ("a.info", "\x1f\nFile: a,  Node: b\n"),
    ],
)  # fmt: skip
def test_hostile_repetition_is_bounded(name: str, piece: str) -> None:
    start = time.process_time()
    assert "word" in read("word\n\n" + piece * (300_000 // len(piece)), name).text
    assert time.process_time() - start < 30
