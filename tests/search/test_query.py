from __future__ import annotations

from pathlib import Path

import pytest
from fabricated_store import Doc, Fabricator
from hypothesis import given
from hypothesis import strategies as st

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.search.asked import read_query
from tui_scraper.engine.search.query import Search, search
from tui_scraper.engine.search.snippet import snippet
from tui_scraper.engine.search.terms import analyzer
from tui_scraper.engine.search.text_index import TextIndex
from tui_scraper.engine.store.checkpoints import take_checkpoint
from tui_scraper.engine.store.rollback import roll_back_to_checkpoint, roll_back_to_phase


def paths(store: Fabricator, query: str, **filters: str) -> list[str]:
    return [hit.path for hit in search(store.directory, query, **filters)]  # type: ignore[arg-type]


def test_a_hit_says_where_it_is_in_the_clean_text(store: Fabricator) -> None:
    text = "Filler sentence here. " * 30 + "The zeppelin landed. " + "More filler words. " * 30
    store.run([Doc(b"air/ships.txt", text, title="Airships", label="history")])
    (hit,) = search(store.directory, "ZEPPELIN")
    assert (hit.path, hit.title, hit.label, hit.chunk) == ("air/ships.txt", "Airships", "history", 1)
    assert "zeppelin" in text[hit.start : hit.end]
    assert "The zeppelin landed." in hit.snippet
    assert len(hit.snippet) <= 202
    assert hit.score > 0


def test_a_chunk_with_all_words_comes_first_and_need_not_have_them(store: Fabricator) -> None:
    store.run([Doc(b"1", "apples and pears"), Doc(b"2", "apples"), Doc(b"3", "pears and plums")])
    assert paths(store, "apples pears")[0] == "1"
    assert set(paths(store, "apples plums")) == {"1", "2", "3"}
    assert paths(store, "nothing of it") == []


def test_phrases_and_exclusions(store: Fabricator) -> None:
    store.run([Doc(b"1", "red wine and white bread"), Doc(b"2", "white wine and red bread")])
    assert paths(store, '"white wine"') == ["2"]
    assert paths(store, "“red wine”") == ["1"]
    assert paths(store, "bread -wine") == []
    assert paths(store, 'wine -"white wine"') == ["1"]
    assert paths(store, "-wine") == []
    assert set(paths(store, "--wine")) == {"1", "2"}


def test_titles_and_headings_are_searched(store: Fabricator) -> None:
    store.run([Doc(b"1", "body " * 200, title="Sesquipedalian"), Doc(b"2", "other text")])
    assert set(paths(store, "sesquipedalian")) == {"1"}
    assert set(paths(store, "one part")) == {"1"}  # heading of later chunks


def test_accents_case_and_scripts_without_spaces(store: Fabricator) -> None:
    store.run(
        [
            Doc(b"cafe", "Le Café de Flore"),
            Doc(b"tokyo", "私は東京都に住んでいます。"),
            Doc(b"seoul", "학교에서 공부합니다"),
            Doc(b"thai", "ภาษาไทยสวยงาม"),
            Doc(b"long", "Х" + "о" * 60 + " слово " + "z" * 500),
            Doc(b"cafe-nfd", "CAFE\u0301 crème"),
        ]
    )
    assert paths(store, "cafe flore")[0] == "cafe"
    assert paths(store, "cafe\u0301 FLORE")[0] == "cafe"
    assert paths(store, "東京") == ["tokyo"]
    assert paths(store, "京東") == []
    assert paths(store, "학교") == ["seoul"]
    assert paths(store, "ไทย") == ["thai"]
    assert paths(store, "х" + "о" * 60) == ["long"]
    assert "東京都" in search(store.directory, "東京")[0].snippet


def test_only_what_the_head_has_is_found(store: Fabricator) -> None:
    docs = [Doc(b"a", "unicorn one"), Doc(b"b", "unicorn two")]
    store.run(docs)
    checkpoint = store.writer.call(take_checkpoint(PhaseName.INDEX))
    assert paths(store, "unicorn") == ["a", "b"]
    store.writer.call(roll_back_to_phase(PhaseName.CHUNK))
    assert paths(store, "unicorn") == []
    store.writer.call(roll_back_to_checkpoint(checkpoint))
    assert paths(store, "unicorn") == ["a", "b"]


