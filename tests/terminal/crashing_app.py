"""Run by `test_crash.py`: the program with a mistake in it, made when a key is pressed."""

from __future__ import annotations

import os
import sys
from typing import Any

from tui_scraper import cli
from tui_scraper.screens.log import LogScreen
from tui_scraper.widgets.log_view import FollowedLines


def mistake(*_arguments: Any) -> Any:
    secret = os.environ["OPENAI_API_KEY"]
    raise ValueError(f"a mistake with {secret}")


async def mistake_later(*arguments: Any) -> None:
    mistake(*arguments)


match os.environ["MISTAKE"]:
    case "painting":
        LogScreen.paint_body = mistake  # type: ignore[method-assign]
    case "drawing":
        FollowedLines.render_line = mistake  # type: ignore[method-assign]
    case "worker":
        LogScreen._read = mistake_later  # type: ignore[method-assign]
    case "action":
        LogScreen.perform = mistake  # type: ignore[method-assign]

sys.exit(cli.main())
