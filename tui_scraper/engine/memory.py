"""How much memory all processes of a run use together.

PSS counts a page that several processes share in parts, so the sum is what would be freed if all
of them ended. RSS would count the workers' common pages once for each.
"""

from __future__ import annotations

from collections.abc import Iterable


def total_pss(pids: Iterable[int]) -> int:
    """Bytes of proportional set size. Processes that have ended, or may not be looked at, count 0."""
    return sum(map(_pss, pids))


def _pss(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as lines:
            for line in lines:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
