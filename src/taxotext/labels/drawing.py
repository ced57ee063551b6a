"""Taxonomies as plain-text trees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from taxotext.labels.taxonomy import Taxonomy
from taxotext.messages import printable

DEEPEST_DRAWN = 100
"""Levels that are indented; labels below them say their level."""


def tree_lines(
    taxonomy: Taxonomy,
    annotate: Callable[[int], str] | None = None,
    only: Collection[int] | None = None,
    max_depth: int | None = None,
) -> Iterator[str]:
    """The lines of a tree drawn with box characters, one for each label below each of its parents.

    A label with several parents is listed below each of them, but its children are drawn once, below the first;
    later it says "(see above)". Children that ``max_depth`` cuts off are counted.

    Args:
        taxonomy: what to draw.
        annotate: text to put behind the label of an index; an empty string for nothing.
        only: draw these labels and their ancestors; None draws all.
        max_depth: how many levels to draw.

    >>> taxonomy = Taxonomy.from_edges([(None, "a"), ("a", "b"), ("a", "c"), (None, "d")])
    >>> for line in tree_lines(taxonomy):
    ...     print(line)
    a
    ├── b
    └── c
    d
    """
    shown = _shown(taxonomy, only)
    expanded: set[int] = set()
    # (label, what stands before its own line, what stands before the lines below it, depth)
    stack = [(root, "", "", 1) for root in _visible(taxonomy.roots.tolist(), shown)[::-1]]
    while stack:
        node, before, below, depth = stack.pop()
        children = _visible(taxonomy.children(node).tolist(), shown)
        remark = ""
        if children and node in expanded:
            remark = "(see above)"
        elif children and max_depth is not None and depth >= max_depth:
            remark = f"(+{_hidden(taxonomy, node, shown)} below)"
        note = "" if annotate is None else annotate(node)
        yield "  ".join(filter(None, (before + _title(taxonomy, node), note, remark)))
        if children and not remark:
            expanded.add(node)
            last = children[-1]
            deep = depth >= DEEPEST_DRAWN
            for child in reversed(children):
                branch, trunk = ("└── ", "    ") if child == last else ("├── ", "│   ")
                start = f"{below}(level {depth + 1}) " if deep else below + branch
                stack.append((child, start, below if deep else below + trunk, depth + 1))


def draw(
    taxonomy: Taxonomy,
    counts: Mapping[int, int] | Sequence[int] | None = None,
    marked: Iterable[int] | None = None,
    max_depth: int | None = None,
) -> str:
    """The whole taxonomy as one text.

    Args:
        taxonomy: what to draw.
        counts: a number for each label index (such as its documents), shown in brackets.
        marked: label indexes that get a star.
        max_depth: how many levels to draw.
    """
    stars = set(marked or ())

    def annotate(i: int) -> str:
        number = None if counts is None else counts.get(i, 0) if isinstance(counts, Mapping) else counts[i]
        return " ".join([*([] if number is None else [f"[{number}]"]), *(["*"] if i in stars else [])])

    return "\n".join(tree_lines(taxonomy, annotate, max_depth=max_depth))


def _shown(taxonomy: Taxonomy, only: Collection[int] | None) -> set[int] | None:
    if only is None:
        return None
    shown = {int(i) for i in only}
    for i in list(shown):
        shown.update(taxonomy.ancestors(i).tolist())
    return shown


def _visible(labels: list[int], shown: set[int] | None) -> list[int]:
    return labels if shown is None else [label for label in labels if label in shown]


def _hidden(taxonomy: Taxonomy, node: int, shown: set[int] | None) -> int:
    below = taxonomy.descendants(node)
    return below.size if shown is None else int(np.isin(below, list(shown)).sum())


def _title(taxonomy: Taxonomy, i: int) -> str:
    """The id, and the name beside it unless the id ends with it (as in paths)."""
    label, name = taxonomy.ids[i], taxonomy.names[i]
    return printable(label if name is None or label.endswith(name) else f"{label}  {name}")
