"""Probabilities that mean what they say: a correction of the scores, fitted on held-out documents.

Two ways, both of which keep the order of the scores of a label (as far as float32 tells them apart):

* **Temperature** (Guo et al. 2017, section 4.2): p' = σ(logit(p) / T), with the T of smallest log loss.
* **Isotonic** (Zadrozny and Elkan 2002): the rising step function nearest to the gold labels, by pooling neighbours
  that fall; here *centred* (Oron and Flournoy 2017): straight lines between the middles of its steps, so that scores
  that differ still differ afterwards, and rankings stay as they are.

One correction for all labels, or one for each label. A label with few documents stays near the common one:
temperatures by a normal prior on ln T around that of all labels, isotonic steps only from a number of positives on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.settings import Breakpoint, CalibrationMethod, CalibrationScope, Decoding
from taxotext.errors import DataError
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, as_sets, contains, keys, row_of_entry

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

PRIOR_SPREAD = 0.5
"""Standard deviation of ln T of labels around that of all of them: two labels in three lie within a factor of 1.65."""
ENOUGH_POSITIVES = 30
"""Positives from which on a label has isotonic steps of its own; fewer make steps of chance."""
MOST_POINTS = 200
"""Breakpoints that are kept of one correction at most."""
BOUNDS = (-1.4, 2.3)
"""Of ln T: temperatures from 0.25 to 10. Below, most scores would round to 1 and be equal."""
SMALLEST = 1e-7
"""Distance from 0 and 1 that logarithms keep: that of float32 from 1."""


class Calibration:
    """Applies the correction of a :class:`Decoding` to blocks of probabilities.

    Args:
        decoding: the settings; a correction that was not fitted yet changes nothing.
        taxonomy: the N labels.
    """

    def __init__(self, decoding: Decoding, taxonomy: Taxonomy) -> None:
        self._temperatures: FloatArray | None = None
        self._common: tuple[FloatArray, FloatArray] | None = None
        self._own: _Corrections | None = None
        if decoding.calibration == "temperature":
            temperatures: FloatArray = np.full(len(taxonomy), decoding.temperature, dtype=np.float64)
            own = decoding.label_temperatures
            temperatures[taxonomy.indices(own)] = np.fromiter(own.values(), np.float64, len(own))
            if (temperatures != 1).any():
                self._temperatures = temperatures
        elif decoding.calibration == "isotonic":
            self._common = _columns(decoding.breakpoints)
            given = {label: points for label, points in decoding.label_breakpoints.items() if points}
            if given:
                self._own = _Corrections(taxonomy.indices(given), list(given.values()), len(taxonomy))

    def __call__(self, block: ScoreBlock) -> ScoreBlock:
        """Return the block (b, N) with corrected probabilities; itself where nothing changes.

        Labels of a sparse block that are not candidates have no probability, and get none.
        """
        if self._temperatures is None and self._common is None and self._own is None:
            return block
        corrected: Any
        if block.is_sparse:
            given = block.candidates
            data = self.of_pairs(given.data.astype(np.float64), given.indices.astype(np.int64)).astype(np.float32)
            corrected = csr_array((data, given.indices, given.indptr), shape=given.shape)
        elif self._temperatures is not None:
            corrected = tempered(block.dense, self._temperatures)
        else:
            corrected = np.array(block.dense)
            if self._common is not None:
                corrected[:] = np.interp(block.dense, *self._common)
            if self._own is not None:
                for label, scores, probabilities in self._own:
                    corrected[:, label] = np.interp(block.dense[:, label], scores, probabilities)
        return ScoreBlock(corrected, block.sets)

    def of_pairs(self, score: FloatArray, label: IntArray) -> FloatArray:
        """Return the corrected probabilities of single pairs: scores (P,) of labels (P,)."""
        if self._temperatures is not None:
            return tempered(score, self._temperatures[label])
        result = np.array(score) if self._common is None else np.interp(score, *self._common)
        if self._own is not None:
            chosen = np.flatnonzero(self._own.number[label] >= 0)
            result[chosen] = self._own.of_pairs(score[chosen], label[chosen])
        return np.asarray(result, dtype=np.float64)

    def highest(self, score: float) -> float:
        """Return the highest probability that some label makes of ``score``: all lower scores stay at or below it."""
        if self._temperatures is not None:
            return float(tempered(np.asarray([score]), np.asarray([self._temperatures.max()]))[0])
        found = [] if self._common is None else [float(np.interp(score, *self._common))]
        if self._own is not None:
            found.append(float(self._own.of_pairs(np.full(self._own.labels.size, score), self._own.labels).max()))
        return max(found, default=score)


class _Corrections:
    """Straight lines between breakpoints, other ones for each of M labels, as one ragged table.

    Args:
        labels: (M,) that have breakpoints of their own.
        points: of each of them, from score 0 to score 1.
        count: N.

    Attributes:
        labels: (M,) as given.
        number: (N,) which of the M a label is, -1 for the others.
    """

    def __init__(self, labels: NDArray[np.int32], points: Sequence[Sequence[Breakpoint]], count: int) -> None:
        self.labels: IntArray = labels.astype(np.int64)
        self.number: IntArray = np.full(count, -1, dtype=np.int64)
        self.number[labels] = np.arange(labels.size)
        table = np.asarray([point for own in points for point in own], dtype=np.float64)
        self._scores, self._probabilities = table[:, 0], table[:, 1]
        self._starts = np.cumsum([0, *(len(own) for own in points)])  # (M + 1,)

    def __iter__(self) -> Iterator[tuple[int, FloatArray, FloatArray]]:
        """The labels with the scores and probabilities of their breakpoints."""
        for label, start, stop in zip(self.labels.tolist(), self._starts[:-1], self._starts[1:], strict=True):
            yield label, self._scores[start:stop], self._probabilities[start:stop]

    def of_pairs(self, score: FloatArray, label: IntArray) -> FloatArray:
        """What ``np.interp`` gives for each pair with the breakpoints of its label, to the bit; (P,) each."""
        number = self.number[label]
        first, last = self._starts[number], self._starts[number + 1] - 1
        low, high = first.copy(), last.copy()  # bisection of all pairs together: the last breakpoint not above
        while (high - low > 1).any():
            middle = (low + high) // 2
            above = self._scores[middle] > score
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        x, y = self._scores, self._probabilities
        slope = (y[low + 1] - y[low]) / (x[low + 1] - x[low])
        inside = slope * (score - x[low]) + y[low]
        return np.asarray(np.where(score >= x[last], y[last], np.where(score < x[first], y[first], inside)))


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration changed; metrics come from the data that it was fitted on and are therefore optimistic."""

    # method, by: as asked for
    method: str
    by: str
    pairs: int  # document-label pairs that it was fitted on: those whose score was kept
    own_labels: int  # labels with a correction of their own
    # log_loss_before, log_loss_after: mean −ln of the probability of what is true, over those pairs
    log_loss_before: float
    log_loss_after: float
    # error_before, error_after: expected calibration error over them, 15 bins of equal width
    error_before: float
    error_after: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return asdict(self)


