"""The output phase: `export` writes a validated folder, `record_export` and `is_current` keep track."""

from tui_scraper.engine.export.corpus import ExportCancelledError, export
from tui_scraper.engine.export.formats import DEFAULT_FORMATS, FORMATS, chosen
from tui_scraper.engine.export.record import (
    ExportReport,
    is_current,
    record_export,
)

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "ExportCancelledError",
    "ExportReport",
    "chosen",
    "export",
    "is_current",
    "record_export",
]
