"""Coding trees: labels grouped into a tree of fixed height that has little structural entropy.

Used by HiTIN (Zhu et al., ACL 2023). The graph G has the labels as vertices and an edge for each pair of parent and
child, without directions. A coding tree T has the labels as leaves. With vol(a) the sum of the degrees of the labels
under node a, and g(a) the number of edges that leave them,

    H(T) = - sum over nodes a other than the root of g(a) / vol(G) * log2(vol(a) / vol(parent of a))

(Li and Pan, *Structural Information and Dynamical Complexity of Networks*, 2016). The greedy construction is that of
SEP (Wu et al. 2022), which HiTIN uses: merge pairs of neighbours to a binary tree, take inner nodes out until its
height is 2, then add levels one by one, at the leaves or at the root.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, log2
from typing import TYPE_CHECKING

import numpy as np

from taxotext.labels import graph
from taxotext.labels.graph import Int64Array

if TYPE_CHECKING:
    from taxotext.labels.taxonomy import Taxonomy

Neighbours = Sequence[Mapping[int, int]]
"""For each vertex its neighbours and the number of edges to them."""


@dataclass(frozen=True, eq=False)
class CodingTree:
    """A tree over N labels in which all leaves have the same depth."""

    # one int64 array for each layer below the root, the leaves first: the position of each node's parent in the layer
    # above. Layer 0 has the labels in the order of the taxonomy.
    parents: tuple[Int64Array, ...]
    entropy: float  # H(T) in bits; 0 for a label set without edges

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of nodes of each layer, from the leaves to the root."""
        return (*(len(layer) for layer in self.parents), 1)


def coding_tree(taxonomy: Taxonomy, height: int = 2) -> CodingTree:
    """Build the coding tree of a taxonomy.

    The tree depends on ids and edges only, not on the order of the labels: ties go to labels of upper levels, then to
    the smaller id. A label without edges is a cluster of its own on each layer.

    Args:
        taxonomy: N >= 1 labels.
        height: k >= 1, edges between a leaf and the root.

    Raises:
        ValueError: for a height below 1 or a taxonomy without labels.

    >>> from taxotext.labels import Taxonomy
    >>> star = Taxonomy.from_edges([(None, "a"), ("a", "b"), ("a", "c"), ("a", "d"), ("a", "e")])
    >>> coding_tree(star).sizes
    (5, 3, 1)
    """
    if height < 1 or len(taxonomy) == 0:
        raise ValueError(f"a coding tree of height {height} over {len(taxonomy)} labels does not exist")
    ids, levels = taxonomy.ids, taxonomy.levels.tolist()
    order = sorted(range(len(taxonomy)), key=lambda label: (levels[label], ids[label]))
    place = {label: position for position, label in enumerate(order)}
    neighbours: list[dict[int, int]] = [{} for _ in order]
    for parent, child in taxonomy.edge_index.T.tolist():
        neighbours[place[parent]][place[child]] = neighbours[place[child]][place[parent]] = 1
    layers, entropy = _Builder(neighbours).build(height)
    leaves = np.empty(len(order), dtype=np.int64)
    leaves[order] = layers[0]  # from the sorted labels back to the taxonomy's order
    arrays = (leaves, *(np.asarray(layer, dtype=np.int64) for layer in layers[1:]))
    for array in arrays:
        graph.frozen(array)
    return CodingTree(arrays, entropy)


