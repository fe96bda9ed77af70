"""A parser that was taken over changes nothing, learns nothing, reaches nobody and outlives nothing."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.workers.attacking import DEADLINE_S, SETTINGS, Inside, inside
from tests.workers.hostile import with_mark
from tui_scraper.engine import Cause, Settings, Status
from tui_scraper.engine.workers import sandbox

IS_ROOT = os.geteuid() == 0
REFUSED = {"EPERM", "EACCES", "ENOSYS", "EROFS"}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with inside(tmp_path_factory.mktemp("taken-over")) as opened:
        yield opened


@pytest.fixture(scope="module")
def worker_with_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with inside(tmp_path_factory.mktemp("with-programs"), allow_programs=True) as opened:
        yield opened


def fingerprint(*folders: Path) -> dict[str, object]:
    """Everything about every file but when it was last read."""
    seen: dict[str, object] = {}
    for folder in folders:
        for path in (folder, *sorted(folder.rglob("*"))):
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            extended = os.listxattr(path, follow_symlinks=False)
            seen[str(path)] = (
                content,
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_nlink,
                status.st_ino,
                status.st_mtime_ns,
                extended,
            )
    return seen


# --- it changes nothing ---------------------------------------------------------------------------

EACH = """
def each(act):
    return {place: outcome(act, place) for place in places}
