"""SQL for "the latest result that the head can see", which search and catching up both ask for."""

from __future__ import annotations

from tui_scraper.engine.store.head import Head


def latest(head: Head, column: str, lineage: int) -> str:
    """A scalar subquery: that column of the result that counts for version `r.version` on a lineage."""
    return (
        f"(SELECT l.{column} FROM result l WHERE l.lineage = {lineage} AND l.version = r.version"  # noqa: S608
        f" AND {head.visible('l')} ORDER BY l.seq DESC LIMIT 1)"
    )
