"""Every behaviour of the registry, as it comes over the wire."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.llm import bad_answers
from tests.llm.answers import labels_of
from tests.llm.asking import TEXTS, Arrived, ask, asking, connected, read_all, request_of
from tests.llm.bad_answers import ALIEN, ALIEN_ID, DEPTH
from tests.llm.bad_statuses import FAKE_KEY, OSC_52
from tests.llm.bad_wires import BOMB_BYTES, DRIP_BYTES, DRIP_S, HUGE_BYTES
from tests.llm.behaviours import ASKED, BEHAVIOURS, Bill, Client
from tests.llm.journal import Record, foreign_keys
from tests.llm.model_server import KEY, LABELS, serving

GOOD = {f"d{number}": labels_of(text, LABELS)[0] for number, text in enumerate(TEXTS, 1)}
_DEADLINE_S = 0.25


def ends(arrived: Arrived) -> bool:
    """It is cut: something was promised that did not come."""
    return not arrived.complete and not arrived.reset


def good(arrived: Arrived) -> bool:
    return arrived.status == 200 and json.loads(arrived.content) == GOOD


def dechunked(data: bytes) -> bytes:
    found: list[bytes] = []
    while True:
        size, _, data = data.partition(b"\r\n")
        if not int(size, 16):
            assert data == b"\r\n"
            return b"".join(found)
        found.append(data[: int(size, 16)])
        data = data[int(size, 16) + 2 :]


def unpacked(data: bytes) -> int:
    """How large a gzip stream is, without ever holding it."""
    packed, size = zlib.decompressobj(16 + zlib.MAX_WBITS), 0
    while data:
        size += len(packed.decompress(data, 1 << 24))
        data = packed.unconsumed_tail
    assert packed.eof
    return size


def error(status: int, code: str | None = None, **headers: str) -> Callable[[Arrived], bool]:
    def check(arrived: Arrived) -> bool:
        assert arrived.json["error"]["message"]
        assert headers.items() <= {k.replace("-", "_"): v for k, v in arrived.headers.items()}.items()
        return arrived.status == status and arrived.json["error"]["code"] == code

    return check


def content(wanted: Callable[[Any], bool], finish: str = "stop") -> Callable[[Arrived], bool]:
    return lambda a: wanted(a.content) and a.json["choices"][0]["finish_reason"] == finish


def labels(wanted: Callable[[dict[str, Any]], bool]) -> Callable[[Arrived], bool]:
    return lambda a: a.status == 200 and wanted(json.loads(a.content))


def body(wanted: object, status: int = 200) -> Callable[[Arrived], bool]:
    return lambda a: a.status == status and a.json == wanted


def others_good(found: dict[str, Any]) -> bool:
    return found | {"d1": 0} == GOOD | {"d1": 0}


def dated(a: Arrived) -> bool:
    return -5 < parsedate_to_datetime(a.headers["retry-after"]).timestamp() - time.time() <= 2


def elsewhere(status: int) -> Callable[[Arrived], bool]:
    return lambda a: (
        a.status == status
        and a.headers["location"].startswith("http://127.0.0.2:")
        and a.headers["location"].endswith("/v1/chat/completions")
    )


HALF = json.dumps(GOOD)[: len(json.dumps(GOOD)) // 2]
LIMITED = "rate_limit_exceeded"

CHECKS: dict[str, Callable[[Arrived], bool]] = {
    "html": lambda a: a.status == 200 and a.headers["content-type"] == "text/html" and b"<h1>" in a.body,
    "empty_body": lambda a: a.status == 200 and a.complete and a.body == b"",
    "body_is_list": body([1, 2, 3]),
    "body_is_null": body(None),
    "body_cut": lambda a: (
        a.complete and a.body.startswith(b'{"id": "chatcmpl-') and not a.body.endswith(b"}")
    ),
    "body_not_utf8": lambda a: a.complete and b"\xff\xfe" in a.body,
    "body_too_deep": lambda a: a.complete and a.body == b"[" * DEPTH + b"]" * DEPTH,
    "event_stream": lambda a: (
        a.headers["content-type"] == "text/event-stream" and a.body.startswith(b"data: {")
    ),
    "text_plain": lambda a: a.headers["content-type"] == "text/plain" and good(a),
    "no_choices": lambda a: "choices" not in a.json and "usage" in a.json,
    "empty_choices": lambda a: a.json["choices"] == [],
    "choices_of_null": lambda a: a.json["choices"] == [None],
    "usage_missing": lambda a: good(a) and "usage" not in a.json,
    "usage_negative": lambda a: good(a) and a.json["usage"]["prompt_tokens"] < 0,
    "usage_strings": lambda a: good(a) and a.json["usage"]["prompt_tokens"].endswith(" tokens"),
    "usage_huge": lambda a: good(a) and a.json["usage"]["completion_tokens"] == 10**18,
    "usage_nan": lambda a: good(a) and b'"prompt_tokens": NaN' in a.body,
    "null_content": content(lambda c: c is None),
    "content_empty": content(lambda c: c == ""),
    "content_not_json": content(lambda c: c.startswith("Sure!")),
    "content_list": content(lambda c: json.loads(c[0]["text"]) == GOOD),
    "fenced": content(lambda c: c == f"```json\n{json.dumps(GOOD)}\n```"),
    "wrong_schema": content(lambda c: json.loads(c) == list(GOOD.values())),
    "content_too_deep": content(lambda c: c == "[" * DEPTH + "]" * DEPTH),
    "cut_answer": content(lambda c: c == HALF, "length"),
    "cut_silently": content(lambda c: c == HALF),
    "answer_filtered": content(lambda c: c == "", "content_filter"),
    "reasoning_only": lambda a: (
        a.content == ""
        and a.json["usage"]["completion_tokens_details"]["reasoning_tokens"]
        == a.json["usage"]["completion_tokens"]
        > 0
    ),
    "refusal": lambda a: a.content is None and "can't help" in a.json["choices"][0]["message"]["refusal"],
    "alien_label": labels(lambda f: f["d1"] == ALIEN and others_good(f)),
    "label_wrong_type": labels(lambda f: f["d1"] == 7 and others_good(f)),
    "label_object": labels(lambda f: f["d1"] == {"label": GOOD["d1"]} and others_good(f)),
    "label_null": labels(lambda f: f["d1"] is None and others_good(f)),
    "label_surrogate": labels(lambda f: f["d1"] == GOOD["d1"] + "\ud800" and others_good(f)),
    "label_control": labels(lambda f: f["d1"] == GOOD["d1"] + "\x1b]52;c;eA==\x07" and others_good(f)),
    "label_spaces": labels(lambda f: f == {name: f" {label}\n" for name, label in GOOD.items()}),
    "label_case": labels(lambda f: f == {name: label.upper() for name, label in GOOD.items()}),
    "missing_id": labels(lambda f: list(f) == ["d2", "d3"] and others_good(f)),
    "extra_id": labels(lambda f: f == GOOD | {ALIEN_ID: GOOD["d1"]}),
    "duplicate_ids": lambda a: a.content.count('"d1": ') == 2 and json.loads(a.content)["d1"] != GOOD["d1"],
    "all_ids_alien": labels(lambda f: f == {ALIEN_ID: GOOD["d1"]}),
    "decisions_reversed": lambda a: [one["name"] for one in a.json["answers"]] == ["d3", "d2", "d1"],
    "probabilities_absurd": lambda a: (
        b'"confidence": NaN' in a.body and a.json["answers"][0]["probabilities"][0]["probability"] == 7
    ),
    "vectors_reversed": lambda a: [one["index"] for one in a.json["data"]] == [2, 1, 0],
    "vector_missing": lambda a: [one["index"] for one in a.json["data"]] == [0, 1],
    "vector_short": lambda a: [len(one["embedding"]) for one in a.json["data"]] == [32, 64, 64],
    "vector_null": lambda a: [one["embedding"] is None for one in a.json["data"]] == [True, False, False],
    "status_400": error(400),
    "status_401": error(401, "invalid_api_key"),
    "status_403": error(403, "unsupported_country_region_territory"),
    "status_404": error(404, "model_not_found"),
    "status_408": error(408),
    "status_409": error(409),
    "status_413": error(413),
    "status_422": error(422),
    "status_429": error(429, LIMITED),
    "status_500": error(500),
    "status_502": error(502),
    "status_503": error(503),
    "status_504": error(504),
    "status_529": error(529),
    "retry_after_0": error(429, LIMITED, retry_after="0"),
    "retry_after_day": error(429, LIMITED, retry_after="86400"),
    "retry_after_garbage": error(429, LIMITED, retry_after="soon(ish)"),
    "retry_after_negative": error(429, LIMITED, retry_after="-5"),
    "retry_after_nan": error(429, LIMITED, retry_after="nan"),
    "retry_after_date": lambda a: error(429, LIMITED)(a) and dated(a),
    "retry_after_ms": error(429, LIMITED, retry_after_ms="20"),
    "insufficient_quota": error(429, "insufficient_quota"),
    "context_too_long": error(400, "context_length_exceeded"),
    "prompt_filtered": error(400, "content_filter"),
    "hostile_message": lambda a: (
        a.status == 400 and FAKE_KEY in a.json["error"]["message"] and OSC_52 in a.json["error"]["message"]
    ),
    "echoes_own_key": lambda a: a.status == 400 and KEY in a.json["error"]["message"],
    "error_body_list": body(["it", "failed"], 500),
    "error_body_string": body("it failed", 500),
    "error_body_null": body(None, 500),
    "error_is_string": body({"error": "it failed"}, 500),
    "error_is_list": body({"error": [{"message": 5}]}, 500),
    "error_with_200": error(200),
    "slow_under_deadline": good,
    "slow_over_deadline": good,
    "closes_unanswered": lambda a: a == Arrived(b""),
    "half_body": lambda a: (
        a.status == 200 and ends(a) and int(a.headers["content-length"]) // 2 == len(a.body)
    ),
    "reset_at_once": lambda a: a == Arrived(b"", reset=True),
    "reset_in_head": lambda a: a.reset and a.status == 200 and b"\r\n\r\n" not in a.data,
    "reset_in_body": lambda a: a.reset and a.status == 200 and len(a.body) > 0 and not a.complete,
    "not_http": lambda a: a.data.startswith(b"SSH-2.0"),
    "informational_first": lambda a: (
        a.status == 102
        and a.body.startswith(b"HTTP/1.1 103 ")
        and good(Arrived(a.body.partition(b"\r\n\r\n")[2]))
    ),
    "chunked": lambda a: (
        json.loads(json.loads(dechunked(a.body))["choices"][0]["message"]["content"]) == GOOD
    ),
    "chunked_garbage": lambda a: a.headers["transfer-encoding"] == "chunked" and b"\r\nzz\r\n" in a.body,
    "chunked_cut": lambda a: a.body.endswith(b"}\r\n") and a.headers["transfer-encoding"] == "chunked",
    "until_close": lambda a: "content-length" not in a.headers and bool(json.loads(a.body)["choices"]),
    "length_too_small": lambda a: len(a.body) // 2 == int(a.headers["content-length"]),
    "length_too_large": lambda a: ends(a) and bool(json.loads(a.body)["choices"]),
    "two_lengths": lambda a: a.data.count(b"content-length: ") == 2,
    "answer_sent_twice": lambda a: a.data.count(b"HTTP/1.1 200 OK") == 2,
    "headers_10000": lambda a: good(a) and len(a.headers) > 10_000,
    "header_1mb": lambda a: good(a) and len(a.headers["x-long"]) == 1 << 20,
    "redirect_307": elsewhere(307),
    "redirect_302": elsewhere(302),
    "redirect_loop": lambda a: a.status == 307 and a.headers["location"] == "/v1/chat/completions",
    "huge_body": lambda a: a.complete and len(a.body) > HUGE_BYTES and a.body.lstrip().startswith(b'{"id"'),
    "gzip_bomb": lambda a: len(a.body) < 2 << 20 and unpacked(dechunked(a.body)) == BOMB_BYTES,
    "gzip_unasked": lambda a: b"chatcmpl-" in zlib.decompress(a.body, 16 + zlib.MAX_WBITS),
    "gzip_broken": lambda a: a.headers["content-encoding"] == "gzip" and good(a),
}
ENDLESS = {"never_answers", "slow_drip", "slow_headers"}


def judge(record: Record, name: str, api: str) -> None:
    """The journal says what the registry says."""
    behaviour = BEHAVIOURS[name]
    assert (record.behaviour, record.api, record.number) == (name, api, 1)
    assert record.billed is (behaviour.bill is not Bill.NOTHING and api in ASKED)
    assert bool(record.tokens_in) is record.billed
    assert record.good is (behaviour.client is Client.ACCEPT)
    assert record.credentials and record.right_key
    assert len(record.documents) == (len(TEXTS) if api in ASKED else 0)
    assert record.answered is not None and record.answered >= record.received


def test_every_behaviour_is_looked_at() -> None:
    assert set(CHECKS) | ENDLESS == set(BEHAVIOURS)
    assert all(one.says.endswith(".") for one in BEHAVIOURS.values())


@pytest.mark.parametrize("name", CHECKS)
def test_a_behaviour_comes_over_the_wire(name: str) -> None:
    api = BEHAVIOURS[name].apis[0]
    with serving(script=[name], deadline_s=_DEADLINE_S) as server:
        began = time.monotonic()
        arrived = ask(server.url, api)
        took = time.monotonic() - began
    assert CHECKS[name](arrived), arrived.data[:2000]
    judge(server.records[0], name, api)
    if name not in {"informational_first", "reset_in_head"}:
        assert server.records[0].status == (arrived.status if arrived.data.startswith(b"HTTP") else 0)
    if server.records[0].good:
        assert server.records[0].whole
    if name.startswith("slow"):
        assert took >= _DEADLINE_S * (1.2 if name == "slow_over_deadline" else 0.8)


@pytest.mark.parametrize("name", sorted(ENDLESS))
def test_an_endless_behaviour_ends_with_its_client(name: str) -> None:
    with serving(script=[name]) as server, connected(server.url) as connection:
        connection.sendall(request_of("/v1/chat/completions", asking("chat")))
        began = time.monotonic()
        if name == "never_answers":
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        else:
            data = b""
            while data.count(b"\r\n") < 8 if name == "slow_headers" else not data.endswith(b"\r\n\r\n    "):
                data += connection.recv(1)
            assert time.monotonic() - began > 3 * DRIP_S
            assert name == "slow_headers" or f"content-length: {DRIP_BYTES}".encode() in data
        assert server.records[0].answered is None
    judge(server.records[0], name, "chat")
    assert not server.records[0].whole


@pytest.mark.parametrize(
    ("name", "api"),
    [
        (name, api)
        for name, one in BEHAVIOURS.items()
        for api in one.apis[1:]
        if one.act.__module__ == bad_answers.__name__
    ],
)
def test_what_spoils_one_answer_spoils_those_of_other_apis(name: str, api: str) -> None:
    with serving(script=[name]) as server:
        arrived = ask(server.url, api)
        fine = ask(server.url, api)
    judge(server.records[0], name, api)
    assert arrived.complete and fine.complete
    assert (arrived.headers["content-type"], arrived.body) != (fine.headers["content-type"], fine.body)


def test_labels_of_decisions_are_spoilt_as_those_of_chats_are() -> None:
    names = ["alien_label", "label_wrong_type", "missing_id", "extra_id", "duplicate_ids", "refusal"]
    with serving(script=names) as server:
        found = [ask(server.url, "decisions").json["answers"] for _ in names]
    first = [answers[0].get("choice") for answers in found]
    assert first == [ALIEN, 7, GOOD["d2"], GOOD["d1"], GOOD["d1"], None]
    assert [len(answers) for answers in found] == [3, 3, 2, 4, 4, 3]
    assert [found[3][-1]["name"], found[4][-1]["name"], found[5][0]["type"]] == [ALIEN_ID, "d1", "refusal"]
    assert found[4][-1]["choice"] != found[4][0]["choice"]


@pytest.mark.parametrize("azure", [False, True])
def test_the_other_host_knows_whether_a_key_reached_it(azure: bool) -> None:
    with serving(script=["redirect_307"] * 2) as server:
        for key in (None, KEY):
            place = ask(server.url).headers["location"]
            with connected(place) as connection:
                connection.sendall(request_of("/v1/chat/completions", asking("chat"), key=key, azure=azure))
                assert read_all(connection).status == 200
    assert [record.number for record in foreign_keys(server.records)] == [4]
    assert KEY not in repr(server.records)
