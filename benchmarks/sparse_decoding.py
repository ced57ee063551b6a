"""Seconds and memory of decoding, evaluating and tuning with a few candidates among very many labels.

Labels, candidates and gold labels are made up: a tree of labels with ten children each, random candidates, of which
the gold labels score higher. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy.sparse import csr_array

from taxotext.decoding import Decoder, Decoding, ScoreBlock, sparse_scores, tune
from taxotext.decoding.heldout import HeldOut
from taxotext.experiments.measuring import peak_memory
from taxotext.labels import Taxonomy
from taxotext.metrics import Evaluation

CHILDREN = 10
GOLD = 5
TOGETHER = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--labels", type=int, default=500_000)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--candidates", type=int, default=100, help="of each document")
    parser.add_argument("--consistency", default="none", choices=("none", "up", "down"))
    options = parser.parse_args()
    print(json.dumps(measure(options.labels, options.documents, options.candidates, options.consistency), indent=2))


def measure(labels: int, documents: int, candidates: int, consistency: str) -> dict[str, float]:
    """Seconds and peak memory (MB, of the process so far) after each stage."""
    found: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        found[f"{name}_seconds"] = round(time.perf_counter() - started, 2)
        found[f"{name}_peak_mb"] = round(peak_memory() / 1e6)

    with stage("making_the_labels"):
        ids = [f"l{number}" for number in range(labels)]
        taxonomy = Taxonomy.from_edges([(None if i < CHILDREN else ids[i // CHILDREN], ids[i]) for i in range(labels)])
        gold, scores = made_up(labels, documents, candidates)
        assert taxonomy.closure.nnz >= labels
    rules = Decoding(consistency=consistency, top_k=20, label_thresholds=dict.fromkeys(ids, 0.3))  # type: ignore[arg-type]
    with stage("decoder"):
        decoder = Decoder(rules, taxonomy)
    with stage("decode_and_evaluate"):
        counts = np.bincount(gold.indices, minlength=labels)
        evaluation = Evaluation(
            labels,
            closure=taxonomy.closure,
            levels=taxonomy.levels,
            seen=counts > 0,
            counts=counts,
            train_documents=documents,
        )
        for start in range(0, documents, TOGETHER):
            part = slice(start, start + TOGETHER)
            sets, consistent = decoder.decode(ScoreBlock(scores[part]))
            evaluation.update(gold[part], sets, decoder.rank(consistent, 5)[0], consistent.scores)
        figures = evaluation.compute()
    with stage("tune"):
        parts = (ScoreBlock(scores[start : start + TOGETHER]) for start in range(0, documents, TOGETHER))
        held_out = HeldOut.from_blocks((decoder.scores(part) for part in parts), gold, "made up")
        tune(sparse_scores(held_out.scores, 0.001), gold, taxonomy, tuned_on="made up", base=rules)
    return {**found, **{name: round(figures[name], 4) for name in ("micro_f1", "p@5", "candidate_recall")}}


def made_up(labels: int, documents: int, candidates: int) -> tuple[csr_array, csr_array]:
    """Gold labels (D, N) bool and scores of candidates (D, N) float32; four gold labels of five are candidates."""
    random = np.random.default_rng(0)
    chosen = np.sort(random.integers(0, labels - candidates + 1, (documents, candidates)), axis=1)
    chosen += np.arange(candidates)  # distinct
    scores = random.beta(1, 6, chosen.shape).astype(np.float32)
    right = random.random(chosen.shape).argsort(axis=1)[:, : GOLD - 1]
    rows = np.arange(documents)[:, None]
    scores[rows, right] = random.beta(4, 3, right.shape).astype(np.float32)
    wanted = np.concatenate([chosen[rows, right], random.integers(0, labels, (documents, 1))], axis=1)
    ones = np.ones(wanted.size, dtype=np.float32)
    gold = csr_array((ones, (np.repeat(np.arange(documents), GOLD), wanted.ravel())), shape=(documents, labels))
    ends = np.arange(documents + 1) * candidates
    shape = (documents, labels)
    return gold.astype(np.bool_), csr_array((scores.ravel(), chosen.ravel().astype(np.int32), ends), shape=shape)


if __name__ == "__main__":
    main()
