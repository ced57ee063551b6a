"""What goes wrong and where: curves over thresholds, confusion among siblings, the worst documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.labels import Taxonomy
from taxotext.metrics.sets import ratio
from taxotext.metrics.sparse import Sets, row_of_entry

POINTS = 101
"""Points of a curve."""
THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True)
class ThresholdCurves:
    """One threshold for all labels, from 0.01 to 0.99."""

    thresholds: NDArray[np.float64]  # (T,)
    # precision, recall, micro_f1, macro_f1: (T,), labels with a score above the threshold
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    micro_f1: NDArray[np.float64]
    macro_f1: NDArray[np.float64]
    # recalls, precisions: (P,) of the precision-recall curve
    recalls: NDArray[np.float64]
    precisions: NDArray[np.float64]


def threshold_curves(scores: csr_array, gold: Sets) -> ThresholdCurves:
    """Count hits at every threshold.

    Args:
        scores: (D, N) sparse; what is not stored has score 0.
        gold: (D, L) with L >= N; labels behind the first N are missed.
    """
    labels, known = gold.shape[1], scores.shape[1]
    rows, columns = row_of_entry(scores), scores.indices
    right = np.asarray(gold[rows, columns]).ravel().astype(np.bool_) if len(rows) else np.zeros(0, np.bool_)
    support = np.bincount(gold.indices, minlength=labels)
    total = max(int(support.sum()), 1)
    order = np.argsort(-scores.data, kind="stable")
    hits = np.cumsum(right[order])
    ranks = np.arange(1, len(order) + 1)
    ends = np.flatnonzero(np.diff(scores.data[order], append=-1.0))  # ties are passed together
    recalls, precisions = hits[ends] / total, hits[ends] / ranks[ends]
    if len(ends) > POINTS:
        chosen = np.unique(np.searchsorted(recalls, np.linspace(0, recalls[-1], POINTS)).clip(max=len(ends) - 1))
        recalls, precisions = recalls[chosen], precisions[chosen]
    found: dict[str, list[float]] = {"precision": [], "recall": [], "micro_f1": [], "macro_f1": []}
    for threshold in THRESHOLDS:
        above = scores.data > threshold
        predicted = np.bincount(columns[above], minlength=known)
        both = np.bincount(columns[above & right], minlength=known)
        sizes = support.copy()
        sizes[:known] += predicted
        f1 = np.zeros(labels)
        f1[:known] = ratio(2 * both, sizes[:known])
        found["precision"].append(float(ratio(both.sum(), predicted.sum())))
        found["recall"].append(float(both.sum() / total))
        found["micro_f1"].append(float(ratio(2 * both.sum(), sizes.sum())))
        found["macro_f1"].append(float(f1.mean()))
    values = {name: np.asarray(column) for name, column in found.items()}
    return ThresholdCurves(THRESHOLDS, **values, recalls=recalls, precisions=precisions)


@dataclass(frozen=True)
class Confusion:
    """A label that was missed, and what was predicted in its place."""

    parent: int | None  # the label above all of them; None: the top level, or a flat label set
    missed: int  # the label
    times: int  # documents in which it was missed
    support: int  # documents that have it
    # (sibling, documents) that were wrongly predicted where it was missed, the most first
    instead: tuple[tuple[int, int], ...]
    nothing: int  # documents in which no sibling was wrongly predicted


def sibling_confusion(gold: Sets, predicted: Sets, taxonomy: Taxonomy, most: int = 3) -> list[Confusion]:
    """For each label and each of its parents what was predicted in its place, the labels missed most often first.

    Args:
        gold, predicted: (D, L) bool sparse with L >= N.
        taxonomy: the N labels; the labels of a flat one are siblings.
    """
    labels = len(taxonomy)
    truth, answers = (_counts(sets[:, :labels]) for sets in (gold, predicted))
    hits = truth.multiply(answers).tocsr()
    missed, wrong = csr_array(truth - hits), csr_array(answers - hits)
    for matrix in (missed, wrong):
        matrix.eliminate_zeros()
    together = csr_array(missed.T @ wrong)  # (N, N): documents in which one was missed and the other wrongly predicted
    times, support = np.asarray(missed.sum(axis=0)).ravel(), np.asarray(truth.sum(axis=0)).ravel()
    columns = missed.tocsc()
    found = []
    for label in np.argsort(-times, kind="stable").tolist():
        if not times[label]:
            break
        row = slice(together.indptr[label], together.indptr[label + 1])
        beside, counts = together.indices[row], together.data[row]
        documents = columns.indices[columns.indptr[label] : columns.indptr[label + 1]]
        parents: list[int | None] = [*taxonomy.parents(label).tolist()] or [None]
        for parent in parents:
            siblings = taxonomy.roots if parent is None else taxonomy.children(parent)
            inside = np.isin(beside, siblings)
            order = np.lexsort((beside[inside], -counts[inside]))[:most]
            instead = tuple((int(beside[inside][at]), int(counts[inside][at])) for at in order)
            of_siblings = np.diff(csr_array(wrong[documents][:, siblings]).indptr)
            nothing = int((of_siblings == 0).sum())
            found.append(Confusion(parent, label, int(times[label]), int(support[label]), instead, nothing))
    return found


@dataclass(frozen=True)
class WorstDocument:
    """A document that the model is most sure about, and wrong."""

    row: int  # its place
    error: float  # Σ (1 − p) over missed labels and Σ p over wrongly predicted ones
    # right, missed, wrong: columns of labels
    right: tuple[int, ...]
    missed: tuple[int, ...]
    wrong: tuple[int, ...]


def worst_documents(scores: csr_array, gold: Sets, predicted: Sets, most: int) -> list[WorstDocument]:
    """The documents with the largest errors, those without any left out; ties go to the earlier one."""
    truth, answers = _counts(gold), _counts(predicted)
    difference = csr_array(answers - truth)
    difference.eliminate_zeros()
    rows, columns = row_of_entry(difference), difference.indices
    known = columns < scores.shape[1]
    own = np.zeros(len(rows))
    if known.any():
        own[known] = np.asarray(scores[rows[known], columns[known]]).ravel()
    errors = np.bincount(rows, np.where(difference.data < 0, 1 - own, own), minlength=gold.shape[0])
    order = np.argsort(-errors, kind="stable")[:most]
    return [_document(int(row), float(errors[row]), gold, predicted) for row in order if errors[row] > 0]


def _document(row: int, error: float, gold: Sets, predicted: Sets) -> WorstDocument:
    truth, answers = (set(sets.indices[sets.indptr[row] : sets.indptr[row + 1]].tolist()) for sets in (gold, predicted))
    parts = (truth & answers, truth - answers, answers - truth)
    right, missed, wrong = (tuple(sorted(part)) for part in parts)
    return WorstDocument(row, error, right, missed, wrong)


def _counts(sets: Any) -> Any:
    return csr_array(sets).astype(np.int64)
