from __future__ import annotations

import json
import time

import pytest

from tests.extract.files import read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_whatever_their_delimiter(delimiter: str) -> None:
    text = f'name{delimiter}size\r\n"a{delimiter} b"{delimiter}1\r\n\r\nc{delimiter}\r\n'
    expected = text.splitlines()[1].split('"')[1].replace("|", "\\|").replace("\t", " ")
    expected = " ".join(expected.split()) if delimiter == "\t" else expected
    assert read(text, "a.csv").text == f"| name | size |\n| --- | --- |\n| {expected} | 1 |\n| c |  |"


def test_quoted_cells_may_hold_line_ends_and_quotes() -> None:
    assert read('a,b\n"x\ny","say ""hi"""\n', "a.csv").text.endswith('| x y | say "hi" |')


def test_one_stray_quote_does_not_swallow_the_file() -> None:
    assert read('a,b\n5" pipe,1\nc,2\n', "a.csv").text.count("\n") == 3


def test_a_csv_without_delimiters_stays_text() -> None:
    assert read("just\nlines\n", "a.csv").text == "just\nlines"


def test_tsv() -> None:
    assert read("a\tb, c\n1\t2\n", "a.tsv").text == "| a | b, c |\n| --- | --- |\n| 1 | 2 |"


def test_a_long_table_is_cut_between_rows() -> None:
    result = read("a,b\n" + "word,12\n" * 500, "a.csv", max_chars=1_000)
    assert result.truncated
    assert result.text.endswith("|")
    assert len(result.text) <= 1_000


def test_json_as_keys_and_values_with_numbers_as_written() -> None:
    text = (
        '{"title": "T", "n": 1.10, "big": 123456789012345678901234567890, "e": 1E5, "ok": true, "no": null,'
    )
    text += ' "list": ["a", {"b": "c"}], "lines": "x\\ny", "empty": {}}'
    result = read(text, "a.json")
    assert result.text == (
        "title: T\nn: 1.10\nbig: 123456789012345678901234567890\ne: 1E5\nok: true\nno: null\n"
        "list:\n  - a\n  - b: c\nlines: x\n  y\nempty:"
    )
    assert result.title == "T"


def test_lists_of_records_are_set_apart() -> None:
    text = read('[{"a": 1, "b": {"c": 2}}, {"a": [[3, 4], []]}]', "a.json").text
    assert text == "- a: 1\n  b:\n    c: 2\n\n- a:\n    - - 3\n      - 4\n    -"


def test_invalid_json_is_kept_as_text() -> None:
    assert read('{"a": 1, b}', "a.json").text == '{"a": 1, b}'


@pytest.mark.parametrize("depth", [150, 1_500, 100_000])
def test_deep_json_never_recurses(depth: int) -> None:
    start = time.process_time()
    text = read("[" * depth + '"inner"' + "]" * depth, "a.json").text
    assert "inner" in text
    assert time.process_time() - start < 20


def test_json_lines() -> None:
    text = read('{"a": 1}\n\nbroken {\n{"b": [2]}\n', "a.jsonl").text
    assert text == "a: 1\n\nbroken {\n\nb:\n  - 2"


def test_json_is_cut_at_the_limit() -> None:
    result = read(json.dumps([{"k": "value " * 5}] * 300), "a.json", max_chars=800)
    assert result.truncated
    assert len(result.text) <= 800


def test_excel_says_its_delimiter_on_the_first_line() -> None:
    assert read("sep=;\r\na;b\r\n1,5;2\r\n", "a.csv").text == "| a | b |\n| --- | --- |\n| 1,5 | 2 |"


def test_decimal_commas_are_no_delimiters() -> None:
    assert read("a;b;c\n1,5;2,5;3\n1,1;2,2;3\n", "a.csv").text.splitlines()[2] == "| 1,5 | 2,5 | 3 |"


def test_lines_above_a_table_stand_above_it() -> None:
    text = read("Report of May\n# made by x\nid,name,size\n1,a,2\n", "a.csv").text
    assert text == "Report of May\n# made by x\n\n| id | name | size |\n| --- | --- | --- |\n| 1 | a | 2 |"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "shift_jis"])
def test_tables_whatever_their_encoding(encoding: str) -> None:
    rows = "名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n髙橋淳,35,名古屋\n".replace("髙", "高")
    assert "| 三木英子 | 25 | 大阪 |" in read(rows.encode(encoding), "a.csv").text


def test_one_long_row_does_not_fill_up_all_others() -> None:
    text = read("," * 1_999 + "x\n" + "a,b\n" * 100_000, "a.csv").text
    assert len(text) < 3_000_000


def test_a_few_zero_bytes_do_not_make_a_table_binary() -> None:
    assert read(b"a,b,c\n\x00,2,3\n", "a.csv").text.endswith("|  | 2 | 3 |")
    assert "| one | 2 | 3 |" in read(b"a,b,c\n\x00one,2,3\n" + b"1,2,3\n" * 20, "a.csv").text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('{"a": 1}\n{"a": 2}\n', "a: 1\n\na: 2"),
        ('{"a": 1}{"b": [2]}', "a: 1\n\nb:\n  - 2"),
        (
            '// note\n{"a": 1, /* more */ "u": "http://x//y", "l": [1, 2,],}',
            "a: 1\nu: http://x//y\nl:\n  - 1\n  - 2",
        ),
        ('callback({"a": NaN});', "a: NaN"),
        ('var data = {"a": "b"};', "a: b"),
        (')]}\',\n{"a": 1}', "a: 1"),
        ('{"a": 1, "a": 2}', "a: 1\na: 2"),
        ("{a: 1, 'b': 2}", "{a: 1, 'b': 2}"),
        ('\ufeff{"a": "tab\there"}', "a: tab\there"),
    ],
)
def test_json_as_people_write_it(written: str, shown: str) -> None:
    assert read(written, "a.json").text == shown


def test_a_file_inside_a_string_is_left_out() -> None:
    assert read(json.dumps({"a": "QUJD" * 1_000, "b": "x"}), "a.json").text == "a:\nb: x"


@pytest.mark.parametrize("piece", ['\\"', "/*", '"', '{"a":', ", ", "[1,", "}", " ", ") ;", "},{"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_hostile_repetition_is_bounded(name: str, piece: str) -> None:
    start = time.process_time()
    read('{"word":' + piece * (1_000_000 // len(piece)), name)
    assert time.process_time() - start < 20
