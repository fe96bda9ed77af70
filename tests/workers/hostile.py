"""A plugin whose reader of plain text obeys commands in the text: any parser can misbehave in a test."""

from __future__ import annotations

from pathlib import Path

from tests.plugins import write_plugin

PLUGIN = """
from tui_scraper.engine.extract.base import Extracted, Format, hookimpl


def obey(data, media_type, settings):
    import ctypes, json, os, re, signal, socket, struct, sys, time

    from tui_scraper.engine.extract.base import Extracted

    text = data.decode("utf-8")
    command, _, rest = text.partition(" or ")[0].partition(" ")
    if command == "sleep":
        time.sleep(600)
    elif command == "regex":  # one call into C that never gives the interpreter back
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif command == "held":
        ctypes.PyDLL(None).sleep(600)
    elif command == "loop":
        while True:
            pass
    elif command == "ignore-signals":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(600)
    elif command == "abort":
        os.abort()
    elif command == "segfault":
        ctypes.string_at(0)
    elif command == "exit":
        os._exit(0)
    elif command == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif command == "raise":
        import builtins
        raise getattr(builtins, rest.strip())("\\x1b[31m" + "x" * 5000)
    elif command == "verdict":
        from tui_scraper.engine.errors import DocumentError
        from tui_scraper.engine.models import Cause
        raise DocumentError(Cause.CORRUPT, "The command is damaged.")
    elif command == "memory":
        bytearray(4_000_000_000)
    elif command == "recursion":
        def deeper(n):
            return deeper(n + 1)
        deeper(0)
    elif command == "flood":
        for descriptor in (1, 2):
            os.write(descriptor, b"x" * 300_000)
        print("out"); print("err", file=sys.stderr)
        sys.stdout.flush()
    elif command == "none":
        return None
    elif command == "number":
        return 42
    elif command == "wrong-fields":
        return Extracted(text=b"bytes", title=7, links=[None], pages="no")
    elif command == "surrogates":
        return Extracted(text="a\\ud800b \\udcff")
    elif command == "fork":
        if os.fork() == 0:
            time.sleep(600)
    elif command == "fork-and-die":
        if os.fork() == 0:
            time.sleep(600)
        os.abort()
    elif command == "fork-away-and-die":
        if os.fork() == 0:
            os.setsid()
            time.sleep(12)
            os._exit(0)
        os.abort()
    elif command == "close-all":
        os.closerange(3, 256)
    elif command in {"garbage", "huge", "not-asked", "twice", "bad-phase", "done-of-nothing"}:
        import msgspec

        from tui_scraper.engine.models import PhaseName, Status
        from tui_scraper.engine.workers.frames import Replies
        from tui_scraper.engine.wire import DocumentReply

        version = int(rest or 0)
        frame = {
            "garbage": b"\\xc1 no message",
            "huge": None,
            "not-asked": Replies([DocumentReply(987654, Status.FAILED, PhaseName.CLEAN)], False, 0),
            "twice": Replies([DocumentReply(version, Status.FAILED, PhaseName.CLEAN)] * 2, False, 0),
            "bad-phase": Replies([DocumentReply(version, Status.FAILED, PhaseName.OUTPUT)], False, 0),
            "done-of-nothing": Replies([DocumentReply(version, Status.DONE, PhaseName.CLASSIFY)], False, 0),
        }[command]
        payload = frame if isinstance(frame, bytes) or frame is None else msgspec.msgpack.encode(frame)
        for descriptor in range(3, 64):
            try:
                connection = socket.socket(fileno=os.dup(descriptor))
            except OSError:
                continue
            if frame is None:
                connection.sendall(struct.pack("<I", 0xFFFFFFF0))
            else:
                connection.sendall(struct.pack("<I", len(payload)) + payload)
        time.sleep(1)  # its end comes sooner
    elif command == "about":
        import resource
        status = {"environ": dict(os.environ), "stdout": os.readlink("/proc/self/fd/1"),
                  "stderr": os.readlink("/proc/self/fd/2"), "stdin": os.readlink("/proc/self/fd/0"),
                  "session": os.getsid(0), "core": resource.getrlimit(resource.RLIMIT_CORE),
                  "file": resource.getrlimit(resource.RLIMIT_FSIZE),
                  "memory": resource.getrlimit(resource.RLIMIT_AS),
                  "descriptors": sorted(os.listdir("/proc/self/fd")), "pid": os.getpid()}
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
            status["network"] = "reached"
        except OSError as error:
            status["network"] = error.strerror
        return Extracted(text=json.dumps(status))
    return Extracted(text=text)


def safe(data, media_type, settings):
    first, _, rest = data.decode("utf-8").partition(" or ")
    found = obey(rest.encode() or data, media_type, settings) if rest else Extracted(text=first)
    return Extracted(text="safely: " + found.text)


@hookimpl
def tui_scraper_formats():
    return [
        Format("commands", ("text/plain",), obey),
        Format("commands with a safe reader", ("text/markdown",), obey, fallback=safe),
    ]
"""


def write_hostile_extractor(folder: Path) -> Path:
    """Install the plugin into a folder that is to be on PYTHONPATH. Returns the folder."""
    return write_plugin(folder, "hostile_reader", PLUGIN)


def descendants(root: int) -> dict[int, str]:
    """Every living process below a process: pid -> command line."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(entry.name)] = (int(fields[1]), line)
    found: dict[int, str] = {}
    grown = True
    while grown:
        grown = False
        for pid, (parent, line) in parents.items():
            if pid not in found and (parent == root or parent in found):
                found[pid], grown = line, True
    return found


def with_mark(mark: str) -> dict[int, str]:
    """Every living process whose environment holds `mark`, those without a parent included."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
        except OSError:
            continue
    return found
