"""Asking a model: packs of questions, at the pace the endpoint allows, until all are answered.

First one call that shows whether it works, then a few, then all. What fails is tried again, asked about alone
or given up, by what `llm.errors` makes of it. Nothing that one call brings ends the others, but for a cap, an
account that is used up or a key that is refused: then what is in flight comes back, and the run pauses.

What is asked for, and what is made of an answer, is a matter of `labels` and `vectors`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

import apsw
import tenacity

from tui_scraper.engine.asking.parts import Asker, Company, Packs, W
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.limits import with_calls_limited
from tui_scraper.engine.llm.caller import Answered, Caller, caps_of
from tui_scraper.engine.llm.choosing import Provider
from tui_scraper.engine.llm.client import Client, UnreadableAnswerError
from tui_scraper.engine.llm.errors import (
    LONGEST_WAIT_S,
    CallError,
    ModelBlockedError,
    NoAnswerError,
    PreflightError,
    Verdict,
)
from tui_scraper.engine.llm.gate import Gate, Lease
from tui_scraper.engine.llm.outage import Outage
from tui_scraper.engine.llm.preflight import Preflight, Ready
from tui_scraper.engine.llm.profile import Profile, decode_profile
from tui_scraper.engine.llm.ramp import Ramp
from tui_scraper.engine.llm.requests import Request
from tui_scraper.engine.models import Spend
from tui_scraper.engine.settings import ClassifySettings
from tui_scraper.engine.store.ledger import CapReachedError, dollars, read_spending
from tui_scraper.engine.store.profiles import Limits, read_profile, remember_limits, remember_profile

_LINGER_S = 0.15
"""How long a pack that is not full waits for more."""
_MOST_CALLS = 256
"""In flight, where nobody has said how many."""
_MOST_CONNECTIONS = 1_001
"""As many calls as a person can allow at any time, and one that tries the endpoint."""
_UNUSABLE_TRIES = 2
"""Answers about one document, asked about alone, that may be of no use before it is given up."""
_CLOSING_S = 5.0
"""Beyond the deadline of a call: for saving what it brings."""
_MOMENT_S = 0.05
_UNBLAMED = 4
"""Failures of one pack that may be the endpoint's, after which it is looked into."""


R = TypeVar("R", bound=Request)


