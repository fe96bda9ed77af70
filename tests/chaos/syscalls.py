"""Lets chosen system calls of a program fail, as a disk that is full, read-only or broken would.

The kernel is asked to report the calls that work on files (seccomp user notification, Linux 5.5) and waits
for an answer to each: go on, or fail with this error. So exactly one call can be hit, counted over all
threads in the order in which they happen, and only where it is about a file of the folder in question.
strace counts for each thread by itself and knows no folders, only paths that are named beforehand; a
workspace has files with random names.

The program is not changed and does not notice: `listen` is called in its process just before it begins,
`Watch.serve` in the process that started it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import signal
import struct
import time
from collections import Counter
from dataclasses import dataclass

from tui_scraper.engine.workers import kernel

_AT_FDCWD = -100
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

# name: (group, number on x86_64, number on aarch64, places of its files among the arguments). A place is 'f'
# for a descriptor, 'p' for a path, 'd' for a directory's descriptor with a path in the argument behind it.
_CALLS: dict[str, tuple[str, int, int, tuple[str, ...]]] = {
    "write": ("write", 1, 64, ("f0",)),
    "pwrite64": ("write", 18, 68, ("f0",)),
    "writev": ("write", 20, 66, ("f0",)),
    "pwritev": ("write", 296, 70, ("f0",)),
    "ftruncate": ("write", 77, 46, ("f0",)),
    "truncate": ("write", 76, 45, ("p0",)),
    "fallocate": ("write", 285, 47, ("f0",)),
    "fsync": ("fsync", 74, 82, ("f0",)),
    "fdatasync": ("fsync", 75, 83, ("f0",)),
    "sync_file_range": ("fsync", 277, 84, ("f0",)),
    "rename": ("rename", 82, -1, ("p0", "p1")),
    "renameat": ("rename", 264, 38, ("d0", "d2")),
    "renameat2": ("rename", 316, 276, ("d0", "d2")),
    "link": ("rename", 86, -1, ("p0", "p1")),
    "linkat": ("rename", 265, 37, ("d0", "d2")),
    "open": ("open", 2, -1, ("p0",)),
    "openat": ("open", 257, 56, ("d0",)),
    "creat": ("open", 85, -1, ("p0",)),
    "mkdir": ("open", 83, -1, ("p0",)),
    "mkdirat": ("open", 258, 34, ("d0",)),
    "unlink": ("unlink", 87, -1, ("p0",)),
    "unlinkat": ("unlink", 263, 35, ("d0",)),
    "rmdir": ("unlink", 84, -1, ("p0",)),
    "chmod": ("unlink", 90, -1, ("p0",)),
    "fchmod": ("unlink", 91, 52, ("f0",)),
    "fchmodat": ("unlink", 268, 53, ("d0",)),
    "read": ("read", 0, 63, ("f0",)),
    "pread64": ("read", 17, 67, ("f0",)),
    "readv": ("read", 19, 65, ("f0",)),
    "preadv": ("read", 295, 69, ("f0",)),
    "getdents64": ("read", 217, 61, ("f0",)),
    "stat": ("stat", 4, -1, ("p0",)),
    "lstat": ("stat", 6, -1, ("p0",)),
    "fstat": ("stat", 5, 80, ("f0",)),
    "newfstatat": ("stat", 262, 79, ("d0",)),
    "statx": ("stat", 332, 291, ("d0",)),
    "access": ("stat", 21, -1, ("p0",)),
    "faccessat": ("stat", 269, 48, ("d0",)),
    "faccessat2": ("stat", 439, 439, ("d0",)),
    "flock": ("lock", 73, 32, ("f0",)),
    "fcntl": ("lock", 72, 25, ("f0",)),
}
GROUPS = tuple(dict.fromkeys(group for group, *_rest in _CALLS.values()))
CHANGING = frozenset({"write", "fsync", "rename", "open", "unlink"})
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS")
KILL = "KILL"
_KILLED = -1
_LOCKING = frozenset({fcntl.F_SETLK, fcntl.F_SETLKW, 37, 38})  # 37, 38: the locks of open files


@dataclass(frozen=True, slots=True)
class Fault:
    """The `nth` call of a group on something in `folder` fails with `error`.

    `lasting`: so does everything there from then on that a disk in this state refuses. With `nth` 0 nothing
    fails, and all calls are counted. With the error `KILL` the program is killed instead, and the call is not
    carried out.
    """

    calls: str
    error: str
    nth: int
    folder: str
    lasting: bool = False

    @property
    def watched(self) -> list[str]:
        """The calls that must be asked about: those counted, and all where the fault stays."""
        everything = self.lasting or not self.nth
        return [name for name, (group, *_rest) in _CALLS.items() if everything or group == self.calls]


def count(folder: str) -> Fault:
    """No fault: says by kind and error how many calls a run makes that a disk could refuse."""
    return Fault("", "EIO", 0, folder)


def _refuses(error: str, name: str, path: str, arguments: tuple[int, ...]) -> bool:
    """Whether a disk in a state that gives this error gives it for such a call."""
    if name == "fcntl" and arguments[1] not in _LOCKING:
        return False
    if error not in {"EROFS", "ENOSPC", "EDQUOT"}:
        return True
    if name in {"open", "openat"}:
        flags = arguments[1 if name == "open" else 2]
        if flags & os.O_CREAT and not os.path.lexists(path):
            return True
        return error == "EROFS" and bool(flags & os.O_ACCMODE)
    group = _CALLS[name][0]
    return group in CHANGING and (error == "EROFS" or group != "unlink")


# --- in the program's process ---------------------------------------------------------------------

_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 1 << 3, 1 << 5
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000


def names_of(group: str) -> list[str]:
    """The calls of a group that this processor has."""
    return [name for name, (of, *_rest) in _CALLS.items() if of == group and _number(name) >= 0]


def _number(name: str) -> int:
    return _CALLS[name][1 if os.uname().machine == "x86_64" else 2]


def listen(fault: Fault) -> int:
    """Have the calls of this process, and of all it starts, reported. Returns the descriptor to be served.

    From here on they wait for `Watch.serve` in another process. Raises OSError where the kernel cannot.
    """
    seccomp = {"x86_64": 317, "aarch64": 277}.get(os.uname().machine)
    if seccomp is None:
        raise OSError(errno.ENOSYS, "no numbers of system calls for this processor")
    numbers = [number for number in map(_number, fault.watched) if number >= 0]
    code = [struct.pack("=HBBI", _LOAD, 0, 0, 0)]
    for at, number in enumerate(numbers):
        code.append(struct.pack("=HBBI", _IF_EQUAL, len(numbers) - at, 0, number))
    code += [struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW), struct.pack("=HBBI", _RETURN, 0, 0, _NOTIFY)]
    program = ctypes.create_string_buffer(b"".join(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(program)))
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):  # the first needs Linux 5.19
        for _attempt in range(2):
            try:
                return kernel.syscall(seccomp, _SET_MODE_FILTER, flags, ctypes.addressof(header))
            except OSError as error:
                if error.errno == errno.EACCES:
                    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)  # needed without CAP_SYS_ADMIN
                elif error.errno == errno.EINVAL and flags != _NEW_LISTENER:
                    break
                else:
                    raise
    raise OSError(errno.ENOSYS, "this kernel reports no system calls")


# --- in the process that watches it ---------------------------------------------------------------

_NOTIFICATION = struct.Struct("@QII iI Q 6Q")
_ANSWER = struct.Struct("@QqiI")


def _ioctl_number(size: int, number: int) -> int:
    return 3 << 30 | size << 16 | ord("!") << 8 | number


_RECEIVE = _ioctl_number(_NOTIFICATION.size, 0)
_SEND = _ioctl_number(_ANSWER.size, 1)


class Watch:
    """Answers for the calls of one program.

    `hits` names the calls that failed, `seen` counts those of the fault's kind, and where nothing is to fail
    `counts` says by kind and error how many there were.
    """

    def __init__(self, fault: Fault, pid: int, listener: int) -> None:
        self.hits: list[str] = []
        self.seen = 0
        self.counts: Counter[str] = Counter()
        self._fault = fault
        self._pid = pid
        self._listener = listener
        self._groups: dict[int, int] = {}
        self._names = {_number(name): name for name in _CALLS if _number(name) >= 0}

    def serve(self, process: int, until: float) -> bool:
        """Answer until `process`, a descriptor of the program, has ended. False where `until` came first."""
        return self._serve([process], until)

    def serve_rest(self, until: float) -> bool:
        """Answer until all that the program started has ended too. False where `until` came first."""
        try:
            return self._serve([], until)
        finally:
            os.close(self._listener)

    def _serve(self, others: list[int], until: float) -> bool:
        poller = select.poll()
        for descriptor in (self._listener, *others):
            poller.register(descriptor, select.POLLIN)
        while (left := until - time.monotonic()) > 0:
            for descriptor, what in poller.poll(left * 1000):
                if descriptor != self._listener or what & (select.POLLHUP | select.POLLERR):
                    return True
                self._answer()
        return False

    def _answer(self) -> None:
        notification = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notification)
        except OSError:  # the caller has died meanwhile
            return
        number, thread, _flags, call, _machine, _place, *arguments = _NOTIFICATION.unpack(notification)
        error = self._judge(thread, self._names[call], tuple(arguments))
        if error == _KILLED:
            os.kill(self._pid, signal.SIGKILL)
            return
        answer = _ANSWER.pack(number, 0, -error, 0 if error else _CONTINUE)
        try:
            fcntl.ioctl(self._listener, _SEND, bytearray(answer))
        except OSError:
            return

    def _judge(self, thread: int, name: str, arguments: tuple[int, ...]) -> int:
        """The number of the error for a call, 0 to let it go on."""
        if self._process(thread) != self._pid:
            return 0  # a worker: it has no file of the workspace
        fault = self._fault
        group, _x86, _arm, places = _CALLS[name]
        for place in places:
            path = _path(thread, place, arguments)
            inside = path == fault.folder or path.startswith(fault.folder + "/")
            if inside and _refuses(fault.error, name, path, arguments):
                break
        else:
            return 0
        if not fault.nth:
            self.counts.update(
                f"{group} {error}" for error in ERRORS if _refuses(error, name, path, arguments)
            )
            return 0
        self.seen += group == fault.calls
        if self.seen < fault.nth or not (fault.lasting or (group == fault.calls and self.seen == fault.nth)):
            return 0
        self.hits.append(f"{name} {path[len(fault.folder) + 1 :] or '.'}")
        return _KILLED if fault.error == KILL else int(getattr(errno, fault.error))

    def _process(self, thread: int) -> int:
        if thread not in self._groups:
            self._groups[thread] = 0
            try:
                with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as file:
                    line = next(line for line in file if line.startswith("Tgid:"))
                self._groups[thread] = int(line.split()[1])
            except (OSError, StopIteration):
                pass
        return self._groups[thread]


def _path(thread: int, place: str, arguments: tuple[int, ...]) -> str:
    """The path that an argument of a waiting call is about; '' where it has none."""
    kind, at = place[0], int(place[1])
    try:
        if kind == "f":
            return os.readlink(f"/proc/{thread}/fd/{arguments[at]}")
        text = _text(thread, arguments[at + (kind == "d")])
        if text.startswith("/"):
            return os.path.normpath(text)
        directory = ctypes.c_int(arguments[at] & 0xFFFFFFFF).value if kind == "d" else _AT_FDCWD
        start = f"/proc/{thread}/cwd" if directory == _AT_FDCWD else f"/proc/{thread}/fd/{directory}"
        return os.path.normpath(os.path.join(os.readlink(start), text))
    except OSError:
        return ""


def _text(thread: int, address: int) -> str:
    """A string in another process's memory."""
    found = b""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        while b"\0" not in found and len(found) < 4096:
            memory.seek(address + len(found))
            found += memory.read(mmap.PAGESIZE - (address + len(found)) % mmap.PAGESIZE)
    return os.fsdecode(found.partition(b"\0")[0])
