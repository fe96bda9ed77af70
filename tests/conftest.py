"""What holds for every test: no setting, key or workspace of this machine reaches it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # `pytest` alone finds `tests.…` as `python -m pytest` does

from tests.zygotes import Zygotes, started
from tui_scraper.engine.workers import launch

_LOADED_BEFORE = ("engine", "export", "store", "ui", "chaos")
"""Folders of tests whose workers come from a process that has loaded what they need (`tests.zygotes`)."""


@pytest.fixture(scope="session")
def _zygotes() -> Iterator[Zygotes]:
    with started() as found:
        yield found


@pytest.fixture(autouse=True)
def _workers_that_are_loaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.parent.name in _LOADED_BEFORE:
        monkeypatch.setattr(launch, "_launch", request.getfixturevalue("_zygotes"))


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name whole files by their number: a name made of their bytes differs where they hold the time."""
    return argname if isinstance(val, bytes) and len(val) > 40 else None


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in list(os.environ):
        if name.startswith(("TUI_SCRAPER_", "OPENAI_")) and name != "TUI_SCRAPER_CORPORA":
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "xdg-state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg-config"))