def test_other_settings_hide_what_was_indexed_with_the_old_ones(store: Fabricator) -> None:
    docs = [Doc(b"a", "unicorn one")]
    store.run(docs)
    store.configure(chunk="smaller")
    assert paths(store, "unicorn") == []
    index = TextIndex(store.directory)
    store.index(index, store.process(docs))
    index.close()
    assert paths(store, "unicorn") == ["a"]
    assert len(search(store.directory, "unicorn", k=100)) == 1


def test_a_document_that_is_not_indexed_yet_is_not_found(store: Fabricator) -> None:
    index = TextIndex(store.directory)
    store.run([Doc(b"a", "unicorn one")], index)
    more = [Doc(b"b", "unicorn one")]  # the same text: its chunks are in the index already
    store.scan(more)
    finished = store.process(more)
    assert paths(store, "unicorn") == ["a"]
    store.record(finished)
    assert paths(store, "unicorn") == ["a", "b"]
    index.close()


def test_a_vanished_file_disappears(store: Fabricator) -> None:
    store.run([Doc(b"a", "unicorn one"), Doc(b"b", "unicorn two")])
    store.scan([], gone=[b"a"])
    assert paths(store, "unicorn") == ["b"]
    assert paths(store, "unicorn", path="a") == []


def test_copies_appear_only_where_places_are_left(store: Fabricator) -> None:
    copies = [Doc(f"copy{number}".encode(), "unicorn tale") for number in range(30)]
    others = [
        Doc(f"other{number}".encode(), f"unicorn tale long and winding {number}") for number in range(5)
    ]
    store.run([*reversed(copies), *others])
    found = [hit.path for hit in search(store.directory, "unicorn tale", k=6)]
    assert found[0] == "copy0"
    assert sorted(found) == ["copy0", *(f"other{number}" for number in range(5))]
    more = [hit.path for hit in search(store.directory, "unicorn tale", k=8)]
    assert [path for path in more if path.startswith("copy")] == ["copy0", "copy1", "copy10"]
    assert len(search(store.directory, "unicorn tale", k=100)) == 35


def test_chunks_indexed_twice_are_one_hit(store: Fabricator) -> None:
    store.scan([Doc(b"a", "unicorn")])
    finished = store.process([Doc(b"a", "unicorn")])
    index = TextIndex(store.directory)
    for _time in range(2):
        index.add(finished[0].chunks or 0, "", ["unicorn"], [""], replace=False)
    index.commit()
    index.close()
    store.record(finished)
    assert len(search(store.directory, "unicorn")) == 1


def test_filters_by_label_and_path(store: Fabricator) -> None:
    store.run(
        [
            Doc(b"mail/1.txt", "unicorn a", label="mail"),
            Doc(b"mail/2.md", "unicorn b", label="report"),
            Doc(b"notes/1.txt", "unicorn c", label="mail"),
            Doc(b"caf\xe9/1.txt", "unicorn d", label=None),
        ]
    )
    assert sorted(paths(store, "unicorn", label="mail")) == ["mail/1.txt", "notes/1.txt"]
    assert paths(store, "unicorn", label="Mail") == []
    assert sorted(paths(store, "unicorn", path="mail/")) == ["mail/1.txt", "mail/2.md"]
    assert sorted(paths(store, "unicorn", path="./mail")) == ["mail/1.txt", "mail/2.md"]
    assert sorted(paths(store, "unicorn", path="*.txt", label="mail")) == ["mail/1.txt", "notes/1.txt"]
    assert paths(store, "unicorn", path="m*.md") == ["mail/2.md"]
    assert paths(store, "unicorn", path="nowhere/") == []
    assert paths(store, "unicorn", path="caf\\xe9") == ["caf\\xe9/1.txt"]  # as it is shown
    assert paths(store, "unicorn", path="caf\udce9/*") == ["caf\\xe9/1.txt"]  # as the system gives it
    assert paths(store, "unicorn", path="") != []


