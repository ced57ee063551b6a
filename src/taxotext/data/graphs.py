"""Graphs of words: token windows to rows of words, each word followed by its surroundings in the graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from taxotext.data.spill import IN_MEMORY, IdsBuilder
from taxotext.data.tokens import Ragged
from taxotext.data.windows import Windows

BLOCK = 2**16
"""Tokens whose graphs are built together."""


def graph_windows(
    windows: Windows,
    left_out: NDArray[np.bool_],
    *,
    vertices: int = 96,
    neighbours: int = 10,
    span: int = 3,
    revisit: bool = False,
    unknown_id: int = 1,
    pad_id: int = 0,
    in_memory: int = IN_MEMORY,
) -> Windows:
    """Turn each window into its graph of words, as rows that a convolution over a grid can read.

    The vertices of a graph are the distinct words of a window, the most frequent first, equally frequent ones in the
    order of the text. The weight of an edge is the number of times that ``span`` consecutive words hold both, at the
    ends of the text as well: two words at distance d add span - d. Words that are left out are gone before distances
    are counted.

    A vertex becomes a row of words: itself, then a breadth-first walk from it, at each vertex to the neighbour with
    the heaviest edge first, and of equal edges to the more frequent word.

    Args:
        windows: token ids, without special tokens.
        left_out: (V,) True for ids that are not vertices, such as stop words and padding.
        vertices: rows of a window at most, R; the less frequent words appear as neighbours only.
        neighbours: words of a row, K, the vertex included; what the walk does not fill is ``pad_id``.
        span: consecutive words that are joined by edges.
        revisit: the walk takes words again that it has met (as the reference of Peng et al. does).
        unknown_id: the only vertex of a window in which no word is left.
        pad_id: padding.
        in_memory: ids that are kept in memory; more are in a temporary file.

    Returns:
        The windows with r K ids each, 1 <= r <= R: the rows, end to end.

    >>> windows = Windows(Ragged.from_rows([[7, 8, 7, 9]]), np.asarray([0, 1]), np.asarray([False]))
    >>> graph_windows(windows, np.zeros(10, bool), neighbours=4).tokens[0].reshape(-1, 4).tolist()
    [[7, 8, 9, 0], [8, 7, 9, 0], [9, 7, 8, 0]]
    """
    builder = IdsBuilder(in_memory)
    for rows, ids in _blocks(windows.tokens, left_out, unknown_id):
        words, owner, starts, heads = _vertices(rows, ids, len(left_out))
        edges = _edges(heads, rows, len(words), span)
        rank = np.arange(len(words)) - starts[owner]
        roots = np.flatnonzero(rank < vertices)
        walks = _walks(roots, *edges, neighbours, revisit)  # (r, K)
        grid = np.where(walks < 0, pad_id, words[walks]).astype(np.int32)
        builder.add(np.split(grid.ravel(), np.flatnonzero(rank[roots] == 0)[1:] * neighbours))
    return Windows(Ragged(*builder.finish()), windows.first, windows.cut)


def _blocks(
    tokens: Ragged, left_out: NDArray[np.bool_], unknown_id: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(windows of the words that count, numbered from 0 in the block; their ids), some windows at a time."""
    begin = 0
    while begin < len(tokens):
        end = int(np.searchsorted(tokens.offsets, tokens.offsets[begin] + BLOCK, side="right")) - 1
        end = max(end, begin + 1)
        ids = tokens.values[tokens.offsets[begin] : tokens.offsets[end]].astype(np.int64)
        rows = np.repeat(np.arange(end - begin), tokens.lengths[begin:end])
        counts = ~left_out[ids]
        rows, ids = rows[counts], ids[counts]
        empty = np.setdiff1d(np.arange(end - begin), rows)
        if len(empty):
            rows, ids = np.concatenate([rows, empty]), np.concatenate([ids, np.full(len(empty), unknown_id)])
            order = np.argsort(rows, kind="stable")
            rows, ids = rows[order], ids[order]
        yield rows, ids
        begin = end


def _vertices(
    rows: NDArray[np.int64], ids: NDArray[np.int64], vocabulary: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Number the vertices of a block window by window, most frequent first.

    Returns:
        Word of each vertex (n,), window of each vertex (n,), first vertex of each window, vertex of each token.
    """
    keys, first, vertex, counts = np.unique(
        rows * vocabulary + ids, return_index=True, return_inverse=True, return_counts=True
    )
    owner = keys // vocabulary
    order = np.lexsort((first, -counts, owner))
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return (keys % vocabulary)[order], owner, starts, number[vertex]


def _edges(
    heads: NDArray[np.int64], rows: NDArray[np.int64], count: int, span: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Neighbours of all vertices end to end, heaviest edges first, and where those of each begin (n + 1,)."""
    sources, targets, weights = [], [], []
    for distance in range(1, span):
        one, other = heads[:-distance], heads[distance:]
        joined = (rows[:-distance] == rows[distance:]) & (one != other)
        one, other = one[joined], other[joined]
        sources += [one, other]
        targets += [other, one]
        weights.append(np.full(2 * len(one), span - distance))
    if not sources:
        return np.empty(0, np.int64), np.zeros(count + 1, np.int64)
    pairs, place = np.unique(np.concatenate(sources) * count + np.concatenate(targets), return_inverse=True)
    heavy = np.bincount(place, weights=np.concatenate(weights), minlength=len(pairs))
    source, target = pairs // count, pairs % count
    order = np.lexsort((target, -heavy, source))
    begins = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=count), out=begins[1:])
    return target[order], begins


def _walks(
    roots: NDArray[np.int64], neighbours: NDArray[np.int64], begins: NDArray[np.int64], length: int, revisit: bool
) -> NDArray[np.int64]:
    """Breadth-first walks (r, K) from each of ``roots``, all at once; -1 where a walk has ended.

    A walk of s vertices has met at most s - 1 neighbours of the vertex that it leaves, and takes K - s at most: the
    first K - 1 neighbours are enough.
    """
    walks = np.full((len(roots), length), -1, dtype=np.int64)
    walks[:, 0] = roots
    sizes = np.ones(len(roots), dtype=np.int64)
    ahead = np.arange(length - 1)
    for step in range(length - 1):
        going = np.flatnonzero((sizes < length) & (step < sizes))
        if len(going) == 0:
            break
        at = walks[going, step]
        found = ahead < (begins[at + 1] - begins[at])[:, None]  # (g, K - 1)
        near = np.full(found.shape, -1, dtype=np.int64)
        near[found] = neighbours[(begins[at][:, None] + ahead)[found]]
        if not revisit:
            found &= ~(near[:, :, None] == walks[going][:, None, :]).any(axis=2)
        places = sizes[going][:, None] + np.cumsum(found, axis=1) - 1
        found &= places < length
        walk, column = np.nonzero(found)
        walks[going[walk], places[walk, column]] = near[walk, column]
        sizes[going] += found.sum(axis=1)
    return walks
