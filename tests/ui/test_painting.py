"""How often the screen is painted, by what the terminal takes; and that what is hidden rests."""

from __future__ import annotations

from dataclasses import replace

from seeing import MakeApp, until, until_text
from served import ServedHost, busy

from tui_scraper.engine.models import RunSnapshot
from tui_scraper.pace import Pace

TICK_S = 0.25


def painted(pace: Pace, waiting: str, *, begin: int = 0) -> str:
    """A letter for each tick: P where it paints. In `waiting` a w is a tick at which something waits."""
    return "".join(
        "P" if pace.due((begin + number) * TICK_S, waiting=one == "w") else "."
        for number, one in enumerate(waiting)
    )


def test_a_line_that_takes_everything_is_painted_at_every_tick() -> None:
    assert painted(Pace(), "........") == "PPPPPPPP"


def test_one_frame_that_is_still_on_its_way_costs_one_tick() -> None:
    assert painted(Pace(), ".w..w...") == "P.PP.PPP"


def test_a_slow_line_is_painted_half_as_often_until_nothing_has_waited_for_five_seconds() -> None:
    pace = Pace()
    assert painted(pace, ".ww") == "P.."
    assert pace.slow
    assert painted(pace, "........", begin=3) == "P.P.P.P."
    assert painted(pace, "w...", begin=11) == ".P.P"
    assert painted(pace, "." * 16, begin=15).count("P") == 8
    assert not painted(pace, "." * 3, begin=31).count(".")
    assert not pace.slow


def test_nothing_is_painted_onto_a_line_that_stands_still() -> None:
    assert "P" not in painted(Pace(), "w" * 40)


class Moving(ServedHost):
    """Every snapshot differs from the one before."""

    ticks = 0

    def snapshot(self) -> RunSnapshot:
        self.ticks += 1
        return replace(self.now, elapsed_s=float(self.ticks))


async def test_screens_that_are_hidden_do_no_work(make_app: MakeApp) -> None:
    host = Moving(busy())
    app = make_app(host=host)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_text(pilot, "RUNNING")
        hidden = [name for name in app._screens if name not in {"run", "start"}]
        for key in ("f", "c", "5", "l"):
            await pilot.press("escape", key)
            await pilot.pause()
        await pilot.press("1")
        await until_text(pilot, "Phases")
        painted: list[str] = []

        ticks = host.ticks
        for name in hidden:
            app._screens[name].repaint = lambda name=name: painted.append(name)  # type: ignore[method-assign]
        await until(pilot, lambda: host.ticks > ticks + 8)
        assert not painted
        timers = [
            (name, timer)
            for name in hidden
            for widget in app._screens[name].walk_children(with_self=True)
            for timer in widget._timers
            if timer._active.is_set() and timer._repeat is None
        ]
        assert not timers, "nothing ticks behind the screen in view"
