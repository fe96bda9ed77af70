"""Each measure by itself: the filter is what it says on every processor, and what is missing is said."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.plugins import write_plugin
from tests.workers.attacking import inside
from tui_scraper.engine import Status, TuiScraperError
from tui_scraper.engine.workers import sandbox, seccomp
from tui_scraper.engine.workers.frames import Measure

OWN_PID = 4321
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED, EPERM, ENOSYS = "allowed", "EPERM", "ENOSYS"


def judge(program: bytes, architecture: int, number: int, *arguments: int) -> str:
    """What the kernel would say to a call, by an interpreter of its packet filter's language."""
    words = [argument & (1 << 64) - 1 for argument in (*arguments, *(0,) * (6 - len(arguments)))]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *words)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == 0x20:  # load a word
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == 0x54:  # and
            accumulator &= k
        elif operation == 0x05:  # jump
            at += k
        elif operation in {0x15, 0x35}:  # jump if equal, jump if at least
            true = accumulator == k if operation == 0x15 else accumulator >= k
            at += if_true if true else if_false
        else:
            assert operation == 0x06
            return {0x7FFF0000: ALLOWED, 0x00050001: EPERM, 0x00050026: ENOSYS}[k]


def headers(machine: str) -> dict[str, int]:
    """The numbers of system calls, as the kernel's own headers give them."""
    if machine == "x86_64":
        found = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    else:
        found = Path("/usr/include/asm-generic/unistd.h")
    if not found.exists():
        pytest.skip("the kernel's headers are not installed here")
    defined = dict(re.findall(r"#define (__NR3?2?6?4?_\w+) (\w+)", found.read_text()))
    numbers = {}
    for name, value in defined.items():
        while not value.isdigit() and value in defined:
            value = defined[value]  # noqa: PLW2901
        if value.isdigit():
            numbers[re.sub(r"__NR(3264)?_", "", name)] = int(value)
    return numbers


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_numbers_are_those_of_the_kernel(machine: str) -> None:
    known = headers(machine)
    column = list(ARCHITECTURES).index(machine)
    for name, numbers in (seccomp._NUMBERS | seccomp._OF_PROGRAMS).items():
        if numbers[column] >= 0:
            assert known[name] == numbers[column], name


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("allow_programs", [False, True])
def test_what_is_not_on_the_list_is_refused(machine: str, allow_programs: bool) -> None:
    program = seccomp.assemble(machine, OWN_PID, allow_programs=allow_programs, read_only=False)
    column, architecture = list(ARCHITECTURES).index(machine), ARCHITECTURES[machine]
    names = seccomp._NUMBERS | (seccomp._OF_PROGRAMS if allow_programs else {})
    on_the_list = {numbers[column] for numbers in names.values()}
    for number in range(1200):
        verdict = judge(program, architecture, number, *(0xFFFFFFFF,) * 6)
        if number not in on_the_list:
            assert verdict == (EPERM if number < 424 else ENOSYS)
        assert judge(program, architecture ^ 0x40000000, number) == EPERM
    for number in (0x40000000, 0x40000001, 0x7FFFFFFF, 0xFFFFFFFF):
        assert judge(program, architecture, number) == ENOSYS


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_arguments_are_looked_at(machine: str) -> None:
    column, architecture = list(ARCHITECTURES).index(machine), ARCHITECTURES[machine]

    def ask(name: str, *arguments: int, programs: bool = False, read_only: bool = False) -> bool:
        program = seccomp.assemble(machine, OWN_PID, allow_programs=programs, read_only=read_only)
        number = (seccomp._NUMBERS | seccomp._OF_PROGRAMS)[name][column]
        return judge(program, architecture, number, *arguments) == ALLOWED

    a_thread, a_process, a_namespace = 0x3D0F00, 17, 0x10000000
    assert ask("clone", a_thread)
    assert not ask("clone", a_process)
    assert not ask("clone", a_thread | a_namespace)
    assert ask("clone", a_process, programs=True)
    assert not ask("clone", a_process | a_namespace, programs=True)
    for name in ("kill", "tgkill", "tkill"):
        assert ask(name, OWN_PID)
        assert not ask(name, OWN_PID + 1)
        assert not ask(name, -1)
        assert not ask(name, -1, programs=True)
        assert not ask(name, -OWN_PID, programs=True)
        assert ask(name, OWN_PID + 1, programs=True)
    for request in (0x5412, 0x5423, 0x40049409):  # put into a terminal's input, change it, clone a file
        assert not ask("ioctl", 0, request)
    assert ask("ioctl", 0, 0x5451)
    for option in (1, 4, 8, 22, 24, 36, 38):
        assert not ask("prctl", option)
    for command in (5, 6, 7, 8, 10, 1024, 1026, 1031, 1033):
        assert not ask("fcntl", 0, command)
    limit_cpu, limit_as, a_pointer, a_high_pointer = 0, 9, 0x1000, 0x7F00_0000_0000
    assert ask("prlimit64", 0, limit_as, 0)
    assert ask("prlimit64", OWN_PID, limit_cpu, a_pointer)
    for pointer in (a_pointer, a_high_pointer):
        assert not ask("prlimit64", 0, limit_as, pointer)
    assert not ask("prlimit64", OWN_PID + 1, limit_as, 0)
    assert ask("openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, read_only=True)
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_TMPFILE, 3):
        assert not ask("openat", 0, 0, flags, read_only=True)
        assert ask("openat", 0, 0, flags)


