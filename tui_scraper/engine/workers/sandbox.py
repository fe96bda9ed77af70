"""What keeps a worker in: what it has no need of is taken from it before it sees a byte from outside.

    limits        memory, processor time, open files; no file may grow
    account       a user of its own to the system, with no right but to read files; few threads
    network       a network namespace with nothing in it (the zygote moves there, workers are born there)
    files         Landlock: the source, Python and the system's libraries may be read, nothing written
    system calls  only those that reading documents takes (seccomp)

Each is had where the system allows it. The zygote tries all of them in a child of its own and says what
was reached; a worker that cannot reach the same does not start.
"""

from __future__ import annotations

import contextlib
import errno
import mimetypes
import os
import re
import resource
import signal
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from tui_scraper.engine.workers import kernel, landlock, seccomp
from tui_scraper.engine.workers.frames import Measure, ZygoteSettings

NICENESS = 5
"""Workers step back behind the engine and the screen, which need little but need it at once."""
MAX_TASKS = 64 + (os.cpu_count() or 1)
"""Threads of a worker, and of the programs it has started, all together. Some libraries want one a core."""
MAX_OPEN_FILES = 256
STACK_BYTES = 8 << 20
"""What Linux gives by default: a document must not end its reader on one machine and not on another."""

_WORDS = {
    "limits": "limits",
    "account": "own account",
    "network": "no network",
    "files": "no writing",
    "system calls": "system calls filtered",
}
"""The measures, and how they are called where there is little room."""

_ADVICE = {
    "limits": "Set clean.worker_memory lower.",
    "account": "Threads are not bounded; a container's pids limit or ulimit -u does that, too.",
    "network": "Allow user namespaces or seccomp filters, or take the network from the whole program.",
    "files": "Other files can be read: a kernel from 5.13 on with Landlock switched on closes them.",
    "system calls": "Linux on x86_64 or aarch64 with seccomp filters, not refused by a container, has them.",
}
"""What follows where a measure is not reached, and what the person can do."""

_READS_EVERYTHING = 1 << kernel.CAP_DAC_READ_SEARCH | 1 << kernel.CAP_DAC_OVERRIDE
_ADMINISTERS = 1 << kernel.CAP_SYS_ADMIN
_CHANGES_USERS = 1 << kernel.CAP_SETUID | 1 << kernel.CAP_KILL | 1 << kernel.CAP_SYS_PTRACE
"""To become another user; and for the engine still to end that process and measure its memory."""
_FIRST_FREE_USER = 2_000_000_000
"""No distribution gives out user numbers from here on. A worker's is this plus its process number."""

_SYSTEM = (b"/usr", b"/bin", b"/lib", b"/lib32", b"/lib64", b"/nix/store", b"/gnu/store")
_SYSTEM_FILES = (
    b"/etc/ld.so.cache",
    b"/etc/localtime",
    b"/etc/timezone",
    b"/etc/ssl/openssl.cnf",
    b"/etc/pki/tls/openssl.cnf",
    b"/etc/crypto-policies",
    *map(os.fsencode, mimetypes.knownfiles),
    b"/dev/full",
    b"/dev/random",
    b"/dev/urandom",
    b"/dev/zero",
    b"/proc/cpuinfo",
    b"/proc/meminfo",
    b"/proc/stat",
    b"/proc/sys/vm/overcommit_memory",
    b"/sys/devices/system/cpu",
    b"/sys/devices/system/node",
    b"/sys/kernel/mm/transparent_hugepage",
)
"""What libraries look at when they are loaded or used: many of them are prepared for a file that is not
there, few for one that is there and closed."""


@dataclass(frozen=True, slots=True)
class Network:
    """Whether the network was left, by a user namespace (`own_users`) or by right, or else why not."""

    left: bool
    own_users: bool = False
    reason: str = ""


def leave_network() -> Network:
    """Move this process, and all it forks, into an empty network namespace, where the system allows.

    Must run before the process has threads. Without the right to do so it takes a user namespace as
    well, except for those who may read other users' files: in there they could not.
    """
    held = kernel.permitted_capabilities()
    try:
        if held & _ADMINISTERS:
            kernel.unshare(kernel.CLONE_NEWNET)
            return Network(left=True)
        if held & _READS_EVERYTHING:
            return Network(left=False, reason=os.strerror(errno.EPERM))
        user, group = os.geteuid(), os.getegid()
        kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWUSER)
        _keep_numbers(user, group)
        return Network(left=True, own_users=True)
    except OSError as error:
        return Network(left=False, reason=_reason(error))


