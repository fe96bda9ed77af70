"""What a good endpoint answers: labels that hang on a document's text alone, so that a test can know them.

A request asks about documents between delimiter lines, as the pipeline packs them. What was asked and what is
answered stay apart in an `Answer`, so that a behaviour can spoil one thing and leave the rest good.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import math
import re
import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.llm.limits import RefusedError

CREATED = 1_750_000_000
"""The time that all answers give: the same request gets the same bytes."""
Pairs = list[tuple[str, Any]]
"""An id and what it is given: more than a mapping can say, for a bad answer may have an id twice."""

_DELIMITER = re.compile(r"=== (d\d+|end) ([0-9a-f]{8}) ===(?![^\n])")
_GIVEN = re.compile(r"^LABEL: *(\S.*?) *$", re.MULTILINE)
_LISTS = {"chat": "choices", "decisions": "answers", "embeddings": "data", "models": "data"}
_CHOICES_MOST = 255
_QUESTIONS_MOST = 400
_INPUTS_MOST = 2048


@functools.lru_cache(maxsize=64)  # of a pack: for its labels, then for its journal
def text_hash(text: str) -> str:
    """What a document is called in the journal: whatever pack and whatever id it comes in."""
    return hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def labels_of(text: str, labels: Sequence[Any]) -> list[Any]:
    """The labels of a text: those it names in lines `LABEL: x`, otherwise one by its hash."""
    given = [label for label in _GIVEN.findall(text) if label in labels] if "LABEL:" in text else []
    return given or [labels[int(text_hash(text), 16) % len(labels)]]


def label_of(text: str, labels: Sequence[Any]) -> Any:
    """The label of a text, where it gets one."""
    return labels_of(text, labels)[0]


def documents_in(text: str) -> dict[str, str]:
    """The documents of a pack, by id. A document that imitates delimiters cannot know those of its pack."""
    found = [
        match
        for match in _DELIMITER.finditer(text)
        if match.start() == 0 or text[match.start() - 1] == "\n"  # `^` makes the search several times slower
    ]
    nonce = next((match[2] for match in reversed(found) if match[1] == "end"), None)
    found = [match for match in found if match[2] == nonce]
    return {
        match[1]: text[match.end() : following.start()].strip()
        for match, following in itertools.pairwise(found)
        if match[1] != "end"
    }


@dataclass(slots=True)
class Answer:
    """A good answer, and what is needed to spoil it.

    `payload`: its body. `pairs`: the label of each id; `enums`: those each id could get. `documents`: the
    texts, by id. Tokens are what a provider would bill. `cut`: the request allowed fewer than it takes.
    """

    api: str
    payload: dict[str, Any]
    pairs: Pairs
    enums: Mapping[str, Sequence[Any]]
    documents: dict[str, str]
    tokens_in: int
    tokens_out: int
    cut: bool = False

    def body(self) -> bytes:
        """It, on the wire."""
        return json.dumps(self.payload).encode()

    @property
    def listing(self) -> str:
        """The property of the body that has what was asked for."""
        return _LISTS[self.api]

    def but(self, **changes: Any) -> bytes:
        """It, with other properties of the body. None leaves one out."""
        payload = {**self.payload, **changes}
        return json.dumps({key: value for key, value in payload.items() if value is not None}).encode()

    def saying(self, content: Any, finish: str = "stop", refusal: str | None = None) -> bytes:
        """It, with this in place of the content of a chat's message."""
        message = {"role": "assistant", "content": content, "refusal": refusal}
        return self.but(choices=[_choice(message, finish)])

    def labelling(self, pairs: Pairs) -> bytes:
        """It, with other labels."""
        if self.api == "chat":
            return self.saying(content_of(pairs))
        return self.but(answers=[_chosen(name, value, self.enums.get(name, ())) for name, value in pairs])


def content_of(pairs: Pairs) -> str:
    """A JSON object with these properties, in this order, even those that it has already."""
    if len(once := dict(pairs)) == len(pairs):
        return json.dumps(once)
    return "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs) + "}"


def _choice(message: dict[str, Any], finish: str) -> dict[str, Any]:
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part.get("text", "") for part in parts if isinstance(part, dict))


