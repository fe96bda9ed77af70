"""Every command: what it prints, its JSON, its sentences and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.corpus import write_corpus
from tests.loaded import PROGRAM, Program
from tui_scraper.engine.store.connection import connect

COMMANDS = (
    "run",
    "watch",
    "status",
    "pause",
    "resume",
    "stop",
    "limits",
    "search",
    "documents",
    "show",
    "label",
    "failures",
    "retry",
    "skip",
    "checkpoints",
    "rollback",
    "estimate",
    "audit",
    "duplicates",
    "graph",
    "gc",
    "verify",
    "report",
    "export",
    "init",
    "doctor",
    "themes",
)


@dataclass
class Ended:
    """How a command ended. No command may print a trace, whatever happens."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.out + self.err, self.err
        assert "A mistake in tui-scraper" not in self.err, self.err
        assert "Exception ignored" not in self.err, self.err

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The lines of output as JSON objects."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: str | Path | bytes, cwd: Path | None = None, **environment: str) -> Ended:
    """Run the program to its end, without a terminal."""
    with Program(
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd or Path("/"),  # no settings file lies there
        env={**os.environ, **environment},
    ) as program:
        out, err = program.communicate(timeout=60)
    return Ended(program.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


class Made:
    """A folder and its workspace, made by the command line. To be read only."""

    def __init__(self, base: Path) -> None:
        self.source, self.workspace = base / "source", base / "workspace"
        self.expected = write_corpus(self.source, filling=2)
        self.ended = run("run", self.source, "-w", self.workspace, "--json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A folder in which nothing is broken."""
    folder = tmp_path / "sound"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"Document {number} about invoices.")
    return folder


# --- happy paths ----------------------------------------------------------------------------------


def test_run_tells_events_and_ends_with_3_where_documents_failed(made: Made) -> None:
    assert made.ended.code == 3
    events = made.ended.objects
    assert all({"event", "time"} <= event.keys() for event in events)
    names = [event["event"] for event in events]
    assert names[0] == "run_started"
    assert names[-1] == "run_finished"
    assert set(names) == {"run_started", "progress", "checkpoint", "failure", "run_finished"}
    last = events[-1]
    assert last["exit_code"] == 3
    assert last["through"] == "output"
    assert last["found"] == last["done"] + last["failed"] + last["skipped"] + last["empty"] + last["pending"]
    assert last["found"] == len(made.expected)
    assert {"cost_usd", "tokens"} <= last.keys()
    progress = next(event for event in events if event["event"] == "progress")
    keys = {"done", "failed", "skipped", "empty", "total", "rate", "eta_s", "eta_low_s", "eta_high_s"}
    assert set(progress["phases"]) == {"input", "clean", "chunk", "classify", "index", "output"}
    assert all(keys <= phase.keys() for phase in progress["phases"].values())
    assert progress["tokens"].keys() == {"in", "out"}
    failure = next(event for event in events if event["event"] == "failure" and event["status"] == "failed")
    assert {"path", "phase", "cause", "message", "attempts", "status"} <= failure.keys()


def test_status(made: Made) -> None:
    ended = run("status", "-w", made.workspace, "--json")
    (status,) = ended.objects
    wanted = "workspace source state found done failed skipped empty pending ignored phases"
    wanted += " tokens cost_usd head sandbox"
    assert set(wanted.split()) <= status.keys()
    assert (ended.code, status["state"], status["found"]) == (0, "complete", len(made.expected))
    assert "found" in run("status", "-w", made.workspace).out


def test_a_workspace_is_found_by_its_folder_its_environment_and_the_current_folder(sound: Path) -> None:
    assert run("run", sound).code == 0
    for ended in (
        run("status", "-w", sound, "--json"),
        run("status", "--json", cwd=sound),
        run("status", "--json", TUI_SCRAPER_WORKSPACE=str(sound)),
    ):
        assert (ended.code, ended.objects[0]["found"]) == (0, 3)


def test_search(made: Made) -> None:
    ended = run("search", "axolotl", "-w", made.workspace, "--json")
    (hit,) = ended.objects
    assert hit.keys() == {"path", "title", "label", "score", "chunk", "start", "end", "snippet", "marks"}
    assert hit["path"] == "letter.docx"
    assert "letter.docx" in run("search", "axolotl", "-w", made.workspace).out
    nothing = run("search", "no-such-word-anywhere", "-w", made.workspace)
    assert (nothing.code, nothing.out) == (0, "Nothing was found.\n")
    assert len(run("search", "document", "-w", made.workspace, "-k", "2", "--json").objects) == 2
    for asked in (["label:corespondence", "axolotl"], ["axolotl", "--label", "corespondence"]):
        told = run("search", *asked, "-w", made.workspace).err
        assert 'No document here can have the label "corespondence"; did you mean "correspondence"?' in told


@pytest.mark.parametrize(
    "query", ['"', "-", "a:b", "(", "AND OR", "*", "[x TO y]", "\\", "--", "é\x1b[31m", "a" * 5000]
)
def test_no_query_is_a_mistake_of_the_program(made: Made, query: str) -> None:
    ended = run("search", "-w", made.workspace, "--", query)
    assert ended.code in {0, 2}
    assert "\x1b" not in ended.out + ended.err


def test_failures(made: Made) -> None:
    ended = run("failures", "-w", made.workspace, "--json")
    assert ended.code == 0
    assert {row["path"] for row in ended.objects} == {"broken.pdf", "picture.psd", "empty.txt"}
    assert all(
        row.keys() == {"path", "phase", "cause", "message", "attempts", "time", "status"}
        for row in ended.objects
    )
    assert [
        row["path"] for row in run("failures", "-w", made.workspace, "--cause", "corrupt", "--json").objects
    ] == ["broken.pdf"]
    assert run("failures", "-w", made.workspace, "--phase", "chunk", "--json").objects == []
    assert "corrupt" in run("failures", "-w", made.workspace).out
    wrong = run("failures", "-w", made.workspace, "--cause", "bad luck")
    assert wrong.code == 2
    assert "'bad luck' is not a cause" in wrong.err


def test_checkpoints(made: Made) -> None:
    points = run("checkpoints", "-w", made.workspace, "--json").objects
    keys = "id parent time phase counts tokens cost_usd name head note why branch run"
    assert all(set(keys.split()) == point.keys() for point in points)
    assert [point["id"] for point in points if point["head"]] == [points[-1]["id"]]
    assert "▶" in run("checkpoints", "-w", made.workspace).out


def test_export(made: Made, tmp_path: Path) -> None:
    assert run("export", tmp_path / "out", "-w", made.workspace).code == 0
    exported = (tmp_path / "out" / "documents.jsonl").read_bytes()
    assert exported == (made.workspace / "export" / "documents.jsonl").read_bytes()
    several = run(
        "export", tmp_path / "several", "-w", made.workspace, "--format", "csv", "--format", "markdown"
    )
    assert several.code == 0
    assert set(os.listdir(tmp_path / "several")) == {
        "README.md",
        "documents.csv",
        "manifest.json",
        "markdown",
        "markdown.sha256",
    }
    assert run("export", tmp_path / "none", "-w", made.workspace, "--format", "xlsx").code == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine")
    refused = run("export", tmp_path / "mine", "-w", made.workspace)
    assert refused.code == 2
    assert os.listdir(tmp_path / "mine") == ["precious.txt"]


def test_retry(sound: Path, tmp_path: Path) -> None:
    (sound / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    workspace = tmp_path / "workspace"
    assert run("run", sound, "-w", workspace).code == 3
    said = run("retry", "-w", workspace).out
    assert f"1 document is pending again; `tui-scraper run {sound} -w {workspace}` works on it." in said
    assert json.loads(run("status", "-w", workspace, "--json").out)["state"] == "incomplete"
    assert run("status", "-w", workspace, "--json").objects[0]["pending"] == 1
    assert "0 documents" in run("retry", "-w", workspace).out
    assert run("run", sound, "-w", workspace).code == 3
    assert run("failures", "-w", workspace, "--json").objects[0]["attempts"] == 2
    assert run("retry", "broken.pdf", "-w", workspace).code == 0
    unknown = run("retry", "nothing.pdf", "-w", workspace)
    assert (unknown.code, "no failed document has this path" in unknown.err) == (2, True)


def test_init_writes_once_a_file_that_changes_nothing(tmp_path: Path, sound: Path) -> None:
    assert run("init", tmp_path).code == 0
    text = (tmp_path / "tui-scraper.toml").read_text()
    again = run("init", tmp_path)
    assert (again.code, (tmp_path / "tui-scraper.toml").read_text()) == (2, text)
    every_default = "\n".join(
        line.removeprefix("# ") if " = " in line and not line.startswith("# Settings") else line
        for line in text.partition("# A taxonomy")[0].splitlines()
        if line.startswith("[") or " = " in line
    )
    (tmp_path / "all.toml").write_text(every_default)
    assert run("run", sound, "--config", tmp_path / "all.toml", "-w", tmp_path / "workspace").code == 0


def test_doctor_looks_and_a_problem_is_a_finding(tmp_path: Path) -> None:
    ended = run("doctor", "--json", LANG="C.UTF-8")
    assert {"program", "settings", "database", "workers", "sandbox", "formats"} <= {
        f["what"] for f in ended.objects
    }
    (tmp_path / "bad.toml").write_text("[chunk]\nmax_token = 5\n")
    bad = run("doctor", "--config", tmp_path / "bad.toml")
    assert (bad.code, "did you mean 'max_tokens'" in bad.out) == (1, True)


def test_until_and_sample_leave_the_rest_pending_and_end_with_0(sound: Path, tmp_path: Path) -> None:
    for options in (["--until", "clean"], ["--sample", "1"]):
        ended = run("run", sound, "-w", tmp_path / options[0], "--json", *options)
        assert ended.code == 0
        assert ended.objects[-1]["pending"] > 0
        assert ended.objects[-1]["through"] == ("clean" if options[0] == "--until" else "output")


# --- help and usage -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert f"tui-scraper {command}" in ended.out.partition("example:")[2]


def test_the_help_lists_every_command_and_nothing_else() -> None:
    ended = run("--help")
    listed = ended.out.partition("COMMAND\n")[2].partition("examples:")[0]
    assert {
        line.split()[0] for line in listed.splitlines() if line.startswith("    ") and line[4] != " "
    } == set(COMMANDS)
    assert run("--version").out.startswith("tui-scraper ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "PATH"),
        (["run", "/no/such/folder"], "there is no such folder"),
        (["run", "/etc/hostname"], "this is not a folder"),
        (["run", "/", "--until", "sideways"], "invalid choice"),
        (["run", "/", "--sample", "0"], "'0' is not a number above 0"),
        (["run", "/", "--workers", "x"], "'x' is not a number above 0"),
        (["run", "/", "--unknown-option"], "unrecognized arguments"),
        (["status", "-w", "/no/such/workspace"], "there is no workspace"),
        (["search", "x", "-w", "/no/such/workspace"], "there is no workspace"),
        (["run", "/", "--config", "/no/such/file"], "there is no such settings file"),
        (["/no/such/folder"], "There is no terminal"),
        ([], "`tui-scraper run PATH`"),
    ],
)
def test_usage_errors_are_sentences_with_code_2(arguments: list[str], says: str) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert says in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[chunk]\nmax_token = 5\n", "'chunk.max_token' is not a setting; did you mean 'max_tokens'?"),
        ("[chnk]\n", "did you mean 'chunk'?"),
        ("[chunk]\nmax_tokens = 'many'\n", "chunk.max_tokens"),
        ("[chunk]\nmax_tokens = 100\noverlap = 90\n", "overlap must be at most half"),
        ("[chunk\n", "this is not valid TOML"),
        ("chunk = 5\n", "chunk"),
        ("[classify]\nbackend = 'opena'\n", "classify.backend"),
        ("[classify]\nprice_in_usd = 1\n", "belong together"),
        ("[classify]\nbase_url = 'ftp://x'\n", "is not an address"),
        ("[input]\nmax_file_size = 'big'\n", "is not a size"),
        ("[input]\ninclude = ['[']\n", ""),
    ],
)
def test_a_mistake_in_the_settings_is_named(tmp_path: Path, sound: Path, toml: str, says: str) -> None:
    (tmp_path / "s.toml").write_text(toml)
    ended = run("run", sound, "--config", tmp_path / "s.toml", "-w", tmp_path / "workspace")
    if says:
        assert ended.code == 2
        assert says in ended.err


