"""Records the README's tour in a real terminal: `python -m docs.recording FOLDER tour.cast`.

Types what a person would type in the first half minute, and writes down what the terminal was sent and when,
as asciicast version 2 (https://docs.asciinema.org/manual/asciicast/v2/). `termtosvg render tour.cast
docs/tour.svg` makes a moving picture of it; it is not among the dependencies.
"""

from __future__ import annotations

import codecs
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.terminal import Terminal

SIZE = (100, 26)
SHORTEST_S = 0.25
"""Less than that passes between two keys of somebody who wants to be followed."""
TOUR: Sequence[tuple[str, str, float]] = (
    ("\r", "Phases", 5.0),
    ("d", "Documents", 1.5),
    ("v", "least sure first", 1.5),
    ("jj", "label", 1.5),
    ("1b", "Go back to", 2.0),
    ("\x1b", "Phases", 1.0),
    ("c", "History", 2.0),
    ("5", "Type words", 0.5),
    ("changes", "by words", 2.0),
    ("\x1b\x1b1", "Phases", 2.0),
    ("q", "", 0.5),
)
"""Keys, what is seen after them, and how long one looks at it."""


class Recorded(Terminal):
    """A terminal that keeps when it was sent what."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.began = time.monotonic()
        self.events: list[tuple[float, str]] = []
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        super().__init__(command, environment, SIZE)

    def read(self, timeout_s: float) -> bool:
        """See `Terminal.read`."""
        before = len(self.raw)
        goes_on = super().read(timeout_s)
        new = bytes(self.raw[before:])
        if new:
            self.events.append((time.monotonic() - self.began, self._decode(new)))
        return goes_on

    def look(self, seconds: float) -> None:
        """Read for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self.read(left):
            pass


def record(source: Path, scratch: Path) -> list[str]:
    """The lines of the cast."""
    environment = {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "TUI_SCRAPER_UI__REFRESH_HZ": "2",  # so that the recording stays small
        "XDG_STATE_HOME": str(scratch / "state"),
        "XDG_CONFIG_HOME": str(scratch / "config"),
    }
    terminal = Recorded([sys.executable, "-m", "tui_scraper", str(source)], environment)
    try:
        terminal.until("Found")
        terminal.look(2.5)
        for keys, words, seconds in TOUR:
            for key in keys:
                terminal.press(key)
                terminal.look(SHORTEST_S)
            if words:
                terminal.until(words)
            terminal.look(seconds)
            if keys == "q" and "Stop here and leave?" in terminal.text:
                terminal.press("y")
        terminal.wait(20.0)
    finally:
        terminal.close()
    header = {"version": 2, "width": SIZE[0], "height": SIZE[1], "title": "tui-scraper"}
    place = str(scratch)
    events = [_event(at, text.replace(place, "/home/you/.local")) for at, text in terminal.events]
    return [json.dumps(header), *events]


def _event(at_s: float, text: str) -> str:
    return json.dumps([round(at_s, 3), "o", text], ensure_ascii=False)


def main() -> None:
    """Record it."""
    with tempfile.TemporaryDirectory() as scratch:
        lines = record(Path(sys.argv[1]), Path(scratch))
    Path(sys.argv[2]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
