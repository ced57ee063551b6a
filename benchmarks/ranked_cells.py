"""Rankings of the cells of an experiment: recall@10 by how many training documents a label has, and differences.

    python benchmarks/ranked_cells.py results --train train.jsonl --baseline label_tree_linear

Read from the ten best labels that each cell keeps of the test documents (``answers.safetensors``). *Recall* is the
share of gold assignments among the ten best, in groups by the number of training documents of the label. Differences to
the baseline in P@1 and nDCG@5 are of a paired bootstrap over test documents (seed 13), without correction.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taxotext.data import read_corpus
from taxotext.experiments.folder import ExperimentFolder
from taxotext.experiments.predictions import CellPredictions

EDGES = (0, 1, 5, 20, 100)
"""Least training documents of a label of each group."""
K, DRAWS = 10, 10_000


def hits_of(cell: CellPredictions) -> NDArray[np.bool_]:
    """Whether each of the ten best labels is gold, (D, 10)."""
    ranked = cell.ranked[:, :K]
    found = np.zeros(ranked.shape, dtype=np.bool_)
    gold = cell.gold.tocsr()
    for row in range(len(ranked)):
        found[row] = np.isin(ranked[row], gold.indices[gold.indptr[row] : gold.indptr[row + 1]])
    return found


def recalls(cell: CellPredictions, counts: NDArray[np.int64], hits: NDArray[np.bool_]) -> list[tuple[float, int]]:
    """Recall and gold assignments of each group."""
    groups = np.searchsorted(EDGES, counts, side="right") - 1  # (L,)
    gold = np.bincount(groups[cell.gold.tocsr().indices], minlength=len(EDGES))
    found = np.bincount(groups[cell.ranked[:, :K][hits]], minlength=len(EDGES))
    return [(hit / max(all_, 1), int(all_)) for hit, all_ in zip(found, gold, strict=True)]


def scores(cell: CellPredictions, hits: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """P@1 and nDCG@5 of each document, NaN without gold labels."""
    gains = 1 / np.log2(np.arange(5) + 2)
    gold = np.diff(cell.gold.tocsr().indptr)
    best = np.concatenate([[np.nan], np.cumsum(gains)])[np.minimum(gold, 5)]
    return {"P@1": hits[:, 0].astype(np.float64), "nDCG@5": hits[:, :5] @ gains / best}


def main() -> None:
    """Read the cells, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of an experiment")
    parser.add_argument("--train", type=Path, required=True, help="training file of all cells")
    parser.add_argument("--baseline", required=True, help="system")
    given = parser.parse_args()
    folder = ExperimentFolder(given.results)
    cells = {cell.system: folder.folder_of(cell) for cell in folder.read()[1]}
    cells = {system: place for system, place in cells.items() if place.predictions.is_file()}
    documents = Counter(label for labels in read_corpus(given.train).label_lists() for label in labels)
    rng = np.random.default_rng(13)
    means: dict[str, dict[str, NDArray[np.float64]]] = {}
    print("recall@10 (gold assignments) of labels with so many training documents or more:", *EDGES)
    for system, place in cells.items():
        cell = CellPredictions.load(place.predictions)
        counts = np.asarray([documents[label] for label in cell.labels], dtype=np.int64)
        hits = hits_of(cell)
        means[system] = scores(cell, hits)
        print(f"{system:36}", *(f"{recall:7.1%} ({all_})" for recall, all_ in recalls(cell, counts, hits)))
    for system in [system for system in means if system != given.baseline]:
        for metric, own in means[system].items():
            difference = own - means[given.baseline][metric]
            difference = difference[~np.isnan(difference)]
            size = len(difference)
            drawn = np.asarray([difference[rng.integers(0, size, size)].mean() for _ in range(DRAWS)])
            low, high = np.quantile(drawn, (0.025, 0.975))
            p = 2 * min((drawn <= 0).mean(), (drawn >= 0).mean())
            print(f"{system:36} {metric:6} {difference.mean():+.2%} [{low:+.2%}, {high:+.2%}], p {p:.4f}")


if __name__ == "__main__":
    main()
