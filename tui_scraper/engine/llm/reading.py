"""The labels in an answer, whichever interface it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui_scraper.engine.llm.client import Decided, Reply
from tui_scraper.engine.llm.prompt import Prompter

_ALTERNATIVES = 3


@dataclass(frozen=True, slots=True)
class Given:
    """The labels that a document was given.

    `confidence` is how sure the model is of the first, None where it has not said.
    `others` are the next ones.
    """

    labels: tuple[str, ...]
    confidence: float | None = None
    others: tuple[tuple[str, float], ...] = ()


def labels_in(reply: Reply, ids: Sequence[str], prompter: Prompter) -> dict[str, Given]:
    """The usable labels of an answer, by id. What is missing has no usable answer."""
    if reply.decided:
        given = {name: _decided(reply.decided[name], prompter) for name in ids if name in reply.decided}
        return {name: one for name, one in given.items() if one is not None}
    try:
        return {name: Given(labels) for name, labels in prompter.read(reply.text, ids).items()}
    except ValueError:
        return {}


def _decided(decided: Decided, prompter: Prompter) -> Given | None:
    chosen = prompter.label(decided.choice)
    if chosen is None:
        return None
    known = [
        (name, round(chance, 4))
        for value, chance in decided.chances.items()
        if (name := prompter.label(value)) is not None
    ]
    ranked = sorted(known, key=lambda pair: (-pair[1], prompter.names.index(pair[0])))
    others = tuple(pair for pair in ranked if pair[0] != chosen)[:_ALTERNATIVES]
    return Given((chosen,), dict(known).get(chosen), others)
