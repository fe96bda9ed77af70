"""Exceptions, one per decision a caller can take, not one per place that raises.

Every message is a sentence for the person: what happened, to what, and what they can do.
`exit_code` is the process exit code of product.md for an error that ends a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_scraper.engine.models import Cause

if TYPE_CHECKING:
    from tui_scraper.engine.settings import CleanSettings


class TuiScraperError(Exception):
    """Ends the command; the message is shown as it is, without a traceback."""

    exit_code = 1


class UsageError(TuiScraperError):
    """Something the person typed or configured cannot work (bad settings, missing folder)."""

    exit_code = 2


class FolderUnreachableError(UsageError):
    """The folder of documents is not there or cannot be listed, now: its disk may come back."""


class WorkspaceLockedError(TuiScraperError):
    """Another process holds the workspace."""

    exit_code = 6


class StoreError(TuiScraperError):
    """The store could not be read or written, for a reason that time alone does not mend."""


class StoreClosedError(StoreError):
    """The store was closed before anything of what was asked for was done."""


class StoreOutdatedError(StoreError):
    """An older version made the store: who only reads it cannot, a run renews it."""


class StoreBlockedError(StoreError):
    """The disk takes nothing for now, full or read-only: the run pauses, nothing acknowledged is lost."""

    exit_code = 4


class StoreFullError(StoreBlockedError):
    """The disk is full."""


def too_large_sentence(size_bytes: int, limit_bytes: int) -> str:
    """Why a file above `input.max_file_size` is not read."""
    return (
        f"The file has {size_bytes:,} bytes, more than the {limit_bytes:,} that input.max_file_size allows."
    )


def timeout_sentence(limits: CleanSettings) -> str:
    """Why a document that took too long is given up, and what to do."""
    return (
        f"Reading this file took longer than {limits.timeout_s:g} s (or {limits.cpu_s} s of processor time). "
        "Raise clean.timeout_s and clean.cpu_s, then retry it."
    )


class DocumentError(Exception):
    """One document did not get through a phase.

    Raised by readers and extractors inside worker processes. `message` is one sentence
    (at most 500 characters, no control characters) that says what is wrong with the file
    and, where the person can do something, what.
    """

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


class UnreadFormatError(DocumentError):
    """Nobody reads the format of a file here: it is skipped, where other documents' errors fail them."""
