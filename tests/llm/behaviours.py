"""The registry of what an endpoint may do to a client, and what a sensible client makes of each of it.

A behaviour is a function of one exchange, so that it can do anything to the connection; its docstring says
what. They stand in `bad_statuses`, `bad_wires` (broken connections and HTTP) and `bad_answers` (what an
answer says). None of them draws lots: which request gets which is decided before (`draw`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.llm.answers import Answer
from tests.llm.journal import GOOD
from tests.llm.wire import Request, Wire

APIS = ("chat", "decisions", "embeddings", "models")
ASKED = ("chat", "decisions", "embeddings")
"""What costs money."""
LABELS = ("chat", "decisions")


class Client(StrEnum):
    """What a sensible client does."""

    ACCEPT = "accept"
    """Take the answer: it is a good one, and asking again would be paid for twice."""
    MAY_ACCEPT = "may accept"
    """Take what is usable, or ask again."""
    RETRY = "retry"
    """Ask again later, a few times."""
    SPLIT = "split"
    """Ask for fewer documents at a time; one alone that still gets it has failed."""
    FAIL = "fail"
    """End with a sentence: no request will get anything else."""
    PAUSE = "pause"
    """Stop asking, keep all that is done, and say what has to be waited for."""


class Bill(StrEnum):
    """What the provider charges for."""

    NOTHING = "nothing"
    INPUT = "input"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that is to be answered: with what, over what, and what a behaviour needs besides.

    `deadline_s`: what the client is expected to wait. `elsewhere`: the URL of the second listener.
    """

    request: Request
    answer: Answer
    wire: Wire
    deadline_s: float
    elsewhere: str

    async def say(self, body: bytes, status: int = 200, headers: bytes = b"", kind: str = "") -> None:
        """Send a whole answer."""
        await self.wire.send(status, body, headers, kind)


Act = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to a request.

    `status`: the one that the client gets to see, 0 if none. `fatal`: a client would rightly end a run, so it
    is drawn by chance only where that is wanted. `apis`: where it makes sense.
    """

    name: str
    says: str
    client: Client
    bill: Bill
    status: int
    fatal: bool
    apis: tuple[str, ...]
    act: Act


BEHAVIOURS: dict[str, Behaviour] = {}
"""All of them but the good one, by name."""


def behaviour(
    client: Client,
    bill: Bill = Bill.NOTHING,
    *,
    status: int = 200,
    fatal: bool = False,
    apis: tuple[str, ...] = APIS,
) -> Callable[[Act], Act]:
    """Register a function under its name."""

    def registered(act: Act) -> Act:
        add(act.__name__, act.__doc__ or "", act, client, bill, status=status, fatal=fatal, apis=apis)
        return act

    return registered


def add(
    name: str,
    says: str,
    act: Act,
    client: Client,
    bill: Bill = Bill.NOTHING,
    *,
    status: int = 200,
    fatal: bool = False,
    apis: tuple[str, ...] = APIS,
) -> None:
    """Register one of several that differ in a figure only."""
    assert name not in BEHAVIOURS, name
    BEHAVIOURS[name] = Behaviour(name, says, client, bill, status, fatal, apis, act)


async def _good(x: Exchange) -> None:
    await x.wire.send(200, x.answer.body())


GOOD_ONE = Behaviour(GOOD, "Answer well.", Client.ACCEPT, Bill.ANSWER, 200, False, APIS, _good)


class Draw:
    """Decides what each request gets: from a script at first, then by the hash of its body.

    The same body gets a new lot each time it comes, so that a retry may succeed; which lot does not hang on
    what other requests came in between.
    """

    def __init__(
        self,
        share: float,
        seed: int,
        only: Iterable[str] = (),
        script: Sequence[str] = (),
        *,
        fatal: bool = False,
        disturbs: Iterable[str] = ASKED,
    ) -> None:
        only, disturbs = tuple(only), frozenset(disturbs)
        for name in (*only, *script):
            if name != GOOD and name not in BEHAVIOURS:
                raise ValueError(f"there is no behaviour '{name}'")
        chosen = [BEHAVIOURS[name] for name in only]
        chosen = chosen or [one for one in BEHAVIOURS.values() if fatal or not one.fatal]
        self._of = {api: [one for one in chosen if api in one.apis and api in disturbs] for api in APIS}
        self._script = [BEHAVIOURS.get(name, GOOD_ONE) for name in reversed(script)]
        self._share = share
        self._key = seed.to_bytes(8, "big", signed=True)
        self._seen: Counter[bytes] = Counter()

    def draw(self, api: str, body: bytes) -> tuple[Behaviour, int, float]:
        """What this request gets, how often its body had come before, and another lot, from 0 to 1."""
        body_hash = hashlib.sha256(body).digest()[:16]
        seen = self._seen[body_hash]
        self._seen[body_hash] += 1
        lot = hashlib.sha256(b"%b%b%d" % (self._key, body_hash, seen)).digest()
        spare = int.from_bytes(lot[16:24], "big") / 2**64
        if self._script and api in self._script[-1].apis:
            return self._script.pop(), seen, spare
        choices = self._of[api]
        if not choices or int.from_bytes(lot[:8], "big") / 2**64 >= self._share:
            return GOOD_ONE, seen, spare
        return choices[int.from_bytes(lot[8:16], "big") % len(choices)], seen, spare
