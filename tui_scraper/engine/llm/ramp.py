"""One call, then twenty, then all: money is not spent fast before it has been seen to buy labels."""

from __future__ import annotations

_FIRST, _FEW = 1, 4
_TRIAL_CALLS = 20
_LEAST_SHARE = 0.8


class Ramp:
    """Counts the first paid calls of a run and what came of them.

    `product` says what is asked about and what an answer brings to it.
    """

    def __init__(self, product: str = "documents got a label") -> None:
        self._product = product
        self._calls = 0
        self._asked = 0
        self._saved = 0

    @property
    def allowed(self) -> int | None:
        """Calls that may be in flight; None: as many as the endpoint takes."""
        if not self._saved:
            return _FIRST
        return _FEW if self._calls < _TRIAL_CALLS else None

    def settled(self, asked: int, saved: int) -> str:
        """A call about `asked` documents was paid for, `saved` labels came of it.

        Returns the sentence to stop with: of the first twenty calls too little has come. '' while all is
        well.
        """
        if self._calls >= _TRIAL_CALLS:
            return ""
        self._calls += 1
        self._asked += asked
        self._saved += saved
        if self._calls < _TRIAL_CALLS or self._saved >= _LEAST_SHARE * self._asked:
            return ""
        return (
            f"Of the first {self._calls} paid calls only {self._saved:,} of {self._asked:,} {self._product} "
            "that could be saved, so no more are made. `tui-scraper doctor` tries the model; another "
            "model, or fewer documents in a call (classify.docs_per_request), may answer better."
        )
