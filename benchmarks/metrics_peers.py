"""Compare the metrics with those of other programs on the same random predictions: docs/results/metrics-peers.md.

    pip install torch torchmetrics scikit-learn napkinxc libmultilabel
    python benchmarks/metrics_peers.py --output docs/results/metrics-peers.md

Two sets of documents. "plain": every document has gold labels and every label gold documents. "edges": documents
without gold labels, without predictions or both, and a label without either. A figure that differs by more than 1e-6
must become the other program's when one of CONVENTIONS is applied to it; if one does not, the exit code is 1.
A program that is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix

import taxotext
from taxotext.metrics import CalibrationMetrics, evaluate, inverse_propensities

KS = (1, 3, 5)
TOLERANCE = 1e-6
SKIP_REASONS = {
    "omikuji": "its Python package has no function for evaluation; the command of the Rust program, which prints "
    "P@1, P@3 and P@5, is not in the wheel",
}


@dataclass(frozen=True)
class Case:
    """Dense gold (D, L) bool, scores (D, L) float32 without ties, predictions = scores > 0.5, training labels."""

    name: str
    gold: Any
    scores: Any
    train: Any

    @property
    def predicted(self) -> Any:
        return self.scores > 0.5

    @property
    def ranked(self) -> Any:
        return np.argsort(-self.scores, axis=1, kind="stable").astype(np.int32)

    @property
    def share_with_gold(self) -> float:
        return float(self.gold.any(axis=1).mean())

    @property
    def share_of_empty(self) -> float:
        return float(1 - (self.gold | self.predicted).any(axis=1).mean())


CONVENTIONS: dict[str, Callable[[Case, float], float]] = {
    "document without gold labels: left out here, 0 there": lambda case, value: value * case.share_with_gold,
    "document without gold labels: left out here, 1 there": lambda case, value: (
        value * case.share_with_gold + 1 - case.share_with_gold
    ),
    "both sets empty: 1 here, 0 there": lambda case, value: value - case.share_of_empty,
    "label without gold documents: left out here, 0 there": lambda case, value: value * case.gold.any(axis=0).mean(),
    "label that does not occur: 0 here, left out there": lambda case, value: (
        value / (case.gold | case.predicted).any(axis=0).mean()
    ),
}
"""What turns our figure into another program's."""


@dataclass(frozen=True)
class Row:
    """One figure of one other program."""

    peer: str
    key: str
    ours: float
    theirs: float
    why: str

    @property
    def gap(self) -> float:
        return abs(self.ours - self.theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="Markdown page; stdout when left out")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # about the edges
    peers, missing = installed()
    cases = plain_case(), edge_case()
    tables = [list(rows_of(case, peers)) for case in cases]
    lines = [*head(peers, missing), *plain_section(cases[0], tables[0]), *edge_section(cases[1], tables[1])]
    page = "\n".join(lines).rstrip() + "\n"
    if options.output is None:
        sys.stdout.write(page)
    else:
        options.output.write_text(page, encoding="utf-8")
    sys.exit(1 if any(row.gap > TOLERANCE and not row.why for table in tables for row in table) else 0)


def rows_of(case: Case, peers: list[str]) -> Iterator[Row]:
    ours = own_figures(case)
    for peer in peers:
        for key, theirs in PEERS[peer](case):
            value = ours[key]
            fitting = [why for why, turn in CONVENTIONS.items() if abs(turn(case, value) - theirs) <= TOLERANCE]
            differs = abs(value - theirs) > TOLERANCE
            yield Row(peer, key, value, theirs, fitting[0] if differs and fitting else "")


def plain_case() -> Case:
    random = np.random.default_rng(11)
    documents, labels = 400, 30
    gold = random.random((documents, labels)) < np.linspace(0.02, 0.4, labels)
    gold[np.arange(labels), np.arange(labels)] = True
    gold[np.arange(documents), random.integers(0, labels, documents)] = True
    train = random.random((1000, labels)) < np.linspace(0.002, 0.4, labels)
    return Case("plain", gold, scores_of(gold, random), train)


def edge_case() -> Case:
    random = np.random.default_rng(12)
    documents, labels = 200, 20
    gold = random.random((documents, labels)) < 0.15
    gold[:20] = False
    gold[:, -1] = False
    scores = scores_of(gold, random)
    scores[10:40] *= 0.5  # nothing predicted; ten of them without gold labels
    scores[:, -1] *= 0.5  # neither gold nor predicted
    train = random.random((500, labels)) < 0.1
    train[:, :2] = False
    return Case("edges", gold, scores, train)


def scores_of(gold: Any, random: np.random.Generator) -> Any:
    noise = random.permutation(gold.size).reshape(gold.shape) / gold.size  # all different
    return (0.52 * noise + 0.46 * gold + 0.01).astype(np.float32)


