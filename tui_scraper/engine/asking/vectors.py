"""Asking for vectors of passages: many in a call, long ones cut to what the model takes."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import apsw
import msgspec

from tui_scraper.engine.asking.base import Asking
from tui_scraper.engine.asking.parts import Asker, Company
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.llm.caller import Answered, Caller
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.llm.embeddings import (
    LEAST_TOKENS,
    MOST_TOKENS,
    TOGETHER,
    TOKENS_TOGETHER,
    EmbeddingPreflight,
    fewer,
    is_too_long,
    vectors_in,
)
from tui_scraper.engine.llm.errors import CallError, PreflightError
from tui_scraper.engine.llm.preflight import Preflight, Ready
from tui_scraper.engine.llm.requests import EmbeddingRequest
from tui_scraper.engine.passages import Vector
from tui_scraper.engine.phases.index import IndexEntry
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.ledger import Paid

_ANSWER_BYTES = 6_000_000
"""What an answer may have, so that it stays below what the client reads of one."""
_PACKED_BYTES, _PLAIN_BYTES = 6, 25
"""What a number takes of it at most: four bytes as base64, or a decimal with sign, exponent and comma."""


@dataclass(eq=False)
class Waiting:
    """A document that waits for `left` vectors.

    `keys` are those of its chunks, in order, b'' for one that has nothing to show; `given_up` are those that
    get none, and `without` says why.
    """

    entry: IndexEntry
    keys: list[bytes]
    left: int = 0
    without: str = ""
    given_up: set[bytes] = field(default_factory=set)


@dataclass(eq=False)
class Passage:
    """A passage whose vector is wanted, and the documents it is in. `tokens` are about those of its text."""

    key: bytes
    text: str
    tokens: int
    waiting: list[Waiting] = field(default_factory=list)
    tries: int = 0


class PassagePacks:
    """Passages still to be asked about. Fewer go together where that was too much, and then more again."""

    def __init__(self) -> None:
        self.size = self.most = TOGETHER
        self._fitting = TOGETHER
        self._together: deque[Passage] = deque()
        self._formed: deque[list[Passage]] = deque()

    def __len__(self) -> int:
        return len(self._together) + sum(map(len, self._formed))

    @property
    def full(self) -> bool:
        """Whether there is a whole pack, so that waiting for more would gain nothing."""
        return bool(self._formed) or len(self._together) >= self.size

    def add(self, wanted: Passage) -> None:
        """Something new to ask about."""
        self._together.append(wanted)

    def put_back(self, pack: Sequence[Passage], *, smaller: bool = False) -> None:
        """Ask about these again, before anything else; with `smaller` in two halves."""
        middle = len(pack) // 2 if smaller else 0
        if middle and middle < self.size:
            self.size = self._fitting = middle
        for half in (pack[middle:], pack[:middle]):
            if half:
                self._formed.appendleft(list(half))

    def went_well(self) -> None:
        """A pack was answered whole."""
        grown = self.size * 2 if self.size < self._fitting else self.size + max(1, self.size // 16)
        self.size = min(self.most, grown)

    def limit_to(self, most: int) -> None:
        """No more than so many together, from now on."""
        self.most = max(1, min(self.most, most))
        self.size = min(self.size, self.most)

    def take(self) -> list[Passage]:
        """The next pack."""
        if self._formed:
            return self._formed.popleft()
        pack: list[Passage] = []
        tokens = 0
        while self._together and len(pack) < self.size:
            tokens += min(self._together[0].tokens, MOST_TOKENS)
            if pack and tokens > TOKENS_TOGETHER:
                break
            pack.append(self._together.popleft())
        return pack

    def take_all(self) -> list[Passage]:
        """Everything, because nothing more is asked."""
        left = [*itertools.chain.from_iterable(self._formed), *self._together]
        self._formed.clear()
        self._together.clear()
        return left


class Passages(Asker[Passage], Protocol):
    """Whose passages are asked about: takes what comes of it."""

    async def save(self, vectors: Sequence[tuple[Passage, Vector]], call: int, paid: Paid) -> None:
        """Save vectors with their payment."""
        ...


class AskingForVectors(Asking[Passage, EmbeddingRequest]):
    """Asks for what is added, as long as it may.

    `wanted` is how long vectors are to be (0: as the model makes them), `have` how long those are that are
    there already (0: there are none), `longest` the tokens of the longest passage.
    """

    product = "passages got a vector"
    offline_sentence = "Documents are indexed for their words only."

    def __init__(
        self,
        provider: Provider,
        passages: Passages,
        run: int,
        state: apsw.Connection,
        halt: Callable[[TuiScraperError], None],
        company: Company,
        *,
        wanted: int,
        have: int,
        longest: int,
    ) -> None:
        self._passages = passages
        self._wanted = wanted
        self._dimensions = have
        self._longest = longest
        self._packs_of_passages = PassagePacks()
        super().__init__(provider, self._packs_of_passages, passages, run, state, halt, company)

    @property
    def together(self) -> int:
        """How many passages are asked about together."""
        return self._packs_of_passages.size

    def _introduction(self) -> str:
        return f"Vectors are asked of {safe_text(self.model)} at {self._where}"

    def _new_preflight(self, caller: Caller) -> Preflight:
        return EmbeddingPreflight(
            self._provider,
            caller,
            longest=self._longest,
            wanted=self._wanted,
            say=self._passages.tell,
            rest=self._rest,
        )

    def _opened(self, preflight: Preflight) -> None:
        assert isinstance(preflight, EmbeddingPreflight)
        found = preflight.dimensions
        if self._dimensions not in {0, found}:
            raise PreflightError(
                f"{safe_text(self.model)} at {self._where} makes vectors of {found} numbers, and those that "
                f"are here have {self._dimensions}: it is another model. Give index.model its name, or set "
                "index.dimensions."
            )
        self._dimensions = found
        each = found * (_PACKED_BYTES if self._now.profile.base64 else _PLAIN_BYTES)
        self._packs_of_passages.limit_to(_ANSWER_BYTES // each)

    def _request(self, pack: Sequence[Passage]) -> EmbeddingRequest:
        most = self._most_tokens
        texts = [_cut(passage, most) for passage in pack]
        return EmbeddingRequest("embed", [passage.key for passage in pack], texts, self._wanted)

    @property
    def _most_tokens(self) -> int:
        return self._now.profile.most_tokens or MOST_TOKENS

    def _is_cut(self, wanted: Passage, error: CallError) -> bool:
        """Whether a passage is only too long: from now on less is shown of those that are as long."""
        shown = min(wanted.tokens, self._most_tokens)
        if not is_too_long(error) or shown <= LEAST_TOKENS:
            return False
        profile = msgspec.structs.replace(self._now.profile, most_tokens=fewer(shown))
        self._ready = Ready(profile, self._now.price)
        self._passages.tell(
            f"{safe_text(self.model)} takes no {shown:,} tokens of a passage: of longer ones the first "
            f"{profile.most_tokens:,} make the vector."
        )
        return True

    async def _take(self, pack: list[Passage], request: EmbeddingRequest, answered: Answered) -> None:
        del request
        found = vectors_in(answered.reply, len(pack))
        good = [
            (passage, found[at])
            for at, passage in enumerate(pack)
            if at in found and len(found[at]) == self._dimensions
        ]
        await self._passages.save(good, answered.call, answered.paid)
        self._settled(len(pack), len(good))
        if len(good) == len(pack):
            self._packs_of_passages.went_well()
        else:
            have = {passage.key for passage, _vector in good}
            left = [passage for passage in pack if passage.key not in have]
            await self._unusable(left, "no usable vector")


def _cut(passage: Passage, most: int) -> str:
    """The part of a passage that a model is shown: about so many tokens of it."""
    if passage.tokens <= most:
        return passage.text
    return passage.text[: max(1, len(passage.text) * most // passage.tokens)]
