"""Every document gets exactly one reply, only the culprit pays, and nothing outlives the engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.loaded import START
from tests.workers.hostile import with_mark, write_hostile_extractor
from tui_scraper.engine import Cause, PhaseName, Settings, Status
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.wire import CleanText, DocumentReply, WorkItem
from tui_scraper.engine.workers import launch
from tui_scraper.engine.workers.pool import Pool

TIMEOUT_S = 1.5
SETTINGS = Settings.model_validate(
    {
        "clean": {"timeout_s": TIMEOUT_S, "cpu_s": 20, "worker_memory": 900_000_000},
        "classify": {"backend": "rules"},
    }
)
MARK = "hostile-"


class Tried:
    """A pool with obedient workers, and what it delivered."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.folder = folder
        self.warnings: list[str] = []
        self._version = 0

    async def run(self, *texts: str, within_s: float = 30.0, ending: str = ".txt") -> list[DocumentReply]:
        """Hand over one batch of files with these texts. Returns their replies in the order of the texts."""
        items = []
        for text in texts:
            self._version += 1
            version = self._version
            path = self.folder / f"{version}{ending}"
            path.write_text(text.replace("VERSION", str(version)), encoding="utf-8")
            items.append(WorkItem(version, os.fsencode(path), path.stat().st_size))
        delivered: list[DocumentReply] = []
        await asyncio.wait_for(self.pool.run(items, delivered.extend), within_s)
        assert sorted(reply.version for reply in delivered) == [item.version for item in items], (
            "one reply each"
        )
        by_version = {reply.version: reply for reply in delivered}
        return [by_version[item.version] for item in items]


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile_extractor(tmp_path_factory.mktemp(MARK))


@pytest.fixture
async def tried(extractor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tried]:
    monkeypatch.setenv("PYTHONPATH", str(extractor), prepend=os.pathsep)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))  # a mark by which every process of this pool is found
    warnings: list[str] = []
    pool = Pool(2, SETTINGS, PhaseName.CHUNK, warnings.append, readable=(os.fsencode(tmp_path),))
    await pool.start()
    tried = Tried(pool, tmp_path)
    tried.warnings = warnings
    try:
        yield tried
    finally:
        await pool.close()
    await gone(lambda: with_mark(str(tmp_path)))


async def gone(left: Callable[[], dict[int, str]], within_s: float = 5.0) -> None:
    """Wait until no process is left."""
    until = time.monotonic() + within_s
    while found := left():
        assert time.monotonic() < until, f"still there: {found}"
        await asyncio.sleep(0.02)


async def test_the_number_of_workers_follows_what_is_wanted_and_no_document_is_lost(tried: Tried) -> None:
    pool = tried.pool

    async def busy(batches: int) -> int:
        working = [asyncio.create_task(tried.run("one", "another")) for _ in range(batches)]
        most = 0
        while not all(task.done() for task in working):
            most = max(most, len(pool.pids) - 1)
            await asyncio.sleep(0.01)
        assert all(reply.status is Status.DONE for task in working for reply in task.result())
        return most

    async def comes_to(most: int) -> None:
        """A further worker comes where those that are there do not keep up, so it may take some turns."""
        found = 0
        for _ in range(20):
            found = await busy(2 * most + 1)
            assert found <= most
            if found == most:
                return
        assert found == most

    await comes_to(2)
    pool.resize(4)
    await comes_to(4)
    working = [asyncio.create_task(tried.run("one", "another")) for _ in range(6)]
    await asyncio.sleep(0)
    pool.resize(1)
    await asyncio.gather(*working)
    assert len(pool.pids) - 1 == 1
    pool.resize(3)
    pool.resize(2)
    await comes_to(2)
    assert tried.warnings == []


def assert_only_the_second_failed(replies: list[DocumentReply], cause: Cause) -> None:
    assert [reply.status for reply in replies] == [Status.DONE, Status.FAILED, Status.DONE], replies
    assert replies[1].cause is cause
    assert 0 < len(replies[1].message) <= 500
    assert "\x1b" not in replies[1].message


async def test_sound_documents_come_back_done(tried: Tried) -> None:
    replies = await tried.run("first", "second", "third")
    assert [reply.status for reply in replies] == [Status.DONE] * 3
    first = replies[0]
    assert first.clean is not None
    assert unpack(first.clean.payload, CleanText).text == "first"
    assert first.chunk is not None
    assert first.chunk.chunks == 1


