"""What is inside archives and mails becomes documents, together and never twice, whatever happens."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.engine.running import check_counters, export_bytes, rows, run_once, running, table
from tui_scraper.engine import PhaseName
from tui_scraper.engine.store.rollback import roll_back_to_phase
from tui_scraper.engine.store.writer import Writer


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 5, 17, 12, 0, 0)), data)
    return out.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1_700_000_000
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def letter(number: int) -> bytes:
    return f"Letter number {number}: the invoice of the garden fence is still unpaid.\n".encode()


def mail(subject: str, attachment: bytes, name: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", subject
    message.set_content("Please find the letter attached.\n")
    message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "plain.txt").write_bytes(letter(0))
    inner = zipped({"deep/letter-3.txt": letter(3)})
    (folder / "a.zip").write_bytes(
        zipped({"letter-1.txt": letter(1), "sub/letter-2.txt": letter(2), "inner.zip": inner, "e.txt": b""})
    )
    (folder / "b.tar.gz").write_bytes(
        tarred({f"letters/{number}.txt": letter(number) for number in range(10, 30)})
    )
    (folder / "mail.eml").write_bytes(mail("The fence", zipped({"letter-4.txt": letter(4)}), "letters.zip"))
    return folder


ALL = {
    "plain.txt": "done",
    "a.zip": "done",
    "a.zip!/letter-1.txt": "done",
    "a.zip!/sub/letter-2.txt": "done",
    "a.zip!/inner.zip": "done",
    "a.zip!/inner.zip!/deep/letter-3.txt": "done",
    "a.zip!/e.txt": "empty",
    "b.tar.gz": "done",
    **{f"b.tar.gz!/letters/{number}.txt": "done" for number in range(10, 30)},
    "mail.eml": "done",
    "mail.eml!/letters.zip": "done",
    "mail.eml!/letters.zip!/letter-4.txt": "done",
}


def statuses(workspace: Path) -> dict[str, str]:
    return {path: row["status"] for path, row in rows(workspace).items()}


def test_everything_inside_is_a_document_with_its_path_parent_and_text(source: Path, tmp_path: Path) -> None:
    end = run_once(source, tmp_path / "ws")
    found: dict[str, dict[str, Any]] = rows(tmp_path / "ws")
    assert statuses(tmp_path / "ws") == ALL
    assert end.counts.found == len(ALL)
    assert end.counts.inside == len(ALL) - 4
    deep = found["a.zip!/inner.zip!/deep/letter-3.txt"]
    assert deep["text"] == letter(3).decode().strip()
    assert deep["parent"] == found["a.zip!/inner.zip"]["id"]
    assert found["a.zip!/inner.zip"]["parent"] == found["a.zip"]["id"]
    assert found["a.zip"]["parent"] is None
    assert (found["a.zip"]["members"], found["b.tar.gz"]["members"], found["mail.eml"]["members"]) == (
        4,
        20,
        1,
    )
    assert "letter-1.txt" in found["a.zip"]["text"]
    assert "Please find the letter attached." in found["mail.eml"]["text"]
    assert len({row["id"] for row in found.values()}) == len(ALL)
    assert deep["modified"] is None or deep["modified"].startswith("2024-05-17")
    check_counters(tmp_path / "ws")


def test_a_second_run_does_nothing_twice(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "ws")
    before = table(tmp_path / "ws", "SELECT count(*), max(seq) FROM result")
    first = export_bytes(tmp_path / "ws")
    run_once(source, tmp_path / "ws")
    assert table(tmp_path / "ws", "SELECT count(*), max(seq) FROM result") == before
    assert export_bytes(tmp_path / "ws") == first


def test_two_runs_give_the_same_export_in_whatever_order_things_happen(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "one", settings={"engine": {"workers": 1}})
    run_once(source, tmp_path / "two", settings={"engine": {"workers": 3}})
    assert export_bytes(tmp_path / "one") == export_bytes(tmp_path / "two")


def test_a_changed_archive_keeps_what_stayed_and_lets_go_of_what_went(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "ws")
    (source / "a.zip").write_bytes(zipped({"letter-1.txt": letter(1), "new.txt": letter(99)}))
    run_once(source, tmp_path / "ws")
    kept = {path: status for path, status in ALL.items() if not path.startswith("a.zip!/")}
    kept |= {"a.zip!/letter-1.txt": "done", "a.zip!/new.txt": "done"}
    assert statuses(tmp_path / "ws") == kept
    check_counters(tmp_path / "ws")


def test_a_vanished_archive_takes_along_what_was_inside(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "ws")
    (source / "a.zip").unlink()
    end = run_once(source, tmp_path / "ws")
    assert statuses(tmp_path / "ws") == {
        path: status for path, status in ALL.items() if not path.startswith("a.zip")
    }
    assert end.counts.inside == len(ALL) - 4 - 5
    check_counters(tmp_path / "ws")


def test_archives_can_be_left_closed_and_opened_again(source: Path, tmp_path: Path) -> None:
    first = run_once(source, tmp_path / "ws").counts
    exported = export_bytes(tmp_path / "ws")
    run_once(source, tmp_path / "ws", settings={"input": {"archives": False}})
    found = rows(tmp_path / "ws")
    assert {path: row["status"] for path, row in found.items()} == {
        "plain.txt": "done",
        "a.zip": "skipped",
        "b.tar.gz": "skipped",
        "mail.eml": "done",
    }
    assert "input.archives" in found["a.zip"]["error"]["message"]
    check_counters(tmp_path / "ws")
    made = table(tmp_path / "ws", "SELECT count(*) FROM artifact")
    assert run_once(source, tmp_path / "ws").counts == first
    assert statuses(tmp_path / "ws") == ALL
    assert table(tmp_path / "ws", "SELECT count(*) FROM artifact") == made  # all of it was there already
    assert export_bytes(tmp_path / "ws") == exported
    check_counters(tmp_path / "ws")


def test_a_rollback_to_input_redoes_members_from_what_is_known(source: Path, tmp_path: Path) -> None:
    run_once(source, tmp_path / "ws")
    first = export_bytes(tmp_path / "ws")
    writer = Writer(tmp_path / "ws")
    writer.call(roll_back_to_phase(PhaseName.INPUT))
    writer.close()
    run_once(source, tmp_path / "ws")
    assert export_bytes(tmp_path / "ws") == first
    check_counters(tmp_path / "ws")


def test_a_sample_takes_files_with_all_that_is_inside_them(source: Path, tmp_path: Path) -> None:
    with running(source, tmp_path / "ws", sample=2) as run:
        run.complete()
    done = {path for path, status in statuses(tmp_path / "ws").items() if status != "pending"}
    files = {path.partition("!/")[0] for path in done}
    assert len(files) == 2
    assert done == {path for path in ALL if path.partition("!/")[0] in files}


def test_a_bomb_yields_no_members_and_is_too_large(tmp_path: Path) -> None:
    source = tmp_path / "documents"
    source.mkdir()
    (source / "bomb.zip").write_bytes(zipped({"a.txt": letter(1), "zeros": bytes(300_000_000)}))
    run_once(source, tmp_path / "ws")
    found = rows(tmp_path / "ws")
    assert list(found) == ["bomb.zip"]
    assert (found["bomb.zip"]["status"], found["bomb.zip"]["error"]["cause"]) == ("failed", "too large")


def test_archives_deeper_than_five_are_not_opened(tmp_path: Path) -> None:
    source = tmp_path / "documents"
    source.mkdir()
    data = zipped({"bottom.txt": letter(7)})
    for level in range(6):
        data = zipped({f"{level}.zip": data, "level.txt": letter(level)})
    (source / "top.zip").write_bytes(data)
    run_once(source, tmp_path / "ws")
    found = rows(tmp_path / "ws")
    deepest = max(found, key=lambda path: path.count("!/"))
    assert deepest.count("!/") == 5
    refused = [row for row in found.values() if row["status"] == "failed"]
    assert [row["error"]["cause"] for row in refused] == ["too large"]
    assert all(json.dumps(row) for row in found.values())


def test_a_truncated_archive_fails_and_what_can_be_read_of_it_is_kept(tmp_path: Path) -> None:
    import random

    rng = random.Random(5)
    source = tmp_path / "documents"
    source.mkdir()
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz ", k=20_000)) for _ in range(20)]
    data = tarred({f"{number:02}.txt": text for number, text in enumerate(words)})
    (source / "cut.tar.gz").write_bytes(data[: len(data) // 2])
    run_once(source, tmp_path / "ws")
    found = rows(tmp_path / "ws")
    assert found["cut.tar.gz"]["status"] == "failed"
    assert found["cut.tar.gz"]["error"]["cause"] == "corrupt"
    inside = {path: row["status"] for path, row in found.items() if "!/" in path}
    assert list(inside.values()).count("done") >= 5
    assert list(inside.values()).count("failed") <= 1  # the one that was cut
    check_counters(tmp_path / "ws")


def test_names_inside_cannot_leave_their_archive(tmp_path: Path) -> None:
    source = tmp_path / "documents"
    source.mkdir()
    names = [
        "../../etc/passwd",
        "/absolute.txt",
        "a\\b.txt",
        "C:\\win.txt",
        "line\nend.txt",
        "\x1b]52;c;x\x07.txt",
    ]
    (source / "a.zip").write_bytes(zipped({name: letter(number) for number, name in enumerate(names)}))
    run_once(source, tmp_path / "ws")
    found = rows(tmp_path / "ws")
    assert len(found) == 1 + len(names)
    for path in found:
        assert ".." not in path.split("/")
        assert "//" not in path
        assert path.isprintable()
    assert {path.name for path in tmp_path.iterdir()} == {"documents", "ws"}


def test_archives_that_multiply_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_scraper.engine.store.members.MAX_INSIDE", 100)
    source = tmp_path / "documents"
    source.mkdir()
    leaf = zipped({f"{number}.txt": letter(number) for number in range(30)})
    (source / "top.zip").write_bytes(zipped({f"{number}.zip": leaf for number in range(10)}))
    end = run_once(source, tmp_path / "ws")
    assert end.counts.inside <= 100
    assert end.counts.failed == 7
    causes = {row["error"]["cause"] for row in rows(tmp_path / "ws").values() if row["error"]}
    assert causes == {"too large"}
    check_counters(tmp_path / "ws")
