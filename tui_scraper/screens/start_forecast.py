"""What Go would ask and cost, found out beside the screen and given up when another folder is chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import FolderSurvey
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.formatting import Line, Span, documents, usd
from tui_scraper.screens.aside import aside
from tui_scraper.screens.start_words import Plan, estimate_lines, who_labels
from tui_scraper.widgets.notice import sentence_lines

if TYPE_CHECKING:
    from tui_scraper.engine.estimating import Report
    from tui_scraper.engine.foreseeing import Estimating, Prospect

ESTIMATE_AFTER_S = 0.6
"""Reading a sample takes every core for seconds: not before the person has stopped choosing."""
_WAITING: Line = (Span("   …", "dim"),)


class Forecast:
    """Who would label in a run over one folder, and what that would cost and take. `changed` repaints."""

    def __init__(self, settings: Settings, changed: Callable[[], None]) -> None:
        self._settings = settings
        self._changed = changed
        self._prospect: Prospect | None = None
        self._report: Report | None = None
        self._estimating: Estimating | None = None
        self._nobody = self._no_estimate = ""
        self._made_for: tuple[Plan, FolderSurvey | None] | None = None

    @property
    def spends(self) -> bool:
        """Whether a run may cost money, as far as is known."""
        return self._prospect is not None and self._prospect.spends

    @property
    def spent_nano_usd(self) -> int:
        """What the workspace has spent already."""
        return self._prospect.spent_nano_usd if self._prospect is not None else 0

    def give_up(self) -> None:
        """What is known is of another folder, or of another time."""
        if self._estimating is not None:
            self._estimating.give_up()
        self._estimating = self._report = self._prospect = None
        self._nobody = self._no_estimate = ""

    async def make(self, plan: Plan, found: FolderSurvey | None) -> None:
        """Find out who would label, and then, when nothing more is typed, what it would cost and take."""
        from tui_scraper.engine.foreseeing import Estimating, foresee

        source = plan.source
        if source is None or (self._report is not None and self._made_for == (plan, found)):
            return
        self.give_up()
        self._made_for = plan, found
        try:
            prospect = await aside(lambda: foresee(source, self._settings, plan.place))
        except TuiScraperError as error:
            self._nobody = safe_text(str(error))
            self._changed()
            return
        self._prospect = prospect
        self._changed()
        if not self._is_worth_it(plan, found):
            return
        await asyncio.sleep(ESTIMATE_AFTER_S)
        estimating = self._estimating = Estimating(source, prospect.choice, plan.place)
        report, trouble = None, ""
        try:
            report = await aside(estimating.make)
        except TuiScraperError as error:
            trouble = safe_text(str(error))
        except OSError as error:
            trouble = f"No sample could be read: {error.strerror}."
        finally:
            estimating.give_up()
        if self._estimating is estimating:
            self._estimating, self._report, self._no_estimate = None, report, trouble
            self._changed()

    def _is_worth_it(self, plan: Plan, found: FolderSurvey | None) -> bool:
        return (
            found is not None and found.files > 0 and not plan.holder and (self.spends or not plan.complete)
        )

    def asks_anew(self, plan: Plan) -> str:
        """What Go would have a model do with documents that have all their labels; '' for nothing."""
        if not (self.spends and plan.complete):
            return ""
        if self._report is None:
            return "A model labels now: what it has not labelled yet is asked about, within the budget."
        asked = self._report.labels or self._report.vectors
        left = asked.estimate.documents.expected - asked.estimate.have if asked is not None else 0
        if left < 1:
            return ""
        cost = usd(round(self._report.cost_nano_usd.expected))
        return f"A model is asked about {documents(round(left))}, for about {cost}."

    def estimate(self, plan: Plan, found: FolderSurvey | None, budget_usd: float, width: int) -> list[Line]:
        """Cost and time."""
        if self._nobody:
            return [(Span("   not known while nobody can be asked", "dim"),)]
        if self._no_estimate:
            return sentence_lines(" ", self._no_estimate, "warn", width)
        if self._report is not None:
            return estimate_lines(self._report, self.spent_nano_usd, budget_usd, width)
        if self._prospect is None or found is None:
            return [_WAITING]
        if self._is_worth_it(plan, found):
            return [(Span("   reading a sample …", "dim"),)]
        said = "nothing is pending; only what has changed is read" if plan.complete else "nothing to read"
        return [(Span(f"   $0: {said}", "dim"),)]

    def labels(self, width: int) -> list[Line]:
        """Who labels, and why."""
        if self._nobody:
            return sentence_lines("✗", self._nobody, "bad", width)
        if self._prospect is None:
            return [_WAITING]
        return who_labels(self._prospect, self._settings.classify.backend, width)
