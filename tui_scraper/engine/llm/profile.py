"""How an endpoint wants to be asked for a model: found out by trying, remembered, tried anew when it fails.

Endpoints call the limit of an answer by two names, take a reasoning effort or refuse it, force an answer into
a schema, into JSON, or into nothing. Temperature is never sent: there are models that refuse it, and none
that label better for it. Some make vectors as long as they are told, some pack their numbers, and each takes
texts up to a length of its own.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_scraper.engine.llm.errors import CallError


class Profile(msgspec.Struct, frozen=True):
    """What is sent. `extra_tokens` is room for reasoning that the model does although it should not.

    Of vectors: `dimensions` and `base64` say whether it is told how long and how packed they are to be, and
    `most_tokens` is what it takes of one text (o200k tokens; 0: not known).
    """

    api: Literal["decisions", "chat", "embeddings"] = "chat"
    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    effort: bool = True
    format: Literal["json_schema", "json_object", "text"] = "json_schema"
    extra_tokens: int = 0
    dimensions: bool = True
    base64: bool = True
    most_tokens: int = 0

    def encode(self) -> str:
        """As JSON, as the store keeps it."""
        return msgspec.json.encode(self).decode()

    def __str__(self) -> str:
        if self.api == "decisions":
            return "decisions"
        if self.api == "embeddings":
            extra = (", dimensions" if self.dimensions else "") + (", base64" if self.base64 else "")
            return f"embeddings{extra}" + (f", {self.most_tokens:,} tokens" if self.most_tokens else "")
        return f"chat, {self.format}, {self.limit}" + (", reasoning effort" if self.effort else "")


def decode_profile(text: str | None) -> Profile | None:
    """What `encode` has written; None where another version wrote it."""
    try:
        return msgspec.json.decode(text, type=Profile) if text else None
    except msgspec.MsgspecError:
        return None


_REASONING_TOKENS = 2_000
"""Room for the reasoning of a model that cannot be told to do without."""


def negotiate(profile: Profile, error: CallError) -> Profile | None:
    """The next way to ask after an endpoint refused one; None where the refusal is about something else.

    A refusal names the parameter, or at least speaks of it; one without either is about the format most of
    the time: a server that knows no schemas.
    """
    if profile.api == "decisions":
        answered_otherwise = error.status in {400, 404, 405, 415, 422, 501}
        return msgspec.structs.replace(profile, api="chat") if answered_otherwise else None
    if error.status not in {400, 404, 415, 422, 500, 501}:
        return None
    about = f"{error.parameter} {error.message}".lower()
    if profile.api == "embeddings":
        return _negotiate_vectors(profile, error, about)
    if "reasoning" in about and profile.effort:
        return msgspec.structs.replace(profile, effort=False)
    if "max_completion_tokens" in about and profile.limit == "max_completion_tokens":
        return msgspec.structs.replace(profile, limit="max_tokens")
    if "max_tokens" in about and profile.limit == "max_tokens":
        return msgspec.structs.replace(profile, limit="max_completion_tokens")
    of_format = any(word in about for word in ("response_format", "json_schema", "schema", "json_object"))
    if of_format or (error.status in {400, 422, 500, 501} and not error.parameter):
        return simpler(profile)
    return None


def _negotiate_vectors(profile: Profile, error: CallError, about: str) -> Profile | None:
    if any(word in about for word in ("dimension", "matryoshka")) and profile.dimensions:
        return msgspec.structs.replace(profile, dimensions=False)
    if any(word in about for word in ("encoding_format", "base64")) and profile.base64:
        return msgspec.structs.replace(profile, base64=False)
    if error.parameter or error.status == 404 or not (profile.base64 or profile.dimensions):
        return None
    return msgspec.structs.replace(profile, base64=False, dimensions=profile.base64 and profile.dimensions)


def simpler(profile: Profile) -> Profile | None:
    """The same with less asked of the format, and then of the effort."""
    if profile.format == "json_schema":
        return msgspec.structs.replace(profile, format="json_object")
    if profile.format == "json_object":
        return msgspec.structs.replace(profile, format="text")
    return msgspec.structs.replace(profile, effort=False) if profile.effort else None


def with_reasoning(profile: Profile) -> Profile | None:
    """The same with room for reasoning, after an answer that held nothing else; None where there was room."""
    return None if profile.extra_tokens else msgspec.structs.replace(profile, extra_tokens=_REASONING_TOKENS)
