"""The palette, which carries out once what is chosen, however often enter is pressed meanwhile."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette, DiscoveryHit


class Palette(CommandPalette):
    """Textual's, where an enter that comes before it has gone does not take the screen below along."""

    def dismiss(self, result: object = None) -> AwaitComplete:
        """Leave it. When it has been left already, the command that Textual calls next does nothing."""
        if self.is_current:
            return super().dismiss(None)
        self._selected_command = DiscoveryHit("", _nothing)
        return AwaitComplete()


def _nothing() -> None:
    """What is chosen a second time."""
