"""The run's log: JSON lines in the workspace, rotated, and the last lines for the screen.

INFO is progress, WARNING a retry or something odd, ERROR a failure. Names and causes go in; keys
and texts of documents never do. A log that cannot be written (a full disk) must not stop a run, so
such lines are kept for the screen only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tui_scraper.engine.models import LogLine
from tui_scraper.engine.safe_text import safe_text

FILE_NAME = "log.jsonl"
_MAX_BYTES = 10_000_000
_KEEP_FILES = 5
_KEEP_LINES = 500


def rfc3339(when: float) -> str:
    """A Unix time in UTC, with milliseconds."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": rfc3339(record.created),
            "level": record.levelname,
            "message": safe_text(record.getMessage()),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Forgiving(logging.handlers.RotatingFileHandler):
    """Drops a line that cannot be written, and says so once through `refused`."""

    refused: Callable[[OSError], None] | None = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            raise error
        if isinstance(error, OSError) and self.refused is not None:
            refused, self.refused = self.refused, None
            refused(error)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what could not be written before cannot be written now
            super().close()


class RunLog:
    """One run's log. Lines may come from any thread; `lines` is what a screen shows."""

    def __init__(self, directory: Path) -> None:
        self._logger = logging.Logger("tui_scraper.run", logging.INFO)
        self._recent: deque[LogLine] = deque(maxlen=_KEEP_LINES)
        self._number = 0
        try:
            if os.path.islink(directory / FILE_NAME):
                os.unlink(directory / FILE_NAME)  # whoever put it there does not choose what we write to
            handler = _Forgiving(
                directory / FILE_NAME, maxBytes=_MAX_BYTES, backupCount=_KEEP_FILES, encoding="utf-8"
            )
        except OSError as error:
            self._not_written(error)
            return
        handler.refused = self._not_written
        handler.setFormatter(_JsonLines())
        self._logger.addHandler(handler)

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The most recent lines, oldest first."""
        return tuple(self._recent)

    def info(self, sentence: str, **fields: object) -> None:
        """Progress."""
        self._write(logging.INFO, sentence, fields)

    def warning(self, sentence: str, **fields: object) -> None:
        """A retry, or something the person may want to know."""
        self._write(logging.WARNING, sentence, fields)

    def error(self, sentence: str, **fields: object) -> None:
        """A failure."""
        self._write(logging.ERROR, sentence, fields)

    def crash(self, sentence: str, error: BaseException) -> None:
        """A mistake of the program: the trace goes to the file, the sentence to the person."""
        self._write(logging.ERROR, sentence, {}, error)

    def close(self) -> None:
        """Close the file."""
        for handler in list(self._logger.handlers):
            self._logger.removeHandler(handler)
            handler.close()

    def _not_written(self, error: OSError) -> None:
        self._keep(
            logging.WARNING, f"The log cannot be written ({error.strerror}): lines will be missing from it."
        )

    def _keep(self, level: int, sentence: str) -> None:
        self._number += 1
        name = logging.getLevelName(level)
        self._recent.append(LogLine(self._number, time.time(), name, safe_text(sentence, limit=500)))

    def _write(
        self, level: int, sentence: str, fields: dict[str, object], error: BaseException | None = None
    ) -> None:
        self._keep(level, sentence)
        trace = (type(error), error, error.__traceback__) if error is not None else None
        self._logger.log(level, sentence, exc_info=trace, extra={"fields": fields})
