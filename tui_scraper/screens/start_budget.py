"""The budget on the Start screen, which can be changed in its place for the run that Go begins."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from tui_scraper.formatting import Span, cut, usd
from tui_scraper.widgets.lines import Lines
from tui_scraper.widgets.text_field import TextField

_MOST_USD = 1_000_000
_BESIDE = 22
"""Cells of what stands left of the words."""


def dollars_of(text: str) -> float | None:
    """The amount that a person means; None where it is none."""
    try:
        value = float(text.strip().removeprefix("$").replace(",", ""))
    except ValueError:
        return None
    return value if 0 <= value <= _MOST_USD else None


class BudgetRow(Container):
    """A field for dollars, and what they are for. `own_usd` is what the settings say."""

    def __init__(self, own_usd: float, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._own = f"{own_usd:.2f}"
        self._own_usd = own_usd

    def compose(self) -> ComposeResult:
        """Word, field, words."""
        yield Lines(id="budget-mark")
        yield TextField(id="budget", placeholder=self._own, value=self._own)
        yield Lines(id="budget-words")

    @property
    def text(self) -> str:
        """What stands in the field."""
        return self.query_one(TextField).value

    @property
    def usd(self) -> float | None:
        """The budget that holds; None where what stands there is no amount."""
        return self._own_usd if self.text.strip() in {"", self._own} else dollars_of(self.text)

    @property
    def changed_usd(self) -> float | None:
        """The budget where it is another than that of the settings."""
        return None if self.usd == self._own_usd else self.usd

    def paint(self, spent_nano_usd: int, width: int) -> None:
        """Say what it is for, or that it is no amount."""
        mark = " ▸ " if self.query_one(TextField).has_focus else "   "
        self.query_one("#budget-mark", Lines).show([(Span(mark, "accent"), Span("budget $"))])
        if self.usd is None:
            said = Span(" is not an amount of dollars such as 2.50", "warn")
        else:
            words = f" at most, for this workspace in all; {usd(spent_nano_usd)} spent so far"
            said = Span(cut(words, width - _BESIDE), "dim")
        self.query_one("#budget-words", Lines).show([(said,)])