@pytest.mark.parametrize("command", ["abort", "segfault", "exit"])
async def test_a_crash_costs_only_its_document(tried: Tried, command: str) -> None:
    assert_only_the_second_failed(await tried.run("before", command, "after"), Cause.CRASHED)
    assert len(tried.warnings) == 2  # it was given a second chance


@pytest.mark.parametrize("command", ["sleep", "regex", "held", "loop", "ignore-signals", "stop"])
async def test_a_deadline_is_kept_from_outside(tried: Tried, command: str) -> None:
    started = time.monotonic()
    replies = await tried.run("before", command, "after")
    assert_only_the_second_failed(replies, Cause.TIMEOUT)
    assert time.monotonic() - started < TIMEOUT_S + 2


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "BaseException", "GeneratorExit", "StopIteration"]
)
async def test_whatever_a_parser_raises_fails_only_its_document(tried: Tried, name: str) -> None:
    assert_only_the_second_failed(await tried.run("before", f"raise {name}", "after"), Cause.CRASHED)
    assert tried.warnings == []  # no process was lost for it


async def test_a_parser_without_end_to_its_memory_is_too_large(tried: Tried) -> None:
    assert_only_the_second_failed(await tried.run("before", "memory", "after"), Cause.TOO_LARGE)


async def test_endless_recursion_is_a_corrupt_file(tried: Tried) -> None:
    assert_only_the_second_failed(await tried.run("before", "recursion", "after"), Cause.CORRUPT)


async def test_output_of_a_parser_goes_nowhere(tried: Tried, capfd: pytest.CaptureFixture[str]) -> None:
    replies = await tried.run("before", "flood", "after")
    assert [reply.status for reply in replies] == [Status.DONE] * 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["none", "number", "wrong-fields"])
async def test_results_of_a_wrong_type_fail_only_their_document(tried: Tried, command: str) -> None:
    assert_only_the_second_failed(await tried.run("before", command, "after"), Cause.CRASHED)


async def test_lone_surrogates_do_not_end_a_worker(tried: Tried) -> None:
    replies = await tried.run("before", "surrogates", "after")
    assert [replies[0].status, replies[2].status] == [Status.DONE] * 2
    assert tried.warnings == []


@pytest.mark.parametrize(
    "command",
    ["garbage", "huge", "not-asked", "twice VERSION", "bad-phase VERSION", "done-of-nothing VERSION"],
)
async def test_a_worker_that_sends_what_it_must_not_is_not_believed(tried: Tried, command: str) -> None:
    replies = await tried.run("before", command, "after")
    assert_only_the_second_failed(replies, Cause.CRASHED)
    assert "sent what it must not send" in replies[1].message


async def test_a_worker_that_lost_its_connection_is_missed(tried: Tried) -> None:
    replies = await tried.run("before", "close-all", "after")
    assert [replies[0].status, replies[2].status] == [Status.DONE] * 2
    assert replies[1].status is Status.FAILED


@pytest.mark.parametrize("command", ["fork", "fork-and-die", "fork-away-and-die"])
async def test_children_of_a_parser_hold_nothing_up(tried: Tried, command: str) -> None:
    started = time.monotonic()
    replies = await tried.run("before", command, "after")
    assert [replies[0].status, replies[2].status] == [Status.DONE] * 2
    may_fork = not any(one.name == "system calls" and one.reached for one in tried.pool.measures)
    assert replies[1].status is (Status.DONE if command == "fork" and may_fork else Status.FAILED)
    assert time.monotonic() - started < 4


async def test_many_culprits_in_one_batch_are_told_apart(tried: Tried) -> None:
    texts = [
        "a",
        "abort",
        "b",
        "exit",
        "raise SystemExit",
        "c",
        "number",
        "sleep",
        "d",
        "garbage",
        "segfault",
        "e",
    ]
    replies = await tried.run(*texts)
    causes = [reply.cause for reply in replies]
    crashed, timeout = Cause.CRASHED, Cause.TIMEOUT
    assert causes == [
        None,
        crashed,
        None,
        crashed,
        crashed,
        None,
        crashed,
        timeout,
        None,
        crashed,
        crashed,
        None,
    ]


async def test_batches_at_the_same_time_do_not_pay_for_each_other(tried: Tried) -> None:
    first, second = await asyncio.gather(
        tried.run(*["ok"] * 20, "abort", *["ok"] * 20), tried.run(*["ok"] * 20, "segfault", *["ok"] * 20)
    )
    for replies in (first, second):
        assert [reply.status for reply in replies].count(Status.FAILED) == 1
        assert replies[20].status is Status.FAILED