def own_figures(case: Case) -> dict[str, float]:
    counts = case.train.sum(axis=0)
    sets = csr_array(case.gold), csr_array(case.predicted)
    figures = evaluate(*sets, case.ranked, case.scores, ks=KS, counts=counts, train_documents=len(case.train))
    calibration = CalibrationMetrics(case.gold.shape[1], bins=15)
    calibration.update(sets[0], case.scores)
    weights = inverse_propensities(counts, len(case.train))
    return {**figures, **{f"inverse propensity of label {i}": float(weights[i]) for i in (0, 10)}}


# -- the others -----------------------------------------------------------------------------------------------------


def scikit_learn(case: Case) -> Iterator[tuple[str, float]]:
    from sklearn import metrics as sk
    from sklearn.calibration import calibration_curve

    gold, predicted, scores = case.gold, case.predicted, case.scores.astype(float)
    for average in ("micro", "macro", "weighted", "samples"):
        for name in ("precision", "recall", "f1"):
            yield f"{average}_{name}", getattr(sk, f"{name}_score")(gold, predicted, average=average, zero_division=0)
    yield "set_accuracy", sk.accuracy_score(gold, predicted)
    yield "hamming_loss", sk.hamming_loss(gold, predicted)
    for average in ("micro", "macro", "samples"):
        yield f"{average}_average_precision", sk.average_precision_score(gold, scores, average=average)
    yield "samples_average_precision", sk.label_ranking_average_precision_score(gold, scores)
    for k in KS:
        yield f"ndcg@{k}", sk.ndcg_score(gold, scores, k=k)
    yield "brier", sk.brier_score_loss(gold.ravel(), scores.ravel())
    share, mean = calibration_curve(gold.ravel(), scores.ravel(), n_bins=15)
    place = np.minimum((scores.ravel() * 15).astype(int), 14)
    size = np.bincount(place, minlength=15)
    yield "ece", float((np.abs(share - mean) * size[size > 0]).sum() / size.sum())


def torchmetrics(case: Case) -> Iterator[tuple[str, float]]:
    import torch
    from torchmetrics import functional as tm

    labels = case.gold.shape[1]
    scores, gold = torch.from_numpy(case.scores), torch.from_numpy(case.gold.astype(int))
    for average in ("micro", "macro", "weighted"):
        for name, call in (("f1", "f1_score"), ("precision", "precision"), ("recall", "recall")):
            value = getattr(tm.classification, f"multilabel_{call}")(scores, gold, labels, average=average)
            yield f"{average}_{name}", float(value)
    yield "set_accuracy", float(tm.classification.multilabel_exact_match(scores, gold, labels))
    yield "hamming_loss", float(tm.classification.multilabel_hamming_distance(scores, gold, labels))
    for average in ("micro", "macro"):
        value = tm.classification.multilabel_average_precision(scores, gold, labels, average=average)
        yield f"{average}_average_precision", float(value)
    value = tm.classification.multilabel_ranking_average_precision(scores, gold, labels)
    yield "samples_average_precision", float(value)
    value = tm.classification.binary_calibration_error(scores.ravel(), gold.ravel(), n_bins=15, norm="l1")
    yield "ece", float(value)
    if case.name == "plain":  # one query at a time, each with gold
        for k in KS:
            values = [tm.retrieval.retrieval_normalized_dcg(s, g, top_k=k) for s, g in zip(scores, gold, strict=True)]
            yield f"ndcg@{k}", float(np.mean(values))
            values = [tm.retrieval.retrieval_precision(s, g, top_k=k) for s, g in zip(scores, gold, strict=True)]
            yield f"p@{k}", float(np.mean(values))


def napkinxc(case: Case) -> Iterator[tuple[str, float]]:
    from napkinxc import metrics as nx

    gold = [np.flatnonzero(row).tolist() for row in case.gold]
    predicted = [np.flatnonzero(row).tolist() for row in case.predicted]
    ranked = case.ranked.tolist()
    depth = max(KS)
    weights = nx.Jain_et_al_inverse_propensity(csr_matrix(case.train.astype(float)))
    for label in (0, 10):
        yield f"inverse propensity of label {label}", float(weights[label])
    figures = {
        "p": nx.precision_at_k(gold, ranked, k=depth),
        "r": nx.recall_at_k(gold, ranked, k=depth),
        "ndcg": nx.ndcg_at_k(gold, ranked, k=depth),
        "psp": nx.psprecision_at_k(gold, ranked, weights, k=depth),
        "psr": nx.psrecall_at_k(gold, ranked, weights, k=depth),
        "psndcg": nx.psndcg_at_k(gold, ranked, weights, k=depth),
        "psndcg_pooled": nx.psdcg_at_k(gold, ranked, weights, k=depth),
    }
    for name, values in figures.items():
        for k in KS:
            yield f"{name}@{k}", float(values[k - 1])
    for average in ("micro", "macro", "samples"):
        yield f"{average}_f1", float(nx.f1_measure(gold, predicted, average=average))
    # Its Hamming loss is not divided by the number of labels.
    yield "hamming_loss", float(nx.hamming_loss(gold, predicted)) / case.gold.shape[1]


