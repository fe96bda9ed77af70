"""The model server of the tests, for clients that ask about documents in words of their own.

    python -m benchmarks.label_server --journal FILE [--latency-s 0.1] [--rpm N] [--tpm N]

The first line is its URL. A request in our own form is answered as the tests have it. In any other chat the
documents are what stands between `<document>` and `</document>`; the answer is a call of the tool where one
is offered, a JSON object where the request brings a schema or asks for JSON, and otherwise the bare label of
the first. Where a schema wants a list, it has an entry for each document. Tokens are billed for everybody by
the bytes of the request and of the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from dataclasses import replace
from typing import Any

from tests.llm.answers import Answer, documents_in, label_of
from tests.llm.journal import Record
from tests.llm.model_server import KEY, ModelServer
from tests.llm.wire import Request

__all__ = ["KEY", "LABELS", "MODEL", "LabelServer"]

LABELS = {
    "invoice": "bills, receipts, orders and what else asks for money",
    "contract": "agreements, licences and terms that bind somebody",
    "letter": "letters, notes and mails from one person to another",
    "report": "accounts of what was done, found or measured",
    "other": "",
}
MODEL = "gpt-4o-mini"
_DOCUMENT = re.compile(r"<document>\n(.*?)\n</document>", re.DOTALL)


class LabelServer(ModelServer):
    """A model server that understands requests of other programs, too."""

    def _understood(self, request: Request, record: Record) -> Answer:
        body, texts = _asked(request)
        if not texts:
            return super()._understood(request, record)
        plain = {"model": body.get("model"), "messages": _packed(texts)}
        answer = super()._understood(replace(request, body=json.dumps(plain).encode()), record)
        labels = [label_of(text, self.manners.labels) for text in texts]
        return _in_form(answer, body, labels, len(request.body))


def _asked(request: Request) -> tuple[dict[str, Any], list[str]]:
    """The body of a chat that is not in our form, and its documents; none where it is no such chat."""
    if request.method != "POST" or not request.path.endswith("/chat/completions"):
        return {}, []
    try:
        body = json.loads(request.body)
        said = [message["content"] for message in body["messages"] if isinstance(message["content"], str)]
    except (ValueError, LookupError, TypeError):
        return {}, []
    if any(documents_in(text) for text in said):
        return body, []
    return body, [match for text in said for match in _DOCUMENT.findall(text)]


def _packed(texts: list[str]) -> list[dict[str, str]]:
    """Documents as the tests' server takes them."""
    nonce = "0" * 8
    parts = [f"=== d{number} {nonce} ===\n{text}\n" for number, text in enumerate(texts, 1)]
    return [{"role": "user", "content": "".join([*parts, f"=== end {nonce} ==="])}]


def _in_form(answer: Answer, body: dict[str, Any], labels: list[str], size: int) -> Answer:
    """A good answer with those labels, in the form that a body of this size wants it."""
    form = body.get("response_format") or {}
    tool = next(iter(body.get("tools") or ()), None)
    if tool is not None:
        said = json.dumps(_object(tool["function"].get("parameters") or {}, labels))
        call = {"name": tool["function"]["name"], "arguments": said}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}
        finish = "tool_calls"
    else:
        said = labels[0]
        if form.get("type") in {"json_schema", "json_object"}:
            said = json.dumps(_object(form.get("json_schema", {}).get("schema", {}), labels))
        message, finish = {"role": "assistant", "content": said, "refusal": None}, "stop"
    answer.tokens_in, answer.tokens_out = size // 4, len(said) // 4 + 1
    answer.payload["choices"] = [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]
    answer.payload["usage"] |= {
        "prompt_tokens": answer.tokens_in,
        "completion_tokens": answer.tokens_out,
        "total_tokens": answer.tokens_in + answer.tokens_out,
    }
    return answer


def _object(schema: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    """An object with the first label in each property; one that is a list has objects with all of them."""
    properties = schema.get("properties") or {"label": {}}
    return {
        name: [_object(shape.get("items", {}), [label]) for label in labels]
        if shape.get("type") == "array"
        else labels[0]
        for name, shape in properties.items()
    }


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--journal", required=True, metavar="FILE")
    parser.add_argument("--latency-s", type=float, default=0.1)
    parser.add_argument("--rpm", type=int)
    parser.add_argument("--tpm", type=int)
    parser.add_argument("--decisions", action="store_true", help="serve the API that only we know, too")
    given = vars(parser.parse_args())

    async def serve() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        async with LabelServer(labels=tuple(LABELS), **given) as server:
            print(server.url, flush=True)
            await over.wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