def _asked(messages: Any) -> str:
    if not isinstance(messages, list) or not messages:
        raise RefusedError(400, "missing_required_parameter", "There are no messages.", param="messages")
    return "\n".join(_text_of(message.get("content")) for message in messages if message["role"] == "user")


# --- chat -----------------------------------------------------------------------------------------


def chat(body: dict[str, Any], model: str, size: int, labels: Sequence[str], reasoning_tokens: int) -> Answer:
    """The answer of chat/completions to a body of this size in bytes."""
    if body.get("stream"):
        raise RefusedError(400, "unsupported_value", "Streams are not supported.", param="stream")
    documents = documents_in(_asked(body.get("messages")))
    pairs: Pairs = []
    enums: dict[str, Sequence[Any]] = {}
    for name, (enum, many) in _shapes(body.get("response_format"), documents, labels).items():
        enums[name] = enum
        found = labels_of(documents.get(name, ""), enum)
        pairs.append((name, found if many else found[0]))
    content, finish = content_of(pairs), "stop"
    written = len(content) // 4 + 1
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if most is not None and written + reasoning_tokens > most:
        reasoning_tokens = min(reasoning_tokens, most)
        written = most - reasoning_tokens
        content, finish = content[: written * 4], "length"
    tokens_in, tokens_out = size // 4, written + reasoning_tokens
    payload = {
        "id": "chatcmpl-" + hashlib.sha256(content.encode()).hexdigest()[:24],
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [_choice({"role": "assistant", "content": content, "refusal": None}, finish)],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
            "prompt_tokens_details": {"cached_tokens": _cached(tokens_in)},
            "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
        },
    }
    return Answer("chat", payload, pairs, enums, documents, tokens_in, tokens_out, cut=finish == "length")


def _cached(tokens: int) -> int:
    """Half of a long prompt, in steps of 128 as providers count them."""
    return tokens // 256 * 128 if tokens >= 1024 else 0


def _shapes(
    form: Any, documents: Mapping[str, str], labels: Sequence[str]
) -> dict[str, tuple[Sequence[Any], bool]]:
    """For each id that is to be answered: the labels to choose from, and whether it gets several."""
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return dict.fromkeys(documents, (labels, False))
    try:
        wanted = form["json_schema"]
        schema = wanted["schema"]
        properties = schema["properties"]
        if wanted.get("strict"):
            if schema.get("additionalProperties") is not False:
                raise ValueError("'additionalProperties' is required to be supplied and to be false.")
            if set(schema.get("required", ())) != set(properties):
                raise ValueError("'required' is required to be an array including every key in properties.")
        return {name: _shape(_resolved(shape, schema), schema) for name, shape in properties.items()}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        message = f"Invalid schema for response_format: {error}"
        raise RefusedError(400, None, message, param="response_format") from None


def _shape(shape: dict[str, Any], schema: dict[str, Any]) -> tuple[Sequence[Any], bool]:
    many = shape["type"] == "array"
    enum = _resolved(shape["items"], schema)["enum"] if many else shape["enum"]
    if not enum:
        raise ValueError("an enum has no values.")
    return enum, many