def test_a_processor_that_is_not_known_is_said_to_be() -> None:
    with pytest.raises(OSError, match="riscv64"):
        seccomp.assemble("riscv64", OWN_PID, allow_programs=False, read_only=False)


def test_the_level_in_one_line_begins_with_the_verdict() -> None:
    every = tuple(Measure(name, True, "x") for name in sandbox._WORDS)
    assert sandbox.describe(every).startswith("complete: limits, ")
    some = tuple(Measure(name, name != "files", "x") for name in sandbox._WORDS)
    assert sandbox.describe(some).startswith("partial, see doctor: limits, ")
    assert sandbox.describe(some).endswith("; not closed: files")
    none = tuple(Measure(name, False, "x") for name in sandbox._WORDS)
    assert sandbox.describe(none).startswith("partial, see doctor: own processes; not closed: ")


# --- systems that have less -----------------------------------------------------------------------

REFUSING = """
    import ctypes, errno, json, os, struct, sys
    from pathlib import Path
    from tests.workers.attacking import inside
    from tui_scraper.engine.workers import kernel, seccomp

    def refuse(calls, filters):
        "What a container's own filter does: these calls fail, and no filter can be added."
        code = [(0x20, 0, 0, 0)]
        for number, error in calls.items():
            code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
        if filters:
            prctl = seccomp._NUMBERS["prctl"][["x86_64", "aarch64"].index(os.uname().machine)]
            code += [(0x15, 0, 3, prctl), (0x20, 0, 0, 16), (0x15, 0, 1, 22)]
            code.append((0x06, 0, 0, 0x00050000 | errno.EINVAL))
        code.append((0x06, 0, 0, 0x7FFF0000))
        program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
        header = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(program)))
        kernel.prctl(38, 1)
        kernel.prctl(22, 2, ctypes.addressof(header))

    unshare = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
    outside = Path(sys.argv[1]) / "outside"
    outside.mkdir()
    (outside / "file").write_text("as it was")
    SETUP
    with inside(Path(sys.argv[1])) as opened:
        tried = opened.attack('''
            status = dict(line.split(":", 1) for line in open("/proc/self/status"))
            return {"write": outcome(open, path, "r+b"), "create": outcome(open, path + "new", "wb"),
                    "read": outcome(open, path, "rb"), "socket": outcome(socket.socket),
                    "rights": int(status["CapEff"], 16)}
        ''', path=str(outside / "file"))
        measures = {one.name: [one.reached, one.detail] for one in opened.pool.measures}
        print(json.dumps([tried.value, tried.error, measures, opened.pool.sandbox]))
"""


