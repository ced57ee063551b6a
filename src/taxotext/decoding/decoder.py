"""From a block of probabilities to label sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.decoding.calibration import Calibration
from taxotext.decoding.consistency import Propagation
from taxotext.decoding.ranking import top_k
from taxotext.decoding.settings import Decoding
from taxotext.errors import ConfigError, LabelError
from taxotext.labels import lookup
from taxotext.metrics.sparse import BoolArray, FloatArray, Sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taxotext.labels import Taxonomy

_ROUNDING = 1e-4
"""How far outside 0..1 a probability may lie: sums of float32 overshoot; logits overshoot by far more."""


class Decoder:
    """Applies a :class:`Decoding` to blocks of probabilities; everything that can be is computed once, here.

    The settings act in this order:

    1. **Calibration**: the probabilities are corrected, label by label, if ``calibration`` says so.
    2. **Scores** are made consistent over all labels, excluded ones too: with ``up`` a label gets the maximum
       over itself and its descendants, with ``down`` the minimum over itself and its ancestors.
    3. **Eligible** are the labels of ``include`` (all when None) that are not in ``exclude``. No other label
       is ever answered, whatever comes below.
    4. **Threshold**: eligible labels whose score is greater than their threshold pass; without any threshold
       all pass.
    5. **Set consistency**: with ``up`` the eligible ancestors of passing labels are added; with ``down``
       labels that lack an eligible ancestor are removed. (With one threshold for all this changes nothing:
       step 2 has seen to it.) Ineligible ancestors are passed over, so the answer is free of violations
       among the eligible labels, and free of any when no ancestor of an eligible label is ineligible.
    6. **top_k** keeps the best k of the set.
    7. **never_empty**: where nothing is left, the best eligible label is answered.

    Ties in steps 6 and 7 go to the smaller label index; with consistency, to the upper level first, then the
    smaller index. A consistent score never rises from parent to child, so the best k of a closed set form a
    closed set: steps 6 and 7 keep what step 5 made, and ``top_k`` is never exceeded.

    Args:
        decoding: the settings.
        taxonomy: the N labels.

    Attributes:
        thresholds: (N,) float64, -inf for a label without one.
        eligible: (N,) bool.

    Raises:
        LabelError: ids that are not labels of the taxonomy, with the nearest ones.
        ConfigError: ``level_thresholds`` does not fit the depth of the taxonomy, or no label is eligible.
    """

    def __init__(self, decoding: Decoding, taxonomy: Taxonomy) -> None:
        self.decoding = decoding
        self.labels = len(taxonomy)
        _check_ids(decoding, taxonomy)
        self._calibration = Calibration(decoding, taxonomy)
        levels = np.asarray(taxonomy.levels, dtype=np.int64)
        self.thresholds = _thresholds(decoding, taxonomy, levels)
        self.eligible = _eligible(decoding, taxonomy)
        self._all_eligible = bool(self.eligible.all())
        self._limits = _round_down(self.thresholds)

        parents, children = np.asarray(taxonomy.edge_index, dtype=np.int64)
        self._propagation: Propagation | None = None
        self._set_may_break = False
        self._order: NDArray[np.int64] | None = None
        if decoding.consistency != "none" and parents.size:
            self._propagation = Propagation(taxonomy.edge_index, levels)
            # a parent whose threshold is no higher passes whenever its child passes
            self._set_may_break = bool((self.thresholds[parents] > self.thresholds[children]).any())
            order = np.argsort(levels, kind="stable")
            if (np.diff(order) != 1).any():
                self._order = order

    def scores(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the calibrated and consistent scores of a block.

        Args:
            block: (B, N) probabilities; float32, other float types are converted to it first.

        Returns:
            A new (B, N) float32 array.

        Raises:
            ValueError: the shape does not fit, or a value is NaN or no probability.
        """
        given = self._calibration(self._checked(block))
        if self._propagation is None:
            return np.array(given, dtype=np.float32, order="C")
        work = np.array(given.T, dtype=np.float32, order="C")  # (N, B): a step then reads whole rows
        if self.decoding.consistency == "up":
            self._propagation.up(work)
        else:
            self._propagation.down(work)
        return np.ascontiguousarray(work.T)

    def sets(self, block: NDArray[np.float32]) -> Sets:
        """Return the label sets of a block of raw probabilities (B, N), a (B, N) bool CSR array.

        Raises:
            ValueError: see :meth:`scores`.
        """
        return self.decode(block)[0]

    def decode(self, block: NDArray[np.float32]) -> tuple[Sets, NDArray[np.float32]]:
        """Return the label sets, (B, N) bool CSR, and the consistent scores, (B, N) float32, of a raw block.

        Raises:
            ValueError: see :meth:`scores`.
        """
        scores = self.scores(block)
        mask = scores > self._limits  # (B, N)
        mask &= self.eligible
        if self._set_may_break:
            mask = self._consistent_sets(mask)
        if self.decoding.top_k is not None:
            self._keep_best(mask, scores, self.decoding.top_k)
        if self.decoding.never_empty:
            empty = np.flatnonzero(~mask.any(axis=1))
            best = self.rank(scores[empty], 1)[0][:, 0]
            mask[empty, best] = True
        return _csr(mask), scores

    def rank(self, scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the k best eligible labels of consistent scores, with the ties of the class.

        Args:
            scores: (B, N) as :meth:`scores` or :meth:`decode` returns them.
            k: at least 1.

        Returns:
            Label indexes (B, k) int32, -1 where fewer are eligible, and their scores (B, k), -inf there.
        """
        if self._all_eligible:
            return self._top(scores, k)
        return self._top(np.where(self.eligible, scores, np.float32(-np.inf)), k)

    def _top(self, scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        if self._order is None:
            ids, best = top_k(scores, k)
        else:
            places, best = top_k(scores[:, self._order], k)
            ids = np.where(places >= 0, self._order[places], -1).astype(np.int32)
        ids[np.isneginf(best)] = -1
        return ids, np.asarray(best, dtype=np.float32)

    def _keep_best(self, mask: BoolArray, scores: NDArray[np.float32], k: int) -> None:
        over = np.flatnonzero(mask.sum(axis=1) > k)
        if over.size == 0:
            return
        ids, _ = self._top(np.where(mask[over], scores[over], np.float32(-np.inf)), k)
        mask[over] = False
        mask[over[:, None], ids] = True

    def _consistent_sets(self, mask: BoolArray) -> BoolArray:
        """Step 4; only called when there is a propagation."""
        work = np.array(mask.T, order="C")  # (N, B), always a copy
        if self._propagation is None:
            return mask
        if self.decoding.consistency == "up":
            self._propagation.up(work)  # through ineligible labels too, which are taken out again
            closed = work.T & self.eligible
        else:
            work |= ~self.eligible[:, None]  # an ineligible label does not block its descendants
            self._propagation.down(work)
            closed = work.T & mask
        return np.asarray(closed)

    def _checked(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        given = np.asarray(block)
        if given.ndim != 2 or given.shape[1] != self.labels or not np.issubdtype(given.dtype, np.floating):
            raise ValueError(
                f"scores has shape {given.shape} and type {given.dtype}; floats (B, {self.labels}) are needed"
            )
        if given.size:
            low, high = float(given.min()), float(given.max())  # NaN shows in both
            if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
                raise ValueError(f"scores lie between {low} and {high}; probabilities from 0 to 1 are needed")
        return np.asarray(given, dtype=np.float32)


def _round_down(thresholds: FloatArray) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold: for float32 x, x > t is x > that."""
    limits = thresholds.astype(np.float32)
    above = limits.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(limits, np.float32(-np.inf)), limits)


