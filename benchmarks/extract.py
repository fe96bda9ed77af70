"""Files to text, by format, against other extractors: how fast, how much of the text, how often nothing.

    python -m benchmarks.extract FOLDER --peer markitdown=/path/to/python [--peer …] [--report FILE]

FOLDER holds real files, told apart by their endings; `python -m benchmarks.corpus FOLDER --documents` makes
one from the documentation of a Debian system. Each tool is one process that imports everything, reads one
file of the format unmeasured, and then the same files as the others, one after the other, in the same run.
A file that takes longer than --deadline ends its process; a new one goes on with the next file. We do what a
worker does up to the clean text: read, detect, extract, tidy, look for the language, compress; with members,
and without OCR, for which several tools have other programs.

Speed: `files/s` are the files that the tool found words in, over the wall-clock time that it took for all of
them, failures included; `per CPU s` over its processor time, children and threads included. The machine
may be shared, so the second is the one to read. Pages are those that PDFium counts.

Recall: the words of a file are what at least two *engines* found in it that are not the tool's own: runs of
two or more letters or digits after NFKC and case folding, each counted once. Targets of links are no words,
because some tools write them into the text and others keep them apart. Tools are one engine where they read
a format with the same library (ENGINES), for two wrappers of a library agree on its mistakes. Besides the
tools there are three engines more: a program of long standing (poppler, pandoc, antiword, catdoc, where they
are installed), the bare texts of markup, and Python's own modules for mail. What hands a format through as
it is has no vote on it. A file counts where at least five words stand so; `recall` is the mean share of them
that the tool found, 0 where it failed. `failed` are such files that it gave no text for, `falsely empty`
those that it called read, without a word.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

SCRIPT = Path(__file__).with_name("peer_extract.py")
OURS = "tui-scraper"
LIMIT = "pypdfium2"
REFERENCES = ("program", "markup", "stdlib")
_NO_VOTE = ""
ENGINES: dict[str, dict[str, str]] = {
    "pdf": {
        **dict.fromkeys((OURS, LIMIT, "kreuzberg"), "PDFium"),
        **dict.fromkeys(("markitdown", "unstructured"), "pdfminer"),
    },
    "docx": dict.fromkeys(("unstructured", "docling"), "python-docx"),
    "pptx": dict.fromkeys(("markitdown", "unstructured", "docling"), "python-pptx"),
    "xlsx": dict.fromkeys(("markitdown", "unstructured", "docling"), "openpyxl"),
    "xls": dict.fromkeys(("markitdown", "unstructured"), "xlrd"),
    "html": dict.fromkeys(("markitdown", "docling"), "Beautiful Soup"),
    **{
        ending: dict.fromkeys(("unstructured", "program"), "pandoc")
        for ending in ("epub", "odt", "rst", "org")
    },
    "rtf": {**dict.fromkeys(("unstructured", "program"), "pandoc"), "markitdown": _NO_VOTE},
    **{ending: {"markitdown": _NO_VOTE} for ending in ("eml", "mbox")},
}
"""Ending -> tool -> the library it reads the format with, where it shares it."""

_MIN_WORDS = 5
_START_S = 180.0
_TARGET = re.compile(r"\]\([^()\s]*(?:\s+\"[^\"]*\")?\)|\b[a-z][a-z+.-]*://\S+")
_WORD = re.compile(r"[^\W_]{2,}")
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "SCARF_NO_ANALYTICS": "true",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool made of a file. `words` is None where it gave no text."""

    seconds: float
    cpu_s: float
    words: frozenset[str] | None
    error: str = ""


