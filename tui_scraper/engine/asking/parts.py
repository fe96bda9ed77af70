"""What those who ask have to do with: questions, packs of them, who wants the answers, who else asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar


class Question(Protocol):
    """One thing that is asked. `tries` counts answers to it alone that were of no use."""

    tries: int


W = TypeVar("W", bound=Question)


class Packs(Protocol[W]):
    """What is still to be asked, and what goes together."""

    def __len__(self) -> int: ...

    @property
    def full(self) -> bool:
        """Whether there is a whole pack, so that waiting for more would gain nothing."""
        ...

    def add(self, wanted: W) -> None:
        """Something new to ask."""
        ...

    def put_back(self, pack: Sequence[W], *, smaller: bool = False) -> None:
        """Ask these again, before anything else; with `smaller` in two halves."""
        ...

    def take(self) -> list[W]:
        """The next pack."""
        ...

    def take_all(self) -> list[W]:
        """Everything, because nothing more is asked."""
        ...


Q_contra = TypeVar("Q_contra", bound=Question, contravariant=True)


class Asker(Protocol[Q_contra]):
    """Who wants the answers."""

    @property
    def submit(self) -> Callable[..., Awaitable[Any]]:
        """Writes to the store."""
        ...

    async def stand_in(self, pack: Sequence[Q_contra], reason: str) -> None:
        """No answer of the model is to be had to these."""
        ...

    async def still_wanted(self, pack: Sequence[Q_contra]) -> list[bool]:
        """Whether each of these, about to be sent, is still to be asked about."""
        ...

    def tell(self, sentence: str) -> None:
        """Let the person know."""
        ...

    def warn(self, sentence: str) -> None:
        """Note what went wrong with one call."""
        ...

    def crash(self, error: Exception) -> None:
        """Note a mistake of ours."""
        ...

    def stirred(self) -> None:
        """Something has happened."""
        ...


class Member(Protocol):
    """One of those who ask."""

    returned: asyncio.Event
    """Set when a call of any of them has given back what it had reserved."""

    @property
    def in_flight(self) -> bool:
        """Whether calls, other than the one that asks, have something reserved that comes back in part."""
        ...


class Company:
    """Those who ask at the same time and spend from one budget.

    `waiting` are tasks that have settled what they had reserved, and wait for something else.
    """

    def __init__(self) -> None:
        self._members: list[Member] = []
        self.waiting: set[asyncio.Task[Any] | None] = set()

    def join(self, member: Member) -> None:
        """One more."""
        self._members.append(member)

    @property
    def in_flight(self) -> bool:
        """Whether calls have something reserved that they will give back in part."""
        return any(member.in_flight for member in self._members)

    @contextlib.contextmanager
    def nothing_reserved(self) -> Iterator[None]:
        """While it waits, the present task has nothing reserved that anybody could wait for."""
        task = asyncio.current_task()
        self.waiting.add(task)
        self.returned()
        try:
            yield
        finally:
            self.waiting.discard(task)

    def returned(self) -> None:
        """A call has given back what it had reserved."""
        for member in self._members:
            member.returned.set()
