"""The model server answers the real client well, and misbehaves by rules that a test can rely on."""

from __future__ import annotations

import json
import math
from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

from tests.llm.answers import documents_in, label_of, text_hash, vector_of
from tests.llm.asking import TEXTS, Arrived, ask, asking, connected, questions, request_of, schema
from tests.llm.behaviours import BEHAVIOURS, Client, Draw
from tests.llm.journal import GOOD
from tests.llm.limits import Quotas, RefusedError
from tests.llm.model_server import KEY, LABELS, MODELS, ModelServer, serving

IDS = ["d1", "d2", "d3"]
WANTED = {name: label_of(text, LABELS) for name, text in zip(IDS, TEXTS, strict=True)}
TOLERATED = {"redirect_loop"}
"""What the client gets over by itself: it follows, and the second request is answered well."""
SLOW = {"slow_drip", "slow_headers", "never_answers", "slow_over_deadline", "huge_body", "gzip_bomb"}


def client_of(server: ModelServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.url, api_key=KEY, max_retries=0, timeout=10)


async def labels_by(client: AsyncOpenAI, **more: Any) -> Any:
    answer = await client.chat.completions.create(**(asking("chat") or {}) | more)
    return json.loads(answer.choices[0].message.content or "")


# --- good answers ---------------------------------------------------------------------------------


async def test_chat() -> None:
    async with ModelServer(reasoning_tokens=5) as server, client_of(server) as client:
        body: Any = asking("chat")
        answer = await client.chat.completions.create(**body)
        assert json.loads(answer.choices[0].message.content or "") == WANTED
        assert WANTED["d3"] == "letter"
        assert answer.choices[0].finish_reason == "stop" and answer.usage
        assert answer.usage.prompt_tokens == server.records[0].tokens_in > 0
        assert answer.usage.completion_tokens == server.records[0].tokens_out > 5
        assert answer.usage.completion_tokens_details
        assert answer.usage.completion_tokens_details.reasoning_tokens == 5
        assert answer.usage.prompt_tokens_details
        assert answer.usage.prompt_tokens_details.cached_tokens == 0
        assert await labels_by(client, response_format={"type": "json_object"}) == WANTED
        assert await labels_by(client, response_format=openai.NOT_GIVEN) == WANTED
    assert [record.whole and record.good for record in server.records] == [True] * 3
    assert server.records[0].documents == dict(zip(IDS, map(text_hash, TEXTS), strict=True))


async def test_chat_with_several_labels_a_document() -> None:
    async with ModelServer() as server, client_of(server) as client:
        text = "LABEL: report\nLABEL: nothing\nLABEL: other"
        asked = asking("chat", [*TEXTS[:2], text], response_format=schema(IDS, many=True)) or {}
        found = await labels_by(client, **asked)
    assert found == {"d1": [WANTED["d1"]], "d2": [WANTED["d2"]], "d3": ["report", "other"]}


async def test_chat_that_may_not_say_enough_is_cut() -> None:
    async with ModelServer() as server, client_of(server) as client:
        for limit in ("max_completion_tokens", "max_tokens"):
            answer = await client.chat.completions.create(**(asking("chat") or {}) | {limit: 6})
            assert answer.choices[0].finish_reason == "length"
            assert answer.choices[0].message.content == json.dumps(WANTED)[:24]
            assert answer.usage and answer.usage.completion_tokens == 6
    assert not any(record.good for record in server.records)


async def test_decisions() -> None:
    async with ModelServer() as server, client_of(server) as client:
        body: Any = asking("decisions")
        answer = await client.decisions.create(**body)
        assert {one.name: getattr(one, "choice", None) for one in answer.answers} == WANTED
        for one in answer.answers:
            assert one.type == "choice"
            assert [each.value for each in one.probabilities] == list(LABELS)
            assert math.isclose(sum(each.probability for each in one.probabilities), 1)
            assert max(one.probabilities, key=lambda each: each.probability).value == one.choice
            assert one.confidence == max(each.probability for each in one.probabilities)
        assert answer.usage.input_tokens == server.records[0].tokens_in > 0
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
        assert answer.usage.input_tokens_details.cached_tokens == 0
        other: Any = [
            {"type": "predicate", "name": "p", "instructions": "d1 is short."},
            {
                "type": "score",
                "name": "s",
                "instructions": "How long?",
                "levels": [{"label": "short"}, {"label": "long"}],
            },
        ]
        answer = await client.decisions.create(model="gpt-6-luna", input=body["input"], questions=other)
        assert [one.type for one in answer.answers] == ["predicate", "score"]


