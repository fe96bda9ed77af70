"""XML from strangers: nothing is opened, expanded or recursed into, and small mistakes are forgiven."""

from __future__ import annotations

import contextlib
import io
import time

import pytest

from tui_scraper.engine.errors import DocumentError
from tui_scraper.engine.extract.xml import events as module
from tui_scraper.engine.extract.xml.events import END, START, TEXT, DamagedXmlError, xml_events
from tui_scraper.engine.models import Cause


def events(data: bytes | str, **settings: object) -> list[tuple[str, str]]:
    raw = data.encode() if isinstance(data, str) else data
    return [(kind, value) for kind, value, _ in xml_events(raw, "test", **settings)]  # type: ignore[arg-type]


def text(data: bytes | str) -> str:
    return "".join(value for kind, value in events(data) if kind == TEXT)


def before_damage(data: bytes) -> tuple[str, DocumentError]:
    pieces = []
    try:
        for kind, value, _ in xml_events(data, "test"):
            if kind == TEXT:
                pieces.append(value)
    except DocumentError as error:
        return "".join(pieces), error
    raise AssertionError("no error")


def test_elements_attributes_and_text_come_in_order() -> None:
    found = list(xml_events(b'<a x="1">b<c/>d &amp; &#101;<![CDATA[<f>]]></a>', "test"))
    assert found[0] == (START, "a", {"x": "1"})
    assert found[2:4] == [(START, "c", {}), (END, "c", {})]
    assert "".join(value for kind, value, _ in found if kind == TEXT) == "bd & e<f>"
    assert found[-1] == (END, "a", {})


def test_a_stream_gives_the_same_events_as_bytes() -> None:
    data = b"<r>" + b'<p n="1">words and <b>more</b> words</p>' * 5_000 + b"</r>"
    assert list(xml_events(io.BytesIO(data), "test")) == list(xml_events(data, "test"))


@pytest.mark.parametrize(
    "data",
    [
        '<a xmlns:text="urn:t"><text:p text:x="1"/></a>',
        '<a xmlns:ns0="urn:t"><ns0:p ns0:x="1"/></a>',
        '<a><text:p xmlns:text="urn:t" text:x="1"/></a>',
        '<a><b xmlns:q="urn:other"><q:p xmlns:q="urn:t" q:x="1"/></b></a>',
        '<a><text:p text:x="1"/></a>',
    ],
)
def test_names_have_the_prefix_that_the_reader_asks_for(data: str) -> None:
    found = [
        attributes
        for kind, name, attributes in xml_events(data.encode(), "test", prefixes={"urn:t": "text"})
        if (kind, name) == (START, "text:p")
    ]
    assert [attributes.get("text:x") for attributes in found] == ["1"]


def test_a_default_namespace_names_elements_and_not_attributes() -> None:
    data = b'<p xmlns="urn:t" x="1"/>'
    (start, end) = list(xml_events(data, "test", prefixes={"urn:t": "text"}))
    assert start[:2] == (START, "text:p")
    assert start[2]["x"] == "1"
    assert end[:2] == (END, "text:p")


def test_a_prefix_ends_with_the_element_that_declares_it() -> None:
    data = '<a:x xmlns:a="urn:t"><a:y xmlns:a="urn:u"/><a:z/></a:x>'
    names = [name for kind, name in events(data, prefixes={"urn:t": "t", "urn:u": "u"}) if kind == START]
    assert names == ["t:x", "u:y", "t:z"]


def test_named_entities_are_those_of_html_or_nothing() -> None:
    expected = "a\u00a0b\u2014c"
    assert text("<a>a&nbsp;b&mdash;c&nonsense;</a>") == expected
    assert text('<!DOCTYPE a PUBLIC "x" "http://x/y.dtd"><a>a&nbsp;b&mdash;c&nonsense;</a>') == expected
    assert text('<?xml version="1.0"?><!DOCTYPE a><a>a&nbsp;b&mdash;c&nonsense;</a>') == expected


def test_what_a_dtd_declares_is_not_put_into_the_text() -> None:
    declared = '<!ENTITY own "own"><!ENTITY out SYSTEM "file:///etc/passwd"><!ENTITY % p SYSTEM "p.dtd"> %p;'
    assert text(f"<!DOCTYPE a [{declared}]><a>[&own;][&out;]</a>") == "[][]"


