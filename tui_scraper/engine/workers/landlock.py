"""Landlock: which files this process may still open, decided once and for good.

A rule opens what lies below a path; everything without a rule is closed. There are no rules for writing
except for /dev/null. Rules are bound to files and not to names, so links, odd bytes and other mounts
need no care. What Landlock does not rule over is asking for a file's size, owner and dates.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

from tui_scraper.engine.workers import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every processor

EXECUTE: Final = 1 << 0
WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
TRUNCATE: Final = 1 << 14
READ: Final = READ_FILE | READ_DIR
_OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE

_RIGHTS_BY_ABI: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights to files that each version began to know: all of them are taken away."""
_TCP_ABI: Final = 4
_BIND_AND_CONNECT_TCP: Final = 0b11
_SCOPE_ABI: Final = 6
_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 0b11
_QUIET_ABI: Final = 7
_LOG_NOTHING: Final = 1
"""A parser that is refused a file a million times a second must not fill the system's audit log."""
_GET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1


def abi() -> int:
    """The version of Landlock that this kernel speaks. Raises OSError where it has none."""
    return kernel.syscall(_CREATE_RULESET, 0, 0, _GET_VERSION)


def restrict(rules: Iterable[tuple[bytes, int]]) -> int:
    """Close every file to this thread and what it forks, but for what the rules (path, rights) leave open.

    A path that is not there is passed over. TCP, signals to processes outside and abstract sockets are
    closed as well, where the kernel knows how. Needs PR_SET_NO_NEW_PRIVS. Returns the version used.
    Raises OSError.
    """
    version = abi()
    rights = max(value for since, value in _RIGHTS_BY_ABI.items() if since <= version)
    closed = struct.pack(
        "=QQQ",
        rights,
        _BIND_AND_CONNECT_TCP if version >= _TCP_ABI else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPE_ABI else 0,
    )
    size = 24 if version >= _SCOPE_ABI else 16 if version >= _TCP_ABI else 8
    ruleset = kernel.syscall(_CREATE_RULESET, _address(closed), size, 0)
    try:
        for path, allowed in rules:
            with contextlib.suppress(OSError):  # not there, or not ours: then there is nothing to leave open
                _open_up(ruleset, path, allowed & rights)
        kernel.syscall(_RESTRICT_SELF, ruleset, _LOG_NOTHING if version >= _QUIET_ABI else 0)
    finally:
        os.close(ruleset)
    return version


def _open_up(ruleset: int, path: bytes, allowed: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= _OF_FILES
        rule = struct.pack("=Qi", allowed, descriptor)
        kernel.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, _address(rule), 0)
    finally:
        os.close(descriptor)


def _address(data: bytes) -> int:
    """Where bytes lie in memory, for as long as the caller holds on to them."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
