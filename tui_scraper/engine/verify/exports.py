"""Exports against their manifests: the files of the last export of each folder are what they were."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tui_scraper import __version__
from tui_scraper.engine.export.formats import FORMATS
from tui_scraper.engine.export.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    ExportedFile,
    Manifest,
    read_manifest,
)
from tui_scraper.engine.models import PHASES
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.head import settings_hash
from tui_scraper.engine.verify.look import Finding, Look
from tui_scraper.engine.verify.report import Damage, Note

_BLOCK_BYTES = 1 << 20
_WRITTEN_ANEW = (
    "Its record is forgotten, so that the next run writes it anew; what lies there is kept until then."
)


def check_exports(look: Look) -> Iterator[Finding]:
    """Every folder that an export was recorded for."""
    rows = look.ask("SELECT dir, manifest, max(id) FROM export GROUP BY dir")
    for name, recorded, _id in rows:
        if not recorded:
            continue  # forgotten by a repair
        look.proceed(1)
        found = list(_look_at(look, name, recorded))
        yield from found
        if any(isinstance(finding, Damage) for finding in found):
            look.found.exports.append(name)


def _look_at(look: Look, name: str, recorded: bytes) -> Iterator[Finding]:
    directory, shown = Path(name), safe_text(name)
    try:
        there = sorted(os.listdir(directory))
    except OSError as error:
        yield Note(f"{shown}: the export cannot be seen any more ({error.strerror}).")
        return
    if not there:
        yield Note(f"{shown}: the export was taken away; the folder is empty.")
        return
    manifest = read_manifest(directory)
    if manifest is None:
        yield Damage(f"{shown}: the manifest is missing or damaged.", MANIFEST_FILE, _WRITTEN_ANEW)
        return
    for file in manifest[0].files:
        wrong = _wrong(look, directory, file)
        if not wrong and file.format in FORMATS:
            wrong = FORMATS[file.format].wrong(directory, lambda: look.tick(look.looked_at))
        if wrong:
            yield Damage(
                f"{shown}/{safe_text(file.name)}: {safe_text(wrong)}.", safe_text(file.name), _WRITTEN_ANEW
            )
    if manifest[1] != recorded:
        if not _hangs_together(look, directory, manifest[0], recorded):
            yield Damage(f"{shown}: the manifest is not what was written.", MANIFEST_FILE, _WRITTEN_ANEW)
            return
        yield Note(f"{shown}: this is another export than the last one that a run recorded.")


def _hangs_together(look: Look, directory: Path, manifest: Manifest, recorded: bytes) -> bool:
    """Whether a manifest that nobody recorded can be one: `export DIR` writes such, and a run that is killed.

    It must be as one is written, have settings that this workspace knows, and the counts of its files.
    """
    try:
        if (directory / MANIFEST_FILE).read_bytes() != manifest.encode():
            return False
    except OSError:
        return False
    as_this = msgspec.structs.replace(manifest, program_version=__version__).encode()
    if hashlib.sha256(as_this).digest() == recorded:  # it is the recorded one but for this
        return False
    if manifest.format_version > FORMAT_VERSION:
        return False
    if not _known_settings(look).issuperset(manifest.settings.values()):
        return False
    if sum(manifest.counts.values()) != manifest.documents:
        return False
    return all(_has_counts(look, directory, file, manifest) for file in manifest.files)


def _known_settings(look: Look) -> set[str]:
    """The hashes that a manifest may have: of settings alone, or with more, as it once was written."""
    known = set()
    for number, whole, version, text in look.ask("SELECT phase, hash, version, json FROM config"):
        known |= {whole.hex(), settings_hash(PHASES[number], version, json.loads(text)).hex()}
    return known


def _has_counts(look: Look, directory: Path, file: ExportedFile, manifest: Manifest) -> bool:
    if file.rows != manifest.documents:
        return False
    if file.format not in FORMATS:
        return True
    try:
        tally = FORMATS[file.format].tally(directory, lambda: look.tick(look.looked_at))
    except ImportError:
        return True  # nobody here can read it, and its hash is that of the manifest
    except (OSError, ValueError):
        return False
    if not tally.counts:  # a listing has names only
        return tally.rows == manifest.documents
    return dict(tally.counts) == manifest.counts and tally.chunks == manifest.chunks


def _wrong(look: Look, directory: Path, file: ExportedFile) -> str:
    hashed, size = hashlib.sha256(), 0
    try:
        with open(directory / file.name, "rb") as opened:
            while block := opened.read(_BLOCK_BYTES):
                hashed.update(block)
                size += len(block)
                look.tick(look.looked_at)
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"
    if size != file.size_bytes:
        return f"the file has {size:,} bytes where its manifest says {file.size_bytes:,}"
    return "" if hashed.hexdigest() == file.sha256 else "the file is not what its manifest says (SHA-256)"
