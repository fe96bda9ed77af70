"""Keys in the order in which they were typed, also where many come at once, as over a slow line.

Textual hands a key to the widget that has the focus, and looks for its binding when it has come back from
there. A key that is typed meanwhile is handed to the same widget, though the one before it may lead to
another screen, and then looked for among the bindings of that: text for the field of a search would pause
the run. So bindings are looked for at once where no text is typed, and keys wait for a screen that is on
its way; but none answers a question that is not there yet, or does anything on another screen than that
on which it was typed: of many enters one leaves the palette, and the next must not choose in another.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from textual import events
from textual.screen import Screen
from textual.widgets import Input

from tui_scraper.ending import EndingApp
from tui_scraper.screens.live import LiveScreen
from tui_scraper.screens.palette import Palette

_LEAVING = {"ctrl+q", "ctrl+c"}


class TypingAheadApp(EndingApp):
    """An app that handles each key before it looks at the next."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._typed: deque[events.Key] = deque()
        self._expected: Screen[Any] | None = None
        self._painted: WeakSet[Screen[Any]] = WeakSet()
        self._handed: WeakKeyDictionary[events.Key, Screen[Any]] = WeakKeyDictionary()

    async def on_event(self, event: events.Event) -> None:
        """Take a key up, or have it wait for the others."""
        if not isinstance(event, events.Key):
            await super().on_event(event)
            return
        if event.is_forwarded:  # it has come back, from whatever had the focus
            if self._handed.get(event) in {None, self.screen}:
                await super().on_event(event)
            return
        if event.key in _LEAVING:  # whatever is on its way
            await super().on_event(event)
            return
        self._typed.append(event)
        if self._expected is None or self._expected is not self.screen:
            await self._take_up()

    async def _take_up(self) -> None:
        """Handle what was typed, up to a key that is for a screen on its way."""
        self._expected = None
        while self._typed:
            screen = self.screen
            if screen in self._painted:
                await self._handle(self._typed.popleft())
            elif screen.is_mounted or isinstance(screen, LiveScreen | Palette):
                self._expected = screen
                screen.call_after_refresh(partial(self.call_later, self._go_on, screen))
                return
            else:
                self._typed.popleft()  # nobody can have seen what it would answer

    async def _go_on(self, screen: Screen[Any]) -> None:
        """A screen has been painted, and its first widget has the focus."""
        self._painted.add(screen)
        if self._expected is screen:
            await self._take_up()

    async def _handle(self, key: events.Key) -> None:
        if await self._check_bindings(key.key, priority=True):
            return
        if isinstance(self.focused, Input) or not await self._check_bindings(key.key):
            self._handed[key] = self.screen
            await super().on_event(key)
