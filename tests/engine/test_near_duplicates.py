"""Near-duplicates: one of them is asked about, the others take its label over, in whatever order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.engine.running import rows, run_once
from tests.engine.test_model_labels import PRICED, audit
from tests.llm.answers import label_of
from tests.llm.model_server import KEY, ModelServer, serving
from tui_scraper.engine.duplicates.signature import signature
from tui_scraper.engine.labels.taxonomy import general
from tui_scraper.engine.llm.near import group
from tui_scraper.engine.settings import ALIKE

WORDS = [f"word{number}" for number in range(500)]
NAMES = [label.name for label in general().labels]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def text(rng: random.Random) -> list[str]:
    return [rng.choice(WORDS) for _word in range(200)]


def write_families(folder: Path, families: int, members: int, seed: int = 1) -> dict[str, int]:
    """Families of texts that differ in a word or two. Returns path -> family."""
    rng = random.Random(seed)
    folder.mkdir()
    found = {}
    for family in range(families):
        words = text(rng)
        for member in range(members):
            mine = list(words)
            if member:
                mine[5 * member] = f"other{family}x{member}"  # near the beginning: a digest has it
            name = f"{family}-{member}.txt"
            (folder / name).write_text(" ".join(mine))
            found[name] = family
    return found


def settings(server: ModelServer, **more: object) -> dict[str, dict[str, object]]:
    chosen = {"backend": "openai", "base_url": server.url, "near_duplicates": True, **PRICED, **more}
    return {"classify": chosen}


def test_one_of_a_family_is_asked_about_and_the_others_have_its_label(tmp_path: Path) -> None:
    families = write_families(tmp_path / "source", 8, 5)
    with serving() as server:
        run_once(tmp_path / "source", tmp_path / "w", settings=settings(server))
    found = rows(tmp_path / "w")
    assert audit(tmp_path / "w").labels.asked == 8
    for family in range(8):
        mine = [found[path] for path in families if families[path] == family]
        assert len({row["label"] for row in mine}) == 1
        assert sorted(row["method"] for row in mine) == ["duplicate"] * 4 + ["openai"]
        [asked] = [row for row in mine if row["method"] == "openai"]
        assert all(row["confidence"] < asked["confidence"] for row in mine if row["method"] == "duplicate")
        assert all(row["cost_usd"] == 0 for row in mine if row["method"] == "duplicate")


def test_who_is_asked_about_does_not_depend_on_the_order(tmp_path: Path) -> None:
    families = write_families(tmp_path / "source", 6, 4)
    (tmp_path / "again").mkdir()
    for number, name in enumerate(sorted(families, reverse=True)):
        (tmp_path / "again" / f"{number:03}.txt").write_bytes((tmp_path / "source" / name).read_bytes())
    asked = []
    with serving() as server:
        for name in ("source", "again"):
            run_once(tmp_path / name, tmp_path / f"w-{name}", settings=settings(server))
            found = rows(tmp_path / f"w-{name}").values()
            asked.append({row["text"]: row["label"] for row in found if row["method"] == "openai"})
    assert asked[0] == asked[1]


def test_off_everyone_is_asked_about(tmp_path: Path) -> None:
    write_families(tmp_path / "source", 3, 4)
    with serving() as server:
        run_once(tmp_path / "source", tmp_path / "w", settings=settings(server, near_duplicates=False))
    assert {row["method"] for row in rows(tmp_path / "w").values()} == {"openai"}


def test_a_later_copy_takes_over_the_label_that_is_there(tmp_path: Path) -> None:
    write_families(tmp_path / "source", 3, 1)
    with serving() as server:
        run_once(tmp_path / "source", tmp_path / "w", settings=settings(server))
        first = (tmp_path / "source" / "1-0.txt").read_text()
        (tmp_path / "source" / "later.txt").write_text(f"more {first}")
        before = len(server.records)
        run_once(tmp_path / "source", tmp_path / "w", settings=settings(server))
        assert len(server.records) == before
    found = rows(tmp_path / "w")
    assert audit(tmp_path / "w").proven
    assert found["later.txt"]["method"] == "duplicate"
    assert found["later.txt"]["label"] == found["1-0.txt"]["label"]


def test_where_the_one_that_was_asked_about_has_no_label_the_others_are_asked_about(tmp_path: Path) -> None:
    write_families(tmp_path / "source", 1, 3)
    with serving(decisions=False, script=["good"] + ["alien_label"] * 3) as server:
        run_once(tmp_path / "source", tmp_path / "w", settings=settings(server))
    methods = sorted(row["method"] for row in rows(tmp_path / "w").values())
    assert methods.count("local") == 1
    assert "openai" in methods


def test_short_texts_have_no_kin(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for number in range(5):
        (tmp_path / "source" / f"{number}.txt").write_text(f"invoice number {number}")
    with serving() as server:
        run_once(tmp_path / "source", tmp_path / "w", settings=settings(server))
    for row in rows(tmp_path / "w").values():
        assert row["method"] == "openai"
        assert row["label"] == label_of(row["text"].strip(), NAMES)


def test_groups_are_those_of_the_texts() -> None:
    rng = random.Random(3)
    texts, family = [], []
    for number in range(40):
        words = text(rng)
        for _member in range(rng.randrange(1, 6)):
            mine = list(words)
            mine[rng.randrange(200)] = rng.choice(WORDS)
            texts.append(" ".join(mine))
            family.append(number)
    digests = [number.to_bytes(16, "big") for number in range(len(texts))]
    found = group(digests, [signature(one) for one in texts], frozenset())
    right = sum(
        family[int.from_bytes(one)] == family[int.from_bytes(kin.digest)] for one, kin in found.items()
    )
    assert right == len(found), "strangers were taken for kin"
    assert len(found) >= 0.9 * (len(texts) - 40)
    assert all(kin.similarity >= ALIKE and kin.digest not in found for kin in found.values())


def test_those_with_a_label_come_first_and_are_nobodys_kin() -> None:
    rng = random.Random(4)
    words = text(rng)
    signatures = [signature(" ".join([*words, f"end{number}"])) for number in range(3)]
    digests = [bytes([number] * 16) for number in range(3)]
    found = group(digests, signatures, frozenset({digests[2]}))
    assert {kin.digest for kin in found.values()} == {digests[2]}
    assert set(found) == {digests[0], digests[1]}