class Asking(ABC, Generic[W, R]):
    """Asks for what is added, as long as it may. `halt` is told what ends it before all is answered."""

    product = "documents got a label"
    """What is asked about, and what an answer brings to it."""

    offline_sentence = "Labels are made on this machine."
    """What happens to what is not asked any more."""

    def __init__(
        self,
        provider: Provider,
        packs: Packs[W],
        asker: Asker[W],
        run: int,
        state: apsw.Connection,
        halt: Callable[[TuiScraperError], None],
        company: Company,
    ) -> None:
        settings = provider.settings
        self._provider = provider
        self._settings = settings
        self._asker = asker
        self._run = run
        self._state = state
        self._halt = halt
        self._asks = provider.ask
        self._why_not = provider.why_not
        self._packs = packs
        self.gate = Gate(concurrency=_calls_of(settings), most=_MOST_CALLS)
        self.caps = caps_of(settings)
        self._ramp = Ramp(self.product)
        self._outage = Outage()
        self._said = ""
        self._out_of_money = False
        self._more = asyncio.Event()
        self._stopping = asyncio.Event()
        self.returned = asyncio.Event()
        self._company = company
        company.join(self)
        self._is_tight = False
        self._calls: set[asyncio.Task[None]] = set()
        self._resting: set[asyncio.Task[Any]] = set()
        self._dispatching: asyncio.Task[None] | None = None
        self._preparing = False
        self._client: Client | None = None
        self._caller: Caller | None = None
        self._ready: Ready | None = None
        self._preflight: Preflight | None = None

    @abstractmethod
    def _request(self, pack: Sequence[W]) -> R:
        """What is sent to ask for a pack."""

    @abstractmethod
    async def _take(self, pack: list[W], request: R, answered: Answered) -> None:
        """Save what an answer brings, call `_settled`, and see to those that have got nothing."""

    @abstractmethod
    def _new_preflight(self, caller: Caller) -> Preflight:
        """Who tries the endpoint first."""

    def _opened(self, preflight: Preflight) -> None:
        """The endpoint has been tried. Raises PreflightError where what it showed does not fit."""

    def _is_cut(self, wanted: W, error: CallError) -> bool:
        """Whether a question that was refused alone can be asked in a shorter way."""
        del wanted, error
        return False

    @abstractmethod
    def _introduction(self) -> str:
        """What a person is told before the first call."""

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._settings.model

    @property
    def asks(self) -> bool:
        """Whether calls are made (still)."""
        return self._asks

    @property
    def busy(self) -> bool:
        """Whether anything is in flight or waits to be asked about."""
        return bool(self._calls or len(self._packs))

    @property
    def in_flight(self) -> bool:
        """Whether calls, other than the one that asks, have something reserved that comes back in part."""
        tasks = set(self._calls)
        if self._preparing and self._dispatching is not None:
            tasks.add(self._dispatching)
        return bool(tasks - self._resting - self._company.waiting - {asyncio.current_task()})

    @property
    def notice(self) -> str:
        """What a person should see while it lasts; '' while all is well."""
        return self._outage.sentence(self._where) or self._said

    def spend(self, *, taken_over: int, stand_ins: int, waiting: int, together: int) -> Spend:
        """What is spent and how fast, for a screen, with what only who asks can tell."""
        spent, gate = read_spending(self._state), self.gate.state
        return Spend(
            backend="openai" if self._asks else "offline",
            model=self.model,
            budget_nano_usd=self.caps.nano_usd or 0,
            spent_nano_usd=spent.cost_nano_usd,
            open_nano_usd=spent.open_nano_usd,
            calls=spent.calls,
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            taken_over=taken_over,
            stand_ins=stand_ins,
            requests_per_min=gate.requests_per_min,
            requests_used=int(gate.requests_used),
            tokens_per_min=gate.tokens_per_min,
            tokens_used=int(gate.tokens_used),
            in_flight=gate.in_flight,
            waiting=waiting,
            concurrency=gate.concurrency,
            docs_per_request=together,
            throttled=gate.throttled,
            bottleneck=gate.bottleneck,
            notice=self.notice,
        )

    def add(self, wanted: W) -> None:
        """Something to ask about."""
        self._packs.add(wanted)
        self._more.set()
        if self._dispatching is None and not self._stopping.is_set():
            self._dispatching = asyncio.create_task(self._guarded(self._dispatch()))

    def limit(self, settings: ClassifySettings) -> None:
        """Take over the limits of other settings, at once. What is in flight comes back all the same.

        What got no answer because the budget was used up has its stand-in; what comes after it is asked
        about where there is more now.
        """
        before = self.caps.nano_usd or 0
        self._settings = with_calls_limited(self._settings, settings)
        self.caps = caps_of(self._settings)
        if self._caller is not None:
            self._caller.caps = self.caps
        self.gate.fix(_calls_of(self._settings))
        self._is_tight = False
        self.returned.set()  # who waits for room in the budget looks again
        if self._out_of_money and not self._stopping.is_set() and (self.caps.nano_usd or 0) > before:
            self._out_of_money = False
            self._asks, self._why_not, self._said = True, self._provider.why_not, ""
            self._asker.tell("There is budget again: the model is asked about what comes next.")

    async def close(self) -> None:
        """Send nothing more, wait for what is in flight, and close the connections."""
        self._stop()
        flying = {*self._calls, *([self._dispatching] if self._dispatching is not None else [])}
        if flying:
            _done, left = await asyncio.wait(flying, timeout=self._settings.timeout_s + _CLOSING_S)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)
        if self._client is not None:
            await self._client.close()
        gate = self.gate.state
        if gate.requests_per_min or gate.tokens_per_min:
            limits = Limits(gate.requests_per_min, gate.tokens_per_min)
            url = self._provider.endpoint.url
            with contextlib.suppress(TuiScraperError):  # a full disk ends the run with its own sentence
                await self._asker.submit(remember_limits(url, self.model, limits))

    # --- packs

    @property
    def _where(self) -> str:
        return self._provider.endpoint.shown

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._calls.add(asyncio.create_task(self._guarded(work)))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task of ours: what goes wrong in one ends the pass with its sentence, never unseen."""
        try:
            await work
        except TuiScraperError as error:
            self._end(error)
        except Exception as error:
            self._asker.crash(error)
            what = f"A mistake in tui-scraper itself ended the run ({type(error).__name__})."
            self._end(TuiScraperError(what))
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._calls.discard(task)
            self._company.returned()
            self._asker.stirred()

    async def _dispatch(self) -> None:
        while not self._stopping.is_set():
            if self._asks and self._ready is None:
                self._preparing = True  # its call is paid for, too
                await self._prepare()
                self._preparing = False
                continue
            await self._gather()
            if self._asks and self._ready is None:  # there is budget again, for the first time
                continue
            while self._is_tight and self._company.in_flight:
                self.returned.clear()
                await self.returned.wait()
            self._is_tight = False
            if self._stopping.is_set():
                return  # what is left stays in the store; only what is asked no more gets a stand-in
            if not self._asks:
                await self._asker.stand_in(self._packs.take_all(), self._why_not)
                continue
            pack = self._packs.take()
            request = self._request(pack)
            try:
                lease = await self.gate.acquire(self._expected(request))
            except asyncio.CancelledError:
                self._packs.put_back(pack)
                raise
            wanted = await self._asker.still_wanted(pack)
            rest = [one for one, still in zip(pack, wanted, strict=True) if still]
            if self._may_send() and len(rest) == len(pack):
                self._start(self._ask(pack, request, lease))
            else:
                self.gate.released(lease)
                self._packs.put_back(rest)

    async def _gather(self) -> None:
        """Wait for a full pack, or for one that does not grow any more."""
        while not len(self._packs):
            self._more.clear()
            await self._more.wait()
        while self._asks and not self._packs.full:
            before = len(self._packs)
            self._more.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_S):  # `wait_for` may lose that the task was cancelled
                    await self._more.wait()
            if len(self._packs) == before:
                return

    def _may_send(self) -> bool:
        """Whether calls are made still, after a wait."""
        return self._asks and not self._stopping.is_set()

    @property
    def _now(self) -> Ready:
        assert self._ready is not None
        return self._ready

    def _expected(self, request: Request) -> int:
        assert self._caller is not None
        return self._caller.expected(request, self._now.profile)

    async def _prepare(self) -> None:
        """The call that shows whether it works at all, before the first question of a run."""
        provider, settings, asker = self._provider, self._settings, self._asker
        url = provider.endpoint.url
        if self._client is None:
            self._client = Client(
                provider.endpoint, provider.key, settings.model, settings.timeout_s, _MOST_CONNECTIONS
            )
        self._caller = Caller(
            self._client,
            asker.submit,
            run=self._run,
            endpoint=provider.endpoint.family,
            caps=self.caps,
            effort=settings.reasoning_effort,
        )
        asker.tell(
            f"{self._introduction()}; this workspace spends at most "
            f"{dollars(self.caps.nano_usd or 0)} in all (classify.budget_usd)."
        )
        known = decode_profile(read_profile(self._state, url, settings.model))
        self._preflight = self._new_preflight(self._caller)
        try:
            self._ready = await self._within_caps(self._preflight, known)
        except StoppedError:
            return
        except CapReachedError as error:
            self._cap(error)
            return
        except PreflightError as error:
            lost = isinstance(error, NoAnswerError) and settings.on_outage == "offline"
            if not (provider.may_do_without or lost):
                raise
            self._go_offline("the model could not be used", f"{error} {self.offline_sentence}")
            return
        for warning in self._ready.warnings:
            asker.tell(warning)
        self._opened(self._preflight)
        if self._ready.profile != known:
            await asker.submit(remember_profile(url, settings.model, self._ready.profile.encode()))
        self.gate.limit_to(self._ramp.allowed)
        asker.tell(f"It answers ({self._ready.profile}); {self._ready.price}.")

    async def _within_caps(self, preflight: Preflight, known: Profile | None) -> Ready:
        """Try the endpoint as soon as what others have reserved leaves room for it."""
        while True:
            try:
                return await preflight.run(known)
            except CapReachedError:
                if not self._company.in_flight:
                    raise
                self.returned.clear()
                with self._nothing_in_flight():
                    await self.returned.wait()
                if not self._may_send():
                    raise StoppedError from None

    # --- calls

    async def _ask(self, pack: list[W], request: R, lease: Lease) -> None:
        """Ask about a pack until there is an answer, or none is to be expected."""
        leases = [lease]
        unblamed = 0
        try:
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception(_is_worth_retrying),
                wait=_backoff,
                stop=self._given_up,
                sleep=self._rest,
                reraise=True,
            ):
                with attempt:
                    try:
                        await self._once(pack, request, leases.pop() if leases else None)
                    except CallError as error:
                        unblamed += not error.counts
                        if error.verdict is Verdict.RETRY and unblamed and unblamed % _UNBLAMED == 0:
                            await self._look_closer(pack, error)
                        raise
        except StoppedError:
            self._put_back(pack)
        except CapReachedError as error:
            self._put_back(pack)
            if self._company.in_flight:  # what they have reserved is more than they will cost
                self._is_tight = True
            else:
                self._cap(error)
        except UnreadableAnswerError as error:
            self._asker.warn(f"An answer cannot be used: {error}")
            await self._unusable(pack, "no usable answer")
        except CallError as error:
            await self._failed(pack, error)

    async def _once(self, pack: list[W], request: R, lease: Lease | None) -> None:
        if lease is None:
            lease = await self._lease(request, priority=0)
        try:
            answered = await self._call(request, lease)
        except UnreadableAnswerError:
            self._settled(len(pack), 0)
            raise
        await self._take(pack, request, answered)

    async def _lease(self, request: Request, priority: int = 10) -> Lease:
        """Wait for the turn of a call. Raises StoppedError where none is made any more."""
        if not self._may_send():
            raise StoppedError
        with self._nothing_in_flight():
            lease = await self.gate.acquire(self._expected(request), priority)
        if not self._may_send():
            self.gate.released(lease)
            raise StoppedError
        return lease

    async def _call(self, request: Request, lease: Lease) -> Answered:
        """Make a call, and let the gate and the watch for outages know how it went."""
        assert self._caller is not None
        began = time.monotonic()
        try:
            answered = await self._caller.call(request, self._now.profile, self._now.price)
        except CallError as error:
            error.began = began
            error.counts = self._outage.failed(error, began)
            self._hand_back(lease, error)
            raise
        except UnreadableAnswerError as error:
            self._outage.answered()
            self.gate.succeeded(lease, error.headers)
            raise
        except BaseException:
            self.gate.released(lease)
            raise
        self._outage.answered()
        paid = answered.paid
        self.gate.succeeded(lease, answered.reply.headers, paid.tokens_in + paid.tokens_out)
        return answered

    async def _look_closer(self, pack: Sequence[W], error: CallError) -> None:
        """Whether it is the endpoint that fails again and again, or this pack: another call shows it."""
        assert self._preflight is not None
        request = self._preflight.request()
        if not error.throttled:
            lease = await self._lease(request, priority=0)
            try:
                answered = await self._call(request, lease)
            except (CallError, UnreadableAnswerError, CapReachedError):
                return
            assert self._caller is not None
            await self._caller.settle(answered)
        elif not self._outage.answered_since(error):
            return
        if len(pack) > 1:
            error.verdict = Verdict.SPLIT
        else:
            error.counts = True

    def _hand_back(self, lease: Lease, error: CallError) -> None:
        if error.throttled:
            wait_s = error.retry_after_s
            self.gate.throttled(lease, error.headers, None if wait_s is None else min(wait_s, LONGEST_WAIT_S))
        elif error.verdict is Verdict.RETRY:
            self.gate.failed(lease, timeout=error.timed_out)
        else:
            self.gate.released(lease)

    def _settled(self, asked: int, saved: int) -> None:
        """A call was paid for. Raises ModelBlockedError where too little comes of the first ones."""
        sentence = self._ramp.settled(asked, saved)
        if sentence:
            raise ModelBlockedError(sentence)
        self.gate.limit_to(self._outage.allowed(self._ramp.allowed))

    # --- when there is no answer

    async def _unusable(self, pack: Sequence[W], why: str, *, final: bool = False) -> None:
        """Answers that were paid for and are of no use: asked again in smaller company, alone, then given up.

        `final`: asked about alone, it would be no other.
        """
        if len(pack) > 1:
            self._put_back(pack, smaller=True)
            return
        [wanted] = pack
        wanted.tries += 1
        if final or wanted.tries > _UNUSABLE_TRIES:
            await self._asker.stand_in(pack, why)
        else:
            self._put_back(pack, smaller=True)

    async def _failed(self, pack: list[W], error: CallError) -> None:
        self._asker.warn(f"A call about {len(pack)} documents has failed: {error}")
        if error.verdict is Verdict.PAUSE:
            self._put_back(pack)
            self._end(self._why_blocked(error))
        elif error.verdict is Verdict.FATAL and self._outage.is_final(error):
            self._put_back(pack)
            self._end(ModelBlockedError(f"{self._where} takes no more calls. {error}"))
        elif self._outage.lasts and self._settings.on_outage == "offline":
            self._put_back(pack)
            self._go_offline(
                "the endpoint could not be reached",
                f"{self._where} cannot be reached ({error}). {self.offline_sentence}",
            )
        elif len(pack) > 1 or self._is_cut(pack[0], error):
            self._put_back(pack, smaller=True)
        else:
            await self._asker.stand_in(pack, "the endpoint refused" if error.status else "no answer")

    def _put_back(self, pack: Sequence[W], *, smaller: bool = False) -> None:
        self._packs.put_back(pack, smaller=smaller)
        self._more.set()

    def _why_blocked(self, error: CallError) -> ModelBlockedError:
        if error.retry_after_s is not None:
            until = time.localtime(time.time() + min(error.retry_after_s, 10**8))
            return ModelBlockedError(
                f"{self._where} allows no calls until {time.strftime('%Y-%m-%d %H:%M', until)}. {error} "
                "Go on after that; nothing is lost."
            )
        return ModelBlockedError(
            f"The account at {self._where} is used up. {error} Mend that and go on; nothing is lost."
        )

    def _cap(self, error: CapReachedError) -> None:
        if self._settings.on_budget == "offline":
            self._out_of_money = self._out_of_money or self._asks
            self._go_offline("the budget is used up", f"{error} {self.offline_sentence}")
        else:
            self._end(error)

    def _end(self, error: TuiScraperError) -> None:
        """No more calls in this run: what is in flight comes back, and the pass ends with this sentence."""
        self._asks = False
        self._halt(error)
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        resting = set(self._resting)
        if self._dispatching is not None and not self._preparing:
            resting.add(self._dispatching)
        for task in resting - {asyncio.current_task()}:
            task.cancel()

    def _go_offline(self, reason: str, sentence: str) -> None:
        """From here on nothing is asked any more."""
        if self._asks:
            self._asks, self._why_not, self._said = False, reason, sentence
            self._asker.tell(sentence)
        self._more.set()

    def _given_up(self, state: tenacity.RetryCallState) -> bool:
        """Whether a call that failed again is given up: never while the endpoint answers nobody."""
        error = state.outcome.exception() if state.outcome is not None else None
        if not isinstance(error, CallError):
            return True
        self.gate.limit_to(self._outage.allowed(self._ramp.allowed))
        if self._outage.lasts and self._settings.on_outage == "offline":
            return True
        if not error.counts:
            state.attempt_number -= 1
        return state.attempt_number > self._settings.max_retries

    async def _rest(self, seconds: float) -> None:
        """Wait before a call is tried again; not where the run ends meanwhile."""
        if self._may_send():
            with self._nothing_in_flight():
                await asyncio.sleep(seconds)
        if not self._may_send():
            raise StoppedError

    @contextlib.contextmanager
    def _nothing_in_flight(self) -> Iterator[None]:
        """While it waits, the task is nothing that the end of the run has to wait for."""
        task = asyncio.current_task()
        assert task is not None
        self._resting.add(task)
        try:
            yield
        finally:
            self._resting.discard(task)


def _calls_of(settings: ClassifySettings) -> int | None:
    """Calls in flight that a person has set; None: as many as the endpoint takes."""
    return None if settings.concurrency == "auto" else settings.concurrency


class StoppedError(Exception):
    """No more calls are made while one waits to be tried again."""


def _is_worth_retrying(error: BaseException) -> bool:
    return isinstance(error, CallError) and error.verdict is Verdict.RETRY


_slower = tenacity.wait_exponential(multiplier=0.5, max=30.0) + tenacity.wait_random(0.0, 0.5)


def _backoff(state: tenacity.RetryCallState) -> float:
    """Seconds before a call is tried again: more each time, and what the endpoint asks for."""
    error = cast(CallError, state.outcome.exception() if state.outcome is not None else None)
    if error.throttled:
        return _MOMENT_S  # the gate has everybody wait
    return max(_slower(state), min(error.retry_after_s or 0.0, LONGEST_WAIT_S))
