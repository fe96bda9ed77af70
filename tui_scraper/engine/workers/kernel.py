"""The few calls of the Linux kernel that the sandbox needs and Python's library does not have.

All numbers here are part of the kernel's interface to programs, which never changes. On another
system every call raises OSError (ENOSYS), as on a kernel without the feature.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import Any, Final

CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
CAP_KILL: Final = 5
CAP_SETUID: Final = 7
CAP_SYS_PTRACE: Final = 19
CAP_SYS_ADMIN: Final = 21

CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

PR_SET_PDEATHSIG: Final = 1
PR_SET_KEEPCAPS: Final = 8
PR_SET_SECCOMP: Final = 22
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38

_CAPABILITY_VERSION: Final = 0x20080522
_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
if _libc is not None:
    _libc.syscall.restype = ctypes.c_long
    _libc.syscall.argtypes = [ctypes.c_long] * 7
    _libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySet(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _call(function: str, *arguments: Any) -> int:
    if _libc is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    result = int(getattr(_libc, function)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(number: int, *arguments: int) -> int:
    """Call the kernel by number; pointers are passed as addresses. Raises OSError."""
    return _call("syscall", number, *arguments, *(0,) * (6 - len(arguments)))


def prctl(option: int, *arguments: int) -> int:
    """Change something about this process. Raises OSError."""
    return _call("prctl", option, *arguments, *(0,) * (4 - len(arguments)))


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. Raises OSError."""
    _call("unshare", flags)


def set_filesystem_user(uid: int) -> None:
    """Let files be opened as another user than the process is otherwise. The kernel reports no failure."""
    if _libc is not None:
        _libc.setfsuid(uid)


def permitted_capabilities() -> int:
    """The capabilities that this process has or could have, as bits. 0 where there are none."""
    try:
        low, high = _capabilities()
    except OSError:
        return 0
    return int(low.permitted | high.permitted << 32)


def _capabilities() -> Any:
    sets = (_CapabilitySet * 2)()
    _call("capget", ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION, 0)), sets)
    return sets


def set_capabilities(bits: int) -> None:
    """Have exactly these capabilities, none that an executed program inherits. Raises OSError."""
    sets = (_CapabilitySet * 2)()
    for half, word in enumerate((bits & 0xFFFFFFFF, bits >> 32)):
        sets[half].effective = sets[half].permitted = word
    _call("capset", ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION, 0)), sets)
