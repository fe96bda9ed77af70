"""The labels in force: how many of each, who has made them, how sure they are, what paying once saved."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec
import numpy as np
from numpy.typing import NDArray

from tui_scraper.engine.models import PhaseName, Status
from tui_scraper.engine.report.documents import EVERY, Corpus, Tell
from tui_scraper.engine.report.facts import UNSURE, Group, Labels, Maker, Unsure
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.head import STATUS_NUMBER, Head
from tui_scraper.engine.store.human import METHOD, human_labels

_DONE = STATUS_NUMBER[Status.DONE]
_LEAST_SURE = 6
_NEAR = "duplicate"


@dataclass(frozen=True, slots=True)
class Shared:
    """What documents with one text have saved: `documents` were not asked about. `near`: see `Spent`."""

    documents: int = 0
    nano_usd: int = 0
    near: int = 0


def read_labels(state: apsw.Connection, head: Head, corpus: Corpus, tell: Tell) -> tuple[Labels, Shared]:
    """Go through all labels. The connection must be inside a read transaction."""
    columns = _Columns()
    lineage = head.lineages.get(PhaseName.CLASSIFY)
    if lineage is not None:
        columns.read(state, head, lineage, tell)
    made = columns.at(corpus)
    by_hand = _by_hand(state, corpus, columns, made)
    return _counted(corpus, columns, made), columns.shared(corpus, made, by_hand)


@dataclass(slots=True)
class _Made:
    """Columns in the order of the corpus; `words` is 0 for what has no label, `confidence` NaN for unsaid."""

    words: NDArray[np.int32]
    maker: NDArray[np.int32]
    confidence: NDArray[np.float32]


class _Columns:
    """Labels by version, as the store has them."""

    def __init__(self) -> None:
        self.words: dict[tuple[str, ...], int] = {(): 0}
        self.makers: dict[tuple[str, str], int] = {("", ""): 0}
        self._versions = array("q")
        self._words, self._maker, self._confidence = array("i"), array("i"), array("f")
        self._paid, self._artifact, self._cost = array("q"), array("q"), array("q")

    def word(self, label: StoredLabel) -> int:
        return self.words.setdefault(tuple(label.labels), len(self.words))

    def maker(self, label: StoredLabel) -> int:
        return self.makers.setdefault((label.method, label.model), len(self.makers))

    def read(self, state: apsw.Connection, head: Head, lineage: int, tell: Tell) -> None:
        decode = msgspec.msgpack.Decoder(StoredLabel).decode
        rows: Any = state.execute(
            f"""SELECT r.version, iif(r.status = {_DONE}, a.data, NULL), r.artifact, max(r.seq)
            FROM result r LEFT JOIN artifact a ON a.id = r.artifact
            WHERE r.lineage = ? AND {head.visible()} GROUP BY r.version""",  # noqa: S608
            (lineage,),
        )
        for version, data, artifact, _seq in rows:
            if data is None:
                continue
            try:
                label = decode(data)
            except msgspec.MsgspecError:
                continue  # `verify` says what to do about it
            self._versions.append(version)
            if not len(self._versions) % EVERY:
                tell("reading labels", len(self._versions))
            self._words.append(self.word(label))
            self._maker.append(self.maker(label))
            self._confidence.append(float("nan") if label.confidence is None else label.confidence)
            if label.tokens_in + label.tokens_out:
                self._paid.append(version)
                self._artifact.append(artifact)
                self._cost.append(label.cost_nano_usd)

    def at(self, corpus: Corpus) -> _Made:
        """In the order of the corpus: versions that have left the head are left out."""
        places, here = corpus.places(np.frombuffer(self._versions, np.int64))

        def column(values: Any, kind: type, empty: float = 0) -> Any:
            filled: Any = np.full(len(corpus), empty, kind)
            filled[places] = np.frombuffer(values, values.typecode)[here]
            return filled

        return _Made(
            column(self._words, np.int32),
            column(self._maker, np.int32),
            column(self._confidence, np.float32, float("nan")),
        )

    def shared(self, corpus: Corpus, made: _Made, by_hand: NDArray[np.bool_]) -> Shared:
        """What has one artifact was paid for once."""
        places, here = corpus.places(np.frombuffer(self._paid, np.int64))
        theirs = by_hand[places]
        artifacts = np.frombuffer(self._artifact, np.int64)[here][~theirs]
        cost = np.frombuffer(self._cost, np.int64)[here][~theirs]
        _unique, first = np.unique(artifacts, return_index=True)
        near = [number for (method, _model), number in self.makers.items() if method == _NEAR]
        return Shared(
            len(artifacts) - len(first),
            int(cost.sum()) - int(cost[first].sum()),
            int(np.isin(made.maker, near).sum()),
        )


def _by_hand(state: apsw.Connection, corpus: Corpus, columns: _Columns, made: _Made) -> NDArray[np.bool_]:
    """Lay people's labels over the others. Which documents have one."""
    given = human_labels(state)
    theirs = np.zeros(len(corpus), np.bool_)
    for place in corpus.with_contents(list(given)) if given else []:
        label = given.get(corpus.content(place) or b"")
        if label is None:
            continue
        theirs[place] = True
        made.words[place], made.maker[place] = columns.word(label), columns.maker(label)
    return theirs


def _counted(corpus: Corpus, columns: _Columns, made: _Made) -> Labels:
    by_word: Counter[str] = Counter()
    for labels, n in zip(columns.words, np.bincount(made.words, minlength=len(columns.words)), strict=True):
        for label in labels:
            by_word[label] += int(n)
    labelled = made.words > 0
    by_maker = np.bincount(made.maker[labelled], minlength=len(columns.makers))
    makers = [
        Maker(safe_text(method), safe_text(model), int(n))
        for (method, model), n in zip(columns.makers, by_maker, strict=True)
        if n
    ]
    hands = [number for (method, _model), number in columns.makers.items() if method == METHOD]
    said = labelled & ~np.isnan(made.confidence) & ~np.isin(made.maker, hands)
    sure = made.confidence[said]
    tenths = np.clip((sure * 10 + 1e-6).astype(np.int64), 0, 9)
    unsure = np.flatnonzero(said & (made.confidence < np.float32(UNSURE)))
    least = unsure[np.argsort(made.confidence[unsure], kind="stable")[:_LEAST_SURE]]
    paths = corpus.paths([int(version) for version in corpus.versions[least]])
    words = list(columns.words)
    return Labels(
        documents=int(labelled.sum()),
        groups=tuple(
            Group(safe_text(label), n)
            for label, n in sorted(by_word.items(), key=lambda pair: (-pair[1], pair[0]))
            if n
        ),
        makers=tuple(sorted(makers, key=lambda maker: (-maker.documents, maker.method, maker.model))),
        confidence=tuple(int(n) for n in np.bincount(tenths, minlength=10)),
        unsaid=int(labelled.sum()) - int(said.sum()),
        unsure=len(unsure),
        least_sure=tuple(
            Unsure(path, tuple(map(safe_text, words[made.words[at]])), float(made.confidence[at]))
            for path, at in zip(paths, least, strict=True)
        ),
    )
