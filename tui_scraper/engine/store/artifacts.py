"""Artifacts: the immutable results of phases, found by their keys, shared by all branches of history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.members import unpack_members
from tui_scraper.engine.wire import Member


class StoredLabel(msgspec.Struct, array_like=True, frozen=True):
    """The `data` of a classify artifact.

    `confidence` is None where whoever chose the label has not said how sure it is. `reason` is why a label
    that a model was wanted for was made on this machine; '' for any other.
    """

    labels: list[str]
    confidence: float | None
    method: str
    alternatives: list[tuple[str, float]]
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_nano_usd: int = 0
    reason: str = ""


class Configs(dict[PhaseName, bytes]):
    """Phase -> hash of its code version and settings: the left half of every artifact key."""


@dataclass(frozen=True, slots=True)
class Known:
    """An artifact that exists. `lost`: what it held was damaged; the key made again gives it back."""

    artifact: int
    output: bytes
    amount: int = 0
    lost: bool = False


LOST = "((a.phase IN (1, 2) AND a.blob IS NULL) OR (a.data IS NULL AND a.data_sum IS NOT NULL))"
"""SQL: whether the artifact `a` has lost its payload or its data."""


def find_artifacts(
    state: apsw.Connection, keys: Sequence[bytes], *, lost: bool = False
) -> dict[bytes, Known]:
    """Look artifacts up by key: those that can be used, and with `lost` also those to be made again."""
    if not keys:
        return {}
    marks = ",".join("?" * len(keys))
    rows: Any = state.execute(
        f"SELECT a.key, a.id, a.output, a.amount, {LOST} FROM artifact a WHERE a.key IN ({marks})",  # noqa: S608
        tuple(keys),
    )
    return {row[0]: Known(row[1], row[2], row[3], bool(row[4])) for row in rows if lost or not row[4]}


def sum_of(data: bytes | None) -> bytes | None:
    """The checksum of an artifact's `data`."""
    return None if data is None else digest(data)[:8]


def members_of(state: apsw.Connection, artifact: int) -> list[Member] | None:
    """The members that a clean artifact tells of, None where it is not a container's."""
    return unpack_members(state.execute("SELECT data FROM artifact WHERE id = ?", (artifact,)).get)


def cost_of(state: apsw.Connection, artifact: int | None) -> int:
    """What making an artifact has cost, in nano-dollars; 0 for none."""
    return int(state.execute("SELECT cost_nano_usd FROM artifact WHERE id = ?", (artifact,)).get or 0)


def labels_in_store(state: apsw.Connection, artifacts: Collection[int]) -> dict[int, StoredLabel]:
    """The labels of some classify artifacts. A damaged one is left out: `verify` has it made again."""
    marks = ",".join("?" * len(artifacts))
    rows: Any = state.execute(
        f"SELECT id, data FROM artifact WHERE id IN ({marks})",  # noqa: S608
        tuple(artifacts),
    )
    found = {}
    for artifact, data in rows:
        try:
            found[artifact] = msgspec.msgpack.decode(data or b"", type=StoredLabel)
        except msgspec.MsgspecError:
            continue
    return found
