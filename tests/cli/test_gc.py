"""`tui-scraper gc`: what it prints, and that the search, the export and the history go on after it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_commands import run
from tui_scraper import plain_history
from tui_scraper.engine.gc import Collected
from tui_scraper.engine.store.garbage import Freed
from tui_scraper.engine.workspace import Workspace


def test_a_dry_run_tells_what_the_command_then_frees(tmp_path: Path) -> None:
    source, workspace = tmp_path / "source", tmp_path / "workspace"
    source.mkdir()
    for number in range(6):
        (source / f"{number}.txt").write_text(f"Document {number} about invoices.")
    assert run("run", source, "-w", workspace, "--offline").code == 0
    for number in range(3):
        (source / f"{number}.txt").unlink()
    assert run("run", source, "-w", workspace, "--offline").code == 0
    exported = (workspace / "export" / "documents.jsonl").read_bytes()

    assert run("gc", "-w", workspace).out.startswith("There is nothing to free.")
    dry = run("gc", "-w", workspace, "--keep", "1", "--dry-run")
    assert dry.code == 0
    assert dry.out.splitlines()[0] == "This would be freed:"
    numbers = run("gc", "-w", workspace, "--keep", "1", "--dry-run", "--json").objects
    real = run("gc", "-w", workspace, "--keep", "1", "--json").objects
    assert len(numbers) == len(real) == 1
    assert {**real[0], "dry_run": True, "disk_bytes": None} == numbers[0]
    assert numbers[0]["versions"] == numbers[0]["documents"] == numbers[0]["index_entries"] == 3
    assert numbers[0]["payloads"] == 6
    assert real[0]["keep"] == 1
    assert real[0]["disk_bytes"] >= 0

    assert len(run("checkpoints", "-w", workspace, "--json").objects) == 1
    assert len(run("search", "invoices", "-w", workspace, "--json").objects) == 3
    assert run("run", source, "-w", workspace, "--offline").code == 0
    assert (workspace / "export" / "documents.jsonl").read_bytes() == exported


def test_a_workspace_in_use_ends_it_with_6(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    (tmp_path / "source").mkdir()
    holding = Workspace(workspace, tmp_path / "source")
    try:
        for options in ((), ("--dry-run",)):
            ended = run("gc", "-w", workspace, *options)
            assert ended.code == 6
            assert "is working in this workspace" in ended.err
    finally:
        holding.close()
    assert run("gc", "-w", workspace, "--keep", "0").code == 2


def test_people_see_only_what_there_is() -> None:
    freed = Freed(checkpoints=1, results=12_000, payloads=3, payload_bytes=4_500_000)
    collected = Collected(False, 5, freed, 0, 0, 3_000_000, ("A sentence.",))
    assert list(plain_history.collected_lines(collected)) == [
        "Freed:",
        "  checkpoints                        1",
        "  results                       12,000",
        "  payloads                           3  4.5 MB",
        "The workspace takes 3.0 MB less of the disk.",
        "A sentence.",
    ]
