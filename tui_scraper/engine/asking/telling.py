"""What all who want answers do: write to the store, tell a person, and say when something has happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.events import Emit, LabelsNotice
from tui_scraper.engine.phases.index import IndexEntry
from tui_scraper.engine.runlog import RunLog
from tui_scraper.engine.settings import ClassifySettings
from tui_scraper.engine.store.results import Work
from tui_scraper.engine.store.writer import Writer

if TYPE_CHECKING:
    from tui_scraper.engine.asking.base import Asking


@dataclass(frozen=True)
class Surrounding:
    """What those who ask have to do with. `labelled` and `embedded` take documents that may go on."""

    writer: Writer
    state: apsw.Connection
    log: RunLog
    emit: Emit
    run: int
    labelled: Callable[[Sequence[Work]], Awaitable[None]]
    embedded: Callable[[Sequence[IndexEntry]], Awaitable[None]]
    halt: Callable[[TuiScraperError], None]


class Telling:
    """The base of those for whom a model is asked. `mistake` says where one of ours would have been made."""

    mistake = "A mistake."

    _asking: Asking[Any, Any]

    def __init__(self, around: Surrounding) -> None:
        self._writer = around.writer
        self._state = around.state
        self._log = around.log
        self._emit = around.emit
        self._watchers: list[asyncio.Future[None]] = []

    def moved(self) -> asyncio.Future[None]:
        """Resolves when something happens to a document that waits, from now on."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        return watcher

    def stirred(self) -> None:
        """Something has happened."""
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    @property
    def submit(self) -> Callable[..., Awaitable[object]]:
        """Writes to the store."""
        return self._writer.submit

    def pause(self) -> None:
        """Send nothing new; what is in flight comes back."""
        self._asking.gate.pause()

    def resume(self) -> None:
        """Go on."""
        self._asking.gate.resume()

    def limit(self, settings: ClassifySettings) -> None:
        """Take over the limits of other settings."""
        self._asking.limit(settings)

    def tell(self, sentence: str) -> None:
        """Let the person know."""
        self._log.info(sentence)
        self._emit(LabelsNotice(time.time(), sentence))

    def warn(self, sentence: str) -> None:
        """Note something that went wrong with one call."""
        self._log.warning(sentence)

    def crash(self, error: Exception) -> None:
        """Note a mistake of ours with all that is known of it."""
        self._log.crash(self.mistake, error)
