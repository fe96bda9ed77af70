"""The system calls that a worker may still make, as a filter that the kernel asks before each of them.

It is a list of what is allowed, so that a call which nobody thought of, or which a later kernel brings,
is refused. What is refused fails with an error and does not end the process: a library that only tries
whether something is possible goes on without it. Calls that came with Linux 5.1 or later fail as they
would on an older kernel (ENOSYS), because libraries know another way then; older ones fail with EPERM.

The filter is machine code of the kernel's small packet filter: a binary search over the call's number,
then a few comparisons of its arguments. A call of another processor mode is refused altogether.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tui_scraper.engine.workers import kernel

# fmt: off
_NUMBERS: Final = {  # x86_64, aarch64 (-1: not there)
    # files that are open, or are opened to be read
    "read": (0, 63), "readv": (19, 65), "pread64": (17, 67), "preadv": (295, 69), "preadv2": (327, 286),
    "write": (1, 64), "writev": (20, 66), "lseek": (8, 62), "open": (2, -1), "openat": (257, 56),
    "close": (3, 57), "close_range": (436, 436), "stat": (4, -1), "fstat": (5, 80), "lstat": (6, -1),
    "newfstatat": (262, 79), "statx": (332, 291), "access": (21, -1), "faccessat": (269, 48),
    "faccessat2": (439, 439), "readlink": (89, -1), "readlinkat": (267, 78), "getdents": (78, -1),
    "getdents64": (217, 61), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "dup": (32, 23),
    "dup2": (33, -1), "dup3": (292, 24), "fcntl": (72, 25), "ioctl": (16, 29), "umask": (95, 166),
    "statfs": (137, 43), "fstatfs": (138, 44), "fadvise64": (221, 223), "readahead": (187, 213),
    # waiting, and talking over what is open
    "poll": (7, -1), "ppoll": (271, 73), "select": (23, -1), "pselect6": (270, 72),
    "epoll_create": (213, -1), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, -1),
    "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "eventfd": (284, -1), "eventfd2": (290, 19),
    "pipe": (22, -1), "pipe2": (293, 59), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "shutdown": (48, 210), "getsockname": (51, 204), "getpeername": (52, 205),
    "getsockopt": (55, 209),
    # memory
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233),
    "msync": (26, 227), "mincore": (27, 232), "brk": (12, 214), "membarrier": (324, 283),
    # threads, and this process
    "clone": (56, 220), "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293),
    "futex": (202, 98), "set_tid_address": (218, 96), "gettid": (186, 178), "getpid": (39, 172),
    "getppid": (110, 173), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "getpriority": (140, 141), "getcpu": (309, 168), "exit": (60, 93),
    "exit_group": (231, 94), "arch_prctl": (158, -1), "prctl": (157, 167), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148),
    "getresgid": (120, 150), "getgroups": (115, 158), "getpgid": (121, 155), "getpgrp": (111, -1),
    "getsid": (124, 156), "uname": (63, 160), "sysinfo": (99, 179), "getrandom": (318, 278),
    "getrlimit": (97, 163), "prlimit64": (302, 261),
    # signals to itself
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132), "pause": (34, -1), "alarm": (37, -1), "setitimer": (38, 103),
    "getitimer": (36, 102), "restart_syscall": (219, 128), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131),
    # time
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101), "gettimeofday": (96, 169), "time": (201, -1), "times": (100, 153),
    "getrusage": (98, 165),
}
_OF_PROGRAMS: Final = {
    "execve": (59, 221), "fork": (57, -1), "vfork": (58, -1), "wait4": (61, 260), "waitid": (247, 95),
    "setsid": (112, 157), "setpgid": (109, 154),
}
# fmt: on
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_OF_LINUX_5_1: Final = 424  # from here on the numbers are the same everywhere
_BEYOND: Final = 1000

_LOAD, _AND, _RETURN, _JUMP, _IF_EQUAL, _IF_AT_LEAST = 0x20, 0x54, 0x06, 0x05, 0x15, 0x35
_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000
_MODE_FILTER: Final = 2

_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW_NAMESPACES: Final = 0x7E020000
_OPEN_TO_CHANGE: Final = (
    os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | 0x400000
)  # the last one: O_TMPFILE's own bit
_RLIMIT_CPU: Final = 0
_FCNTL_HARMLESS: Final = (0, 1, 2, 3, 4, 1030)  # copy a descriptor, its flags; no locks, owners, leases
_IOCTL_HARMLESS: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal and how wide, bytes to read, blocking or not, inherited or not."""
_PRCTL_HARMLESS: Final = (3, 15, 16, 23, 39, 0x53564D41)
"""Questions, and names of threads and of memory."""


