"""Subtitles (SubRip, WebVTT, SubStation Alpha, MicroDVD, SAMI): what is said, as paragraphs.

Numbers, times, positions and markup go. Captions that roll, where each shows the last line of the one
before again, are said once. A new paragraph begins with a new speaker, or where nothing is said for
some seconds.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from tui_scraper.engine.extract import media_types as mt
from tui_scraper.engine.extract.base import Extracted, Format
from tui_scraper.engine.extract.decoding import decode
from tui_scraper.engine.extract.plain.text import extract_plain
from tui_scraper.engine.settings import CleanSettings

Cue = tuple[float, float, list[str]]
"""Begin and end in seconds, and the lines that are shown."""

_CLOCK: Final = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,:](\d{1,3})"
_TIMING = re.compile(rf"[ \t]*{_CLOCK}[ \t]*(?:--?-?>|,)[ \t]*{_CLOCK}(?:[ \t].*)?$")
_MICRO = re.compile(r"[{\[](\d{1,9})[}\]][{\[](\d{0,9})[}\]](.*)")
_FRAMES_PER_SECOND: Final = 24
_ALPHA = re.compile(r"Dialogue:[ \t]*(.*)", re.IGNORECASE)
_SAMI = re.compile(r"<sync\b[^<>]{0,100}?start\s*=\s*\"?(\d{1,9})[^<>]*>", re.IGNORECASE)
_SAMI_COMMENT = re.compile(r"<!--.*?-->|<style\b.*?</style>|<title\b.*?</title>", re.IGNORECASE | re.DOTALL)
_VOICE = re.compile(r"<v(?:\.[^\s>]{0,100})?[ \t]+([^<>]{1,100})>")
_MARKUP = re.compile(
    r"</?[a-zA-Z][^<>]{0,200}>|</?>|<\d[\d:.]{3,14}>|\{\\[^{}]{0,300}\}|\{[yYcCfFsSpP]:[^{}]{0,60}\}"
)
_BREAK = re.compile(r"<br\s*/?>|\\N|\\n|\|", re.IGNORECASE)
_PAUSE_S: Final = 4.0
_PARAGRAPH_CHARS: Final = 800


def extract_subtitles(data: bytes, media_type: str, settings: CleanSettings) -> Extracted:
    """What is said, in order. A file without a single time is kept as it is."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    cues = list(_cues(text, lines))
    if not cues:
        return extract_plain(data, media_type, settings)
    return Extracted(text=_paragraphs(cues))


def _cues(text: str, lines: list[str]) -> Iterator[Cue]:
    head = text[:2_000].lower()
    if "[script info]" in head or "[v4" in head or "\ndialogue:" in head:
        return _alpha(lines)
    if "<sami" in head or "<sync" in head:
        return _sami(text)
    if any(_MICRO.match(line) for line in lines[:5]):
        return _micro(lines)
    return _timed(lines)


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(f"{seconds}.{fraction}")


def _timed(lines: list[str]) -> Iterator[Cue]:
    """SubRip, WebVTT, SBV: a line with two times, then what is shown."""
    cue: Cue | None = None
    last = ""  # a line that may turn out to be the number or the name of the next cue
    skipping = False
    for line in lines:
        timing = _TIMING.match(line) if ":" in line else None
        if timing:
            if cue is not None:
                yield cue
            cue = (_seconds(*timing.group(1, 2, 3, 4)), _seconds(*timing.group(5, 6, 7, 8)), [])
            last, skipping = "", False
        elif (
            line.startswith(("NOTE", "STYLE", "REGION"))
            and not last.strip()
            and (cue is None or not cue[2][-1:] or not cue[2][-1].strip())
        ):
            skipping = True
        elif skipping:
            skipping = bool(line.strip())
        elif cue is not None:
            cue[2].append(line)
        last = line
    if cue is not None:
        yield cue


