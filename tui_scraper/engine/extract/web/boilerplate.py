"""What on a web page is not its text (menus, notices, advertisements), by its name and by what it holds.

Losing text is worse than keeping a menu. So only names that hardly anything else has are enough by
themselves; other names count where the element holds nearly nothing but links, or only a few words, and
no heading of the page.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from tui_scraper.engine.extract.web.depth import VOID

_SURE = re.compile(
    r"""\srole="(?:navigation|search|menubar|menu|toolbar|tablist|dialog|alertdialog)"|\shidden="(?:hidden)?\""""
    r"""|\s(?:class|id)="(?:[^"]*[\s_-])?(?:cookie-?(?:banner|consent|notice|bar|popup|law)|gdpr|onetrust|cky-consent"""
    r"""|skip-?link|skip-to-content|sr-only-focusable|linenos?|lineno|sphinxsidebar|breadcrumbs?|navbar|navheader"""
    r"""|navfooter|docnav|nav-wrapper|mobile-nav|site-nav|main-nav|sidebar-nav|theme-popup|pagination|katex-html"""
    r"""|MathJax_Preview)(?:[\s_-][^"]*)?\"""",
    re.IGNORECASE,
)
_MOSTLY_LINKS = re.compile(
    r"""\s(?:class|id)="(?:[^"]*[\s_-])?(?:(?:top|sub|side|foot|page|bottom|mobile|user|meta)?nav(?:igation|i|list)?"""
    r"""|(?:sub|side|top|mega|drop-?down)?menus?|social|share|sharing|shar(?:e|ing)-?bar|addthis|sharedaddy|related"""
    r"""|recommended|recommendations|outbrain|taboola|trending|most-?(?:read|popular)|popular-posts|quick-?links"""
    r"""|footer-?links|footer|toolbar|pager|sidebar|widget|blogroll|hot-?topics|language-?(?:switcher|selector)"""
    r"""|see-?also-?links|more-?links|bottom-?links)(?:[\s_-][^"]*)?\"""",
    re.IGNORECASE,
)
_LAYOUT = re.compile(
    r"content|layout|grid|wrap|page|body|main|shift|inner|[\s_-](?:for|with|has)-", re.IGNORECASE
)
"""In a class that names something around the page's text rather than beside it."""
_PARTS: Final = (
    r"(?:[_-]?(?:banner|bar|box|form|popup|modal|overlay|wrap|wrapper|container|content|inner|notice|message|button|btn"
    r"|link|block|section|widget|header|footer|text|label|title|area|panel|slot|unit|zone|cta|\d+)){0,2}(?:\s[^\"]*)?\""
)
_FEW_WORDS = re.compile(
    r"""\sclass="(?:[^"]*[\s_-])?(?:newsletter|subscribe|subscription|sign-?up|log-?in|paywall|cookies?|consent"""
    r"""|advert(?:isement|ising|s)?|ads?|adsense|ad-?(?:slot|unit|wrapper|container|banner|block|feedback)"""
    r"""|sponsor(?:ed|s)?|promo|pop-?up|modal|overlay|toast|comment-?form|comment-respond|print-?(?:link|button)"""
    r"""|feedback|survey|app-?banner|back-to-top|loading|spinner)"""
    rf"""{_PARTS}|\sid="(?:newsletter|cookies?|consent|ads?|adsense|ad-?(?:slot|unit|banner)|comment-?form|respond)\""""
    rf"""|\sstyle="[^"]*\bdisplay\s*:\s*none\b""",
    re.IGNORECASE,
)
CONTAINERS: Final = frozenset(
    ("div", "ul", "ol", "section", "aside", "form", "footer", "header", "dl", "menu")
)
"""Elements that may be left out for their class and what is in them."""
SHORT_IF_LEFT_OUT: Final = frozenset(("object", "applet", "audio", "video", "canvas", "dialog"))
"""Elements whose text stands in for what cannot be shown, unless there is too much of it for that."""
MAY_BE_LEFT_OUT: Final = SHORT_IF_LEFT_OUT | {"nav", "button"}
LINK_SHARE: Final = 0.7
LINK_CHARS: Final = 4_000
FEW_CHARS: Final = 300
LOOK_AHEAD: Final = 1_500  # tags
MAX_LOOKED_AT: Final = 200_000  # tags of one document
SIGNS_OF_BODY: Final = frozenset(("h1", "article", "main"))
NEVER_BOILERPLATE: Final = frozenset(("html", "body", "main", "article", "table", "tbody")) | VOID
SKIP_LINK = re.compile(
    r"(?:skip|jump)\s+(?:to|over|past|navigation|nav\b|links)|zum\s+(?:inhalt|hauptinhalt)|aller\s+au\s+contenu"
    r"|(?:ir|saltar)\s+al\s+contenido|pular\s+para|salta\s+al\s+contenuto|naar\s+de\s+inhoud|перейти\s+к\s+содерж"
)
KEPT_BUTTON = re.compile(r"accordion|collaps|expand|faq|question|toggle", re.IGNORECASE)
BUTTON_CHARS: Final = 12
_CACHED_CHARS: Final = 100  # attributes of one element; 1,024 such strings are remembered


NONE: Final = 0
LINKS: Final = 1
"""Boilerplate if nearly all of it is links."""
FEW: Final = 2
"""Boilerplate if it is short."""


def is_sure(attributes: str) -> bool:
    """Whether an element is boilerplate, whatever it holds, by its attributes."""
    if len(attributes) <= _CACHED_CHARS:
        return _short_is_sure(attributes)
    return _SURE.search(attributes) is not None


def doubt(attributes: str) -> int:
    """Whether an element may be boilerplate, by its attributes: NONE, LINKS or FEW."""
    return _short_doubt(attributes) if len(attributes) <= _CACHED_CHARS else _doubt(attributes)


@lru_cache(maxsize=1024)
def _short_is_sure(attributes: str) -> bool:
    return _SURE.search(attributes) is not None


def _doubt(attributes: str) -> int:
    if _FEW_WORDS.search(attributes):
        return FEW
    if _MOSTLY_LINKS.search(attributes) and not _LAYOUT.search(attributes):
        return LINKS
    return NONE


_short_doubt = lru_cache(maxsize=1024)(_doubt)
