"""How deeply the elements of an HTML document may be nested, without building its tree.

The tree of a document takes quadratic time in its depth, so that has to be known before. In linear time
only a bound can be: end tags may be left out, and a parser closes some elements by itself.
"""

from __future__ import annotations

import re
from typing import Final

VOID: Final = frozenset(
    {
        "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input",
        "keygen", "link", "meta", "param", "source", "track", "wbr",
    }
)  # fmt: skip
_IMPLIED_END: Final = frozenset(
    {
        "p", "li", "td", "th", "tr", "dt", "dd", "option", "thead", "tbody", "tfoot", "colgroup",
    }
) | VOID  # fmt: skip
_TAG = re.compile(rb"<(?:(/?)([a-zA-Z][a-zA-Z0-9]*)|(!--))")
_DRAWING: Final = frozenset(
    b"svg g path circle rect use line polygon polyline ellipse stop defs lineargradient radialgradient"
    b" clippath mask symbol text tspan image animate animatetransform pattern marker view".split()
)
"""Elements that leave a parser inside a drawing."""
_LONG_TAG_BYTES: Final = 20_000
_BLOCK_BYTES: Final = 4096


def deeper_than(data: bytes, depth: int) -> bool:
    """Whether elements may be nested deeper than `depth`, found in linear time.

    A bound from counts of '<' and '</' in blocks settles nearly every document; only where it does
    not, tags are counted one by one. Elements whose end tag is often left out are not counted: they
    add a small factor to the depth at most.
    """
    if data.count(b"<") <= depth:
        return False
    running = 0
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES].lower()
        ends = block.count(b"</")
        leaves = sum(
            block.count(tag) for tag in (b"<br", b"<img", b"<hr", b"<meta", b"<link", b"<input", b"<!")
        )
        starts = block.count(b"<") - ends - leaves
        if running + starts > depth:
            break
        running += starts - ends
    else:
        return False
    return _counted_depth_exceeds(data, depth)


def _counted_depth_exceeds(data: bytes, depth: int) -> bool:
    """Count tags one by one, as a parser that never closes anything by itself would nest them.

    In drawings a tag may close itself; scripts hold tags that are none; comments are passed over.
    """
    running = position = 0
    in_drawing = False
    while match := _TAG.search(data, position):
        position = match.end()
        if match[3]:
            if data[position : position + 1] == b">" or data[position : position + 2] == b"->":
                continue
            ends = [end for end in (data.find(b"-->", position), data.find(b"--!>", position)) if end >= 0]
            if not ends:
                return False
            position = min(ends) + 3
            continue
        name = match[2].lower()
        if name in (b"script", b"style") and not match[1] and not in_drawing:
            end = data.find(b"</" + match[2], position)
            position = end if end >= 0 else len(data)
            running += 1
            continue
        if name == b"svg":
            in_drawing = not match[1]
        elif in_drawing and name not in _DRAWING:
            in_drawing = False
        if in_drawing and _closes_itself(data, position):
            continue
        if name.decode("ascii") in _IMPLIED_END:
            continue
        running += -1 if match[1] else 1
        if running > depth:
            return True
        running = max(running, 0)
    return False


def _closes_itself(data: bytes, position: int) -> bool:
    end = data.find(b">", position, position + _LONG_TAG_BYTES)
    return end > 0 and data[end - 1 : end] == b"/"
