"""Asking for labels: packs of documents, some of them checked by asking about a document alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import apsw

from tui_scraper.engine.asking.base import Asking, StoppedError
from tui_scraper.engine.asking.parts import Asker, Company
from tui_scraper.engine.errors import TuiScraperError
from tui_scraper.engine.llm.caller import Answered, Caller, split_cost
from tui_scraper.engine.llm.choosing import Backend
from tui_scraper.engine.llm.client import UnreadableAnswerError
from tui_scraper.engine.llm.errors import CallError
from tui_scraper.engine.llm.packer import Packer, Wanted, pack_size
from tui_scraper.engine.llm.preflight import LabelPreflight, Preflight, Ready
from tui_scraper.engine.llm.profile import with_reasoning
from tui_scraper.engine.llm.reading import Given, labels_in
from tui_scraper.engine.llm.requests import LabelRequest
from tui_scraper.engine.store.artifacts import StoredLabel
from tui_scraper.engine.store.ledger import CapReachedError, Paid


class Documents(Asker[Wanted], Protocol):
    """Whose documents are asked about: takes what comes of it."""

    async def save(self, labels: Sequence[tuple[Wanted, StoredLabel]], call: int, paid: Paid) -> None:
        """Save labels with their payment."""
        ...


class AskingForLabels(Asking[Wanted, LabelRequest]):
    """Asks for what is added, as long as it may. `halt` is told what ends it before all is answered."""

    def __init__(
        self,
        backend: Backend,
        documents: Documents,
        run: int,
        state: apsw.Connection,
        halt: Callable[[TuiScraperError], None],
        company: Company,
    ) -> None:
        settings = backend.settings.classify
        self._documents = documents
        self._prompter = backend.prompter()
        self._packer = Packer(pack_size(settings), fixed=settings.docs_per_request != "auto")
        super().__init__(backend.provider, self._packer, documents, run, state, halt, company)

    @property
    def docs_per_request(self) -> int:
        """How many documents are asked about together."""
        return self._packer.size

    def _introduction(self) -> str:
        return f"Labels are asked of {self.model} at {self._where}"

    def _new_preflight(self, caller: Caller) -> Preflight:
        return LabelPreflight(self._provider, caller, self._prompter, self._documents.tell, self._rest)

    def _request(self, pack: Sequence[Wanted], kind: str = "label") -> LabelRequest:
        keys = [wanted.key for wanted in pack] if kind == "label" else []
        prompt = self._prompter.ask([wanted.text for wanted in pack])
        return LabelRequest(kind, keys, prompt, self._prompter.answer_tokens(len(pack)))

    async def _take(self, pack: list[Wanted], request: LabelRequest, answered: Answered) -> None:
        reply, ids = answered.reply, request.prompt.ids
        found = labels_in(reply, ids, self._prompter)
        parts = split_cost(answered.paid, [len(wanted.text.encode()) for wanted in pack])
        labels, left = [], []
        for wanted, name, part in zip(pack, ids, parts, strict=True):
            if name in found:
                labels.append((wanted, _stored(found[name], self.model, part)))
            else:
                left.append(wanted)
        await self._documents.save(labels, answered.call, answered.paid)
        self._settled(len(pack), len(labels))
        if left:
            if reply.cut and not reply.text.strip() and (roomy := with_reasoning(self._now.profile)):
                self._ready = Ready(roomy, self._now.price)
            why = "the model refused" if reply.refused else "no usable answer"
            await self._unusable(left, why, final=reply.refused and len(pack) == 1)
        if labels and self._packer.is_audited(pack) and self._may_send():
            self._start(self._audit(*labels[0]))

    async def _audit(self, wanted: Wanted, label: StoredLabel) -> None:
        """Ask about a document of a pack alone, and see whether it gets the label it got in company."""
        request = self._request([wanted], "audit")
        try:
            answered = await self._call(request, await self._lease(request))
        except (StoppedError, CallError, UnreadableAnswerError, CapReachedError):
            return  # the next one that asks sees to it
        assert self._caller is not None
        await self._caller.settle(answered)
        alone = labels_in(answered.reply, request.prompt.ids, self._prompter).get("d1")
        if alone is not None and self._packer.audited(same=list(alone.labels) == label.labels):
            self._documents.tell(
                "Documents asked about alone get other labels than in company; from now on "
                f"{self._packer.size} are asked about together."
            )


def _stored(given: Given, model: str, part: Paid) -> StoredLabel:
    tokens = (part.tokens_in, part.tokens_out)
    labels, others = list(given.labels), list(given.others)
    return StoredLabel(labels, given.confidence, "openai", others, model, *tokens, part.cost_nano_usd)