@dataclass(frozen=True)
class _Test:
    """A 32-bit half of an argument (the lower one unless `upper`), masked, has one of some values."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    upper: bool = False


_Alternatives = tuple[tuple[_Test, ...], ...]
"""Tests that must all be passed, and others that will do instead."""


def _conditions(pid: int, allow_programs: bool, read_only: bool) -> dict[str, _Alternatives]:
    """The calls that are allowed with some arguments only."""
    own = ((_Test(0, (pid,)),),)
    this = _Test(0, (0, pid))
    asking = (this, _Test(2, (0,)), _Test(2, (0,), upper=True))
    found: dict[str, _Alternatives] = {
        "clone": ((_Test(0, (_CLONE_THREAD,), _CLONE_THREAD | _CLONE_NEW_NAMESPACES),),),
        "kill": own,
        "tkill": own,
        "tgkill": own,
        "fcntl": ((_Test(1, _FCNTL_HARMLESS),),),
        "ioctl": ((_Test(1, _IOCTL_HARMLESS),),),
        "prctl": ((_Test(0, _PRCTL_HARMLESS),),),
        "prlimit64": (asking, (this, _Test(1, (_RLIMIT_CPU,)))),
    }
    if allow_programs:
        found["clone"] = ((_Test(0, (0,), _CLONE_NEW_NAMESPACES),),)
        found["kill"] = ((_Test(0, (0,), 0x80000000),),)  # a child, not everybody (-1) and not a group
        found["tgkill"] = found["tkill"] = found["kill"]  # a program's own number is not known here
        found["prlimit64"] = ((_Test(0, (0,)),),)  # to lower what a program inherits
    if read_only:
        found["open"] = ((_Test(1, (0,), _OPEN_TO_CHANGE),),)
        found["openat"] = ((_Test(2, (0,), _OPEN_TO_CHANGE),),)
    return found


def assemble(machine: str, pid: int, *, allow_programs: bool, read_only: bool) -> bytes:
    """The filter for the process `pid` on a processor ('x86_64' or 'aarch64').

    `allow_programs` leaves starting other programs open, `read_only` refuses to open any file for writing.
    Raises OSError (ENOSYS) for a processor whose numbers are not known here.
    """
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    column, architecture = _MACHINES[machine]
    refuse, unknown, allow = (
        _instruction(_RETURN, k) for k in (_FAIL | errno.EPERM, _FAIL | errno.ENOSYS, _ALLOW)
    )
    blocks: list[tuple[bytes, ...]] = [(refuse,)] * _BEYOND
    blocks[_OF_LINUX_5_1:] = [(unknown,)] * (_BEYOND - _OF_LINUX_5_1)
    conditions = _conditions(pid, allow_programs, read_only)
    for name, numbers in (_NUMBERS | _OF_PROGRAMS if allow_programs else _NUMBERS).items():
        if numbers[column] >= 0:
            wanted = conditions.get(name)
            blocks[numbers[column]] = (allow,) if wanted is None else (*_comparisons(wanted), refuse)
    runs = [
        (next(run)[0], block) for block, run in itertools.groupby(enumerate(blocks), key=lambda one: one[1])
    ]
    program = (
        _instruction(_LOAD, 4),
        _instruction(_IF_EQUAL, architecture, 1, 0),
        refuse,
        _instruction(_LOAD, 0),
        *_search(runs),
    )
    return b"".join(program)


def _instruction(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def _search(runs: Sequence[tuple[int, tuple[bytes, ...]]]) -> list[bytes]:
    """Find the run of numbers in which the loaded one lies, and do what its block says."""
    if len(runs) == 1:
        return list(runs[0][1])
    middle = len(runs) // 2
    below, above = _search(runs[:middle]), _search(runs[middle:])
    return [
        _instruction(_IF_AT_LEAST, runs[middle][0], 0, 1),
        _instruction(_JUMP, len(below)),
        *below,
        *above,
    ]


def _comparisons(alternatives: _Alternatives) -> list[bytes]:
    """Allow the call if all tests of one alternative are passed; else go on behind the last one."""
    code: list[bytes] = []
    for tests in alternatives:
        block = [_instruction(_RETURN, _ALLOW)]
        for test in reversed(tests):
            compare = [_instruction(_IF_EQUAL, test.values[-1], 0, len(block))]
            for value in reversed(test.values[:-1]):
                compare.insert(0, _instruction(_IF_EQUAL, value, len(compare), 0))
            if test.mask != 0xFFFFFFFF:
                compare.insert(0, _instruction(_AND, test.mask))
            word = 16 + 8 * test.argument + (4 if test.upper else 0)
            block = [_instruction(_LOAD, word), *compare, *block]
        code += block
    return code


def restrict(*, allow_programs: bool, read_only: bool) -> None:
    """Put the filter on this thread and all it starts. Needs PR_SET_NO_NEW_PRIVS. Raises OSError."""
    machine = os.uname().machine if sys.maxsize > 1 << 32 else "a 32-bit program"
    program = assemble(machine, os.getpid(), allow_programs=allow_programs, read_only=read_only)
    code = ctypes.create_string_buffer(program, len(program))
    about = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    header = ctypes.create_string_buffer(about, len(about))
    kernel.prctl(kernel.PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))