def _keep_numbers(user: int, group: int) -> None:
    """Be the same user in a new user namespace: who is nobody there cannot make another one inside it."""
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    with contextlib.suppress(OSError):
        for name, text in maps.items():
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. No program it starts gets more rights."""
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind, so that it can be ended."""
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def children(pid: int) -> list[int]:
    """The processes that a process has started, or taken over from what it had started."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as listed:
                found += map(int, listed.read().split())
    return found


def has_children() -> bool:
    """Whether this process has any children, living or not yet waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def describe(measures: tuple[Measure, ...]) -> str:
    """The level reached in one line, the verdict first: the screen has room for little more."""
    reached = ", ".join(_WORDS[measure.name] for measure in measures if measure.reached)
    missing = ", ".join(measure.name for measure in measures if not measure.reached)
    if not missing:
        return f"complete: {reached}"
    return f"partial, see doctor: {reached or 'own processes'}; not closed: {missing}"


class Sandbox:
    """What is taken from each worker of a zygote."""

    def __init__(self, start: ZygoteSettings, network: Network) -> None:
        self._start = start
        self._network = network
        self._rules = _rules(start)
        self._unreached: frozenset[str] = frozenset()
        self._files_closed = False
        self.measures: tuple[Measure, ...] = ()

    def try_out(self) -> None:
        """Find out what can be reached here. Workers will have to reach it, too."""
        self.measures = self._try_in_a_child()
        self._unreached = frozenset(measure.name for measure in self.measures if not measure.reached)

    def still_holds(self) -> bool:
        """Whether what was found possible still is."""
        now = {measure.name for measure in self._try_in_a_child() if measure.reached}
        return all(measure.name in now for measure in self.measures if measure.reached)

    def _try_in_a_child(self) -> tuple[Measure, ...]:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writing, msgspec.json.encode(self._try_all()))
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading, "rb") as answer:
            data = answer.read()
        os.waitpid(pid, 0)
        try:
            return msgspec.json.decode(data, type=tuple[Measure, ...])
        except msgspec.MsgspecError:
            return tuple(Measure(name, False, "the process that tried it ended") for name in _WORDS)

    def _try_all(self) -> tuple[Measure, ...]:
        found: dict[str, Measure] = {}

        def attempt(name: str, take: Callable[[], str]) -> None:
            try:
                found[name] = Measure(name, True, take())
            except (OSError, ValueError) as error:
                found[name] = Measure(name, False, f"{_reason(error)}. {_ADVICE[name]}")

        self._take_all(attempt)
        if found["account"].reached and not _can_start_a_thread():
            found["account"] = Measure(
                "account", False, f"its threads are counted with others. {_ADVICE['account']}"
            )
        calls = found["system calls"].reached
        if calls and not found["files"].reached:
            found["files"] = Measure("files", False, f"nothing can be written; {found['files'].detail}")
        found["network"] = self._judge_network(calls)
        return tuple(found[name] for name in _WORDS)

    def _judge_network(self, no_sockets: bool) -> Measure:
        if self._network.left:
            return Measure("network", True, "an empty network of their own" + no_sockets * ", and no sockets")
        if no_sockets:
            return Measure("network", True, "no sockets can be made")
        return Measure("network", False, f"{self._network.reason}. {_ADVICE['network']}")

    def enter(self) -> None:
        """Close this process in, as far as was found possible. Raises OSError where it no longer is."""

        def take(name: str, step: Callable[[], str]) -> None:
            if name not in self._unreached:
                step()

        self._take_all(take)

    def _take_all(self, take: Callable[[str, Callable[[], str]], None]) -> None:
        """Each measure in the only order: what comes later could forbid what comes earlier."""
        sys.dont_write_bytecode = True
        take("limits", self._limit)
        take("account", self._be_another)
        self._drop_rights()
        die_with_parent()  # becoming another user had cancelled it
        if self._start.allow_programs:
            adopt_orphans()  # a document is not over before all that it started is
        take("files", self._close_files)
        take("system calls", self._filter_calls)

    def _limit(self) -> str:
        memory = self._start.worker_memory
        os.nice(NICENESS)
        for limit, value in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
            (resource.RLIMIT_STACK, STACK_BYTES),
        ):
            _limit(limit, value)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("500")  # the first to go when the machine runs out of memory
        return f"{memory / 1e9:.1f} GB of memory, {self._start.cpu_s} s of processor time a document"

    def _be_another(self) -> str:
        if self._network.own_users:
            kernel.unshare(kernel.CLONE_NEWUSER)
            how = "a user namespace of their own"
        elif os.geteuid() == 0:
            self._take_free_number()
            how = "a user number of their own"
        else:
            raise PermissionError(errno.EPERM, "user namespaces are not allowed here")
        _limit(resource.RLIMIT_NPROC, MAX_TASKS)
        return f"{how}, no rights but to read, at most {MAX_TASKS} threads"

    def _take_free_number(self) -> None:
        """Stay root only to the files that are opened: to signals, limits and programs be nobody.

        A file system that a program provides (FUSE) may show itself to root alone and ask for more than
        that: where the source cannot be listed afterwards this is not done at all.
        """
        held = kernel.permitted_capabilities()
        if held & _CHANGES_USERS != _CHANGES_USERS:
            raise PermissionError(
                errno.EPERM, "root may not change users, end or look at their processes here"
            )
        listed = [folder for folder in _with_mounts_of_users(self._start.readable) if _can_list(folder)]
        number = _FIRST_FREE_USER + os.getpid()
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
        os.setresuid(number, number, number)
        kernel.set_capabilities(held & (_READS_EVERYTHING | 1 << kernel.CAP_SETUID))
        kernel.set_filesystem_user(0)
        if not all(map(_can_list, listed)):
            raise PermissionError(errno.EACCES, "the source has a FUSE mount that only root may look at")

    def _drop_rights(self) -> None:
        """Keep the right to read other users' files, where the program has it, and no other."""
        held = 0 if self._network.own_users else kernel.permitted_capabilities()
        only_reading = held & 1 << kernel.CAP_DAC_READ_SEARCH
        with contextlib.suppress(OSError):
            kernel.set_capabilities(only_reading or held & _READS_EVERYTHING)

    def _close_files(self) -> str:
        version = landlock.restrict([*self._rules, (b"/proc/self", landlock.READ)])
        self._files_closed = True
        return f"only the source, Python and libraries can be read, nothing written (Landlock {version})"

    def _filter_calls(self) -> str:
        seccomp.restrict(allow_programs=self._start.allow_programs, read_only=not self._files_closed)
        return "only what reading takes" + self._start.allow_programs * " and starting the system's programs"


