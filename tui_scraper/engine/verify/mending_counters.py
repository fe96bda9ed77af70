"""Counting everything anew after rows were mended: the head, the point that an undo leads to, checkpoints."""

from __future__ import annotations

from tui_scraper.engine.store.counters import count_anew, encode_rows, recount, recount_found
from tui_scraper.engine.store.head import decode_head, read_head, read_point
from tui_scraper.engine.verify.counters import count, counting
from tui_scraper.engine.verify.look import Look

_RECOUNTED = 30_000_000
"""Documents counted for checkpoints, the newest first: a minute. Others are counted when one goes there."""


def count_everything_anew(look: Look) -> None:
    """Make all counters anew that somebody may look at."""
    state = look.state
    head = read_head(state)
    state.execute("DELETE FROM counter")
    count_anew(state)
    budget, documents = _RECOUNTED, max(1, look.one("SELECT count(*) FROM version"))
    counted = {head.branch}
    for (before,) in look.ask("SELECT before FROM reflog ORDER BY id DESC"):
        left = decode_head(state, before)
        if left.branch not in counted and budget >= 0:
            counted.add(left.branch)
            budget -= documents
            recount_found(state, left)
            for phase in left.lineages:
                recount(state, left, phase)
    state.execute("UPDATE checkpoint SET counters = NULL")
    with counting(look):
        for (identifier,) in look.ask("SELECT id FROM checkpoint ORDER BY name IS NULL, id DESC"):
            budget -= documents
            point = read_point(state, identifier)
            if budget < 0 or point is None:
                break
            state.execute(
                "UPDATE checkpoint SET counters = ? WHERE id = ?",
                (encode_rows(count(look, point)), identifier),
            )
