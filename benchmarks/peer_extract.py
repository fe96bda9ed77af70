"""One tool's way from files to text, in a process of its own, for `benchmarks.extract`.

Runs in an environment of the tool's, so it imports nothing of ours unless we are the tool.
Usage: python peer_extract.py TOOL FOLDER. Each line on stdin is a path; each line on stdout one JSON object
with path, seconds, cpu (seconds of processor time, of child processes as well), text (a file in FOLDER, null
where there is none) and error. The first line, {"ready": …}, comes once everything is imported and warm.
"""

from __future__ import annotations

import json
import mailbox
import os
import re
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from email import message_from_binary_file, policy
from email.message import Message
from html import unescape

Read = Callable[[str], str]


def tui_scraper() -> Read:
    """The way of a worker: read, detect, clean; what is inside of containers follows. No OCR."""
    from tui_scraper.engine.extract import registry
    from tui_scraper.engine.models import PhaseName, Status
    from tui_scraper.engine.phases.document import Processor
    from tui_scraper.engine.settings import Settings
    from tui_scraper.engine.store.codec import unpack
    from tui_scraper.engine.wire import CleanText, WorkItem

    registry.preload()
    settings = Settings.model_validate({"clean": {"ocr": "off"}})
    processor = Processor(settings, PhaseName.CLEAN)

    def read(path: str) -> str:
        texts, problem = [], ""
        items = [WorkItem(1, os.fsencode(path), os.path.getsize(path))]
        while items:
            deeper = []
            for item in items:
                reply = processor.process(item)
                if reply.status is Status.DONE and reply.clean is not None:
                    texts.append(unpack(reply.clean.payload, CleanText).text)
                elif reply.status is not Status.DONE:
                    problem = problem or f"{reply.status}: {reply.message}"
                for member in reply.members or []:
                    inside = [*item.inside, member.name]
                    deeper.append(WorkItem(1, item.path, item.size_bytes, inside=inside))
            items = deeper
        processor.release()
        if problem and not texts:
            raise ValueError(problem)
        return "\n\n".join(texts)

    return read


def pypdfium2() -> Read:
    """PDFium alone, called as its Python binding is documented: the limit for PDFs."""
    import pypdfium2

    def read(path: str) -> str:
        document = pypdfium2.PdfDocument(path)
        pages = []
        for page in document:
            text_page = page.get_textpage()
            pages.append(text_page.get_text_bounded())
            text_page.close()
            page.close()
        document.close()
        return "\n\n".join(pages)

    return read


def markitdown() -> Read:
    """MarkItDown with its built-in converters."""
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return lambda path: str(converter.convert(path).text_content)


def unstructured() -> Read:
    """Unstructured, with the strategy that needs no models."""
    from unstructured.partition.auto import partition

    return lambda path: "\n\n".join(str(part) for part in partition(filename=path, strategy="fast"))


def kreuzberg() -> Read:
    """Kreuzberg with its defaults, but for its cache of results."""
    from kreuzberg import ExtractionConfig, extract_file_sync

    settings = ExtractionConfig(use_cache=False)
    return lambda path: str(extract_file_sync(path, config=settings).content)


def docling() -> Read:
    """Docling with its defaults; for PDFs it needs models."""
    from docling.document_converter import DocumentConverter

    converter = DocumentConverter()
    return lambda path: str(converter.convert(path).document.export_to_markdown())


_PANDOC = {
    **{
        name: name
        for name in ("docx", "odt", "epub", "rtf", "rst", "html", "ipynb", "fb2", "org", "csv", "textile")
    },
    **{"md": "gfm", "tex": "latex", "htm": "html", "xhtml": "html", "docbook": "docbook", "opml": "opml"},
}
_PROGRAMS = {
    "pdf": ["pdftotext", "-q", "-enc", "UTF-8", "FILE", "-"],
    "doc": ["antiword", "-m", "UTF-8.txt", "-w", "0", "FILE"],
    "xls": ["xls2csv", "-d", "utf-8", "FILE"],
    "ppt": ["catppt", "-d", "utf-8", "FILE"],
}


