"""Signatures of what was read of documents, kept so that later documents are compared with earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw

from tui_scraper.engine.store.writer import Operation, Transaction


def keep_signatures(entries: Sequence[tuple[bytes, bytes]]) -> Operation[None]:
    """Keep (hash of a digest, signature) pairs."""

    def operation(transaction: Transaction) -> None:
        transaction.state.executemany("INSERT OR REPLACE INTO signature VALUES(?, ?)", entries)

    return operation


def read_signatures(connection: apsw.Connection) -> Iterable[tuple[bytes, bytes]]:
    """All that are kept, as (hash of a digest, signature)."""
    return connection.execute("SELECT digest, minhash FROM signature ORDER BY digest")
