from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract import reading
from tui_scraper.engine.extract.reading import open_file, read_file
from tui_scraper.engine.extract.registry import registry
from tui_scraper.engine.models import Cause

LIMIT = 1_000_000
is_read = registry().readers.__contains__


def refusal(path: Path, *, limit: int = LIMIT, follow: bool = False) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read_file(os.fsencode(path), limit, follow, is_read)
    assert caught.value.message.endswith(".")
    return caught.value


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 65_536, 65_537, 300_000])
def test_a_file_is_read_whole_with_its_size_and_time(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"t" * size)
    content = read_file(os.fsencode(path), LIMIT, False, is_read)
    assert content.data == b"t" * size
    assert content.size_bytes == size
    assert content.mtime_ns == path.stat().st_mtime_ns


@pytest.mark.parametrize("size", [0, 4096, 65_537, 300_000])
def test_a_look_at_the_end_of_a_file_leaves_nothing_out(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(os.urandom(size))
    with open_file(os.fsencode(path), False) as file:
        head = file.head(LIMIT)
        with file.stream() as stream:
            stream.seek(0, os.SEEK_END)
        assert file.whole(head) == path.read_bytes()


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9\n.txt"
    with open(path, "wb") as file:
        file.write(b"hello")
    assert read_file(path, LIMIT, False, is_read).data == b"hello"


def test_a_symlink_is_followed_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"hello")
    link = tmp_path / "link"
    link.symlink_to("target")
    error = refusal(link)
    assert error.cause is Cause.READ_ERROR
    assert "symbolic link" in error.message
    assert read_file(os.fsencode(link), LIMIT, True, is_read).data == b"hello"


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    error = refusal(tmp_path / "pipe")
    assert error.cause is Cause.READ_ERROR
    assert "pipe" in error.message


def test_a_socket_a_directory_and_a_device_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        name = os.path.relpath(tmp_path / "s")  # the whole path may exceed the 108 bytes of an address
        listener.bind(name if len(name) < 100 else "\0unused")
        if (tmp_path / "s").exists():
            assert refusal(tmp_path / "s").cause is Cause.READ_ERROR
    assert "directory" in refusal(tmp_path).message
    assert "device" in refusal(Path("/dev/zero")).message


def test_a_vanished_file_says_so(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone").cause is Cause.VANISHED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    assert refusal(path).cause is Cause.NO_PERMISSION


def test_missing_permission_is_told_from_other_errors() -> None:
    denied = reading._explain(PermissionError(13, "x"))
    assert denied.cause is Cause.NO_PERMISSION
    broken = reading._explain(OSError(5, "x"))
    assert broken.cause is Cause.READ_ERROR
    assert os.strerror(5) in broken.message


def test_a_file_over_the_limit_fails_and_names_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(b"t" * 2_000)
    error = refusal(path, limit=1_000)
    assert error.cause is Cause.TOO_LARGE
    assert "input.max_file_size" in error.message


def test_a_film_costs_one_small_read_and_is_skipped_however_large(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(90_000_000_000)
    error = refusal(path)
    assert error.cause is Cause.UNSUPPORTED
    assert error.message == "MP4 videos are not read by this version."


def test_a_file_that_changes_while_it_is_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"line\n" * 20_000)
    real_read = os.read

    def read_and_append(descriptor: int, size: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"more\n")
        return real_read(descriptor, size)

    monkeypatch.setattr(os, "read", read_and_append)
    assert refusal(path).cause is Cause.CHANGED


def test_a_file_that_shrinks_while_it_is_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"line\n" * 20_000)
    real_read = os.read

    def truncate_and_read(descriptor: int, size: int) -> bytes:
        os.truncate(path, 100)
        return real_read(descriptor, size)

    monkeypatch.setattr(os, "read", truncate_and_read)
    assert refusal(path).cause is Cause.CHANGED


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "a.psd"
    path.write_bytes(b"8BPS\0\1")
    # The lowest free number is the same before and after; another thread must not open files now.
    assert threading.active_count() >= 1
    probe = os.open(path, os.O_RDONLY)
    os.close(probe)
    for _ in range(5):
        refusal(path)
    again = os.open(path, os.O_RDONLY)
    os.close(again)
    assert again == probe
