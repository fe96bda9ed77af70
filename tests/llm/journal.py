"""What the model server was asked, what it did and what that would have cost, one record for each request.

The judge of a client reads it after the client is dead, so nothing of it is the client's word: a line goes to
the file when it is decided what a request gets, and a second, short one when the answer is written. Of keys
only whether they came along is kept.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

GOOD = "good"
FOREIGN = "foreign"
"""The behaviour of a request that came to the second listener, where a redirect had sent it."""


@dataclass
class Record:
    """One request. Times are of the monotonic clock, in seconds.

    `behaviour`: `good`, a name of the registry, `foreign`, or `refused: CODE` where a real endpoint would
    have refused the request, too. `good`: the answer is one that a client has to take. `documents`: the hash
    of each stripped text, by id. `seen`: how often the same body had come before. `whole`: all that was meant
    to be written was, to a client that was still there.
    """

    number: int
    received: float
    path: str
    api: str = ""
    behaviour: str = GOOD
    status: int = 200
    good: bool = False
    documents: dict[str, str] = field(default_factory=dict)
    billed: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    credentials: bool = False
    right_key: bool = False
    seen: int = 0
    answered: float | None = None
    whole: bool = False


class Journal:
    """All records, in the order in which the requests came; in a file as well, if there is one."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.records: list[Record] = []
        # Unbuffered and appending: each line is one write, and is there even if this process is killed.
        self._file = open(path, "ab", buffering=0) if path is not None else None  # noqa: SIM115

    def decided(self, record: Record) -> None:
        """It is settled what the request gets, and nothing of it is written."""
        self.records.append(record)
        if self._file is not None:
            self._file.write(json.dumps(record.__dict__).encode() + b"\n")

    def answered(self, record: Record, at: float, *, whole: bool) -> None:
        """The answer ended, as a whole or not."""
        record.answered, record.whole = at, whole
        if self._file is not None:
            said = "true" if whole else "false"
            self._file.write(f'{{"number": {record.number}, "answered": {at!r}, "whole": {said}}}\n'.encode())

    def close(self) -> None:
        """No more records."""
        if self._file is not None:
            self._file.close()


def read_journal(path: str | os.PathLike[str]) -> list[Record]:
    """The records of a file, whole or cut in its last line."""
    records: dict[int, Record] = {}
    for line in Path(path).read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        found = json.loads(line)
        if "path" in found:
            records[found["number"]] = Record(**found)
        else:
            records[found["number"]].__dict__.update(found)
    return list(records.values())


def answered_twice(records: Iterable[Record]) -> dict[str, list[int]]:
    """Texts that were paid for more than once: by hash, the requests whose good and whole answer had them.

    A label and an embedding of the same text are two things. A text that stands twice in one request counts
    once.
    """
    given: defaultdict[tuple[bool, str], list[int]] = defaultdict(list)
    for record in records:
        if record.good and record.whole:
            for text in set(record.documents.values()):
                given[record.api == "embeddings", text].append(record.number)
    twice: defaultdict[str, list[int]] = defaultdict(list)
    for (_, text), numbers in given.items():
        if len(numbers) > 1:
            twice[text] += numbers
    return dict(twice)


def foreign_keys(records: Iterable[Record]) -> list[Record]:
    """Requests that took credentials to another host."""
    return [record for record in records if record.behaviour == FOREIGN and record.credentials]