def test_a_filter_that_few_pass_finds_them_behind_many_others(store: Fabricator) -> None:
    many = [Doc(f"many/{number}".encode(), "unicorn " * 5 + str(number)) for number in range(300)]
    store.run([*many, Doc(b"rare/1", "one unicorn among a lot of other words that dilute it")])
    assert paths(store, "unicorn", path="rare") == ["rare/1"]
    assert paths(store, "unicorn", path="*are/1") == ["rare/1"]
    store.scan([])  # another scan, nothing new
    assert paths(store, "unicorn", path="rare") == ["rare/1"]


def test_names_and_texts_from_outside_are_harmless(store: Fabricator) -> None:
    store.run([Doc(b"evil\n\x1b]52;c;AA\x07.txt", "unicorn \x1b[31m \u202e text", title="\x1b[2J title")])
    (hit,) = search(store.directory, "unicorn")
    shown = hit.path + hit.title + hit.snippet
    assert not any(ord(char) < 32 or char == "\u202e" for char in shown)


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        '"',
        '""',
        "-",
        '-"',
        "*",
        "title:",
        "a AND (b OR",
        "[a TO b]",
        "/re(/",
        "a^b~2",
        "\x00",
        "\ud800",
        "''",
        "title:-",
        "path:",
        "date:yesterday",
        "type:*",
        "-label:",
        'label:"',
        "language:,",
        "*invoi*",
        "я" * 99,
        "q" * 198,
        "東京",
        "１２３",
        "x\u0301\u0345ǅⅷ",
    ],
)
def test_nothing_that_is_typed_is_an_error(store: Fabricator, query: str) -> None:
    store.run([Doc(b"a", "unicorn")])
    search(store.directory, query)
    search(store.directory, query + " unicorn", label=query, path=query)
    search(store.directory, f"unicorn -{query}*")


@given(st.text(alphabet=st.characters(codec=None), max_size=40))
def test_any_text_can_be_read_as_a_query(text: str) -> None:
    wanted = read_query(text, analyzer())
    assert all(wanted.words)


def test_a_very_long_query_is_cut(store: Fabricator) -> None:
    store.run([Doc(b"a", "unicorn")])
    assert paths(store, "unicorn " + "word " * 5000) == ["a"]


def test_results_come_in_the_same_order_however_they_were_written(tmp_path: Path) -> None:
    docs = [Doc(f"{number:02}".encode(), "same words here", content=bytes([number])) for number in range(12)]
    docs += [Doc(f"x{number:02}".encode(), f"same words {number}") for number in range(12)]
    found = []
    for name, order in (("one", docs), ("two", docs[::-1])):
        store = Fabricator(tmp_path / name)
        store.run(order)
        found.append(search(store.directory, "same words", k=9))
        store.close()
    assert found[0] == found[1]


def test_an_open_search_sees_what_was_committed_since(store: Fabricator) -> None:
    index = TextIndex(store.directory)
    store.run([Doc(b"a", "unicorn one")], index)
    with Search(store.directory) as reader:
        assert [hit.path for hit in reader.find("unicorn")] == ["a"]
        store.run([Doc(b"b", "unicorn two")], index)
        assert [hit.path for hit in reader.find("unicorn")] == ["a", "b"]
        assert reader.find("unicorn", k=0) == []
        index.close()


def test_a_workspace_without_results_gives_no_hits(store: Fabricator) -> None:
    assert search(store.directory, "anything") == []


def test_a_folder_that_is_no_workspace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        search(tmp_path, "anything")


def test_a_snippet_shows_the_place_with_the_most_terms() -> None:
    analyze = analyzer().analyze
    text = "alpha " + "x " * 300 + "alpha and beta together " + "y " * 300
    shown = snippet(text, frozenset({"alpha", "beta"}), analyze)
    assert "alpha and beta together" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert snippet("short alpha\ntext", frozenset({"alpha"}), analyze) == "short alpha text"
    assert snippet("", frozenset({"alpha"}), analyze) == ""
    assert len(snippet("w" * 5000, frozenset({"alpha"}), analyze)) <= 202
