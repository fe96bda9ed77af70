"""The example of docs/plugins.md, installed as a user installs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "gemtext-reader"
PAGE = "# A capsule\n\n=> gemini://example.org/ The other side\n* one\n* two\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(target), str(EXAMPLE)]
    subprocess.run(command, check=True)
    return {**os.environ, "PYTHONPATH": str(target)}


def tui_scraper(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "tui_scraper", *arguments]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done.stdout


def test_an_installed_plugin_reads_its_format(installed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "page.gmi").write_text(PAGE, encoding="utf-8")
    arguments = ("run", str(tmp_path / "in"), "-w", str(tmp_path / "ws"), "--export", str(tmp_path / "out"))
    tui_scraper(installed, *arguments)
    row = json.loads((tmp_path / "out" / "documents.jsonl").read_text(encoding="utf-8"))
    assert row["status"] == "done"
    assert row["media_type"] == "text/gemini"
    assert row["title"] == "A capsule"
    assert "[The other side](gemini://example.org/)" in row["text"]
    assert row["links"] == [{"target": "gemini://example.org/", "kind": "hyperlink"}]


def test_doctor_lists_what_a_plugin_reads(installed: dict[str, str]) -> None:
    assert "gemtext" in tui_scraper(installed, "doctor")


def test_a_plugin_that_cannot_be_loaded_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    from tests.plugins import write_plugin

    folder = write_plugin(tmp_path / "broken", "broken_reader", "import there_is_no_such_module\n")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note.txt").write_text("A note about something.", encoding="utf-8")
    assert "The plugin 'broken_reader' cannot be loaded" in tui_scraper(environment, "doctor")
    said = tui_scraper(environment, "run", str(tmp_path / "in"), "-w", str(tmp_path / "ws"))
    assert "1 done" in said
    log = (tmp_path / "ws" / "log.jsonl").read_text(encoding="utf-8")
    assert "The plugin 'broken_reader' cannot be loaded" in log
