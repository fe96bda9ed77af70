"""Clean characters and clean lines: the last step of every format.

Characters: NFC; controls, bidi marks and overrides, soft hyphens, zero-width and tag characters,
fillers and non-characters out; all Unicode spaces of a line become a plain one (the ideographic
space stays). ZERO WIDTH JOINER and NON-JOINER stay where they change how a word is written or an
emoji is drawn: between letters of scripts that use them (Arabic to Myanmar, Mongolian) and between
emoji; everywhere else they only hide text. Variation selectors stay alone, after a character.

Lines: LF, no blanks at their ends, at most one empty line in a row outside fenced code.

Plain ASCII, which is most text, passes none of the character rules but the one on controls.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_ASCII = bytes(range(128))
_ASCII_CONTROLS = bytes(b for b in range(32) if b not in b"\t\n") + b"\x7f"
_TERMINAL_CODE = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)|[()*+#%][0-9A-Za-z@]"
    r"|[@-Z\\^_=>78])"
)
_OVERSTRIKE = re.compile(r"[^\n\x08]\x08")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]+")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f]")
_PAGE_BREAKS = re.compile("[\x0b\x0c]")
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
_UNWANTED = re.compile(
    "[\x80-\x84\x86-\x9f\xad\u034f\u061c\u115f\u17b4\u17b5\u180e"  # C1, soft hyphen, joiners and fillers
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"
)
_JOINER = re.compile("[\u200c\u200d]+")
_JOINING_LETTER = re.compile(
    "[\u0620-\u08ff\u0900-\u109f\u1780-\u17d3\u1800-\u18af\ua840-\ua87f\U00010a00-\U00011fff]"
)
_EMOJI = re.compile("[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]")
_SELECTOR = re.compile("[\ufe00-\ufe0f]")
_SELECTORS = re.compile("[\ufe00-\ufe0f]{2,}")
_NOT_LATIN = re.compile("[^\x00-\u02ff]")
_CONTINUED = "\x80-\xbf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122"
_MOJIBAKE = re.compile(f"[ÂÃÐÑâãðÎÏ][{_CONTINUED}]|[Ä-ß][{_CONTINUED}]|[à-ï][{_CONTINUED}]{{2}}")
"""The bytes of a character in UTF-8 as windows-1252 or Latin-1 shows them."""
_MOJIBAKE_LINE_CHARS = 20_000
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")
_PROGRESS = re.compile(r"\d ?%|\d/\d|[#=█]{3}|\d ?[KMG]i?B\b|\d:\d\d")
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_MANY_STATES = 4  # of one line: fewer are line ends of an old system
_MANY_MARKS = 30  # UAX #15, stream-safe text: no language stacks more marks on one letter


def tidy(text: str, *, code: bool = False) -> str:
    """Clean text. `code` keeps every empty line and the first line's indentation."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if "\r" in text:
            text = _last_states(text).replace("\r", "\n")
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw.translate(None, _ASCII_CONTROLS)) != len(raw):
        text = _without_controls(text)
    if not text.isascii():
        foreign = raw.translate(None, _ASCII).decode("utf-8", "surrogatepass")
        if not code and _MOJIBAKE.search(foreign) and _MOJIBAKE.search(text):
            text = _repair_mojibake(text)
            foreign = (
                text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")
            )
        text = _clean_unicode(text, foreign)
    return _clean_lines(text, code)


def one_line(text: str, limit: int) -> str:
    """Clean text as one line of at most `limit` characters, for titles and headings."""
    line = " ".join(tidy(text[: limit * 8]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _last_states(text: str) -> str:
    """What remains on a terminal of lines that were written over again and again, as progress bars are."""
    if "\n" not in text:
        return text  # lines as old Macintoshes end them
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.count("\r") < _MANY_STATES:
            continue
        kept: list[str] = []
        words = ""
        for state in line.split("\r"):
            before, words = words, _NOT_LETTERS.sub("", state)
            if kept and words == before and _PROGRESS.search(state):
                kept[-1] = state
            else:
                kept.append(state)
        lines[number] = "\r".join(kept)
    return "\n".join(lines)


def _without_controls(text: str) -> str:
    if "\x1b" in text:
        text = _TERMINAL_CODE.sub("", text)
    if "\x08" in text:
        text = _OVERSTRIKE.sub("", text)
    return _CONTROL.sub("", _PAGE_BREAKS.sub("\n", text))


def _clean_unicode(text: str, foreign: str) -> str:
    """Apply the rules that characters beyond ASCII need.

    `foreign` holds only those characters, in order. A search in it, or in its few distinct ones, tells
    what the whole text would, at a fraction of the time.
    """
    distinct = "".join(set(foreign))
    if _LINE_ENDS.search(distinct):
        text = _LINE_ENDS.sub("\n", text)
    if _UNWANTED.search(distinct):
        text = _UNWANTED.sub("", text)
    if _SPACES.search(distinct):
        text = _SPACES.sub(" ", text)
    if not _NOT_LATIN.search(distinct):
        return text  # Latin without combining marks is NFC
    if _JOINER.search(distinct):
        text = _JOINER.sub(_keep_joiner, text)
    if _SELECTOR.search(distinct):
        text = _SELECTORS.sub(lambda match: match[0][0], text)
    if _stacked_marks().search(foreign):
        text = _stacked_marks().sub(lambda match: match[0][:_MANY_MARKS], text)
    return unicodedata.normalize("NFC", text)


def _keep_joiner(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    if start == 0 or end == len(text):
        return ""
    before, after, joiner = text[start - 1], text[end], match[0][0]
    if _JOINING_LETTER.match(before) and (_JOINING_LETTER.match(after) or joiner == "\u200d"):
        return joiner
    return joiner if joiner == "\u200d" and _EMOJI.match(before) and _EMOJI.match(after) else ""


@cache
def _stacked_marks() -> re.Pattern[str]:
    """More combining marks in a row than any language writes; sorting such runs is quadratic."""
    ranges: list[str] = []
    start = None
    for code in range(0x300, 0x1F000):
        is_mark = unicodedata.combining(chr(code)) != 0
        if is_mark and start is None:
            start = code
        elif not is_mark and start is not None:
            ranges.append(f"{chr(start)}-{chr(code - 1)}")
            start = None
    return re.compile(f"[{''.join(ranges)}]{{{_MANY_MARKS + 1},}}")


def _repair_mojibake(text: str) -> str:
    from ftfy import fix_encoding

    lines = text.split("\n")
    for number, line in enumerate(lines):
        if len(line) <= _MOJIBAKE_LINE_CHARS and _MOJIBAKE.search(line):
            lines[number] = fix_encoding(line)
    return "\n".join(lines)


def _clean_lines(text: str, code: bool) -> str:
    if " \n" in text or "\t\n" in text:
        text = "\n".join([line.rstrip() for line in text.split("\n")])
    if not code and "\n\n\n" in text:
        text = _squeeze_empty_lines(text)
    return text.strip("\n").rstrip()


def _squeeze_empty_lines(text: str) -> str:
    if "```" not in text and "~~~" not in text:
        while "\n\n\n" in text:  # shortens a run by a third each time; a fifth of the cost of a pattern
            text = text.replace("\n\n\n", "\n\n")
        return text
    kept: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        if line or fence or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept)


def preload() -> None:
    """Build what is built once, before workers are forked."""
    _stacked_marks()
