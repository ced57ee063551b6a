"""The closed label set with the greatest expected hierarchical F1 of each document.

The true label set Y of a document is taken to be random, with the probabilities of the labels as a Markov chain along
the taxonomy: a label without parents is in Y with its probability p, and a label c below a member of Y is in Y with
p(c | parent) = min(1, p_c / p_parent), independently of its siblings. Y is then closed upward. Of a label set S,

    E[F1(S, Y)] = Σ_{i in S} g_i(|S|),   g_i(s) = E[ 2 · 1(i in Y) / (s + |Y|) ]
    E[F1(∅, Y)] = P(Y = ∅)                                                 two empty sets agree

A parent is in Y whenever its child is, so that g_parent(s) >= g_child(s): the s labels of greatest gain are a closed
set, and the best closed set of each size is found by sorting. That is exact (Dembczyński et al. 2011 give the same
argument for flat label sets; Plaud et al. 2025 ask for the set in the hierarchical case). For the gains, the size of Y
goes into generating functions, and 1 / (s + |Y|) into an integral:

    g_i(s) = 2 ∫_0^1 x^(s-1) G_i(x) dx,   G_i(x) = E[ 1(i in Y) x^|Y| ]
    A_i(x) = x Π_{children c} f_c(x),     f_c(x) = 1 − q_c + q_c A_c(x),    q_c = p(c | parent)        from below
    G_c(x) = G_parent(x) q_c A_c(x) / f_c(x)                                                          from above

G_i is a polynomial with coefficients that are not negative. Gauss-Legendre quadrature with K nodes is exact up to
s + |Y| = 2 K, and good to nine digits up to (K / 2.4)². K is 24, or more where larger sets are expected. All labels of
a level are one step, of all documents together.

**Labels with several parents.** A joint distribution over the closed sets of a graph has no such recursion. In each
document a label then depends on the least probable of its parents (of equal ones the deepest, then the first), and G of
an ancestor is raised to that of its descendants, since it must be in Y with them. The chosen set is closed, but it
need not be the very best one.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.consistency import Propagation
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, as_sets, keys, row_of_entry

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

LEAST = 1e-6
"""Probabilities up to it count as 0."""
FEWEST_NODES = 24
_PAIRS_AT_ONCE = 1 << 14
"""(Document, label) pairs whose polynomials are held together: a few arrays of 3 MB, which caches hold."""
_TIE = 1e-12
"""Expected values closer than this count as equal; the smaller set is taken."""


class ExpectedF1:
    """Chooses label sets; see the module.

    Args:
        taxonomy: the N labels.
        eligible: (N,) bool, labels that may be chosen; None: all. The others still count as members of Y.
    """

    def __init__(self, taxonomy: Taxonomy, eligible: BoolArray | None = None) -> None:
        parents, children = np.asarray(taxonomy.edge_index, dtype=np.int64)
        order = np.lexsort((parents, children))
        self._parents = parents[order]
        self._starts = np.searchsorted(children[order], np.arange(len(taxonomy) + 1))
        self._several = bool((np.diff(self._starts) > 1).any())
        self._level = np.asarray(taxonomy.levels, dtype=np.int64)
        self._eligible = np.ones(len(taxonomy), dtype=np.bool_) if eligible is None else eligible
        self._propagation = Propagation(taxonomy)

    def __call__(self, block: ScoreBlock, *, most: int | None = None, some: bool = False) -> Sets:
        """Return the label sets of a block of probabilities, (b, N) bool CSR, closed among the eligible labels.

        Args:
            block: dense, or sparse: then what is no candidate has the probability 0.
            most: labels of a set at most; None: no limit.
            some: whether the empty set is out of the question, where any eligible label has a probability.
        """
        return self.choose(block, most=most, some=some)[0]

    def choose(self, block: ScoreBlock, *, most: int | None = None, some: bool = False) -> tuple[Sets, FloatArray]:
        """As a call, and the expected F1 of each chosen set, (b,)."""
        likely = _entries(self._propagation.down(block))
        ends = np.searchsorted(
            likely.indptr, np.arange(_PAIRS_AT_ONCE, likely.nnz + _PAIRS_AT_ONCE, _PAIRS_AT_ONCE), "right"
        )
        found, values, first = [], [], 0
        for end in [*(ends - 1).tolist(), likely.shape[0]]:
            last = min(max(end, first + 1), likely.shape[0])
            if last > first:
                part, value = self._chosen(likely[first:last], most, some)
                found.append(part)
                values.append(value)
                first = last
        if not found:
            return as_sets(csr_array(likely.shape, dtype=np.bool_)), np.zeros(0)
        return as_sets(vstack(found, format="csr")), np.concatenate(values)

    def _chosen(self, likely: Any, most: int | None, some: bool) -> tuple[Sets, FloatArray]:
        rows, documents = row_of_entry(likely), likely.shape[0]
        expected = np.bincount(rows, weights=likely.data, minlength=documents).max()
        x, weights = _quadrature(max(FEWEST_NODES, math.ceil(2.4 * math.sqrt(4 * expected))))
        tilted, empty = self._tilted(likely, rows, x)  # (P, K), (b,)
        # Level by level within a document, so that of equal gains the upper label comes first.
        order = np.lexsort((likely.indices, self._level[likely.indices], rows))
        order = order[self._eligible[likely.indices[order]]]
        rows, labels, tilted = rows[order], likely.indices[order], tilted[order] * (2 * weights)
        sizes = np.bincount(rows, minlength=documents)
        place = np.arange(rows.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        best, value = np.zeros(documents, dtype=np.int64), empty.copy()
        if some:
            value[sizes > 0] = -1.0
        limit = sizes if most is None else np.minimum(sizes, most)
        _search(tilted, x, rows, place, limit, best, value)
        # The gains for the size found, and the labels of greatest gain.
        gains = np.full((documents, int(sizes.max(initial=0))), -1.0)
        gains[rows, place] = (tilted * x ** (best[rows, None] - 1.0)).sum(1)
        rank = np.empty_like(gains, dtype=np.int64)
        np.put_along_axis(rank, np.argsort(-gains, axis=1, kind="stable"), np.arange(gains.shape[1])[None], axis=1)
        kept = rank[rows, place] < best[rows]
        chosen = csr_array((np.ones(kept.sum(), np.bool_), (rows[kept], labels[kept])), shape=likely.shape)
        return as_sets(chosen), value

    def _tilted(self, likely: Any, rows: IntArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """G of each entry at each node, (P, K), and the probability that Y is empty, (b,)."""
        labels, chance = likely.indices.astype(np.int64), likely.data.astype(np.float64)
        entry, above = self._above(likely, rows)  # pairs of entries: below, above
        parent = np.full(labels.size, -1, dtype=np.int64)
        if self._several:
            order = np.lexsort((labels[above], -self._level[labels[above]], chance[above], entry))
            first = np.flatnonzero(np.diff(entry[order], prepend=-1))
            parent[entry[order][first]] = above[order][first]
        else:
            parent[entry] = above
        given = np.where(parent >= 0, chance / np.where(parent >= 0, chance[parent], 1.0), chance)
        given = np.minimum(given, 1.0)[:, None]  # q
        inner = np.tile(x, (labels.size, 1))  # A, then q A / f
        levels = [
            np.flatnonzero(self._level[labels] == level) for level in range(int(self._level.max(initial=0)), 0, -1)
        ]
        factors = np.ones((likely.shape[0], x.size))
        for chosen in levels:
            if not chosen.size:
                continue
            joint = given[chosen] * inner[chosen]
            factor = (1 - given[chosen]) + joint  # f
            # 0 / 0: a label that is certain given its parent, with a subtree so large that x^size underflows to 0.
            inner[chosen] = np.divide(joint, factor, out=np.ones_like(joint), where=factor > 0)
            top = parent[chosen] < 0
            _multiply(factors, rows[chosen[top]], factor[top])
            _multiply(inner, parent[chosen[~top]], factor[~top])
        tops = parent < 0
        inner[tops] *= factors[rows[tops]]
        for chosen in levels[::-1]:
            below = chosen[parent[chosen] >= 0]
            inner[below] *= inner[parent[below]]
        if self._several:
            self._raised(inner, entry, above, labels)
        empty = np.ones(likely.shape[0])
        np.multiply.at(empty, rows[tops], 1 - np.minimum(chance[tops], 1.0))
        return inner, empty

    def _above(self, likely: Any, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Pairs of entries of one document, the second a parent of the first: (E,) positions each."""
        labels = likely.indices.astype(np.int64)
        counts = np.diff(self._starts)[labels]
        entry = np.repeat(np.arange(labels.size), counts)
        within = np.arange(entry.size) - np.repeat(np.cumsum(counts) - counts, counts)
        parents = self._parents[self._starts[labels[entry]] + within]
        # The entries are closed upward: every parent is there.
        return entry, np.searchsorted(keys(likely), rows[entry] * np.int64(likely.shape[1]) + parents)

    def _raised(self, tilted: FloatArray, entry: IntArray, above: IntArray, labels: IntArray) -> None:
        """Raise the values of ancestors to those of their descendants, from the lowest level up."""
        level = self._level[labels[entry]]
        for step in range(int(self._level.max(initial=0)), 1, -1):
            chosen = np.flatnonzero(level == step)
            if chosen.size:
                chosen = chosen[np.argsort(above[chosen], kind="stable")]
                targets, starts = np.unique(above[chosen], return_index=True)
                found = np.maximum.reduceat(tilted[entry[chosen]], starts, axis=0)
                tilted[targets] = np.maximum(tilted[targets], found)


