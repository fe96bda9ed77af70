"""Vectors of passages, each kept under the hash of what a model was shown, once and for all.

The vectors of one call are one payload; `vector` says where in it each is. So a passage that two documents
have, that stays when its document is edited, or that is cut the same way by other settings, has its vector
already. The index copies them from here, and whatever happens to it, none is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.store.codec import digest, pack, unpack
from tui_scraper.engine.store.head import (
    Head,
    config_of,
    read_head,
    settings_hash,
)
from tui_scraper.engine.store.labelling import ask_again, config_of_model
from tui_scraper.engine.store.ledger import SAVED, UNUSABLE, Paid, settle
from tui_scraper.engine.store.setbacks import put_back_done
from tui_scraper.engine.store.writer import Operation, Transaction, Writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDINGS = "embeddings"
"""A key in the settings of the index: which model makes the vectors, and how."""

_MADE = "made"
_HERE = "here"

_VECTORS_HELD, _LENGTH = "vectors_held:", "vectors_length:"
_PAGE = 10_000


class StoredVectors(msgspec.Struct, array_like=True, frozen=True):
    """A payload of vectors: so many numbers of a byte each, one vector after another, and their hash."""

    dimensions: int
    numbers: bytes
    sum: bytes = b""


def is_whole(vectors: StoredVectors) -> bool:
    """Whether they are what was written."""
    return vectors.dimensions > 0 and digest(vectors.numbers) == vectors.sum


def space_of(config: tuple[int, Mapping[str, object]]) -> bytes | None:
    """Which vectors can be compared with one another: those of one model, made in one way, asked for at once.

    `config` is (version, settings) of the index. None where it has no vectors.
    """
    version, settings = config
    if EMBEDDINGS not in settings:
        return None
    return settings_hash(PhaseName.INDEX, version, settings)


def space_at(state: apsw.Connection, head: Head) -> bytes | None:
    """The vectors that the index at a point of history has."""
    lineage = head.lineages.get(PhaseName.INDEX)
    return None if lineage is None else space_of(config_of(state, lineage))


def settings_of_vectors(state: apsw.Connection, head: Head) -> object | None:
    """Which model makes the vectors of the index at a point of history, and how; None where it has none."""
    lineage = head.lineages.get(PhaseName.INDEX)
    return None if lineage is None else config_of(state, lineage)[1].get(EMBEDDINGS)


def made_here(model: str) -> dict[str, object]:
    """The settings of vectors that this machine makes with a model of its own."""
    return {_MADE: _HERE, "model": model, "passage": 1}


def is_made_here(embeddings: object) -> bool:
    """Whether `embeddings`, from the settings of an index, are made on this machine: nobody need be asked."""
    return isinstance(embeddings, dict) and embeddings.get(_MADE) == _HERE


def vector_key(space: bytes, text: str) -> bytes:
    """The key of the vector of a text."""
    return digest(space + text.encode("utf-8", "surrogatepass"))


def find_vectors(state: apsw.Connection, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
    """Where the vectors with some keys are: key -> (payload, place in it)."""
    found: dict[bytes, tuple[int, int]] = {}
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        marks = ",".join("?" * len(page))
        rows: Any = state.execute(f"SELECT key, blob, place FROM vector WHERE key IN ({marks})", page)  # noqa: S608
        found.update((key, (blob, place)) for key, blob, place in rows)
    return found


def read_vector(state: apsw.Connection, blobs: apsw.Connection, key: bytes) -> NDArray[np.int8] | None:
    """The vector with a key; None where there is none. Raises ValueError where it cannot be read."""
    place = find_vectors(state, [key]).get(key)
    if place is None:
        return None
    import numpy as np

    data = blobs.execute("SELECT data FROM blob WHERE id = ?", (place[0],)).get
    stored = unpack(data if isinstance(data, bytes) else b"", StoredVectors)
    size = stored.dimensions
    numbers = stored.numbers[place[1] * size : (place[1] + 1) * size]
    if not is_whole(stored) or len(numbers) != size:
        raise ValueError("the vectors are not those that were written")
    return np.frombuffer(numbers, np.int8)


def dimensions_of(state: apsw.Connection, space: bytes) -> int:
    """How long the vectors of a space are; 0 while there is none."""
    return int(state.execute("SELECT value FROM meta WHERE key = ?", (_LENGTH + space.hex(),)).get or 0)


def record_vectors(
    space: bytes, keys: Sequence[bytes], vectors: StoredVectors, call: int, paid: Paid
) -> Operation[bool]:
    """Save the vectors of an answer, in the order of their keys, and settle what was paid for them.

    All vectors of a space are as long as its first: returns False, and saves none, where these are not.
    """

    def operation(transaction: Transaction) -> bool:
        length = dimensions_of(transaction.state, space)
        fits = bool(keys) and length in {0, vectors.dimensions}
        settle(transaction, call, paid, keys if fits else ())
        if not fits:
            return not keys
        if not length:
            transaction.state.execute(
                "INSERT INTO meta VALUES(?, ?)", (_LENGTH + space.hex(), vectors.dimensions)
            )
        payload, _output = pack(msgspec.structs.replace(vectors, sum=digest(vectors.numbers)))
        blob = transaction.next_blob()
        transaction.blobs.execute("INSERT INTO blob(id, data) VALUES(?, ?)", (blob, payload))
        transaction.state.executemany(
            """INSERT INTO vector VALUES(?, ?, ?)
            ON CONFLICT DO UPDATE SET blob = excluded.blob, place = excluded.place""",
            [(key, blob, place) for place, key in enumerate(keys)],
        )
        return True

    return operation


def forget_vectors(blobs: Iterable[int]) -> Operation[None]:
    """Payloads of vectors cannot be read: those that are needed are asked for again.

    What was paid for them counts as unusable from now on: paying again is explained by that.
    """

    def operation(transaction: Transaction) -> None:
        for blob in blobs:
            forget_payload(transaction.state, blob)

    return operation


def forget_payload(state: apsw.Connection, blob: int) -> None:
    """As `forget_vectors`, for one payload, in a transaction of the caller's."""
    state.execute(
        """UPDATE ledger_key SET state = ?
        WHERE state = ? AND key IN (SELECT key FROM vector WHERE blob = ?)""",
        (UNUSABLE, SAVED, blob),
    )
    state.execute("DELETE FROM vector WHERE blob = ?", (blob,))


