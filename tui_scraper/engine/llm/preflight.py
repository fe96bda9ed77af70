"""Before money is spent: one tiny call shows whether key, model, parameters and answers are right.

A list of models proves nothing, so the call decides. What an endpoint refuses is asked for in another way
until it answers with a label, and that way is remembered.
"""

from __future__ import annotations

import asyncio
import difflib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.llm.caller import Answered, Caller
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.llm.client import Client, UnreadableAnswerError
from tui_scraper.engine.llm.endpoint import Endpoint
from tui_scraper.engine.llm.errors import LONGEST_WAIT_S, CallError, NoAnswerError, PreflightError, Verdict
from tui_scraper.engine.llm.keys import Key
from tui_scraper.engine.llm.prices import Price, price_of
from tui_scraper.engine.llm.profile import Profile, negotiate, simpler, with_reasoning
from tui_scraper.engine.llm.prompt import Prompter
from tui_scraper.engine.llm.reading import labels_in
from tui_scraper.engine.llm.requests import LabelRequest, Request
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import ClassifySettings

_DOCUMENT = "Invoice no. 4711. Three items. Total due: 100.00, payable within 30 days."
_MOST_TRIES = 12
_TRANSIENT = 4
_FIRST_WAIT_S = 0.5
_MOST_CHOICES = 255
"""Of a question to `decisions` (the SDK's documentation of its parameters)."""
_DECIDING_MODELS = ("gpt-6-luna",)


@dataclass(frozen=True)
class Ready:
    """What the call has shown. `warnings` are sentences for the person."""

    profile: Profile
    price: Price
    warnings: tuple[str, ...] = ()


def first_profile(settings: ClassifySettings, labels: int) -> Profile:
    """How an endpoint is asked that nothing is known about."""
    decides = (
        settings.model.startswith(_DECIDING_MODELS) and not settings.multi_label and labels <= _MOST_CHOICES
    )
    return Profile(api="decisions" if decides else "chat")


def price_or_refusal(
    settings: ClassifySettings, endpoint: Endpoint, key: Key | None, *, decisions: bool
) -> Price | None:
    """What it costs to ask for labels; None where only `decisions` has no known price.

    Raises PreflightError where nobody knows what the model costs: nothing is sent then.
    """
    model = settings.model
    price = price_of(settings, endpoint, model, decisions=decisions, keyless=key is None)
    if price is None and not decisions:
        raise PreflightError(
            f"Nobody here knows what {safe_text(model)} costs at {endpoint.shown}: nothing is sent. Set "
            "classify.price_in_usd and classify.price_out_usd (dollars a million tokens), or choose a model "
            "with a known price."
        )
    return price


