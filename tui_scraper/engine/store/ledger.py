"""The ledger: every call to a model, written down before it is sent and settled by what comes back.

One transaction writes the call with what it can cost at most, and refuses it where that does not fit under
a cap; so a cap holds whatever the calls in flight turn out to cost, and whatever kills the process between.
A call whose answer never came stays counted with that most. Money is in nano-dollars, whole numbers.
`spending` keeps the sums in the same transactions, because the ledger of a million documents is long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import apsw

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.store.writer import Operation, Transaction

SENT, SETTLED, RELEASED, LOST = "sent", "settled", "released", "lost"
"""States of a call: without an answer so far; answered; not billed; without an answer for ever."""

OPEN, SAVED, UNUSABLE = 0, 1, 2
"""What became of one key that a call has asked for: nothing yet, an artifact, no usable answer."""

_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent, for as long as the workspace lives. None: no cap.

    `unsaved_tokens` bounds the tokens that are paid while nothing comes of them: those of calls from which
    nothing could be saved, less those of calls from which something could.
    """

    nano_usd: int | None = None
    tokens: int | None = None
    unsaved_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that is about to be made, with what it can take and cost at most."""

    run: int
    kind: str
    endpoint: str
    model: str
    tokens_in: int
    tokens_out: int
    cost_nano_usd: int
    keys: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Paid:
    """What a call has taken, as its answer says. `tokens_cached` are among `tokens_in`."""

    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost_nano_usd: int


@dataclass(frozen=True, slots=True)
class Spending:
    """The sums of the ledger. `open_…` are those of calls without an answer, at their most."""

    calls: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    cost_nano_usd: int = 0
    open_tokens: int = 0
    open_nano_usd: int = 0
    unsaved_tokens: int = 0

    @property
    def most_nano_usd(self) -> int:
        """What has been spent at most: a call without an answer may have been billed."""
        return self.cost_nano_usd + self.open_nano_usd


class CapReachedError(TuiScraperError):
    """The next call does not fit under a cap of the settings; nothing was sent."""

    exit_code = 4


def read_spending(connection: apsw.Connection) -> Spending:
    """The sums of the ledger."""
    row: Any = connection.execute(f"SELECT {_COLUMNS} FROM spending").fetchone()  # noqa: S608
    return Spending(*row) if row is not None else Spending()


_COLUMNS = (
    "calls, tokens_in, tokens_cached, tokens_out, cost_nano_usd, open_tokens, open_nano_usd, unsaved_tokens"
)


def reserve(intent: Intent, caps: Caps) -> Operation[int]:
    """Write down a call, before it is sent. Returns its number.

    Raises CapReachedError, and writes nothing, where what it may take at most does not fit under the caps.
    """

    def operation(transaction: Transaction) -> int:
        state = transaction.state
        if not state.execute("SELECT count(*) FROM spending").get:
            mend_spending(state)  # damage must not make a cap forget
        _refuse(state, read_spending(state), intent, caps)
        state.execute(
            """INSERT INTO ledger(run, kind, endpoint, model, state, tokens_in, tokens_out, cost_nano_usd,
            time) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                intent.run,
                intent.kind,
                intent.endpoint,
                intent.model,
                SENT,
                intent.tokens_in,
                intent.tokens_out,
                intent.cost_nano_usd,
                time.time(),
            ),
        )
        call = state.last_insert_rowid()
        state.executemany(
            "INSERT INTO ledger_key VALUES(?, ?, ?)", [(call, key, OPEN) for key in intent.keys]
        )
        state.execute(
            "UPDATE spending SET open_tokens = open_tokens + ?, open_nano_usd = open_nano_usd + ?",
            (intent.tokens_in + intent.tokens_out, intent.cost_nano_usd),
        )
        return call

    return operation