def note_held(transaction: Transaction, space: bytes, rows: int) -> None:
    """Record how many vectors the committed index has of a space."""
    transaction.state.execute(
        "INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (_VECTORS_HELD + space.hex(), rows),
    )


def none_held(state: apsw.Connection, space: bytes) -> None:
    """The files of a space were removed: no number of vectors is to be expected there."""
    state.execute("DELETE FROM meta WHERE key = ?", (_VECTORS_HELD + space.hex(),))


def held_by(writer: Writer) -> Callable[[bytes, int], None]:
    """A function that notes how many vectors the files of a space have."""
    return lambda space, rows: writer.call(lambda transaction: note_held(transaction, space, rows))


def held(state: apsw.Connection, space: bytes) -> int:
    """What `note_held` has recorded: an index with fewer is not the one that the store tells of."""
    return int(state.execute("SELECT value FROM meta WHERE key = ?", (_VECTORS_HELD + space.hex(),)).get or 0)


def ask_models_again(path: bytes | None = None) -> Operation[int]:
    """Put documents back to pending that lack a label or vectors of a model because they could not be had.

    Returns how many. Raises UsageError where nothing of a model is wanted.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        head = read_head(state)
        lineage = head.lineages.get(PhaseName.INDEX)
        wanted = settings_of_vectors(state, head)
        vectors = wanted is not None and not is_made_here(wanted)
        if not vectors or config_of_model(state, head) is not None:
            versions = ask_again(path)(transaction)
        else:
            versions = []
        if lineage is None or not vectors:
            return len(versions)
        rows = _without(state, head, lineage, path)
        return len({*versions, *put_back_done(transaction, head, PhaseName.INDEX, lineage, rows)})

    return operation


def count_without(state: apsw.Connection, head: Head) -> int:
    """Documents that are in the index of a point without all the vectors that are wanted."""
    lineage = head.lineages.get(PhaseName.INDEX)
    if lineage is None:
        return 0
    return int(state.execute(f"SELECT count(*) {_lacking(head)}", (lineage, None, None)).get)


def _without(
    state: apsw.Connection, head: Head, lineage: int, path: bytes | None
) -> list[tuple[int, int, int]]:
    """(version, attempts, bytes) of those documents."""
    rows: Any = state.execute(
        f"SELECT r.version, r.attempt, v.size_bytes {_lacking(head)} ORDER BY r.version",
        (lineage, path, path),
    ).fetchall()
    return list(rows)


def _lacking(head: Head) -> str:
    """SQL: the results `r` of versions `v` that lack vectors, on a lineage, of one path or all."""
    return f"""FROM unembedded u CROSS JOIN result r ON r.seq = u.seq
            JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
        WHERE r.lineage = ? AND {head.visible()} AND {head.live()} AND (? IS NULL OR d.path = ?)
            AND NOT EXISTS (SELECT 1 FROM result l WHERE l.lineage = r.lineage AND l.version = r.version
                AND l.seq > r.seq AND {head.visible("l")})"""  # noqa: S608
