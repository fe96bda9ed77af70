"""Near-duplicates on their way to one label: who stands for whom, and what those who do not ask get.

Who stands for whom is known when everything has been read, so until then documents only leave their signature
and stay in the store. Then each is offered again: one that stands for itself is asked about; one that has kin
takes the label of its kin, once that is there. A label made on this machine has a veto: a document that reads
clearly like another label is asked about after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import apsw
import msgspec

from tui_scraper.engine.llm.near import Kin, group
from tui_scraper.engine.store.artifacts import Configs, StoredLabel, find_artifacts
from tui_scraper.engine.store.labelling import label_key
from tui_scraper.engine.store.signatures import keep_signatures, read_signatures
from tui_scraper.engine.store.writer import Writer
from tui_scraper.engine.wire import SIGNATURE_BYTES, DigestText, LabelResult

_CLEARLY = 0.8
"""Confidence of a label made on this machine from which it has a veto."""
_PAGE = 500


class Kinship:
    """The near-duplicates of one pass."""

    def __init__(self, configs: Configs, writer: Writer, state: apsw.Connection) -> None:
        self._configs = configs
        self._writer = writer
        self._state = state
        self._seen: set[bytes] = set()
        self._kin: dict[bytes, Kin] | None = None
        self._childless: set[bytes] = set()

    @property
    def settled(self) -> bool:
        """Whether it is known who stands for whom."""
        return self._kin is not None

    async def note(self, offers: Sequence[tuple[DigestText, LabelResult]]) -> None:
        """Keep the signatures of documents that are offered before everything has been read."""
        self._seen.update(local.digest for _asked, local in offers)
        entries = [(local.digest, asked.signature) for asked, local in offers if asked.signature]
        if entries:
            await self._writer.submit(keep_signatures(entries))

    async def settle(self) -> int:
        """Find out who stands for whom, now that all has been read. Returns how many need not be asked."""
        kept = [pair for pair in read_signatures(self._state) if len(pair[1]) == SIGNATURE_BYTES]
        labelled = frozenset(
            digest
            for start in range(0, len(kept), _PAGE)
            for digest in self._labelled([digest for digest, _minhash in kept[start : start + _PAGE]])
        )
        mine = [(digest, minhash) for digest, minhash in kept if digest in self._seen or digest in labelled]
        self._kin = await asyncio.to_thread(
            group, [digest for digest, _m in mine], [minhash for _d, minhash in mine], labelled
        )
        return len(self._kin)

    def _labelled(self, digests: Sequence[bytes]) -> list[bytes]:
        keys = {label_key(self._configs, digest): digest for digest in digests}
        return [keys[key] for key in find_artifacts(self._state, list(keys))]

    def of(self, digest: bytes) -> Kin | None:
        """Whose label a document may have; None where it is to be asked about."""
        kin = (self._kin or {}).get(digest)
        return None if kin is None or kin.digest in self._childless else kin

    def orphan(self, digest: bytes) -> None:
        """One that stood for others has got no label of the model: they are asked about themselves."""
        self._childless.add(digest)

    def orphan_all(self) -> None:
        """Nothing goes forward any more: whoever still waits is asked about."""
        self._kin = {}

    def inherited(self, kin: Kin, local: LabelResult) -> StoredLabel | bool:
        """The label that a document takes over from its kin.

        True where its kin has none yet, False where the label made on this machine speaks clearly against it.
        """
        found = find_artifacts(self._state, [label_key(self._configs, kin.digest)])
        if not found:
            return True
        [known] = found.values()
        data = self._state.execute("SELECT data FROM artifact WHERE id = ?", (known.artifact,)).get
        label = msgspec.msgpack.decode(data, type=StoredLabel)
        if local.confidence >= _CLEARLY and local.labels[0] not in label.labels:
            return False
        confidence = None if label.confidence is None else round(label.confidence * kin.similarity, 4)
        return StoredLabel(label.labels, confidence, "duplicate", label.alternatives, label.model)
