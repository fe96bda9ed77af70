"""What the documents for people keep to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_says_a_part_twice(document: Path) -> None:
    lines = document.read_text(encoding="utf-8").splitlines()
    headings = Counter(line for line in lines if line.startswith("## "))
    assert not {line for line, times in headings.items() if times > 1}
