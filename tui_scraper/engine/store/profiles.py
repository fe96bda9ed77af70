"""How endpoints want to be asked: what a preflight has found out, kept for the next run."""

from __future__ import annotations

import time

import apsw
import msgspec

from tui_scraper.engine.store.writer import Operation, Transaction


class Limits(msgspec.Struct, frozen=True):
    """What an endpoint allows a minute, as far as it has told; None where it has not."""

    requests_per_min: float | None = None
    tokens_per_min: float | None = None


def read_profile(connection: apsw.Connection, endpoint: str, model: str) -> str | None:
    """What is known of a model at an endpoint, as JSON; None for nothing."""
    found = connection.execute(
        "SELECT json FROM profile WHERE endpoint = ? AND model = ?", (endpoint, model)
    ).get
    return found if isinstance(found, str) else None


def remember_profile(endpoint: str, model: str, text: str) -> Operation[None]:
    """Keep what was found out."""

    def operation(transaction: Transaction) -> None:
        transaction.state.execute(
            "INSERT OR REPLACE INTO profile VALUES(?, ?, ?, ?)", (endpoint, model, text, time.time())
        )

    return operation


def read_limits(connection: apsw.Connection, endpoint: str, model: str) -> Limits:
    """What an endpoint allowed for a model when it was last asked."""
    found = connection.execute("SELECT value FROM meta WHERE key = ?", (_limits_key(endpoint, model),)).get
    try:
        return msgspec.json.decode(found, type=Limits) if isinstance(found, str) else Limits()
    except msgspec.MsgspecError:
        return Limits()


def remember_limits(endpoint: str, model: str, limits: Limits) -> Operation[None]:
    """Keep what an endpoint allows."""

    def operation(transaction: Transaction) -> None:
        transaction.state.execute(
            "INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (_limits_key(endpoint, model), msgspec.json.encode(limits).decode()),
        )

    return operation


def _limits_key(endpoint: str, model: str) -> str:
    return f"limits:{endpoint} {model}"
