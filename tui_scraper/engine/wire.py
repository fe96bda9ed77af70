"""The messages between the engine and its worker processes.

A worker has parsed untrusted bytes, so what it sends is untrusted too: the engine decodes it with
msgspec against these types (no pickle), and `workers/pool.py` checks sizes and identities before
anything is stored. Payloads stay compressed while they pass through the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tui_scraper.engine.models import Cause, PhaseName, Status

SIGNATURE_BYTES = 256
"""Of a text, for near-duplicates: 128 numbers of two bytes."""


class WorkItem(msgspec.Struct, array_like=True, frozen=True):
    """One document for a worker.

    `path` is that of a file, absolute. `inside` leads from it to a member: the name in the file, then the
    name in that member, and so on. `start` is the first phase to run: `clean` reads the file; `chunk`
    and `classify` start from the stored payloads that come along (`clean`, and for classify also
    `chunks`) and the stored `media_type`, so that a changed setting never reads or parses a file again.
    `ended_by` is what became of the worker that tried before: the safe reader is used then.
    """

    version: int
    path: bytes
    size_bytes: int
    start: PhaseName = PhaseName.CLEAN
    media_type: str = ""
    clean: bytes | None = None
    chunks: bytes | None = None
    inside: list[bytes] = []
    ended_by: Cause | None = None


def in_groups(items: Iterable[WorkItem], most: int, most_bytes: int) -> Iterator[list[WorkItem]]:
    """Documents in order, at most so many and so many bytes together; one that is larger, alone."""
    group: list[WorkItem] = []
    size_bytes = 0
    for item in items:
        if group and (len(group) >= most or size_bytes + item.size_bytes > most_bytes):
            yield group
            group, size_bytes = [], 0
        group.append(item)
        size_bytes += item.size_bytes
    if group:
        yield group


class Member(msgspec.Struct, array_like=True, frozen=True):
    """A file inside a container, as it becomes a document of its own.

    `name` is unique in its container and safe to be part of a path: UTF-8 with '/', without '..'.
    `size_bytes` were counted, not claimed (0 where it cannot be read); `mtime_ns` is a claim, 0 for none.
    """

    name: bytes
    size_bytes: int
    mtime_ns: int


class CleanResult(msgspec.Struct, array_like=True, frozen=True):
    """The clean text of a document. `payload` is a compressed `CleanText`; `output` its hash.

    `signature` is what it is compared by (`duplicates.signature`), b'' where that was not made with it.
    """

    payload: bytes
    output: bytes
    characters: int
    signature: bytes = b""


class ChunkResult(msgspec.Struct, array_like=True, frozen=True):
    """The chunks of a document. `payload` is a compressed list of `Chunk`; `output` its hash.

    `vectors` are those of all chunks, made on this machine; b'' where they are not wanted.
    """

    payload: bytes
    output: bytes
    chunks: int
    tokens: int
    vectors: bytes = b""


class LabelResult(msgspec.Struct, array_like=True, frozen=True):
    """The labels of a document, best first, with what the classifier read hashed in `digest`."""

    digest: bytes
    labels: list[str]
    confidence: float
    method: str
    alternatives: list[tuple[str, float]]


class DigestText(msgspec.Struct, array_like=True, frozen=True):
    """What is read of a document for its label, where a model is to be asked: as `labels.digest.Digest`.

    `signature` is that of the whole text (`labels.signature`), b'' where near-duplicates are not looked for.
    """

    text: str
    hint: str = ""
    signature: bytes = b""


class DocumentReply(msgspec.Struct, array_like=True, frozen=True):
    """What became of one `WorkItem`.

    `phase` is the last phase that ran; with a status other than `done` it is the phase that ended the
    document, and `cause` and `message` say why. `content` is the 16-byte BLAKE3 of the bytes that were parsed
    (empty where the file was not read). `cpu_ns` holds CPU nanoseconds of (input, clean, chunk, classify), in
    equal parts of what some documents took together, so that sums are right. `members` are the files
    inside a container, None for what is none; of a damaged one that `failed` they are those that can still be
    read. `to_ask` is there where a model is to be asked for the label: `label` is then only what stands in
    where it cannot be.
    """

    version: int
    status: Status
    phase: PhaseName
    cause: Cause | None = None
    message: str = ""
    content: bytes = b""
    media_type: str = ""
    clean: CleanResult | None = None
    chunk: ChunkResult | None = None
    label: LabelResult | None = None
    cpu_ns: tuple[int, int, int, int] = (0, 0, 0, 0)
    members: list[Member] | None = None
    to_ask: DigestText | None = None


class CleanText(msgspec.Struct, array_like=True, frozen=True):
    """Clean text with what was learnt while extracting it.

    `text` is NFC with Markdown-like structure. `pages` holds the offset in `text` at which each
    page starts (empty where the format has no pages). `links` are (target, kind) pairs with kind
    `hyperlink`, `image`, `include` or `reference`, or `self` for a name that the document has, such as the
    Message-ID of a mail. `title` is None unless the document names one.
    `language` is an ISO 639-1 code, or '' where it is unclear.
    """

    text: str
    title: str | None = None
    language: str = ""
    pages: list[int] = []
    links: list[tuple[str, str]] = []
    truncated: bool = False

    @property
    def is_listing(self) -> bool:
        """Whether the text only names what is inside: in an archive, or with a mail that has no body.

        The last line of an archive's (`extract.containers.listing`) is ended, which that of a text never is
        that a reader has found and `tidy` has cleaned. A mail's (`mail_text`) has no second paragraph, and
        its header ends with the names.
        """
        text = self.text
        if text.endswith("\n"):
            return text.startswith("- ")
        return text.startswith("Attachments: ", text.rfind("\n") + 1) and "\n\n" not in text


class Chunk(msgspec.Struct, array_like=True, frozen=True):
    """A slice of the clean text: `text[start:end]` is the chunk, to the character.

    `tokens` is the exact number of tokens of the slice in the configured vocabulary. `heading` is
    the path of headings above it, joined with ' > '.
    """

    start: int
    end: int
    tokens: int
    heading: str = ""
