"""The pictures of the page, as inline SVG of our own: bars, parts of a whole, and a line over time.

Each has a title and a description, its values stand as text beside it, and where several things are in one
picture they differ in pattern or in line, not in colour alone. Pictures are stretched to the room there is
(`preserveAspectRatio="none"`), so no text is in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_scraper.report_page.html import Html, el, join

WIDTH, HEIGHT = 1000, 100
"""Units of a picture, whatever its size on the screen."""


def bar(part: float, whole: float, kind: str = "fill") -> Html:
    """One bar of a table; the number stands beside it. What is something is seen."""
    share = 100 * part / whole if whole else 0.0
    width = f"{max(share, 0.6):.2f}%" if part else "0"
    return el(
        "svg",
        el("rect", class_="track", width="100%", height="100%", rx=2),
        el("rect", class_=kind, width=width, height="100%", rx=2),
        class_="bar",
        aria_hidden="true",
    )


def parts(values: Sequence[tuple[str, int]], words: str) -> Html:
    """Parts of a whole beside each other: (kind, how many). `words` say the same."""
    whole = sum(value for _kind, value in values)
    least = WIDTH * 0.004
    widths = [max(least, WIDTH * value / whole) if value else 0.0 for _kind, value in values] if whole else []
    over = sum(widths) / WIDTH if widths else 1.0
    drawn, x = [], 0.0
    for (kind, _value), wide in zip(values, widths, strict=False):
        width = wide / over
        if width:
            drawn.append(el("rect", class_=f"part {kind}", x=f"{x:.2f}", width=f"{width:.2f}", height=HEIGHT))
        x += width
    return _picture("parts", "Documents by state", words, *drawn)


def columns(values: Sequence[int], marked: int, words: str) -> Html:
    """How often each of some values occurs. The first `marked` of them are hatched."""
    most = max(values, default=0) or 1
    slot = WIDTH / max(1, len(values))
    drawn = [
        el(
            "rect",
            class_="fill unsure" if at < marked else "fill",
            x=f"{at * slot + slot * 0.08:.2f}",
            y=f"{HEIGHT - _tall(value, most):.2f}",
            width=f"{slot * 0.84:.2f}",
            height=f"{_tall(value, most):.2f}",
        )
        for at, value in enumerate(values)
    ]
    return _picture("columns", "How sure the labels are", words, *drawn)


def _tall(value: int, most: int) -> float:
    return max(1.5, HEIGHT * value / most) if value else 0.0


Steps = Sequence[tuple[float, float, float]]
"""(start, end, height) one after another."""


def over_time(area: Steps, line: Steps, end: float, top: float, marks: Sequence[float], words: str) -> Html:
    """Two rates over time: one as an area, one as a dashed line; `marks` are moments to draw a rule at."""
    rules = [
        el("line", class_="grid", x1=0, x2=WIDTH, y1=HEIGHT * at / 4, y2=HEIGHT * at / 4) for at in range(5)
    ]
    begun = [
        el("line", class_="mark", x1=f"{_across(at, end)}", x2=f"{_across(at, end)}", y1=0, y2=HEIGHT)
        for at in marks
    ]
    return _picture(
        "rates",
        "Documents a second over the time of work",
        words,
        *rules,
        el("path", class_="area", d=_path(area, end, top, closed=True)),
        el("path", class_="edge", d=_path(area, end, top, closed=False)),
        el("path", class_="dashed", d=_path(line, end, top, closed=False)),
        *begun,
    )


def spans(found: Sequence[tuple[float, float]], end: float, words: str) -> Html:
    """When something went on."""
    drawn = [
        el(
            "rect",
            class_="fill",
            x=_across(start, end),
            width=f"{max(2.0, WIDTH * (stop - start) / end if end else 0):.2f}",
            y=HEIGHT * 0.25,
            height=HEIGHT * 0.5,
        )
        for start, stop in found
    ]
    track = el("rect", class_="track", width=WIDTH, height=HEIGHT * 0.5, y=HEIGHT * 0.25)
    return _picture("span", words, None, track, *drawn)


def nice_top(most: float) -> float:
    """The end of an axis: four times a round number, at or above `most`."""
    if most <= 0:
        return 4.0
    step = most / 4
    scale = 10.0 ** math.floor(math.log10(step))
    return 4 * scale * next(round_ for round_ in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if round_ * scale >= step)


def _across(at: float, end: float) -> str:
    return f"{WIDTH * at / end if end else 0:.2f}"


def _path(steps: Steps, end: float, top: float, *, closed: bool) -> str:
    points, last = [], 0.0
    for start, stop, height in steps:
        if start > last + 1e-9:
            points += [(last, 0.0), (start, 0.0)]
        points += [(start, height), (stop, height)]
        last = stop
    if not points:
        return "M0 100"
    if closed:
        points = [(points[0][0], 0.0), *points, (points[-1][0], 0.0)]
    placed = [f"{_across(at, end)} {HEIGHT - HEIGHT * min(height, top) / top:.2f}" for at, height in points]
    return "M" + "L".join(placed) + ("Z" if closed else "")


def patterns() -> Html:
    """The hatchings that parts are told apart by, also on a printer without colours. Once in a page."""
    hatch = {"failed": "M0 6L6 0", "skipped": "M0 3H6", "empty": "M3 0V6", "unsure": "M0 6L6 0"}
    made = [
        el(
            "pattern",
            el("rect", class_=f"ground {kind}", width=6, height=6),
            el("path", class_="hatch", d=path),
            id=f"of-{kind}",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        )
        for kind, path in hatch.items()
    ]
    return el("svg", el("defs", *made), class_="defs", width=0, height=0, aria_hidden="true")


def _picture(kind: str, title: str, words: str | None, *drawn: Html) -> Html:
    return el(
        "svg",
        el("title", title),
        el("desc", words) if words else None,
        join(*drawn),
        class_=kind,
        role="img",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
    )