def _refuse(state: apsw.Connection, spent: Spending, intent: Intent, caps: Caps) -> None:
    usd = spent.most_nano_usd
    if caps.nano_usd is not None and usd + intent.cost_nano_usd > caps.nano_usd:
        raise CapReachedError(
            f"The budget is used up: {dollars(usd)} of {dollars(caps.nano_usd)} are spent or reserved, and "
            f"the next call may cost up to {dollars(intent.cost_nano_usd)}. "
            "Raise classify.budget_usd (or --budget) and go on; everything finished is saved."
        )
    tokens = spent.tokens_in + spent.tokens_out + spent.open_tokens
    if caps.tokens is not None and tokens + intent.tokens_in + intent.tokens_out > caps.tokens:
        raise CapReachedError(
            f"The token budget is used up: {tokens:,} of {caps.tokens:,} tokens are spent or reserved. "
            "Raise classify.budget_tokens and go on; everything finished is saved."
        )
    if caps.unsaved_tokens is not None and _unsaved(state, spent) >= caps.unsaved_tokens:
        raise CapReachedError(
            f"{spent.unsaved_tokens:,} tokens were paid and nothing came of them that could be saved, so no "
            "more calls are made. `tui-scraper doctor` tries one; raise classify.unsaved_tokens to go on."
        )


def _unsaved(state: apsw.Connection, spent: Spending) -> int:
    """Tokens that nothing came of; once there are some, those in flight may bring nothing either."""
    if not spent.unsaved_tokens:
        return 0
    flying = state.execute(
        "SELECT coalesce(sum(tokens_in + tokens_out), 0) FROM ledger WHERE state = ?", (SENT,)
    ).get
    return spent.unsaved_tokens + int(flying)


def dollars(nano_usd: int) -> str:
    """To the cent, and where cents say too little, to what counts: `$5.00`, `$0.0312`, `$0.000014`."""
    usd = nano_usd / _NANO
    digits = 4 if usd >= 0.001 or not nano_usd else 7
    whole = f"{usd:.{digits}f}".rstrip("0")
    return f"${whole}" if len(whole.rpartition(".")[2]) > 2 else f"${usd:.2f}"


def settle(transaction: Transaction, call: int, paid: Paid, saved: Sequence[bytes]) -> None:
    """Enter what a call has cost, in the transaction that saves what came of it under the keys `saved`."""
    state = transaction.state
    most = _most(state, call)
    if most is None:
        return
    state.execute(
        """UPDATE ledger SET state = ?, tokens_in = ?, tokens_cached = ?, tokens_out = ?, cost_nano_usd = ?,
        ended = ? WHERE id = ?""",
        (
            SETTLED,
            paid.tokens_in,
            paid.tokens_cached,
            paid.tokens_out,
            paid.cost_nano_usd,
            time.time(),
            call,
        ),
    )
    asked = int(state.execute("SELECT count(*) FROM ledger_key WHERE call = ?", (call,)).get)
    state.execute("UPDATE ledger_key SET state = ? WHERE call = ?", (UNUSABLE, call))
    state.executemany(
        "UPDATE ledger_key SET state = ? WHERE call = ? AND key = ?", [(SAVED, call, key) for key in saved]
    )
    tokens = paid.tokens_in + paid.tokens_out
    wasted = 0 if not asked else tokens * (asked - len(saved)) // asked
    state.execute(
        """UPDATE spending SET calls = calls + 1, tokens_in = tokens_in + ?, tokens_cached = tokens_cached +
        ?, tokens_out = tokens_out + ?, cost_nano_usd = cost_nano_usd + ?, open_tokens = open_tokens - ?,
        open_nano_usd = open_nano_usd - ?, unsaved_tokens = max(0, unsaved_tokens + ?)""",
        (
            paid.tokens_in,
            paid.tokens_cached,
            paid.tokens_out,
            paid.cost_nano_usd,
            *most,
            wasted - (tokens - wasted) if saved else wasted,
        ),
    )