"""
CHANGES = {
    "write into a file": 'return each(lambda at: open(at + "/there", "r+b").write(b"x"))',
    "append to a file": 'return each(lambda at: open(at + "/there", "ab").write(b"x"))',
    "replace a file": 'return each(lambda at: open(at + "/there", "wb").write(b"x"))',
    "truncate a file": 'return each(lambda at: os.truncate(at + "/there", 0))',
    "create a file": 'return each(lambda at: open(at + "/new", "xb").write(b"x"))',
    "create a file without a name": "return each(lambda at: os.open(at, os.O_TMPFILE | os.O_RDWR))",
    "make a folder": 'return each(lambda at: os.mkdir(at + "/new"))',
    "remove a file": 'return each(lambda at: os.unlink(at + "/there"))',
    "remove a folder": 'return each(lambda at: os.rmdir(at + "/empty"))',
    "rename a file": 'return each(lambda at: os.rename(at + "/there", at + "/other"))',
    "link a file": 'return each(lambda at: os.link(at + "/there", at + "/other"))',
    "link by name": 'return each(lambda at: os.symlink("/etc", at + "/other"))',
    "change rights": 'return each(lambda at: os.chmod(at + "/there", 0o777))',
    "change an owner": 'return each(lambda at: os.chown(at + "/there", 1234, 1234))',
    "change dates": 'return each(lambda at: os.utime(at + "/there", (1, 1)))',
    "set an attribute": 'return each(lambda at: os.setxattr(at + "/there", "user.x", b"x"))',
    "make a pipe": 'return each(lambda at: os.mkfifo(at + "/new"))',
    "make a device": 'return each(lambda at: os.mknod(at + "/new", 0o600 | stat.S_IFCHR, os.makedev(1, 3)))',
    "make a socket": 'return each(lambda at: socket.socket(socket.AF_UNIX).bind(at + "/new"))',
    "change rights of what is open": """
        def act(at):
            os.fchmod(os.open(at + "/there", os.O_RDONLY), 0o777)
        return each(act)""",
    "write through the memory of a file": """
        def act(at):
            descriptor = os.open(at + "/there", os.O_RDONLY)
            mmap.mmap(descriptor, 0, prot=mmap.PROT_READ | mmap.PROT_WRITE)[0:1] = b"x"
        return each(act)""",
    "write by way of /proc": """
        def act(at):
            descriptor = os.open(at + "/there", os.O_RDONLY)
            os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY)
        return each(act)""",
    "lock a file": """
        def act(at):
            fcntl.flock(os.open(at + "/there", os.O_RDONLY), fcntl.LOCK_EX)
        return each(act)""",
}


@pytest.mark.parametrize("what", CHANGES)
def test_nothing_can_be_changed_anywhere(worker: Inside, tmp_path: Path, what: str) -> None:
    worker.needs("system calls")
    source, home, workspace = Path(os.fsdecode(worker.source)), tmp_path / "home", tmp_path / "workspace"
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary, ExitStack() as undo:
        places = [source / "kept", home, workspace, Path(temporary)]
        for place in places:
            place.mkdir(exist_ok=True)
            (place / "there").write_text("as it was")
            (place / "empty").mkdir(exist_ok=True)
            undo.callback(_remove, place)
        before = fingerprint(*places)
        got = worker.attack(EACH + textwrap.dedent(CHANGES[what]), places=list(map(str, places)))
        assert fingerprint(*places) == before
    assert got.error == ""
    assert "done" not in got.value.values(), got


def _remove(place: Path) -> None:
    for path in place.glob("*"):
        path.rmdir() if path.is_dir() else path.unlink()


def test_dev_null_takes_what_libraries_throw_away(worker: Inside) -> None:
    worker.needs("files")
    assert worker.attack('return open("/dev/null", "w").write("gone")').value == 4


def test_no_byte_code_is_left_beside_a_plugin(worker: Inside) -> None:
    assert worker.attack("return sys.dont_write_bytecode").value is True


# --- it learns nothing of others ------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.txt").write_text("canary")
    (folder / "state.db").write_text("canary")
    return folder


def test_files_outside_the_source_cannot_be_read(worker: Inside, secret: Path) -> None:
    worker.needs("files")
    paths = [
        str(secret / "secret.txt"),
        str(secret / "state.db"),
        "/etc/shadow",
        "/etc/passwd",
        "/etc/hostname",
    ]
    paths += ["/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/tty", "/dev/ptmx", "/dev/fuse", "/dev/net/tun"]
    paths += [str(path) for path in Path("/dev").glob("[vsn][dv][am]*")]
    got = worker.attack("return {path: outcome(open, path, 'rb') for path in paths}", paths=paths)
    assert set(got.value.values()) <= REFUSED | {"ENOENT", "ENXIO"}, got
    assert got.value[str(secret / "secret.txt")] == "EACCES"


def test_folders_outside_the_source_cannot_be_listed(worker: Inside, secret: Path) -> None:
    worker.needs("files")
    folders = [str(secret), "/", "/etc", "/home", "/root", "/tmp", "/var", "/proc", "/dev", "/run"]
    got = worker.attack("return {path: outcome(os.listdir, path) for path in folders}", folders=folders)
    assert set(got.value.values()) <= REFUSED | {"ENOENT"}, got


def test_ways_round_a_path_lead_nowhere_either(worker: Inside, secret: Path) -> None:
    worker.needs("files")
    source = Path(os.fsdecode(worker.source))
    (source / "link").symlink_to(secret / "secret.txt")
    (source / "folder").symlink_to(secret)
    target = str(secret / "secret.txt").lstrip("/")
    paths = [
        f"{source}/link",
        f"{source}/folder/secret.txt",
        f"{source}/../../elsewhere/secret.txt",
        f"{source}/" + "../" * 40 + target,
        f"/proc/self/root/{target}",
        f"/proc/self/cwd/{target}",
        f"/proc/{os.getpid()}/root/{target}",
        f"/proc/thread-self/root/{target}",
        f"/dev/fd/../root/{target}",
    ]
    try:
        got = worker.attack(
            """
            found = {path: outcome(open, path, "rb") for path in paths}
            os.chdir("/")
            found["relative"] = outcome(open, target, "rb")
            def through_a_handle():
                descriptor = os.open(os.path.dirname("/" + target), os.O_PATH)
                return os.open(os.path.basename(target), os.O_RDONLY, dir_fd=descriptor)
            found["handle"] = outcome(through_a_handle)
            return found
            """,
            paths=paths,
            target=target,
        )
    finally:
        (source / "link").unlink()
        (source / "folder").unlink()
    assert set(got.value.values()) <= REFUSED | {"ENOENT"}, got


def test_the_program_that_started_it_cannot_be_looked_into(worker: Inside) -> None:
    worker.needs("files")
    pids = [*worker.pool.pids[:1], os.getpid()]
    got = worker.attack(
        """
        files = ("environ", "mem", "maps", "cmdline", "stat", "status", "fd/0", "auxv", "io", "task")
        return {f"{pid}/{file}": outcome(os.open, f"/proc/{pid}/{file}", os.O_RDONLY)
                for pid in [*pids, os.getppid()] for file in files}
        """,
        pids=pids,
    )
    assert set(got.value.values()) <= REFUSED | {"ENOENT"}, got


def test_no_key_is_within_reach(worker: Inside) -> None:
    got = worker.attack('return [dict(os.environ), open("/proc/self/environ", "rb").read().decode("latin1")]')
    assert got.error in {"", "PermissionError: [Errno 13] Permission denied: '/proc/self/environ'"}
    assert "very-secret" not in repr(got)
    zygote = Path(f"/proc/{worker.pool.pids[0]}/environ").read_bytes()
    assert b"PYTHONHASHSEED" in zygote
    assert b"very-secret" not in zygote


# --- it reaches nobody ----------------------------------------------------------------------------


@contextmanager
def canaries(folder: Path) -> Iterator[dict[str, Any]]:
    """Servers that note whoever comes near them."""
    seen: list[str] = []
    with ExitStack() as stack:
        listening: list[socket.socket] = []
        abstract = "\0canary-" + os.urandom(6).hex()
        path = str(folder / "canary")
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, path),
            (socket.AF_UNIX, socket.SOCK_STREAM, abstract),
        ):
            server = stack.enter_context(socket.socket(family, kind))
            server.bind(address)
            server.settimeout(0.1)
            if kind is socket.SOCK_STREAM:
                server.listen()
            listening.append(server)
        stop = threading.Event()

        def watch(server: socket.socket) -> None:
            while not stop.is_set():
                try:
                    server.accept() if server.type is socket.SOCK_STREAM else server.recv(100)
                except TimeoutError:
                    continue
                seen.append(repr(server))

        threads = [threading.Thread(target=watch, args=(server,)) for server in listening]
        for thread in threads:
            thread.start()
        try:
            yield {
                "tcp": listening[0].getsockname(),
                "udp": listening[1].getsockname(),
                "unix": path,
                "abstract": abstract,
                "seen": seen,
            }
        finally:
            time.sleep(0.2)
            stop.set()
            for thread in threads:
                thread.join()


def test_no_server_hears_of_it(worker: Inside, tmp_path: Path) -> None:
    worker.needs("network")
    with canaries(tmp_path) as near:
        seen = near.pop("seen")
        got = worker.attack(
            """
            def send(family, kind, address):
                made = socket.socket(family, kind)
                made.settimeout(1)
                made.connect(address)
                made.send(b"secret")
            return [
                outcome(send, socket.AF_INET, socket.SOCK_STREAM, tcp),
                outcome(send, socket.AF_INET, socket.SOCK_DGRAM, udp),
                outcome(send, socket.AF_UNIX, socket.SOCK_STREAM, unix),
                outcome(send, socket.AF_UNIX, socket.SOCK_STREAM, abstract),
            ]
            """,
            **near,
        )
    assert "done" not in got.value
    assert seen == []


def test_no_socket_of_any_kind_can_be_made(worker: Inside) -> None:
    worker.needs("system calls")
    got = worker.attack(
        """
        found = {}
        for family in range(0, 46):
            for kind in (1, 2, 3, 5):
                found[f"{family}/{kind}"] = outcome(socket.socket, family, kind)
        found["pair"] = outcome(socket.socketpair)
        return sorted(set(found.values()))
        """
    )
    assert set(got.value) <= REFUSED


def test_the_socket_it_has_leads_to_the_engine_only(worker: Inside, tmp_path: Path) -> None:
    worker.needs("system calls")
    with canaries(tmp_path) as near:
        seen = near.pop("seen")
        got = worker.attack(
            """
            found = []
            for descriptor in range(3, 256):
                try:
                    mine = socket.socket(fileno=os.dup(descriptor))
                except OSError:
                    continue
                found += [outcome(mine.connect, unix), outcome(mine.bind, "/tmp/x"), outcome(mine.listen)]
                found += [outcome(mine.accept), outcome(mine.sendto, b"", unix)]
            return found
            """,
            **near,
        )
    assert got.value
    assert set(got.value) <= REFUSED | {"EISCONN"}
    assert seen == []


def test_no_other_process_can_be_signalled(worker: Inside) -> None:
    worker.needs("system calls")
    got = worker.attack(
        """
        PIDFD_OPEN, PIDFD_SEND_SIGNAL, TKILL = 434, 424, {"x86_64": 200, "aarch64": 130}[os.uname().machine]
        found = {}
        for pid in (*pids, os.getppid(), 1, -1, 0):
            found[f"kill {pid}"] = outcome(os.kill, pid, 0)
            found[f"tkill {pid}"] = system_call(TKILL, pid, 0)
        found["group"] = outcome(os.killpg, 0, 0)
        found["pidfd"] = system_call(PIDFD_OPEN, os.getppid(), 0)
        found["owner of a descriptor"] = outcome(fcntl.fcntl, 0, fcntl.F_SETOWN, os.getppid())
        found["itself"] = outcome(os.kill, os.getpid(), 0)
        return found
        """,
        pids=[os.getpid(), *worker.pool.pids[:1]],
    )
    assert got.value.pop("itself") == "done"
    assert set(got.value.values()) <= REFUSED, got


def test_no_other_process_can_be_read_or_steered(worker: Inside) -> None:
    worker.needs("system calls")
    got = worker.attack(
        """
        numbers = {"x86_64": (101, 310, 311), "aarch64": (117, 270, 271)}[os.uname().machine]
        PTRACE_SEIZE = 0x4206
        ptrace, readv, writev = numbers
        parent = os.getppid()
        calls = ((ptrace, PTRACE_SEIZE, parent), (readv, parent), (writev, parent))
        return [system_call(*call) for call in calls]
        """
    )
    assert set(got.value) <= REFUSED, got


# --- it starts nothing ----------------------------------------------------------------------------

STARTS = {
    "fork": "return outcome(os.fork)",
    "fork by number": """
        return system_call(*{"x86_64": (57,), "aarch64": (220, signal.SIGCHLD)}[os.uname().machine])""",
    "clone": "return system_call({'x86_64': 56, 'aarch64': 220}[os.uname().machine], signal.SIGCHLD)",
    "clone as a brother": """
        return system_call({"x86_64": 56, "aarch64": 220}[os.uname().machine], 0x8000 | signal.SIGCHLD)""",
    "clone into namespaces": """
        CLONE_NEWUSER = 0x10000000
        return system_call({"x86_64": 56, "aarch64": 220}[os.uname().machine], CLONE_NEWUSER | 17)""",
    "clone3": """
        wanted = struct.pack("8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
        return system_call(435, ctypes.addressof(ctypes.create_string_buffer(wanted)), 64)""",
    "become a program": 'return outcome(os.execv, "/bin/true", ["true"])',
    "become an open program": """
        return outcome(os.execve, os.open("/bin/true", os.O_RDONLY), ["true"], {})""",
    "start a program": 'return outcome(subprocess.run, ["/bin/true"])',
    "spawn a program": 'return outcome(os.posix_spawn, "/bin/true", ["true"], {})',
    "ask a shell": 'return "EPERM" if os.system("true") else "done"',
}


@pytest.mark.parametrize("how", STARTS)
def test_no_process_and_no_program_can_be_started(worker: Inside, how: str) -> None:
    worker.needs("system calls")
    before = len(with_mark(str(worker.folder)))
    got = worker.attack(STARTS[how])
    assert got.value in REFUSED, got
    assert len(with_mark(str(worker.folder))) <= before + 1  # its own worker may be new


# --- the kernel has nothing for it ----------------------------------------------------------------

KERNEL = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_setup": (206, 0),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "landlock_create_ruleset": (444, 444),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "splice": (275, 76),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
    "vmsplice": (278, 75),
    "one that is not known yet": (900, 900),
}


def test_the_kernels_other_doors_are_shut(worker: Inside) -> None:
    """With arguments that do no harm, and fail in another way, should one of them be open."""
    worker.needs("system calls")
    column = ["x86_64", "aarch64"].index(platform.machine())
    numbers = {name: both[column] for name, both in KERNEL.items() if both[column] >= 0}
    got = worker.attack(
        "return {name: system_call(number, 0, -1, 0, 0, 0) for name, number in numbers.items()}",
        numbers=numbers,
    )
    assert {name for name, said in got.value.items() if said not in {"EPERM", "ENOSYS"}} == set(), got


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have no second way to call")
def test_calls_of_the_other_processor_modes_are_refused(worker: Inside) -> None:
    worker.needs("system calls")
    got = worker.attack(
        """
        GETPID_OF_X32, GETPID_OF_I386 = 0x40000000 | 39, 20
        code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        MOVE_TO_EAX, INTERRUPT_0X80, RETURN = b"\\xb8", b"\\xcd\\x80", b"\\xc3"
        code.write(MOVE_TO_EAX + struct.pack("<I", GETPID_OF_I386) + INTERRUPT_0X80 + RETURN)
        at = ctypes.addressof(ctypes.c_char.from_buffer(code))
        return [system_call(GETPID_OF_X32), ctypes.CFUNCTYPE(ctypes.c_int)(at)()]
        """
    )
    assert got.value[0] in {"EPERM", "ENOSYS"}
    assert got.value[1] in {-1, -38}  # the kernel's own words for EPERM and ENOSYS


def test_it_has_no_rights_and_cannot_get_any(worker: Inside) -> None:
    worker.needs("account", "system calls")
    got = worker.attack(
        """
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        setting = [outcome(os.setuid, 0), outcome(os.setresuid, 0, 0, 0), outcome(os.setgid, 0),
                   outcome(os.setgroups, [0]), outcome(os.setuid, 1234)]
        libc.capset.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        all_of_them = libc.capset(struct.pack("Ii", 0x20080522, 0), b"\\xff" * 24)
        return {"status": {name: value.split() for name, value in status.items()},
                "setting": setting, "capset": all_of_them, "dump": libc.prctl(4, 1, 0, 0, 0)}
        """
    )
    status = got.value["status"]
    held = int(status["CapEff"][0], 16) | int(status["CapPrm"][0], 16) | int(status["CapInh"][0], 16)
    assert held == (1 << 2 if IS_ROOT else 0)
    assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"])
    assert set(got.value["setting"]) <= REFUSED
    assert (got.value["capset"], got.value["dump"]) == (-1, -1)
    if IS_ROOT:
        real, effective, saved, of_files = status["Uid"]
        assert real == effective == saved != "0" == of_files


# --- it cannot use everything up ------------------------------------------------------------------


def test_limits_cannot_be_raised(worker: Inside) -> None:
    worker.needs("system calls")
    got = worker.attack(
        """
        names = ("AS", "FSIZE", "CORE", "NOFILE", "STACK", "NPROC")
        limits = {name: getattr(resource, "RLIMIT_" + name) for name in names}
        held = {name: resource.getrlimit(limit) for name, limit in limits.items()}
        def higher(limit):
            try:
                resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            except ValueError:
                return "EPERM"
            except OSError as error:
                return errno.errorcode[error.errno]
            return "done"
        return held, [higher(limit) for limit in limits.values()], outcome(os.nice, -10)
        """
    )
    held, raised, nicer = got.value
    assert set(raised) <= REFUSED
    assert nicer in REFUSED
    assert held["AS"] == [SETTINGS.clean.worker_memory] * 2
    assert (held["FSIZE"], held["CORE"]) == ([0, 0], [0, 0])
    assert max(held["NOFILE"]) <= sandbox.MAX_OPEN_FILES
    assert max(held["STACK"]) <= sandbox.STACK_BYTES


def test_threads_are_few_and_their_number_is_bounded(worker: Inside) -> None:
    worker.needs("account")
    first, after = worker.attack_all(
        """
        stop, started = threading.Event(), []
        threading.stack_size(65536)
        try:
            while len(started) < 3000:
                thread = threading.Thread(target=stop.wait)
                thread.start()
                started.append(thread)
        except RuntimeError:
            pass
        stop.set()
        for thread in started:
            thread.join()
        return len(started)
        """,
        """
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        return "one is possible"
        """,
    )
    assert 2 < first.value <= sandbox.MAX_TASKS
    assert after.value == "one is possible"


def test_descriptors_are_few(worker: Inside) -> None:
    first, after = worker.attack_all(
        """
        held = []
        try:
            while len(held) < 5000:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            return len(held), errno.errorcode[error.errno]
        finally:
            for descriptor in held:
                os.close(descriptor)
        """,
        "return 'and the next one is read'",
    )
    count, why = first.value
    assert count <= sandbox.MAX_OPEN_FILES
    assert why == "EMFILE"
    assert after.value == "and the next one is read"


def test_what_a_parser_leaves_open_costs_the_next_documents_nothing(worker: Inside) -> None:
    leak = "globals()['kept'] = [os.open('/dev/null', os.O_RDONLY) for _ in range({})]; return len(kept)"
    for number in (100, 230):
        bodies = ["return 1", leak.format(number), *["return open('/dev/null').read()"] * 3]
        values = [outcome.value for outcome in worker.attack_all(*bodies)]
        assert values == [1, number, "", "", ""]


def test_memory_ends_where_it_should(worker: Inside) -> None:
    got = worker.attack(
        """
        held, mapped = [], 0
        try:
            while mapped < 20_000_000_000:
                held.append(mmap.mmap(-1, 50_000_000))
                mapped += 50_000_000
        except (OSError, MemoryError):
            pass
        return mapped
        """
    )
    assert 0 < got.value < SETTINGS.clean.worker_memory


def test_memory_cannot_be_hidden_in_files_of_memory(worker: Inside) -> None:
    got = worker.attack(
        """
        def fill():
            with open(os.memfd_create("flood"), "wb") as flood:
                for _ in range(2_000):
                    flood.write(bytes(1_000_000))
        return outcome(fill)
        """
    )
    assert got.value in REFUSED | {"EFBIG"}


def test_a_worker_that_hides_what_it_has_in_hand_is_ended_all_the_same(worker: Inside) -> None:
    hide = textwrap.dedent("""
        frame = sys._getframe()
        while "heartbeat" not in frame.f_locals:
            frame = frame.f_back
        frame.f_locals["heartbeat"][:8] = struct.pack("<q", {})
    """)
    started = time.monotonic()
    got = worker.attack(hide.format(0) + "time.sleep(600)")
    assert (got.status, got.cause) == (Status.FAILED, Cause.TIMEOUT)
    assert time.monotonic() - started < DEADLINE_S + 10
    crash = hide.format(987654321) + "os.abort()"
    before, culprit, after = worker.attack_all("return 1", crash, "return 2")
    assert (before.value, culprit.cause, after.value) == (1, Cause.CRASHED, 2)


def test_a_worker_holds_its_own_page_and_socket_and_nothing_else(tmp_path: Path) -> None:
    with inside(tmp_path, workers=3) as opened:
        for outcome in opened.attack_all(*["return 1"] * 3):
            assert outcome.value == 1
        got = opened.attack(
            """
            kinds, shrink = [], []
            for name in os.listdir("/proc/self/fd"):
                try:
                    found = os.fstat(int(name))
                except OSError:
                    continue  # it was the listing's own
                kinds.append([os.readlink(f"/proc/self/fd/{name}").split(":")[0], found.st_size])
                shrink.append(outcome(os.ftruncate, int(name), 0))
            return kinds, shrink
            """
        )
    kinds, shrink = got.value
    page = ["/memfd", os.sysconf("SC_PAGESIZE")]
    assert [kind for kind in kinds if kind[0] != "/dev/null"] in (
        [["socket", 0], page],
        [page, ["socket", 0]],
    )
    assert "done" not in shrink


def test_a_parser_cannot_pretend_that_the_sandbox_was_lost(worker: Inside) -> None:
    got = worker.attack("os._exit(71)")
    assert (got.status, got.cause) == (Status.FAILED, Cause.CRASHED)
    assert worker.attack("return 'the run goes on'").value == "the run goes on"


# --- what it is there for still works -------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"plain", b"with space \xff\xfe\n\x1b[31m\"'\\", "ünïcödé".encode(), b"a" * 255]
)
def test_a_source_of_any_name_can_be_read(tmp_path: Path, name: bytes) -> None:
    source = os.path.join(os.fsencode(tmp_path), name)
    with inside(tmp_path / "pool", source=source) as opened:
        assert opened.attack("return 'read'").value == "read"


def test_a_source_behind_links_or_on_another_mount_can_be_read(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        os.makedirs(f"{elsewhere}/real/below")
        (tmp_path / "first").symlink_to(f"{elsewhere}/real")
        (tmp_path / "second").symlink_to("first")
        with inside(tmp_path / "pool", source=os.fsencode(tmp_path / "second")) as opened:
            assert opened.attack("return 'read'").value == "read"
            Path(f"{elsewhere}/real/below/file.txt").write_text("text")
            Path(f"{elsewhere}/real/link.txt").symlink_to("below/file.txt")
            below = opened.read(os.fsencode(tmp_path / "second/below/file.txt"))
            assert below.status is Status.DONE


def test_links_inside_the_source_are_followed_where_that_is_asked_for(tmp_path: Path) -> None:
    settings = Settings.model_validate({**SETTINGS.model_dump(), "input": {"follow_symlinks": True}})
    with inside(tmp_path, settings=settings) as opened:
        source = Path(os.fsdecode(opened.source))
        (source / "below").mkdir()
        (source / "below/file.txt").write_text(": text")
        (source / "link.txt").symlink_to("below/file.txt")
        (source / "out.txt").symlink_to("/etc/passwd")
        assert opened.read(os.fsencode(source / "link.txt")).status is Status.DONE
        opened.needs("files")
        assert opened.read(os.fsencode(source / "out.txt")).status is Status.FAILED


@pytest.mark.parametrize("readable", [b"/", b"/usr", b"/tmp"])
def test_a_source_above_or_among_the_systems_folders_breaks_nothing(tmp_path: Path, readable: bytes) -> None:
    with inside(tmp_path, readable=(readable, os.fsencode(tmp_path))) as opened:
        got = opened.attack("return outcome(open, '/tmp/never-written', 'w')")
        assert got.value in REFUSED
        assert ("no writing" in opened.pool.sandbox) == ("files" not in opened.pool.sandbox)


def test_a_source_that_is_not_there_yet_breaks_nothing(tmp_path: Path) -> None:
    with inside(tmp_path, readable=(os.fsencode(tmp_path / "source"), b"/nowhere/at all")) as opened:
        assert opened.attack("return 'read'").value == "read"


@pytest.mark.skipif(not IS_ROOT, reason="only root may read other users' files")
def test_root_still_reads_the_files_of_others(tmp_path: Path) -> None:
    with inside(tmp_path) as opened:
        source = Path(os.fsdecode(opened.source))
        (source / "private").mkdir()
        (source / "private/file.txt").write_text("of somebody else")
        os.chmod(source / "private/file.txt", 0o600)
        os.chmod(source / "private", 0o700)
        os.chown(source / "private/file.txt", 12345, 12345)
        os.chown(source / "private", 12345, 12345)
        reply = opened.read(os.fsencode(source / "private/file.txt"))
        assert reply.status is Status.DONE or "attack" in reply.message, reply


def test_python_can_still_load_what_it_has_not_loaded_yet(worker: Inside) -> None:
    got = worker.attack(
        """
        import csv, email.mime.text, mimetypes, sqlite3, xml.sax, zoneinfo, encodings.cp1250, ssl, bz2, lzma
        import email.generator, unittest.mock
        return [str(zoneinfo.ZoneInfo("UTC")), mimetypes.guess_type("a.html")[0], "ä".encode("cp1252").hex()]
        """
    )
    assert got.value == ["UTC", "text/html", "e4"], got


# --- programs, where they are allowed -------------------------------------------------------------


def test_a_program_can_be_used_where_that_is_allowed(worker_with_programs: Inside) -> None:
    got = worker_with_programs.attack(
        """
        through = subprocess.run(["cat"], input=b"in and out", capture_output=True)
        nowhere = subprocess.DEVNULL
        quiet = subprocess.run(["true"], stdin=nowhere, stdout=nowhere, stderr=nowhere)
        late = subprocess.Popen(["sleep", "60"], start_new_session=True)
        late.kill()
        return through.stdout.decode(), quiet.returncode, late.wait(10)
        """
    )
    assert got.value == ["in and out", 0, -9], got


def test_a_program_is_closed_in_as_its_worker_is(worker_with_programs: Inside, secret: Path) -> None:
    worker_with_programs.needs("files", "system calls", "account")
    with canaries(secret) as near:
        seen = near.pop("seen")
        got = worker_with_programs.attack(
            """
            code = '''
            import os, socket, sys
            def outcome(function, *arguments):
                try:
                    function(*arguments)
                except OSError as error:
                    return error.errno
                return "done"
            print([outcome(open, sys.argv[1]), outcome(open, "/tmp/no-file", "w"),
                   outcome(open, "/etc/shadow"),
                   outcome(socket.socket), outcome(os.kill, int(sys.argv[2]), 0), outcome(os.kill, -1, 0),
                   outcome(os.setuid, 0), outcome(os.chmod, sys.argv[1], 0o777)])
            '''
            command = [python, "-I", "-c", "if True:" + code, path, str(engine)]
            ran = subprocess.run(command, capture_output=True)
            return ran.stdout.decode() or ran.stderr.decode()
            """,
            python="/usr/bin/python3",
            path=str(secret / "secret.txt"),
            engine=os.getpid(),
        )
    if "No such file" in got.error:
        pytest.skip("there is no /usr/bin/python3 here")
    assert re.fullmatch(r"\[(1|13)(, (1|13|38))*\]\n", got.value), got
    assert seen == []


BOMB = """
    until = time.monotonic() + 8
    if os.fork() == 0:
        os.setsid()
        while time.monotonic() < until:
            try:
                os.fork()
            except OSError:
                time.sleep(0.001)
        os._exit(0)
    time.sleep(0.5)
"""
CHAIN = """
    until = time.monotonic() + 8
    if os.fork() == 0:
        try:
            while time.monotonic() < until:
                os.setsid() if os.getsid(0) != os.getpid() else None
                if os.fork():
                    os._exit(0)
        finally:
            os._exit(0)
    time.sleep(0.5)
"""


@pytest.mark.parametrize("what", [BOMB, CHAIN], ids=["bomb", "chain"])
@pytest.mark.parametrize(
    "end", ["os.abort()", "return 1", "time.sleep(600)"], ids=["crash", "done", "deadline"]
)
def test_what_a_document_has_started_is_bounded_and_ends_with_it(
    worker_with_programs: Inside, what: str, end: str
) -> None:
    """Each of these would go on for eight seconds, should nobody end it."""
    worker_with_programs.needs("account")
    mark, most, over = str(worker_with_programs.folder), 0, threading.Event()

    def count() -> None:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, len(with_mark(mark)))

    counting = threading.Thread(target=count)
    counting.start()
    started = time.monotonic()
    attack, after = worker_with_programs.attack_all(
        textwrap.dedent(what) + end, "return sorted(os.listdir('/proc/self/task'))"
    )
    assert after.error == ""
    assert len(after.value) == 1
    assert _gone(lambda: len(with_mark(mark)) <= 2)
    assert time.monotonic() - started < (6.5 if "sleep" in end else 4)
    over.set()
    counting.join()
    assert most <= sandbox.MAX_TASKS + 2
    assert attack.status is (Status.DONE if end == "return 1" else Status.FAILED)


def _gone(reached: Callable[[], bool], within_s: float = 5.0) -> bool:
    until = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
