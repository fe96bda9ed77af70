"""What a front end asks for: one run over one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.settings import Settings


@dataclass(frozen=True)
class RunRequest:
    """What to run: a front end fills it in, the engine carries it out.

    `source` is the folder of documents; `workspace` None means the default one for it. `sample` works on that
    many documents only, the same ones each time. `export_dir` None means what the settings say. `offline`
    asks no model, whatever the settings say. `accept_settings` puts `settings` in force also after a
    rollback. `watch` takes up changes of the folder after that, pass after pass, until it is told to stop.
    `look`: nothing is begun before `resume`; what the workspace has can be looked at until then.
    """

    source: Path
    settings: Settings
    workspace: Path | None = None
    through: PhaseName = PhaseName.OUTPUT
    sample: int | None = None
    export_dir: Path | None = None
    accept_settings: bool = False
    offline: bool = False
    watch: bool = False
    look: bool = False
