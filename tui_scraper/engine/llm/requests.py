"""What is sent: for labels of documents, and for vectors of passages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from tui_scraper.engine.llm.profile import Profile
from tui_scraper.engine.llm.prompt import Prompt

_CHANCE_TOKENS = 16
"""At most of one choice with its probability, in an answer of `decisions`."""


@dataclass(frozen=True)
class Request(ABC):
    """What is sent, with its place in the ledger. `keys` are the artifacts that it is made for."""

    kind: str
    keys: Sequence[bytes]

    @abstractmethod
    def body(self, model: str, profile: Profile, effort: str) -> dict[str, object]:
        """The JSON that is sent."""

    @abstractmethod
    def most_received(self, profile: Profile) -> int:
        """Tokens that the answer has at most."""


@dataclass(frozen=True)
class LabelRequest(Request):
    """A question about the labels of some documents, whose answer has at most so many tokens."""

    prompt: Prompt
    answer_tokens: int

    def body(self, model: str, profile: Profile, effort: str) -> dict[str, object]:
        """The JSON that is sent."""
        if profile.api == "decisions":
            return _decisions_body(self.prompt, model)
        return _chat_body(self.prompt, model, profile, self.answer_tokens, effort)

    def most_received(self, profile: Profile) -> int:
        """Tokens that the answer has at most."""
        received = self.answer_tokens + profile.extra_tokens
        if profile.api == "decisions":  # a probability of each choice for each document
            received += len(self.prompt.ids) * _CHANCE_TOKENS * self.prompt.choices
        return received


@dataclass(frozen=True)
class EmbeddingRequest(Request):
    """Some texts whose vectors are wanted, with so many numbers each (0: as many as the model gives)."""

    texts: Sequence[str]
    dimensions: int

    def body(self, model: str, profile: Profile, effort: str) -> dict[str, object]:
        """The JSON that is sent."""
        del effort
        body: dict[str, object] = {"model": model, "input": list(self.texts)}
        if profile.dimensions and self.dimensions:
            body["dimensions"] = self.dimensions
        if profile.base64:
            body["encoding_format"] = "base64"
        return body

    def most_received(self, profile: Profile) -> int:
        """Vectors are no tokens."""
        del profile
        return 0


def _chat_body(
    prompt: Prompt, model: str, profile: Profile, answer_tokens: int, effort: str
) -> dict[str, object]:
    """The body of a request to chat/completions. What is the same for all comes first: it is cached."""
    body: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ],
        profile.limit: answer_tokens + profile.extra_tokens,
    }
    if profile.effort:
        body["reasoning_effort"] = effort
    if profile.format == "json_schema":
        schema = {"name": "labels", "strict": True, "schema": prompt.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif profile.format == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def _decisions_body(prompt: Prompt, model: str) -> dict[str, object]:
    """The body of a request to decisions: one question for each document."""
    choices = [{"value": name} for name in prompt.schema["$defs"]["label"]["enum"]]
    return {
        "model": model,
        "input": [
            {"type": "message", "role": "system", "content": prompt.system},
            {"type": "message", "role": "user", "content": prompt.user},
        ],
        "questions": [
            {
                "type": "choice",
                "name": name,
                "instructions": f"The label of document {name}.",
                "choices": choices,
            }
            for name in prompt.ids
        ],
    }
