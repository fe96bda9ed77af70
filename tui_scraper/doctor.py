"""`doctor`: what this machine offers the program, each as a finding with what to do about it."""

from __future__ import annotations

import asyncio
import locale
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tui_scraper import __version__
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings, default_file, load

_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `detail` says what was found and, if it is not ok, what to do."""

    what: str
    ok: bool
    detail: str


def examine(config: Path | None, workspace: Path | None) -> list[Finding]:
    """Look at everything. Never raises for what it finds; a problem is a finding."""
    settings, about_settings = _settings(config)
    return [
        Finding("program", True, f"tui-scraper {__version__}, Python {platform.python_version()}"),
        *_terminal(),
        about_settings,
        _database(),
        *_workspace(workspace),
        *_workers(settings),
        *_formats(settings),
        _labels(settings),
        *_model(settings),
        *_vectors(settings),
    ]


def _settings(config: Path | None) -> tuple[Settings, Finding]:
    try:
        settings = load(config)
    except TuiScraperError as error:
        return Settings(), Finding("settings", False, str(error).replace("\n", " "))
    file = config or default_file()
    where = (
        f"valid: {safe_text(str(file.absolute()))}" if file is not None else "the defaults; there is no file"
    )
    return settings, Finding("settings", True, where)


def _terminal() -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield Finding("terminal", True, "none here; `run` and the other commands work without one")
    elif term in {"", "dumb"}:
        yield Finding("terminal", False, f"TERM={term or 'is not set'}: the TUI needs a real terminal type")
    else:
        columns, lines = shutil.get_terminal_size()
        roomy = columns >= 60 and lines >= 15
        advice = "" if roomy else "; the TUI needs 60x15"
        yield Finding("terminal", roomy, f"{safe_text(term)}, {columns}x{lines}{advice}")
    encoding = locale.getpreferredencoding(False)
    utf8 = encoding.lower().replace("-", "") == "utf8"
    advice = "" if utf8 else ": bars and signs are drawn in ASCII; LANG=C.UTF-8 gives the better ones"
    yield Finding("characters", True, f"{encoding}{advice}")


def _database() -> Finding:
    import apsw

    return Finding("database", True, f"SQLite {apsw.sqlite_lib_version()} of its own")


def _workspace(named: Path | None) -> Iterator[Finding]:
    from tui_scraper.engine.workspace import network_file_system, state_home

    directory = named or state_home()
    probe = directory.absolute()
    while not probe.exists():
        probe = probe.parent
    kind = network_file_system(probe)
    shown = safe_text(str(directory))
    if kind:
        yield Finding("workspace", False, f"{shown} is on a network file system ({kind}); use -w")
    elif not os.access(probe, os.W_OK):
        yield Finding("workspace", False, f"{shown} cannot be written; use -w")
    else:
        yield Finding("workspace", True, shown)
    free = shutil.disk_usage(probe).free
    enough = free > _FREE_BYTES
    advice = "" if enough else ": a run pauses when the disk is full"
    yield Finding("disk", enough, f"{free / 1e9:.1f} GB free{advice}")


def _workers(settings: Settings) -> Iterator[Finding]:
    from tui_scraper.engine.extract.pdf import ocr
    from tui_scraper.engine.workers.frames import Measure
    from tui_scraper.engine.workers.pool import Pool

    async def start() -> tuple[Measure, ...]:
        programs = bool(ocr.languages(settings.clean))
        pool = Pool(1, settings, PhaseName.CLASSIFY, allow_programs=programs)
        try:
            await pool.start()
        finally:
            await pool.close()
        return pool.measures

    count = settings.engine.workers or os.cpu_count() or 1
    try:
        measures = asyncio.run(start())
    except TuiScraperError as error:
        yield Finding("workers", False, str(error))
        return
    yield Finding("workers", True, f"{count} processes")
    for measure in measures:
        yield Finding("sandbox", measure.reached, f"{measure.name}: {measure.detail}")


def _formats(settings: Settings) -> Iterator[Finding]:
    from tui_scraper.engine.extract.registry import registry

    known = registry()
    missing = {chosen.name: chosen.needs(settings.clean) for chosen in known.formats}
    names = ", ".join(name for name, needs in missing.items() if not needs)
    yield Finding("formats", True, f"{names}; everything else is skipped and listed")
    for name, needs in missing.items():
        if needs:
            yield Finding("not read", True, f"{name}: {needs}")
    if known.plugins:
        yield Finding("plugins", True, ", ".join(map(safe_text, known.plugins)))
    for problem in known.problems:
        yield Finding("plugin", False, problem)


def _labels(settings: Settings) -> Finding:
    backend = settings.classify.backend
    how = "keywords only" if backend == "rules" else "similarity of embeddings, with keywords under it"
    if backend in {"auto", "openai"}:
        how = "a model, see below" if backend == "openai" else f"a model where a key is set, else {how}"
    count = len(settings.classify.labels)
    taxonomy = f"{count} labels of yours" if count else "the general taxonomy"
    free = "; no network, no cost" if backend in {"local", "rules"} else ""
    return Finding("labels", True, f"{backend}: {how}; {taxonomy}{free}")


def _model(settings: Settings) -> Iterator[Finding]:
    """The key, and one tiny call that shows whether model, parameters and price are as they should be."""
    from tui_scraper.engine.llm.choosing import choose

    try:
        backend = choose(settings, offline="", paid_before=False)
    except TuiScraperError as error:
        yield Finding("model", False, str(error))
        return
    if not backend.wants_model:
        if settings.classify.backend == "auto":
            where = settings.classify.api_key_env
            yield Finding("key", True, f"none ({where} is not set): labels are made on this machine")
        return
    place = f"in {safe_text(backend.key.place)}" if backend.key is not None else "none needed there"
    yield Finding("key", True, place)
    from tui_scraper.engine.llm.trying import try_model

    try:
        ready = asyncio.run(try_model(backend))
    except TuiScraperError as error:
        yield Finding("model", False, str(error))
        return
    name = safe_text(settings.classify.model)
    yield Finding("model", True, f"{name} at {backend.endpoint.shown} answers with a label ({ready.profile})")
    yield Finding("price", True, f"{ready.price}; at most ${settings.classify.budget_usd:.2f} a workspace")
    for warning in ready.warnings:
        yield Finding("model", False, warning)


def _vectors(settings: Settings) -> Iterator[Finding]:
    """Who makes the vectors; where that is a model elsewhere, its key, and one tiny call."""
    if settings.index.embeddings == "local":
        yield Finding("embeddings", True, "made here, from word vectors; no network, no cost")
    from tui_scraper.engine.llm.choosing import choose_embedder

    try:
        provider = choose_embedder(settings, offline="")
        if provider is None:
            return
        from tui_scraper.engine.llm.trying import try_vectors

        ready, dimensions = asyncio.run(try_vectors(provider, settings))
    except TuiScraperError as error:
        yield Finding("embeddings", False, str(error))
        return
    name, where = safe_text(settings.index.model), provider.endpoint.shown
    yield Finding(
        "embeddings", True, f"{name} at {where} makes vectors of {dimensions:,} numbers ({ready.profile})"
    )
    yield Finding("price", True, str(ready.price))
    for warning in ready.warnings:
        yield Finding("embeddings", False, warning)
