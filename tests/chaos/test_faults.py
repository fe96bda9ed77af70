"""A disk that fails, fills up or becomes read-only costs time, never data, and always gets a sentence."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.faults import CALLS, ERRORS, STAGES, Bench, Round, every_round, torture
from tests.chaos.killing import exported
from tests.chaos.loaded import Programs
from tests.chaos.syscalls import Fault, count


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with Programs() as found:
        try:
            found.run(["--version"], count("/nowhere"))
        except OSError as error:
            pytest.skip(f"this system cannot report system calls here ({error})")
        yield found


@pytest.fixture(scope="module")
def bench(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), programs)


def sampled(rounds: list[Round], seed: int, each: int) -> list[Round]:
    """Some rounds of every kind of call, error and duration."""
    rng = random.Random(seed)
    kinds: dict[tuple[str, str, bool], list[Round]] = {}
    for one in rounds:
        kinds.setdefault((one.calls, one.error, one.lasting), []).append(one)
    return [one for kind in kinds.values() for one in rng.sample(kind, min(each, len(kind)))]


def test_whichever_call_fails_a_run_ends_with_a_sentence_and_the_next_one_completes(
    programs: Programs, bench: Bench
) -> None:
    chosen = sampled(every_round(bench, programs), seed=20261129, each=1)
    some = random.Random(1).sample(chosen, 6)
    report = torture(bench, some, [programs])
    assert report.hits > 0.5 * report.rounds
    assert not report.violations, str(report)


@pytest.mark.slow
def test_calls_of_every_kind_may_fail_in_every_way(programs: Programs, bench: Bench) -> None:
    chosen = sampled(every_round(bench, programs), seed=20261129, each=1)
    report = torture(bench, chosen, [programs])
    assert report.rounds == 2 * len(CALLS) * len(ERRORS)
    assert report.hits > 0.9 * report.rounds
    assert not report.violations, str(report)


def test_a_log_that_cannot_be_written_is_said_and_stops_nothing(programs: Programs, bench: Bench) -> None:
    workspace = bench.begun("new", "without-a-log")
    fault = Fault("write", "ENOSPC", 1, str(workspace / "log.jsonl"), lasting=True)
    outcome = programs.run([*bench.run_on(workspace), "-v"], fault)
    assert outcome.hits
    assert outcome.code == 3, outcome.said
    assert "The log cannot be written (No space left on device)" in outcome.errors
    assert exported(workspace) == bench.wanted


def test_what_cannot_be_locked_is_not_taken_for_locked_by_another(programs: Programs, bench: Bench) -> None:
    workspace = bench.begun("labelled", "not-to-be-locked")
    outcome = programs.run(bench.run_on(workspace), Fault("lock", "EIO", 1, str(workspace / "lock")))
    assert outcome.code == 1
    assert "reported an error" in str(outcome.event("run_finished")["error"])


@pytest.mark.parametrize("name", ["blob.db", "state.db"])
def test_a_database_that_cannot_be_given_a_log_is_not_gone_on_with(
    programs: Programs, bench: Bench, name: str
) -> None:
    """The first write into the file itself makes it one with a log. SQLite says late that it failed."""
    workspace = bench.begun("new", "without-a-log-of-its-own")
    fault = Fault("write", "ENOSPC", 1, str(workspace / name))
    outcome = programs.run(bench.run_on(workspace), fault)
    assert outcome.hits == ["pwrite64 ."]
    assert outcome.code == 4, outcome.said
    assert "the disk is full. Free some space" in str(outcome.event("run_finished")["error"])
    assert programs.run(bench.run_on(workspace)).code == 3
    assert exported(workspace) == bench.wanted


def test_a_disk_error_at_a_small_file_is_a_disk_error(programs: Programs, bench: Bench) -> None:
    workspace = bench.begun("freeing", "without-a-seal")
    outcome = programs.run(
        ["gc", "-w", str(workspace)], Fault("open", "EIO", 1, str(workspace / "seal.json"), lasting=True)
    )
    assert outcome.code == 1
    assert "seal.json: the disk reported an error (Input/output error). Everything" in outcome.errors


@pytest.mark.slow
def test_every_one_of_the_first_hundred_calls_may_fail(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        runners = [stack.enter_context(Programs()) for _core in range(2)]
        bench = Bench(tmp_path, runners[0], STAGES)
        report = torture(bench, every_round(bench, runners[0]), runners, show=True)
    print(report)
    assert not report.violations
