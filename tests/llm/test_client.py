"""The client against all that an endpoint may do: each answer taken or refused, in time, with its cause."""

from __future__ import annotations

import time

import pytest
from pydantic import SecretStr

from tests.llm.behaviours import BEHAVIOURS
from tests.llm.behaviours import Client as Expected
from tests.llm.journal import foreign_keys
from tests.llm.model_server import KEY, LABELS, ModelServer
from tui_scraper.engine.labels.taxonomy import Label, Taxonomy
from tui_scraper.engine.llm.client import Client, Reply, UnreadableAnswerError
from tui_scraper.engine.llm.endpoint import endpoint_of
from tui_scraper.engine.llm.errors import CallError, Verdict
from tui_scraper.engine.llm.keys import Key
from tui_scraper.engine.llm.profile import Profile
from tui_scraper.engine.llm.prompt import Prompter
from tui_scraper.engine.llm.requests import LabelRequest
from tui_scraper.engine.settings import ClassifySettings

DEADLINE_S = 0.6
PROMPTER = Prompter(Taxonomy(tuple(map(Label, LABELS))), multi_label=False, instructions="")
IDS = ("d1", "d2", "d3")
TEXTS = ["a bill", "a story", "a letter"]


async def ask(server: ModelServer, api: str = "chat", *, deadline_s: float = DEADLINE_S) -> Reply:
    endpoint = endpoint_of(ClassifySettings(base_url=server.url), {})
    client = Client(endpoint, Key(SecretStr(KEY), "here"), "gpt-6-luna", deadline_s)
    profile = Profile(api=api)  # type: ignore[arg-type]
    request = LabelRequest("label", (), PROMPTER.ask(TEXTS), PROMPTER.answer_tokens(3))
    body = request.body(client.model, profile, "none")
    try:
        return await client.ask(body, profile)
    finally:
        await client.close()


def labels_in(reply: Reply) -> dict[str, str]:
    """The labels that would be saved, by id."""
    if reply.decided:
        found = {
            name: PROMPTER.label(decided.choice) for name, decided in reply.decided.items() if name in IDS
        }
        return {name: label for name, label in found.items() if label is not None}
    try:
        return {name: labels[0] for name, labels in PROMPTER.read(reply.text, IDS).items()}
    except ValueError:
        return {}


@pytest.mark.parametrize("api", ["chat", "decisions"])
async def test_a_good_answer(api: str) -> None:
    async with ModelServer() as server:
        reply = await ask(server, api)
    assert set(labels_in(reply)) == {"d1", "d2", "d3"}
    assert reply.usage.known
    assert reply.usage.sent > 0


_EXPECTED = {
    Expected.RETRY: {Verdict.RETRY, Verdict.SPLIT},
    Expected.SPLIT: {Verdict.SPLIT},
    Expected.FAIL: {Verdict.FATAL},
    Expected.PAUSE: {Verdict.PAUSE},
}


_ASKED = [(b.name, api) for b in BEHAVIOURS.values() for api in ("chat", "decisions") if api in b.apis]


@pytest.mark.parametrize(("name", "api"), _ASKED)
async def test_whatever_the_endpoint_does_is_judged_in_time(name: str, api: str) -> None:
    behaviour = BEHAVIOURS[name]
    async with ModelServer(only=[name], deadline_s=DEADLINE_S) as server:
        good = labels_in(await ask_good(api))
        began = time.monotonic()
        try:
            reply = await ask(server, api)
        except CallError as error:
            said, labels = str(error), {}
            verdicts = _EXPECTED.get(behaviour.client, set(Verdict))
            redirected = "redirect" in name  # nothing is followed: no request there gets anything else
            assert error.verdict in verdicts or (redirected and error.verdict is Verdict.FATAL), (said, name)
            assert behaviour.client is not Expected.ACCEPT
        except UnreadableAnswerError as error:
            said, labels = str(error), {}
            assert behaviour.client is not Expected.ACCEPT
        else:
            said, labels = "", labels_in(reply)
            if behaviour.client is Expected.ACCEPT:
                assert labels == good
        took = time.monotonic() - began
        assert took < DEADLINE_S + 3.0  # not "for as long as the server likes"
        assert not foreign_keys(server.records)
    assert labels.items() <= good.items(), "a label that the endpoint did not mean"
    assert KEY not in said
    assert KEY[:14] not in said
    assert said.isprintable()
    assert len(said) < 500


async def ask_good(api: str) -> Reply:
    async with ModelServer() as server:
        return await ask(server, api)


async def test_a_drip_does_not_outlive_the_deadline() -> None:
    async with ModelServer(only=["slow_drip"], deadline_s=0.3) as server:
        began = time.monotonic()
        with pytest.raises(CallError, match=r"no answer within 0\.3 s"):
            await ask(server, deadline_s=0.3)
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("name", ["huge_body", "gzip_bomb"])
async def test_a_body_without_end_is_not_taken_into_memory(name: str) -> None:
    async with ModelServer(only=[name], deadline_s=5.0) as server:
        with pytest.raises(CallError, match="more than 8,000,000 bytes"):
            await ask(server, deadline_s=5.0)
