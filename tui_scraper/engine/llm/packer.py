"""Which documents are asked about together.

A pack shares the words about the taxonomy, which are most of a request: sixteen short documents in one cost a
fraction of sixteen requests. What speaks to the model instead of the reader goes alone, and so does what had
no usable answer in company. How many go together is lowered when documents that are asked about a second
time, alone, get other labels than in their pack.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tui_scraper.engine.llm.prompt import gives_orders
from tui_scraper.engine.settings import ClassifySettings
from tui_scraper.engine.store.results import Work
from tui_scraper.engine.wire import LabelResult

_SIZES = (16, 8, 1)
_SHORT_TOKENS, _LONG_TOKENS = 256, 1_024
"""Digests up to the first go sixteen together, up to the second eight: a pack then has some 8,000 tokens."""

_AUDITED_OF = 50
"""One pack of fifty, 2%, has a document asked about alone as well."""
_WINDOW = 40
_MOST_OTHERS, _MOST_SHARE = 3, 0.15
"""So many other labels, and this share of those looked at last, make packs smaller. Models asked twice in the
same way differ in a few percent of documents that two labels fit."""


@dataclass(eq=False)
class Wanted:
    """A label that is wanted: what is read for it, and all the documents that are waiting for it.

    `local` is the label that was made on this machine. `tries` counts answers about it alone that were of no
    use.
    """

    key: bytes
    digest: bytes
    text: str
    local: LabelResult
    works: list[Work] = field(default_factory=list)
    tries: int = 0


def pack_size(settings: ClassifySettings) -> int:
    """How many documents go together to begin with: what the settings say, or by the size of digests."""
    if settings.docs_per_request != "auto":
        return settings.docs_per_request
    if settings.digest_tokens <= _SHORT_TOKENS:
        return _SIZES[0]
    return _SIZES[1] if settings.digest_tokens <= _LONG_TOKENS else _SIZES[2]


class Packer:
    """What is still to be asked about, and in what company."""

    def __init__(self, size: int, *, fixed: bool) -> None:
        self.size = size
        self._fixed = fixed
        self._together: deque[Wanted] = deque()
        self._formed: deque[list[Wanted]] = deque()
        self._checked: deque[bool] = deque(maxlen=_WINDOW)

    def __len__(self) -> int:
        return len(self._together) + sum(map(len, self._formed))

    @property
    def full(self) -> bool:
        """Whether there is a whole pack, so that waiting for more would gain nothing."""
        return bool(self._formed) or len(self._together) >= self.size

    def add(self, wanted: Wanted) -> None:
        """Something new to ask about."""
        if gives_orders(wanted.text):
            self._formed.append([wanted])
        else:
            self._together.append(wanted)

    def put_back(self, pack: Sequence[Wanted], *, smaller: bool = False) -> None:
        """Ask about these again, before anything else; with `smaller` in two halves."""
        middle = len(pack) // 2 if smaller else 0
        for half in (pack[middle:], pack[:middle]):
            if half:
                self._formed.appendleft(list(half))

    def take(self) -> list[Wanted]:
        """The next pack."""
        if self._formed:
            return self._formed.popleft()
        return [self._together.popleft() for _turn in range(min(self.size, len(self._together)))]

    def take_all(self) -> list[Wanted]:
        """Everything, because nothing more is asked."""
        left = [*itertools.chain.from_iterable(self._formed), *self._together]
        self._formed.clear()
        self._together.clear()
        return left

    @staticmethod
    def is_audited(pack: list[Wanted]) -> bool:
        """Whether a document of this pack is asked about alone as well. The same packs are, in every run."""
        return len(pack) > 1 and int.from_bytes(pack[0].key[:4], "big") % _AUDITED_OF == 0

    def audited(self, *, same: bool) -> bool:
        """What a second question has shown. Whether packs are smaller from now on."""
        self._checked.append(same)
        others = self._checked.count(False)
        if (
            self._fixed
            or self.size == 1
            or others < _MOST_OTHERS
            or others < _MOST_SHARE * len(self._checked)
        ):
            return False
        self.size = next(size for size in _SIZES if size < self.size)
        self._checked.clear()
        return True
