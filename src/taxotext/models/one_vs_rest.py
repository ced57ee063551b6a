"""One linear classifier for each label, many labels at a time. No torch is imported.

    minimise  ½ ‖w_l‖² + C Σ_i v_il loss(y_il w_l · x_i)        x_i ends in a 1, whose coefficient is the intercept

With the squared hinge a document beyond the margin (y f > 1) adds nothing: where a label has a few documents, 1 to 10 %
of the others decide its classifier. So a classifier is fitted on its *active* documents, those of the label and the
most similar others; one product with all documents then shows which of the others violate the margin; those join, until
there is none. What comes out is the solution over all documents, to the tolerance of the solver (chunking: Osuna,
Freund & Girosi 1997; Joachims 1999).

Only the products are made for many labels at a time: liblinear takes longer over several problems in one call than
over one after the other, and it copies no more than the active documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

NEVER = -1e4
"""Intercept of a label without training documents: its probability is 0."""

TOLERANCE = 1e-3
"""Of the solver, and of the margin of the documents that it did not see."""

GROUP = 16
"""Labels that are multiplied with the documents together at most."""

GROUP_COEFFICIENTS = 2**22
"""Their coefficients at most, unless those of a single label are more: 16 MB."""

NEAREST, NEAREST_PER_DOCUMENT = 800, 10
"""Documents without a label that are active first: so many, and so many more for each document with it."""

SLACK = 0.02
"""Documents that are so far beyond the margin stop being active."""

DROPPING = 3
"""Rounds in which documents may leave; later the active ones only become more, which ends."""


@dataclass(frozen=True)
class Group:
    """Classifiers of G labels, and what they say of documents that they were not fitted on."""

    labels: NDArray[np.int64]  # int64 (G,)
    coefficients: csr_array  # float32 (G, V), pruned
    intercepts: NDArray[np.float32]  # float32 (G,)
    held_out: NDArray[np.float32] | None  # float32 (D, G) decision values by cross-fitting; None without folds


class OneVsRest:
    """Fits classifiers over the same documents.

    Args:
        features: float32 (D, V).
        targets: bool (D, N).
        weights: of the documents (D,); those of weight 0 are left out.
        loss, c, balance, prune: as in ``classifier.*`` of ``linear``.
        positive_weights: what a document of each label weighs (N,), in place of ``balance``; or None.
    """

    def __init__(
        self,
        features: csr_array,
        targets: csr_array,
        weights: NDArray[np.float32] | None,
        *,
        loss: Literal["squared_hinge", "logistic"],
        c: float,
        balance: float,
        prune: float,
        positive_weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._features = with_ones(features)
        self._mean = np.asarray(self._features.mean(axis=0), dtype=np.float32).ravel()
        self._targets = targets.tocsc()
        self._weights = weights
        self._loss, self._c, self._balance, self._prune = loss, c, balance, prune
        self._positive_weights = positive_weights

    def groups(self) -> list[NDArray[np.int64]]:
        """The labels, in groups that :meth:`fit` takes; the same on every machine."""
        labels, width = self._targets.shape[1], self._features.shape[1]
        size = max(1, min(GROUP, GROUP_COEFFICIENTS // width, -(-labels // GROUP)))
        return [np.arange(begin, min(begin + size, labels)) for begin in range(0, labels, size)]

    def fit(self, labels: NDArray[np.int64], folds: Sequence[NDArray[np.int64]] = ()) -> Group:
        """Fit the classifiers of a group on all documents, and for ``held_out`` on all but each of the ``folds``."""
        from sklearn import config_context

        # Of the same documents again and again: the checks would take longer than many a fit.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            return self._fit(labels, folds)

    def _fit(self, labels: NDArray[np.int64], folds: Sequence[NDArray[np.int64]]) -> Group:
        gold = np.asfortranarray(self._targets[:, labels].toarray())
        usable = np.ones(len(gold), dtype=bool) if self._weights is None else self._weights > 0
        own = None if self._positive_weights is None else self._positive_weights[labels]
        found, margins = self._solve(gold, usable, None, own)
        held_out = np.empty(gold.shape, dtype=np.float32) if len(folds) else None
        for fold in folds:
            rest = usable.copy()
            rest[fold] = False
            # Where to begin does not change where the solver ends: nothing of the fold gets into its classifiers.
            part, _ = self._solve(gold, rest, margins < 1 + SLACK, own)
            assert held_out is not None
            held_out[fold] = self._features[fold] @ self._pruned(part)
        rows = csr_array(self._pruned(found)[:-1].T)
        return Group(labels, rows, found[-1].copy(), held_out)

    def _pruned(self, coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
        """Without the small ones, (V + 1, G); an intercept is never small."""
        small = np.abs(coefficients) <= self._prune
        small[-1] = False
        return np.where(small, np.float32(0), coefficients)

    def _solve(
        self,
        gold: NDArray[np.bool_],
        usable: NDArray[np.bool_],
        begin: NDArray[np.bool_] | None,
        positive_weights: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coefficients (V + 1, G) and margins y f (D, G) of the classifiers of ``gold`` (D, G) over usable documents.

        ``begin`` (D, G) marks documents that are active first; None: the most similar ones. ``positive_weights`` (G,):
        of documents of the labels, in place of the balance.
        """
        coefficients = np.zeros((self._features.shape[1], gold.shape[1]), dtype=np.float32)
        margins = np.full(gold.shape, np.inf, dtype=np.float32, order="F")
        positives = gold[usable].sum(axis=0)
        learned = (positives > 0) & (positives < usable.sum())
        coefficients[-1] = np.where(learned, 0, np.where(positives > 0, -NEVER, NEVER))
        left = np.flatnonzero(learned)
        if self._loss != "squared_hinge":  # every document counts
            active = np.repeat(usable[:, None], len(positives), axis=1)
        else:
            active = self._first(gold, usable, left) if begin is None else begin & usable[:, None]
            active[:, left] |= self._rarer(gold[:, left], usable)
        for turn in range(len(gold)):
            if not len(left):
                break
            for at in left:
                weight = None if positive_weights is None else float(positive_weights[at])
                coefficients[:, at] = self._call(np.flatnonzero(active[:, at]), gold[:, at], usable, weight)
            values = self._features @ np.ascontiguousarray(coefficients[:, left])
            margins[:, left] = np.where(gold[:, left], values, -values)
            left = left[[self._activate(active[:, at], margins[:, at], usable, turn) for at in left]]
        return coefficients, margins

    def _first(self, gold: NDArray[np.bool_], usable: NDArray[np.bool_], left: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The documents most similar to those on the rarer side of each label, or all where that would be most."""
        active = np.zeros(gold.shape, dtype=bool, order="F")
        if not len(left):
            return active
        rarer = self._rarer(gold[:, left], usable)
        # Away from the mean of all: else long and common texts are the most similar to every label.
        directions = (self._features.T @ csr_array(rarer.astype(np.float32))).toarray() / rarer.sum(axis=0)
        directions -= self._mean[:, None]
        similar = np.where(usable[:, None] & ~rarer, self._features @ directions, -np.inf)
        for place, at in enumerate(left):
            count = _nearest(int(usable.sum()), int(rarer[:, place].sum()))
            if count is None:
                active[:, at] = usable
            else:
                active[np.argpartition(-similar[:, place], count)[:count], at] = True
        return active

    @staticmethod
    def _rarer(gold: NDArray[np.bool_], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Usable documents on the rarer side of each label: with it, or without it."""
        many = 2 * gold[usable].sum(axis=0) > usable.sum()
        return np.asarray((gold != many) & usable[:, None])

    def _activate(
        self, active: NDArray[np.bool_], margins: NDArray[np.float32], usable: NDArray[np.bool_], turn: int
    ) -> bool:
        """Change the active documents of a label (D,) in place; False when nothing was missed."""
        missed = np.flatnonzero(usable & ~active & (margins < 1 - TOLERANCE))
        if not len(missed):
            return False
        room = int(active.sum())
        if turn < DROPPING:
            active &= margins < 1 + SLACK
        if len(missed) > room:
            missed = missed[np.argpartition(margins[missed], room)[:room]]
        active[missed] = True
        return True

    def _call(
        self, rows: NDArray[np.int64], gold: NDArray[np.bool_], usable: NDArray[np.bool_], weight: float | None
    ) -> NDArray[np.float32]:
        """Coefficients (V + 1,) of the classifier of one label over the documents ``rows``."""
        of_documents = usable.astype(np.float64) if self._weights is None else np.where(usable, self._weights, 0.0)
        share = of_documents[gold].sum() / of_documents.sum()
        positive = (1 / share - 1) ** self._balance if weight is None else weight
        weights = np.where(gold[rows], positive, 1.0) * of_documents[rows]
        seen, taken = _without_empty_columns(self._features[rows])
        coefficients = np.zeros(self._features.shape[1], dtype=np.float32)
        coefficients[seen] = self._model().fit(taken, gold[rows], sample_weight=weights).coef_[0]
        return coefficients

    def _model(self) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        # In their primal forms: the dual one takes the documents in random order, and all threads of a process draw
        # from one generator, so that a fit would depend on which others run beside it.
        if self._loss == "squared_hinge":
            return LinearSVC(C=self._c, dual=False, tol=TOLERANCE, fit_intercept=False)
        return LogisticRegression(C=self._c, solver="liblinear", fit_intercept=False)


def _without_empty_columns(rows: csr_array) -> tuple[NDArray[np.int64], csr_array]:
    """The columns of float32 (d, V) in which something stands, and these (d, v) in the types that liblinear takes.

    The coefficients of the others are 0, and the solver takes steps through all that it is given.
    """
    full = np.zeros(rows.shape[1], dtype=bool)
    full[rows.indices] = True
    place = np.cumsum(full, dtype=np.int32) - 1
    seen = np.flatnonzero(full)
    parts = (rows.data.astype(np.float64), place[rows.indices].astype(np.int32), rows.indptr.astype(np.int32))
    return seen, csr_array(parts, shape=(len(rows.indptr) - 1, len(seen)))


def _nearest(documents: int, rarer: int) -> int | None:
    """How many of the other documents are active first; None: all."""
    count = NEAREST + NEAREST_PER_DOCUMENT * rarer
    return None if 2 * count >= documents else count


def active_share(documents: int, positives: int, loss: str) -> float:
    """The part of the documents that the solver gets, about, for a label that so many of them have.

    >>> active_share(100_000, 20, "squared_hinge"), active_share(1000, 20, "squared_hinge")
    (0.0204, 1.0)
    """
    rarer = min(positives, documents - positives)
    count = _nearest(documents, rarer) if loss == "squared_hinge" else None
    return 1.0 if count is None else (2 * count + 2 * rarer) / documents


def with_ones(features: csr_array) -> csr_array:
    """float32 (D, V + 1): the vectors, each with a 1 at its end.

    >>> with_ones(csr_array([[0.0, 0.5], [0.0, 0.0]])).toarray().tolist()
    [[0.0, 0.5, 1.0], [0.0, 0.0, 1.0]]
    """
    documents, width = features.shape
    ends = features.indptr[1:]
    indptr = features.indptr + np.arange(documents + 1, dtype=features.indptr.dtype)
    data = np.insert(features.data.astype(np.float32), ends, 1)
    indices = np.insert(features.indices.astype(np.int32), ends, width)
    return csr_array((data, indices, indptr), shape=(documents, width + 1))
