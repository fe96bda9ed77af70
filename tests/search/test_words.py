"""What typed words find: their forms, their beginnings, what a misspelt one meant, and what is marked."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
import tantivy
from fabricated_store import Doc, Fabricator, add_payloads

from tui_scraper.engine.errors import StoreError
from tui_scraper.engine.models import PhaseName
from tui_scraper.engine.search import text_index, vocabulary
from tui_scraper.engine.search.asked import Condition, Word, in_words, read_query
from tui_scraper.engine.search.holders import Filter, Holder
from tui_scraper.engine.search.query import Search, search
from tui_scraper.engine.search.remarks import about_fields, about_labels
from tui_scraper.engine.search.terms import TOKENIZER, analyzer
from tui_scraper.engine.search.text_index import DamagedIndexError, OlderIndexError, TextIndex, schema
from tui_scraper.engine.search.vocabulary import Vocabulary, _differ_by_two
from tui_scraper.engine.searching import OLD_INDEX, find
from tui_scraper.engine.settings import Settings
from tui_scraper.engine.store.rollback import roll_back_to_phase


def paths(store: Fabricator, query: str) -> list[str]:
    return [hit.path for hit in search(store.directory, query)]


def told(store: Fabricator, query: str) -> tuple[list[str], list[str]]:
    with Search(store.directory) as reader:
        looked = reader.look(query)
    return [hit.path for hit in looked.hits], [str(one) for one in looked.replaced]


def remarks(store: Fabricator, query: str) -> list[str]:
    return list(find(store.directory, query, settings=Settings()).about_words)


def test_a_word_that_is_typed_again_counts_more(store: Fabricator) -> None:
    store.run([Doc(b"a", "a red apple, and so on"), Doc(b"b", "a green pear, and so on")])
    assert paths(store, "red pear red") == ["a", "b"]
    assert paths(store, "red pear pear") == ["b", "a"]


# Forms


@pytest.mark.parametrize(
    ("language", "typed", "written"),
    [
        ("en", "invoice", "Two invoices came."),
        ("en", "cities", "The city slept."),
        ("en", "taking", "Take it away."),
        ("de", "Rechnung", "Die Rechnungen sind offen."),
        ("de", "haus", "Die Häuser sind alt."),
        ("fr", "factures", "Une facture impayée."),
        ("es", "canciones", "La canción es larga."),
        ("ru", "письмо", "Мы получили письма."),
        ("it", "fattura", "Le fatture sono aperte."),
        ("sv", "faktura", "Fakturorna kom sent."),
    ],
)
def test_other_forms_of_a_word_are_found_in_the_language_of_the_document(
    store: Fabricator, language: str, typed: str, written: str
) -> None:
    store.run([Doc(b"a", written, language=language), Doc(b"b", "nothing to see", language=language)])
    assert paths(store, typed) == ["a"]


def test_a_word_as_it_was_typed_comes_before_its_other_forms(store: Fabricator) -> None:
    store.run(
        [Doc(b"a", "many printers here"), Doc(b"b", "many printer here"), Doc(b"c", "many prints here")]
    )
    assert paths(store, "printer") == ["b", "a"]
    assert paths(store, "printers") == ["a", "b"]


def test_quoted_words_are_found_just_as_they_stand(store: Fabricator) -> None:
    store.run([Doc(b"a", "two invoices of the printers"), Doc(b"b", "one invoice of the printer")])
    assert paths(store, '"invoices"') == ["a"]
    assert paths(store, '"invoice of the printer"') == ["b"]
    assert set(paths(store, "invoice printer -invoices")) == {"b"}


def test_forms_are_those_of_the_languages_that_documents_have(store: Fabricator) -> None:
    store.run([Doc(b"a", "Rechnungen liegen hier", language="en")])
    with Search(store.directory) as reader:
        assert [str(one) for one in reader.look("Rechnungs").replaced]  # English has no such form
    store.run([Doc(b"b", "Die Rechnungen sind offen", language="de")])
    with Search(store.directory) as reader:
        assert not reader.look("Rechnung").replaced


def test_words_that_say_nothing_do_not_count_beside_others(store: Fabricator) -> None:
    store.run([Doc(b"a", "how do I do it and how do I know"), Doc(b"b", "sorting a hash by its value")])
    assert paths(store, "how do I sort a hash?") == ["b"]
    assert paths(store, "how do I") == ["a"]


def test_titles_are_asked_by_a_field(store: Fabricator) -> None:
    store.run([Doc(b"a", "body", title="Annual reports"), Doc(b"b", "an annual report in the text")])
    assert paths(store, "title:report") == ["a"]
    assert paths(store, 'title:"annual reports"') == ["a"]
    assert paths(store, "annual -title:annual") == ["b"]


# Beginnings, misspellings


def test_a_star_finds_words_that_begin_so(store: Fabricator) -> None:
    store.run([Doc(b"a", "an invoice"), Doc(b"b", "they invoiced"), Doc(b"c", "an inventory")])
    assert set(paths(store, "invoi*")) == {"a", "b"}
    assert set(paths(store, "they -invoic*")) == set()
    assert paths(store, "zz*") == []


def test_a_misspelt_word_finds_what_was_meant_and_says_so(store: Fabricator) -> None:
    store.run([Doc(b"a", "we receive letters"), Doc(b"b", "she received it"), Doc(b"c", "accommodation")])
    assert told(store, "recieve") == (["a", "b"], ['Nothing has "recieve"; searched for "receive".'])
    assert told(store, "acomodation")[0] == ["c"]  # two letters off, in a long word
    assert told(store, "leters")[0] == ["a"]
    assert told(store, "accomodati")[0] == ["c"]  # and not typed to its end
    assert told(store, '"recieve"') == ([], ['Nothing has "recieve" just so; try it without the quotes.'])
    assert told(store, '"received letters"')[1] == [
        'Nothing has "received letters" just so; try it without the quotes.'
    ]
    assert told(store, '"receive letters"') == (["a"], [])
    assert told(store, "receive")[1] == []
    assert told(store, "qqqq") == ([], [])


def test_a_word_that_is_not_typed_to_its_end_is_found(store: Fabricator) -> None:
    store.run([Doc(b"a", "the zebra"), Doc(b"b", "a zebrafish")])
    found, notices = told(store, "zeb")
    assert set(found) == {"a", "b"}
    assert notices == ['Nothing has "zeb"; searched for "zebra", "zebrafish".']


def test_a_word_that_only_hidden_documents_have_is_one_that_nothing_has(store: Fabricator) -> None:
    store.run([Doc(b"a", "unicorns"), Doc(b"b", "we receive")])
    store.scan([Doc(b"c", "unicorm")])
    index = TextIndex(store.directory)
    store.index(index, store.process([Doc(b"c", "unicorm")]))
    index.close()
    store.scan([], gone=[b"c"])
    assert told(store, "unicorm") == (["a"], ['Nothing has "unicorm"; searched for "unicorns".']) or told(
        store, "unicorm"
    ) == ([], [])
    store.writer.call(roll_back_to_phase(PhaseName.CHUNK))
    assert told(store, "recieve") == ([], [])


def test_a_word_of_other_kinds_of_documents_is_not_one_that_nothing_has(store: Fabricator) -> None:
    store.run([Doc(b"a.html", "a zebra", media_type="text/html"), Doc(b"b", "the zebras", language="")])
    assert told(store, "zebra type:text/html") == (["a.html"], [])
    store.run([Doc(b"c.pdf", "one zebro", media_type="application/pdf")])
    assert told(store, "zebra type:pdf") == ([], [])


def test_a_number_that_nothing_has_does_not_become_another(store: Fabricator) -> None:
    store.run([Doc(b"a", "invoice 20240117 of ab12cde"), Doc(b"b", "more")])
    for number in ("20240118", "2024011", "202401", "ab12cdf", "ab12"):
        assert told(store, number) == ([], [])
    assert told(store, "20240117")[0] == told(store, "2024*")[0] == ["a"]


def test_a_very_long_word_is_not_corrected(store: Fabricator) -> None:
    store.run([Doc(b"a", "a" * 31 + " and " + "b" * 30)])
    assert told(store, "a" * 30 + "c") == ([], [])
    assert told(store, "b" * 29 + "c")[0] == ["a"]


def test_no_more_terms_are_walked_than_can_be_looked_at_in_a_moment(
    store: Fabricator, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = "abcdefghijklmnopqrst"
    words = [f"st{one}{two}wxyz" for one in letters for two in letters]
    store.run([Doc(b"a", " ".join(words))])
    monkeypatch.setattr(vocabulary, "_WALKED", 50)
    index, _analyze = text_index.open_for_reading(store.directory)
    seen: list[str] = []
    monkeypatch.setattr(vocabulary, "_differ_by_two", lambda term, _word: seen.append(term) or False)
    Vocabulary(index.searcher()).similar("st012345")
    assert 0 < len(seen) <= 50


def test_what_begins_so_is_left_out_however_many_words_do(store: Fabricator) -> None:
    letters = "abcdefghijkl"
    words = [f"invoi{one}{two}" for one in letters for two in letters]
    store.run(
        [Doc(f"{word}".encode(), f"plan {word}") for word in words] + [Doc("Größe".encode(), "plan größen")]
    )
    assert paths(store, "plan -invoi*") == ["Größe"]
    assert "Größe" not in paths(store, "plan -größ*")


def test_an_error_of_the_store_is_not_said_to_be_one_of_the_index(
    store: Fabricator, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.run([Doc(b"a", "the zebra"), Doc(b"b", "more")])

    def full(_self: Filter, _artifact: int) -> list[Holder]:
        raise apsw.CorruptError("database disk image is malformed")

    monkeypatch.setattr(Filter, "_look_up", full)
    with pytest.raises(StoreError) as caught:
        search(store.directory, "zebra")
    assert not isinstance(caught.value, DamagedIndexError)
    assert "index" not in str(caught.value)


def test_distances_are_told_apart() -> None:
    assert _differ_by_two("accommodation", "acomodation")
    assert _differ_by_two("abcdefgh", "badcefgh")
    assert not _differ_by_two("abcdefgh", "badcfegh")
    assert not _differ_by_two("accommodation", "acomodatio")


# Conditions


@pytest.fixture
def mixed(store: Fabricator) -> Fabricator:
    day = 86_400 * 10**9
    store.run(
        [
            Doc(
                b"mail/a.eml", "unicorn one", label="mail", media_type="message/rfc822", mtime_ns=19_000 * day
            ),
            Doc(b"b.pdf", "unicorn two", label="report", media_type="application/pdf", mtime_ns=19_700 * day),
            Doc(b"c.html", "unicorn drei", label="Letter", media_type="text/html", language="de"),
            Doc(b"d.txt", "unicorn four", label=None, language="", mtime_ns=0),
        ]
    )
    return store


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("unicorn type:pdf", "b.pdf"),
        ("unicorn type:pdf,mail", "b.pdf mail/a.eml"),
        ("unicorn type:pdf type:html", "b.pdf c.html"),
        ("unicorn -type:pdf", "c.html d.txt mail/a.eml"),
        ("unicorn type:text/", "c.html d.txt"),
        ("unicorn TYPE:.PDF", "b.pdf"),
        ("unicorn label:letter", "c.html"),
        ("unicorn -label:mail,report", "c.html d.txt"),
        ("unicorn label:re*", "b.pdf"),
        ("unicorn path:mail", "mail/a.eml"),
        ("unicorn -path:mail/", "b.pdf c.html d.txt"),
        ("unicorn path:*.html", "c.html"),
        ("unicorn date:2022", "mail/a.eml"),
        ("unicorn date:2022-01-08", "mail/a.eml"),
        ("unicorn modified:2022..2023", "b.pdf c.html mail/a.eml"),
        ("unicorn date:>2022 date:<2023-12-01", "c.html"),
        ("unicorn date:>=2023-12", "b.pdf"),
        ("unicorn date:..2022", "mail/a.eml"),
        ("unicorn language:de", "c.html"),
        ("unicorn -lang:en", "c.html d.txt"),
        ("type:pdf,html", "b.pdf c.html"),
        ("label:mail -type:pdf", "mail/a.eml"),
        ("unicorn type:nonsense", ""),
        ("-type:pdf", ""),
    ],
)
def test_fields_say_what_documents_must_be(mixed: Fabricator, query: str, found: str) -> None:
    assert sorted(paths(mixed, query)) == found.split()


def test_a_field_that_is_none_is_just_a_word(store: Fabricator) -> None:
    store.run(
        [Doc(b"a", "subject: unicorn"), Doc(b"b", "the date is soon"), Doc(b"c", "http://example.org/x")]
    )
    assert paths(store, "subject:unicorn") == ["a"]
    assert paths(store, "date:soon") == ["b"]
    assert paths(store, "date: soon") == ["b"]
    assert paths(store, "http://example.org/x") == ["c"]
    assert paths(store, '"date: soon"') == []
    assert paths(store, "type:.") == paths(store, "type:..") == []
    assert paths(store, "subject type:.") == ["a"]
    assert Condition("type", ("pdf",)) in read_query("type:.,pdf", analyzer()).conditions


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("date:yesterday report", '"date:yesterday" is no date (2024, 2024-03, 2024-03-17, >2024-01-15 or'),
        ("lable:report", '"lable:report" was searched for as words; did you mean "label:"?'),
        ("-report", "All of it is to be left out: type also what to look for."),
    ],
)
def test_what_cannot_be_asked_is_told(store: Fabricator, query: str, said: str) -> None:
    store.run([Doc(b"a", "the yesterday of a report")])
    (told,) = (one for one in remarks(store, query) if not one.startswith("Nothing has"))
    assert told.startswith(said)


def test_what_is_being_typed_is_not_judged_yet() -> None:
    for query in ("report date:2", "date:"):
        wanted = read_query(query, analyzer())
        assert about_fields(wanted, query) == ()
    wanted = read_query("date:2 report", analyzer())
    assert about_fields(wanted, "date:2 report") == about_fields(wanted) != ()
    wanted = read_query("report date:2", analyzer())
    assert len(about_fields(wanted)) == 1, "once it is meant so"


def test_colons_in_a_text_are_no_fields(store: Fabricator) -> None:
    store.run([Doc(b"a", "see http://example.org and data:text at 10:30")])
    assert remarks(store, "http://example.org data:text 10:30") == []


def test_labels_that_no_document_can_have_are_told() -> None:
    there = ["report", "legal"]
    meant = 'No document here can have the label "{}"; did you mean "report"?'
    assert about_labels(read_query("label:Report,reprot x", analyzer()), None, there) == (
        meant.format("reprot"),
    )
    assert about_labels(read_query("x", analyzer()), "Report", there) == (meant.format("Report"),)
    assert about_labels(read_query("x", analyzer()), "report", there) == ()
    (said,) = about_labels(read_query("label:qqq", analyzer()), None, there)
    assert said == 'No document here can have the label "qqq"; there are report, legal.'


def test_a_language_that_nothing_is_in_is_told(store: Fabricator) -> None:
    docs = [Doc(b"a", "the plan", language="en"), Doc(b"b", "a plan", language="en")]
    store.run([*docs, Doc(b"c", "der Plan, the plan", language="de")])
    told = 'Nothing here is in the language "german"; there are en, de.'
    assert remarks(store, "plan language:german") == [told]
    assert remarks(store, "plan language:de") == []
    assert remarks(store, "plan language:german,DE") == []
    assert remarks(store, "plan -language:german") == []
    assert remarks(store, "fnord language:de") == []
    assert remarks(store, "plan language:german path:nowhere") == [told]


def test_a_rare_kind_among_many_hits_is_found(store: Fabricator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_scraper.engine.search.query._TRIED", 50)
    many = [Doc(f"many/{number}".encode(), "unicorn " * 5 + str(number)) for number in range(200)]
    store.run([*many, Doc(b"rare", "one unicorn among a lot of other words", media_type="application/pdf")])
    assert paths(store, "unicorn type:pdf") == ["rare"]
    assert paths(store, "unicorn path:rar") == ["rare"]
    assert paths(store, "unicorn type:pdf label:mail") == []
    assert len(paths(store, "unicorn date:>2020")) == 10


def test_what_is_typed_is_read() -> None:
    wanted = read_query(
        'Unpaid "red wine" title:report -label:"old mail" type:pdf,html foo:bar inv*', analyzer()
    )
    assert wanted.words == (
        Word(("unpaid",)),
        Word(("red", "wine"), exact=True),
        Word(("report",), title=True),
        Word(("foo",)),
        Word(("bar",)),
        Word(("inv",), begins=True),
    )
    assert wanted.conditions == (
        Condition("label", ("old mail",), excluded=True),
        Condition("type", ("pdf", "html")),
    )
    words = in_words('Unpaid "red wine" title:report -label:x type:pdf date:2024 inv* -no')
    assert words == "Unpaid red wine report inv"
    assert in_words("date:soon -date:later type:. label:mail") == "date soon type ."


# Marks


def test_what_was_found_is_marked_where_it_stands(store: Fabricator) -> None:
    store.run([Doc(b"a", "We received\n\n\x1b[1m two  invoices. " + "Filler words. " * 30, title="x")])
    (hit,) = search(store.directory, "recieved invoice")
    for text, marks in ((hit.snippet, hit.snippet_marks), (hit.text, hit.text_marks)):
        assert [text[start:end] for start, end in marks] == ["received", "invoices"]
    store.run([Doc(b"b", "私は東京都に住んでいます。")])
    (hit,) = search(store.directory, "東京")
    assert [hit.snippet[start:end] for start, end in hit.snippet_marks] == ["東京"]


# Indexes of older versions


def older(directory: Path, store: Fabricator, docs: list[Doc]) -> None:
    """Fill the index as before there were languages."""
    fields = schema(languages=False)
    (directory / "index").mkdir()
    index = tantivy.Index(fields, str(directory / "index"))
    index.register_tokenizer(TOKENIZER, analyzer())
    writer = index.writer(15_000_000, 1)
    store.scan(docs)
    finished = store.process(docs)
    for item, doc in zip(finished, docs, strict=True):
        document = tantivy.Document()
        document.add_integer("artifact", item.chunks or 0)
        document.add_integer("ordinal", 0)
        document.add_text("text", doc.text)
        writer.add_document(document)
    writer.commit()
    store.record(finished)


def test_an_index_of_an_older_version_still_finds_words_and_says_what_it_lacks(store: Fabricator) -> None:
    older(store.directory, store, [Doc(b"a", "two invoices")])
    answer = find(store.directory, "invoices", settings=Settings())
    assert [hit.path for hit in answer.hits] == ["a"]
    assert answer.about_words == (OLD_INDEX,)
    assert find(store.directory, "invoices language:en", settings=Settings()).hits == []

    index = TextIndex(store.directory)
    assert index.fresh
    finished = store.process([Doc(b"a", "two invoices")])
    for item in finished:
        add_payloads(index, item.chunks, item.clean_payload, item.chunk_payload)
    index.commit()
    index.close()


def test_an_index_whose_words_were_cut_otherwise_cannot_be_read(store: Fabricator) -> None:
    store.run([Doc(b"a", "two invoices")])
    meta = store.directory / "index" / "meta.json"
    meta.write_text(meta.read_text().replace(f'"{TOKENIZER}"', '"words-0"'))
    with pytest.raises(OlderIndexError, match="another version"):
        text_index.open_for_reading(store.directory)