def fit_calibration(
    scores: Any,
    gold: Sets,
    taxonomy: Taxonomy,
    *,
    method: CalibrationMethod,
    by: CalibrationScope = "all",
    base: Decoding | None = None,
) -> tuple[Decoding, CalibrationReport | None]:
    """Fit the correction on held-out documents.

    Pairs whose score was not kept are left out: each kept pair says how often its score is right, whatever happens
    below.

    Args:
        scores: (D, N) sparse float32 probabilities, the lowest of them dropped, **as the system gives them**: before
            consistency.
        gold: (D, N) bool sparse, **validation** data; never test data.
        taxonomy: the N labels.
        method: none, temperature or isotonic.
        by: all, or label.
        base: the decoding whose other settings are kept.

    Returns:
        The decoding with the correction (any earlier one is dropped), and a report; None for method none.

    Raises:
        DataError: no pair, or none that is gold, or none that is not.
    """
    base = Decoding() if base is None else base
    found: dict[str, Any] = {
        "calibration": method,
        "calibration_by": by,
        "temperature": 1.0,
        "label_temperatures": {},
        "breakpoints": (),
        "label_breakpoints": {},
    }
    if method == "none":
        return base.model_copy(update=found), None
    gold = as_sets(gold, "gold", len(taxonomy))
    stored: Any = scores.tocsr()
    score = np.clip(stored.data.astype(np.float64), 0.0, 1.0)  # (P,)
    label: IntArray = stored.indices.astype(np.int64)  # (P,)
    hit = contains(keys(gold), row_of_entry(stored) * gold.shape[1] + label)  # (P,)
    if not hit.any() or hit.all():
        raise DataError(
            "The held-out documents have no label that is gold and scored, or none that is not; there is nothing to "
            "calibrate with. Name other validation documents."
        )
    pairs = _Pairs(score, hit, label)
    fitted = _temperatures(pairs, taxonomy, by) if method == "temperature" else _isotonic(pairs, taxonomy, by)
    decoding = Decoding.from_dict({**base.to_dict(), **found, **fitted})
    after = Calibration(decoding, taxonomy).of_pairs(score, label)
    own = fitted.get("label_temperatures") or fitted.get("label_breakpoints") or {}
    return decoding, CalibrationReport(
        method=method,
        by=by,
        pairs=int(score.size),
        own_labels=len(own),
        log_loss_before=_log_loss(score, hit),
        log_loss_after=_log_loss(after, hit),
        error_before=_calibration_error(score, hit),
        error_after=_calibration_error(after, hit),
    )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Scores (P,) float64, whether they are gold (P,), and their labels (P,)."""

    score: FloatArray
    hit: BoolArray
    label: IntArray

    def by_label(self) -> Iterator[tuple[int, _Pairs]]:
        """Yield the labels that have a gold pair, ascending, with their pairs."""
        order = np.argsort(self.label, kind="stable")
        found, starts = np.unique(self.label[order], return_index=True)
        stops = np.append(starts[1:], order.size)
        for place in np.flatnonzero(np.logical_or.reduceat(self.hit[order], starts)).tolist() if found.size else ():
            part = order[starts[place] : stops[place]]
            yield int(found[place]), _Pairs(self.score[part], self.hit[part], self.label[part])


def tempered(probabilities: NDArray[Any], temperatures: NDArray[np.float64]) -> NDArray[Any]:
    """Return σ(logit(p) / T); 0 and 1 stay what they are. ``temperatures`` are broadcast over ``probabilities``."""
    from scipy.special import expit, logit

    inside = np.clip(probabilities.astype(np.float64), 0.0, 1.0)  # sums of float32 overshoot
    return np.asarray(expit(logit(inside) / temperatures))


def _temperatures(pairs: _Pairs, taxonomy: Taxonomy, by: CalibrationScope) -> dict[str, Any]:
    common = _best_temperature(pairs, None)
    own: dict[str, float] = {}
    if by == "label":
        for label, part in pairs.by_label():
            own[taxonomy.ids[label]] = round(float(np.exp(_best_temperature(part, common))), 6)
    return {"temperature": round(float(np.exp(common)), 6), "label_temperatures": own}


def _best_temperature(pairs: _Pairs, prior: float | None) -> float:
    """Return the ln T of smallest log loss, under a normal prior around ``prior`` where there is one."""
    from scipy.optimize import minimize_scalar

    clipped = np.clip(pairs.score, SMALLEST, 1 - SMALLEST)
    signed = (np.log(clipped) - np.log1p(-clipped)) * np.where(pairs.hit, 1.0, -1.0)  # logit of what is true

    def loss(log_temperature: float) -> float:
        total = float(np.logaddexp(0.0, -signed * np.exp(-log_temperature)).sum())
        return total if prior is None else total + 0.5 * ((log_temperature - prior) / PRIOR_SPREAD) ** 2

    return float(minimize_scalar(loss, bounds=BOUNDS, method="bounded", options={"xatol": 1e-6}).x)


def _isotonic(pairs: _Pairs, taxonomy: Taxonomy, by: CalibrationScope) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if by == "label":
        for label, part in pairs.by_label():
            if part.hit.sum() >= ENOUGH_POSITIVES and (~part.hit).sum() >= ENOUGH_POSITIVES:
                own[taxonomy.ids[label]] = _breakpoints(part)
    return {"breakpoints": _breakpoints(pairs), "label_breakpoints": own}


def _breakpoints(pairs: _Pairs) -> list[list[float]]:
    """Return the corners of centred isotonic regression, from score 0 to score 1, rising in both."""
    from scipy.optimize import isotonic_regression

    scores, inverse = np.unique(pairs.score, return_inverse=True)
    weight = np.bincount(inverse).astype(np.float64)
    share = np.bincount(inverse, weights=pairs.hit) / weight
    starts = isotonic_regression(share, weights=weight).blocks  # (blocks + 1,)
    size = np.add.reduceat(weight, starts[:-1])
    middle = np.add.reduceat(scores * weight, starts[:-1]) / size
    height = np.add.reduceat(share * weight, starts[:-1]) / size
    # Pooling leaves blocks of one height apart at times, by rounding.
    rising = np.concatenate([[True], np.diff(height) > 1e-12])
    size, middle, height = np.add.reduceat(size, np.flatnonzero(rising)), middle[rising], height[rising]
    # Never quite 0 or 1: n documents of one kind say no more, and what is beyond must still have room to rise.
    if height[0] <= 0:
        height[0] = min(1 / (size[0] + 2), height[1] / 2 if height.size > 1 else 0.5)
    if height[-1] >= 1:
        height[-1] = max(1 - 1 / (size[-1] + 2), (1 + height[-2]) / 2 if height.size > 1 else 0.5)
    if height.size > MOST_POINTS:
        chosen = np.linspace(0, height.size - 1, MOST_POINTS).round().astype(np.int64)
        middle, height = middle[chosen], height[chosen]
    inside = (middle > 0) & (middle < 1)
    top = float(height[-1]) if middle[-1] >= 1 else 1.0
    points = np.stack([middle[inside], height[inside]], axis=1).tolist()
    return [[0.0, 0.0], *points, [1.0, top]]


def _columns(points: Sequence[Breakpoint]) -> tuple[FloatArray, FloatArray] | None:
    if not points:
        return None
    table = np.asarray(points, dtype=np.float64)
    return table[:, 0], table[:, 1]


def _log_loss(probability: FloatArray, hit: BoolArray) -> float:
    clipped = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return float(-np.log(np.where(hit, clipped, 1 - clipped)).mean())


def _calibration_error(probability: FloatArray, hit: BoolArray, bins: int = 15) -> float:
    """Mean distance of probability and share of gold labels over bins of equal width, weighted by their pairs."""
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, weights=probability - hit, minlength=bins)
    return float(np.abs(gap).sum() / probability.size)
