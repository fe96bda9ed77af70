"""One call to an OpenAI-compatible endpoint: sent once, bounded in time and size, its tokens read first.

The SDK carries the request (`max_retries=0`: whether to try again is decided where the ledger is); the answer
is read here, from its bytes, because an answer can be paid for and still be no answer. Nothing is followed to
another host, nothing is unpacked without a limit, and every call has one deadline from start to end: the
SDK's own timeout is for each read, so a server that drips could hold a call for ever.
"""

from __future__ import annotations

import asyncio
import base64
import re
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
import msgspec
import openai
from openai._vendor.httpx_aiohttp import AiohttpTransport
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from tui_scraper.engine.llm.endpoint import Endpoint
from tui_scraper.engine.llm.errors import (
    FILTERED,
    TOO_LONG,
    Billed,
    CallError,
    Verdict,
    judge_status,
)
from tui_scraper.engine.llm.gate import retry_after
from tui_scraper.engine.llm.keys import Key, redact
from tui_scraper.engine.llm.prices import Usage
from tui_scraper.engine.llm.profile import Profile
from tui_scraper.engine.safe_text import safe_text

_MOST_BYTES = 8_000_000
"""An answer about 16 documents has a kilobyte; one with 128 embeddings has two megabytes."""
_MOST_TOKENS = 10**9
_MESSAGE_CHARS = 300
_ABOUT_ONE = 0.05
_HEADERS = frozenset(
    {
        "host",
        "authorization",
        "api-key",
        "accept",
        "content-type",
        "content-length",
        "connection",
        "user-agent",
    }
)
_OF_OPENAI = frozenset({"openai-organization", "openai-project"})
_MODELS_CHARS = 200


