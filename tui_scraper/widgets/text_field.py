"""Text fields: what is pasted or completed into them is made safe before it is shown."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.binding import Binding
from textual.suggester import Suggester
from textual.widgets import Input

from tui_scraper.engine.safe_text import safe_text

_MOST_MATCHES = 200


class TextField(Input):
    """One line of text; `esc` is left to the screen, ctrl+… keys that terminals eat are not needed."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002
        placeholder: str,
        value: str = "",
        suggester: Suggester | None = None,
    ) -> None:
        super().__init__(
            value=safe_text(value),
            placeholder=placeholder,
            suggester=suggester,
            select_on_focus=False,
            compact=True,
            id=id,
        )
        self.cursor_blink = False

    def validate_value(self, value: str) -> str:
        """Replace what a terminal could act on, however it got here."""
        return safe_text(value)


def matching_directories(typed: str) -> list[str]:
    """Directories that begin with what was typed, as they would be typed, at most 200.

    Names that cannot be typed (control characters, bytes that are not UTF-8) are left out.
    """
    expanded = os.path.expanduser(typed)
    parent, start = os.path.split(expanded)
    shown = typed[: len(typed) - len(start)] if start else typed
    found: list[str] = []
    try:
        with os.scandir(parent or ".") as entries:
            for entry in entries:
                name = entry.name
                hidden = name.startswith(".") and not start.startswith(".")
                if hidden or not name.startswith(start) or safe_text(name) != name:
                    continue
                if _is_directory(entry):
                    found.append(f"{shown}{name}/")
                if len(found) >= _MOST_MATCHES:
                    break
    except OSError:
        return []
    return sorted(found)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


class DirectorySuggester(Suggester):
    """Completes directories. `look` runs a function aside, so that a slow file system blocks nothing."""

    def __init__(
        self,
        look: Callable[[Callable[[], list[str]]], Awaitable[list[str] | None]],
        found: Callable[[str, list[str]], None],
    ) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._look = look
        self._found = found

    async def get_suggestion(self, value: str) -> str | None:
        """The first match; all of them go to `found`."""
        matches = await self._look(lambda: matching_directories(value))
        if matches is None:
            return None
        self._found(value, matches)
        longer = [match for match in matches if match != value]
        return longer[0] if longer else None


class PathField(TextField):
    """A path with completion: `tab` takes as much as is certain, then the first match.

    Only matches of exactly what stands in the field are taken. A tab that comes before them is
    remembered until they are there; a second one does not wait.
    """

    BINDINGS = [Binding("tab", "complete", "Complete", show=False)]

    def __init__(self, *, id: str, value: str, suggester: Suggester) -> None:  # noqa: A002
        super().__init__(id=id, placeholder="/path/to/folder", value=value, suggester=suggester)
        self._matches: tuple[str, list[str]] | None = None
        self._tab_waits_for: str | None = None

    def take_matches(self, value: str, matches: list[str]) -> None:
        """The directories that begin with `value`; those of an older value are left alone."""
        if value != self.value:
            return
        self._matches = (value, matches)
        waited, self._tab_waits_for = self._tab_waits_for == value, None
        if waited and self.has_focus:
            self.action_complete()

    def action_complete(self) -> None:
        """Complete, or go to the next widget where there is nothing to complete."""
        if not self.value or self.cursor_position != len(self.value):
            self.screen.focus_next()
            return
        if self._matches is None or self._matches[0] != self.value:
            if self._tab_waits_for == self.value:
                self.screen.focus_next()
            self._tab_waits_for = self.value
            return
        longer = [match for match in self._matches[1] if match != self.value]
        if not longer:
            self.screen.focus_next()
            return
        common = _common_start(longer)
        self.value = common if len(common) > len(self.value) else longer[0]
        self.cursor_position = len(self.value)


def _common_start(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    for index, char in enumerate(first):
        if index >= len(last) or last[index] != char:
            return first[:index]
    return first


def typed_path(text: str) -> Path:
    """The path a person means by what stands in the field."""
    return Path(os.path.abspath(os.path.expanduser(text.strip())))
