"""Opening a database: beside one that makes it, nothing looks damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tui_scraper.engine.store.connection import connect

_MAKING = """
import sys
from pathlib import Path
from tui_scraper.engine.store.connection import connect
for number in range(60):
    connection = connect(Path(sys.argv[1]) / f"{number}.db", page_size=65536)
    connection.execute("CREATE TABLE made(data)")
    for _ in range(3):
        connection.execute("INSERT INTO made VALUES(zeroblob(200000))")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    connection.close()
"""


def test_a_database_that_is_being_made_never_looks_damaged_to_who_reads(tmp_path: Path) -> None:
    making = subprocess.Popen([sys.executable, "-c", _MAKING, str(tmp_path)])
    seen = 0
    while making.poll() is None:
        for path in tmp_path.glob("*.db"):
            reader = connect(path, page_size=65536, read_only=True)  # raises where a page has no checksum
            if reader.table_exists(None, "made"):
                seen += reader.execute("SELECT count(*) FROM made").get
            reader.close()
    assert making.returncode == 0
    assert seen