@dataclass(frozen=True, slots=True)
class Decided:
    """What was chosen for a document, and how likely each choice is; nothing where that cannot be true."""

    choice: str
    chances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `text` is what the model wrote ('' for none); `decided` is what `decisions` brings, by id.

    `refused`: the model, or a filter, would not. `cut`: it ended at the limit. `vectors` are those of
    `embeddings` by the place of their text; of two with one place, and of what is no vector, there is none.
    """

    text: str
    usage: Usage
    headers: Mapping[str, str]
    refused: bool = False
    cut: bool = False
    decided: Mapping[str, Decided] = field(default_factory=dict)
    vectors: Mapping[int, Sequence[float]] = field(default_factory=dict)


@dataclass
class UnreadableAnswerError(Exception):
    """An answer that came with a good status and cannot be used.

    It was paid for: `usage` says how many tokens, None where it does not say.
    """

    message: str
    usage: Usage | None
    headers: Mapping[str, str]

    def __str__(self) -> str:
        return self.message


class Client:
    """Asks one endpoint for one model. Use it in one event loop; close it in the end."""

    def __init__(
        self, endpoint: Endpoint, key: Key | None, model: str, timeout_s: float, most: int = 256
    ) -> None:
        self._endpoint = endpoint
        self._secret = key.secret if key is not None else SecretStr("none")
        self.model = model
        self.timeout_s = timeout_s
        transport = _Bounded(
            AiohttpTransport(
                limits=httpx2.Limits(max_connections=most, keepalive_expiry=30.0), proxy=_proxy_for(endpoint)
            ),
            openai_itself=endpoint.is_openai,
        )
        self._http = httpx2.AsyncClient(
            transport=transport, follow_redirects=False, timeout=httpx2.Timeout(timeout_s)
        )
        common: dict[str, Any] = {"max_retries": 0, "http_client": self._http, "timeout": timeout_s}
        value = self._secret.get_secret_value()
        if endpoint.api_version:
            self._openai: openai.AsyncOpenAI = openai.AsyncAzureOpenAI(
                azure_endpoint=endpoint.url, api_version=endpoint.api_version, api_key=value, **common
            )
        else:
            self._openai = openai.AsyncOpenAI(base_url=endpoint.url, api_key=value, **common)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, body: Mapping[str, object], profile: Profile) -> Reply:
        """Send a request.

        Raises CallError where there was no answer, UnreadableAnswerError where there was one that cannot be
        used.
        """
        path, read = _APIS[profile.api]
        try:
            return read(await self._post(path, body))
        except UnreadableAnswerError as error:
            error.message = self.clean(error.message)
            raise

    async def models(self) -> dict[str, str]:
        """The models that the endpoint lists: name -> the day it shuts down, '' where none is told."""
        async with asyncio.timeout(self.timeout_s):
            response = await self._openai.get("/models", cast_to=httpx2.Response)
            content = response.content
        found = _decoded(content)
        rows = found.get("data") if isinstance(found, dict) else None
        return {
            str(row["id"])[:_MODELS_CHARS]: str(row.get("shutdown_date") or "")[:40]
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict) and "id" in row
        }

    async def _post(self, path: str, body: Mapping[str, object]) -> _Raw:
        try:
            async with asyncio.timeout(self.timeout_s):
                response = await self._openai.post(path, body=body, cast_to=httpx2.Response)
                content = response.content
        except TimeoutError:
            raise CallError(
                Verdict.RETRY,
                f"There was no answer within {self.timeout_s:g} s.",
                Billed.UNKNOWN,
                timed_out=True,
                unreachable=True,
            ) from None
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except Exception as error:  # of four libraries, each with its own: no answer is no answer
            raise self._broken(error) from None
        return _Raw(content, {name.lower(): value for name, value in response.headers.items()})

    def _refusal(self, error: openai.APIStatusError) -> CallError:
        headers = {name.lower(): value for name, value in error.response.headers.items()}
        body = error.body if isinstance(error.body, dict) else {}
        code, kind = (body.get(name) if isinstance(body.get(name), str) else "" for name in ("code", "type"))
        parameter = body.get("param") if isinstance(body.get("param"), str) else ""
        said = body.get("message") if isinstance(body.get("message"), str) else ""
        message = self.clean(said or _plain(error.response))
        wait_s = retry_after(headers)
        verdict = judge_status(error.status_code, code or "", kind or "", message, wait_s)
        if 300 <= error.status_code < 400:
            where = self.clean(headers.get("location", ""))
            message = (
                f"It sends callers elsewhere ({where}); nothing was sent there. Check classify.base_url."
            )
        return CallError(
            verdict,
            f"HTTP {error.status_code}" + (f": {message}" if message else ""),
            self._billed(error.status_code, code or "", kind or ""),
            status=error.status_code,
            code=code or kind or "",
            parameter=parameter or "",
            retry_after_s=wait_s,
            throttled=error.status_code == 429 and verdict in {Verdict.RETRY, Verdict.PAUSE},
            unreachable=error.status_code >= 500 or error.status_code == 408,
            headers=headers,
        )

    def _billed(self, status: int, code: str, kind: str) -> Billed:
        """Whether a refusal may be paid for.

        Behind a gateway that gave up the model went on, and Azure charges for what its filters stop.
        """
        gave_up = status in {408, 502, 504} or 520 <= status <= 524
        stopped = self._endpoint.is_azure and bool({code, kind} & (FILTERED | TOO_LONG))
        return Billed.UNKNOWN if gave_up or stopped else Billed.NO

    def _broken(self, error: BaseException) -> CallError:
        chain: list[BaseException] = []
        cause: BaseException | None = error
        while cause is not None and len(chain) < 10:
            chain.append(cause)
            cause = cause.__cause__ or cause.__context__
        for one in chain:
            if isinstance(one, _TooLargeError):
                return CallError(Verdict.SPLIT, str(one), Billed.UNKNOWN)
            if isinstance(one, aiohttp.ClientConnectorError | aiohttp.InvalidURL):  # nothing was sent
                why = self.clean(getattr(one, "strerror", None) or str(one) or type(one).__name__)
                return CallError(
                    Verdict.RETRY, f"{self._endpoint.shown} cannot be reached ({why}).", unreachable=True
                )
        timed_out = any(isinstance(one, TimeoutError | aiohttp.ServerTimeoutError) for one in chain)
        why = self.clean(str(chain[-1]) or type(chain[-1]).__name__)
        return CallError(
            Verdict.RETRY,
            f"The connection broke before the answer was whole ({why}).",
            Billed.UNKNOWN,
            unreachable=True,
            timed_out=timed_out,
        )

    def clean(self, text: str) -> str:
        """What a server says, fit to be shown: short, without control characters and without keys."""
        return safe_text(redact(" ".join(text.split()), self._secret), limit=_MESSAGE_CHARS)


def _proxy_for(endpoint: Endpoint) -> httpx2.Proxy | None:
    """The proxy that the environment names for an endpoint that is not on this machine."""
    parts = urlsplit(endpoint.url)
    if endpoint.loopback or proxy_bypass(parts.hostname or ""):
        return None
    url = getproxies().get(parts.scheme)
    return httpx2.Proxy(url) if url else None


@dataclass(frozen=True, slots=True)
class _Raw:
    content: bytes
    headers: Mapping[str, str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)


class _Message(_Part):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Part):
    message: _Message
    finish_reason: str | None = None


class _Chat(_Part):
    choices: list[_Choice]


class _Chance(_Part):
    value: str | bool
    probability: float


class _Answer(_Part):
    type: str
    name: str | None = None
    choice: str | bool | None = None
    probabilities: list[_Chance] = []


class _Decision(_Part):
    answers: list[_Answer]


def _decoded(content: bytes) -> object:
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def usage_of(found: object) -> Usage | None:
    """The tokens that an answer says it took; None where it does not say, or says what cannot be."""
    usage = found.get("usage") if isinstance(found, dict) else None
    if not isinstance(usage, dict):
        return None
    sent = _count(usage, "prompt_tokens", "input_tokens")
    received = _count(usage, "completion_tokens", "output_tokens")
    if not sent or (received is None and ("completion_tokens" in usage or "output_tokens" in usage)):
        return None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    cached = min(_count(details, "cached_tokens") or 0, sent)
    written = min(_count(details, "cache_write_tokens") or 0, sent - cached)
    return Usage(sent, received or 0, cached, written)


def _count(found: Mapping[str, object], *names: str) -> int | None:
    for name in names:
        value = found.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
            return value
    return None


def _chatted(raw: _Raw) -> Reply:
    found = _decoded(raw.content)
    usage = usage_of(found)
    try:
        chat = _Chat.model_validate(found)
    except (ValidationError, RecursionError):
        raise UnreadableAnswerError(_unreadable(raw), usage, raw.headers) from None
    if not chat.choices:
        raise UnreadableAnswerError("The answer holds no choices.", usage, raw.headers)
    choice = chat.choices[0]
    return Reply(
        text=choice.message.content or "",
        usage=usage or Usage(0, 0, known=False),
        headers=raw.headers,
        refused=bool(choice.message.refusal) or choice.finish_reason == "content_filter",
        cut=choice.finish_reason == "length",
    )


def _decided(raw: _Raw) -> Reply:
    found = _decoded(raw.content)
    usage = usage_of(found)
    try:
        decision = _Decision.model_validate(found)
    except (ValidationError, RecursionError):
        raise UnreadableAnswerError(_unreadable(raw), usage, raw.headers) from None
    times = Counter(answer.name for answer in decision.answers)  # of two answers nobody knows which is meant
    decided = {
        answer.name: Decided(str(answer.choice), _chances(answer.probabilities))
        for answer in decision.answers
        if answer.name and times[answer.name] == 1 and answer.type == "choice" and answer.choice is not None
    }
    return Reply(
        text="",
        usage=usage or Usage(0, 0, known=False),
        headers=raw.headers,
        refused=bool(decision.answers) and all(answer.type == "refusal" for answer in decision.answers),
        decided=decided,
    )


class _Vector(msgspec.Struct):
    index: int
    embedding: str | list[float]


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: object = None


_vectors = msgspec.json.Decoder(_Vectors)


def _embedded(raw: _Raw) -> Reply:
    try:
        found = _vectors.decode(raw.content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise UnreadableAnswerError(_unreadable(raw), usage_of(_decoded(raw.content)), raw.headers) from None
    usage = usage_of({"usage": found.usage})
    times = Counter(one.index for one in found.data)  # of two vectors nobody knows which is meant
    vectors = {
        one.index: _unpacked(one.embedding) if isinstance(one.embedding, str) else one.embedding
        for one in found.data
        if times[one.index] == 1
    }
    return Reply("", usage or Usage(0, 0, known=False), raw.headers, vectors=vectors)


def _unpacked(text: str) -> Sequence[float]:
    """A vector that came as base64 of little-endian float32; empty where it is none."""
    try:
        packed = base64.b64decode(text, validate=True)
        return struct.unpack(f"<{len(packed) // 4}f", packed)
    except (ValueError, struct.error):
        return ()


_APIS: Mapping[str, tuple[str, Callable[[_Raw], Reply]]] = {
    "chat": ("/chat/completions", _chatted),
    "decisions": ("/decisions", _decided),
    "embeddings": ("/embeddings", _embedded),
}
"""Interface -> its path, and what reads its answers."""


def _chances(probabilities: Sequence[_Chance]) -> dict[str, float]:
    """Probabilities that can be such: between 0 and 1, together 1."""
    found = {str(one.value): one.probability for one in probabilities}
    sane = all(0.0 <= chance <= 1.0 for chance in found.values())
    return found if sane and abs(sum(found.values()) - 1.0) < _ABOUT_ONE else {}


def _unreadable(raw: _Raw) -> str:
    kind = safe_text(raw.headers.get("content-type", ""), limit=60)
    if not raw.content:
        return "The answer is empty."
    if "html" in kind or raw.content.lstrip()[:1] == b"<":
        return "The answer is a web page, not JSON: is classify.base_url the address of an API?"
    return f"The answer is not what this interface answers with ({kind or 'no content type'})."


def _plain(response: httpx2.Response) -> str:
    """The words of an error that is not the usual object."""
    text = response.text[:2_000]
    if "<" in text[:200] and ">" in text:
        title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
        return title[1] if title else ""
    return text


class _TooLargeError(Exception):
    """An answer that goes on and on."""


class _Bounded(httpx2.AsyncBaseTransport):
    """A transport whose answers end: after so many bytes, packed or unpacked.

    It sends no header that is not needed: the SDK adds some from the environment, whoever is asked.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, *, openai_itself: bool) -> None:
        self._inner = inner
        self._allowed = _HEADERS | (_OF_OPENAI if openai_itself else frozenset())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for name in [name for name in request.headers if name.lower() not in self._allowed]:
            del request.headers[name]
        request.headers["accept-encoding"] = "identity"  # answers are small; nothing has to be unpacked
        response = await self._inner.handle_async_request(request)
        packed = response.headers.get("content-encoding", "").strip().lower()
        if packed:  # what is packed in another way, or twice, stays as it is: nobody can read that
            del response.headers["content-encoding"]
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(stream, unpack=packed in {"gzip", "x-gzip", "deflate"})
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, *, unpack: bool) -> None:
        self._inner = inner
        self._unpacking = zlib.decompressobj(wbits=47) if unpack else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._inner:
            if self._unpacking is None:
                read += len(chunk)
                if read > _MOST_BYTES:
                    raise _TooLargeError(f"The answer has more than {_MOST_BYTES:,} bytes.")
                yield chunk
                continue
            left = chunk
            while left:
                try:
                    piece = self._unpacking.decompress(left, 262_144)
                except zlib.error:
                    raise httpx2.DecodingError("what is packed in the answer is damaged") from None
                left = self._unpacking.unconsumed_tail
                read += len(piece)
                if read > _MOST_BYTES:
                    raise _TooLargeError(f"The answer has more than {_MOST_BYTES:,} bytes, unpacked.")
                yield piece
                if not piece and not left:
                    break

    async def aclose(self) -> None:
        await self._inner.aclose()
