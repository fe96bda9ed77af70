"""The Start screen says what Go would cost, who labels and within which budget, and spends nothing for it."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from seeing import NARROW, WIDE, MakeApp, screen_text, until, until_text, until_words
from served import IDLE, ServedHost, busy

from tests.engine.running import run_once
from tui_scraper.app import TuiScraperApp
from tui_scraper.engine.foreseeing import Estimating, foresee
from tui_scraper.engine.request import RunRequest
from tui_scraper.engine.settings import ClassifySettings, Settings, UiSettings
from tui_scraper.engine.workspace import default_directory
from tui_scraper.screens.start_budget import dollars_of
from tui_scraper.widgets.text_field import TextField

SECRET = "sk-tests-0123456789abcdefghijklmnopqrstuv"


class Noting(ServedHost):
    """Keeps what it was asked to run."""

    def start(self, request: RunRequest) -> None:
        super().start(request)
        self.request = request
        self.now = busy(workspace="/nowhere")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    for number in range(4):
        (path / f"{number}.txt").write_text(f"Invoice {number}: the amount is due on Monday. " * 20)
    return path


@pytest.fixture
def endpoint() -> Iterator[socket.socket]:
    """An address that nobody may come to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def asking(endpoint: socket.socket, **more: object) -> Settings:
    """Settings of a model at that address, with a price."""
    classify = ClassifySettings(
        base_url=f"http://127.0.0.1:{endpoint.getsockname()[1]}/v1",
        model="some-model",
        price_in_usd=1000.0,
        price_out_usd=1000.0,
        budget_usd=0.5,
    )
    return Settings(ui=UiSettings(refresh_hz=30), classify=classify.model_copy(update=more))


def nobody_came(endpoint: socket.socket) -> bool:
    return not select.select([endpoint], [], [], 0)[0]


async def test_labels_of_this_machine_cost_nothing_and_the_time_is_told(
    make_app: MakeApp, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with make_app(IDLE, start=True, source=folder).run_test(size=NARROW) as pilot:
        text = await until_text(
            pilot, "$0, labels are made on this machine", "by reading 4 of 4 files just now",
            "no key is set ($OPENAI_API_KEY)", "never written to", "Go",
        )  # fmt: skip
        assert "budget $" not in text


@pytest.mark.parametrize("size", [NARROW, WIDE, (60, 15)])
async def test_what_a_model_would_cost_is_told_before_anything_is_sent(
    folder: Path, endpoint: socket.socket, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    app = TuiScraperApp(ServedHost(IDLE), asking(endpoint), folder)
    async with app.run_test(size=size) as pilot:
        text = await until_text(pilot, "some-model at http://127", "budget $ 0.50", "tokens", " – $", "Go")
        assert SECRET not in text
        if size != (60, 15):
            await until_text(
                pilot, "4 documents to label", "more than the budget", "for this workspace in all"
            )
    assert nobody_came(endpoint)


async def test_the_budget_is_changed_in_its_place_for_the_run_that_begins(
    folder: Path, endpoint: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    host = Noting(IDLE)
    app = TuiScraperApp(host, asking(endpoint), folder)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "budget $ 0.50")
        app.screen.query_one("#budget", TextField).focus()
        await pilot.press("end", "x")
        await until_text(pilot, "is not an amount of dollars such as 2.50")
        await pilot.press("enter")
        await until_words(pilot, "'0.50x' is not an amount of dollars such as 2.50.")
        assert host.calls == []
        await pilot.press("backspace", "backspace", "7", "5", "enter")
        await until_text(pilot, "RUNNING", "Phases")
    assert host.request.settings.classify.budget_usd == 0.575
    assert host.request.settings.classify.model == "some-model"


async def test_a_budget_that_was_left_alone_is_that_of_the_settings(
    folder: Path, endpoint: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    host = Noting(IDLE)
    settings = asking(endpoint, budget_usd=0.123456)
    app = TuiScraperApp(host, settings, folder)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "budget $ 0.12")
        await pilot.press("enter")
        await until_text(pilot, "RUNNING", "Phases")
    assert host.request.settings == settings


async def test_documents_that_have_labels_are_not_asked_about_without_a_question(
    folder: Path, endpoint: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_once(folder, default_directory(folder), settings={"classify": {"backend": "local"}})
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    host = Noting(IDLE)
    app = TuiScraperApp(host, asking(endpoint), folder)
    async with app.run_test(size=NARROW) as pilot:
        await until_text(pilot, "4 documents to label", "complete: 4 documents")
        await pilot.press("enter")
        await until_words(
            pilot, "Have a model label what is complete?", "asked about 4 documents, for about $"
        )
        await pilot.press("escape")
        await until_text(pilot, "Folder to process")
        assert host.calls == []
        await pilot.press("enter")
        await until_text(pilot, "Have a model label")
        await pilot.press("y")
        await until_text(pilot, "RUNNING", "Phases")
    assert nobody_came(endpoint)


async def test_a_missing_key_is_a_sentence_before_anything_begins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = Settings(ui=UiSettings(refresh_hz=30), classify=ClassifySettings(backend="openai"))
    app = TuiScraperApp(ServedHost(IDLE), settings, folder)
    async with app.run_test(size=NARROW) as pilot:
        await until_words(pilot, "✗ There is no API key: set OPENAI_API_KEY", "not known while nobody can")


async def test_a_price_that_is_not_known_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    settings = Settings(ui=UiSettings(refresh_hz=30), classify=ClassifySettings(model="nobody-knows-me"))
    app = TuiScraperApp(ServedHost(IDLE), settings, folder)
    async with app.run_test(size=NARROW) as pilot:
        await until_words(pilot, "nobody-knows-me", "price_in_usd")


async def test_an_estimate_of_another_folder_is_given_up(
    make_app: MakeApp, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    began = threading.Event()

    def make(self: Estimating) -> None:
        began.set()
        given_up.wait(10)

    monkeypatch.setattr(Estimating, "make", make)
    monkeypatch.setattr(Estimating, "give_up", lambda _self: given_up.set())
    async with make_app(IDLE, start=True, source=folder).run_test(size=NARROW) as pilot:
        await until_text(pilot, "reading a sample …")
        await until(pilot, began.is_set)
        await pilot.press("x")
        await until(pilot, given_up.is_set)
        await until_text(pilot, "no such folder yet")
        assert "Estimate" not in screen_text(pilot.app)  # type: ignore[arg-type]


def test_an_estimate_that_is_given_up_ends_soon(folder: Path, tmp_path: Path) -> None:
    prospect = foresee(folder, Settings(), tmp_path / "workspace")
    before = Estimating(folder, prospect.choice, tmp_path / "workspace")
    before.give_up()
    assert before.make() is None
    during = Estimating(folder, prospect.choice, tmp_path / "workspace")
    thread = threading.Thread(target=during.make)
    thread.start()
    during.give_up()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("text", "amount"),
    [("$2.50", 2.5), ("1,000", 1000.0), ("0", 0.0), ("-1", None), ("nan", None), ("", None)],
)
def test_an_amount_of_dollars(text: str, amount: float | None) -> None:
    assert dollars_of(text) == amount
