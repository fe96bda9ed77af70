from __future__ import annotations

from pathlib import Path

import pytest
from seeing import MakeApp
from served import ServedHost

from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.models import RunSnapshot
from tui_scraper.engine.settings import Settings, UiSettings


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same terminal and home for every test."""
    for name in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "TUI_SCRAPER_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def make_app(tmp_path: Path) -> MakeApp:
    """An app on the Run screen of a snapshot that stands still."""

    def make(
        now: RunSnapshot | None = None,
        *,
        host: ServedHost | None = None,
        start: bool = False,
        source: Path | None = None,
        theme: str = "dark",
    ) -> TuiScraperApp:
        served = host or ServedHost(now or RunSnapshot())
        settings = Settings(ui=UiSettings(theme=theme, refresh_hz=30))
        return TuiScraperApp(served, settings, source or tmp_path, autostart=not start)

    return make