def test_settings_of_the_environment_come_before_the_file_and_their_mistakes_are_named(
    sound: Path, tmp_path: Path
) -> None:
    ended = run("run", sound, "-w", tmp_path / "w", TUI_SCRAPER_CHUNK__MAX_TOKENS="few")
    assert (ended.code, "chunk.max_tokens" in ended.err) == (2, True)
    ended = run("run", sound, "-w", tmp_path / "w", TUI_SCRAPER_CHUNK__MAX_TOKEN="5")
    assert (ended.code, "did you mean 'max_tokens'" in ended.err) == (2, True)
    assert run("run", sound, "-w", tmp_path / "w", TUI_SCRAPER_OUTPUT__FORMATS="[]").code == 0
    assert not (tmp_path / "w" / "export").exists()


def test_a_run_exports_in_the_formats_of_the_settings_and_again_only_when_they_change(
    sound: Path, tmp_path: Path
) -> None:
    export = tmp_path / "w" / "export"
    for formats, files in (
        ('["csv", "markdown"]', {"documents.csv", "markdown", "markdown.sha256"}),
        ('["parquet"]', {"documents.parquet"}),
    ):
        asked = {"TUI_SCRAPER_OUTPUT__FORMATS": formats}
        assert run("run", sound, "-w", tmp_path / "w", **asked).code == 0
        assert set(os.listdir(export)) == {"README.md", "manifest.json", *files}
        written = (export / "manifest.json").stat().st_ino
        assert run("run", sound, "-w", tmp_path / "w", **asked).code == 0
        assert (export / "manifest.json").stat().st_ino == written
    assert run("verify", "-w", tmp_path / "w").code == 0
    ended = run("run", sound, "-w", tmp_path / "w", TUI_SCRAPER_OUTPUT__FORMATS='["xlsx"]')
    assert (ended.code, "output.formats" in ended.err) == (2, True)


