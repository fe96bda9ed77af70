"""A file for a person that appears at once and whole or not at all: written aside, then renamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tui_scraper.engine import disk
from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.safe_text import safe_text


def write_whole(target: Path, lines: Iterable[str]) -> None:
    """Put a text in place, in UTF-8 and with a line feed after each line.

    Raises UsageError where the place is none for a file, StoreBlockedError and its like where the disk
    refuses; what was there before is left as it was then.
    """
    if target.is_dir():
        raise UsageError(f"{safe_text(str(target))}: this is a folder; name a file.")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}-", dir=target.parent)
    except OSError as error:
        raise _refused(target, error) from error
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def _refused(target: Path, error: OSError) -> Exception:
    if error.errno in disk.REFUSALS:
        return disk.refusal(target, error.errno)
    return UsageError(f"{safe_text(str(target))}: this cannot be written ({error.strerror}).")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
