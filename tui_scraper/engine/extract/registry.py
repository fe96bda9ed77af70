"""Which formats are read, and by what: the built-in ones and those of plugins, through one hook.

Plugins are packages with an entry point in the group `tui_scraper` (docs/plugins.md). They are loaded in
the process that workers are forked from, and by `doctor`; a plugin that cannot be loaded costs its own
formats and nothing else. Where two read the same media type, a plugin comes before what is built in, and
of two plugins the one whose name sorts last: the same everywhere.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass, field
from functools import cache

import pluggy

from tui_scraper.engine.extract import builtin, detect
from tui_scraper.engine.extract.base import PLUGIN_GROUP, Format, Hooks
from tui_scraper.engine.safe_text import safe_text


@dataclass(frozen=True)
class Registry:
    """`readers` maps a media type to the format that reads it; `problems` are sentences about plugins."""

    formats: tuple[Format, ...]
    readers: dict[str, Format] = field(repr=False)
    plugins: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@cache
def registry() -> Registry:
    """Load every format, once in a process."""
    manager = pluggy.PluginManager(PLUGIN_GROUP)
    manager.add_hookspecs(Hooks)
    problems: list[str] = []
    sources = [("built in", manager.register(builtin, "built in"))]
    found = importlib.metadata.entry_points(group=PLUGIN_GROUP)
    for entry in sorted(found, key=lambda entry: (entry.name, entry.value)):
        try:
            sources.append((entry.name, manager.register(entry.load(), entry.name)))
        except Exception as error:
            problems.append(_problem(entry.name, "cannot be loaded", error))
    formats: list[Format] = []
    for name, _registered in sources:
        try:
            formats.extend(_formats_of(manager, name))
        except Exception as error:
            problems.append(_problem(name, "does not say which formats it reads", error))
    readers = {media_type: chosen for chosen in formats for media_type in chosen.media_types}
    for chosen in formats:
        detect.learn(chosen.media_types[0], chosen.endings, chosen.magic)
    return Registry(
        tuple(formats), readers, tuple(name for name, _registered in sources[1:]), tuple(problems)
    )


def _formats_of(manager: pluggy.PluginManager, name: str) -> list[Format]:
    others = [plugin for other, plugin in manager.list_name_plugin() if other != name and plugin is not None]
    caller = manager.subset_hook_caller("tui_scraper_formats", others)
    formats = [one for answer in caller() for one in answer]
    for one in formats:
        if not isinstance(one, Format) or not one.media_types or not (one.extract or one.entries):
            raise TypeError(f"{one!r:.80} is not a Format with media types and a reader")
    return formats


def _problem(name: str, what: str, error: Exception) -> str:
    reason = safe_text(f"{type(error).__name__}: {error}", limit=200)
    return f"The plugin '{safe_text(name)}' {what} ({reason}); its formats are not read."


def preload(*, parsers: bool = True) -> None:
    """Import what workers should have warm, in the process they are forked from.

    Without `parsers`, what only some formats need is left to the first document that needs it. PDFium is
    imported but not started: each worker starts its own.
    """
    from tui_scraper.engine.extract import language, tidy

    formats = registry().formats
    if parsers:
        for name in {*(name for chosen in formats for name in chosen.modules), "chardet", "ftfy"}:
            importlib.import_module(name)
    importlib.import_module("fasttext")
    language.preload()
    tidy.preload()
