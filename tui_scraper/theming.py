"""Colour themes from TOML files, checked before Textual sees them, and what poor terminals need.

Textual accepts a bad colour when a theme is registered and crashes when it is applied; so colours
are parsed here, and a mistake is a sentence that names the file and the key.
"""

from __future__ import annotations

import locale
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from rich.cells import get_character_cell_size
from rich.color import Color as RichColor
from rich.segment import Segment
from textual.color import Color, ColorParseError
from textual.css.constants import VALID_STYLE_FLAGS
from textual.filter import LineFilter
from textual.theme import Theme

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import config_directory

_MOST_BYTES = 100_000
_READABLE = 4.5
"""Contrast of text and background, at least: WCAG 2.1, success criterion 1.4.3."""
_STYLE_WORDS = frozenset(VALID_STYLE_FLAGS)
DEFAULT = "dark"
ANSI = "ansi-16"


class ThemeColors(BaseModel):
    """The named colours of a theme; those left out follow from the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    primary: str
    secondary: str | None = None
    accent: str | None = None
    success: str | None = None
    warning: str | None = None
    error: str | None = None
    foreground: str | None = None
    background: str | None = None
    surface: str | None = None
    panel: str | None = None

    @field_validator("*")
    @classmethod
    def _is_color(cls, value: str | None) -> str | None:
        return value if value is None else check_color(value)


class ThemeFile(BaseModel):
    """A theme file. `variables` are further colours of Textual's, and `track`, the empty part of a bar."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    dark: bool = True
    ansi: bool = False
    colors: ThemeColors
    variables: dict[str, str] = {}

    @field_validator("variables")
    @classmethod
    def _are_colors(cls, value: dict[str, str]) -> dict[str, str]:
        return {
            name: check_style(text) if name.endswith("-style") else check_color(text)
            for name, text in value.items()
        }

    def theme(self) -> Theme:
        """The theme as Textual wants it."""
        return Theme(
            name=self.name,
            dark=self.dark,
            ansi=self.ansi,
            variables=dict(self.variables),
            **self.colors.model_dump(exclude_none=True),
        )


def check_color(value: str) -> str:
    """Return the colour if it is one. Raises ValueError with the value otherwise."""
    try:
        Color.parse(value)
    except ColorParseError:
        raise ValueError(
            f"'{safe_text(value, limit=40)}' is not a colour such as '#1e90ff' or 'ansi_blue'"
        ) from None
    return value


def check_style(value: str) -> str:
    """Return the style of text if it is one. Raises ValueError with the value otherwise."""
    if not value.split() or not _STYLE_WORDS.issuperset(value.split()):
        words = ", ".join(sorted(word for word in _STYLE_WORDS if len(word) > 2))
        raise ValueError(f"'{safe_text(value, limit=40)}' is not a style of text: {words}")
    return value