class Tool:
    """One tool in its process, started anew when a file has ended it."""

    def __init__(self, name: str, python: str, folder: Path, deadline_s: float) -> None:
        self.name = name
        self._python = python
        self._folder = folder
        self._deadline_s = deadline_s
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""

    def read(self, path: Path) -> Answer:
        """Have one file read. Raises RuntimeError where the tool cannot even be started."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        started = time.perf_counter()
        try:
            self._process.stdin.write(os.fsencode(path) + b"\n")
            self._process.stdin.flush()
            answer = self._line(self._deadline_s)
        except (BrokenPipeError, EOFError):
            self.close()
            spent = time.perf_counter() - started
            return Answer(spent, spent, None, "its process ended")
        except TimeoutError:
            self.close()
            return Answer(self._deadline_s, self._deadline_s, None, "deadline")
        found = None
        if answer["text"] is not None:
            kept = Path(answer["text"])
            found = words(kept.read_text(encoding="utf-8", errors="replace"))
            kept.unlink()
        return Answer(answer["seconds"], answer["cpu"], found, answer["error"])

    def close(self) -> None:
        """End the process, with those that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | _QUIET
        if self._python == sys.executable:
            environment["PYTHONPATH"] = str(SCRIPT.parents[1])
        self._process = subprocess.Popen(
            [self._python, str(SCRIPT), self.name, str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        self._pending = b""
        try:
            self._line(_START_S)
        except (EOFError, TimeoutError):
            self.close()
            raise RuntimeError(f"{self.name} cannot be started with {self._python}") from None

    def _line(self, within_s: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        until = time.monotonic() + within_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise TimeoutError
                piece = os.read(self._process.stdout.fileno(), 65536)
                if not piece:
                    raise EOFError
                self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        return dict(json.loads(line))


def words(text: str) -> frozenset[str]:
    """The different words of a text, in a form in which spellings of one word are equal."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return frozenset(_WORD.findall(_TARGET.sub("] ", folded)))


def consensus(tool: str, ending: str, answers: dict[str, Answer]) -> frozenset[str]:
    """The words that two engines found which are not the tool's own."""
    by_engine: dict[str, set[str]] = defaultdict(set)
    for other, answer in answers.items():
        by_engine[_engine(other, ending)] |= answer.words or set()
    for without in (_engine(tool, ending), _NO_VOTE):
        by_engine.pop(without, None)
    votes = Counter(word for found in by_engine.values() for word in found)
    return frozenset(word for word, count in votes.items() if count >= 2)


def _engine(tool: str, ending: str) -> str:
    return ENGINES.get(ending, {}).get(tool, tool)


@dataclass
class Row:
    """A tool's figures for one format."""

    tool: str
    read: int
    seconds: float
    cpu_s: float
    size_bytes: int
    pages: int
    judged: int
    recall: float | None
    failed: int
    empty: int

    def cells(self) -> list[str]:
        """As the table shows it."""
        rate, cpu_rate = self.read / self.seconds, self.read / self.cpu_s
        volume = (
            f"{self.pages / self.cpu_s:,.0f} pages"
            if self.pages
            else f"{self.size_bytes / self.cpu_s / 1e6:.1f} MB"
        )
        recall = f"{self.recall:.3f}" if self.recall is not None else "–"
        return [self.tool, _rate(rate), _rate(cpu_rate), volume, recall, str(self.failed), str(self.empty)]


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"


def row(
    tool: str,
    ending: str,
    files: Sequence[Path],
    answers: dict[Path, dict[str, Answer]],
    pages: dict[Path, int],
) -> Row:
    """Add up a tool's answers."""
    own = [answers[path][tool] for path in files]
    read = [path for path in files if answers[path][tool].words]
    recalls, failed, empty = [], 0, 0
    for path in files:
        wanted = consensus(tool, ending, answers[path])
        found = answers[path][tool].words
        if len(wanted) < _MIN_WORDS:
            continue
        recalls.append(len(wanted & (found or frozenset())) / len(wanted))
        failed += found is None
        empty += found is not None and not found
    return Row(
        tool,
        len(read),
        max(sum(answer.seconds for answer in own), 1e-9),
        max(sum(answer.cpu_s for answer in own), 1e-9),
        sum(path.stat().st_size for path in read),
        sum(pages.get(path, 0) for path in read),
        len(recalls),
        mean(recalls) if recalls else None,
        failed,
        empty,
    )


def count_pages(files: Sequence[Path]) -> dict[Path, int]:
    """The pages of the PDFs among some files that PDFium can open."""
    import pypdfium2

    found = {}
    for path in files:
        try:
            document = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError:
            continue
        found[path] = len(document)
        document.close()
    return found


def gather(folder: Path, formats: Sequence[str], per_format: int, max_bytes: int) -> dict[str, list[Path]]:
    """Ending -> files, the same ones for the same folder."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        ending = path.suffix[1:].lower()
        if ending and path.is_file() and 0 < path.stat().st_size <= max_bytes:
            found[ending].append(path)
    chosen = formats or sorted(found)
    rng = random.Random(11)
    return {
        ending: sorted(rng.sample(found[ending], min(per_format, len(found[ending]))))
        for ending in chosen
        if found[ending]
    }


class Comparison:
    """Runs the tools over one format after another and keeps the rows."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = list(tools)
        self.rows: dict[str, list[Row]] = {}
        self.files: dict[str, list[Path]] = {}
        self.errors: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def run(self, ending: str, files: list[Path]) -> None:
        """Measure one format."""
        for path in files:
            path.read_bytes()  # from here on it is in the page cache, for everybody
        answers: dict[Path, dict[str, Answer]] = {path: {} for path in files}
        for tool in list(self._tools):
            if tool.name == LIMIT and ending != "pdf":
                continue
            try:
                tool.read(files[0])
                for path in files:
                    answer = tool.read(path)
                    answers[path][tool.name] = answer
                    if answer.words is None:
                        self.errors[(ending, tool.name)][answer.error[:100]] += 1
            except RuntimeError as error:
                print(error, file=sys.stderr)
                self._tools.remove(tool)
        pages = count_pages(files) if ending == "pdf" else {}
        took_part = [tool.name for tool in self._tools if all(tool.name in answers[path] for path in files)]
        rows = [row(name, ending, files, answers, pages) for name in took_part]
        self.rows[ending] = [one for one in rows if one.read and one.tool not in REFERENCES]
        self.files[ending] = files
        for one in self.rows[ending]:
            print(f"{ending}: {' | '.join(one.cells())}", flush=True)

    def close(self) -> None:
        """End every tool."""
        for tool in self._tools:
            tool.close()

    def markdown(self) -> str:
        """Both tables: the figures, and the ratios to us."""
        head = "| format | tool | files/s | files per CPU s | per CPU s | recall | failed | falsely empty |"
        lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- |"]
        for ending, rows in self.rows.items():
            for number, one in enumerate(rows):
                judged = (
                    f"{ending} ({len(self.files[ending])} files, {one.judged} judged)" if not number else ""
                )
                lines.append("| " + " | ".join([judged, *one.cells()]) + " |")
        return "\n".join([*lines, "", *self._ratios()]) + "\n"

    def _ratios(self) -> list[str]:
        """How many times as many files we read in a CPU second."""
        ratios: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for ending, rows in self.rows.items():
            ours = next((one for one in rows if one.tool == OURS), None)
            for one in rows:
                if ours is not None and one is not ours:
                    ratio = ours.read / ours.cpu_s / (one.read / one.cpu_s)
                    ratios[one.tool].append((ending, ratio))
        lines = [
            "| files per CPU second, ours to | median of the formats | by format |",
            "| --- | --- | --- |",
        ]
        for tool, found in ratios.items():
            each = ", ".join(f"{ending} {ratio:.2g}" for ending, ratio in found)
            lines.append(f"| {tool} | {median(ratio for _ending, ratio in found):.2g} | {each} |")
        return lines


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", action="append", default=[], metavar="TOOL=PYTHON", help="may come often")
    parser.add_argument("--formats", default="", help="endings, with commas; none: every ending there is")
    parser.add_argument("--per-format", type=int, default=40, metavar="N", help="files of each (default 40)")
    parser.add_argument("--max-bytes", type=int, default=5_000_000, help="larger files are left out")
    parser.add_argument("--deadline", type=float, default=60.0, help="seconds for a file (default 60)")
    parser.add_argument("--report", type=Path, help="write the tables there as Markdown")
    options = parser.parse_args()
    peers = [peer.partition("=")[::2] for peer in options.peer]
    formats = [one for one in options.formats.split(",") if one]
    with tempfile.TemporaryDirectory() as scratch:
        named = [(name, sys.executable) for name in (OURS, LIMIT)] + peers
        named += [(name, sys.executable) for name in REFERENCES]
        comparison = Comparison(
            [Tool(name, python, Path(scratch), options.deadline) for name, python in named]
        )
        try:
            found = gather(options.folder, formats, options.per_format, options.max_bytes)
            for ending, files in found.items():
                comparison.run(ending, files)
        finally:
            comparison.close()
    print(comparison.markdown())
    for (ending, tool), errors in comparison.errors.items():
        print(f"{ending} {tool}: {dict(errors.most_common(4))}", file=sys.stderr)
    if options.report:
        options.report.write_text(comparison.markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
