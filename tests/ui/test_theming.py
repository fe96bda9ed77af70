from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.theme import Theme

from tui_scraper import theming
from tui_scraper.engine.errors import UsageError

NAMES = ["ansi-16", "colour-blind-safe", "dark", "high-contrast", "light"]


def test_five_themes_are_shipped_and_all_are_sound(tmp_path: Path) -> None:
    themes, problems = theming.known_themes(tmp_path)
    assert problems == []
    assert [one.theme.name for one in themes] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_text_can_be_read_on_the_background(name: str) -> None:
    theme = theming.load_theme(theming.theme_directory() / f"{name}.toml")
    assert theming.hard_to_read(theme) == []
    if name == "high-contrast":
        colors = [theme.primary, theme.accent, theme.success, theme.warning, theme.error, theme.foreground]
        assert min(theming.contrast(str(color), str(theme.background)) for color in colors) >= 7


def test_colours_that_cannot_be_told_apart_are_named() -> None:
    theme = Theme(name="grey", primary="#777777", foreground="#808080", background="#777777")
    said = theming.hard_to_read(theme)
    assert [sentence.split()[0] for sentence in said] == ["'primary'", "'foreground'"]
    assert theming.contrast("#ffffff", "#000000") == pytest.approx(21)


def test_a_theme_of_ones_own_goes_before_the_one_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "dark"\n[colors]\nprimary = "#123456"\n')
    (tmp_path / "b.toml").write_text('name = "dark"\n[colors]\nprimary = "#654321"\n')
    (tmp_path / "c.toml").write_text('name = "mine"\n[colors]\nprimary = "#123456"\n')
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "large.toml").write_text("#" * 200_000)
    known, problems = theming.known_themes(tmp_path)
    assert [one.theme.name for one in known] == sorted([*NAMES, "mine"])
    by_name = {one.theme.name: one for one in known}
    assert by_name["dark"].theme.primary == "#123456"
    assert by_name["dark"].own
    assert not by_name["light"].own
    assert [sentence.split("/")[-1] for sentence in problems] == [
        "b.toml: a.toml is called 'dark' as well, and counts.",
        "large.toml: this is too large for a theme.",
        "pipe.toml: this is not a file.",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "x"\n[colors]\nprimary = "blurple"\n', "colors.primary: 'blurple' is not a colour"),
        ('name = "x"\n[colors]\nprimary = "#fff"\nprimry = "#fff"\n', "colors.primry"),
        ('name = "x"\n[colors]\nprimary = "#fff"\n[variables]\ntrack = "no"\n', "variables: 'no' is not"),
        ('name = "../x"\n[colors]\nprimary = "#fff"\n', "name"),
        (
            'name = "x"\n[colors]\nprimary = "#fff"\n[variables]\nblock-cursor-text-style = "fat"\n',
            "variables: 'fat' is not a style of text: blink, bold",
        ),
        ("name = ", "not valid TOML"),
        ('name = "x"\n', "colors"),
    ],
)
def test_a_bad_theme_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        theming.load_theme(path)
    assert str(path) in str(raised.value)
    assert says in str(raised.value)
    known, problems = theming.known_themes(tmp_path)
    assert (len(known), len(problems)) == (len(NAMES), 1)


def test_no_color_and_poor_terminals_get_the_terminals_own_colours() -> None:
    choose = theming.choose
    assert choose("light", NAMES, no_color=True, color_system="truecolor") == ("ansi-16", "")
    assert choose("dark", NAMES, no_color=False, color_system="standard") == ("ansi-16", "")
    assert choose("light", NAMES, no_color=False, color_system="standard") == ("light", "")
    name, sentence = choose("nope", NAMES, no_color=False, color_system="256")
    assert name == "dark"
    assert "nope" in sentence


@pytest.mark.parametrize(
    ("environ", "utf8"),
    [
        ({}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_ALL": "C"}, False),
        ({"LC_ALL": "en_US.ISO-8859-1", "LANG": "en_US.UTF-8"}, False),
        ({"LC_CTYPE": "C.UTF-8"}, True),
    ],
)
def test_the_locale_decides_between_unicode_and_ascii(environ: dict[str, str], utf8: bool) -> None:
    assert theming.is_utf8(environ) is utf8


def test_ascii_takes_the_same_cells() -> None:
    drawn = theming.AsciiFilter().apply([Segment("▶ ██▌ 契 ✗ … ünï")], Color(0, 0, 0))
    assert drawn[0].text == "> ### ?? x ~ ?n?"
