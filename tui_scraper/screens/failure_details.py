"""The details of the Failed screen: one document, or one cause and what a person can do about it."""

from __future__ import annotations

from datetime import datetime

from tui_scraper.engine.models import Cause, FailureRow
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.formatting import STATUS_SIGNS, Line, Span, number, rule, size, wrap
from tui_scraper.screens.failure_rows import Key

WHAT_TO_DO: dict[Cause, str] = {
    Cause.ENCRYPTED: "Save a copy without the password in its place; the next run takes it up.",
    Cause.CORRUPT: "Put an undamaged copy in its place, or open the file in the program it comes from and "
    "save it anew; the next run takes it up.",
    Cause.UNSUPPORTED: "This version reads no files of this kind: convert them to one that it reads (PDF, "
    "Word, HTML or text), or leave them out with input.exclude in the settings.",
    Cause.TOO_LARGE: "Raise input.max_file_size in the settings (clean.worker_memory where the message "
    "speaks of memory), start tui-scraper again and press R, or split the file.",
    Cause.TIMEOUT: "Raise clean.timeout_s and clean.cpu_s in the settings, or lower clean.max_pdf_pages to "
    "read only the beginning of long PDFs, start tui-scraper again and press R.",
    Cause.CRASHED: "Press R to try once more; if it fails again, save the file anew with another program.",
    Cause.NO_PERMISSION: "Give yourself the right to read the files (chmod, or their owner), then press R.",
    Cause.VANISHED: "The files were moved or deleted during the run: put them back and press R, or let the "
    "next run notice that they are gone.",
    Cause.CHANGED: "Another program was writing to the files: wait until it has finished, then press R.",
    Cause.READ_ERROR: "The disk or the network refused (the message of each file says how): mend that, then "
    "press R.",
    Cause.NEEDS_OCR: "The pages are pictures: give them a text layer with an OCR program, such as ocrmypdf, "
    "in the same place; the next run takes them up.",
    Cause.NO_TEXT: "There is nothing in the files to read; if there should be, look at what wrote them.",
}
"""One sentence for each cause, with the settings that matter."""


def document_lines(row: FailureRow, preview: str | None, width: int) -> list[Line]:
    """The details of one document. `preview` None: not read yet."""
    sign, role = STATUS_SIGNS[row.status]
    lines: list[Line] = [(Span(" "), Span(part, "strong")) for part in wrap(safe_text(row.path), width)]
    lines.append((Span(f" {sign} {row.status}", role), Span(f" in {row.phase} · {row.cause}")))
    lines.append(())
    lines += [(Span(" "), Span(part)) for part in wrap(safe_text(row.message), width)]
    lines.append(())
    when = datetime.fromtimestamp(row.time).strftime("%Y-%m-%d %H:%M:%S")
    for word, value in (("size", size(row.size_bytes)), ("attempts", number(row.attempts)), ("time", when)):
        lines.append((Span(f" {word:<9}", "dim"), Span(value)))
    lines += [(), rule("Text", width + 1)]
    if preview is None:
        lines.append((Span(" reading …", "dim"),))
    elif not preview.strip():
        lines.append((Span(" No text was extracted.", "dim"),))
    else:
        lines += [(Span(" "), Span(part)) for part in wrap(preview, width)]
    return lines


def cause_lines(key: Key, count: int, width: int) -> list[Line]:
    """The details of a heading: what the group is and what can be done with it."""
    phase, status, cause = key
    sign, role = STATUS_SIGNS[status]
    return [
        (Span(f" {cause}", "strong"),),
        (Span(f" {sign} {status}", role), Span(f" in {phase}")),
        (),
        *[(Span(" "), Span(part)) for part in wrap(WHAT_TO_DO[cause], width)],
        (),
        (
            Span(" R", "key"),
            Span(f" retry all {number(count)}   "),
            Span("enter", "key"),
            Span(" fold or unfold"),
        ),
    ]
