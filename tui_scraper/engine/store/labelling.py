"""Recording labels that were not made by a worker: those a model was asked for, and those in their place.

The payment and what was paid for are one transaction, so neither is ever there without the other.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.store.artifacts import Configs, Known, StoredLabel, find_artifacts, sum_of
from tui_scraper.engine.store.codec import digest
from tui_scraper.engine.store.counters import add_count
from tui_scraper.engine.store.head import (
    PHASE_NUMBER,
    STATUS_NUMBER,
    Head,
    artifact_key,
    config_of,
    read_head,
)
from tui_scraper.engine.store.human import human_labels
from tui_scraper.engine.store.ledger import Paid, settle
from tui_scraper.engine.store.results import Reached, Work, ended_versions, write_results
from tui_scraper.engine.store.setbacks import put_back_done
from tui_scraper.engine.store.writer import Operation, Transaction

_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_DONE = STATUS_NUMBER[Status.DONE]
_PENDING = STATUS_NUMBER[Status.PENDING]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label with the documents that it is for. `digest` is the hash of what it was made from."""

    key: bytes
    digest: bytes
    label: StoredLabel
    works: Sequence[Work]


def label_key(configs: Configs, digest_of_text: bytes) -> bytes:
    """The key of the label that a model gives to a digest, or of what `stand_in_for` and `kin_of` say."""
    return artifact_key(configs[PhaseName.CLASSIFY], digest_of_text)


def stand_in_for(digest_of_text: bytes) -> bytes:
    """What a label is made from that this machine makes where the model's cannot be had."""
    return digest(b"stand-in\0" + digest_of_text)


def kin_of(digest_of_text: bytes) -> bytes:
    """What a label is made from that a document has from another which is nearly the same."""
    return digest(b"kin\0" + digest_of_text)


def record_labels(
    entries: Sequence[Labelled], call: int | None = None, paid: Paid | None = None
) -> Operation[list[Work]]:
    """Save labels, give them to their documents, and settle the call that they were paid with.

    Returns the documents that have their label now. One that has left the head keeps its label in the store.
    """

    def operation(transaction: Transaction) -> list[Work]:
        if call is not None and paid is not None:
            settle(transaction, call, paid, [entry.key for entry in entries])
        return _record(transaction, entries)

    return operation


def _record(transaction: Transaction, entries: Sequence[Labelled]) -> list[Work]:
    state = transaction.state
    head = read_head(state)
    lineage = head.lineages[PhaseName.CLASSIFY]
    known = find_artifacts(state, [entry.key for entry in entries], lost=True)
    ended = ended_versions(state, head, [work.version for entry in entries for work in entry.works])
    counts: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    rows, labelled = [], []
    for entry in entries:
        artifact, tokens, cost = _artifact(transaction, entry, known.get(entry.key))
        known[entry.key] = Known(artifact, entry.digest)
        for work in entry.works:
            if work.version in ended:
                continue
            before = work.reached.get(_CLASSIFY)
            if before is not None and before.status != _PENDING:
                amount, price = _amounts(transaction, before)
                _add(counts[before.status, before.cause], -1, -work.size_bytes, -amount, -price)
            _add(counts[_DONE, ""], 1, work.size_bytes, tokens, cost)
            attempt = before.attempt + 1 if before is not None else 1
            number = transaction.next_seq()
            rows.append((number, head.branch, _CLASSIFY, lineage, work.version, _DONE, artifact, attempt))
            work.reached[_CLASSIFY] = Reached(_DONE, artifact, attempt)
            labelled.append(work)
    write_results(state, rows)
    for (status, cause), (n, size_bytes, tokens, cost) in counts.items():
        add_count(state, head.branch, lineage, status, n, size_bytes, tokens, cause=cause, cost_nano_usd=cost)
    return labelled