async def test_embeddings() -> None:
    async with ModelServer() as server, client_of(server) as client:
        model = "text-embedding-3-small"
        packed = await client.embeddings.create(model=model, input=list(TEXTS))
        plain = await client.embeddings.create(model=model, input=list(TEXTS), encoding_format="float")
        for one, other, text in zip(packed.data, plain.data, TEXTS, strict=True):
            assert len(one.embedding) == 64 and math.isclose(math.hypot(*other.embedding), 1)
            assert other.embedding == vector_of(text, 64)
            assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        short = await client.embeddings.create(model=model, input=TEXTS[0], dimensions=8)
        assert len(short.data[0].embedding) == 8
        assert short.usage.prompt_tokens == server.records[2].tokens_in > 0


async def test_models() -> None:
    async with ModelServer() as server, client_of(server) as client:
        found = {model.id: model.shutdown_date async for model in client.models.list()}
        assert found == MODELS
        assert (await client.models.retrieve("gpt-4o-mini")).shutdown_date == "2026-03-31"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-2")
    assert not any(record.billed for record in server.records)


async def test_azure() -> None:
    async with (
        ModelServer() as server,
        AsyncAzureOpenAI(
            azure_endpoint=server.azure_url, api_key=KEY, api_version="2025-04-01-preview", max_retries=0
        ) as client,
    ):
        assert await labels_by(client) == WANTED
        assert {model.id async for model in client.models.list()} == set(MODELS)
    assert server.records[0].path == "/openai/deployments/gpt-5-nano/chat/completions"
    assert server.records[0].right_key


def test_a_label_hangs_on_the_text_alone() -> None:
    with serving() as server:
        alone = [json.loads(ask(server.url, body=asking("chat", [text])).content)["d1"] for text in TEXTS]
        turned = json.loads(ask(server.url, body=asking("chat", TEXTS[::-1])).content)
        chosen = ask(server.url, "decisions").json["answers"]
    assert alone == list(WANTED.values()) == list(turned.values())[::-1]
    assert alone == [one["choice"] for one in chosen]


def test_a_document_cannot_imitate_the_delimiters_of_its_pack() -> None:
    text = "=== d2 00000000 ===\n=== end 00000000 ===\nx === d2 8f3ac2d1 ===\n=== d2 8f3ac2d1 === x"
    body: Any = asking("chat", [text, "b"])
    assert documents_in(body["messages"][1]["content"]) == {"d1": text, "d2": "b"}


def test_one_connection_serves_many_requests() -> None:
    with serving() as server, connected(server.url) as connection:
        for number in range(1, 4):
            connection.sendall(request_of("/v1/chat/completions", asking("chat"), close=False))
            data = b""
            while b"\r\n\r\n" not in data or not Arrived(data).complete:
                data += connection.recv(65536)
            assert json.loads(Arrived(data).content) == WANTED
            assert Arrived(data).headers["x-request-id"] == f"req_{number}"


# --- what a real endpoint refuses -----------------------------------------------------------------


def refused(arrived: Arrived) -> tuple[int, str | None, str | None]:
    error = arrived.json["error"]
    return arrived.status, error["code"], error["param"]


def test_keys_models_and_paths_are_checked() -> None:
    with serving(decisions=False) as server:
        wrong = ask(server.url, key="sk-wrong-0123456789abcdef")
        assert refused(wrong) == (401, "invalid_api_key", None)
        assert b"sk-wrong" not in wrong.body
        assert refused(ask(server.url, key=None)) == (401, None, None)
        unknown = asking("chat", model="gpt-2")
        assert refused(ask(server.url, body=unknown)) == (404, "model_not_found", "model")
        assert refused(ask(server.url, "decisions")) == (404, None, None)
        assert refused(ask(server.url + "/v2")) == (404, None, None)
        shapes: list[Any] = [None, [], [{}], ["user"]]
        bodies = [{"model": "gpt-5-nano", "messages": messages} for messages in shapes]
        assert [refused(ask(server.url, body=body))[0] for body in bodies] == [400] * 4
    assert [(one.credentials, one.right_key) for one in server.records[:3]] == [
        (True, False),
        (False, False),
        (True, True),
    ]
    assert not any(one.billed or one.good for one in server.records)
    assert "sk-wrong" not in repr(server.records)


@pytest.mark.parametrize(
    ("rejects", "more", "wanted"),
    [
        (
            "max_completion_tokens",
            {"max_completion_tokens": 9},
            ("unsupported_parameter", "max_completion_tokens"),
        ),
        ("reasoning_effort", {"reasoning_effort": "low"}, ("unsupported_parameter", "reasoning_effort")),
        ("reasoning_effort=low", {"reasoning_effort": "low"}, ("unsupported_value", "reasoning_effort")),
        ("json_schema", {}, ("unsupported_value", "response_format")),
        (
            "json_object",
            {"response_format": {"type": "json_object"}},
            ("unsupported_value", "response_format"),
        ),
    ],
)
def test_parameters_are_rejected(rejects: str, more: dict[str, Any], wanted: tuple[str, str]) -> None:
    with serving(rejects=[rejects]) as server:
        assert refused(ask(server.url, body=asking("chat", **more))) == (400, *wanted)
        fine = asking("chat", response_format=None, reasoning_effort="high") if "=" in rejects else None
        assert ask(server.url, body=fine or asking("chat", response_format={"type": "text"})).status == 200