def libmultilabel(case: Case) -> Iterator[tuple[str, float]]:
    from libmultilabel.linear import compute_metrics

    names = {f"{theirs}@{k}": f"{ours}@{k}" for k in KS for theirs, ours in LIBMULTILABEL_RANKINGS}
    names |= {"Micro-F1": "micro_f1", "Macro-F1": "macro_f1", "Another-Macro-F1": "macro_f1_of_means"}
    # It takes decision values and predicts what is above 0.
    with np.errstate(invalid="ignore"):
        found = compute_metrics(case.scores - np.float32(0.5), case.gold.astype(int), list(names))
    for theirs, ours in names.items():
        yield ours, float(found[theirs])


LIBMULTILABEL_RANKINGS = (("P", "p"), ("R", "r"), ("RP", "rp"), ("NDCG", "ndcg"))
PEERS: dict[str, Callable[[Case], Iterator[tuple[str, float]]]] = {
    "scikit-learn": scikit_learn,
    "torchmetrics": torchmetrics,
    "napkinXC": napkinxc,
    "LibMultiLabel": libmultilabel,
}


def installed() -> tuple[list[str], list[str]]:
    found, missing = [], []
    for peer in PEERS:
        try:
            importlib.metadata.version(peer.lower())
        except importlib.metadata.PackageNotFoundError:
            missing.append(peer)
        else:
            found.append(peer)
    return found, missing


# -- the page -------------------------------------------------------------------------------------------------------


def head(peers: list[str], missing: list[str]) -> list[str]:
    versions = ", ".join(f"{peer} {importlib.metadata.version(peer.lower())}" for peer in peers)
    text = [
        "# Metrics compared with other libraries",
        "",
        "The metrics of Taxotext were compared with those of other libraries on the same random predictions. They are",
        "equal, or become equal with the convention for edge cases that the second table names.",
        "",
        "    python benchmarks/metrics_peers.py --output docs/results/metrics-peers.md",
        "",
        "The script computes every metric that both sides have (fixed seeds, no ties between scores).",
        "",
        f"Taxotext {taxotext.__version__}, {versions}; Python {platform.python_version()}, NumPy {np.__version__}.",
        "",
    ]
    text += [f"* Not installed, so not compared: {peer}." for peer in missing]
    text += [f"* Not compared: {peer}; {why}." for peer, why in SKIP_REASONS.items()]
    text += ["* `psndcg_pooled@k` is napkinXC's `psdcg_at_k`. Its Hamming loss is divided by the number of labels.", ""]
    return text


def plain_section(case: Case, rows: list[Row]) -> list[str]:
    equal = sum(row.gap <= TOLERANCE for row in rows)
    lines = [
        "## No edges",
        "",
        f"{case.gold.shape[0]} documents and {case.gold.shape[1]} labels, all with gold labels or documents: {equal} "
        f"of {len(rows)} metrics are equal to 1e-6.",
        "",
        "| library | metrics | largest difference |",
        "| --- | --- | --- |",
    ]
    for peer in dict.fromkeys(row.peer for row in rows):
        own = [row for row in rows if row.peer == peer]
        names = ", ".join(f"`{key}`" for key in dict.fromkeys(row.key for row in own))
        lines.append(f"| {peer} | {names} | {max(row.gap for row in own):.0e} |")
    return [*lines, ""]


def edge_section(case: Case, rows: list[Row]) -> list[str]:
    differing = [row for row in rows if row.gap > TOLERANCE]
    no_gold, no_answer = (int((~sets.any(axis=1)).sum()) for sets in (case.gold, case.predicted))
    neither = round(case.share_of_empty * len(case.gold))
    lines = [
        "## Edges",
        "",
        f"{len(case.gold)} documents, {no_gold} of them without gold labels, {no_answer} without predicted ones, "
        f"{neither} without both; {case.gold.shape[1]} labels, one without either. {len(rows) - len(differing)} of "
        f"{len(rows)} metrics are equal to 1e-6. The others become equal with the convention in the last column:",
        "",
        "| library | metric | Taxotext | library | convention |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.peer} | `{row.key}` | {row.ours:.6f} | {row.theirs:.6f} | {row.why or '**not explained**'} |"
        for row in differing
    ]
    return [*lines, ""]


if __name__ == "__main__":
    main()