def _reason(error: OSError | ValueError) -> str:
    """Why a call failed, in words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def _limit(which: int, value: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _soft, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


def _with_mounts_of_users(folders: tuple[bytes, ...]) -> Iterator[bytes]:
    """Folders, and where in them FUSE file systems are mounted."""
    yield from folders
    above = tuple(os.path.realpath(folder).rstrip(b"/") + b"/" for folder in folders)
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            before, _dash, after = line.partition(b" - ")
            place = re.sub(rb"\\(\d{3})", lambda octal: bytes([int(octal[1], 8)]), before.split()[4])
            if after.startswith(b"fuse") and place.startswith(above):
                yield place


def _can_list(folder: bytes) -> bool:
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError:
        return False
    return True


def _can_start_a_thread() -> bool:
    try:
        thread = threading.Thread(target=lambda: None)
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


def _rules(start: ZygoteSettings) -> list[tuple[bytes, int]]:
    """What stays open, without what lies below something else that does."""
    programs = landlock.EXECUTE if start.allow_programs else 0
    wanted = dict.fromkeys(map(os.path.realpath, (*_SYSTEM_FILES, *_code())), landlock.READ)
    system = [*_SYSTEM, *(os.fsencode(os.environ.get("PATH", "")).split(b":") if programs else ())]
    for folder in map(os.path.realpath, filter(os.path.isabs, system)):
        wanted[folder] = landlock.READ | programs
    kept: list[tuple[bytes, int]] = []
    for path in sorted(wanted):
        if not any(
            path.startswith(above.rstrip(b"/") + b"/") and wanted[path] | rights == rights
            for above, rights in kept
        ):
            kept.append((path, wanted[path]))
    kept += ((folder, landlock.READ) for folder in start.readable)
    return [*kept, (b"/dev/null", landlock.READ | landlock.WRITE_FILE | landlock.TRUNCATE)]


def _code() -> Iterator[bytes]:
    """Where modules and the libraries beside them are, also those that have not been needed yet."""
    places = sysconfig.get_paths()
    yield from map(os.fsencode, (places[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")))
    yield os.fsencode(os.path.join(sys.base_prefix, "lib"))
    yield from map(os.fsencode, filter(os.path.isabs, sys.path))
    for module in list(sys.modules.values()):
        for place in getattr(module, "__path__", None) or ():
            if isinstance(place, str) and os.path.isabs(place):
                yield os.fsencode(place)
    with contextlib.suppress(OSError), open("/proc/self/maps", "rb") as maps:
        for line in maps:
            path = line[73:].strip()
            if b".so" in os.path.basename(path) and any(
                part.startswith(b"lib") for part in path.split(b"/")[:-1]
            ):
                yield os.path.dirname(path)