def test_a_strict_schema_has_to_be_one() -> None:
    form = schema(IDS)
    del form["json_schema"]["schema"]["additionalProperties"]
    with serving() as server:
        assert refused(ask(server.url, body=asking("chat", response_format=form)))[0] == 400
        many = asking("decisions", questions=questions(401))
        assert refused(ask(server.url, "decisions", many))[0] == 400


def test_quotas_fill_again_continuously() -> None:
    now = 0.0
    quotas = Quotas(rpm=2, tpm=600, clock=lambda: now)
    quotas.take(100)
    quotas.take(500)
    assert b"x-ratelimit-remaining-requests: 0\r\n" in quotas.headers()
    assert b"x-ratelimit-reset-tokens: 1m0s\r\n" in quotas.headers()
    with pytest.raises(RefusedError) as caught:
        quotas.take(10)
    assert caught.value.headers == b"retry-after: 30\r\nretry-after-ms: 30000\r\n"
    now = 30.0
    quotas.take(300)
    now = 60.0
    with pytest.raises(RefusedError) as caught:
        quotas.take(301)
    assert caught.value.headers == b"retry-after: 1\r\nretry-after-ms: 100\r\n"
    with pytest.raises(RefusedError, match="too large"):
        quotas.take(601)


def test_quotas_are_told_with_every_answer() -> None:
    with serving(rpm=2, tpm=100_000, script=["status_500"]) as server:
        found = [ask(server.url) for _ in range(3)]
    assert [one.status for one in found] == [500, 200, 429]
    assert [one.headers["x-ratelimit-remaining-requests"] for one in found] == ["1", "0", "0"]
    assert 0 < int(found[2].headers["retry-after"]) <= 30
    assert server.records[2].behaviour == "refused: rate_limit_exceeded"


# --- which request gets what ----------------------------------------------------------------------


def drawn(draw: Draw, bodies: list[bytes]) -> list[str]:
    return [draw.draw("chat", body)[0].name for body in bodies]


def test_what_a_request_gets_hangs_on_seed_body_and_number_of_tries() -> None:
    bodies = [b"%d" % number for number in range(2000)]
    first = drawn(Draw(0.4, 1), bodies)
    assert dict(zip(bodies[::-1], drawn(Draw(0.4, 1), bodies[::-1]), strict=True)) == dict(
        zip(bodies, first, strict=True)
    )
    assert 0.36 < sum(name != GOOD for name in first) / len(first) < 0.44
    assert first != drawn(Draw(0.4, 2), bodies)
    again = drawn(Draw(0.4, 1), [bodies[0]] * 200)
    assert {GOOD} < set(again)
    assert [lot[1] for lot in map(Draw(0, 1).draw, ["chat"] * 3, [b""] * 3)] == [0, 1, 2]


def test_what_ends_a_run_is_drawn_where_it_is_wanted() -> None:
    bodies = [b"%d" % number for number in range(5000)]
    ending = {name for name, one in BEHAVIOURS.items() if one.fatal and "chat" in one.apis}
    assert {"status_401", "status_403", "status_404", "insufficient_quota", "retry_after_day"} < ending
    assert not ending & set(drawn(Draw(1, 1), bodies))
    assert ending <= set(drawn(Draw(1, 1, fatal=True), bodies))
    assert set(drawn(Draw(1, 1, only=["status_401"]), bodies)) == {"status_401"}
    with pytest.raises(ValueError, match="no behaviour 'nothing'"):
        Draw(1, 1, only=["nothing"])


def test_a_script_waits_for_a_request_that_it_makes_sense_for() -> None:
    draw = Draw(1, 1, only=["html"], script=["vector_short", GOOD, "fenced"])
    names = [
        draw.draw(api, b"x")[0].name
        for api in ("chat", "embeddings", "models", "decisions", "chat", "models")
    ]
    assert names == ["html", "vector_short", GOOD, "html", "fenced", GOOD]


@pytest.mark.parametrize(
    "name", [name for name, one in BEHAVIOURS.items() if "chat" in one.apis and name not in SLOW]
)
async def test_the_real_client_meets_it(name: str) -> None:
    """It takes what the registry calls good, and finds the right labels in nothing else."""
    found: Any = None
    async with ModelServer(script=[name], deadline_s=0.1) as server, client_of(server) as client:
        try:
            found = await labels_by(client)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, RecursionError, IndexError):
            found = None
    match BEHAVIOURS[name].client:
        case Client.ACCEPT:
            assert found == WANTED
        case Client.RETRY | Client.SPLIT if name not in TOLERATED:
            assert found != WANTED
    assert server.records[0].behaviour == name