def test_an_export_inside_the_folder_is_not_read_as_documents(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(sound, folder)
    found = run("run", folder, "-w", tmp_path / "w", "--json").objects[-1]["found"]
    for name in ("csv", "markdown"):
        assert run("export", folder / f"as-{name}", "-w", tmp_path / "w", "--format", name).code == 0
    again = run("run", folder, "-w", tmp_path / "w", "--json").objects[-1]["found"]
    assert again == found


# --- odd surroundings -----------------------------------------------------------------------------


def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"caf\xe9 \x1b[31m")
    os.mkdir(folder)
    with open(os.path.join(folder, b"a.txt"), "wb") as file:
        file.write(b"text")
    for options in ([], ["--json"]):
        ended = run("run", folder, *options)
        assert ended.code == 0
        assert not {"\x1b", "\ufffd"} & set(ended.out + ended.err)
    assert "\x1b" not in run("status", "-w", folder).out
    assert run("run", os.path.join(os.fsencode(tmp_path), b"not-th\xe9re")).code == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_characters_still_gets_its_lines(
    made: Made, sound: Path, tmp_path: Path, encoding: str
) -> None:
    for arguments in (
        ["run", sound, "-w", tmp_path / "w"],
        ["failures", "-w", made.workspace],
        ["checkpoints", "-w", made.workspace],
        ["doctor"],
    ):
        assert run(*arguments, PYTHONIOENCODING=encoding).code in {0, 1}


