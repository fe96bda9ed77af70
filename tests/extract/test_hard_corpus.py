"""The difficult real files: what we read is right, and nothing else is ever called done."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from pathlib import Path

import pytest

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.detect import detect
from tui_scraper.engine.extract.reading import read_file
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause
from tui_scraper.engine.phases.clean import clean
from tui_scraper.engine.settings import CleanSettings

CORPORA = Path(
    os.environ.get("TUI_SCRAPER_CORPORA") or Path(__file__).resolve().parents[3] / "shared" / "corpora"
)
MANIFEST = CORPORA / "hard" / "manifest.tsv"
OURS = {"pdf", "docx", "html", "txt", "md", "csv", "json", "eml"}
OURS |= {"doc", "xls", "xlsb", "xlsx", "ppt", "pptx", "odt", "epub", "fb2", "rtf"}
is_read = registry().readers.__contains__
EMPTY = {Cause.NEEDS_OCR, Cause.NO_TEXT}


def rows() -> list[dict[str, str]]:
    if not MANIFEST.is_file():
        return []
    with MANIFEST.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def squash(text: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text).casefold())


def outcome(path: Path) -> tuple[str, str]:
    try:
        content = read_file(os.fsencode(path), 100_000_000, False, is_read)
        text = clean(content.data, detect(content.data, os.fsencode(path)), CleanSettings(ocr="off")).text
    except DocumentError as error:
        assert error.message.isprintable()
        assert 15 < len(error.message) <= 500
        status = "empty" if error.cause in EMPTY else "skip" if error.cause is Cause.UNSUPPORTED else "fail"
        return status, ""
    return "ok", text


@pytest.mark.skipif(
    not MANIFEST.is_file(), reason="the corpus of hard files is not here (TUI_SCRAPER_CORPORA)"
)
def test_the_hard_corpus() -> None:
    wrong = []
    for row in rows():
        status, text = outcome(MANIFEST.parent / row["path"])
        expected = row["expect"].split("|")
        if row["format"] not in OURS:
            if status == "ok" and not {"ok", "ok_limited", "any"} & set(expected):
                wrong.append((row["path"], status))
            continue
        allowed = set(expected) | ({"ok", "fail", "empty", "skip"} if "any" in expected else set())
        allowed |= {"fail", "skip"} if "empty" in expected else set()
        allowed |= {"ok", "fail"} if "ok_limited" in expected else set()
        if status not in allowed:
            wrong.append((row["path"], status))
        elif status == "ok":
            missing = [word for word in row["words"].split("|") if squash(word) not in squash(text)]
            if missing or len(squash(text)) < int(row["min_chars"] or 0):
                wrong.append((row["path"], f"missing {missing}"))
    assert wrong == []
