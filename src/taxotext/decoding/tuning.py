"""Tuning of thresholds on validation data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import csr_array, issparse, vstack

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.decoder import Decoder
from taxotext.decoding.settings import Decoding
from taxotext.decoding.shapes import SHRINK, UNTUNED, Fit, Search, Shape
from taxotext.decoding.thresholds import Scored, f1_of_counts
from taxotext.errors import ConfigError, DataError, nearest
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, as_sets, contains, keep_entries, keys

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

Method = Literal["label", "level", "global"]
Metric = Literal["micro_f1", "macro_f1"]


@dataclass(frozen=True)
class TuningReport:
    """What tuning found. All metrics are those of the label sets that decoding gives, all its rules included.

    Attributes:
        method, metric, tuned_on: as asked for.
        documents: how many documents were used.
        threshold: the common threshold.
        level_thresholds: the threshold of each level, None when levels have none.
        tuned_labels: how many labels got a threshold of their own.
        shrink: the strength used; None where one threshold holds for all labels.
        before: the metric with the decoding in force so far.
        after: the metric with the new one, on the documents that it was tuned on, and therefore optimistic.
        cross_validated: the metric on documents held out from tuning, pooled over the folds; slightly optimistic, since
            it also chose ``shrink``. None with a single document.
        calibration: what a calibration changed before (:class:`~taxotext.decoding.CalibrationReport`), or None.
        consistency: the rule that the thresholds were found for.
        by_consistency: ``cross_validated`` of each rule that was tried.
        before_tuned_here: whether the thresholds in force so far were tuned on the same documents, which makes
            ``before`` optimistic as well.
        cross_validated_sets: (D, N) bool, the label sets of each document with thresholds found on the other folds, of
            which ``cross_validated`` is the metric.
    """

    method: str
    metric: str
    tuned_on: str
    documents: int
    threshold: float
    level_thresholds: tuple[float, ...] | None
    tuned_labels: int
    shrink: float | None
    before: float
    after: float
    cross_validated: float | None = None
    calibration: dict[str, Any] | None = None
    consistency: str = "none"
    by_consistency: dict[str, float] = field(default_factory=dict)
    before_tuned_here: bool = False
    cross_validated_sets: Sets | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values, without the sets."""
        result = asdict(replace(self, cross_validated_sets=None))
        del result["cross_validated_sets"]
        if self.level_thresholds is not None:
            result["level_thresholds"] = list(self.level_thresholds)
        return result


def sparse_scores(block: Any, floor: float = 0.01) -> csr_array[np.float32, tuple[int, int]]:
    """Return the scores above a floor of a block, as :func:`tune` takes them.

    Args:
        block: (B, N) consistent scores: a :class:`~taxotext.decoding.ScoreBlock`, an array or a sparse array.
        floor: scores up to and including it are dropped, so no threshold below it can be found.

    Returns:
        (B, N) float32 CSR; stack the blocks with ``scipy.sparse.vstack(blocks, format="csr")``.
    """
    given = ScoreBlock.of(block)
    result: csr_array[np.float32, tuple[int, int]]
    if given.is_sparse:
        result = keep_entries(given.candidates, given.candidates.data > floor)
    else:
        rows, columns = np.nonzero(given.dense > floor)
        result = csr_array((given.dense[rows, columns], (rows, columns.astype(np.int32))), shape=given.shape)
    return result