def test_entities_that_expand_into_one_another_expand_into_nothing() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE a [<!ENTITY l0 "lol">{laughs}]>'
    began = time.process_time()
    assert text(f"{bomb}<a>x&l11;y</a>") == "xy"
    with pytest.raises(DocumentError):
        events(f'{bomb}<a b="&l11;"/>')
    parameters = '<!ENTITY % a "<!--x-->"><!ENTITY % b "&#37;a;&#37;a;">%b;'
    with pytest.raises(DocumentError, match="expand into one another"):
        events(f"<!DOCTYPE a [{parameters}]><a/>")
    assert time.process_time() - began < 10


def test_an_old_expat_reads_no_document_whose_entities_could_multiply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LIMITS_EXPANSION", False)
    assert text('<!DOCTYPE a [<!ENTITY b "x">]><a>y</a>') == "y"
    with pytest.raises(DocumentError, match="expand into one another"):
        events('<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a/>')


def test_depth_is_limited_and_costs_nothing() -> None:
    with pytest.raises(DocumentError, match="100 levels") as failed:
        events("<a>" * 1_000_000)
    assert failed.value.cause is Cause.TOO_LARGE
    assert len(events("<a>" * 100 + "</a>" * 100)) == 200


def test_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_XML_ELEMENTS", 1_000)
    monkeypatch.setattr(module, "MAX_XML_NAMES", 500)
    monkeypatch.setattr(module, "MAX_ENTRY_BYTES", 1_000_000)
    for data in (
        b"<a>" + b"<b/>" * 1_000 + b"</a>",
        b"<a>" + b"".join(b"<b%d/>" % n for n in range(600)) + b"</a>",
        b"<a>" + b"x" * 1_000_000 + b"</a>",
    ):
        with pytest.raises(DocumentError, match="more XML than") as failed:
            events(data)
        assert failed.value.cause is Cause.TOO_LARGE


REPEATED = {
    "comment": ("<!--", "x", "-->"),
    "instruction": ("<?x ", "?", "?>"),
    "attribute": ('<b c="', "x", '"/>'),
    "section": ("<![CDATA[", "]", "]]>"),
    "references": ("", "&amp;", ""),
    "declarations of prefixes": ("", '<b xmlns:t="urn:u"/>', ""),
    "document types": ("", "<!DOCTYPE", ""),
}


@pytest.mark.parametrize("what", REPEATED)
def test_time_is_linear_whatever_the_document_repeats(what: str) -> None:
    before, token, after = REPEATED[what]
    data = f"<a>{before}{token * (4_000_000 // len(token))}{after}</a>".encode()
    began = time.process_time()
    with contextlib.suppress(DamagedXmlError):
        for _ in xml_events(data, "test", prefixes={"urn:t": "t", "urn:u": "u"}):
            pass
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", ""),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"),
        ("windows-1251", "windows-1251"),
        ("koi8-r", "KOI8-R"),
        ("utf-8", "utf-16"),
        ("utf-8", "nonsense"),
    ],
)
def test_the_encoding_is_what_the_bytes_say(encoding: str, declared: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    words = "Съешь же ещё этих мягких французских булок"
    assert text(f"{declaration}<a>{words}</a>".encode(encoding)) == words


def test_encodings_of_several_bytes_are_read() -> None:
    assert text('<?xml version="1.0" encoding="gbk"?><a>中文的书</a>'.encode("gbk")) == "中文的书"
    assert (
        text('<?xml version="1.0" encoding="shift_jis"?><a>日本語の本</a>'.encode("shift_jis"))
        == "日本語の本"
    )


def test_small_mistakes_are_forgiven() -> None:
    assert text('\n  <?xml version="1.0"?><a>x</a>') == "x"
    assert text(b"\xef\xbb\xbf\r\n<a>x</a>") == "x"
    assert text(b"<a>x\x00\x0by\x1f</a>") == "xy"
    assert text('<?xml version="1.1"?><a>x</a>') == "x"


def test_damage_comes_after_what_could_be_read() -> None:
    for data in (b"<a>good<b>words", b"<a>good<b>words</a>", b"<a>good<b>words</b> & </a>"):
        found, error = before_damage(data)
        assert found.startswith("goodwords")
        assert isinstance(error, DamagedXmlError)
        assert error.cause is Cause.CORRUPT
    assert before_damage(b"")[0] == before_damage(b"no XML")[0] == ""
