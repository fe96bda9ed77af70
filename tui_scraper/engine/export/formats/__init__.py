"""The formats of an export."""

from __future__ import annotations

from collections.abc import Sequence

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.export.formats.csv import CSV
from tui_scraper.engine.export.formats.jsonl import JSONL
from tui_scraper.engine.export.formats.markdown import MARKDOWN
from tui_scraper.engine.export.formats.parquet import PARQUET
from tui_scraper.engine.export.formats.port import Format

FORMATS: dict[str, Format] = {format_.name: format_ for format_ in (JSONL, PARQUET, CSV, MARKDOWN)}
"""By name, in the order in which they are listed and written."""

DEFAULT_FORMATS = (JSONL.name,)


def chosen(names: Sequence[str]) -> list[Format]:
    """The formats with these names. Raises UsageError where one is unknown or cannot be written here."""
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise UsageError(
            f"There is no export format '{', '.join(unknown)}'; this version writes: {', '.join(FORMATS)}."
        )
    wanted = [format_ for name, format_ in FORMATS.items() if name in names]
    for format_ in wanted:
        refusal = format_.refusal()
        if refusal:
            raise UsageError(refusal)
    return wanted


__all__ = ["DEFAULT_FORMATS", "FORMATS", "Format", "chosen"]