def tune(
    scores: Any,
    gold: Sets,
    taxonomy: Taxonomy,
    *,
    tuned_on: str,
    method: Method = "label",
    metric: Metric = "micro_f1",
    shrink: float | Literal["auto"] = SHRINK,
    towards: Literal["global", "level"] = "global",
    base: Decoding | None = None,
    before: Decoding | None = None,
    floor: float | None = None,
    folds: int = 5,
    seed: int = 0,
) -> tuple[Decoding, TuningReport]:
    """Find the thresholds that make micro-F1 or macro-F1 greatest on validation data.

    The search is exact, not a grid: candidates are the midpoints between neighbouring scores
    (:mod:`taxotext.decoding.thresholds`). For macro-F1 each label (level) is best by itself; for micro-F1 the
    thresholds of all labels (levels) are found together, the joint optimum. Then each is pulled towards the
    common one in logits, ``t = (n * t_own + s * t_common) / (n + s)``, with n validation positives and
    strength s = ``shrink``. Labels without a validation positive among the stored scores keep the common
    threshold. All rules of ``base`` are applied wherever a metric is computed.

    Args:
        scores: (D, N) sparse float32 probabilities, those up to ``floor`` dropped (:func:`sparse_scores`).
            They must be what the thresholds will be compared with: after consistency, ``Decoder.scores``.
        gold: (D, N) bool sparse, the **validation** data; never test data.
        taxonomy: the N labels.
        tuned_on: which data these are, such as ``"validation split (15 % of train.jsonl)"``; kept with the
            decoding.
        method: a threshold for each label, for each level, or one for all.
        metric: what to make greatest; macro-F1 over all labels.
        shrink: s, at least 0; "auto" chooses by cross-validation over the documents among :data:`SHRINK_GRID`, one
            threshold for all labels, and :data:`UNTUNED` for all labels.
        towards: the common threshold of a label: the global one, or that of its level (itself pulled to the
            global one).
        base: the decoding whose other settings are kept; its ineligible labels are not predicted here either.
        before: the thresholds in force so far, for the report; None: those of ``base``.
        floor: the scores up to it are missing; a found threshold is never below it. None: take it to be just
            below the lowest stored score.
        folds: parts of the cross-validation, at least 2; at most one for each document are used.

    Returns:
        The decoding and the report. Tuning is linear in the number of stored scores but for one sort of them.

    Raises:
        ConfigError: ``tuned_on`` is empty, or an option is unknown or out of range.
        DataError: there are no documents or no gold label to tune on.
        LabelError: ``base`` names labels that the taxonomy lacks.
        ValueError: shapes do not fit, or a score is not a probability.
    """
    _check_options(tuned_on, method, metric, shrink, towards, floor, folds)
    base = Decoding() if base is None else base
    rules = Decoder(base.model_copy(update={"source": "threshold"}), taxonomy)
    gold = as_sets(gold, "gold", len(taxonomy))
    stored = _checked_scores(scores, gold)
    if gold.nnz == 0:
        raise DataError(f"{tuned_on}: no document has a label; thresholds cannot be tuned on these data.")
    if shrink == "auto" and gold.shape[0] < 2:
        raise ConfigError('shrink is "auto" but there is only one document: give a number.')
    if floor is None:
        floor = _floor_of(stored)
    scored = Scored.build(stored, gold, rules.eligible, floor)
    decoded = _Decoded(rules, stored, gold, scored)
    levels = np.asarray(taxonomy.levels, dtype=np.int64)
    fallback = UNTUNED if base.threshold is None else base.threshold
    search = Search(levels, method, metric, towards, floor, fallback)
    shapes = search.shapes(shrink)
    shape, held_out, sets = shapes[-1], None, None
    if gold.shape[0] > 1:
        shape, held_out, sets = _cross_validate(decoded, search, shapes, folds, seed)
    found = search.fit(scored).thresholds(shape)
    own = {taxonomy.ids[i]: float(found.label[i]) for i in np.flatnonzero(found.own).tolist()}
    level_thresholds = None if found.level is None else tuple(found.level.tolist())
    changed = {
        "source": "threshold",
        "threshold": found.common,
        "level_thresholds": level_thresholds,
        "label_thresholds": own,
        "tuned_on": tuned_on,
        "metric": metric,
    }
    decoding = Decoding.from_dict(base.to_dict() | changed)
    report = TuningReport(
        method=method,
        metric=metric,
        tuned_on=tuned_on,
        documents=gold.shape[0],
        threshold=found.common,
        level_thresholds=level_thresholds,
        tuned_labels=len(own),
        shrink=shape.strength if math.isfinite(shape.strength) else None,
        before=decoded.f1(Decoder(before or base, taxonomy).thresholds, metric),
        after=decoded.f1(found.label, metric),
        cross_validated=held_out,
        consistency=base.consistency,
        cross_validated_sets=sets,
    )
    return decoding, report