def _micro(lines: list[str]) -> Iterator[Cue]:
    for line in lines:
        found = _MICRO.match(line)
        if found:
            rate = _FRAMES_PER_SECOND if line[:1] == "{" else 10
            start = int(found[1]) / rate
            yield start, int(found[2] or found[1]) / rate, found[3].split("|")


def _alpha(lines: list[str]) -> Iterator[Cue]:
    columns = 10
    in_events = False
    cues: list[Cue] = []
    for line in lines:
        if line[:1] == "[":
            in_events = line.strip().lower() == "[events]"
        elif in_events and line.lower().startswith("format:"):
            columns = line.count(",") + 1
        elif (found := _ALPHA.match(line)) is not None:
            fields = found[1].split(",", columns - 1)
            if len(fields) < 4:
                continue
            times = [re.match(r"[ \t]*(\d+):(\d+):(\d+)[.:](\d+)", field) for field in fields[1:3]]
            start, end = (_seconds(*time.groups()) if time else 0.0 for time in times)
            speaker = fields[4].strip() if columns >= 10 and len(fields) > 4 else ""
            words = fields[-1]
            cues.append(
                (start, end, _BREAK.sub("\n", f"<v {speaker}>{words}" if speaker else words).split("\n"))
            )
    yield from sorted(cues, key=lambda cue: cue[0])


def _sami(text: str) -> Iterator[Cue]:
    pieces = _SAMI.split(_SAMI_COMMENT.sub("", text))
    for start, body in zip(pieces[1::2], pieces[2::2], strict=True):
        seconds = int(start) / 1000
        yield seconds, seconds + _PAUSE_S, _BREAK.sub("\n", body).split("\n")


def _paragraphs(cues: list[Cue]) -> str:
    """The lines of all cues, each once, joined where somebody goes on speaking."""
    paragraphs: list[str] = []
    words: list[str] = []
    shown: list[str] = []  # what the cue before showed
    speaker = ""
    size, last_end = 0, 0.0
    for start, end, lines in cues:
        said, voice = _said(lines)
        fresh = said[_overlap(shown, said) :]
        shown = said or shown
        if not fresh:
            last_end = max(last_end, end)
            continue
        is_dialogue = fresh[0].startswith(("- ", "– ", "— "))
        ends = words[-1:] and words[-1][-1:] in '.?!…。？！"”»)♪'
        new = bool(voice and voice != speaker) or start - last_end > _PAUSE_S or is_dialogue
        if words and (new or (size > _PARAGRAPH_CHARS and ends)):
            paragraphs.append(" ".join(words))
            words, size = [], 0
        if voice and voice != speaker:
            words.append(f"{voice}:")
        speaker = voice or speaker
        if is_dialogue:
            paragraphs.append("\n".join(fresh))
        else:
            words.extend(fresh)
            size += sum(map(len, fresh))
        last_end = end
    if words:
        paragraphs.append(" ".join(words))
    return "\n\n".join(paragraphs)


def _said(lines: list[str]) -> tuple[list[str], str]:
    """The lines of one cue without markup, and who speaks."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    if len(lines) > 1 and lines[-1].strip().isdecimal() and not lines[-2].strip():
        lines = lines[:-2]  # the number of the next cue
    said: list[str] = []
    voice = ""
    for line in lines:
        if "<v" in line and (found := _VOICE.search(line)):
            voice = voice or found[1].strip()
        bare = html.unescape(_MARKUP.sub("", line)) if any(mark in line for mark in "<{&") else line
        bare = " ".join(bare.replace("\\h", " ").split())
        if bare and (not said or said[-1] != bare):
            said.append(bare)
    return said, voice


def _overlap(shown: list[str], said: list[str]) -> int:
    """How many lines at the beginning of `said` repeat the end of what was shown."""
    for length in range(min(len(shown), len(said), 8), 0, -1):
        if shown[-length:] == said[:length]:
            return length
    return 0


FORMATS = (
    Format(
        "subtitles",
        (mt.SUBRIP, mt.VTT, mt.SUBSTATION, mt.MICRODVD, mt.SAMI),
        extract_subtitles,
        fallback=extract_plain,
    ),
)
