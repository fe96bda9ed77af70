"""Pictures of every screen, compared with those kept: nothing looks otherwise before somebody has seen it.

    pytest tests/ui/test_pictures.py -m '' --snapshot-update      takes them anew

Each is drawn from a store that a real run has filled, with its times set to one day, or from a snapshot that
stands still. They are those of one version of Textual: another draws some things otherwise.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import textual.pilot
from seeing import NARROW, WIDE, MakeApp, until, until_text
from served import IDLE, ServedHost, busy, complete, workspace_of
from stored import HOSTILE
from test_settings_screen import at_work

from tests.engine.running import run_once
from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.graph.kept import keep_graph
from tui_scraper.engine.models import Counts, RunSnapshot, RunState
from tui_scraper.engine.runlog import FILE_NAME
from tui_scraper.engine.store.connection import STATE_FILE, connect
from tui_scraper.engine.workspace import default_directory
from tui_scraper.screens import start_words

TEXTUAL = "8.2.8"
pytestmark = pytest.mark.skipif(
    version("textual") != TEXTUAL, reason=f"the pictures are of Textual {TEXTUAL}"
)

SIZES = {"80x24": NARROW, "200x50": WIDE}
THEMES = ("dark", "light", "ansi-16")
WHEN = 1_767_312_000.0
"""2026-01-02, a day on which nobody runs this: of other days the date is shown."""
_PLACE = Path("/tmp/tui-scraper-pictures")
_LOG = [
    ("INFO", "checkpoint 3 · clean 6 documents"),
    ("WARNING", "The disk is nearly full."),
    ("ERROR", f"✗ clean report [/final] 予算\x1b]52;c;aGk=\x07.pdf · corrupt: {'it ends too early ' * 9}"),
]
Pilot = textual.pilot.Pilot[None]
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents of every kind of name and fate, as a run has left them on one day."""
    folder = tmp_path_factory.mktemp("documents")
    files: dict[str, bytes] = {
        "2019/budget.csv": b"name,amount\nrent,100\npaper,20\n",
        "2019/copy of budget.csv": b"name,amount\nrent,100\npaper,20\n",
        "letters/契約書とても長い名前のファイル名です予算.md": "# 契約書\n\n予算は百円です。\n".encode(),
        "letters/offer.md": b"# An offer\n\n"
        + b"We offer a zebra with its papers for the price agreed. " * 90
        + b"\n\n## Terms\n\nSee [ours](https://example.org/terms).\n",
        HOSTILE: b"%PDF-1.4 broken",
        "scans/empty.txt": b"",
        "bin/picture.psd": b"8BPS\0\1" + bytes(200),
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(content)
    directory = tmp_path_factory.mktemp("w") / "w"
    run_once(folder, directory)
    with contextlib.closing(connect(directory / STATE_FILE)) as state:
        state.execute("UPDATE checkpoint SET time = ? + id; UPDATE failure SET time = ?", (WHEN, WHEN))
        state.execute("UPDATE run SET started = ?, ended = ?", (WHEN, WHEN + 60))
    keep_graph(directory)  # or a picture may be taken while it is being worked out
    lines = [
        {"time": f"2026-01-02T00:00:{at:02}Z", "level": level, "message": text}
        for at, (level, text) in enumerate(_LOG * 4)
    ]
    (directory / FILE_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


COUNTS = Counts(found=7, done=4, failed=1, skipped=1, empty=1)


def shown(workspace: Path, **changes: Any) -> RunSnapshot:
    return workspace_of(replace(complete(), counts=COUNTS, **changes), workspace)


async def keys(pilot: Pilot, *pressed: str, wait_for: tuple[str, ...]) -> None:
    await until(pilot, lambda: pilot.app.is_mounted)
    await pilot.press(*pressed)
    await until_text(pilot, *wait_for)


WALKS: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "failed": [(("2",), ("By cause", "corrupt")), (("j",), ("attempts 1", "No text was extracted."))],
    "checkpoints": [(("3",), ("History", "(the head)", "phase"))],
    "documents": [(("4",), ("7, by path", "▸✓")), (("j", "j", "j"), ("▸✓ presentation", "Chunk 1 of 3"))],
    "search": [(("5",), ("Type words",)), ((*"zebra",), ("by words", "letters/offer.md", "passage 2"))],
    "log": [(("6",), ("Log", "12 · everything · following"))],
    "settings": [(("7",), ("Settings", "in use"))],
    "help": [(("question_mark",), ("Pause or resume",))],
    "roll-back": [(("b",), ("Go back to", "▸clean"))],
    "label": [(("4",), ("7, by path", "▸✓", "exact     2019/copy")), (("t",), ("Label by hand", "▸●"))],
    "quit": [(("q",), ("Stop here and leave?",))],
}
"""Picture -> keys that lead there from the Run screen, and what is seen after them, step by step."""


def picture(name: str, theme: str, size: str) -> Any:
    """One picture. Where things are depends on the size alone, so 200x50 is mostly taken in one theme."""
    marks = [pytest.mark.slow] if theme != THEMES[0] and size == "200x50" else []
    return pytest.param(name, theme, size, id=f"{name}-{theme}-{size}", marks=marks)


@pytest.mark.parametrize(
    ("name", "theme", "size"),
    [picture(name, theme, size) for name in WALKS for theme in THEMES for size in SIZES],
)
def test_a_screen_looks_as_it_did(
    snap_compare: Compare, make_app: MakeApp, workspace: Path, name: str, theme: str, size: str
) -> None:
    now = at_work() if name == "settings" else shown(workspace)
    if name == "quit":
        now = workspace_of(busy(), workspace)

    async def before(pilot: Pilot) -> None:
        for pressed, wait_for in WALKS[name]:
            await keys(pilot, *pressed, wait_for=wait_for)

    app = make_app(now, theme=theme, source=Path("/data/reports"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


RUNS: dict[str, Callable[[Path], ServedHost]] = {
    "busy": lambda workspace: ServedHost(workspace_of(busy(), workspace)),
    "paid": lambda workspace: ServedHost(workspace_of(at_work(), workspace)),
    "complete": lambda workspace: ServedHost(shown(workspace)),
    "paused": lambda workspace: ServedHost(
        workspace_of(
            busy(state=RunState.PAUSED, notice="The disk is full: make room, then press p."), workspace
        )
    ),
    "hostile": lambda workspace: ServedHost(
        workspace_of(busy(source="/data/契約書 [/red] とても長い名前のフォルダ"), workspace)
    ),
}


@pytest.mark.parametrize(
    ("name", "theme", "size"),
    [
        *(picture("busy", theme, size) for theme in THEMES for size in SIZES),
        *(picture("paid", theme, size) for theme in THEMES for size in SIZES),
        *(picture(name, "dark", "80x24") for name in ("complete", "paused", "hostile")),
    ],
)
def test_a_run_looks_as_it_did(
    snap_compare: Compare, make_app: MakeApp, workspace: Path, name: str, theme: str, size: str
) -> None:
    async def before(pilot: Pilot) -> None:
        await until_text(pilot, "Phases")

    app = make_app(host=RUNS[name](workspace), theme=theme, source=Path("/data/reports"))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


@pytest.mark.parametrize("name", ["failed", "checkpoints", "documents", "search", "log", "settings"])
def test_before_a_folder_is_open_a_screen_names_the_next_key(
    snap_compare: Compare, make_app: MakeApp, name: str
) -> None:
    async def before(pilot: Pilot) -> None:
        await keys(pilot, *WALKS[name][0][0], wait_for=("tui-scraper",))
        await until_text(pilot, name.capitalize())

    assert snap_compare(make_app(busy()), terminal_size=NARROW, run_before=before)


def test_an_error_is_a_sentence(snap_compare: Compare, make_app: MakeApp) -> None:
    host = ServedHost(RunSnapshot(state=RunState.FAILED))
    host.problem = StoreError("/data/[w]/state.db: this is no workspace of ours; choose another with -w.")

    async def before(pilot: Pilot) -> None:
        await until_text(pilot, "this is no workspace of ours")

    assert snap_compare(make_app(host=host), terminal_size=NARROW, run_before=before)


@pytest.mark.parametrize("size", [(60, 15), (59, 15)])
def test_the_smallest_terminal_and_one_that_is_too_small(
    snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]
) -> None:
    async def before(pilot: Pilot) -> None:
        await until_text(pilot, "Phases" if size[0] >= 60 else "Too small")

    assert snap_compare(make_app(busy()), terminal_size=size, run_before=before)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one name: what Start shows of it must not differ. One test has it at a time."""
    descriptor = os.open(f"{_PLACE}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        shutil.rmtree(_PLACE, ignore_errors=True)
        (_PLACE / "reports").mkdir(parents=True)
        monkeypatch.setenv("XDG_STATE_HOME", str(_PLACE / "state"))
        monkeypatch.setattr(start_words, "duration", lambda _s: "1s")  # how long reading takes is no picture
        for number in range(12):
            (_PLACE / "reports" / f"letter {number}.txt").write_text(
                f"Letter {number} about an invoice. " * 30
            )
        for number in range(3):
            (_PLACE / "reports" / f"table {number}.csv").write_text("name,amount\nrent,100\n" * 40)
        yield _PLACE
    finally:
        shutil.rmtree(_PLACE, ignore_errors=True)
        os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "theme", "size"),
    [
        *(picture("first", theme, size) for theme in THEMES for size in SIZES),
        picture("again", "dark", "80x24"),
    ],
)
def test_start_looks_as_it_did(
    snap_compare: Compare, make_app: MakeApp, place: Path, name: str, theme: str, size: str
) -> None:
    wait_for = ("15 files", "$0", "· new")
    if name == "again":
        run_once(place / "reports", default_directory(place / "reports"))
        wait_for = ("15 files", "$0", "just now", "complete: 15 documents")

    async def before(pilot: Pilot) -> None:
        await until_text(pilot, *wait_for)

    app = make_app(IDLE, start=True, source=place / "reports", theme=theme)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)
