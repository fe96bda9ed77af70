"""Whatever documents ask for, nothing is fetched, included, run or written; all are accounted for."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.hostile_documents import hostile_documents
from tests.engine.running import check_counters, export_bytes, rows, run_once

SECRET = "zebra-canary-7d1f"
PASSWORDS = "root:x:0"


@contextmanager
def canary() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and what was said to it."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        stopped = threading.Event()

        def listen() -> None:
            while not stopped.is_set():
                try:
                    connection, _address = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(0.5)
                    try:
                        heard.append(connection.recv(1000).decode("latin-1"))
                    except OSError:
                        heard.append("came and said nothing")

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
        finally:
            stopped.set()
            thread.join()


def write_documents(folder: Path, url: str, secret: Path) -> set[str]:
    """Write them all, so that nobody may change them. Returns their names."""
    secret.parent.mkdir(parents=True)
    secret.write_text(SECRET, encoding="utf-8")
    folder.mkdir()
    documents = hostile_documents(url, secret)
    for name, content in documents.items():
        (folder / name).write_bytes(content)
        os.chmod(folder / name, 0o444)
    os.chmod(folder, 0o555)
    return set(documents)


def fingerprint(*folders: Path) -> dict[str, object]:
    """Everything about every file but when it was last read."""
    found: dict[str, object] = {}
    for folder in folders:
        for path in (folder, *sorted(folder.rglob("*"))):
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            about = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_ino)
            found[str(path)] = (content, *about, status.st_mtime_ns, os.listxattr(path))
    return found


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a folder for temporary files and one to work in: whatever is written there is seen."""
    for name in ("home", "temporary", "current"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.chdir(tmp_path / "current")
    return tmp_path


def test_a_run_over_hostile_documents_reaches_nothing_and_changes_nothing(folders: Path) -> None:
    secret = folders / "outside" / "secret.txt"
    with canary() as (url, heard):
        names = write_documents(folders / "documents", url, secret)
        before = fingerprint(folders)
        end = run_once(folders / "documents", folders / "workspace")
    assert heard == []
    after = fingerprint(*(path for path in sorted(folders.iterdir()) if path.name != "workspace"))
    assert {path: about for path, about in before.items() if path != str(folders)} == after
    found = rows(folders / "workspace")
    assert names <= found.keys()
    assert end.counts.found == len(found)
    assert {row["status"] for row in found.values()} <= {"done", "failed", "skipped", "empty"}
    assert sum(row["status"] == "done" for row in found.values()) > 20  # there was something to withstand
    exported = export_bytes(folders / "workspace").decode()
    assert SECRET not in exported
    assert PASSWORDS not in exported
    for row in found.values():
        assert (row["status"] == "done") == bool(row["text"])
    check_counters(folders / "workspace")


ALONE = """
    import json, os, sys
    from tui_scraper.engine.phases.document import Processor
    from tui_scraper.engine.settings import Settings
    from tui_scraper.engine.wire import WorkItem
    from tui_scraper.engine.extract import registry

    registry.preload()
    folder, tried = os.fsencode(sys.argv[1]), []
    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

    def watch(event, arguments):
        if event == "open":
            path, mode, flags = arguments
            known = isinstance(path, int) or os.fsencode(path).startswith((folder, *CODE))
            if flags & WRITING or not known:
                tried.append(f"open {path!r} {mode} {flags:#o}")
        elif event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system",
                               "os.remove", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.chmod",
                               "os.truncate", "os.utime", "tempfile.", "urllib.", "http.", "ftplib.",
                               "smtplib.", "webbrowser.", "shutil.", "sqlite3.connect", "pty.")):
            tried.append(f"{event} {arguments!r}")

    places = [path for path in (*sys.path, sys.prefix, sys.base_prefix, "/usr") if path]
    CODE = tuple(os.fsencode(form(path)) for path in places for form in (str, os.path.realpath))
    processor = Processor(Settings.model_validate({"clean": {"ocr": "off"}}))  # it starts Tesseract by design
    sys.addaudithook(watch)
    said = {}
    for number, name in enumerate(sorted(os.listdir(folder)), 1):
        tried.clear()
        processor.process(WorkItem(number, os.path.join(folder, name), 1))
        said[os.fsdecode(name)] = list(tried)
    print(json.dumps(said))
"""


def test_readers_do_not_even_try(folders: Path) -> None:
    """Without any sandbox: what would be refused there is not asked for in the first place."""
    secret = folders / "outside" / "secret.txt"
    with canary() as (url, heard):
        names = write_documents(folders / "documents", url, secret)
        before = fingerprint(folders)
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(ALONE), str(folders / "documents")],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert run.stdout, run.stderr
    said = json.loads(run.stdout.splitlines()[-1])
    assert said.keys() == names
    assert {name: tried for name, tried in said.items() if tried} == {}
    assert heard == []
    assert fingerprint(folders) == before
