from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color

from tui_scraper import theming
from tui_scraper.engine.errors import UsageError

NAMES = ["ansi-16", "colour-blind-safe", "dark", "high-contrast", "light"]


def test_five_themes_are_shipped_and_all_are_sound() -> None:
    themes, problems = theming.load_themes()
    assert problems == []
    assert sorted(theme.name for theme in themes) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ansi-16"])
def test_text_can_be_read_on_the_background(name: str) -> None:
    theme = theming.load_theme(theming.theme_directory() / f"{name}.toml")
    background = Color.parse(str(theme.background))
    colors = [theme.primary, theme.accent, theme.success, theme.warning, theme.error, theme.foreground]
    for color in [*colors, theme.variables["quiet"]]:
        light, dark = sorted((_luminance(Color.parse(str(color))), _luminance(background)), reverse=True)
        ratio = (light + 0.05) / (dark + 0.05)
        assert ratio >= (7 if name == "high-contrast" else 4.5), f"{name} {color} {ratio:.1f}"


def _luminance(color: Color) -> float:
    """WCAG 2.1 relative luminance."""
    channels = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized
    ]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "x"\n[colors]\nprimary = "blurple"\n', "colors.primary: 'blurple' is not a colour"),
        ('name = "x"\n[colors]\nprimary = "#fff"\nprimry = "#fff"\n', "colors.primry"),
        ('name = "x"\n[colors]\nprimary = "#fff"\n[variables]\ntrack = "no"\n', "variables: 'no' is not"),
        ('name = "../x"\n[colors]\nprimary = "#fff"\n', "name"),
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
    themes, problems = theming.load_themes(tmp_path)
    assert (themes, len(problems)) == ([], 1)


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
