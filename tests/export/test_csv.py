"""No cell of `documents.csv` does anything in a spreadsheet, and each gives back what it was made from."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_scraper.engine.export.formats.csv import COLUMNS, CSV, cell, restored
from tui_scraper.engine.export.formats.port import Line, Tally
from tui_scraper.engine.export.row import Row, RowError
from tui_scraper.engine.safe_text import safe_text

HOSTILE = st.text(
    st.one_of(
        st.sampled_from("=+-@'\";,|\t\r\n \x00\x1b\u202e\ufeff＝＋－＠\xa0\u2028"),
        st.characters(exclude_categories=["Cs"]),
    )
)
ACTS = set("=+-@＝＋－＠")


def row(**changed: Any) -> Row:
    fields: dict[str, Any] = dict.fromkeys(Row.__struct_fields__)
    fields |= {
        "path": "a",
        "id": "0123456789abcdef",
        "size": 1,
        "status": "done",
        "chunks": [],
        "labels": [],
        "links": [],
        "tokens_in": 0,
        "tokens_out": 0,
        "cost_usd": 0.0,
        "truncated": False,
        "members": 0,
    }
    return Row(**(fields | changed))


def write(directory: Path, rows: list[Row]) -> bytes:
    """Write and check a file, and give its bytes."""
    writer = CSV.writer(directory, directory)
    total = Tally()
    try:
        for one in rows:
            writer.add(Line(one))
            total.add(one.status, len(one.chunks))
        writer.finish()
        writer.check(total, lambda: None)
    finally:
        writer.close()
    path = directory / CSV.file
    data = path.read_bytes()
    path.unlink()
    return data


@given(HOSTILE)
def test_a_cell_begins_no_formula_wherever_a_spreadsheet_cuts_it(text: str) -> None:
    shown = cell(text)
    for piece in [shown, *shown.split(";"), *shown.split("\t")]:
        assert piece.strip().strip('"').strip()[:1] not in ACTS
    assert not any(unicodedata.category(char) == "Cc" for char in shown)
    assert restored(shown) == safe_text(text, limit=32_000)


@given(st.lists(st.tuples(HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=3), HOSTILE), max_size=5))
def test_any_document_is_one_line_that_every_reader_takes_apart_alike(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, str, list[str], str]]
) -> None:
    rows = [
        row(
            path=path,
            title=title,
            labels=labels,
            label=labels[0] if labels else None,
            error=RowError("clean", "corrupt", message),
        )
        for path, title, labels, message in found
    ]
    data = write(tmp_path_factory.mktemp("csv"), rows)
    assert data.startswith(b"\xef\xbb\xbfpath,")
    assert data.endswith(b"\r\n")
    assert data.count(b"\n") == data.count(b"\r\n") == len(rows) + 1  # no cell has a line end
    text = data.decode("utf-8-sig")
    for dialect in ("excel", "unix"):
        header, *cells = csv.reader(io.StringIO(text, newline=""), dialect)
        assert header == list(COLUMNS)
        named = [dict(zip(header, one, strict=True)) for one in cells]
        assert [restored(one["path"]) for one in named] == [safe_text(path) for path, *_rest in found]
        assert [restored(one["error_message"]) for one in named] == [
            safe_text(last) for *_rest, last in found
        ]
    # In countries with a decimal comma the same file is cut at semicolons, and quotation marks may not count.
    for line in text.splitlines()[1:]:
        for piece in line.split(";")[1:]:
            assert piece.strip().strip('"').strip()[:1] not in ACTS


def test_what_a_cell_looks_like() -> None:
    assert cell("=1+1") == "'=1+1"
    assert cell('  =HYPERLINK("http://x")') == '  \'=HYPERLINK("http://x")'
    assert cell("a;=1+1;b") == "a;'=1+1;b"
    assert cell("'quoted'") == "''quoted'"
    assert cell("a - b = c") == "a - b = c"
    assert cell("\t=1") == " '=1"
    assert cell("two\nlines\x1b[0m") == "two lines␛[0m"
    assert len(cell("x" * 100_000)) == 32_000


def test_numbers_have_no_exponent(tmp_path: Path) -> None:
    data = write(tmp_path, [row(cost_usd=1e-9, confidence=0.1 + 0.2, truncated=True)])
    cells = dict(zip(COLUMNS, data.decode("utf-8-sig").splitlines()[1].split(","), strict=True))
    assert cells["cost_usd"] == "0.000000001"
    assert float(cells["confidence"]) == 0.1 + 0.2
    assert cells["truncated"] == "true"