async def test_no_process_and_no_wait_is_left_when_it_closes_in_the_middle(tried: Tried) -> None:
    task = asyncio.create_task(tried.run("sleep", "sleep"))
    until = time.monotonic() + 10
    while len(tried.pool.pids) < 2 and time.monotonic() < until:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    started = time.monotonic()
    await tried.pool.close()
    assert time.monotonic() - started < 1.5
    await gone(lambda: with_mark(str(tried.folder)))


async def test_a_worker_has_no_key_no_output_no_network_and_little_else(
    extractor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(extractor), prepend=os.pathsep)
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "SOME_TOKEN", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "very-secret")
    pool = Pool(1, SETTINGS, PhaseName.CHUNK, readable=(os.fsencode(tmp_path),))
    await pool.start()
    try:
        (reply,) = await Tried(pool, tmp_path).run("about")
        zygote = Path(f"/proc/{pool.pids[0]}/environ").read_bytes()
    finally:
        await pool.close()
    assert reply.clean is not None
    about = json.loads(unpack(reply.clean.payload, CleanText).text)
    assert "very-secret" not in json.dumps(about["environ"])
    assert b"very-secret" not in zygote
    assert about["stdin"] == about["stdout"] == about["stderr"] == "/dev/null"
    assert about["session"] not in {os.getsid(0), os.getpid()}
    assert about["core"] == [0, 0]
    assert about["memory"][0] == SETTINGS.clean.worker_memory
    assert about["file"] == [0, 0]
    assert about["network"] != "reached"
    reached = {measure.name for measure in pool.measures if measure.reached}
    assert ("no network" in pool.sandbox) == ("network" in reached)
    assert ("complete" in pool.sandbox) == (len(reached) == len(pool.measures))
    assert all(measure.detail for measure in pool.measures)


KILLED = """
    import asyncio, os, sys
    from tui_scraper.engine import PhaseName, Settings
    from tui_scraper.engine.wire import WorkItem
    from tui_scraper.engine.workers.pool import Pool

    async def main():
        settings = Settings.model_validate({"classify": {"backend": "rules"}})
        pool = Pool(2, settings, PhaseName.CHUNK, readable=[os.path.dirname(sys.argv[1]).encode()])
        await pool.start()
        jobs = [
            asyncio.create_task(pool.run([WorkItem(number, path.encode(), 5)], lambda replies: None))
            for number, path in enumerate(sys.argv[1:], 1)
        ]
        while len(pool.pids) < 3:
            await asyncio.sleep(0.01)
        print("at work", flush=True)
        await asyncio.gather(*jobs)

    asyncio.run(main())
"""


@pytest.mark.parametrize("command", ["sleep", "held", "fork"])
def test_nothing_outlives_an_engine_that_was_killed(
    extractor: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(extractor), prepend=os.pathsep)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    paths = []
    for number in (1, 2):
        paths.append(str(tmp_path / f"{number}.txt"))
        Path(paths[-1]).write_text(command, encoding="utf-8")
    if command == "fork":
        Path(paths[-1]).write_text("sleep", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), *paths],
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"at work\n"
        assert len(with_mark(str(tmp_path))) >= 4
        process.send_signal(signal.SIGKILL)
        process.wait()
    asyncio.run(gone(lambda: with_mark(str(tmp_path))))


async def test_more_workers_than_can_be_watched_are_refused_with_a_sentence() -> None:
    from tui_scraper.engine import TuiScraperError

    pool = Pool(100_000, SETTINGS, PhaseName.CHUNK)
    with pytest.raises(TuiScraperError, match=r"engine\.workers"):
        await pool.start()


async def test_workers_that_cannot_start_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_scraper.engine import TuiScraperError

    (tmp_path / "sitecustomize.py").write_text("import os\nos._exit(3)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launch, "_launch", START)
    pool = Pool(1, SETTINGS, PhaseName.CHUNK)
    try:
        with pytest.raises(TuiScraperError, match="ended unexpectedly"):
            await asyncio.wait_for(pool.start(), 20)
    finally:
        await pool.close()
        await pool.close()  # a second time does no harm


async def test_the_end_of_the_process_that_starts_workers_ends_the_run_with_a_sentence(tried: Tried) -> None:
    from tui_scraper.engine import TuiScraperError

    task = asyncio.create_task(tried.run("sleep", "after"))
    while len(tried.pool.pids) < 2:
        await asyncio.sleep(0.01)
    os.kill(tried.pool.pids[0], signal.SIGKILL)
    with pytest.raises(TuiScraperError, match="ended unexpectedly"):
        await asyncio.wait_for(task, 20)
