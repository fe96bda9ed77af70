"""What models were paid, for what, and how that compares with the estimate. O(calls)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine.kept_estimate import read_estimate
from tui_scraper.engine.report.facts import Estimated, ModelUse, Spent
from tui_scraper.engine.report.labels import Shared
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.head import Head
from tui_scraper.engine.store.labelling import config_of_model, count_stand_ins
from tui_scraper.engine.store.ledger import read_spending
from tui_scraper.engine.store.vectors import count_without, is_made_here, settings_of_vectors


def read_spent(
    state: apsw.Connection, head: Head, directory: Path, settings: Settings | None, shared: Shared
) -> Spent:
    """All of it. The connection must be inside a read transaction."""
    paid = read_spending(state)
    rows: Any = state.execute(
        """SELECT kind, model, endpoint, sum(state = 'settled'), sum(state IN ('sent', 'lost')),
            sum(iif(state = 'settled', tokens_in, 0)), sum(iif(state = 'settled', tokens_out, 0)),
            sum(iif(state = 'settled', cost_nano_usd, 0))
        FROM ledger GROUP BY kind, model, endpoint ORDER BY 8 DESC, 4 DESC, kind"""
    )
    models = tuple(
        ModelUse(safe_text(kind), safe_text(model), safe_text(endpoint), *map(int, sums))
        for kind, model, endpoint, *sums in rows
    )
    vectors = settings_of_vectors(state, head)
    asks_for_vectors = vectors is not None and not is_made_here(vectors)
    wanted = asks_for_vectors or config_of_model(state, head) is not None
    budget = round(settings.classify.budget_usd * 1e9) if wanted and settings is not None else None
    kept = read_estimate(directory)
    return Spent(
        calls=paid.calls,
        tokens_in=paid.tokens_in,
        tokens_cached=paid.tokens_cached,
        tokens_out=paid.tokens_out,
        cost_nano_usd=paid.cost_nano_usd,
        open_nano_usd=paid.open_nano_usd,
        budget_nano_usd=budget,
        models=models,
        estimate=None
        if kept is None
        else Estimated(kept.documents, kept.cost_nano_usd, paid.cost_nano_usd - kept.spent_before_nano_usd),
        shared=shared.documents,
        shared_nano_usd=shared.nano_usd,
        near=shared.near,
        stand_ins=count_stand_ins(state, head),
        without_vectors=count_without(state, head),
    )