def _resolved(shape: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in shape:
        target: Any = schema
        for step in shape["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        shape = target
    return shape


# --- decisions ------------------------------------------------------------------------------------


def decisions(body: dict[str, Any], model: str, size: int) -> Answer:
    """The answer of decisions to a body of this size in bytes."""
    asked = body.get("input")
    documents = documents_in(asked if isinstance(asked, str) else _asked(asked))
    questions = body.get("questions")
    if not isinstance(questions, list) or not 1 <= len(questions) <= _QUESTIONS_MOST:
        raise RefusedError(400, "invalid_value", "Ask 1 to 400 questions.", param="questions")
    pairs: Pairs = []
    enums: dict[str, Sequence[Any]] = {}
    answers = []
    for number, question in enumerate(questions):
        name = question.get("name")
        known = (one for one in (name, _named(question), f"d{number + 1}") if one in documents)
        text = documents.get(next(known, ""), "")
        if question.get("type") == "choice":
            values = [choice["value"] for choice in question.get("choices", ())]
            if not 2 <= len(values) <= _CHOICES_MOST or len({(type(v), v) for v in values}) < len(values):
                raise RefusedError(400, "invalid_value", "Give 2 to 255 unique choices.", param="questions")
            pairs.append((name, label_of(text, values)))
            enums[name] = values
            answers.append(_chosen(*pairs[-1], values))
        else:
            answers.append(_estimated(question, text))
    tokens_in, tokens_out = size // 4, 4 * len(answers)
    usage = {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": _cached(tokens_in), "cache_write_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }
    payload = {"answers": answers, "model": model, "usage": usage}
    return Answer("decisions", payload, pairs, enums, documents, tokens_in, tokens_out)


def _named(question: dict[str, Any]) -> str:
    """The document that the words of a question speak of."""
    found = re.search(r"\bd\d+\b", _text_of(question.get("instructions", "")))
    return found[0] if found else ""


def _chosen(name: str, value: Any, values: Sequence[Any]) -> dict[str, Any]:
    sure = 0.5 + len(values) % 5 / 10
    others = (1 - sure) / max(len(values) - 1, 1)
    return {
        "type": "choice",
        "name": name,
        "choice": value,
        "confidence": sure,
        "probabilities": [{"value": one, "probability": sure if one == value else others} for one in values],
    }


def _estimated(question: dict[str, Any], text: str) -> dict[str, Any]:
    """The answer to a question that has no choices: a predicate or a score."""
    share = int(text_hash(text), 16) / 16**16
    if question.get("type") == "predicate":
        return {"type": "predicate", "name": question.get("name"), "probability": share}
    if question.get("type") != "score" or not question.get("levels"):
        raise RefusedError(400, "invalid_value", "There is no such type of question.", param="questions")
    levels = [level["label"] for level in question["levels"]]
    even = 1 / len(levels)
    return {
        "type": "score",
        "name": question.get("name"),
        "score": (len(levels) - 1) / 2,
        "confidence": even,
        "probabilities": [
            {"label": label, "value": value, "probability": even} for value, label in enumerate(levels)
        ],
    }


# --- embeddings and models ------------------------------------------------------------------------


def embeddings(
    body: dict[str, Any], model: str, size: int, dimensions: int, longest: int | None = None
) -> Answer:
    """The answer of embeddings: unit vectors that hang on the text alone."""
    asked = body.get("input")
    texts = asked if isinstance(asked, list) and not all(isinstance(one, int) for one in asked) else [asked]
    if len(texts) > _INPUTS_MOST or not all(texts):
        raise RefusedError(400, "invalid_value", "Give 1 to 2048 inputs, none of them empty.", param="input")
    texts = [text if isinstance(text, str) else json.dumps(text) for text in texts]
    if longest is not None and max(map(len, texts)) > longest:
        message = "This model's maximum context length is exceeded by an input."
        raise RefusedError(400, "context_length_exceeded", message)
    encoded = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = vector_of(text, body.get("dimensions") or dimensions)
        packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if encoded else vector
        data.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = size // 4
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    payload = {"object": "list", "data": data, "model": model, "usage": usage}
    documents = {str(index): text for index, text in enumerate(texts)}
    return Answer("embeddings", payload, [], {}, documents, tokens, 0)


def vector_of(text: str, dimensions: int) -> list[float]:
    """The unit vector of a text: the sum of those of its words, so that texts which share words are near."""
    total = [0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        for at, value in enumerate(_vector_of_word(word, dimensions)):
            total[at] += value
    length = math.hypot(*total)
    return [value / length for value in total]


@functools.lru_cache(maxsize=10_000)
def _vector_of_word(word: str, dimensions: int) -> array[int]:
    return array("h", hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest(2 * dimensions))


def models(ids: Mapping[str, str | None], one: str | None) -> Answer:
    """The list of models, by id and with the day on which they go; or one of them."""
    entries = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "tests"}
        | ({"shutdown_date": until} if until else {})
        for name, until in ids.items()
        if one in {None, name}
    ]
    payload = entries[0] if one is not None else {"object": "list", "data": entries}
    return Answer("models", payload, [], {}, {}, 0, 0)
