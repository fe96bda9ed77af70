"""The table of keys in the README, from the registry of actions. `python -m tests.readme_keys` writes it."""

from __future__ import annotations

from pathlib import Path

from tui_scraper.actions import ACTIONS, EVERYWHERE, MOVES, Action

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- keys: python -m tests.readme_keys -->", "<!-- end of keys -->"
_NAMES = {"question_mark": "?", "slash": "/", "escape": "esc"}


def table() -> str:
    """The table in Markdown, with a line for each action and each way to move."""
    rows = [
        _row(_keys(action), f"**{action.title}.** {action.help}", _where(action))
        for action in ACTIONS
        if action.keys
    ]
    rows += [
        _row(" ".join(f"`{key}`" for key in shown.split()), f"{text}.", "lists, logs")
        for _, _, shown, text in MOVES
    ]
    return "\n".join([_row("Keys", "What it does", "Where"), "|---|---|---|", *dict.fromkeys(rows)])


def written() -> str:
    """The table that the README has."""
    return README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _keys(action: Action) -> str:
    return " ".join(f"`{_NAMES.get(key, key)}`" for key in action.keys)


def _where(action: Action) -> str:
    if action.screens == EVERYWHERE:
        return ""
    return ", ".join(sorted(name.capitalize() for name in action.screens))


def main() -> None:
    """Write the table into the README."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
