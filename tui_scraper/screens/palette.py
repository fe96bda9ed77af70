"""The palette, which carries out once what was typed, however fast and often enter is pressed."""

from __future__ import annotations

from contextlib import suppress

from textual import on
from textual.await_complete import AwaitComplete
from textual.command import CommandPalette, DiscoveryHit
from textual.widgets import Input
from textual.worker import Worker, WorkerCancelled


class Palette(CommandPalette):
    """Textual's, where an enter chooses from what is found for the words it ends, and leaves only once."""

    @on(Input.Submitted)
    def _wait_for_list(self, event: Input.Submitted) -> None:
        """Where the list is still that of earlier words, choose when it has become that of these."""
        for worker in self.workers:
            begun = not (worker.is_finished or worker.is_cancelled)
            if worker.group == self._GATHER_COMMANDS_GROUP and begun:
                event.stop()
                event.prevent_default()
                self.run_worker(self._choose_after(worker))

    async def _choose_after(self, search: Worker[object]) -> None:
        with suppress(WorkerCancelled):  # by somebody who goes on typing
            await search.wait()
            self._select_or_command()

    def dismiss(self, result: object = None) -> AwaitComplete:
        """Leave it. When it has been left already, the command that Textual calls next does nothing."""
        if self.is_current:
            return super().dismiss(None)
        self._selected_command = DiscoveryHit("", _nothing)
        return AwaitComplete()


def _nothing() -> None:
    """What is chosen a second time."""
