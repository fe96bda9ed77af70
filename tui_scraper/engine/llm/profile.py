"""How an endpoint wants to be asked for a model: found out by trying, remembered, tried anew when it fails.

Endpoints call the limit of an answer by two names, take a reasoning effort or refuse it, force an answer into
a schema, into JSON, or into nothing. Temperature is never sent: there are models that refuse it, and none
that label better for it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_scraper.engine.llm.errors import CallError


class Profile(msgspec.Struct, frozen=True):
    """What is sent. `extra_tokens` is room for reasoning that the model does although it should not."""

    api: Literal["decisions", "chat"] = "chat"
    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    effort: bool = True
    format: Literal["json_schema", "json_object", "text"] = "json_schema"
    extra_tokens: int = 0

    def encode(self) -> str:
        """As JSON, as the store keeps it."""
        return msgspec.json.encode(self).decode()

    def __str__(self) -> str:
        if self.api == "decisions":
            return "decisions"
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
