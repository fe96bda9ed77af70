"""What a pilot has shown: a sample that went through all phases for real, and the whole reckoned from it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from tui_scraper.engine.llm.estimate import Projection, project
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.connection import open_state, snapshot
from tui_scraper.engine.store.head import Head, read_head
from tui_scraper.engine.store.ledger import read_spending
from tui_scraper.engine.store.results import sampled
from tui_scraper.engine.store.vectors import space_at


@dataclass(frozen=True)
class Pilot:
    """`files` of all, `looked_at` in the pilot, `labelled` documents that came of them by the model.

    `embedded` are its documents with vectors of a model.

    `cost` (nano-dollars) and `tokens` are those that all files will take.
    """

    files: int
    looked_at: int
    labelled: int
    embedded: int
    cost_nano_usd: int
    cost: Projection
    tokens: Projection


def look_at_pilot(directory: Path, size: int) -> Pilot:
    """Reckon the whole from the files of a pilot, which has just been run.

    A file stands for itself and what is inside it. One whose label was there already costs nothing, as others
    like it will. What calls cost beyond labels and vectors (to see whether it works, unusable answers) is not
    in it.
    """
    with contextlib.closing(open_state(directory, read_only=True)) as state, snapshot(state, directory):
        head = read_head(state)
        chosen = sampled(state, head, size)
        rows: Any = state.execute(
            f"""SELECT coalesce(nullif(d.parent, 0), d.id), coalesce(a.cost_nano_usd, 0),
                coalesce(a.amount, 0), max(r.seq)
            FROM result r JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
                JOIN artifact a ON a.id = r.artifact
            WHERE r.lineage = ? AND r.status = 1 AND {head.visible()} AND {head.live()}
            GROUP BY r.version""",  # noqa: S608
            (head.lineages[PhaseName.CLASSIFY],),
        ).fetchall()
        files = int(
            state.execute(
                f"""SELECT count(*) FROM version v JOIN document d ON d.id = v.document
                WHERE d.parent = 0 AND {head.live()}"""  # noqa: S608
            ).get
        )
        vectors = _vectors(state, head)
        spent = read_spending(state)
    costs = dict.fromkeys(chosen, 0.0)
    amounts = dict.fromkeys(chosen, 0.0)
    labelled = 0
    for root, cost, amount, _seq in rows:
        if root in costs:
            costs[root] += cost
            amounts[root] += amount
            labelled += amount > 0
    embedded = 0
    for root, cost, amount in vectors:
        if root in costs:
            costs[root] += cost
            amounts[root] += amount
            embedded += 1
    return Pilot(
        files=files,
        looked_at=len(chosen),
        labelled=labelled,
        embedded=embedded,
        cost_nano_usd=spent.cost_nano_usd,
        cost=project(list(costs.values()), files),
        tokens=project(list(amounts.values()), files),
    )


def _vectors(state: apsw.Connection, head: Head) -> list[tuple[int, float, float]]:
    """(file, nano-dollars, tokens) of documents that have vectors of a model.

    A call is about passages of many documents: each counts for its share of all tokens in chunks.
    """
    if space_at(state, head) is None:
        return []
    rows: Any = state.execute(
        f"""SELECT coalesce(nullif(d.parent, 0), d.id), a.amount, max(r.seq), max(k.seq)
        FROM result r JOIN result k ON k.version = r.version AND k.lineage = ?
            JOIN artifact a ON a.id = k.artifact
            JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
        WHERE r.lineage = ? AND r.status = 1 AND {head.visible()} AND {head.visible("k")} AND {head.live()}
            AND NOT EXISTS (SELECT 1 FROM unembedded u WHERE u.seq = r.seq)
        GROUP BY r.version""",  # noqa: S608
        (head.lineages[PhaseName.CHUNK], head.lineages[PhaseName.INDEX]),
    ).fetchall()
    cost, sent = state.execute(
        """SELECT coalesce(sum(cost_nano_usd), 0), coalesce(sum(tokens_in), 0) FROM ledger
        WHERE kind = 'embed' AND state = 'settled'"""
    ).get
    tokens = sum(amount for _root, amount, *_ in rows) or 1
    return [(root, cost * amount / tokens, sent * amount / tokens) for root, amount, *_ in rows]
