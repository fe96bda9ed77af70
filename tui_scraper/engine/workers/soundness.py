"""Whether what a worker sends can be true. It has parsed what strangers wrote, and may say anything."""

from __future__ import annotations

from collections.abc import Sequence

from tui_scraper.engine.extract.limits import MAX_ENTRY_BYTES, MAX_MESSAGES, MAX_NAME_BYTES, MAX_TIME_NS
from tui_scraper.engine.labels.digest import Digest
from tui_scraper.engine.models import WORKER_PHASES, PhaseName, Status
from tui_scraper.engine.wire import SIGNATURE_BYTES, DigestText, DocumentReply, LabelResult, Member

_MAX_DIGEST_CHARS = 100_000
_MAX_MESSAGE_CHARS = 2_000


def is_sound(reply: DocumentReply, until: PhaseName) -> bool:
    """Whether a reply can be true: a phase that workers run, with all that belongs to its end."""
    if reply.phase not in WORKER_PHASES or len(reply.message) > _MAX_MESSAGE_CHARS:
        return False
    if reply.members is not None and not _are_sound(reply.members):
        return False
    if reply.to_ask is not None and not _is_digest(reply.to_ask, reply.label):
        return False
    if reply.status is Status.DONE:
        results = {
            PhaseName.CLEAN: reply.clean,
            PhaseName.CHUNK: reply.chunk,
            PhaseName.CLASSIFY: reply.label,
        }
        return reply.phase is until and results.get(reply.phase) is not None
    made = WORKER_PHASES.index(reply.phase)  # that many of them, the first being of what is only read
    if any(result is not None for result in (None, reply.clean, reply.chunk, reply.label)[made:]):
        return False
    return reply.status is not Status.PENDING and reply.cause is not None


def _is_digest(asked: DigestText, label: LabelResult | None) -> bool:
    """Whether a digest is what its label was made from: answers are kept under its hash, for all."""
    if (
        label is None
        or len(asked.text) > _MAX_DIGEST_CHARS
        or len(asked.signature) not in (0, SIGNATURE_BYTES)
    ):
        return False
    return Digest(asked.text, asked.hint).key == label.digest


def _are_sound(members: Sequence[Member]) -> bool:
    """Whether members can be registered: few enough, their names different and safe as parts of a path."""
    names = {member.name for member in members}
    return len(names) == len(members) <= MAX_MESSAGES and all(
        0 < len(member.name) <= MAX_NAME_BYTES
        and not {b"", b".", b".."} & set(member.name.split(b"/"))
        and b"\0" not in member.name
        and 0 <= member.size_bytes <= MAX_ENTRY_BYTES
        and abs(member.mtime_ns) < MAX_TIME_NS
        for member in members
    )