def _artifact(transaction: Transaction, entry: Labelled, known: Known | None) -> tuple[int, int, int]:
    """(artifact, its tokens, its cost): made, made again, or the one that is there already."""
    state, label = transaction.state, entry.label
    if known is not None and not known.lost:
        return known.artifact, *_stored(transaction, known.artifact)
    data = msgspec.msgpack.encode(label)
    tokens, cost = label.tokens_in + label.tokens_out, label.cost_nano_usd
    values = (entry.digest, data, tokens, time.time(), sum_of(data), cost)
    if known is not None:
        state.execute(
            """UPDATE artifact SET output = ?, data = ?, amount = ?, created = ?, data_sum = ?, cost_nano_usd
            = ? WHERE id = ?""",
            (*values, known.artifact),
        )
        return known.artifact, tokens, cost
    artifact = transaction.next_artifact()
    state.execute(
        """INSERT INTO artifact(id, key, phase, output, data, amount, created, data_sum, cost_nano_usd)
        VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (artifact, entry.key, _CLASSIFY, *values),
    )
    return artifact, tokens, cost


def _stored(transaction: Transaction, artifact: int) -> tuple[int, int]:
    tokens, cost = transaction.state.execute(
        "SELECT amount, cost_nano_usd FROM artifact WHERE id = ?", (artifact,)
    ).get
    return int(tokens), int(cost)


def _amounts(transaction: Transaction, before: Reached) -> tuple[int, int]:
    return _stored(transaction, before.artifact) if before.artifact is not None else (0, 0)


def _add(count: list[int], *values: int) -> None:
    for at, value in enumerate(values):
        count[at] += value


def method_in_force(state: apsw.Connection, head: Head) -> str:
    """Who labels with the settings in force: `openai`, `local`, `rules`; '' before the first run."""
    lineage = head.lineages.get(PhaseName.CLASSIFY)
    config = config_of(state, lineage) if lineage is not None else None
    return str(config[1].get("method", "")) if config is not None else ""


def config_of_model(state: apsw.Connection, head: Head) -> tuple[int, dict[str, object]] | None:
    """(version, settings) of the labels in force where they are a model's; None where they are not."""
    lineage = head.lineages.get(PhaseName.CLASSIFY)
    config = config_of(state, lineage) if lineage is not None else None
    return config if config is not None and config[1].get("method") == "openai" else None


def ask_again(path: bytes | None = None) -> Operation[list[int]]:
    """Put documents back to pending whose label was made on this machine in place of a model's.

    Returns their versions. Raises UsageError where no labels of a model are wanted.
    """

    def operation(transaction: Transaction) -> list[int]:
        state = transaction.state
        head = read_head(state)
        lineage = head.lineages.get(PhaseName.CLASSIFY)
        if lineage is None or config_of_model(state, head) is None:
            raise UsageError(
                'The labels here are not those of a model. Set a key, or classify.backend = "openai", and '
                "run: every document is asked about then."
            )
        rows = list(_stand_ins(state, head, lineage, path))
        return put_back_done(transaction, head, PhaseName.CLASSIFY, lineage, rows)

    return operation


def count_stand_ins(state: apsw.Connection, head: Head) -> int:
    """How many documents have a label of this machine in place of a model's. O(documents)."""
    lineage = head.lineages.get(PhaseName.CLASSIFY)
    if lineage is None or config_of_model(state, head) is None:
        return 0
    return sum(1 for _one in _stand_ins(state, head, lineage, None))


def _stand_ins(
    state: apsw.Connection, head: Head, lineage: int, path: bytes | None
) -> Iterator[tuple[int, int, int]]:
    """(version, attempts, bytes) of documents whose label says why it is not a model's, nor a person's."""
    rows: Any = state.execute(
        f"""SELECT r.version, r.attempt, v.size_bytes, r.status, iif(a.amount = 0, a.data, NULL), v.content,
            max(r.seq)
        FROM result r JOIN version v ON v.id = r.version JOIN document d ON d.id = v.document
            LEFT JOIN artifact a ON a.id = r.artifact
        WHERE r.lineage = ? AND {head.visible()} AND {head.live()} AND (? IS NULL OR d.path = ?)
        GROUP BY r.version""",  # noqa: S608
        (lineage, path, path),
    )
    given = human_labels(state)
    for version, attempt, size_bytes, status, data, content, _seq in rows:
        if status == _DONE and data is not None and content not in given and _stands_in(data):
            yield version, attempt, size_bytes


def _stands_in(data: bytes) -> bool:
    try:
        return bool(msgspec.msgpack.decode(data, type=StoredLabel).reason)
    except msgspec.MsgspecError:
        return False
