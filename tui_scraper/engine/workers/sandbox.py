"""What keeps a worker in: limits of the operating system, set before it sees a byte from outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_MAX_FILE_BYTES = 1_000_000
"""Workers have no reason to write a file; a library's small temporary one is tolerated."""


def leave_network() -> bool:
    """Move this process, and all it forks, into an empty network namespace, where the system allows.

    Must run before the process has threads. A user namespace is needed without root; with root it
    is avoided, because it would take away the right to read other users' files.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    try:
        return bool(libc.unshare(flags) == 0)
    except AttributeError:  # not Linux
        return False


def describe(network_left: bool) -> str:
    """The level reached, in words for `doctor` and `status`."""
    network = "no network" if network_left else "network not closed here"
    return f"own processes, limits, {network}"


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind, so that it can be ended."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


NICENESS = 5
"""Workers step back behind the engine and the screen, which need little but need it at once."""


def limit(memory_bytes: int) -> None:
    """Bound address space, written files and core dumps of this process, and let others go first."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("500")  # the first to go when the machine runs out of memory


class CpuAllowance:
    """Gives each document its CPU seconds: the kernel ends the process (SIGXCPU) that uses them up.

    RLIMIT_CPU counts from the start of the process, so the limit is moved along; only once it has
    come closer by a second, because most documents take less than a millisecond.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._granted = 0.0
        self.renew(0.0)

    def renew(self, used_s: float) -> None:
        """Allow `seconds` more from now; `used_s` is the CPU time of the process so far."""
        if self._granted and used_s - self._granted < 1.0:
            return
        self._granted = max(used_s, 0.001)
        soft = int(used_s) + self._seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
