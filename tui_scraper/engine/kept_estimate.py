"""The estimate that was made last, kept beside the workspace, to be compared with what comes of it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_scraper.engine.store.connection import open_state
from tui_scraper.engine.store.ledger import dollars, read_spending

if TYPE_CHECKING:
    from tui_scraper.engine.estimating import Report
    from tui_scraper.engine.llm.estimate import Range

FILE_NAME = "estimate.json"
_MOST_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class KeptEstimate:
    """Ranges are (low, expected, high). `told`: how it compares has been said once."""

    documents: tuple[int, int, int]
    cost_nano_usd: tuple[int, int, int]
    spent_before_nano_usd: int
    told: bool = False


def keep(report: Report, directory: Path) -> None:
    """Keep an estimate in the place of the one before."""
    directory.mkdir(parents=True, exist_ok=True)
    documents = report.labels.estimate.documents if report.labels is not None else report.sampled.documents
    _write(
        directory, KeptEstimate(_rounded(documents), _rounded(report.cost_nano_usd), report.spent_nano_usd)
    )


def read_estimate(directory: Path) -> KeptEstimate | None:
    """The estimate that was made last; None where there is none that can be read."""
    try:
        with (directory / FILE_NAME).open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
        return KeptEstimate(
            _three(content["documents"]),
            _three(content["cost_nano_usd"]),
            int(content["spent_before_nano_usd"]),
            bool(content.get("told", False)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def compare(directory: Path) -> str:
    """How an estimate compares with what was spent since; '' where there is none. Says it once."""
    kept = read_estimate(directory)
    if kept is None or kept.told:
        return ""
    low, expected, high = kept.cost_nano_usd
    with contextlib.closing(open_state(directory, read_only=True)) as state:
        spent = read_spending(state).cost_nano_usd - kept.spent_before_nano_usd
    with contextlib.suppress(OSError):
        _write(directory, KeptEstimate(kept.documents, kept.cost_nano_usd, kept.spent_before_nano_usd, True))
    if not (high or spent):
        return ""
    inside = "within" if low <= spent <= high else ("below" if spent < low else "above")
    return (
        f"Estimated {dollars(expected)} ({dollars(low)} to {dollars(high)}) for {kept.documents[1]:,} "
        f"documents; spent {dollars(spent)} since then: {inside} the range."
    )


def _write(directory: Path, kept: KeptEstimate) -> None:
    content = {
        "documents": kept.documents,
        "cost_nano_usd": kept.cost_nano_usd,
        "spent_before_nano_usd": kept.spent_before_nano_usd,
        "told": kept.told,
    }
    (directory / FILE_NAME).write_text(json.dumps(content), encoding="utf-8")


def _three(values: object) -> tuple[int, int, int]:
    if not isinstance(values, list) or len(values) != 3:
        raise ValueError("not a range")
    low, expected, high = (int(value) for value in values)
    return low, expected, high


def _rounded(found: Range) -> tuple[int, int, int]:
    return round(found.low), round(found.expected), round(found.high)
