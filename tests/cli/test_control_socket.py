"""The socket that takes commands from other shells: many at once, and rubbish."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tui_scraper.control import FILE_NAME, ControlServer, ask


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    def handle(request: dict[str, Any], _wanted: Callable[[], bool]) -> dict[str, Any]:
        return {"twice": int(request["number"]) * 2}

    with contextlib.closing(ControlServer(tmp_path, handle)):
        yield tmp_path


def test_whoever_asks_in_a_crowd_is_answered(directory: Path) -> None:
    with ThreadPoolExecutor(100) as shells:
        answers = list(shells.map(lambda number: ask(directory, {"number": number}), range(200)))
    assert answers == [{"twice": number * 2} for number in range(200)]


@pytest.mark.parametrize(
    "line", [b"[" * 60_000, b'{"number": 1e999}', b'{"number": ' + b"9" * 5_000 + b"}", b"\xff", b"{}", b""]
)
def test_rubbish_is_refused_and_the_next_one_answered(
    directory: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.chdir(directory)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(FILE_NAME)
        connection.sendall(line + b"\n")
        assert "error" in json.loads(connection.makefile().readline())
    assert ask(directory, {"number": 2}) == {"twice": 4}