class Preflight(ABC):
    """Tries an endpoint. `say` is told what is found out on the way; `rest` waits so many seconds."""

    aim = "an answer"
    """What the endpoint is to be brought to answer with."""

    def __init__(
        self,
        provider: Provider,
        caller: Caller,
        say: Callable[[str], None] = lambda _sentence: None,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = provider.settings
        self._endpoint = provider.endpoint
        self._key = provider.key
        self._caller = caller
        self._say = say
        self._rest = rest

    @abstractmethod
    def _begin(self, known: Profile | None) -> Profile:
        """How it is asked first."""

    @abstractmethod
    def _priced(self, profile: Profile) -> tuple[Profile, Price]:
        """What a call costs, asked like this or, where nobody knows what that costs, in another way."""

    @abstractmethod
    def _is_good(self, answered: Answered) -> bool:
        """Whether an answer is what is wanted."""

    @abstractmethod
    def _otherwise(self, profile: Profile, answered: Answered) -> Profile:
        """The next way to ask, after an answer that is not. Raises PreflightError where there is none."""

    @abstractmethod
    def _simpler(self, profile: Profile, why: str) -> Profile:
        """The next way to ask, after an answer that nobody can read. Raises as `_otherwise`."""

    @abstractmethod
    def request(self) -> Request:
        """The tiny call."""

    def _trial(self, profile: Profile) -> Request:
        """What is sent to find the way to ask."""
        del profile
        return self.request()

    def _after_refusal(self, profile: Profile, error: CallError) -> Profile | None:
        """The next way to ask; None where the refusal is about something else."""
        return negotiate(profile, error)

    async def run(self, known: Profile | None) -> Ready:
        """Find a way to ask, beginning with the one that is known.

        Raises PreflightError where there is none, and CapReachedError where not even this call fits under a
        cap.
        """
        profile = self._begin(known)
        transient = 0
        for _try in range(_MOST_TRIES):
            profile, price = self._priced(profile)
            try:
                answered = await self._caller.call(self._trial(profile), profile, price)
            except CallError as error:
                transient += error.verdict is Verdict.RETRY
                if error.verdict is Verdict.RETRY and (error.status != 500 or transient < _TRANSIENT):
                    if transient >= _TRANSIENT:
                        raise NoAnswerError(f"{self._endpoint.shown} does not answer: {error}") from None
                    wait_s = error.retry_after_s or _FIRST_WAIT_S * 2**transient
                    await self._rest(min(wait_s, LONGEST_WAIT_S))
                    continue
                other = self._after_refusal(profile, error)
                if other is None:
                    raise await self._refused(error) from None
                self._say(f"{self._endpoint.shown} refuses {profile}; trying {other}.")
                profile = other
            except UnreadableAnswerError as error:
                profile = self._simpler(profile, str(error))
            else:
                await self._caller.settle(answered)
                if self._is_good(answered):
                    return Ready(profile, price, await self._warnings())
                profile = self._otherwise(profile, answered)
        raise PreflightError(f"{self._endpoint.shown} could not be brought to answer with {self.aim}.")

    def _unusable(self, why: str) -> PreflightError:
        return PreflightError(f"{self._endpoint.shown}, {safe_text(self._settings.model)}: {why}")

    async def _refused(self, error: CallError) -> TuiScraperError:
        model, where = safe_text(self._settings.model), self._endpoint.shown
        if error.status == 401:
            place = self._key.place if self._key is not None else "no key"
            return PreflightError(f"{where} refuses the key ({place}). {error}")
        if error.verdict is Verdict.RETRY:
            return NoAnswerError(f"{where} does not answer: {error}")
        unknown = error.status == 404 or "model" in error.code.lower() or "model" in error.message.lower()
        if error.status in {400, 403, 404} and unknown:
            return PreflightError(
                f"{where} does not know the model {model}. {error} {await self._close_names()}".strip()
            )
        return PreflightError(f"{where} refuses {model}. {error}")

    async def _close_names(self) -> str:
        clean = self._caller.client.clean
        names = [clean(name) for name in await _listed(self._caller.client)]
        if not names:
            return ""
        close = difflib.get_close_matches(self._settings.model, names, n=3, cutoff=0.4)
        shown = ", ".join(name for name in (close or sorted(names)[:5]))
        return f"{'Did you mean' if close else 'It has'} {shown}{'?' if close else ', …'}"

    async def _warnings(self) -> tuple[str, ...]:
        day = (await _listed(self._caller.client)).get(self._settings.model, "")
        if not day:
            return ()
        return (f"{safe_text(self._settings.model)} will be shut down on {self._caller.client.clean(day)}.",)


class LabelPreflight(Preflight):
    """Tries whether a model answers with a label."""

    aim = "a label"

    def __init__(
        self,
        provider: Provider,
        caller: Caller,
        prompter: Prompter,
        say: Callable[[str], None] = lambda _sentence: None,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(provider, caller, say, rest)
        self._prompter = prompter

    def _begin(self, known: Profile | None) -> Profile:
        first = first_profile(self._settings, len(self._prompter.names))
        return known if known is not None and (known.api == "chat" or first.api == "decisions") else first

    def _priced(self, profile: Profile) -> tuple[Profile, Price]:
        if profile.api == "decisions":
            price = price_or_refusal(self._settings, self._endpoint, self._key, decisions=True)
            if price is not None:
                return profile, price
            profile = Profile(api="chat")
        price = price_or_refusal(self._settings, self._endpoint, self._key, decisions=False)
        assert price is not None
        return profile, price

    def request(self) -> Request:
        """The tiny call."""
        prompt = self._prompter.ask([_DOCUMENT])
        return LabelRequest("canary", (), prompt, self._prompter.answer_tokens(1))

    def _is_good(self, answered: Answered) -> bool:
        return bool(labels_in(answered.reply, ("d1",), self._prompter))

    def _otherwise(self, profile: Profile, answered: Answered) -> Profile:
        reply = answered.reply
        if reply.cut or not reply.text.strip():
            roomy = with_reasoning(profile)
            if roomy is not None and profile.api == "chat":
                self._say(
                    f"{safe_text(self._settings.model)} reasons before it answers; it gets room for that."
                )
                return roomy
        return self._simpler(profile, "It answers, but not with a label.")

    def _simpler(self, profile: Profile, why: str) -> Profile:
        if profile.api == "decisions":
            return Profile(api="chat")
        other = simpler(profile)
        if other is None:
            raise self._unusable(why)
        return other


async def _listed(client: Client) -> dict[str, str]:
    """The models that an endpoint lists. Some list none: that proves nothing and is no error."""
    try:
        return await client.models()
    except Exception:  # whatever happens here, the call that counts has been made
        return {}
