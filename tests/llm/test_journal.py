"""What the journal of the model server tells after its client, or the server itself, is dead."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.llm.answers import text_hash
from tests.llm.asking import TEXTS, ask, asking, connected, request_of
from tests.llm.behaviours import APIS
from tests.llm.journal import GOOD, answered_twice, read_journal
from tests.llm.model_server import serving


def test_texts_that_were_answered_twice_are_found() -> None:
    with serving(script=[GOOD, "half_body", "alien_label", GOOD, GOOD, "usage_missing"]) as server:
        for texts in (
            TEXTS[:1],
            TEXTS[1:2],
            TEXTS[1:2],
            TEXTS[1:2],
            [TEXTS[2], TEXTS[2]],
            [f" {TEXTS[0]}\n", TEXTS[2]],
        ):
            ask(server.url, body=asking("chat", texts))
        for _ in range(2):
            ask(server.url, "embeddings", asking("embeddings", TEXTS[1:2]))
    first, second, third = map(text_hash, TEXTS)
    assert answered_twice(server.records) == {first: [1, 6], third: [5, 6], second: [7, 8]}


def test_an_answer_to_a_client_that_has_gone_is_not_whole() -> None:
    with serving(script=["slow_under_deadline"], deadline_s=0.5) as server:
        with connected(server.url) as connection:
            connection.sendall(request_of("/v1/chat/completions", asking("chat")))
            while not server.records:
                time.sleep(0.001)
        assert ask(server.url).status == 200
        while server.records[0].answered is None:
            time.sleep(0.001)
    assert [record.whole for record in server.records] == [False, True]
    assert server.records[0].billed and not answered_twice(server.records)


def test_latency_is_that_of_the_constructor() -> None:
    with serving(latency_s=0.1, jitter=0.5) as server:
        for number in range(4):
            ask(server.url, body=asking("chat", [str(number)]))
    took = [record.answered - record.received for record in server.records if record.answered is not None]
    assert len(took) == 4 and min(took) >= 0.05


@pytest.mark.parametrize("api", APIS)
def test_as_a_program_it_leaves_a_journal_behind(api: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    command = f"{sys.executable} -m tests.llm.model_server --share 0.5 --seed 3 --journal {journal}".split()
    options = ["--only", "status_500,html", "--disturbs", api, "--model", "gpt-x=2027-01-01", "--key", "k"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as program:
        try:
            assert program.stdout is not None
            url = program.stdout.readline().decode().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)
            body = asking(api, model="gpt-x") if api != "models" else None
            found = [ask(url, api, body, key="k") for _ in range(12)]
        finally:
            program.kill()
    records = read_journal(journal)
    assert [one.number for one in records] == list(range(1, 13))
    assert [one.status for one in records] == [one.status for one in found]
    assert {GOOD} < {one.behaviour for one in records} <= {GOOD, "status_500", "html"}
    assert [one.seen for one in records] == list(range(12)) and all(one.right_key for one in records)
    assert all(one.whole and one.answered for one in records)
    journal.write_bytes(journal.read_bytes()[:-3])
    assert [one.whole for one in read_journal(journal)] == [True] * 11 + [False]
    times = [one.received for one in records]
    assert all(one <= other for one, other in itertools.pairwise(times))