@cache
def _quadrature(count: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of Gauss-Legendre quadrature on 0..1, (K,) each."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def _search(
    tilted: FloatArray,
    x: FloatArray,
    rows: IntArray,
    place: IntArray,
    limit: IntArray,
    best: IntArray,
    value: FloatArray,
) -> None:
    """Try sizes from 1 on, and write the best one and its expected F1 into ``best`` and ``value``."""
    power = np.ones_like(x)  # x^(s - 1)
    active = np.flatnonzero(limit > 0)
    size = 0
    while active.size:
        size += 1
        of_active = np.zeros(limit.size, dtype=np.bool_)
        of_active[active] = True
        kept = of_active[rows]
        if not kept.all():
            rows, place, tilted = rows[kept], place[kept], tilted[kept]
        position = np.cumsum(of_active) - 1
        gains = np.zeros((active.size, int(place.max()) + 1))
        gains[position[rows], place] = tilted @ power
        power = power * x
        whole = gains.sum(1)  # no set of this size or a larger one is expected to do better
        if size < gains.shape[1]:
            gains = -np.partition(-gains, size - 1, axis=1)[:, :size]
        found = gains.sum(1)
        better = found > value[active] + _TIE
        best[active[better]], value[active[better]] = size, found[better]
        active = active[(limit[active] > size) & (whole > value[active] + _TIE)]


def _entries(block: ScoreBlock) -> Any:
    """The probabilities of a block above :data:`LEAST`, CSR, sorted."""
    if block.is_sparse:
        found: Any = block.candidates.copy()
        found.data = np.where(found.data > LEAST, found.data, np.float32(0))
        found.eliminate_zeros()
        return found
    rows, columns = np.nonzero(block.dense > LEAST)
    indptr = np.searchsorted(rows, np.arange(len(block) + 1))
    return csr_array((block.dense[rows, columns], columns.astype(np.int64), indptr), shape=block.shape)


def _multiply(target: FloatArray, rows: NDArray[np.int64], factors: FloatArray) -> None:
    """Multiply rows of ``target`` (.., K) by factors (P, K); a row may come more than once."""
    if rows.size:
        order = np.argsort(rows, kind="stable")
        found, starts = np.unique(rows[order], return_index=True)
        target[found] *= np.multiply.reduceat(factors[order], starts, axis=0)
