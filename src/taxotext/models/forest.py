"""A random forest for two classes, fitted by scikit-learn and kept as plain arrays: no pickle, no private format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taxotext.files.tensors import Tensors, numbers

ROWS_TOGETHER = 1 << 16


@dataclass(frozen=True)
class Forest:
    """Trees one behind the other; a node is a leaf where ``left`` is 0, which is never a child."""

    roots: NDArray[np.int32]  # (trees,) int32, first node of each tree
    feature: NDArray[np.int32]  # (nodes,) int32, column that a node looks at
    threshold: NDArray[np.float64]  # (nodes,) float64; rows at most as large go left
    # left, right: (nodes,) int32, children
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]  # (nodes,) float32, share of positives

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of the positive class for each row (R, F) -> (R,)."""
        result = np.zeros(len(rows), dtype=np.float32)
        for start in range(0, len(rows), ROWS_TOGETHER):
            part = rows[start : start + ROWS_TOGETHER]
            for root in self.roots.tolist():
                result[start : start + len(part)] += self.value[self._leaves(part, root)]
        return result / np.float32(max(len(self.roots), 1))

    def _leaves(self, rows: NDArray[np.float32], root: int) -> NDArray[np.int32]:
        node = np.full(len(rows), root, dtype=np.int32)
        open_rows = np.arange(len(rows)) if self.left[root] else np.arange(0)
        while len(open_rows):
            at = node[open_rows]
            goes_left = rows[open_rows, self.feature[at]] <= self.threshold[at]
            node[open_rows] = np.where(goes_left, self.left[at], self.right[at])
            open_rows = open_rows[self.left[node[open_rows]] > 0]
        return node

    def tensors(self) -> Tensors:
        """The arrays by name, for a safetensors file."""
        return {f"forest.{name}": getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_tensors(cls, tensors: Tensors, features: int) -> Forest:
        """Read what :meth:`tensors` gave.

        Args:
            features: F, columns that a node may look at.

        Raises:
            ValueError: an array is missing, or its indices lead outside or in circles.
        """
        nodes = tensors["forest.value"].shape if "forest.value" in tensors else (0,)
        roots = tensors["forest.roots"].shape if "forest.roots" in tensors else (0,)
        forest = cls(
            numbers(tensors, "forest.roots", roots, np.int32),
            numbers(tensors, "forest.feature", nodes, np.int32),
            numbers(tensors, "forest.threshold", nodes, np.float64),
            numbers(tensors, "forest.left", nodes, np.int32),
            numbers(tensors, "forest.right", nodes, np.int32),
            numbers(tensors, "forest.value", nodes, np.float32),
        )
        places = np.arange(*nodes)
        inner = forest.left > 0
        ends = np.concatenate([forest.left[inner], forest.right[inner]])
        after = (forest.left[inner] > places[inner]) & (forest.right[inner] > places[inner])  # so every walk ends
        sound = after.all() and (ends < len(places)).all() and (forest.left >= 0).all()
        sound = sound and ((forest.roots >= 0) & (forest.roots < len(places))).all()
        if not sound or ((forest.feature < 0) | (forest.feature >= features)).any():
            raise ValueError("the nodes of the forest do not fit together")
        if ((forest.value < 0) | (forest.value > 1)).any():
            raise ValueError("'forest.value' holds values that are not probabilities")
        return forest


def fit_forest(
    rows: NDArray[np.float32],
    gold: NDArray[np.bool_],
    *,
    trees: int,
    leaves: int,
    rows_of_a_leaf: int,
    seed: int,
    threads: int,
    progress: Callable[[int], None] | None = None,
) -> Forest:
    """Fit a random forest.

    Args:
        rows: (R, F).
        gold: (R,); one class alone is allowed.
        leaves: of a tree at most.
        rows_of_a_leaf: at least.
        threads: trees that grow at the same time.
    """
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        min_samples_leaf=rows_of_a_leaf,
        max_leaf_nodes=leaves,
        warm_start=True,
        random_state=seed,
        n_jobs=threads,
    )
    for size in range(threads, trees + threads, threads):  # some at a time, for the bar
        more = min(size, trees) - model.n_estimators if size > threads else min(size, trees)
        model.set_params(n_estimators=min(size, trees))
        model.fit(rows, gold)
        if progress is not None:
            progress(more)
    parts = [estimator.tree_ for estimator in model.estimators_]
    starts = np.cumsum([0, *(part.node_count for part in parts)])
    positive = int(np.flatnonzero(model.classes_)[0]) if model.classes_.any() else None
    shares = [
        np.zeros(part.node_count) if positive is None else part.value[:, 0, positive] / part.value[:, 0].sum(axis=1)
        for part in parts
    ]
    inner = [part.children_left > 0 for part in parts]
    return Forest(
        starts[:-1].astype(np.int32),
        np.concatenate([np.where(mask, part.feature, 0) for part, mask in zip(parts, inner, strict=True)]).astype(
            np.int32
        ),
        np.concatenate([np.where(mask, part.threshold, 0.0) for part, mask in zip(parts, inner, strict=True)]),
        _children([part.children_left for part in parts], inner, starts),
        _children([part.children_right for part in parts], inner, starts),
        np.concatenate(shares).astype(np.float32),
    )


def _children(
    parts: list[NDArray[np.int64]], inner: list[NDArray[np.bool_]], starts: NDArray[np.int64]
) -> NDArray[np.int32]:
    moved = [np.where(mask, part + start, 0) for part, mask, start in zip(parts, inner, starts[:-1], strict=True)]
    return np.concatenate(moved).astype(np.int32)
