"""What can become of a call, and what is to be done about it: the one place where errors are judged.

The names of errors differ between providers and lie at times (a used-up account is a 429), so the code, the
type and the words are looked at, and never one of them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tui_scraper.engine.errors import TuiScraperError


class Verdict(StrEnum):
    """What is to be done about a call that brought no answer.

    `retry`: the same again, later. `pause`: no call would fare better now; the run waits for a person or a
    time. `split`: ask about fewer documents at once. `fail`: these documents have no answer here, go on.
    `fatal`: no call will ever fare better with these settings.
    """

    RETRY = "retry"
    PAUSE = "pause"
    SPLIT = "split"
    FAIL = "fail"
    FATAL = "fatal"


class Billed(StrEnum):
    """Whether a call without a usable answer is paid for."""

    NO = "no"
    UNKNOWN = "unknown"


@dataclass
class CallError(Exception):
    """A call that brought no answer. `message` is a sentence without keys and control characters.

    `parameter` is what a 400 complains about. `throttled`: the endpoint asks for fewer calls. `unreachable`:
    it may be the endpoint or the network, not this call. `retry_after_s` is what the endpoint asks to wait.
    `counts`: against what was asked about, which is set by who knows whether other calls fare better; `began`
    is when the call was made, by the monotonic clock.
    """

    verdict: Verdict
    message: str
    billed: Billed = Billed.NO
    status: int = 0
    code: str = ""
    parameter: str = ""
    retry_after_s: float | None = None
    throttled: bool = False
    unreachable: bool = False
    timed_out: bool = False
    counts: bool = True
    began: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


class PreflightError(TuiScraperError):
    """The model cannot be used with these settings: nothing was labelled, and the sentence says why."""

    exit_code = 5


class NoAnswerError(PreflightError):
    """The endpoint does not answer, or only with errors of its own: another time it may."""


class ModelBlockedError(TuiScraperError):
    """The endpoint, or a cap, allows no more calls for now: the run pauses, nothing is lost."""

    exit_code = 4


LONGEST_WAIT_S = 60.0
"""What an endpoint asks to wait is waited out up to here; more pauses the run and says until when."""

_QUOTA = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"}
)
_UNKNOWN_MODEL = frozenset({"model_not_found", "DeploymentNotFound", "invalid_model"})
TOO_LONG = frozenset({"context_length_exceeded", "string_above_max_length", "request_too_large"})
FILTERED = frozenset(
    {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "invalid_prompt"}
)


def judge_status(status: int, code: str, kind: str, message: str, wait_s: float | None) -> Verdict:
    """What an HTTP status with the code, type and words of its error asks for.

    `wait_s` is how long the endpoint asks to wait, None where it does not say.
    """
    words = message.lower()
    named = {code, kind}
    if named & _QUOTA or "exceeded your current quota" in words or status == 402:
        return Verdict.PAUSE
    if status == 429 and ("request too large" in words or "must be reduced" in words):
        return Verdict.SPLIT  # larger than what a whole minute allows: it never fits
    if wait_s is not None and wait_s > LONGEST_WAIT_S and (status == 429 or status >= 500):
        return Verdict.PAUSE
    if status in {401, 403}:
        return Verdict.FATAL
    if named & _UNKNOWN_MODEL or (status == 404 and "model" in words):
        return Verdict.FATAL
    if named & TOO_LONG or status == 413 or "maximum context length" in words:
        return Verdict.SPLIT
    if named & FILTERED or "content management policy" in words:
        return Verdict.SPLIT
    if status in {408, 409, 425, 429} or status >= 500:
        return Verdict.RETRY
    if status in {400, 422}:
        return Verdict.SPLIT
    return Verdict.FATAL
