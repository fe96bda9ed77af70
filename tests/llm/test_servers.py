"""The gate uses what a provider allows, whatever kind of provider it is, and is hardly ever refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from tests.llm.simulated_server import Load, SimulatedServer, Traits, usual_tokens
from tests.llm.virtual_time import run
from tui_scraper.engine.llm.gate import Gate

SAMPLE = Random(3)
USUAL_TOKENS = sum(usual_tokens(SAMPLE) for _document in range(20_000)) / 20_000

SERVERS = {
    "A requests bind": (Traits(500, 2_000_000), 600, 0.97),
    "B tokens bind": (Traits(5000, 500_000), 600, 0.97),
    "C fast": (Traits(5000, 10_000_000), 300, 0.97),
    "D bucket of one second": (Traits(3000, 10_000_000, bucket_s=1.0), 300, 0.97),
    "E fixed windows": (Traits(3000, 10_000_000, window_s=60), 300, 0.97),
    "F hidden limit": (Traits(1500, 10_000_000, tells_limits=False), 600, 0.97),
    "G hidden limit, never says when": (
        *(Traits(1500, 10_000_000, tells_limits=False, says_when=False, bucket_s=5), 600, 0.97),
    ),
    "H another user takes 40%": (Traits(3000, 10_000_000, others=(0.4, 200, 400)), 500, 0.97),
    "I local, 4 slots": (Traits(1e7, tells_limits=False, slots=4, latency_s=0.4), 600, 0.97),
    "J starts empty, 2% fail": (Traits(500, 2_000_000, failing=0.02, starts_full=0.0), 600, 0.97),
    "K local, 64 slots": (Traits(1e7, tells_limits=False, slots=64, latency_s=0.6), 300, 0.97),
    "L very fast, 2% fail": (Traits(10_000, 10_000_000, failing=0.02), 300, 0.95),
}
"""By name: a server, for how many seconds it is loaded, and the share that must be used at least."""

SOONER = {
    "B tokens bind": (300, 0.97),
    "D bucket of one second": (150, 0.96),
    "E fixed windows": (150, 0.96),
    "F hidden limit": (300, 0.97),
    "G hidden limit, never says when": (300, 0.97),
    "H another user takes 40%": SERVERS["H another user takes 40%"][1:],
    "I local, 4 slots": (300, 0.97),
    "J starts empty, 2% fail": SERVERS["J starts empty, 2% fail"][1:],
}
"""By name: half that time where it suffices, of which what it takes to find the limit is the larger part."""


def allowed(traits: Traits, seconds: float) -> float:
    """Calls that a server can answer in this time: what its buckets held at the start, and the refill."""
    if traits.slots:
        mean_s = traits.latency_s * 1.063  # of the log-normal with spread 0.35
        return traits.slots / mean_s * seconds
    held_s = 0.0 if traits.window_s else traits.bucket_s * traits.starts_full
    refill_s = seconds + held_s
    if traits.others:
        share, begin_s, end_s = traits.others
        refill_s -= share * (end_s - begin_s)
    return refill_s / 60 * min(traits.requests_per_min, traits.tokens_per_min / USUAL_TOKENS)


@pytest.mark.parametrize(
    ("name", "seconds", "least"),
    [
        *((name, *SOONER[name]) for name in SOONER),
        *(pytest.param(name, *known[1:], marks=pytest.mark.slow) for name, known in SERVERS.items()),
    ],
)
def test_a_server_is_used_to_its_limit_and_hardly_ever_refuses(
    name: str, seconds: float, least: float
) -> None:
    traits = SERVERS[name][0]
    server = SimulatedServer(traits)
    answered = run(Load(Gate(random=Random(1)), server).last(seconds))
    used = answered.calls / allowed(traits, seconds)
    print(f"{name}: {used:.1%} used, {server.share_refused:.2%} refused, {server.most_in_flight} in flight")
    assert used >= least
    assert server.share_refused < 0.01


FAILING = {
    "O 20% fail": (Traits(3000, failing=0.2), 300, 0.90, 0.01),
    "P hidden limit, 10% fail": (Traits(1500, tells_limits=False, failing=0.1), 400, 0.90, 0.015),
}
"""By name: a server, for how many seconds it is loaded, and the shares used at least and refused at most."""


@pytest.mark.parametrize("name", FAILING)
def test_a_limit_is_used_however_many_calls_fail_for_another_reason(name: str) -> None:
    traits, seconds, least, most_refused = FAILING[name]
    server = SimulatedServer(traits)
    run(Load(Gate(random=Random(1)), server).last(seconds))
    used = (server.succeeded + server.failed) / allowed(traits, seconds)
    print(f"{name}: {used:.1%} used, {server.share_refused:.2%} refused, {server.most_in_flight} in flight")
    assert used >= least
    assert server.share_refused < most_refused


@pytest.mark.parametrize(("name", "latency_s"), [("M 5 ms", 0.005), ("N 300 ms", 0.3)])
def test_refusals_and_failures_at_random_do_not_slow_calls_down(name: str, latency_s: float) -> None:
    moody, failing, hanging, timeout_s, seconds = 0.05, 0.125, 0.125, 2.0, 60
    answered = 1 - moody - failing - hanging
    traits = Traits(
        1e7,
        tells_limits=False,
        moody=moody,
        hanging=hanging / (1 - moody),
        failing=failing / (1 - moody - hanging),
        latency_s=latency_s - 0.001,
        way_s=0.0005,
    )
    server = SimulatedServer(traits)
    load = Load(Gate(random=Random(1)), server, timeout_s=timeout_s)
    calls = run(load.last(seconds)).calls
    mean_s = hanging * timeout_s + (answered + failing) * latency_s * 1.063
    plain = 64 / mean_s * answered * seconds  # 64 in flight, and at once anew whatever comes back
    print(f"{name}: {calls / plain:.1%} of 64 in flight, {server.share_refused:.2%} refused")
    assert calls >= 0.6 * plain


@pytest.mark.parametrize("seed", range(2))
def test_a_server_that_fails_the_more_the_more_is_in_flight_is_backed_off_from(seed: int) -> None:
    first, last, share = 16, 64, 0.8
    traits = Traits(
        1e7, tells_limits=False, overloaded=(first, last, share), latency_s=0.5, spread=0.1, way_s=0.001
    )
    server = SimulatedServer(traits, seed)
    calls = run(Load(Gate(random=Random(1)), server).last(300, warm_up_s=30)).calls
    best = max(fixed * (1 - share * (fixed - first) / (last - first)) for fixed in range(first, last))
    used = calls / (best / (0.5 * 1.005 + 0.002) * 270)
    print(f"Q overloaded, seed {seed}: {used:.1%} of the best fixed concurrency")
    assert used >= 0.8


DOWN = {
    "R limited": Traits(1200, bucket_s=2),
    "R local, 16 slots": Traits(1e7, tells_limits=False, slots=16, latency_s=0.4),
}


@pytest.mark.parametrize("name", DOWN)
def test_fifteen_seconds_after_an_outage_the_rate_is_what_it_was(name: str) -> None:
    server = SimulatedServer(DOWN[name])

    async def outage() -> tuple[int, int, int]:
        load = Load(Gate(random=Random(1)), server)
        before = (await load.last(90, warm_up_s=60)).calls
        server.traits, failed = replace(server.traits, failing=1.0), server.failed
        await load.last(120)
        server.traits = replace(server.traits, failing=0.0)
        return before, server.failed - failed, (await load.last(45, warm_up_s=15)).calls

    before, while_down, afterwards = run(outage())
    print(
        f"{name}: {before} in 30 s before, {while_down} in 120 s while down, {afterwards} in 30 s afterwards"
    )
    assert afterwards >= 0.9 * before


def mock_provider(requests_per_min: float, tokens_per_min: float = 1e10) -> Traits:
    """As the test server llmock limits: buckets of a minute, full at the start; refusals cost nothing."""
    return Traits(
        requests_per_min,
        tokens_per_min,
        exact_waits=True,
        charges_refused=False,
        way_s=0.002,
        latency_s=0.016,
        spread=0.5,
    )


@pytest.mark.parametrize("requests_per_min", [600, 6000])
def test_with_short_calls_the_pace_is_that_of_the_limit(requests_per_min: int) -> None:
    server = SimulatedServer(mock_provider(requests_per_min))
    answered = run(Load(Gate(random=Random(1)), server).last(200, warm_up_s=140))
    used = answered.calls / (60 / 60 * requests_per_min)
    print(f"{requests_per_min} RPM: {used:.1%} used, {server.share_refused:.2%} refused")
    assert 0.98 <= used < 1.05
    assert server.share_refused < 0.01


ESTIMATES: dict[str, Callable[[int], int]] = {
    "much too high": lambda tokens: tokens * 4,
    "too high": lambda tokens: round(tokens * 1.25),
    "too low": lambda tokens: round(tokens * 0.75),
    "too high or too low": lambda tokens: round(tokens * (0.75 + tokens % 11 / 20)),
}


@pytest.mark.parametrize(
    ("tokens_per_min", "estimate"),
    [
        *((300_000, estimate) for estimate in ESTIMATES),
        (1_500_000, "too low"),
        *(
            pytest.param(1_500_000, estimate, marks=pytest.mark.slow)
            for estimate in ESTIMATES
            if estimate != "too low"
        ),
    ],
)
def test_wrong_estimates_of_tokens_are_put_right_by_what_the_provider_tells(
    tokens_per_min: int, estimate: str
) -> None:
    server = SimulatedServer(mock_provider(60_000, tokens_per_min))
    load = Load(Gate(random=Random(1)), server, ESTIMATES[estimate])
    answered = run(load.last(300, warm_up_s=180))
    used = answered.tokens / (120 / 60 * tokens_per_min)
    print(f"{tokens_per_min} TPM, {estimate}: {used:.1%} used, {server.share_refused:.2%} refused")
    assert 0.98 <= used < 1.05
    assert server.share_refused < 0.01


def test_a_limit_that_was_set_too_high_is_corrected_by_refusals() -> None:
    server = SimulatedServer(Traits(1500, tells_limits=False))
    answered = run(Load(Gate(requests_per_min=6000, random=Random(1)), server).last(400))
    assert answered.calls >= 0.97 * allowed(server.traits, 400)
    assert server.share_refused < 0.01


def test_a_limit_that_was_set_lower_than_the_providers_is_kept() -> None:
    server = SimulatedServer(Traits(5000, 10_000_000))
    gate = Gate(requests_per_min=600, random=Random(1))
    answered = run(Load(gate, server).last(180, warm_up_s=60))
    assert 0.98 * 1200 <= answered.calls <= 1200


def test_a_server_that_becomes_slower_for_another_reason_is_not_starved() -> None:
    server = SimulatedServer(Traits(1200, latency_s=0.5))

    async def slower() -> int:
        load = Load(Gate(random=Random(1)), server)
        await load.last(150)
        server.traits = replace(server.traits, latency_s=4.0)
        return (await load.last(300, warm_up_s=150)).calls

    assert run(slower()) >= 0.97 * 150 / 60 * 1200


def test_after_an_outage_the_old_pace_is_soon_reached_again() -> None:
    server = SimulatedServer(Traits(1200))

    async def outage() -> tuple[int, int]:
        load = Load(Gate(random=Random(1)), server)
        await load.last(150)
        server.traits = replace(server.traits, failing=1.0)
        calls = server.failed
        await load.last(120)
        calls = server.failed - calls
        server.traits = replace(server.traits, failing=0.0)
        return calls, (await load.last(90, warm_up_s=30)).calls

    while_down, afterwards = run(outage())
    assert while_down < 0.3 * 120 / 60 * 1200
    assert afterwards >= 0.97 * 60 / 60 * 1200


@pytest.mark.parametrize("seed", range(3))
def test_a_server_with_one_slot_is_not_drowned(seed: int) -> None:
    server = SimulatedServer(Traits(1e7, tells_limits=False, slots=1, latency_s=5.0), seed)
    answered = run(Load(Gate(random=Random(seed)), server).last(3600, warm_up_s=600))
    assert answered.calls >= 0.9 * 3000 / (5.0 * 1.063)
    assert server.most_in_flight <= 8
