"""Containers: the files inside archives and mails. No format yields any yet."""

from __future__ import annotations

from typing import Any, BinaryIO

from tui_scraper.engine.extract.base import Format
from tui_scraper.engine.settings import CleanSettings
from tui_scraper.engine.wire import Member


def expand(
    chosen: Format, stream: BinaryIO, packed_bytes: int, media_type: str, settings: CleanSettings, name: bytes
) -> Any:
    """The members of a container within the limits."""
    raise NotImplementedError


def listing(members: list[Member], max_chars: int) -> str:
    """The names of members as a Markdown list."""
    raise NotImplementedError


class ContainerReader:
    """Reads single members of an open container."""

    def __init__(
        self,
        chosen: Format,
        stream: BinaryIO,
        packed_bytes: int,
        media_type: str,
        settings: CleanSettings,
        name: bytes,
    ) -> None:
        raise NotImplementedError

    def read(self, name: bytes) -> bytes:
        """The bytes of one member."""
        raise NotImplementedError
