"""Documents on their way to a model's label: asked about once, paid for once, saved as they are paid.

    worker -> offer -> (in the store? taken over) -> asking -> ledger and labels -> index

Equal digests wait for one answer. Where a label cannot be had (refused, no usable answer, no money, no
network) the one that the worker has made stands in for it, marked as what it is. Only so many documents wait
here; the others stay in the store, where the next turn, or the next run, finds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tui_scraper.engine.asking.labels import AskingForLabels
from tui_scraper.engine.asking.parts import Company
from tui_scraper.engine.asking.telling import Surrounding, Telling
from tui_scraper.engine.kinship import Kinship
from tui_scraper.engine.llm.choosing import Backend
from tui_scraper.engine.llm.packer import Wanted
from tui_scraper.engine.llm.prompt import shown
from tui_scraper.engine.models import PhaseName, Spend, Status
from tui_scraper.engine.store.artifacts import Configs, StoredLabel, find_artifacts
from tui_scraper.engine.store.head import PHASE_NUMBER, STATUS_NUMBER
from tui_scraper.engine.store.human import human_labels_of
from tui_scraper.engine.store.labelling import Labelled, kin_of, label_key, record_labels, stand_in_for
from tui_scraper.engine.store.ledger import Paid
from tui_scraper.engine.store.recording import reuse
from tui_scraper.engine.store.results import Reached, Work
from tui_scraper.engine.wire import DigestText, LabelResult

_WORTH_IT = 500
"""Documents that have got a label since, before those that wait for one of them are looked through again."""
Offer = tuple[Work, DigestText, LabelResult]
"""A document, what a model is shown of it, and the label that was made on this machine."""
_CAPACITY = 8_000
"""Documents that may wait for a label: about a kilobyte each."""
_BY_HAND = "a person has labelled it"
_CLASSIFY = PHASE_NUMBER[PhaseName.CLASSIFY]
_DONE = STATUS_NUMBER[Status.DONE]


class Labelling(Telling):
    """Gets labels for the documents of one pass. Use it in one event loop; `close` it in the end.

    `labelled` takes documents that have their label; `halt` is told why no more can be had. `paid_for` counts
    labels that were paid for.
    """

    mistake = "A mistake in the labelling of documents."

    def __init__(
        self,
        backend: Backend,
        configs: Configs,
        around: Surrounding,
        company: Company,
    ) -> None:
        super().__init__(around)
        self._configs = configs
        self._labelled = around.labelled
        self._asking: AskingForLabels = AskingForLabels(
            backend, self, around.run, around.state, around.halt, company
        )
        self._wanted: dict[bytes, Wanted] = {}
        self._waiting = 0
        self._taken_over = 0
        self.paid_for = 0
        near = backend.settings.classify.near_duplicates
        self._kinship = Kinship(configs, around.writer, around.state) if near else None
        self._since_again = 0
        self._stand_ins: Counter[str] = Counter()
        self._stood_in: set[bytes] = set()

    @property
    def busy(self) -> bool:
        """Whether documents are waiting for a label or being asked about."""
        return bool(self._waiting) or self._asking.busy

    @property
    def room(self) -> int:
        """How many more documents may wait."""
        return max(0, _CAPACITY - self._waiting)

    @property
    def again(self) -> bool:
        """Whether it is worth while to offer again what was not taken."""
        waits_for_kin = self._kinship is not None and self._kinship.settled and self.busy
        return self.emptier and not (waits_for_kin and self._since_again < _WORTH_IT)

    @property
    def emptier(self) -> bool:
        """Whether there is room again for many."""
        return self._waiting <= _CAPACITY // 2

    async def offer(self, offers: Sequence[Offer]) -> list[Work]:
        """Take documents that need a label: each with what a model is shown and the label made here.

        Returns those that are not taken now, and are to be offered again.
        """
        left: list[Work] = []
        offers = await self._take_over_from_people(offers)
        if self._kinship is not None and not self._kinship.settled:
            later = [offer for offer in offers if offer[1].signature]
            await self._kinship.note([(asked, local) for _work, asked, local in later])
            left = [work for work, *_ in later]
            offers = [offer for offer in offers if not offer[1].signature]
        left += [work for work, *_ in offers[self.room :]]
        offers = offers[: self.room]
        if self._kinship is not None and self._kinship.settled:
            offers, waiting = await self._take_over_from_kin(self._kinship, offers)
            left += waiting
        keys = [label_key(self._configs, local.digest) for _work, _asked, local in offers]
        known = find_artifacts(self._state, [key for key in keys if key not in self._wanted])
        stored = []
        hopeless: list[Wanted] = []
        for key, (work, asked, local) in zip(keys, offers, strict=True):
            wanted = self._wanted.get(key)
            if wanted is not None:
                self._waiting += 1
                wanted.works.append(work)
            elif key in self._stood_in and key not in known:
                hopeless.append(Wanted(key, local.digest, "", local, [work]))
            elif key in known:
                found, before = known[key], work.reached.get(_CLASSIFY)
                attempt = before.attempt + 1 if before is not None else 1
                work.reached[_CLASSIFY] = Reached(_DONE, found.artifact, attempt)
                stored.append((work, _CLASSIFY, found.artifact, found.amount))
            else:
                self._waiting += 1
                self._wanted[key] = wanted = Wanted(key, local.digest, shown(asked), local, [work])
                self._asking.add(wanted)
        if stored:
            self._taken_over += len(stored)
            await self._writer.submit(reuse(stored))
            await self._labelled([work for work, *_ in stored])
        self._waiting += len(hopeless)
        await self.stand_in(hopeless, "no label for the same text")
        self._since_again += len(offers)
        return left

    async def _take_over_from_people(self, offers: Sequence[Offer]) -> Sequence[Offer]:
        """Ask nothing about what a person has labelled. Returns the others.

        Below that label lies the one made here, for the day on which the person takes theirs away.
        """
        given = human_labels_of(self._state, [work.version for work, *_ in offers])
        if not given:
            return offers
        entries = []
        for work, _asked, local in offers:
            if work.version in given:
                source = stand_in_for(local.digest)
                label = _made_here(local, _BY_HAND)
                entries.append(Labelled(label_key(self._configs, source), source, label, [work]))
        self._taken_over += len(entries)
        await self._labelled(await self._writer.submit(record_labels(entries)))
        return [offer for offer in offers if offer[0].version not in given]

    async def _take_over_from_kin(
        self, kinship: Kinship, offers: Sequence[Offer]
    ) -> tuple[list[Offer], list[Work]]:
        """Give near-duplicates the label of those that stand for them.

        Returns those to be asked about, and those whose kin has no label yet.
        """
        ask: list[Offer] = []
        waiting: list[Work] = []
        entries: list[Labelled] = []
        for work, asked, local in offers:
            kin = kinship.of(local.digest)
            label = kinship.inherited(kin, local) if kin is not None else False
            if isinstance(label, StoredLabel):
                source = kin_of(local.digest)
                entries.append(Labelled(label_key(self._configs, source), source, label, [work]))
            elif label:
                waiting.append(work)
            else:
                ask.append((work, asked, local))
        if entries:
            self._since_again += len(entries)
            self._taken_over += len(entries)
            await self._labelled(await self._writer.submit(record_labels(entries)))
        return ask, waiting

    async def begin_again(self) -> None:
        """Everything has been read, and what was not taken is offered again."""
        if self._kinship is None:
            return
        if not self._kinship.settled:
            spared = await self._kinship.settle()
            self.tell(f"{spared:,} documents are nearly the same as others and need not be asked about.")
        elif not self._since_again and not self.busy:
            self._kinship.orphan_all()
        self._since_again = 0

    def spend(self) -> Spend:
        """What is spent and how fast, for a screen."""
        return self._asking.spend(
            taken_over=self._taken_over,
            stand_ins=sum(self._stand_ins.values()),
            waiting=self._waiting,
            together=self._asking.docs_per_request,
        )

    async def close(self) -> None:
        """Send nothing more, wait for what is in flight, save it, and close the connections."""
        await self._asking.close()
        for reason, count in self._stand_ins.items():
            documents = "1 document was" if count == 1 else f"{count:,} documents were"
            self.tell(
                f"{documents} labelled on this machine ({reason}); "
                "`tui-scraper retry --method openai` has the model asked later."
            )
        self._stand_ins.clear()

    # --- what asking brings

    async def save(self, labels: Sequence[tuple[Wanted, StoredLabel]], call: int, paid: Paid) -> None:
        """Save the labels of an answer together with what it has cost."""
        await self._record([(wanted, wanted.digest, label) for wanted, label in labels], call, paid)
        self.paid_for += len(labels)

    async def still_wanted(self, pack: Sequence[Wanted]) -> list[bool]:
        """Not, where a person has labelled all the documents that wait for it."""
        given = human_labels_of(self._state, [work.version for wanted in pack for work in wanted.works])
        still = [any(work.version not in given for work in wanted.works) for wanted in pack]
        spared = [wanted for wanted, keep in zip(pack, still, strict=True) if not keep]
        if not spared:
            return still
        self._taken_over += sum(len(wanted.works) for wanted in spared)
        await self._record(
            [(wanted, stand_in_for(wanted.digest), _made_here(wanted.local, _BY_HAND)) for wanted in spared]
        )
        return still

    async def stand_in(self, pack: Sequence[Wanted], reason: str) -> None:
        """Give documents the label that was made on this machine."""
        entries = []
        for wanted in pack:
            entries.append((wanted, stand_in_for(wanted.digest), _made_here(wanted.local, reason)))
        if entries:
            await self._record(entries)
            if self._kinship is not None:
                for wanted in pack:
                    self._kinship.orphan(wanted.digest)
            self._stood_in.update(wanted.key for wanted in pack)
            self._stand_ins[reason] += sum(len(wanted.works) for wanted in pack)

    async def _record(
        self,
        entries: Sequence[tuple[Wanted, bytes, StoredLabel]],
        call: int | None = None,
        paid: Paid | None = None,
    ) -> None:
        """Save labels for all documents that wait for them: also for those that join in meanwhile.

        Each entry is (what is wanted, the hash of what the label was made from, the label).
        """
        recorded = [0] * len(entries)
        while call is not None or any(
            len(wanted.works) > n for (wanted, *_), n in zip(entries, recorded, strict=True)
        ):
            labelled = [
                Labelled(label_key(self._configs, source), source, label, wanted.works[n:])
                for (wanted, source, label), n in zip(entries, recorded, strict=True)
            ]
            recorded = [n + len(entry.works) for n, entry in zip(recorded, labelled, strict=True)]
            works = await self._writer.submit(record_labels(labelled, call, paid))
            call = paid = None
            await self._labelled(works)
        for wanted, *_ in entries:
            self._wanted.pop(wanted.key, None)
            self._waiting -= len(wanted.works)
            self._since_again += len(wanted.works)
        self.stirred()


def _made_here(local: LabelResult, reason: str) -> StoredLabel:
    """The label of this machine, with why it is not a model's."""
    return StoredLabel(local.labels, local.confidence, local.method, local.alternatives, reason=reason)
