"""Labels that people have given: they can be read."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.connection import STATE_FILE
from tui_scraper.engine.store.human import METHOD
from tui_scraper.engine.verify.look import Finding, Gathered, Look, damage


def check_human(look: Look) -> Iterator[Finding]:
    """The rows of the table human."""
    broken = Gathered()
    for number, content, data in look.ask("SELECT number, content, data FROM human"):
        look.proceed(1)
        if data is not None and not _is_label(data):
            look.found.human.append(number)
            broken.add(look.one("SELECT d.path FROM version v JOIN document d ON d.id = v.document "
                                "WHERE v.content = ?", content))  # fmt: skip
    what = "{n} labels that people have given cannot be read."
    yield from damage(broken, what, f"{STATE_FILE}: human", "They are taken away; give them again.")


def _is_label(data: bytes) -> bool:
    try:
        return msgspec.msgpack.decode(data, type=StoredLabel).method == METHOD
    except msgspec.MsgspecError:
        return False
