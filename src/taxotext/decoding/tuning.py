"""Tuning of thresholds on validation data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import csr_array, issparse

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.decoder import Decoder
from taxotext.decoding.settings import Decoding
from taxotext.decoding.thresholds import Candidates, Scored, f1_of_counts
from taxotext.errors import ConfigError, DataError, nearest
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, as_sets, keep_entries

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

Method = Literal["label", "level", "global"]
Metric = Literal["micro_f1", "macro_f1"]

SHRINK = 10.0
"""The default strength of the pull towards the common threshold, in validation positives.

A threshold estimated from n positives scatters by about 2/sqrt(n) in logits, while the best thresholds of
labels differ by about 0.6 logits: the two weigh the same at n = (2 / 0.6)^2, about 10.
"""
SHRINK_GRID = (1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
"""The strengths among which ``shrink="auto"`` chooses."""


@dataclass(frozen=True)
class TuningReport:
    """What tuning found; all figures come from the data that it was tuned on and are therefore optimistic.

    Attributes:
        method, metric, tuned_on: as asked for.
        documents: how many documents were used.
        threshold: the common threshold.
        level_thresholds: the threshold of each level, None when levels have none.
        tuned_labels: how many labels got a threshold of their own.
        shrink: the strength used; None with method "global".
        before, after: the metric with the thresholds of ``base`` and with the new ones; thresholds alone,
            without top_k, never_empty and set consistency.
        cross_validated: the metric of the chosen ``shrink`` on documents held out from tuning; None without
            "auto".
        calibration: what a calibration changed before (:class:`~taxotext.decoding.CalibrationReport`), or None.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        result = asdict(self)
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
    threshold.

    Args:
        scores: (D, N) sparse float32 probabilities, those up to ``floor`` dropped (:func:`sparse_scores`).
            They must be what the thresholds will be compared with: after consistency, ``Decoder.scores``.
        gold: (D, N) bool sparse, the **validation** data; never test data.
        taxonomy: the N labels.
        tuned_on: which data these are, such as ``"validation split (15 % of train.jsonl)"``; kept with the
            decoding.
        method: a threshold for each label, for each level, or one for all.
        metric: what to make greatest; macro-F1 over all labels.
        shrink: s, at least 0; "auto" chooses it from :data:`SHRINK_GRID` by cross-validation over the
            documents.
        towards: the common threshold of a label: the global one, or that of its level (itself pulled to the
            global one).
        base: the decoding whose other settings are kept; its ineligible labels are not predicted here either.
        before: the thresholds in force so far, for the report; None: those of ``base``.
        floor: the scores up to it are missing; a found threshold is never below it. None: take it to be just
            below the lowest stored score.
        folds: parts of the cross-validation, at least 2; at most one for each document are used.
        seed: of the division into folds.

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
    decoder = Decoder(base, taxonomy)
    gold = as_sets(gold, "gold", len(taxonomy))
    stored = _checked_scores(scores, gold)
    if gold.nnz == 0:
        raise DataError(f"{tuned_on}: no document has a label; thresholds cannot be tuned on these data.")

    if floor is None:
        floor = _floor_of(stored)
    scored = Scored.build(stored, gold, decoder.eligible, floor)
    levels = np.asarray(taxonomy.levels, dtype=np.int64)
    fallback = 0.5 if base.threshold is None else base.threshold
    search = _Search(levels, method, metric, towards, floor, fallback)
    strength: float = SHRINK if shrink == "auto" else float(shrink)
    held_out: float | None = None
    if shrink == "auto" and method != "global":
        strength, held_out = _cross_validate(scored, search, gold.shape[0], folds, seed)
    fit = search.fit(scored)
    found = fit.thresholds(strength)

    own = (
        {}
        if method != "label"
        else {taxonomy.ids[i]: float(found.label[i]) for i in np.flatnonzero(fit.label_known).tolist()}
    )
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
    positives = scored.positives()
    report = TuningReport(
        method=method,
        metric=metric,
        tuned_on=tuned_on,
        documents=gold.shape[0],
        threshold=found.common,
        level_thresholds=level_thresholds,
        tuned_labels=len(own),
        shrink=None if method == "global" else strength,
        before=f1_of_counts(scored.counts(Decoder(before or base, taxonomy).thresholds), positives, metric),
        after=f1_of_counts(scored.counts(found.label), positives, metric),
        cross_validated=held_out,
    )
    return decoding, report