class _Builder:
    """Layers of a coding tree, each given by the parents of its nodes; built from the bottom or from the top."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.neighbours = neighbours
        self.degrees = [sum(row.values()) for row in neighbours]
        self.volume = sum(self.degrees)

    def build(self, height: int) -> tuple[list[list[int]], float]:
        """Parents of each layer, and H."""
        count = len(self.neighbours)
        if height == 1:
            layers = [[0] * count]
        else:
            found = two_levels(self.degrees, self.degrees, self.neighbours, self.volume)
            layers = [_owners(found, count), [0] * len(found)]
        while len(layers) < height:
            lower, gain = self._leaf_up(layers[0])
            upper, other = self._root_down(layers)
            if upper is not None and gain < other:
                layers = [*layers[:-1], _owners(upper, len(layers[-1])), [0] * len(upper)]
            else:
                owners = _owners(lower, count)
                layers = [owners, [layers[0][members[0]] for members in lower], *layers[1:]]
        return layers, self._entropy(layers)

    def _leaf_up(self, clusters: Sequence[int]) -> tuple[list[list[int]], float]:
        """Split each cluster of leaves anew; the clusters of leaves between, and the entropy that this saves per leaf.

        Clusters of fewer than three leaves get one node above each leaf.
        """
        found: list[list[int]] = []
        saved = 0.0
        for members in _members(clusters):
            if len(members) < 3:
                found += [[leaf] for leaf in members]
                continue
            total = sum(self.degrees[leaf] for leaf in members)
            place = {leaf: position for position, leaf in enumerate(members)}
            inner = [
                {place[other]: edges for other, edges in self.neighbours[leaf].items() if other in place}
                for leaf in members
            ]
            degrees = [sum(row.values()) for row in inner]
            parts = two_levels(degrees, degrees, inner, sum(degrees))
            saved += sum(self._term(self.degrees[leaf], self.degrees[leaf], total) for leaf in members)
            for part in parts:
                leaves = [members[position] for position in part]
                volume, cut = self._cluster(leaves)
                saved -= self._term(cut, volume, total)
                saved -= sum(self._term(self.degrees[leaf], self.degrees[leaf], volume) for leaf in leaves)
                found.append(leaves)
        return sorted(found), saved / len(clusters)

    def _root_down(self, layers: Sequence[Sequence[int]]) -> tuple[list[list[int]] | None, float]:
        """Join the children of the root to clusters, and the entropy that this saves per child."""
        count = len(layers[-1])
        if count < 3:
            return None, 0.0
        top = list(range(len(layers[0])))
        for layer in layers[:-1]:
            top = [layer[node] for node in top]
        between: list[dict[int, int]] = [{} for _ in range(count)]
        volumes, cuts = [0] * count, [0] * count
        for leaf, row in enumerate(self.neighbours):
            volumes[top[leaf]] += self.degrees[leaf]
            for other, edges in row.items():
                if top[other] != top[leaf]:
                    cuts[top[leaf]] += edges
                    between[top[leaf]][top[other]] = between[top[leaf]].get(top[other], 0) + edges
        found = two_levels(volumes, cuts, between, self.volume)
        saved = sum(self._term(cuts[node], volumes[node], self.volume) for node in range(count))
        for members in found:
            volume = sum(volumes[node] for node in members)
            together = set(members)
            inside = sum(edges for node in members for other, edges in between[node].items() if other in together)
            saved -= self._term(sum(cuts[node] for node in members) - inside, volume, self.volume)
            saved -= sum(self._term(cuts[node], volumes[node], volume) for node in members)
        return found, saved / count

    def _cluster(self, leaves: Sequence[int]) -> tuple[int, int]:
        """Return vol and g of some leaves."""
        inside = set(leaves)
        volume = sum(self.degrees[leaf] for leaf in leaves)
        kept = sum(edges for leaf in leaves for other, edges in self.neighbours[leaf].items() if other in inside)
        return volume, volume - kept

    def _term(self, cut: int, volume: int, above: int) -> float:
        return -(cut / self.volume) * log2(volume / above) if cut else 0.0

    def _entropy(self, layers: Sequence[Sequence[int]]) -> float:
        total = 0.0
        nodes = list(range(len(self.neighbours)))  # of each leaf, the node above it on the layer at hand
        for layer in layers:
            above = [layer[node] for node in nodes]
            volumes: dict[int, int] = {}
            for leaf, node in enumerate(above):
                volumes[node] = volumes.get(node, 0) + self.degrees[leaf]
            for members in _members(nodes):
                volume, cut = self._cluster(members)
                total += self._term(cut, volume, volumes[above[members[0]]])
            nodes = above
        return total


def two_levels(volumes: Sequence[int], cuts: Sequence[int], neighbours: Neighbours, total: int) -> list[list[int]]:
    """Group vertices into the clusters of a coding tree of height 2.

    Args:
        volumes: vol of each vertex.
        cuts: g of each vertex.
        neighbours: of each vertex, symmetric.
        total: vol(G).

    Returns:
        Clusters of ascending vertices, sorted by their first one.
    """
    tree = _BinaryTree(volumes, cuts, neighbours, total)
    tree.merge()
    tree.compress(2)
    return sorted(sorted(members) for members in tree.clusters())


class _BinaryTree:
    """The binary merge and its compression; nodes are numbered in the order of their making, vertices first."""

    def __init__(self, volumes: Sequence[int], cuts: Sequence[int], neighbours: Neighbours, total: int) -> None:
        count = len(volumes)
        self.count, self.total = count, total
        self.volume, self.cut = list(volumes), list(cuts)
        self.inner = [0] * count  # edges within a node that are within none of its children
        self.height = [0] * count
        self.parent = [-1] * count
        self.children: list[set[int]] = [set() for _ in range(count)]
        self.near: list[dict[int, int]] = [dict(row) for row in neighbours]  # of nodes that are not merged yet
        self.root = -1

    def merge(self) -> None:
        """Join the two neighbours whose parent lowers the entropy most, until none are left; the rest get one root."""
        heap: list[tuple[float, int, int, int, list[int]]] = []

        def push(node: int, others: Iterable[int]) -> None:
            # Neighbours of equal volume, cut and edges gain the same: of those the smallest stands for all. Else each
            # merge of a label with thousands of children would push all that are left, millions in total.
            alike: dict[tuple[int, int, int], list[int]] = {}
            near = self.near[node]
            for other in others:
                alike.setdefault((self.volume[other], self.cut[other], near[other]), []).append(other)
            for (_, _, edges), group in alike.items():
                group.sort(reverse=True)
                heapq.heappush(heap, (self._gain(group[-1], node, edges), group[-1], node, edges, group))

        for node in range(self.count):
            push(node, [other for other in self.near[node] if other < node])
        while heap:
            gain, i, j, edges, group = heapq.heappop(heap)
            if self.parent[j] >= 0:
                continue
            if self.parent[i] >= 0:
                while group and self.parent[group[-1]] >= 0:
                    group.pop()
                if group:
                    heapq.heappush(heap, (gain, group[-1], j, edges, group))
                continue
            new = self._add([i, j], self.volume[i] + self.volume[j], self.cut[i] + self.cut[j] - 2 * edges, edges)
            small, large = sorted((self.near[i], self.near[j]), key=len)
            for other, many in small.items():
                large[other] = large.get(other, 0) + many
            large.pop(i, None)
            large.pop(j, None)
            self.near[i] = self.near[j] = {}
            self.near[new] = large
            for other, many in large.items():
                row = self.near[other]
                row.pop(i, None)
                row.pop(j, None)
                row[new] = many
            push(new, large)
        loose = [node for node, above in enumerate(self.parent) if above < 0]
        self.root = loose[0] if len(loose) == 1 and self.children[loose[0]] else self._add(loose, self.total, 0, 0)

    def compress(self, height: int) -> None:
        """Take out the inner node that costs least entropy, of those on paths that are too long, until none is."""
        heap: list[tuple[float, int, int]] = []
        stamp: dict[int, int] = {}

        def push(node: int) -> None:
            if node != self.root and self.height[node] > 0:
                stamp[node] = stamp.get(node, 0) + 1
                above = self.volume[self.parent[node]]
                cost = self.inner[node] * log(above / self.volume[node])
                heapq.heappush(heap, (cost, node, stamp[node]))

        for node in range(len(self.volume)):
            push(node)
        while self.height[self.root] > height:
            _, node, made = heapq.heappop(heap)
            if stamp[node] != made or not self._on_longer_path(node, height):  # paths get shorter: it never comes back
                continue
            above = self.parent[node]
            moved = self.children[node]
            self.inner[above] += self.inner[node]
            self.children[above].discard(node)
            self.children[above] |= moved
            stamp[node] += 1
            for child in moved:
                self.parent[child] = above
                push(child)
            push(above)
            self._lower(above)

    def clusters(self) -> Iterator[list[int]]:
        """The vertices under each child of the root."""
        for child in self.children[self.root]:
            yield list(self.children[child]) if self.children[child] else [child]

    def _gain(self, i: int, j: int, edges: int) -> float:
        one, other = self.volume[i], self.volume[j]
        both = one + other
        inside = (one - self.cut[i]) * log2(both / one) + (other - self.cut[j]) * log2(both / other)
        return (inside - 2 * edges * log2(self.total / both)) / self.total

    def _add(self, children: Sequence[int], volume: int, cut: int, inner: int) -> int:
        new = len(self.volume)
        self.volume.append(volume)
        self.cut.append(cut)
        self.inner.append(inner)
        self.height.append(1 + max(self.height[child] for child in children))
        self.parent.append(-1)
        self.children.append(set(children))
        self.near.append({})
        for child in children:
            self.parent[child] = new
        return new

    def _on_longer_path(self, node: int, edges: int) -> bool:
        """Whether a path from the root to a leaf through a node has more edges."""
        length = self.height[node]
        while node != self.root and length <= edges:
            node = self.parent[node]
            length += 1
        return length > edges

    def _lower(self, node: int) -> None:
        """Heights of a node that lost a child, and of those above it."""
        while node >= 0:
            height = 1 + max(self.height[child] for child in self.children[node])
            if height == self.height[node]:
                return
            self.height[node] = height
            node = self.parent[node]


def _owners(clusters: Sequence[Sequence[int]], count: int) -> list[int]:
    owners = [0] * count
    for cluster, members in enumerate(clusters):
        for node in members:
            owners[node] = cluster
    return owners


def _members(owners: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(max(owners) + 1)]
    for node, owner in enumerate(owners):
        found[owner].append(node)
    return found
