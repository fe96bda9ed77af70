"""How commands print: any sign in any locale, one JSON object a line, a quiet end when nobody reads on."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def print_lines(lines: Sequence[str] | Iterator[str]) -> None:
    """Print lines for a person."""
    with any_encoding():
        for line in lines:
            print(line)


def print_one(record: dict[str, object]) -> None:
    """Print one object for a program."""
    with any_encoding():
        print(json.dumps(record, ensure_ascii=False))


@contextmanager
def any_encoding() -> Iterator[None]:
    """A locale that has no sign for a character shows another, rather than ending the command."""
    if isinstance(getattr(sys.stdout, "errors", None), str) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    yield


@contextmanager
def read_or_not() -> Iterator[None]:
    """Print what neither the work nor the exit code depends on: both are the same where nobody reads it."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        output_closed()


def output_closed() -> int:
    """Whoever read our output has enough. Python must not complain about it while it ends.

    Returns the exit code that a shell gives a program which a closed pipe has ended: 128 + SIGPIPE.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE
