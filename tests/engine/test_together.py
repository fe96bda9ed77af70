"""Documents that go through a worker's phases together become what each becomes alone."""

from __future__ import annotations

import io
import itertools
import os
import tarfile
import weakref
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tui_scraper.engine import tokens
from tui_scraper.engine.labels import backend
from tui_scraper.engine.labels.embedding import split_words
from tui_scraper.engine.labels.taxonomy import general
from tui_scraper.engine.models import Cause, PhaseName, Status
from tui_scraper.engine.phases import clean as clean_phase
from tui_scraper.engine.phases import document, local_vectors, steps
from tui_scraper.engine.phases.document import Processor, Watch
from tui_scraper.engine.phases.in_hand import InHand, Step
from tui_scraper.engine.phases.steps import STEPS, Allow
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.wire import CleanText, DocumentReply, WorkItem, in_groups
from tui_scraper.engine.workers.soundness import is_sound

_PROSE = "The court found that the contract was void, and the seller had to return the price.\n\n"


def write_mixed(folder: Path) -> list[WorkItem]:
    """Files of many kinds, sound and not."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", "a text in an archive")
        archive.writestr("[Content_Types].xml", "<Types/>")
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty.txt"))
    contents = {
        "law.txt": _PROSE * 30,
        "short.txt": "Total: 3 EUR",
        "empty.txt": "",
        "code.py": "import os\n\n\ndef main():\n    return os.getcwd()\n",
        "page.html": "<html><title>A page</title><body><h1>Head</h1><p>" + "Recipe: two eggs. " * 200,
        "notes.md": "\n".join(f"# Part {number}\n\n" + _PROSE * 5 for number in range(9)),
        "damaged.zip": packed.getvalue()[:-30],
        "sound.zip": packed.getvalue(),
        "tape.tar": tape.getvalue(),
        "random.bin": bytes(range(256)) * 40,
        "damaged.pdf": b"%PDF-1.7\n%broken",
        "greek.txt": "Η γρήγορη αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. " * 40,
        "again.txt": _PROSE * 30,
    }
    items = []
    for number, (name, content) in enumerate(contents.items(), 1):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        items.append(WorkItem(number, os.fsencode(path), path.stat().st_size))
    items.append(WorkItem(90, os.fsencode(folder / "gone.txt"), 10))
    items.append(WorkItem(91, os.fsencode(folder / "law.txt"), 10, inside=[b"not", b"there"]))
    return items


def answers(processor: Processor, batches: Sequence[Sequence[WorkItem]]) -> list[DocumentReply]:
    """All replies, without what they took."""
    replies = []
    for batch in batches:
        replies += [reply for some in processor.process_all(batch) for reply in some]
        processor.release()
    return [msgspec.structs.replace(reply, cpu_ns=(0, 0, 0, 0)) for reply in replies]


@pytest.mark.parametrize("held", [1_000_000, 500, 0])
def test_together_or_alone_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    items = write_mixed(tmp_path)
    alone = answers(Processor(Settings(), signs=True), [[item] for item in items])
    assert {reply.status for reply in alone} == {Status.DONE, Status.FAILED, Status.SKIPPED, Status.EMPTY}
    monkeypatch.setattr(document, "_HELD_CHARS", held)
    assert answers(Processor(Settings(), signs=True), [items]) == alone
    monkeypatch.setattr(document, "_TOGETHER", 4)
    assert answers(Processor(Settings(), signs=True), [items]) == alone


def test_later_phases_alone_give_the_same(tmp_path: Path) -> None:
    first = answers(Processor(Settings()), [write_mixed(tmp_path)])
    done = [reply for reply in first if reply.clean is not None and reply.chunk is not None]
    items = [
        WorkItem(
            reply.version,
            b"/nowhere",
            1,
            start,
            reply.media_type,
            clean=reply.clean and reply.clean.payload,
            chunks=reply.chunk.payload if start is PhaseName.CLASSIFY and reply.chunk else None,
        )
        for start in (PhaseName.CHUNK, PhaseName.CLASSIFY)
        for reply in done
    ]
    again = answers(Processor(Settings()), [items])
    assert [reply.label for reply in again] == [reply.label for reply in done] * 2
    assert [reply.chunk for reply in again] == [reply.chunk for reply in done] + [None] * len(done)
    assert all(reply.clean is None for reply in again)


def test_what_cannot_be_done_together_is_done_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = write_mixed(tmp_path)
    whole = answers(Processor(Settings()), [items])
    made = backend.LocalBackend.labels

    def labels(self: backend.LocalBackend, digests: Sequence[object]) -> list[object]:
        if len(digests) > 1:
            raise MemoryError
        return made(self, digests)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(backend.LocalBackend, "labels", labels)
    monkeypatch.setattr(tokens, "lengths_of", lambda *_texts: 1 / 0)
    vectors = local_vectors.vectors_of_all

    def vectors_of_all(texts: Sequence[object]) -> list[bytes]:
        if len(texts) > 1:
            raise RuntimeError
        return vectors(texts)  # type: ignore[arg-type]

    monkeypatch.setattr(local_vectors, "vectors_of_all", vectors_of_all)
    assert answers(Processor(Settings()), [items]) == whole


class _Told(Watch):
    """Writes down what it is told. After `last` nothing may go on, for ever or when it is asked `once`."""

    def __init__(self, last: int = 0, *, once: bool = False) -> None:
        self.begun: list[tuple[int, int]] = []
        self._last = last
        self._once = once
        self._unfit = False

    def begin(self, version: int, turn: int) -> None:
        self.begun.append((version, turn))

    def may_go_on(self) -> bool:
        if self.begun[-1] == (self._last, 1):
            self._unfit = True
            return False
        return self._once or not self._unfit

    def may_begin(self) -> bool:
        return self._once or not self._unfit


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("held", [1_000_000, 500])
def test_a_document_that_leaves_something_behind_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, once: bool
) -> None:
    """Those before it are finished, each read once; the rest is for another process."""
    monkeypatch.setattr(document, "_HELD_CHARS", held)
    items = write_mixed(tmp_path)
    whole = answers(Processor(Settings()), [items])
    for last in (1, 5, 6):
        watch = _Told(last, once=once)
        processor = Processor(Settings(), watch=watch)
        assert answers(processor, [items]) == whole[:last]
        assert processor.ends
        assert [version for version, turn in watch.begun if turn == 1] == list(range(1, last + 1))
        assert len(watch.begun) == len(set(watch.begun))
    processor = Processor(Settings(), watch=_Told())
    assert answers(processor, [items]) == whole
    assert not processor.ends


def test_texts_are_held_no_longer_than_their_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small archive can hold a hundred times its size: the next ones of its group need the room."""
    monkeypatch.setattr(document, "_HELD_CHARS", 50_000)
    items = []
    for number in range(1, 13):
        path = tmp_path / f"{number}.txt"
        path.write_text(_PROSE * 300)
        items.append(WorkItem(number, os.fsencode(path), 10))
    texts: list[weakref.ref[CleanText]] = []
    made = clean_phase.with_language

    class Text(CleanText, frozen=True, weakref=True):
        pass

    def watched(text: CleanText, said: Any) -> CleanText:
        found = Text(*msgspec.structs.astuple(made(text, said)))
        texts.append(weakref.ref(found))
        return found

    monkeypatch.setattr(clean_phase, "with_language", watched)
    most = 0
    for replies in Processor(Settings(), signs=True).process_all(items):
        assert all(reply.status is Status.DONE for reply in replies)
        del replies
        most = max(most, sum(text() is not None for text in texts))
    assert len(texts) == 12
    assert most <= 1, "and that one is only held by the loop that made it"


