"""How the cost of a label tree grows with the labels: building it, a training step, prediction; beside a flat head.

python benchmarks/tree_head.py clusters 100000       seconds and memory of the clusters of so many labels
python benchmarks/tree_head.py steps 1000 10000      CPU time of a step and of prediction, in one thread
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH, DOCUMENTS, WORDS, BEAM = 64, 16, 64, 64
FEATURES, OF_A_LABEL = 100_000, 50
FLAT_LIMIT = 20_000
"""Labels up to which the flat head is measured beside."""


def clusters(labels: int) -> None:
    """Cluster labels with random features whose frequencies fall like those of words."""
    from scipy.sparse import csr_array

    from taxotext.labels.clustering import balanced_clusters, unit_rows

    rng = np.random.default_rng(0)
    columns = (rng.pareto(0.8, labels * OF_A_LABEL) * 20).astype(np.int64) % FEATURES
    starts = np.arange(0, labels * OF_A_LABEL + 1, OF_A_LABEL)
    values = rng.random(len(columns)).astype(np.float32)
    features = csr_array((values, columns, starts), shape=(labels, FEATURES))
    features.sum_duplicates()
    features = unit_rows(features)
    wall, processor = time.monotonic(), time.process_time()
    found = balanced_clusters(features, 8)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{labels:,} labels, {features.nnz / labels:.0f} features each: {found.max() + 1:,} clusters in "
        f"{time.process_time() - processor:.1f} s CPU, {time.monotonic() - wall:.1f} s; peak {peak:.2f} GiB"
    )


def steps(labels: int) -> None:
    """Time a training step and the scores of a batch, the encoder left out."""
    import torch

    from taxotext.labels.label_tree import tree_of_clusters
    from taxotext.nn.batch import Targets
    from taxotext.nn.candidates import TreeArrays
    from taxotext.nn.features import TextFeatures
    from taxotext.nn.node_scorers import AttentionScorer, SharedLayers
    from taxotext.nn.tree_head import LabelTreeHead

    torch.set_num_threads(1)
    torch.manual_seed(0)
    tree = tree_of_clusters(np.arange(labels) // 8)
    scorers = [AttentionScorer(WIDTH, nodes, SharedLayers(WIDTH, (256,))) for nodes in [*tree.nodes, labels]]
    head = LabelTreeHead(TreeArrays.of(tree), scorers, beam=BEAM)
    mask = torch.ones(DOCUMENTS, WORDS, dtype=torch.bool)
    features = TextFeatures(torch.randn(DOCUMENTS, WORDS, WIDTH), mask, torch.randn(DOCUMENTS, WIDTH))
    gold = torch.stack([torch.randperm(labels)[:4].sort().values for _ in range(DOCUMENTS)])
    targets = Targets(gold.flatten(), torch.arange(DOCUMENTS + 1) * 4, labels)
    step = _best(lambda: head.loss(features, targets).backward())
    with torch.no_grad():
        scored = _best(lambda: head.scores(features))
    flat = "not measured"
    if labels <= FLAT_LIMIT:
        scorer = AttentionScorer(WIDTH, labels, SharedLayers(WIDTH, (256,)))
        flat = f"{1000 * _best(lambda: scorer.all(features).sum().backward()):.0f} ms"
    print(
        f"{labels:,} labels ({' > '.join(map(str, tree.nodes))}): "
        f"step of {DOCUMENTS} documents {1000 * step:.0f} ms CPU, "
        f"prediction {1000 * scored / DOCUMENTS:.2f} ms a document; flat step {flat}"
    )


def _best(call: Callable[[], Any], times: int = 5) -> float:
    call()
    found = []
    for _ in range(times):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    measure = {"clusters": clusters, "steps": steps}[sys.argv[1]]
    for count in sys.argv[2:]:
        measure(int(count))
