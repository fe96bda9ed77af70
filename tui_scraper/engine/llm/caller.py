"""A call with its payment: reserved before it is sent, then settled, released or written off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tui_scraper.engine.llm.client import Client, Reply, UnreadableAnswerError
from tui_scraper.engine.llm.errors import Billed, CallError
from tui_scraper.engine.llm.prices import Price, Usage
from tui_scraper.engine.llm.profile import Profile
from tui_scraper.engine.llm.requests import Request
from tui_scraper.engine.settings import ClassifySettings
from tui_scraper.engine.store.ledger import Caps, Intent, Paid, lose, release, reserve, settle
from tui_scraper.engine.store.writer import Operation, Transaction

_OVERHEAD_TOKENS = 200
"""What an endpoint may add to a request: marks between messages, a template."""
_BYTES_PER_TOKEN = 4
"""What endpoints reckon with before they have counted, and so the pace does."""

_NANO = 1_000_000_000

Submit = Callable[[Operation[Any]], Awaitable[Any]]


def caps_of(settings: ClassifySettings) -> Caps:
    """What may be spent, as the settings have it."""
    return Caps(round(settings.budget_usd * _NANO), settings.budget_tokens or None, settings.unsaved_tokens)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, with its number in the ledger (0: not kept) and what is to be entered for it."""

    call: int
    reply: Reply
    paid: Paid


class Caller:
    """Makes calls for one run. `submit` writes to the store; None keeps no ledger (`doctor`).

    `caps` hold for calls that are made from then on.
    """

    def __init__(
        self, client: Client, submit: Submit | None, *, run: int, endpoint: str, caps: Caps, effort: str
    ) -> None:
        self.client = client
        self._submit = submit
        self._run = run
        self._endpoint = endpoint
        self.caps = caps
        self._effort = effort

    async def call(self, request: Request, profile: Profile, price: Price) -> Answered:
        """Make a call. The answer is settled by whoever saves what came of it.

        Raises CapReachedError where nothing was sent; CallError and UnreadableAnswerError where what was sent
        is in the ledger as far as it can be known.
        """
        body, sent, received = self._most(request, profile)
        cost = price.most(sent, received)
        call = await self._reserve(request, sent, received, cost)
        try:
            reply = await self.client.ask(body, profile)
        except CallError as error:
            lost = error.billed is Billed.UNKNOWN
            await self._write((lose if lost else release)(call, error.message))
            raise
        except UnreadableAnswerError as error:
            usage = error.usage or Usage(sent, received, known=False)
            await self._write(_settle(call, _paid(usage, price)))
            raise
        except BaseException:
            await asyncio.shield(self._write(lose(call, "the program was ended before the answer came")))
            raise
        usage = reply.usage if reply.usage.known else Usage(sent, received, known=False)
        return Answered(call, reply, _paid(usage, price))

    def expected(self, request: Request, profile: Profile) -> int:
        """Tokens that an endpoint counts against its limits when it takes the request on."""
        _body, sent, received = self._most(request, profile)
        return sent // _BYTES_PER_TOKEN + received

    def _most(self, request: Request, profile: Profile) -> tuple[dict[str, object], int, int]:
        """What is sent, and the tokens that it can take at most: sent and received.

        No tokenizer makes more tokens of a text than it has bytes.
        """
        body = request.body(self.client.model, profile, self._effort)
        return body, len(msgspec.json.encode(body)) + _OVERHEAD_TOKENS, request.most_received(profile)

    async def settle(self, answered: Answered) -> None:
        """Enter what an answer has cost of which nothing is saved."""
        await self._write(_settle(answered.call, answered.paid))

    async def _reserve(self, request: Request, sent: int, received: int, cost: int) -> int:
        if self._submit is None:
            return 0
        intent = Intent(
            self._run, request.kind, self._endpoint, self.client.model, sent, received, cost, request.keys
        )
        return int(await self._submit(reserve(intent, self.caps)))

    async def _write(self, operation: Operation[None]) -> None:
        if self._submit is not None:
            await self._submit(operation)


def _paid(usage: Usage, price: Price) -> Paid:
    return Paid(usage.sent, usage.cached, usage.received, price.cost(usage))


def _settle(call: int, paid: Paid) -> Operation[None]:
    def operation(transaction: Transaction) -> None:
        settle(transaction, call, paid, ())

    return operation


def split_cost(paid: Paid, weights: Sequence[int]) -> list[Paid]:
    """What each document of a pack has cost: by what was sent of it, to the nano-dollar.

    The parts add up to the whole: what does not divide goes to the first ones (largest remainders).
    """
    shares = [max(weight, 1) for weight in weights]
    columns = [
        _split(amount, shares)
        for amount in (paid.tokens_in, paid.tokens_cached, paid.tokens_out, paid.cost_nano_usd)
    ]
    return [Paid(*row) for row in zip(*columns, strict=True)]


def _split(amount: int, shares: Sequence[int]) -> list[int]:
    whole = sum(shares)
    parts = [amount * share // whole for share in shares]
    order = sorted(range(len(shares)), key=lambda at: -(amount * shares[at] % whole))
    for at in order[: amount - sum(parts)]:
        parts[at] += 1
    return parts
