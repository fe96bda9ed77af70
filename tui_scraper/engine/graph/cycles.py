"""Documents that refer to each other in a circle: strongly connected components, without recursion.

R. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1 (1972). Time and memory grow
with documents and references.
"""

from __future__ import annotations

import numpy as np

from tui_scraper.engine.graph.model import Graph, Numbers

_ROUNDS = 8


def cycles(graph: Graph) -> list[list[int]]:
    """The components of more than one document, each in path order, the largest first, then by path."""
    sources, targets = _core(*graph.pairs(), len(graph))
    documents = np.unique(np.concatenate([sources, targets]))
    starts = np.searchsorted(sources, documents).tolist()
    ends = np.searchsorted(sources, documents, side="right").tolist()
    found = _components(starts, ends, np.searchsorted(documents, targets).tolist())
    names = documents.tolist()
    components = [sorted(names[at] for at in component) for component in found]
    return sorted(components, key=lambda one: (-len(one), one))


def _core(sources: Numbers, targets: Numbers, documents: int) -> tuple[Numbers, Numbers]:
    """The references without those that begin or end at a dead end, which are in no circle.

    A few rounds take most away quickly; a long chain would need one for each of its documents.
    """
    for _ in range(_ROUNDS):
        begins, ends = np.zeros(documents, np.bool_), np.zeros(documents, np.bool_)
        begins[sources], ends[targets] = True, True
        kept = ends[sources] & begins[targets]
        if kept.all():
            break
        sources, targets = sources[kept], targets[kept]
    return sources, targets


def _components(starts: list[int], ends: list[int], targets: list[int]) -> list[list[int]]:
    """The components of more than one node; node n leads to `targets[starts[n]:ends[n]]`."""
    count = len(starts)
    index, low = [-1] * count, [0] * count
    is_open = bytearray(count)
    following = starts[:]
    path: list[int] = []
    found: list[list[int]] = []
    reached = 0
    for root in range(count):
        if index[root] >= 0:
            continue
        way = [root]
        while way:
            node = way[-1]
            if index[node] < 0:
                index[node] = low[node] = reached
                reached += 1
                path.append(node)
                is_open[node] = 1
            at, end = following[node], ends[node]
            lowest = low[node]
            while at < end:
                target = targets[at]
                at += 1
                if index[target] < 0:
                    way.append(target)
                    break
                if is_open[target] and index[target] < lowest:
                    lowest = index[target]
            low[node] = lowest
            following[node] = at
            if way[-1] != node:
                continue
            way.pop()
            if way and lowest < low[way[-1]]:
                low[way[-1]] = lowest
            if lowest == index[node]:
                component = []
                while True:
                    member = path.pop()
                    is_open[member] = 0
                    component.append(member)
                    if member == node:
                        break
                if len(component) > 1:
                    found.append(component)
    return found
