"""Behaviours that come over sound HTTP, and say something else than what was asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from tests.llm.answers import Pairs, content_of
from tests.llm.behaviours import ASKED, LABELS, Act, Bill, Client, Exchange, add, behaviour

ALIEN = "no such label"
ALIEN_ID = "d9999"
DEPTH = 200_000
"""Of lists in lists: more than any parser that recurses survives."""

_CHAT = ("chat",)
_VECTORS = ("embeddings",)
ACCEPT, MAY_ACCEPT, RETRY, SPLIT = Client.ACCEPT, Client.MAY_ACCEPT, Client.RETRY, Client.SPLIT
ANSWER = Bill.ANSWER


# --- bodies ---------------------------------------------------------------------------------------


@behaviour(RETRY)
async def html(x: Exchange) -> None:
    """The page of a proxy, with 200."""
    await x.say(b"<!doctype html><title>Sign in</title><h1>Sign in</h1>", kind="text/html")


@behaviour(RETRY)
async def empty_body(x: Exchange) -> None:
    """Nothing, with 200."""
    await x.say(b"")


@behaviour(RETRY)
async def body_is_list(x: Exchange) -> None:
    """JSON that is not an object."""
    await x.say(b"[1, 2, 3]")


@behaviour(RETRY)
async def body_is_null(x: Exchange) -> None:
    """JSON that is null."""
    await x.say(b"null")


@behaviour(RETRY, ANSWER)
async def body_cut(x: Exchange) -> None:
    """Half of the JSON, with a length that fits it."""
    body = x.answer.body()
    await x.say(body[: len(body) // 2])


@behaviour(RETRY, ANSWER)
async def body_not_utf8(x: Exchange) -> None:
    """JSON with bytes that are no UTF-8."""
    await x.say(x.answer.body().replace(b'"', b'"\xff\xfe', 3))


@behaviour(RETRY)
async def body_too_deep(x: Exchange) -> None:
    """JSON of 200,000 lists in each other."""
    await x.say(b"[" * DEPTH + b"]" * DEPTH)


@behaviour(RETRY, ANSWER)
async def event_stream(x: Exchange) -> None:
    """A stream of events that nobody asked for."""
    await x.say(b"data: " + x.answer.body() + b"\n\ndata: [DONE]\n\n", kind="text/event-stream")


@behaviour(MAY_ACCEPT, ANSWER)
async def text_plain(x: Exchange) -> None:
    """A good answer that calls itself plain text: some libraries hand it on as a string."""
    await x.say(x.answer.body(), kind="text/plain")


@behaviour(RETRY, ANSWER)
async def no_choices(x: Exchange) -> None:
    """The property that has the answer is missing (choices, answers or data)."""
    await x.say(x.answer.but(**{x.answer.listing: None}))


@behaviour(RETRY, ANSWER)
async def empty_choices(x: Exchange) -> None:
    """The property that has the answer is an empty list (choices, answers or data)."""
    await x.say(x.answer.but(**{x.answer.listing: []}))


@behaviour(RETRY, ANSWER)
async def choices_of_null(x: Exchange) -> None:
    """The property that has the answer is a list of null (choices, answers or data)."""
    await x.say(x.answer.but(**{x.answer.listing: [None]}))


# --- usage ----------------------------------------------------------------------------------------


def _counted(count: Callable[[int], Any] | None) -> Act:
    async def act(x: Exchange) -> None:
        if count is None:
            await x.say(x.answer.but(usage=None))
        else:
            await x.say(x.answer.but(usage=_each(x.answer.payload["usage"], count)))

    return act


def _each(usage: dict[str, Any], count: Callable[[int], Any]) -> dict[str, Any]:
    return {
        key: _each(value, count) if isinstance(value, dict) else count(value) for key, value in usage.items()
    }


for _name, _client, _says, _count in (
    ("usage_missing", ACCEPT, "A good answer without usage.", None),
    ("usage_negative", ACCEPT, "A good answer whose usage is negative.", lambda number: -number - 1),
    ("usage_strings", ACCEPT, "A good answer whose usage is strings.", lambda number: f"{number} tokens"),
    ("usage_huge", ACCEPT, "A good answer whose usage is 10^18 tokens.", lambda number: 10**18),
    (
        "usage_nan",
        MAY_ACCEPT,
        "A good answer whose usage is NaN, as some serialisers write it.",
        lambda number: math.nan,
    ),
):
    add(_name, _says, _counted(_count), _client, ANSWER, apis=ASKED)


# --- messages -------------------------------------------------------------------------------------


for _name, _client, _says, _content, _finish in (
    ("null_content", RETRY, "A message whose content is null.", lambda good: None, "stop"),
    ("content_empty", RETRY, "A message whose content is empty.", lambda good: "", "stop"),
    (
        "content_not_json",
        RETRY,
        "A message in words.",
        lambda good: "Sure! The first document is an invoice.",
        "stop",
    ),
    (
        "content_list",
        RETRY,
        "A message whose content is a list of parts.",
        lambda good: [{"type": "text", "text": good}],
        "stop",
    ),
    (
        "fenced",
        MAY_ACCEPT,
        "Good JSON, in the fences of Markdown.",
        lambda good: f"```json\n{good}\n```",
        "stop",
    ),
    (
        "wrong_schema",
        RETRY,
        "JSON that is a list instead of an object.",
        lambda good: json.dumps(list(json.loads(good).values())),
        "stop",
    ),
    (
        "content_too_deep",
        RETRY,
        "Content of 200,000 lists in each other.",
        lambda good: "[" * DEPTH + "]" * DEPTH,
        "stop",
    ),
    (
        "cut_answer",
        SPLIT,
        "The JSON is cut, and finish_reason says length.",
        lambda good: good[: len(good) // 2],
        "length",
    ),
    (
        "cut_silently",
        RETRY,
        "The JSON is cut, and finish_reason says stop.",
        lambda good: good[: len(good) // 2],
        "stop",
    ),
    ("answer_filtered", SPLIT, "finish_reason is content_filter.", lambda good: "", "content_filter"),
    (
        "reasoning_only",
        SPLIT,
        "All tokens went into reasoning: no content, finish_reason length.",
        lambda good: "",
        "length",
    ),
):

    def _saying(name: str, content: Callable[[str], Any], finish: str) -> Act:
        async def act(x: Exchange) -> None:
            answer = x.answer
            if name == "reasoning_only":
                usage = answer.payload["usage"]
                details = {"reasoning_tokens": usage["completion_tokens"]}
                answer.payload["usage"] = usage | {"completion_tokens_details": details}
            await x.say(answer.saying(content(content_of(answer.pairs)), finish))

        return act

    add(_name, _says, _saying(_name, _content, _finish), _client, ANSWER, apis=_CHAT)


@behaviour(SPLIT, ANSWER, apis=LABELS)
async def refusal(x: Exchange) -> None:
    """The model declines: the message has a refusal, or the first answer of decisions is one."""
    if x.answer.api == "chat":
        await x.say(x.answer.saying(None, refusal="I'm sorry, I can't help with that."))
        return
    first, *others = x.answer.payload["answers"]
    await x.say(x.answer.but(answers=[{"type": "refusal", "name": first["name"]}, *others]))


# --- labels ---------------------------------------------------------------------------------------


def _first(spoil: Callable[[Any], Any]) -> Callable[[Pairs, Exchange], Pairs]:
    return lambda pairs, x: [(name, _spoilt(value, spoil)) for name, value in pairs[:1]] + pairs[1:]


def _all(spoil: Callable[[Any], Any]) -> Callable[[Pairs, Exchange], Pairs]:
    return lambda pairs, x: [(name, _spoilt(value, spoil)) for name, value in pairs]


def _spoilt(value: Any, spoil: Callable[[Any], Any]) -> Any:
    return [spoil(one) for one in value] if isinstance(value, list) else spoil(value)


def _contradicted(pairs: Pairs, x: Exchange) -> Pairs:
    """The first id once more, with a label that it did not get."""
    name, value = pairs[0]
    taken = value if isinstance(value, list) else [value]
    other = next((label for label in x.answer.enums[name] if label not in taken), ALIEN)
    return [*pairs, (name, [other] if isinstance(value, list) else other)]


for _name, _client, _says, _spoil in (
    ("alien_label", RETRY, "The first label is none of those allowed.", _first(lambda label: ALIEN)),
    ("label_wrong_type", RETRY, "The first label is a number.", _first(lambda label: 7)),
    ("label_object", RETRY, "The first label is an object.", _first(lambda label: {"label": label})),
    ("label_null", RETRY, "The first label is null.", _first(lambda label: None)),
    (
        "label_surrogate",
        RETRY,
        "The first label ends in half a character, which no file and no database takes.",
        _first(lambda label: f"{label}\ud800"),
    ),
    (
        "label_control",
        RETRY,
        "The first label ends in OSC 52.",
        _first(lambda label: f"{label}\x1b]52;c;eA==\x07"),
    ),
    ("label_spaces", MAY_ACCEPT, "All labels have spaces around them.", _all(lambda label: f" {label}\n")),
    (
        "label_case",
        MAY_ACCEPT,
        "All labels are in the other case.",
        _all(lambda label: str(label).swapcase()),
    ),
    ("missing_id", RETRY, "The first document has no answer.", lambda pairs, x: pairs[1:]),
    (
        "extra_id",
        MAY_ACCEPT,
        "There is an answer for a document that nobody asked about.",
        lambda pairs, x: [*pairs, (ALIEN_ID, pairs[0][1])],
    ),
    ("duplicate_ids", RETRY, "The first document has two answers that differ.", _contradicted),
    (
        "all_ids_alien",
        RETRY,
        "All answers are for other documents.",
        lambda pairs, x: [(ALIEN_ID, pairs[0][1])],
    ),
):

    def _labelling(spoil: Callable[[Pairs, Exchange], Pairs]) -> Act:
        async def act(x: Exchange) -> None:
            await x.say(x.answer.labelling(spoil(x.answer.pairs, x)) if x.answer.pairs else x.answer.body())

        return act

    add(_name, _says, _labelling(_spoil), _client, ANSWER, apis=LABELS)


@behaviour(MAY_ACCEPT, ANSWER, apis=("decisions",))
async def decisions_reversed(x: Exchange) -> None:
    """Good answers, in another order than the questions: only their names tell whose they are."""
    await x.say(x.answer.but(answers=x.answer.payload["answers"][::-1]))


@behaviour(MAY_ACCEPT, ANSWER, apis=("decisions",))
async def probabilities_absurd(x: Exchange) -> None:
    """Good choices whose confidence is NaN and whose probabilities are 7 or negative."""
    for answer in x.answer.payload["answers"]:
        answer["confidence"] = math.nan
        for number, one in enumerate(answer.get("probabilities", ())):
            one["probability"] = -1 if number % 2 else 7
    await x.say(x.answer.body())


# --- vectors --------------------------------------------------------------------------------------


def _vectors(spoil: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Act:
    async def act(x: Exchange) -> None:
        await x.say(x.answer.but(data=spoil(x.answer.payload["data"])))

    return act


def _short(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    half = len(data[0]["embedding"]) // 16 * 8  # in base64 these are whole floats, too
    return [data[0] | {"embedding": data[0]["embedding"][:half]}, *data[1:]]


for _name, _client, _says, _change in (
    (
        "vectors_reversed",
        ACCEPT,
        "Good vectors in another order: their index tells.",
        lambda data: data[::-1],
    ),
    ("vector_missing", RETRY, "The last vector is missing.", lambda data: data[:-1]),
    ("vector_short", RETRY, "The first vector has half of its numbers.", _short),
    (
        "vector_null",
        RETRY,
        "The first vector is null.",
        lambda data: [data[0] | {"embedding": None}, *data[1:]],
    ),
):
    add(_name, _says, _vectors(_change), _client, ANSWER, apis=_VECTORS)
