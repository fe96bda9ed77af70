"""What others wrote in a mail, marked as Markdown block quotes, and the lines of format=flowed joined.

Quoted lines stay as they are. What Outlook and web mail append unquoted is recognised by the lines they
put above it: a rule that names the original message, a block of header fields, 'On … wrote:'. From
there on everything is history. A block of fields or an attribution counts only below other text, so that
a mail which begins with 'From:' is not taken for a quote of itself; nothing is ever left out.
"""

from __future__ import annotations

import re
from typing import Final

_MAX_LINE: Final = 400  # a longer line is no heading of a quote
_BLOCK_LINES: Final = 14
_MAX_LOOKS: Final = 1_000  # lines of one mail that may be the heading of a quote
_RULE = re.compile(
    r"\s*[-_*=]{2,40}\s*(?:original message|original-nachricht|urspr[üu]ngliche nachricht"
    r"|message d['’]origine|message original|mensaje original|mensagem original|messaggio originale"
    r"|oorspronkelijk bericht|original bericht"
    r"|original meddelelse|oprindelig meddelelse|opprinnelig melding|ursprungligt meddelande"
    r"|alkuper[äa]inen viesti|wiadomo[śs][ćc] oryginalna|p[ůu]vodn[íi] zpr[áa]va|p[ôo]vodn[áa] spr[áa]va"
    r"|eredeti [üu]zenet|mesaj original|orijinal mesaj|исходное сообщение|оригинальное сообщение"
    r"|первоначальное сообщение|αρχικό μήνυμα|原始邮件|原始郵件|邮件原件|元のメッセージ|원본 메시지"
    r"|forwarded message|forwarded by[^\n]{0,200}|weitergeleitete nachricht|message transf[ée]r[ée]"
    r"|mensaje reenviado|mensagem encaminhada|messaggio inoltrato|doorgestuurd bericht|пересылаемое сообщение"
    r"|вложенное сообщение|转发的消息|转发邮件)\s*[-_*=]{2,40}\s*\Z",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"\W{0,3}(?:from|von|de|da|van|fra|fr[åa]n|l[äa]hett[äa]j[äa]|od|feladó|kimden|gönderen|от|от кого|από"
    r"|发件人|寄件者|差出人|보낸\s?사람)\W{0,3}[:：]\W{0,3}\s*\S",
    re.IGNORECASE,
)
_SENT = re.compile(
    r"\W{0,3}(?:sent|date|gesendet(?: am)?|datum|envoy[ée](?: le)?|enviad[oa](?: el| em)?|fecha|data|inviato"
    r"|verzonden|sendt|dato|skickat|l[äa]hetetty|p[äa]iv[äa]ys|wys[łl]ano|data wys[łl]ania|odesl[áa]no"
    r"|elk[üu]ldve|gönderildi|tarih|отправлено|дата|ημερομηνία|στάλθηκε|发送时间|寄件日期|日期|送信日時|日付"
    r"|보낸\s?날짜)\W{0,3}[:：]",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\W{0,3}(?:subject|betreff|objet|asunto|assunto|oggetto|onderwerp|emne|[äa]mne|aihe|temat|p[řr]edm[ěe]t"
    r"|predmet|t[áa]rgy|konu|subiect|тема|θέμα|主题|主旨|件名|제목)\W{0,3}[:：]",
    re.IGNORECASE,
)
_WROTE = re.compile(
    r".{6,300}?\b(?:wrote|writes|schrieb|schreef|a écrit|escribi[óo]|escreveu|ha scritto|skrev|kirjoitti"
    r"|napisa[łl]\(?a?\)?|napsala?|írta|yazd[ıi]|пишет|писала?|написала?|έγραψε"
    r"|(?:schrieb|schreef|skrev|kirjoitti)\b.{1,120}?"
    r"|写道|さん(?:は書きました|のメッセージ)?|님이 작성)\s?[:：]\s*\Z",
    re.IGNORECASE,
)
_ATTRIBUTION_START = re.compile(
    r"(?:on|am|le|el|il|op|em|den|w dniu|dnia|dne|p[åa]|на|в|στις)\b|\d{1,4}[./年-]"
    r"|[^<>\n]{0,200}<[^<>\s@]{1,100}@",
    re.IGNORECASE,
)
_WHEN = re.compile(r"\d{1,2}[:.]\d{2}|\b(?:19|20)\d\d\b|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|[\w.+-]@[\w-]")
_UNDERLINE = re.compile(r"\s*(?:_{10,}|-{10,})\s*\Z")
_SIGNATURE = re.compile(r"--[ \t]?\Z")
_QUOTED = re.compile(r" ?>")
_FLOWED_QUOTE = re.compile(r">+")


def mark_quotes(text: str) -> str:
    """The text of a mail with the history below it as a block quote and its signature set off."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = _history(lines)
    kept: list[str] = []
    for number, line in enumerate(lines[:start]):
        if _SIGNATURE.match(line) and kept and kept[-1].strip():
            kept.append("")  # else Markdown takes it for the underline of a heading
        is_stray = line.startswith(">From ") and not (
            _is_quoted(lines, number - 1) or _is_quoted(lines, number + 1)
        )
        kept.append(line[1:] if is_stray else line)
    if start < len(lines) and kept and kept[-1].strip():
        kept.append("")
    kept += [f"> {line}" if line.strip() else ">" for line in _without_end(lines[start:])]
    return "\n".join(kept)


def _is_quoted(lines: list[str], number: int) -> bool:
    return 0 <= number < len(lines) and _QUOTED.match(lines[number]) is not None


def _without_end(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[:end]


def _history(lines: list[str]) -> int:
    """The first line of what is history though nobody quoted it; the number of lines where nothing is."""
    has_text = False
    looks = 0
    last_quoted = max((n for n, line in enumerate(lines) if line[:2].lstrip().startswith(">")), default=-1)
    for number, line in enumerate(lines):
        if len(line) > _MAX_LINE or not line.strip():
            has_text = has_text or len(line) > _MAX_LINE
            continue
        if _RULE.match(line):
            return number
        if has_text and looks < _MAX_LOOKS and _FROM.match(line):
            looks += 1
            if _is_field_block(lines, number):
                return _with_underline(lines, number)
        if has_text and looks < _MAX_LOOKS and number > last_quoted and line.rstrip().endswith((":", "：")):
            looks += 1
            below = _below_attribution(lines, number)
            if below:
                return below
        has_text = has_text or not line.lstrip().startswith(">")
    return len(lines)


def _is_field_block(lines: list[str], number: int) -> bool:
    """Whether sender, date and subject follow in the next lines, as mail programs write them."""
    near = [line for line in lines[number + 1 : number + 1 + 2 * _BLOCK_LINES] if line.strip()][:_BLOCK_LINES]
    sent = next((n for n, line in enumerate(near[:4]) if _SENT.match(line[:_MAX_LINE])), None)
    return sent is not None and any(_SUBJECT.match(line[:_MAX_LINE]) for line in near)


def _with_underline(lines: list[str], number: int) -> int:
    above = number - 1
    while above >= 0 and not lines[above].strip():
        above -= 1
    is_line = above >= 0 and len(lines[above]) < _MAX_LINE and _UNDERLINE.match(lines[above])
    return above if is_line else number


def _below_attribution(lines: list[str], number: int) -> int:
    """The line after 'On … wrote:' (which may fill three lines) with something unquoted below it, else 0."""
    for first in range(number, max(number - 3, -1), -1):
        joined = " ".join(line.strip() for line in lines[first : number + 1])
        if len(joined) > _MAX_LINE or not lines[first].strip():
            return 0
        if _ATTRIBUTION_START.match(joined) and _WROTE.match(joined) and _WHEN.search(joined):
            below = next((n for n in range(number + 1, len(lines)) if lines[n].strip()), 0)
            return below if any(line.strip() for line in lines[:first]) else 0
    return 0


def join_flowed(text: str, *, delete_space: bool) -> str:
    """Text sent as format=flowed (RFC 3676) with its soft line breaks taken out."""
    paragraphs: list[str] = []
    open_lines: list[str] = []
    open_depth = -1

    def close() -> None:
        if open_lines:
            lead = "> " * open_depth
            paragraphs.append((lead + "".join(open_lines)).rstrip() if open_depth else "".join(open_lines))
            open_lines.clear()

    for raw in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        quote = _FLOWED_QUOTE.match(raw)
        depth = len(quote[0]) if quote else 0
        line = raw[depth:]
        line = line.removeprefix(" ")
        if depth != open_depth:
            close()
        open_depth = min(depth, _MAX_LINE)
        if line == "-- ":
            close()
            paragraphs.append("> " * open_depth + line)
        elif line.endswith(" "):
            open_lines.append(line[:-1] if delete_space else line)
        else:
            open_lines.append(line)
            close()
    close()
    return "\n".join(paragraphs)
