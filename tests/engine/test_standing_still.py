"""A process that stands still for a while, as after ctrl+z, breaks no deadline and loses no answer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.cli.test_commands import run
from tests.engine.running import table
from tests.llm.journal import answered_twice
from tests.llm.model_server import KEY, ModelServer, serving
from tests.loaded import Program
from tui_scraper.engine.standing_still import PatientLoop

DEADLINE_S = 30.0


def test_the_clock_of_the_loop_stands_still_with_it() -> None:
    async def stand_still() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        before = loop.time()
        try:
            async with asyncio.timeout(1.0):
                loop.call_later(0.1, answer.set_result, None)
                time.sleep(3.0)
                await answer
        except TimeoutError:
            return loop.time() - before, False
        return loop.time() - before, True

    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        passed_s, answered = runner.run(stand_still())
    assert answered
    assert passed_s < 1.0


def test_an_answer_that_came_while_the_process_stood_still_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(6):
        (source / f"{number}.txt").write_text(f"A letter with the number {number} about an unpaid invoice.")
    with serving(latency_s=1.0) as server:
        environment = {
            "OPENAI_API_KEY": KEY,
            "TUI_SCRAPER_CLASSIFY__BACKEND": "openai",
            "TUI_SCRAPER_CLASSIFY__BASE_URL": server.url,
            "TUI_SCRAPER_CLASSIFY__TIMEOUT_S": "2.5",
            "TUI_SCRAPER_CLASSIFY__PRICE_IN_USD": "0.1",
            "TUI_SCRAPER_CLASSIFY__PRICE_OUT_USD": "0.5",
        }
        process = Program(
            *("run", source, "-w", tmp_path / "w", "--workers", "1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        try:
            _until_asked(server, process)
            process.send_signal(signal.SIGSTOP)
            time.sleep(4.0)  # longer than the deadline of a call
            process.send_signal(signal.SIGCONT)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()
        assert not answered_twice(server.records)
    assert {state for (state,) in table(tmp_path / "w", "SELECT state FROM ledger")} == {"settled"}
    assert run("audit", "-w", tmp_path / "w").code == 0


def _until_asked(server: ModelServer, process: subprocess.Popen[bytes]) -> None:
    """Wait for the call that asks about the documents, which follows one that tries the model."""
    until = time.monotonic() + DEADLINE_S
    while not any(len(record.documents) > 1 for record in server.records):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
