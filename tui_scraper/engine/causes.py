"""What a person can do about each cause that a document may be failed, skipped or empty for."""

from __future__ import annotations

from typing import Final

from tui_scraper.engine.models import Cause

WHAT_TO_DO: Final[dict[Cause, str]] = {
    Cause.ENCRYPTED: "Save a copy without the password in its place; the next run takes it up.",
    Cause.CORRUPT: "Put an undamaged copy in its place, or open the file in the program it comes from and "
    "save it anew; the next run takes it up.",
    Cause.UNSUPPORTED: "Nobody reads these files here: convert them to a format that is read (`tui-scraper "
    "doctor` lists them), install a plugin that reads them and retry, or leave them out with input.exclude.",
    Cause.TOO_LARGE: "Raise input.max_file_size in the settings (clean.worker_memory where the message "
    "speaks of memory) and retry, or split the files; archives beyond all measure stay closed.",
    Cause.TIMEOUT: "Raise clean.timeout_s and clean.cpu_s in the settings, or lower clean.max_pdf_pages to "
    "read only the beginning of long PDFs, and retry.",
    Cause.CRASHED: "Retry once; if that fails too, save the files anew with another program.",
    Cause.NO_PERMISSION: "Give yourself the right to read the files (chmod, or their owner), then retry.",
    Cause.VANISHED: "The files were moved or deleted during the run: put them back and retry, or let the "
    "next run notice that they are gone.",
    Cause.CHANGED: "Another program was writing to the files: wait until it has finished, then retry.",
    Cause.READ_ERROR: "The disk or the network refused (the message of each file says how): mend that, "
    "then retry.",
    Cause.NEEDS_OCR: "These are pictures of text: install tesseract (Debian: tesseract-ocr) with clean.ocr "
    'set to "auto" and retry, or give the files a text layer with an OCR program such as ocrmypdf.',
    Cause.SET_ASIDE: "You have set these aside; retry them by this cause, or one by one, to try them again.",
    Cause.NO_TEXT: "There is nothing in the files to read; if there should be, look at what wrote them.",
}
"""One sentence for each cause, with the settings that matter."""