def load_theme(path: Path) -> Theme:
    """Read one theme file. Raises UsageError with a sentence for each mistake."""
    where = safe_text(str(path))
    try:
        data = tomllib.loads(_read(path).decode("utf-8"))
        return ThemeFile.model_validate(data).theme()
    except OSError as error:
        raise UsageError(f"{where}: the theme cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise UsageError(f"{where}: the theme file is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: this is not valid TOML: {safe_text(str(error))}.") from None
    except ValidationError as error:
        sentences = []
        for problem in error.errors():
            name = safe_text(".".join(str(part) for part in problem["loc"]))
            said = safe_text(problem["msg"].removeprefix("Value error, "))
            if problem["type"] == "extra_forbidden":
                section = ThemeColors if problem["loc"][0] == "colors" else ThemeFile
                said = f"there is no such key; there are {', '.join(section.model_fields)}"
            sentences.append(f"{where}: {name}: {said}.")
        raise UsageError("\n".join(sentences)) from None


def _read(path: Path) -> bytes:
    """Raises UsageError for what is no ordinary file: a pipe would be waited for without end."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{safe_text(str(path))}: this is not a file.")
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{safe_text(str(path))}: this is too large for a theme.")
    return data


def theme_directory() -> Path:
    """Where the themes are: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parent
    shipped = here / "themes"
    return shipped if shipped.is_dir() else here.parent / "themes"


class KnownTheme(NamedTuple):
    """A theme and where it is from. `own`: the person's, not one that comes with the program."""

    theme: Theme
    path: Path
    own: bool


def own_directory() -> Path:
    """Where a person's own themes are."""
    return config_directory() / "themes"


def known_themes(own: Path | None = None) -> tuple[list[KnownTheme], list[str]]:
    """All themes by name, and a sentence for each file that is not one.

    A theme of the person's own takes the place of one that comes with the program under the same name.
    """
    known: dict[str, KnownTheme] = {}
    problems = []
    for directory, is_own in ((theme_directory(), False), (own or own_directory(), True)):
        for path in sorted(directory.glob("*.toml")):
            try:
                theme = load_theme(path)
            except UsageError as error:
                problems.append(str(error))
                continue
            before = known.get(theme.name)
            if before is not None and before.own == is_own:
                first = safe_text(before.path.name)
                problems.append(
                    f"{safe_text(str(path))}: {first} is called '{theme.name}' as well, and counts."
                )
                continue
            known[theme.name] = KnownTheme(theme, path, is_own)
    return [known[name] for name in sorted(known)], problems


SWATCH = 6
"""Colours that a swatch has at most."""


def swatch(theme: Theme) -> list[RichColor]:
    """What to know a theme by: its background and its colours."""
    colors = (theme.background, theme.foreground, theme.primary, theme.success, theme.warning, theme.error)
    return [Color.parse(color).rich_color for color in colors if color is not None]


def hard_to_read(theme: Theme) -> list[str]:
    """A sentence for each colour of text that stands out too little; none for those of the terminal."""
    if theme.ansi or theme.background is None:
        return []
    names = ("primary", "accent", "success", "warning", "error", "foreground")
    colors = {name: getattr(theme, name) for name in names} | {"quiet": theme.variables.get("quiet")}
    found = []
    for name, color in colors.items():
        if color is not None and (ratio := contrast(color, theme.background)) < _READABLE:
            found.append(
                f"'{name}' is hard to read on the background: a contrast of {ratio:.1f} "
                f"where {_READABLE} is wanted."
            )
    return found


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21: WCAG 2.1."""
    light, dark = sorted((_luminance(Color.parse(one)), _luminance(Color.parse(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    """Relative luminance: WCAG 2.1."""
    channels = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized
    ]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def choose(wanted: str, known: list[str], *, no_color: bool, color_system: str | None) -> tuple[str, str]:
    """The theme to use, and a sentence where it is not the one that was asked for.

    NO_COLOR leaves only the theme that sends no colours of its own (others still send RGB greys).
    A terminal of 16 colours gets the theme made of them, unless another was asked for by name.
    """
    if no_color and ANSI in known:
        return ANSI, ""
    if wanted == DEFAULT and color_system in {None, "standard", "windows"} and ANSI in known:
        return ANSI, ""
    if wanted in known:
        return wanted, ""
    listed = ", ".join(known)
    return (DEFAULT if DEFAULT in known else "textual-dark"), (
        f"There is no usable theme '{safe_text(wanted, limit=40)}'; known are {listed}."
    )


def is_utf8(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the person's locale is UTF-8.

    Python itself turns a C locale into UTF-8, so the environment is asked; LC_CTYPE=C.UTF-8 beside
    a LANG is Python's doing (PEP 538), not the person's. Nothing set at all (containers, cron)
    counts as UTF-8.
    """
    name = environ.get("LC_ALL") or ""
    if not name:
        lang, ctype = environ.get("LANG", ""), environ.get("LC_CTYPE", "")
        name = lang if lang and ctype in {"C.UTF-8", "C.utf8", "UTF-8"} else ctype or lang
    if not name:
        return True
    folded = name.lower().replace("-", "")
    return "utf8" in folded or ("." not in folded and folded not in {"c", "posix"} and _preferred_is_utf8())


def _preferred_is_utf8() -> bool:
    return locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"


_ASCII = str.maketrans(
    {
        "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": "-", "▎": "-", "▏": "-",
        "─": "-", "━": "-", "│": "|", "┃": "|", "▶": ">", "▸": ">", "▾": "v", "✓": "+", "✗": "x",
        "»": ">", "○": "o", "●": "*", "·": ".", "‖": "=", "■": "#", "…": "~", "–": "-", "→": ">",
        "↑": "^", "↓": "v", "▔": "-", "▁": "_",
        "▂": ".", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%",
        "┌": "+", "┐": "+", "└": "+", "┘": "+",
        "├": "+", "┤": "+", "╭": "+", "╮": "+", "╰": "+", "╯": "+",
    }
)  # fmt: skip


def to_ascii(text: str) -> str:
    """The text with signs written in ASCII and everything else that is not ASCII as '?', cell for cell."""
    if text.isascii():
        return text
    translated = text.translate(_ASCII)
    if translated.isascii():
        return translated
    return "".join(char if char.isascii() else "?" * get_character_cell_size(char) for char in translated)


class AsciiFilter(LineFilter):
    """Draws every line of every widget in ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Translate the text of the segments; styles stay."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]


class HarmlessFilter(LineFilter):
    """Draws nothing that a terminal acts on, whatever put it there: a field that is Textual's own, for one.

    What is ours has been made safe where it came in, so this costs a look at each line and changes none.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Replace such characters; segments that control the terminal are Textual's and stay."""
        return [
            segment if segment.control else Segment(safe_text(segment.text), segment.style)
            for segment in segments
        ]
