"""Tuning of the decoder that maximises expected hierarchical F1: what score of each label means a probability of 0.5.

The decoder (``source: expected_f1``) works on probabilities, and gains where these are right. On held-out documents
each label gets an intercept b, and its probabilities become σ(logit(p) + b):

    b_l = argmax Σ_documents log-likelihood of the gold label − (b_l − b_common)² / (2 · SPREAD²)

so that a label with few held-out documents stays near the common intercept. It is kept as a threshold, t = σ(−b): the
score that counts as 0.5. No threshold is searched for, so that little can be fitted by chance. Where every held-out
document has a label, the label set is known not to be empty, and ``never_empty`` is set; else where that is better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import expit, logit

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.decoder import Decoder
from taxotext.decoding.settings import Decoding
from taxotext.decoding.tuning import TuningReport
from taxotext.errors import ConfigError, DataError
from taxotext.metrics.hierarchical import HierarchicalMetrics
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, contains, keys

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

HIERARCHICAL_F1 = "hierarchical_f1"
"""The name of what is tuned for; ``hierarchical_samples_f1`` of an evaluation."""
SPREAD = 0.6
"""Standard deviation of the intercepts of labels around the common one; best thresholds differ by about as much."""
_ROUNDS = 30
"""Steps of Newton's method; a tenth of them reach the precision of the scores."""
_AT_ONCE = 1024


def tune_expected(
    held_out: ScoreBlock,
    gold: Sets,
    taxonomy: Taxonomy,
    *,
    tuned_on: str,
    method: Literal["label", "level", "global"] = "label",
    base: Decoding,
    before: Decoding | None = None,
    never_empty: bool | None = None,
) -> tuple[Decoding, TuningReport]:
    """Make a decoding that maximises expected hierarchical F1, with intercepts fitted on validation documents.

    Args:
        held_out: raw scores of D validation documents, never of test documents.
        gold: (D, N) bool sparse.
        taxonomy: the N labels.
        tuned_on: which data these are.
        method: an intercept for each label, each level, or one for all.
        base: its filters, calibration, consistency and ``top_k`` are kept; its thresholds are not.
        before: the decoding in force so far, for the report; None: ``base``.
        never_empty: None: where ``base`` says so, where every document has a label, and where it is better on these
            documents: that a document has no label at all is what independent labels estimate worst.

    Returns:
        The decoding and the report: ``threshold`` and ``level_thresholds`` are scores that count as 0.5, ``before`` and
        ``after`` are ``hierarchical_samples_f1`` on the same documents.

    Raises:
        ConfigError: an unknown ``method``.
        DataError: no document has a label.
    """
    if method not in {"label", "level", "global"}:
        raise ConfigError(f"method is {method!r}: choose label, level or global.")
    if gold.nnz == 0:
        raise DataError(f"{tuned_on}: no document has a label; nothing can be tuned on these data.")
    plain = base.model_copy(update={"threshold": 0.5, "level_thresholds": None, "label_thresholds": {}})
    stored = _pairs(Decoder(plain, taxonomy).scores(held_out))
    hit = contains(keys(gold), keys(stored))
    score, label = logit(np.clip(stored.data.astype(np.float64), 1e-7, 1 - 1e-7)), stored.indices.astype(np.int64)
    common = float(_fitted(score, hit, np.zeros_like(label), np.zeros(1), np.inf)[0])
    some = base.never_empty or bool((np.diff(gold.indptr) > 0).all())
    changed: dict[str, Any] = {"threshold": _threshold(common)}
    if method == "level":
        level = np.asarray(taxonomy.levels, dtype=np.int64) - 1
        own = _fitted(score, hit, level[label], np.full(taxonomy.depth, common), SPREAD)
        changed["level_thresholds"] = tuple(_threshold(one) for one in own)
    elif method == "label":
        own = _fitted(score, hit, label, np.full(len(taxonomy), common), SPREAD)
        known = np.flatnonzero(np.bincount(label, minlength=len(taxonomy)))
        changed["label_thresholds"] = {taxonomy.ids[i]: _threshold(own[i]) for i in known.tolist()}
    rules = plain.to_dict() | {"source": "expected_f1", "tuned_on": tuned_on, "metric": HIERARCHICAL_F1} | changed
    choices = [some] if some else [False, True]
    tried = [
        Decoding.from_dict(rules | {"never_empty": choice})
        for choice in (choices if never_empty is None else [never_empty])
    ]
    reached = [_samples_f1(held_out, gold, Decoder(decoding, taxonomy)) for decoding in tried]
    decoding, after = max(zip(tried, reached, strict=True), key=lambda pair: pair[1])  # the first of equal ones
    report = TuningReport(
        method=method,
        metric=HIERARCHICAL_F1,
        tuned_on=tuned_on,
        documents=gold.shape[0],
        threshold=changed["threshold"],
        level_thresholds=changed.get("level_thresholds"),
        tuned_labels=len(changed.get("label_thresholds", ())),
        shrink=None,
        before=_samples_f1(held_out, gold, Decoder(before or base, taxonomy)),
        after=after,
    )
    return decoding, report


def _fitted(score: FloatArray, hit: BoolArray, group: IntArray, centre: FloatArray, spread: float) -> FloatArray:
    """The intercept of each group of pairs (P,), drawn to its centre (G,); (G,)."""
    intercepts, count = centre.copy(), centre.size
    positives = np.bincount(group, weights=hit, minlength=count)
    for _ in range(_ROUNDS):
        chance = expit(score + intercepts[group])
        slope = positives - np.bincount(group, weights=chance, minlength=count) - (intercepts - centre) / spread**2
        curve = np.bincount(group, weights=chance * (1 - chance), minlength=count) + 1 / spread**2
        step = np.divide(slope, curve, out=np.zeros_like(slope), where=curve > 0)
        intercepts = np.clip(intercepts + np.clip(step, -1, 1), -8, 8)
    return intercepts


def _threshold(intercept: float) -> float:
    return float(expit(-intercept))


def _pairs(block: ScoreBlock) -> Any:
    """The stored scores, CSR; of a dense block all that are not 0."""
    from scipy.sparse import csr_array

    return block.candidates if block.is_sparse else csr_array(block.dense)


def _samples_f1(block: ScoreBlock, gold: Sets, decoder: Decoder) -> float:
    metrics = HierarchicalMetrics(gold.shape[1], decoder.taxonomy.closure)
    for start in range(0, gold.shape[0], _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        metrics.update(gold[part], decoder.sets(block.rows(part)))
    return metrics.compute()["hierarchical_samples_f1"]
