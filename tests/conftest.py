"""What holds for every test: no setting, key or workspace of this machine reaches it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # `pytest` alone finds `tests.…` as `python -m pytest` does

from tests.loaded import Loaded, started
from tui_scraper.engine.workers import launch

settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")  # the same examples each time, however long they take on a busy machine

_LOADED_BEFORE = ("chaos", "cli", "engine", "export", "graph", "store", "terminal", "ui")
"""Folders of tests whose programs and workers come from a process that has loaded them (`tests.loaded`)."""
_LOADED_TOO = ("test_pool.py", "test_ladder.py")
"""Files of tests of which the same is true: what they try is not how a worker comes to be."""


@pytest.fixture(scope="session")
def _loaded() -> Iterator[Loaded]:
    with started() as found:
        yield found


@pytest.fixture(autouse=True)
def _what_is_loaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.parent.name in _LOADED_BEFORE or request.path.name in _LOADED_TOO:
        monkeypatch.setattr(launch, "_launch", request.getfixturevalue("_loaded"))


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