def release(call: int, reason: str) -> Operation[None]:
    """A call that was not billed: it was refused, or never left."""

    def operation(transaction: Transaction) -> None:
        state = transaction.state
        most = _most(state, call)
        if most is None:
            return
        state.execute(
            """UPDATE ledger SET state = ?, reason = ?, tokens_in = 0, tokens_out = 0, cost_nano_usd = 0,
            ended = ? WHERE id = ?""",
            (RELEASED, reason, time.time(), call),
        )
        state.execute(
            "UPDATE spending SET open_tokens = open_tokens - ?, open_nano_usd = open_nano_usd - ?", most
        )

    return operation


def lose(call: int, reason: str) -> Operation[None]:
    """A call that was sent and will not be answered: it may have been billed, so it stays counted."""

    def operation(transaction: Transaction) -> None:
        transaction.state.execute(
            "UPDATE ledger SET state = ?, reason = ?, ended = ? WHERE id = ? AND state = ?",
            (LOST, reason, time.time(), call, SENT),
        )

    return operation


def lose_all(transaction: Transaction) -> int:
    """Calls that a process which is no more had in flight. Returns how many there were."""
    state = transaction.state
    state.execute(
        "UPDATE ledger SET state = ?, reason = ?, ended = ? WHERE state = ?",
        (LOST, "the program ended before the answer came", time.time(), SENT),
    )
    return state.changes()


def _most(state: apsw.Connection, call: int) -> tuple[int, int] | None:
    """What an open call has reserved: tokens and nano-dollars. None where it is open no longer."""
    row: Any = state.execute(
        "SELECT tokens_in + tokens_out, cost_nano_usd FROM ledger WHERE id = ? AND state IN (?, ?)",
        (call, SENT, LOST),
    ).fetchone()
    return (int(row[0]), int(row[1])) if row is not None else None


def sum_up(connection: apsw.Connection) -> Spending:
    """The sums of the ledger, counted: O(calls). `unsaved_tokens` is not among what the ledger tells."""
    settled = connection.execute(
        """SELECT count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_cached), 0),
        coalesce(sum(tokens_out), 0), coalesce(sum(cost_nano_usd), 0) FROM ledger WHERE state = ?""",
        (SETTLED,),
    ).get
    unanswered = connection.execute(
        """SELECT coalesce(sum(tokens_in + tokens_out), 0), coalesce(sum(cost_nano_usd), 0) FROM ledger
        WHERE state IN (?, ?)""",
        (SENT, LOST),
    ).get
    return Spending(*settled, *unanswered)


def mend_spending(connection: apsw.Connection) -> None:
    """Put the sums right. Payments whose rows are lost stay counted, as one: a cap is a promise."""
    kept, counted = read_spending(connection), sum_up(connection)
    missing = (
        max(0, kept.tokens_in - counted.tokens_in),
        max(0, kept.tokens_cached - counted.tokens_cached),
        max(0, kept.tokens_out - counted.tokens_out),
        max(0, kept.cost_nano_usd - counted.cost_nano_usd),
    )
    lost = max(0, kept.open_tokens - counted.open_tokens), max(0, kept.open_nano_usd - counted.open_nano_usd)
    if any(lost):
        connection.execute(
            """INSERT INTO ledger(run, kind, endpoint, model, state, tokens_in, cost_nano_usd, reason, time)
            VALUES(0, 'label', '', '', ?, ?, ?, ?, ?)""",
            (LOST, *lost, "calls whose records were lost", time.time()),
        )
    if any(missing):
        connection.execute(
            """INSERT INTO ledger(run, kind, endpoint, model, state, tokens_in, tokens_cached, tokens_out,
            cost_nano_usd, reason, time) VALUES(0, 'label', '', '', ?, ?, ?, ?, ?, ?, ?)""",
            (SETTLED, *missing, "payments whose records were lost", time.time()),
        )
    connection.execute("DELETE FROM spending")
    sums = replace(sum_up(connection), unsaved_tokens=max(0, kept.unsaved_tokens))
    connection.execute(
        f"INSERT INTO spending(one, {_COLUMNS}) VALUES(1, ?, ?, ?, ?, ?, ?, ?, ?)",
        astuple(sums),
    )