def program() -> Read:
    """A program of long standing for the format: poppler, pandoc, antiword, catdoc."""

    def read(path: str) -> str:
        ending = _ending(path)
        command = _PROGRAMS.get(ending)
        if ending in _PANDOC:
            command = ["pandoc", "-f", _PANDOC[ending], "-t", "plain", "--wrap=none", "FILE"]
        if command is None:
            raise ValueError("no program for this format")
        filled = [path if word == "FILE" else word for word in command]
        done = subprocess.run(filled, capture_output=True, check=False, timeout=50)
        if done.returncode and not done.stdout:
            raise ValueError(done.stderr.decode("utf-8", "replace")[:200])
        return done.stdout.decode("utf-8", "replace")

    return read


_PARTS = {
    **dict.fromkeys(
        ("docx", "docm", "dotx"), re.compile(r"word/(document|footnotes|endnotes|header\d*|footer\d*)\.xml")
    ),
    **dict.fromkeys(("pptx", "pptm", "potx"), re.compile(r"ppt/(slides|notesSlides)/\w+\.xml")),
    **dict.fromkeys(("xlsx", "xlsm"), re.compile(r"xl/sharedStrings\.xml|xl/worksheets/\w+\.xml")),
    **dict.fromkeys(("odt", "ods", "odp", "ott"), re.compile(r"content\.xml")),
    "epub": re.compile(r".*\.x?html?"),
}
_BLOCK = re.compile(
    r"</(?:[\w]+:)?(?:p|h\d?|li|td|tr|si|v|c|tc|div|title|table-cell)>|<(?:[\w]+:)?(?:tab|br|s|line-break)\b"
)


_RAW = frozenset(
    ("html", "htm", "xhtml", "xml", "svg", "md", "rst", "txt", "csv", "tsv", "json", "tex", "org")
)


def markup() -> Read:
    """Every text of the markup inside, tags taken out: knows no format, so it misses no text of one."""

    def read(path: str) -> str:
        ending = _ending(path)
        if ending in _PARTS:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if _PARTS[ending].fullmatch(name)]
                return _untagged("\n".join(archive.read(name).decode("utf-8", "replace") for name in names))
        if ending not in _RAW:
            raise ValueError("not markup")
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", "replace")
        return _untagged(text) if text.lstrip()[:1] == "<" else text

    return read


def _untagged(text: str) -> str:
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return unescape(re.sub(r"<[^<>]*>", "", _BLOCK.sub(r" \g<0>", text)))


def stdlib() -> Read:
    """Mail as the standard library reads it: subject, people, and every part that is text."""

    def one(message: Message) -> str:
        texts = [str(message.get(name) or "") for name in ("subject", "from", "to", "cc")]
        for part in message.walk():
            if part.get_content_maintype() == "text":
                raw = part.get_payload(decode=True)
                assert isinstance(raw, bytes)
                text = raw.decode(part.get_content_charset("utf-8") or "utf-8", "replace")
                texts.append(_untagged(text) if part.get_content_subtype() == "html" else text)
        return "\n".join(texts)

    def read(path: str) -> str:
        if _ending(path) == "mbox":
            return "\n".join(map(one, mailbox.mbox(path, create=False)))
        if _ending(path) != "eml":
            raise ValueError("not mail")
        with open(path, "rb") as file:
            return one(message_from_binary_file(file, policy=policy.default))

    return read


TOOLS = {
    make.__name__.replace("_", "-"): make
    for make in (
        tui_scraper,
        pypdfium2,
        markitdown,
        unstructured,
        kreuzberg,
        docling,
        program,
        markup,
        stdlib,
    )
}


def _ending(path: str) -> str:
    return os.path.splitext(path)[1][1:].lower()


def _cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    """Read the files that are named on stdin."""
    tool, folder = sys.argv[1], sys.argv[2]
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    read = TOOLS[tool]()
    print(json.dumps({"ready": tool}), file=out)
    for number, line in enumerate(sys.stdin):
        path = line.rstrip("\n")
        text, error = None, ""
        cpu, started = _cpu_s(), time.perf_counter()
        try:
            text = read(path)
        except BaseException as problem:
            error = f"{type(problem).__name__}: {problem}"[:300]
        seconds, cpu = time.perf_counter() - started, _cpu_s() - cpu
        kept = None
        if text is not None:
            kept = os.path.join(folder, f"{os.getpid()}-{number}.txt")
            with open(kept, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
        answer = {"path": path, "seconds": seconds, "cpu": cpu, "text": kept, "error": error}
        print(json.dumps(answer), file=out)


if __name__ == "__main__":
    main()
