"""Files of the Markdown tree stay inside it and apart, and their front matter gives back what was known."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_csv import HOSTILE, row

from tui_scraper.engine.export.formats.filenames import FILE_NAME, file_name, folder_name, state_folder
from tui_scraper.engine.export.formats.markdown import MARKDOWN, document, place
from tui_scraper.engine.export.formats.port import Line, Tally
from tui_scraper.engine.export.formats.tree import read_listing
from tui_scraper.engine.export.formats.values import about
from tui_scraper.engine.export.row import RowError
from tui_scraper.engine.models import Status

NAMES = st.one_of(
    HOSTILE,
    st.text(st.sampled_from("./\\ ~$`*?:<>|\"'\x00\n\x7f-_aAçÇ"), max_size=300),
    st.sampled_from(["..", "../../etc/passwd", "/etc/passwd", "con", "NUL.txt", "a" * 5000, "東" * 300, ""]),
)
UIDS = st.text(st.sampled_from("0123456789abcdef"), min_size=16, max_size=16)


@given(NAMES, UIDS)
def test_any_name_makes_a_safe_file_name(path: str, uid: str) -> None:
    name = file_name(path, uid)
    assert FILE_NAME.fullmatch(name)
    assert name.endswith(f"{uid}.md")
    assert len(name.encode()) <= 130
    assert not re.search(r'[/\\\x00-\x1f\x7f:*?"<>|$`~;&()\[\]{}!#\']', name)
    assert name[0] not in " .-"
    assert name == unicodedata.normalize("NFC", name)
    assert name.split(".")[0].casefold() not in {"con", "nul", "aux", "prn", "com1", "lpt1"}


@given(NAMES)
def test_any_label_makes_a_safe_folder_name(label: str) -> None:
    name = folder_name(label)
    assert name not in {"", ".", ".."}
    assert len(name.encode()) <= 130
    assert not re.search(r'[/\\\x00-\x1f\x7f:*?"<>|$`~;&]', name)
    assert name[0] not in " .-"
    assert name[-1] not in " ."
    assert name not in {state_folder(str(status)) for status in Status}


@given(NAMES, NAMES)
def test_labels_have_a_folder_each(one: str, other: str) -> None:
    assert one == other or folder_name(one) != folder_name(other)


def test_plain_labels_are_their_folders() -> None:
    for label in ("report", "Annual report 2019", "東京", "règlement-intérieur", "a.b"):
        assert folder_name(label) == label


def test_documents_without_a_label_lie_by_their_state() -> None:
    assert place(row()) == "_unlabelled/a-0123456789abcdef.md"
    assert place(row(status="failed")) == "_failed/a-0123456789abcdef.md"
    assert place(row(label="")) != place(row())


def test_a_name_that_is_no_id_makes_no_file() -> None:
    for uid in ("", "../../etc/passwd", "0123456789ABCDEF", "0123456789abcdef\n"):
        with pytest.raises(ValueError, match="not the id"):
            file_name("a", uid)
    with pytest.raises(ValueError, match="not a valid"):
        state_folder("../x")


@given(NAMES, HOSTILE, st.lists(HOSTILE, max_size=3), HOSTILE, HOSTILE, st.floats(0, 1))
def test_front_matter_gives_back_every_value(
    path: str, title: str, labels: list[str], message: str, text: str, confidence: float
) -> None:
    one = row(
        path=path,
        title=title,
        labels=labels,
        label=labels[0] if labels else None,
        error=RowError("clean", "corrupt", message),
        text=text,
        confidence=confidence,
        cost_usd=1e-9,
    )
    data = document(one).decode()
    front, body = data.removeprefix("---\n").split("\n---\n\n", 1)
    assert yaml.safe_load(front) == about(one)
    assert len(front.split("\n")) == len(about(one))  # no value goes over a line
    assert body == text + "\n"
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", front)


@given(st.dictionaries(UIDS, st.tuples(NAMES, st.one_of(st.none(), NAMES), HOSTILE), max_size=6))
def test_any_documents_are_files_inside_the_tree(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, tuple[str, str | None, str]]
) -> None:
    base = tmp_path_factory.mktemp("md")
    (base / "out").mkdir()
    writer = MARKDOWN.writer(base / "out", base / "none")
    total = Tally()
    rows = [row(id=uid, path=path, label=label, text=text) for uid, (path, label, text) in found.items()]
    try:
        for one in rows:
            writer.add(Line(one))
            total.add(one.status, 0)
        writer.finish()
        writer.check(total, lambda: None)
    finally:
        writer.close()
    assert [path.name for path in base.iterdir()] == ["out"]
    files = [path for path in base.rglob("*") if path.is_file()]
    listed = [name for _sha256, name in read_listing(base / "out/markdown.sha256")]
    assert {base / "out" / name for name in listed} == {path for path in files if path.suffix == ".md"}
    assert listed == [f"markdown/{place(one)}" for one in rows]
    assert len({path.name.casefold() for path in files}) == len(files) == len(rows) + 1
    for one in rows:
        assert (base / "out/markdown" / place(one)).read_bytes() == document(one)


@pytest.mark.parametrize(
    "line",
    [
        f"{'0' * 64}  markdown/../../etc.md\n",
        f"{'0' * 64}  /etc/passwd\n",
        f"{'0' * 64}  markdown/a.md\n",
        f"{'0' * 63}  markdown/a/b.md\n",
        f"{'0' * 64}  markdown/a/b.md",
        "\n",
    ],
)
def test_a_listing_that_is_none_is_said_to_be_wrong(tmp_path: Path, line: str) -> None:
    (tmp_path / MARKDOWN.file).write_text(line)
    assert "listing" in MARKDOWN.wrong(tmp_path, lambda: None)