def _csr(mask: BoolArray) -> Sets:
    rows, columns = np.nonzero(mask)
    indptr = np.zeros(mask.shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=mask.shape[0]), out=indptr[1:])
    data = np.ones(columns.size, dtype=np.bool_)
    return csr_array((data, columns.astype(np.int32), indptr), shape=mask.shape)


def _check_ids(decoding: Decoding, taxonomy: Taxonomy) -> None:
    places: tuple[tuple[str, Iterable[str]], ...] = (
        ("include", decoding.include or ()),
        ("exclude", decoding.exclude),
        ("label_thresholds", decoding.label_thresholds),
        ("label_temperatures", decoding.label_temperatures),
        ("label_breakpoints", decoding.label_breakpoints),
    )
    unknown = [(key, label) for key, ids in places for label in ids if label not in taxonomy]
    if unknown:
        near = lookup.hints([label for _, label in unknown], taxonomy.ids)
        raise LabelError(
            "decoding: the settings name labels that the model does not have.",
            [
                f"{key}: The taxonomy has no label {label!r}.{hint}"
                for (key, label), hint in zip(unknown, near, strict=True)
            ],
        )


def _thresholds(decoding: Decoding, taxonomy: Taxonomy, levels: NDArray[np.int64]) -> FloatArray:
    base = -np.inf if decoding.threshold is None else decoding.threshold
    result: FloatArray = np.full(len(taxonomy), base, dtype=np.float64)
    if decoding.level_thresholds is not None:
        depth = int(levels.max(initial=0))
        if len(decoding.level_thresholds) != depth:
            raise ConfigError(
                f"decoding.level_thresholds has {len(decoding.level_thresholds)} entries but the taxonomy "
                f"has {depth} levels; give one threshold for each level."
            )
        result = np.asarray(decoding.level_thresholds, dtype=np.float64)[levels - 1]
    for label, threshold in decoding.label_thresholds.items():
        result[taxonomy.index(label)] = threshold
    return result


def _eligible(decoding: Decoding, taxonomy: Taxonomy) -> BoolArray:
    eligible = np.full(len(taxonomy), decoding.include is None)
    places: Any = (decoding.include or (), True), (decoding.exclude, False)
    for ids, value in places:
        for label in ids:
            eligible[taxonomy.index(label)] = value
    if len(taxonomy) and not eligible.any():
        raise ConfigError("decoding.exclude names every label: nothing could be answered; leave some out.")
    return eligible
