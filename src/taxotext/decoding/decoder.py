"""From a block of probabilities to label sets."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.calibration import Calibration
from taxotext.decoding.consistency import Propagation
from taxotext.decoding.expected import ExpectedF1
from taxotext.decoding.ranking import top_k
from taxotext.decoding.settings import Decoding
from taxotext.errors import ConfigError, LabelError
from taxotext.labels import lookup
from taxotext.metrics.sparse import (
    BoolArray,
    FloatArray,
    Sets,
    as_sets,
    close_upward,
    complete,
    keep_entries,
    row_of_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taxotext.labels import Taxonomy

_ROUNDING = 1e-4
"""How far outside 0..1 a probability may lie: sums of float32 overshoot; logits overshoot by far more."""
UNDECIDED = "decoding.source is system, but the system decides no label sets itself; set it to threshold."


class Decoder:
    """Applies a :class:`Decoding` to blocks of probabilities; everything that can be is computed once, here.

    The settings act in this order:

    1. **Calibration**: the probabilities are corrected, label by label, if ``calibration`` says so.
    2. **Scores** are made consistent over all labels, excluded ones too: with ``up`` a label gets the maximum
       over itself and its descendants, with ``down`` the minimum over itself and its ancestors.
    3. **Eligible** are the labels of ``include`` (all when None) that are not in ``exclude``. No other label
       is ever predicted, whatever comes below.
    4. **Threshold**: eligible labels whose score is greater than their threshold pass; without any threshold
       all pass. Where the block brings label sets of its own and ``source`` is not ``threshold``, the eligible
       labels of these sets pass instead. With ``source: expected_f1`` the set of eligible labels, closed among them, of
       greatest expected hierarchical F1 is taken (:mod:`taxotext.decoding.expected`); ``top_k`` and ``never_empty``
       limit its size, and step 5 has nothing to do.
    5. **Set consistency**: with ``up`` the eligible ancestors of passing labels are added; with ``down``
       labels that lack an eligible ancestor are removed. (With one threshold for all this changes nothing:
       step 2 has seen to it.) Ineligible ancestors are passed over, so the prediction is free of violations
       among the eligible labels, and free of any when no ancestor of an eligible label is ineligible.
    6. **top_k** keeps the best k of the set.
    7. **never_empty**: where nothing is left, the best eligible label is predicted.

    Ties in steps 6 and 7 go to the smaller label index; with consistency, to the upper level first, then the
    smaller index. A consistent score never rises from parent to child, so the best k of a closed set form a
    closed set: steps 6 and 7 keep what step 5 made, and ``top_k`` is never exceeded.

    Of a sparse block only candidates are corrected (1), pass a threshold (4) and are predicted where nothing is left
    (7); a document without candidates stays empty. :class:`Propagation` says what step 2 does with them. With ``down``,
    a candidate whose eligible ancestor is not a candidate is predicted by neither step 4 nor step 7.

    Args:
        taxonomy: the N labels.

    Attributes:
        decoding, taxonomy: as given.
        thresholds: (N,) float64, -inf for a label without one.
        eligible: (N,) bool.

    Raises:
        LabelError: ids that are not labels of the taxonomy, with the nearest ones.
        ConfigError: ``level_thresholds`` does not fit the depth of the taxonomy, or no label is eligible.
    """

    def __init__(self, decoding: Decoding, taxonomy: Taxonomy) -> None:
        self.decoding = decoding
        self.taxonomy = taxonomy
        self.labels = len(taxonomy)
        _check_ids(decoding, taxonomy)
        self._calibration = Calibration(decoding, taxonomy)
        levels = np.asarray(taxonomy.levels, dtype=np.int64)
        self.eligible = _eligible(decoding, taxonomy)
        self._all_eligible = bool(self.eligible.all())
        self._expected = ExpectedF1(taxonomy, self.eligible) if decoding.source == "expected_f1" else None

        self._propagation: Propagation | None = None
        self._order: NDArray[np.int64] | None = None  # of the labels, where ties do not go by the index alone
        self._place: NDArray[np.int64] | None = None  # (N,) where each label is in that order
        if decoding.consistency != "none" and not taxonomy.is_flat:
            self._propagation = Propagation(taxonomy)
            order = np.argsort(levels, kind="stable")
            if (np.diff(order) != 1).any():
                self._order, self._place = order, np.argsort(order)
        self._set_thresholds(_thresholds(decoding, taxonomy, levels))

    def _set_thresholds(self, thresholds: FloatArray) -> None:
        self.thresholds = thresholds
        self._limits = _round_down(thresholds)
        self._set_may_break = False
        if self._propagation is not None:
            parents, children = np.asarray(self.taxonomy.edge_index, dtype=np.int64)
            # a parent whose threshold is no higher passes whenever its child passes
            self._set_may_break = bool((thresholds[parents] > thresholds[children]).any())

    def with_thresholds(self, thresholds: FloatArray) -> Self:
        """Return a decoder of the same rules with other thresholds (N,); ``decoding`` stays as it is."""
        other = copy.copy(self)
        other._set_thresholds(thresholds)
        return other

    @property
    def by_thresholds_alone(self) -> bool:
        """Whether steps 5 to 7 change nothing: each label is predicted when its consistent score passes."""
        free = self.decoding.top_k is None and not self.decoding.never_empty and not self._set_may_break
        return free and self._expected is None

    def scores(self, block: Any) -> ScoreBlock:
        """Return the calibrated and consistent scores of a block; dense or sparse like the block, and a new one.

        Args:
            block: (b, N) probabilities: a :class:`ScoreBlock`, an array or a sparse array of floats.

        Raises:
            ValueError: the shape does not fit, or a value is NaN or no probability.
        """
        given = self._checked(block)
        scores = self._calibration(given)
        if self._propagation is not None:
            scores = self._propagation.up(scores) if self._up else self._propagation.down(scores)
        return ScoreBlock(scores.scores.copy(), scores.sets) if scores is given else scores

    def sets(self, block: Any) -> Sets:
        """Return the label sets of a block of raw probabilities (b, N), a (b, N) bool CSR array.

        Raises:
            ConfigError, ValueError: see :meth:`decode`.
        """
        return self.decode(block)[0]

    def decode(self, block: Any) -> tuple[Sets, ScoreBlock]:
        """Return the label sets, (b, N) bool CSR, and the consistent scores (:meth:`scores`) of a raw block.

        Raises:
            ConfigError: ``source`` is ``system``, and the block has no sets.
            ValueError: see :meth:`scores`.
        """
        scores = self.scores(block)
        return self.choose(scores), scores

    def choose(self, scores: ScoreBlock) -> Sets:
        """Return the label sets of consistent scores (:meth:`scores`): steps 3 to 7.

        Raises:
            ConfigError: see :meth:`decode`.
        """
        if self._expected is not None:
            return self._most_expected(self._expected, scores)
        decided = self._decided(scores)
        sets = self._passing(scores) if decided is None else decided
        orphans = scores.is_sparse and not self._up  # candidates may lack ancestors
        if self._propagation is not None and (decided is not None or self._set_may_break or orphans):
            sets = self._consistent(sets)
        if self.decoding.top_k is not None:
            sets = self._keep_best(sets, scores, self.decoding.top_k)
        if self.decoding.never_empty:
            sets = self._filled(sets, scores)
        return sets

    def rank(self, scores: Any, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the k best eligible labels of consistent scores, with the ties of the class.

        Args:
            scores: (b, N) as :meth:`scores` or :meth:`decode` returns them.
            k: at least 1.

        Returns:
            Label indexes (b, k) int32, -1 where fewer are eligible (and candidates), and their scores (b, k), -inf
            there.
        """
        block = ScoreBlock.of(scores)
        if block.is_sparse:
            found = block.candidates
            return self._best(found if self._all_eligible else keep_entries(found, self.eligible[found.indices]), k)
        dense = block.dense if self._all_eligible else np.where(self.eligible, block.dense, np.float32(-np.inf))
        if self._order is None:
            ids, best = top_k(dense, k)
        else:
            places, best = top_k(dense[:, self._order], k)
            ids = np.where(places >= 0, self._order[places], -1).astype(np.int32)
        ids[np.isneginf(best)] = -1
        return ids, np.asarray(best, dtype=np.float32)

    @property
    def _up(self) -> bool:
        return self.decoding.consistency == "up"

    def _decided(self, scores: ScoreBlock) -> Sets | None:
        """Steps 3 and 4 where the system has decided: its eligible labels; None where thresholds decide."""
        if self.decoding.source == "threshold":
            return None
        if scores.sets is None:
            if self.decoding.source == "system":
                raise ConfigError(UNDECIDED)
            return None
        sets: Sets = keep_entries(scores.sets, self.eligible[scores.sets.indices])
        return sets

    def _most_expected(self, expected: ExpectedF1, scores: ScoreBlock) -> Sets:
        """The sets of greatest expected F1, within ``top_k`` and ``never_empty``."""
        rules = self.decoding
        sets = expected(self._centred(scores), most=rules.top_k, some=rules.never_empty)
        return self._filled(sets, scores) if rules.never_empty else sets

    def _centred(self, scores: ScoreBlock) -> ScoreBlock:
        """The scores moved in logits so that the threshold of each label becomes 0.5, and consistent again."""
        limits = np.where(np.isneginf(self.thresholds), 0.5, self.thresholds)
        if (limits == 0.5).all():
            return scores
        if scores.is_sparse:
            found = scores.candidates
            data = _odds(found.data, limits[found.indices])
            moved: Any = csr_array((data, found.indices, found.indptr), shape=found.shape)
            block = ScoreBlock(moved)
        else:
            block = ScoreBlock(_odds(scores.dense, limits))
        return self._propagation.up(block) if self._propagation is not None and self._up else block

    def _passing(self, scores: ScoreBlock) -> Sets:
        """Steps 3 and 4 by thresholds."""
        if scores.is_sparse:
            found = scores.candidates
            passes = (found.data > self._limits[found.indices]) & self.eligible[found.indices]
            return as_sets(keep_entries(_ones(found), passes))
        k = self.decoding.top_k
        if k is not None and np.isneginf(self.thresholds).all():  # all would pass: take the best k at once
            ids = self.rank(scores, k)[0]
            mask = np.zeros(scores.shape, dtype=np.bool_)
            rows, places = np.nonzero(ids >= 0)
            mask[rows, ids[rows, places]] = True
            return _csr(mask)
        return _csr((scores.dense > self._limits) & self.eligible)

    @cached_property
    def _eligible_closure(self) -> Sets:
        """Of each label itself and its eligible ancestors, (N, N) bool."""
        closure: Any = self.taxonomy.closure
        own = np.repeat(np.arange(self.labels), np.diff(closure.indptr)) == closure.indices
        kept: Sets = closure if self._all_eligible else keep_entries(closure, own | self.eligible[closure.indices])
        return kept

    def _consistent(self, sets: Sets) -> Sets:
        """Step 5; ineligible labels are in no set, neither do they block their descendants."""
        if self._up:
            return close_upward(sets, self._eligible_closure)
        kept: Sets = keep_entries(sets, complete(sets, self._eligible_closure))
        return kept

    def _keep_best(self, sets: Sets, scores: ScoreBlock, k: int) -> Sets:
        """Step 6."""
        rows = row_of_entry(sets)
        if not rows.size or np.diff(sets.indptr).max() <= k:
            return sets
        order = self._sorted(rows, sets.indices, scores.at(rows, sets.indices))
        chosen = np.zeros(rows.size, dtype=np.bool_)
        chosen[order] = _places(sets) < k
        kept: Sets = keep_entries(sets, chosen)
        return kept

    def _filled(self, sets: Sets, scores: ScoreBlock) -> Sets:
        """Step 7."""
        empty = np.flatnonzero(np.diff(sets.indptr) == 0)
        if not empty.size:
            return sets
        rest = scores.rows(empty)
        if rest.is_sparse and self._propagation is not None and not self._up:
            # A candidate below an eligible label that is not a candidate would break the set.
            found = rest.candidates
            found = keep_entries(found, self.eligible[found.indices])
            rest = ScoreBlock(keep_entries(found, complete(found, self._eligible_closure)))
        best = self.rank(rest, 1)[0][:, 0]
        some = best >= 0
        more = csr_array((np.ones(some.sum(), np.bool_), (empty[some], best[some])), shape=sets.shape)
        return as_sets(sets + more)

    def _best(self, found: Any, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The k best stored entries of each row of a CSR array."""
        if k < 1:
            raise ValueError(f"k is {k}; at least 1 is needed")
        ids = np.full((found.shape[0], k), -1, dtype=np.int32)
        best = np.full((found.shape[0], k), -np.inf, dtype=np.float32)
        rows, places = row_of_entry(found), _places(found)
        order = self._sorted(rows, found.indices, found.data)[places < k]
        rows, places = rows[places < k], places[places < k]
        ids[rows, places], best[rows, places] = found.indices[order], found.data[order]
        return ids, best

    def _sorted(self, rows: NDArray[Any], labels: NDArray[Any], scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """The order of entries by row, then the best first; entries come by row, then label."""
        ties = () if self._place is None else (self._place[labels],)
        return np.lexsort((*ties, -scores, rows))

    def _checked(self, block: Any) -> ScoreBlock:
        given = ScoreBlock.of(block)
        if given.labels != self.labels:
            raise ValueError(f"scores has shape {given.shape}; floats (b, {self.labels}) are needed")
        values = given.candidates.data if given.is_sparse else given.dense
        if values.size:
            low, high = float(values.min()), float(values.max())  # NaN shows in both
            if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
                raise ValueError(f"scores lie between {low} and {high}; probabilities from 0 to 1 are needed")
        return given


def _odds(scores: NDArray[np.float32], limits: FloatArray) -> NDArray[np.float32]:
    """The probability of which the odds are those of the scores, divided by those of the limits."""
    scores = np.clip(scores, np.float32(0), np.float32(1))
    above, below = scores * (1 - limits), (1 - scores) * limits
    return np.asarray(above / (above + below), dtype=np.float32)


def _ones(found: Any) -> Any:
    return csr_array((np.ones(found.nnz, dtype=np.bool_), found.indices, found.indptr), shape=found.shape)


def _places(matrix: Any) -> NDArray[np.int64]:
    """The place of each stored entry in its row, from 0."""
    return np.asarray(np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr)))


def _round_down(thresholds: FloatArray) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold: for float32 x, x > t is x > that."""
    limits = thresholds.astype(np.float32)
    above = limits.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(limits, np.float32(-np.inf)), limits)


def _csr(mask: BoolArray) -> Sets:
    rows, labels = mask.shape
    places = np.flatnonzero(mask)  # far quicker than rows and columns at once
    indptr = np.searchsorted(places, labels * np.arange(rows + 1, dtype=np.int64))
    columns = places - labels * np.repeat(np.arange(rows, dtype=np.int64), np.diff(indptr))
    return csr_array((np.ones(places.size, dtype=np.bool_), columns.astype(np.int32), indptr), shape=mask.shape)


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
        near = lookup.hints([label for _, label in unknown], taxonomy.positions)
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
    own = decoding.label_thresholds
    result[taxonomy.indices(own)] = np.fromiter(own.values(), np.float64, len(own))
    return result


def _eligible(decoding: Decoding, taxonomy: Taxonomy) -> BoolArray:
    eligible = np.full(len(taxonomy), decoding.include is None)
    eligible[taxonomy.indices(decoding.include or ())] = True
    eligible[taxonomy.indices(decoding.exclude)] = False
    if len(taxonomy) and not eligible.any():
        raise ConfigError("decoding.exclude names every label: nothing could be predicted; leave some out.")
    return eligible
