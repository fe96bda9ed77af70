from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fabricated_store import Fabricator


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Fabricator]:
    fabricator = Fabricator(tmp_path / "workspace")
    yield fabricator
    fabricator.close()