@dataclass(frozen=True)
class Unanswered:
    """A call whose answer never came. `repeated` are those of its keys that another call was paid for."""

    call: int
    kind: str
    time: float
    reason: str
    keys: int
    repeated: int
    most_nano_usd: int
    state: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of what was asked of a model: labels of documents, or vectors of passages.

    `asked` counts them in answered calls: `saved` answers about as many different texts, `unusable` ones that
    were asked for again or given up, and `repeated` ones about a text that had its answer already.
    `explained` of those had been asked for in a call that was never answered; the rest should not be.
    """

    asked: int = 0
    saved: int = 0
    unusable: int = 0
    repeated: int = 0
    explained: int = 0


@dataclass(frozen=True)
class Audit:
    """What was paid for, and what came of it.

    `stand_ins` documents have a label of this machine because that of the model could not be had, and
    `without_vectors` not all the vectors that were wanted.
    """

    spending: Spending
    counted: Spending
    canaries: int
    audits: int
    labels: Answers
    vectors: Answers
    unanswered: tuple[Unanswered, ...] = field(default=())
    stand_ins: int = 0
    without_vectors: int = 0

    @property
    def proven(self) -> bool:
        """Paid = unique + listed: each repeated payment is explained, and the sums are those of the calls."""
        sums = [
            (spent.calls, spent.tokens_in, spent.tokens_out, spent.cost_nano_usd, spent.open_nano_usd)
            for spent in (self.spending, self.counted)
        ]
        unexplained = [found.repeated - found.explained for found in (self.labels, self.vectors)]
        return unexplained == [0, 0] and sums[0] == sums[1]


def audit(connection: apsw.Connection) -> Audit:
    """Go through the whole ledger. O(calls)."""
    kinds: dict[str, int] = dict(
        connection.execute("SELECT kind, count(*) FROM ledger WHERE state = ? GROUP BY kind", (SETTLED,))
    )
    answered = """FROM ledger_key k2 JOIN ledger l2 ON l2.id = k2.call WHERE l2.state = 'settled'
        AND l2.kind = l.kind"""
    rows: Any = connection.execute(
        f"""SELECT l.id, l.kind, l.time, l.reason, count(k.key),
            coalesce(sum(k.key IN (SELECT k2.key {answered})), 0), l.cost_nano_usd, l.state
        FROM ledger l LEFT JOIN ledger_key k ON k.call = l.id
        WHERE l.state IN ('sent', 'lost') GROUP BY l.id ORDER BY l.id"""  # noqa: S608
    )
    return Audit(
        spending=read_spending(connection),
        counted=sum_up(connection),
        canaries=kinds.get("canary", 0),
        audits=kinds.get("audit", 0),
        labels=_answers(connection, "label"),
        vectors=_answers(connection, "embed"),
        unanswered=tuple(Unanswered(*row) for row in rows),
    )


def _answers(connection: apsw.Connection, kind: str) -> Answers:
    answers = """FROM ledger_key k JOIN ledger l ON l.id = k.call WHERE l.state = 'settled' AND l.kind = ?"""
    asked = int(connection.execute(f"SELECT count(*) {answers}", (kind,)).get)
    paid, unique = connection.execute(
        f"SELECT count(*), count(DISTINCT k.key) {answers} AND k.state = ?",
        (kind, SAVED),
    ).get
    lost = "SELECT k.key FROM ledger_key k JOIN ledger l ON l.id = k.call WHERE l.state IN ('sent', 'lost')"
    explained = int(
        connection.execute(
            f"""SELECT coalesce(sum(n - 1), 0) FROM (
            SELECT k.key AS key, count(*) AS n {answers} AND k.state = ? GROUP BY k.key HAVING n > 1)
            WHERE key IN ({lost})""",  # noqa: S608
            (kind, SAVED),
        ).get
    )
    return Answers(asked, unique, asked - paid, paid - unique, explained)
