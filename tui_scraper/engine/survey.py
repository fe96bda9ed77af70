"""A quick look at a folder before a run, for the Start screen: counts by file ending, nothing read."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path

from tui_scraper.engine.models import FolderSurvey
from tui_scraper.engine.phases.input import Walk
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import Settings

_MAX_ENDINGS = 1_000


def survey(source: Path, settings: Settings, limit_s: float = 2.0) -> FolderSurvey:
    """Count the documents of a folder by ending, for at most `limit_s` seconds.

    Raises UsageError where the folder cannot be listed.
    """
    deadline = time.monotonic() + limit_s
    walk = Walk(os.fsencode(source), settings.input, enough=lambda: time.monotonic() > deadline)
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    files = size_bytes = 0
    for found in walk.files():
        files += 1
        size_bytes += found.size_bytes
        ending = os.path.splitext(found.path)[1].decode("ascii", "ignore").lower()
        if ending not in counts and (len(counts) >= _MAX_ENDINGS or len(ending) > 12):
            ending = ""
        count = counts[ending]
        count[0] += 1
        count[1] += found.size_bytes
    by_type = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    return FolderSurvey(
        source=safe_text(str(source)),
        files=files,
        size_bytes=size_bytes,
        by_type=tuple((safe_text(ending), count[0], count[1]) for ending, count in by_type),
        ignored=sum(walk.ignored.values()),
        complete=not walk.cut_short,
    )
