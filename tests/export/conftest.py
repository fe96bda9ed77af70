from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "search"))  # both folders fabricate the same stores

from fabricated_store import Fabricator


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Fabricator]:
    fabricator = Fabricator(tmp_path / "workspace")
    yield fabricator
    fabricator.close()
