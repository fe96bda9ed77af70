"""How the list of documents opens, scrolls, filters and sorts at a million of them.

    python -m benchmarks.lists [--documents 1000000] [--rounds 20] [--workspace DIR]

Fills a workspace through the real store (as `benchmarks.history` does), reads the list as the Documents
screen does, and measures in this process: the first rows, all of the list, a page of rows in the middle, one
document whole, filters and orders. The peer in the same run is what one would write first: an SQL `LIKE` over
all paths for each letter that is typed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.history import fill
from tui_scraper.engine.document_details import DocumentReader, Order
from tui_scraper.engine.store.connection import open_state

FILTERS = (
    "7",
    "folder-0042",
    "document-0001234",
    "label-7",
    "status:failed",
    "label:label-3 folder -corrupt",
)


def measure(directory: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each thing."""
    found: dict[str, list[float]] = {}

    def timed(name: str, action: Callable[[], object]) -> None:
        started = time.perf_counter()
        action()
        found.setdefault(name, []).append((time.perf_counter() - started) * 1000)

    def first() -> None:
        with DocumentReader(directory) as reader:
            reader.count()
            reader.first(200)

    for _ in range(rounds):
        timed("first rows", first)
    with DocumentReader(directory) as reader:
        for _ in range(max(2, rounds // 7)):
            timed("the whole list", reader.catalogue)
        catalogue = reader.catalogue()
        middle, everything = len(catalogue) // 2, catalogue.select("")
        for at in range(rounds):
            page = catalogue.versions[middle + at * 211 : middle + at * 211 + 200].tolist()
            timed("a page of rows", partial(reader.rows, page))
            timed("one document", partial(reader.details, page[0]))
            for query in FILTERS:
                timed(f"filter {query}", partial(catalogue.select, query))
            for order in (Order.LEAST_SURE, Order.LARGEST):
                timed(f"order {order}", partial(catalogue.sort, everything, order))
    state = open_state(directory, read_only=True)
    try:
        like = "SELECT count(*) FROM document WHERE lower(CAST(path AS TEXT)) LIKE ?"
        for _ in range(rounds):
            timed("peer: LIKE over all paths", lambda: state.execute(like, ("%folder-0042%",)).get)
    finally:
        state.close()
    return found


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workspace", type=Path, help="keep it here, or take the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.workspace or Path(temporary) / "w"
        if not directory.exists():
            print(f"filled at {fill(directory, options.documents):,.0f} documents a second")
        for name, times in measure(directory, options.rounds).items():
            p50, worst = statistics.median(times), max(times)
            print(f"{name:42} {p50:9.1f} ms   worst {worst:9.1f}   of {len(times)}")


if __name__ == "__main__":
    main()
