"""The metric that trials of a search are compared by."""

from __future__ import annotations

from typing import Any

from taxotext.api.tuning import tune_thresholds
from taxotext.composition.base import System
from taxotext.decoding import Decoder
from taxotext.errors import DataError
from taxotext.metrics import Evaluation
from taxotext.progress import Silent
from taxotext.store import Manifest

TUNED = ("micro_f1", "macro_f1")
METRICS = (*TUNED, "p@1", "p@3", "p@5", "ndcg@3", "ndcg@5")


def held_out_score(system: System, manifest: Manifest, metric: str) -> float:
    """The metric on the held-out documents; the thresholds of ``manifest`` are tuned on the way.

    F1 is that of documents held out from the tuning (cross-validation over the held-out documents); the thresholds that
    stay are tuned on all of them. Ranking metrics need no thresholds; theirs are tuned for micro-F1. Where the system
    decides on label sets itself, nothing is tuned, and F1 is that of its sets.

    Raises:
        DataError: no held-out document has a label.
    """
    held_out = manifest.held_out
    if held_out is None:
        raise DataError("There are no scores of held-out documents.")
    if held_out.decided is None or manifest.decoding.source == "threshold":
        tuned: Any = metric if metric in TUNED else "micro_f1"
        report = tune_thresholds(system, manifest, None, metric=tuned, method="label", shrink="auto", reporter=Silent())
        if metric in TUNED:
            if report.cross_validated is None:
                raise DataError("Thresholds were not cross-validated; two held-out documents are needed at least.")
            return float(report.cross_validated)
    decoder = Decoder(manifest.decoding, system.taxonomy)
    evaluation = Evaluation(len(system.taxonomy), closure=system.taxonomy.closure, ks=(1, 3, 5))
    for part, block in held_out.blocks():
        sets, scores = decoder.decode(block)
        evaluation.update(held_out.gold[part], sets, decoder.rank(scores, 5)[0])
    return float(evaluation.compute()[metric])
