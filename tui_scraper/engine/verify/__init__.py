"""`verify`: whether a workspace is what was written, and `repair`: making it so again, as far as can be."""

from tui_scraper.engine.verify.checking import verify
from tui_scraper.engine.verify.repair import Repaired, repair
from tui_scraper.engine.verify.report import Check, Damage, Note, Report

__all__ = ["Check", "Damage", "Note", "Repaired", "Report", "repair", "verify"]
