"""A parser that has been taken over: a plugin whose reader of plain text runs the text as a program.

`Inside` starts a real pool with it and hands over attacks: the source of a function's body. What the
function returns, or the error it met, comes back as a document's text.
"""

from __future__ import annotations

import asyncio
import json
import os
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.plugins import write_plugin
from tui_scraper.engine import Cause, PhaseName, Settings, Status
from tui_scraper.engine.store.codec import unpack
from tui_scraper.engine.wire import CleanText, DocumentReply, WorkItem
from tui_scraper.engine.workers.pool import Pool

PLUGIN = """
from tui_scraper.engine.extract.base import Extracted, Format, hookimpl


def obey(data, media_type, settings):
    import json

    space = {}
    try:
        exec(compile(data.decode(), "attack", "exec"), space)
        said = {"value": space["attack"]()}
    except BaseException as error:
        said = {"error": f"{type(error).__name__}: {error}"[:500], "errno": getattr(error, "errno", None)}
    return Extracted(text="said " + json.dumps(said))


@hookimpl
def tui_scraper_formats():
    return [Format("attacks", ("text/plain",), obey)]
"""

PRELUDE = """
import ctypes, errno, fcntl, mmap, os, resource, signal, socket, stat, struct, subprocess, sys
import threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.syscall.argtypes = [ctypes.c_long] * 7

def system_call(number, *arguments):
    "The name of the error, or what the kernel returned."
    result = libc.syscall(number, *arguments, *(0,) * (6 - len(arguments)))
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result

def outcome(function, *arguments):
    "The name of the error, or 'done'."
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "done"

def attack():
"""

DEADLINE_S = 2.0
SETTINGS = Settings.model_validate(
    {
        "clean": {"timeout_s": DEADLINE_S, "cpu_s": 20, "worker_memory": 900_000_000},
        "classify": {"backend": "rules"},
    }
)


@dataclass(frozen=True)
class Outcome:
    """What became of an attack: the document's status, and what the attack itself returned or met."""

    status: Status
    cause: Cause | None
    message: str
    value: Any = None
    error: str = ""
    errno: int | None = None


class Inside:
    """A pool whose readers do what they are told. Everything here blocks."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, pool: Pool, source: bytes) -> None:
        self.pool = pool
        self.source = source
        self.folder = folder
        self._loop = loop
        self._version = 0

    def needs(self, *measures: str) -> None:
        """Skip the test, with the reason, where this system does not have a measure."""
        for measure in self.pool.measures:
            if measure.name in measures and not measure.reached:
                pytest.skip(f"{measure.name}: {measure.detail}")

    def attack(self, *bodies: str, within_s: float = 60.0, **given: Any) -> Outcome:
        """Have a function with this body run in a reader; `given` are names it can use."""
        return self.attack_all(*bodies, within_s=within_s, **given)[0]

    def attack_all(self, *bodies: str, within_s: float = 60.0, **given: Any) -> list[Outcome]:
        """Hand over several attacks as one batch."""
        items = []
        names = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        for body in bodies:
            self._version += 1
            path = os.path.join(self.source, b"%d.txt" % self._version)
            code = names + PRELUDE + textwrap.indent(textwrap.dedent(body), "    ")
            with open(path, "w", encoding="utf-8") as file:
                file.write(code)
            items.append(WorkItem(self._version, path, len(code)))
        delivered: list[DocumentReply] = []
        run = asyncio.wait_for(self.pool.run(items, delivered.extend), within_s)
        asyncio.run_coroutine_threadsafe(run, self._loop).result()
        replies = {reply.version: reply for reply in delivered}
        assert sorted(replies) == [item.version for item in items], "one reply each"
        return [_outcome(replies[item.version]) for item in items]

    def read(self, path: bytes) -> DocumentReply:
        """Have any file read, as a document is."""
        self._version += 1
        delivered: list[DocumentReply] = []
        run = self.pool.run([WorkItem(self._version, path, 1)], delivered.extend)
        asyncio.run_coroutine_threadsafe(run, self._loop).result(30)
        return delivered[0]


def _outcome(reply: DocumentReply) -> Outcome:
    if reply.clean is None:
        return Outcome(reply.status, reply.cause, reply.message)
    text = unpack(reply.clean.payload, CleanText).text
    said = json.loads(text.removeprefix("said "))
    return Outcome(reply.status, reply.cause, "", said.get("value"), said.get("error", ""), said.get("errno"))


@contextmanager
def inside(
    folder: Path,
    *,
    source: bytes | None = None,
    readable: tuple[bytes, ...] | None = None,
    workers: int = 1,
    settings: Settings = SETTINGS,
    **options: Any,
) -> Iterator[Inside]:
    """Start a pool with the plugin; `source` is where the attacks are put (default: a new folder)."""
    write_plugin(folder / "plugin", "taken_over_reader", PLUGIN)
    if source is None:
        source = os.fsencode(folder / "source")
    os.makedirs(source, exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(90)

    pool = Pool(workers, settings, PhaseName.CHUNK, readable=readable or (source,), **options)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(folder / "plugin"), prepend=os.pathsep)
            patch.setenv("VIRTUAL_ENV", str(folder))  # a mark by which every process of this pool is found
            patch.setenv("OPENAI_API_KEY", "very-secret")
            wait(pool.start())
        yield Inside(folder, loop, pool, source)
    finally:
        wait(pool.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