def test_what_fails_in_the_middle_of_a_phase_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_what: object) -> None:
        raise MemoryError

    items = write_mixed(tmp_path)[:2]
    monkeypatch.setattr(local_vectors, "vectors_of_all", refused)
    for reply in answers(Processor(Settings()), [items]):
        assert (reply.status, reply.phase, reply.cause) == (Status.FAILED, PhaseName.CHUNK, Cause.TOO_LARGE)
        assert reply.clean is not None
        assert reply.chunk is reply.label is None
        assert is_sound(reply, PhaseName.CLASSIFY)
        assert not is_sound(msgspec.structs.replace(reply, phase=PhaseName.CLEAN), PhaseName.CLASSIFY)
    monkeypatch.setattr(steps, "pack", refused)
    for reply in answers(Processor(Settings()), [items]):
        assert (reply.status, reply.phase) == (Status.FAILED, PhaseName.CLEAN)
        assert reply.clean is reply.chunk is reply.label is None


def test_one_that_fails_late_keeps_what_it_had_and_harms_no_other(tmp_path: Path) -> None:
    class Failing(Step):
        phase = PhaseName.CHUNK

        def __init__(self, settings: Settings, allow: Allow) -> None:
            del settings, allow

        def make(self, document: InHand) -> None:
            if document.item.version == 2:
                raise RecursionError

    items = write_mixed(tmp_path)[:2] + write_mixed(tmp_path)[-4:-3]
    steps = [*STEPS[:3], Failing, *STEPS[3:]]
    replies = answers(Processor(Settings(), steps=steps, signs=True), [items])
    assert [reply.status for reply in replies] == [Status.DONE, Status.FAILED, Status.DONE]
    failed = replies[1]
    assert (failed.phase, failed.cause) == (PhaseName.CHUNK, Cause.CORRUPT)
    assert failed.clean is not None
    assert failed.label is None


def test_a_text_has_the_same_scores_whatever_is_beside_it() -> None:
    model = backend._learn(general(), 400)
    texts = [
        _PROSE * 3,
        "",
        "zzz qqq",
        "invoice total due",
        "def main(): return 1",
        _PROSE,
        "ein Rezept mit Eiern",
    ]
    words = [split_words(text) for text in texts]
    together = model.scores(texts, words)
    for at, text in enumerate(texts):
        assert np.array_equal(model.scores([text], [words[at]])[0], together[at])
        pair = [text, texts[at - 1]]
        assert np.array_equal(model.scores(pair, [words[at], words[at - 1]])[0], together[at])


def test_groups_hold_all_of_it_once() -> None:
    sizes = [1, 600_000, 2, 3, *[40_000] * 30, *[10] * 40, 499_999, 1]
    items = [WorkItem(number, b"/a", size) for number, size in enumerate(sizes)]
    cut = list(in_groups(items, 16, 500_000))
    assert list(itertools.chain.from_iterable(cut)) == items
    assert all(1 <= len(some) <= 16 for some in cut)
    assert all(len(some) == 1 or sum(item.size_bytes for item in some) <= 500_000 for some in cut)
    assert len(cut) < 12
    assert list(in_groups([], 16, 500_000)) == []
