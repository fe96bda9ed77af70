"""HTML out of Python calls. Whatever is not `Html` is text from outside: made safe and escaped here."""

from __future__ import annotations

import html

from tui_scraper.engine.safe_text import safe_text

_VOID = frozenset({"meta", "br", "rect", "path", "line", "col"})


class Html(str):
    """Markup that was made here."""

    __slots__ = ()


Content = str | float | None
"""Text, or `Html`; None for nothing."""


def el(tag: str, *contents: Content, **attributes: Content) -> Html:
    """An element: `el("p", "a < b", class_="quiet")`.

    An attribute that is None is left out; underscores of its name become hyphens, one at its end is dropped.
    """
    shown = "".join(
        f' {name.removesuffix("_").replace("_", "-")}="{html.escape(safe_text(str(value)))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{shown}/>")
    return Html(f"<{tag}{shown}>{join(*contents)}</{tag}>")


def join(*contents: Content) -> Html:
    """One after another."""
    return Html("".join(_escaped(content) for content in contents if content is not None))


def _escaped(content: str | float) -> str:
    if isinstance(content, Html):
        return str(content)
    return html.escape(safe_text(str(content)), quote=False)