def on_a_system_with_less(
    folder: Path, setup: str, *, forks: bool = False
) -> tuple[Any, dict[str, Any], str]:
    """What an attack meets, the measures, and the level in one line."""
    code = textwrap.dedent(REFUSING).replace("SETUP", textwrap.dedent(setup))
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stdout, run.stderr
    value, error, measures, level = json.loads(run.stdout)
    assert error == ""
    return value, measures, level


def test_a_kernel_without_landlock_still_writes_nothing(tmp_path: Path) -> None:
    tried, measures, level = on_a_system_with_less(
        tmp_path, "refuse({444: errno.ENOSYS, 445: errno.ENOSYS, 446: errno.ENOSYS}, filters=False)"
    )
    if not measures["system calls"][0]:
        pytest.skip(measures["system calls"][1])
    assert (tried["write"], tried["create"], tried["read"]) == ("EPERM", "EPERM", "done")
    reached, detail = measures["files"]
    assert not reached
    assert "nothing can be written" in detail
    assert "5.13" in detail
    assert level.startswith("partial, see doctor: ")
    assert level.endswith("not closed: files")


def test_a_kernel_without_filters_still_opens_nothing_else(tmp_path: Path) -> None:
    tried, measures, level = on_a_system_with_less(tmp_path, "refuse({}, filters=True)")
    if not measures["files"][0]:
        pytest.skip(measures["files"][1])
    assert (tried["write"], tried["create"], tried["read"]) == ("EACCES",) * 3
    assert not measures["system calls"][0]
    assert level.endswith("not closed: system calls")


def test_a_container_that_refuses_everything_is_told_of_and_works(tmp_path: Path) -> None:
    tried, measures, level = on_a_system_with_less(
        tmp_path,
        """
        refuse({444: errno.ENOSYS, unshare: errno.EPERM, 117: errno.EPERM, 147: errno.EPERM}, filters=True)
        """,
    )
    assert tried["read"] == "done"
    assert measures["limits"][0]
    for name in ("account", "network", "files", "system calls"):
        reached, detail = measures[name]
        assert not reached, name
        assert re.fullmatch(r"[^\x00-\x1f]{20,300}\.", detail), detail
    assert level == ("partial, see doctor: limits; not closed: account, network, files, system calls")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")
def test_root_with_few_rights_keeps_the_one_to_read(tmp_path: Path) -> None:
    """As in a container by default: no administration, but files of others may be read."""
    tried, measures, level = on_a_system_with_less(
        tmp_path,
        """
        CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETUID = 1, 5, 7
        for number in set(range(41)) - {CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETUID}:
            kernel.prctl(24, number)  # PR_CAPBSET_DROP
        kernel.set_capabilities(1 << CAP_DAC_OVERRIDE | 1 << CAP_KILL | 1 << CAP_SETUID)
        """,
    )
    assert tried["rights"] == 1 << 1
    assert measures["network"][0] is measures["system calls"][0]
    assert not measures["account"][0]
    assert "container" in measures["account"][1]
    assert level.startswith("partial")
    if measures["system calls"][0]:
        assert tried["socket"] in {"EPERM", "ENOSYS"}


def test_a_run_ends_with_a_sentence_when_workers_can_no_longer_be_closed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = tmp_path / "lost"
    plugin = write_plugin(
        tmp_path / "breaking",
        "breaking_plugin",
        f"""
        import os
        from tui_scraper.engine.workers import sandbox

        enter = sandbox.Sandbox._limit

        def limit(self):
            if os.path.exists({str(lost)!r}):
                raise OSError(1, "taken away")
            return enter(self)

        sandbox.Sandbox._limit = limit
        """.replace("\n        ", "\n"),
    )
    monkeypatch.setenv("PYTHONPATH", str(plugin), prepend=os.pathsep)
    with inside(tmp_path / "pool", workers=2) as opened:
        assert opened.attack("return 1").status is Status.DONE
        lost.touch()
        with pytest.raises(TuiScraperError, match="could not be closed in"):
            opened.attack("return 2")  # in the other place, by a new worker