@dataclass(frozen=True, eq=False)
class _Found:
    """Final thresholds: the common one, those of levels (or None), and of every label (N,)."""

    common: float
    level: FloatArray | None
    label: FloatArray


@dataclass(frozen=True, eq=False)
class _Fit:
    """Unshrunk thresholds and the positives behind them; ``*_known`` False: no evidence, the common one."""

    levels: IntArray  # (N,) level of each label, 1-based
    common: float
    level: FloatArray | None
    level_positives: IntArray
    level_known: BoolArray
    label: FloatArray | None
    label_positives: IntArray
    label_known: BoolArray

    def thresholds(self, strength: float) -> _Found:
        result: FloatArray = np.full(self.levels.size, self.common)
        level = self.level
        if level is not None:
            prior = np.full(level.size, self.common)
            level = _shrunk(level, prior, self.level_positives, self.level_known, strength)
            result = level[self.levels - 1]
        if self.label is not None:
            result = _shrunk(self.label, result, self.label_positives, self.label_known, strength)
        return _Found(self.common, level, result)


@dataclass(frozen=True, eq=False)
class _Search:
    """How to find thresholds; the same for all data and for every fold."""

    levels: IntArray
    method: str
    metric: str
    towards: str
    floor: float
    fallback: float  # the common threshold where no gold label has a stored score: nothing can be learned

    def fit(self, scored: Scored) -> _Fit:
        count, depth = self.levels.size, int(self.levels.max(initial=0))
        positives = scored.positives()
        known = np.bincount(scored.label[scored.hit], minlength=count) > 0
        common = self.fallback
        if known.any():
            common = float(self._best(scored, np.zeros(count, dtype=np.int64), 1)[0])
        by_level = self.method == "level" or (self.method == "label" and self.towards == "level")
        group = self.levels - 1
        return _Fit(
            levels=self.levels,
            common=common,
            level=self._best(scored, group, depth) if by_level else None,
            level_positives=np.bincount(group, weights=positives, minlength=depth).astype(np.int64),
            level_known=np.bincount(group[known], minlength=depth) > 0,
            label=self._best(scored, np.arange(count), count) if self.method == "label" else None,
            label_positives=positives,
            label_known=known,
        )

    def _best(self, scored: Scored, group_of_label: IntArray, groups: int) -> FloatArray:
        candidates = Candidates.build(scored, group_of_label, groups, self.floor)
        if self.metric == "micro_f1":
            return candidates.best_micro(scored.gold_label.size)
        return candidates.best_macro()


def _shrunk(own: FloatArray, common: FloatArray, positives: IntArray, known: BoolArray, strength: float) -> FloatArray:
    """Return the thresholds pulled towards the common ones in logits; exactly ``own`` at strength 0."""
    result = common.copy()
    if strength == 0:
        result[known] = own[known]
        return result
    weight = positives[known] / (positives[known] + strength)
    mixed = weight * _logit(own[known]) + (1 - weight) * _logit(common[known])
    result[known] = np.clip(1 / (1 + np.exp(-mixed)), 1e-12, 1 - 1e-12)
    return result


def _logit(probability: FloatArray) -> FloatArray:
    return np.asarray(np.log(probability) - np.log1p(-probability))


def _cross_validate(scored: Scored, search: _Search, documents: int, folds: int, seed: int) -> tuple[float, float]:
    """Return the strength of :data:`SHRINK_GRID` that does best on held-out documents, and its metric there.

    The counts of all folds are pooled before the metric is taken; of equal strengths the greatest wins.
    """
    parts = min(folds, documents)
    if parts < 2:
        raise ConfigError('shrink is "auto" but there is only one document: give a number.')
    fold = np.random.default_rng(seed).permutation(documents) % parts  # (D,)
    counts = np.zeros((len(SHRINK_GRID), 2, scored.labels), dtype=np.int64)
    for part in range(parts):
        fit, held_out = search.fit(scored.of_documents(fold != part)), scored.of_documents(fold == part)
        for place, strength in enumerate(SHRINK_GRID):
            counts[place] += held_out.counts(fit.thresholds(strength).label)
    values = [f1_of_counts(c, scored.positives(), search.metric) for c in counts]
    best = max(range(len(SHRINK_GRID)), key=lambda place: (values[place], place))
    return SHRINK_GRID[best], values[best]


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