@dataclass(frozen=True, eq=False)
class _Decoded:
    """What thresholds decode some documents to."""

    rules: Decoder  # the decoder, of whatever thresholds
    scores: Any  # (D, N) CSR, consistent
    gold: Sets  # (D, N) bool
    scored: Scored  # the same as pairs

    def of_documents(self, chosen: BoolArray) -> _Decoded:
        """The documents that the (D,) mask chooses."""
        rows = np.flatnonzero(chosen)
        return _Decoded(self.rules, self.scores[rows], self.gold[rows], self.scored.of_documents(chosen))

    def sets(self, thresholds: FloatArray) -> Sets:
        """The label sets under (N,) thresholds."""
        return self.rules.with_thresholds(thresholds).choose(ScoreBlock(self.scores))

    def counts(self, thresholds: FloatArray) -> IntArray:
        """True positives and predictions of each label under (N,) thresholds, (2, N), all rules applied."""
        if self.rules.with_thresholds(thresholds).by_thresholds_alone:  # the same, several times faster
            return self.scored.counts(thresholds)
        sets = self.sets(thresholds)
        hits = sets.indices[contains(keys(self.gold), keys(sets))]
        return np.stack([np.bincount(found, minlength=self.scored.labels) for found in (hits, sets.indices)])

    def f1(self, thresholds: FloatArray, metric: str) -> float:
        """The metric under (N,) thresholds."""
        return f1_of_counts(self.counts(thresholds), self.scored.positives(), metric)


def _cross_validate(
    decoded: _Decoded, search: Search, shapes: Sequence[Shape], folds: int, seed: int
) -> tuple[Shape, float, Sets]:
    """Return the shape that does best on held-out documents, with its metric and the label sets there.

    The counts of all folds are pooled before the metric is taken; of equal shapes the last wins.
    """
    documents = decoded.gold.shape[0]
    fold = np.random.default_rng(seed).permutation(documents) % min(folds, documents)  # (D,)
    counts = np.zeros((len(shapes), 2, decoded.scored.labels), dtype=np.int64)
    tried: list[tuple[_Decoded, Fit]] = []
    for part in range(int(fold.max()) + 1):
        fit, held_out = search.fit(decoded.scored.of_documents(fold != part)), decoded.of_documents(fold == part)
        tried.append((held_out, fit))
        for place, shape in enumerate(shapes):
            counts[place] += held_out.counts(fit.thresholds(shape).label)
    values = [f1_of_counts(c, decoded.scored.positives(), search.metric) for c in counts]
    best = max(range(len(shapes)), key=lambda place: (values[place], place))
    sets: Any = vstack([held_out.sets(fit.thresholds(shapes[best]).label) for held_out, fit in tried], format="csr")
    back = np.argsort(np.argsort(fold, kind="stable"), kind="stable")  # the folds one after the other, in order
    return shapes[best], values[best], as_sets(sets[back])


def _check_options(
    tuned_on: str,
    method: str,
    metric: str,
    shrink: float | str,
    towards: str,
    floor: float | None,
    folds: int,
) -> None:
    problems = []
    if not isinstance(tuned_on, str) or not tuned_on.strip():
        problems.append('tuned_on is empty: say which data these are, such as "validation split".')
    choices = {
        "method": (method, ("label", "level", "global")),
        "metric": (metric, ("micro_f1", "macro_f1")),
        "towards": (towards, ("global", "level")),
    }
    for name, (value, known) in choices.items():
        if value not in known:
            hint = nearest(str(value), known)
            problems.append(f"{name} is {value!r}: choose from {', '.join(known)}.{hint}")
    if shrink != "auto" and not (
        isinstance(shrink, int | float) and not isinstance(shrink, bool) and math.isfinite(shrink) and shrink >= 0
    ):
        problems.append(f'shrink is {shrink!r}: a number from 0 upwards or "auto" is needed.')
    if floor is not None and not 0 <= floor < 1:
        problems.append(f"floor is {floor!r}: a number from 0 to below 1 is needed.")
    if folds < 2:
        problems.append(f"folds is {folds!r}: at least 2 are needed.")
    if problems:
        raise ConfigError("Thresholds cannot be tuned with these options.", problems)


def _checked_scores(scores: Any, gold: Sets) -> Any:
    matrix: Any = scores
    if not issparse(scores):
        raise ValueError(f"scores is a {type(scores).__name__}; sparse_scores makes the sparse array")
    stored: Any = csr_array(matrix)
    if stored.shape != gold.shape:
        raise ValueError(f"scores has shape {stored.shape} but gold has {gold.shape}")
    if not stored.has_canonical_format:
        stored = stored.copy()
        stored.sum_duplicates()
    if stored.nnz and not (float(stored.data.min()) >= 0 and float(stored.data.max()) <= 1 + 1e-4):
        raise ValueError("scores holds values that are not probabilities from 0 to 1")
    return stored


def _floor_of(stored: Any) -> float:
    """Return the float32 just below the lowest stored score, at least 0 and below 1."""
    if stored.nnz == 0:
        return 0.0
    lowest = min(np.float32(stored.data.min()), np.float32(1))
    return float(np.nextafter(lowest, np.float32(0)))