@pytest.mark.parametrize("arguments", [["status"], ["search", "a"], ["run"]])
def test_an_output_that_takes_nothing_is_a_sentence(
    made: Made, sound: Path, tmp_path: Path, arguments: list[str]
) -> None:
    where = [sound, "-w", tmp_path / "w"] if arguments == ["run"] else ["-w", made.workspace]
    with open("/dev/full", "wb") as full:
        program = Program(*arguments, *where, stdout=full, stderr=subprocess.PIPE)
    _out, err = program.communicate(timeout=60)
    assert Ended(program.returncode, "", err.decode()).code == 1
    assert "output" in err.decode()


def test_a_closed_pipe_ends_quietly_and_loses_nothing(sound: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    process = Program("run", sound, "-w", tmp_path / "w", "--json", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.read(read, 10)
    os.close(read)
    _out, err = process.communicate(timeout=60)
    assert err == b""
    assert process.returncode in {0, 4}
    assert run("run", sound, "-w", tmp_path / "w").code == 0


def unread(*arguments: str | Path) -> int:
    """The exit code of a command whose output nobody reads."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as output:
        program = Program(*arguments, stdout=output, stderr=subprocess.PIPE)
    _out, err = program.communicate(timeout=60)
    assert err == b""
    return program.returncode


def test_what_nobody_reads_is_done_all_the_same_and_ends_with_its_own_code(
    sound: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "w"
    run("run", sound, "-w", workspace)
    assert unread("rollback", "clean", "--yes", "-w", workspace) == 0
    (status,) = run("status", "-w", workspace, "--json").objects
    assert status["phases"]["chunk"] == {}
    assert unread("verify", "-w", workspace) == 0
    shutil.rmtree(workspace / "index")
    assert unread("verify", "-w", workspace) == 1


@pytest.mark.parametrize("how", ["emptied", "a folder that may not be listed"])
def test_what_cannot_be_seen_of_the_folder_is_said(tmp_path: Path, how: str) -> None:
    source, workspace = tmp_path / "source", tmp_path / "w"
    (source / "sub").mkdir(parents=True)
    for name in ("a.txt", "sub/b.txt"):
        (source / name).write_text("Some text about an axolotl.")
    run("run", source, "-w", workspace)
    if how == "emptied":
        shutil.rmtree(source)
        source.mkdir()
        said = "this folder is empty now. Nothing was marked as gone"
    elif os.geteuid():
        (source / "sub").chmod(0)
        said = "sub/: this folder cannot be listed (Permission denied)"
    else:
        pytest.skip("root may list everything")
    ended = run("run", source, "-w", workspace)
    assert said in ended.out
    assert "2 found = 2 done" in ended.out
    events = run("run", source, "-w", workspace, "--json").objects
    assert [said in event["message"] for event in events if event["event"] == "warning"] == [True]


def test_a_locked_workspace_ends_with_6_and_names_the_process(made: Made) -> None:
    holding = textwrap.dedent("""
        import sys
        from pathlib import Path
        from tui_scraper.engine.workspace import Workspace
        held = Workspace(Path(sys.argv[1]), Path(sys.argv[2]))
        print("held", flush=True)
        sys.stdin.read()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", holding, made.workspace, made.source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for arguments in (["run", made.source], ["retry"]):
            ended = run(*arguments, "-w", made.workspace)
            assert ended.code == 6
            assert f"process {holder.pid} on " in ended.err
        status = run("status", "-w", made.workspace, "--json")
        assert status.objects[0]["state"] == "running"
        holder.communicate()


def test_a_workspace_where_none_can_be(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/workspace")):
        ended = run("run", sound, "-w", place)
        assert ended.code == 2
        assert "cannot be written" in ended.err


@pytest.mark.parametrize(
    "content",
    [b"", b"not a database at all, but long enough to look at" * 100, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_damaged_database_is_a_sentence(sound: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "state.db").write_bytes(content)
    for arguments in (
        ["status"],
        ["search", "x"],
        ["failures"],
        ["checkpoints"],
        ["retry"],
        ["export", tmp_path / "out"],
    ):
        ended = run(*arguments, "-w", tmp_path / "w")
        assert ended.code in {0, 1, 2}
        assert ended.code == 0 or "state.db" in ended.err
    if content:
        assert run("run", sound, "-w", tmp_path / "w").code == 1


# --- terminals and signals ------------------------------------------------------------------------


def test_a_dumb_terminal_is_refused_naming_run(sound: Path) -> None:
    main, other = pty.openpty()
    process = Program(
        sound,
        stdin=other,
        stdout=other,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(other)
    _out, err = process.communicate(timeout=30)
    os.close(main)
    assert process.returncode == 2
    assert b"tui-scraper run PATH" in err


def test_on_a_terminal_the_progress_line_is_rewritten_in_place(sound: Path, tmp_path: Path) -> None:
    main, other = pty.openpty()
    process = Program(
        *("run", sound, "-w", tmp_path / "w"),
        stdin=other,
        stdout=other,
        stderr=other,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(other)
    seen = b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if select.select([main], [], [], 0.1)[0]:
            try:
                seen += os.read(main, 65536)
            except OSError:  # the other end has closed
                break
    os.close(main)
    assert process.wait(10) == 0
    assert b"\r\x1b[K" in seen
    assert b"Complete" in seen
    assert b"Traceback" not in seen


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A folder that takes a few seconds, and its export."""
    base = tmp_path_factory.mktemp("many")
    write_corpus(base / "source", filling=600)
    assert run("run", base / "source", "-w", base / "w").code == 3
    return base / "source", (base / "w" / "export" / "documents.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_the_state_and_the_next_run_completes_it(
    many: tuple[Path, bytes], tmp_path: Path, number: int, code: int
) -> None:
    source, wanted = many
    with Program(
        *("run", source, "-w", tmp_path, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["found"]:
                process.send_signal(number)
                break
        out, err = process.communicate(timeout=30)
    assert err == ""
    assert process.returncode == code
    assert json.loads(out.splitlines()[-1])["exit_code"] == code
    assert run("status", "-w", tmp_path, "--json").objects[0]["state"] == "stopped"
    assert run("run", source, "-w", tmp_path).code == 3
    assert (tmp_path / "export" / "documents.jsonl").read_bytes() == wanted


def test_a_hang_up_that_was_switched_off_stays_so(sound: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "run", sound, "-w", tmp_path / "w", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        out, _err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["state"] == "complete"


def test_a_full_disk_pauses_with_4_and_a_later_run_completes(
    many: tuple[Path, bytes], tmp_path: Path
) -> None:
    source, wanted = many
    if (
        os.geteuid() != 0
        or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a file system of its own needs root")
    script = f"""
        mkdir small && mount -t tmpfs -o size=1500k tmpfs small || exit 99
        {sys.executable} -m tui_scraper run {source} -w small/w 2>err; echo $? >code
        {sys.executable} -m tui_scraper status -w small/w --json >status 2>>err
        mount -o remount,size=100m small
        {sys.executable} -m tui_scraper run {source} -w small/w 2>>err; echo $? >code2
        cp small/w/export/documents.jsonl exported
    """
    subprocess.run(
        ["unshare", "-m", "sh", "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        timeout=120,
        check=False,
        capture_output=True,
    )
    errors = (tmp_path / "err").read_text()
    assert "Traceback" not in errors
    assert "disk is full" in errors
    assert (tmp_path / "code").read_text() == "4\n", errors
    assert (tmp_path / "code2").read_text() == "3\n", errors
    assert (tmp_path / "exported").read_bytes() == wanted


def test_the_engine_loads_no_user_interface_and_no_model_client() -> None:
    code = (
        "import sys, tui_scraper.engine as e; e.Engine; e.Reader; e.survey; "
        "print([m for m in ('textual', 'rich', 'openai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_documents_called_as_our_files_are_documents(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    shutil.copytree(sound, folder)
    (folder / "blob.db").write_bytes(b"Not one of ours.")
    assert run("run", folder, "-w", tmp_path / "w").code == 0
    assert run("verify", "--repair", "-w", folder).code == 2
    assert (folder / "blob.db").read_bytes() == b"Not one of ours."


def test_an_export_that_no_run_has_recorded_is_no_damage(sound: Path, tmp_path: Path) -> None:
    folder, workspace = tmp_path / "source", tmp_path / "w"
    shutil.copytree(sound, folder)
    run("run", folder, "-w", workspace)
    (folder / "new.txt").write_text("One more text, about a quokka.")
    run("run", folder, "-w", workspace, "--until", "index")
    run("export", workspace / "export", "-w", workspace)
    assert run("verify", "-w", workspace).code == 0


def test_a_workspace_inside_a_folder_is_nothing_of_its_documents(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    shutil.copytree(sound, folder)
    first = run("run", folder, "-w", folder / "ours").code
    (status,) = run("status", "-w", folder / "ours", "--json").objects
    assert run("run", folder, "-w", tmp_path / "other").code == first  # another one does not read it, either
    (other,) = run("status", "-w", tmp_path / "other", "--json").objects
    assert other["found"] == status["found"]
    assert other["ignored"]["workspace"] == 1


def test_an_empty_name_is_refused(sound: Path, tmp_path: Path) -> None:
    assert "the name is empty" in run("run", "").err
    assert "the name is empty" in run("run", sound, "-w", "").err
    assert run("run", "").code == 2
    assert "the name is empty" in run("retry", "", "-w", tmp_path).err


def test_the_folder_of_documents_cannot_be_its_own_workspace(sound: Path) -> None:
    before = sorted(path.name for path in sound.iterdir())
    ended = run("run", sound, "-w", sound)
    assert ended.code == 2
    assert "never written to" in ended.err
    assert sorted(path.name for path in sound.iterdir()) == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- 2>&-"])
def test_closed_streams_do_not_matter(sound: Path, tmp_path: Path, closed: str) -> None:
    command = f"{sys.executable} -m tui_scraper run {sound} -w {tmp_path}/workspace {closed}"
    assert subprocess.run(command, shell=True, check=False, timeout=60).returncode in {0, 3}
    assert (tmp_path / "workspace" / "export" / "manifest.json").exists()


def test_names_that_are_too_long_are_a_sentence(sound: Path) -> None:
    for arguments in (["run", "a" * 300], ["run", sound, "-w", "a" * 300], ["status", "-w", "a" * 300]):
        ended = run(*arguments)
        assert ended.code == 2, ended
        assert "mistake" not in ended.err


def test_links_in_a_workspace_are_not_followed(sound: Path, tmp_path: Path) -> None:
    workspace, victim = tmp_path / "workspace", tmp_path / "victim"
    victim.write_text("mine")
    workspace.mkdir()
    (workspace / "log.jsonl").symlink_to(victim)
    run("run", sound, "-w", workspace)
    (workspace / "lock").unlink()
    (workspace / "lock").symlink_to(victim)
    assert run("run", sound, "-w", workspace).code == 2
    assert victim.read_text() == "mine"


def test_a_run_whose_record_of_runs_is_damaged_is_a_sentence(sound: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    run("run", sound, "-w", workspace)
    state = connect(workspace / "state.db")
    page = state.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run'").get
    state.close()
    data = bytearray((workspace / "state.db").read_bytes())
    data[(page - 1) * 4096 : (page - 1) * 4096 + 512] = b"\xff" * 512
    (workspace / "state.db").write_bytes(data)
    ended = run("run", sound, "-w", workspace)
    assert ended.code == 1
    assert "damaged" in ended.err
    assert "mistake" not in ended.err


def test_a_mistyped_command_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    ended = run("statsu", cwd=tmp_path)
    assert ended.code == 2
    assert "there is no such folder. Did you mean `tui-scraper status`?" in ended.err
    (tmp_path / "statsu").mkdir()
    assert "no terminal" in run("statsu", cwd=tmp_path).err


def test_themes_are_listed_and_checked(tmp_path: Path) -> None:
    own = tmp_path / "tui-scraper" / "themes"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text('name = "mine"\n[colors]\nprimary = "#555555"\nbackground = "#444444"\n')
    (own / "bad.toml").write_text('name = "bad"\n[colors]\nprimary = "blurple"\n')
    env = {"XDG_CONFIG_HOME": str(tmp_path), "TUI_SCRAPER_UI__THEME": "mine"}
    listed = run("themes", **env)
    assert listed.code == 0
    assert f"* mine               dark   {own}/mine.toml" in listed.out
    assert "'blurple' is not a colour" in listed.err
    records = run("themes", "--json", **env).objects
    assert [record["name"] for record in records if record["chosen"]] == ["mine"]
    assert {record["name"] for record in records if record["own"]} == {"mine"}
    checked = run("themes", "check", own / "mine.toml", **env)
    assert checked.code == 0
    assert "the theme 'mine' can be used, but is hard to read:" in checked.out
    assert "  'primary' is hard to read on the background" in checked.out
    (record,) = run("themes", "check", "--json", own / "mine.toml", **env).objects
    assert (record["name"], len(record["hard_to_read"]) > 0) == ("mine", True)
    (own / "odd.toml").write_text('name = "odd"\ntextures = 1\n[colors]\nprimary = "#555555"\n')
    odd = run("themes", "check", own / "odd.toml", **env)
    assert "textures: there is no such key; there are name, dark" in odd.err
    bad = run("themes", "check", own / "bad.toml", **env)
    assert (bad.code, bad.out) == (2, "")
    assert "colors.primary" in bad.err
