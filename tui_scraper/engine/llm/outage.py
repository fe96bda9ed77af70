"""Whether it is a call that fails, or the endpoint and the way to it.

A call that fails while others succeed has had its chance and is counted. While nothing succeeds, no document
is to blame: the run waits, tries with one call at a time, and says for how long already.
"""

from __future__ import annotations

import time

from tui_scraper.engine.llm.errors import CallError, Verdict

_FAILURES, _TROUBLE_S, _LASTS_S = 3, 5.0, 30.0
_FINAL_IN_A_ROW = 3


class Outage:
    """Follows failures and answers of one endpoint."""

    def __init__(self) -> None:
        self._last_answer = time.monotonic()
        self._failures = 0
        self._refusals = 0
        self._why = ""

    def answered(self) -> None:
        """A call was answered: the endpoint is there."""
        self._last_answer = time.monotonic()
        self._failures = self._refusals = 0

    def failed(self, error: CallError, began: float) -> bool:
        """A call that began at `began` (monotonic) has failed. Whether that counts against its documents."""
        if error.verdict is Verdict.FATAL:
            self._refusals += 1
        if not error.unreachable:
            return not error.throttled
        self._failures += 1
        self._why = error.message
        return self._last_answer > began

    def answered_since(self, error: CallError) -> bool:
        """Whether another call was answered since this one was made."""
        return self._last_answer > error.began

    def is_final(self, error: CallError) -> bool:
        """Whether a refusal is about the account or the model, so that no other call would fare better."""
        return error.status == 401 or self._refusals >= _FINAL_IN_A_ROW

    @property
    def troubled_s(self) -> float:
        """Seconds since the last answer, where that is a sign; else 0."""
        seconds = time.monotonic() - self._last_answer
        return seconds if self._failures >= _FAILURES and seconds >= _TROUBLE_S else 0.0

    @property
    def lasts(self) -> bool:
        """Whether there has been no answer for so long that the endpoint counts as lost."""
        return self.troubled_s >= _LASTS_S

    def allowed(self, calls: int | None) -> int | None:
        """Calls that may be in flight: one at a time while nothing is answered."""
        return 1 if self.troubled_s else calls

    def sentence(self, where: str) -> str:
        """What a person should know; '' while all is well."""
        seconds = self.troubled_s
        return f"{where} has not answered for {seconds:.0f} s ({self._why}); trying again." if seconds else ""
