"""Streamed evaluation of a fitted system."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.composition.base import System
from taxotext.data import Corpus
from taxotext.decoding import Decoder
from taxotext.errors import ConfigError, nearest
from taxotext.messages import counted
from taxotext.metrics import PROPENSITIES, Evaluation, widen
from taxotext.progress import Reporter
from taxotext.store import Manifest


def evaluate_corpus(
    system: System,
    manifest: Manifest,
    corpus: Corpus,
    *,
    ks: Sequence[int],
    per_label: bool,
    propensity: str | tuple[float, float] = "default",
    reporter: Reporter,
    keep: Callable[[Any, NDArray[np.int32]], None] | None = None,
) -> dict[str, Any]:
    """Score ``corpus`` block by block and return the metrics with what they were computed on.

    ``keep`` is handed the answers of each block: label sets (b, L) sparse and ranked labels (b, K).
    ``seconds`` is the time of reading tokens, scoring, decoding and counting; loading the model is not part of it.

    Raises:
        ConfigError: see :func:`propensity_constants`.
    """
    taxonomy, labels = system.taxonomy, corpus.targets.shape[1]
    decoder = Decoder(manifest.decoding, taxonomy)
    counts = np.asarray(manifest.seen, dtype=np.int64)
    evaluation = Evaluation(
        labels,
        closure=taxonomy.closure,
        levels=taxonomy.levels if not taxonomy.is_flat else None,
        seen=counts > 0,
        ks=ks,
        counts=counts,
        train_documents=manifest.trained_on.get("training_documents"),
        propensity=propensity_constants(propensity),
    )
    started, row = time.perf_counter(), 0
    with reporter.task("Evaluating", len(corpus)) as task:
        for block in system.scores(corpus.texts, progress=task.advance):
            sets, scores = decoder.decode(block)
            # Labels that the model does not know are columns that it never predicts.
            predicted = widen(sets, labels)
            ranked = decoder.rank(scores, max(ks))[0]
            evaluation.update(corpus.targets[row : row + len(scores)], predicted, ranked, scores.scores)
            if keep is not None:
                keep(predicted, ranked)
            row += len(scores)
    seconds = time.perf_counter() - started
    trained, chosen = (0, 0) if manifest.held_out is None else manifest.held_out.known(corpus.texts)
    _warn(trained, chosen, len(corpus), reporter)
    result: dict[str, Any] = {
        **evaluation.compute(),
        "data": corpus.source,
        "documents": len(corpus),
        "labels": len(taxonomy),
        "seen_in_training": trained,
        "seen_in_tuning": chosen,
        "unknown_labels": len(corpus.report.unknown_labels),
        "cut_texts": system.count_cut(corpus.texts),
        "closure": corpus.closure,
        "thresholds_tuned_on": manifest.decoding.tuned_on,
        "seconds": round(seconds, 3),
        "documents_per_second": round(len(corpus) / max(seconds, 1e-9), 1),
    }
    if per_label:
        table = evaluation.per_label()
        ids = corpus.label_ids
        metrics = [name for name in table.dtype.names or () if name != "label"]
        result["per_label"] = [
            {"id": ids[index], **{name: table[name][index].item() for name in metrics}} for index in range(labels)
        ]
    return result


def _warn(trained: int, chosen: int, documents: int, reporter: Reporter) -> None:
    """Say that scores are too good where the documents are not new."""
    shares = (("trained on", trained), ("validated or tuned on", chosen))
    found = [f"{count:,} of {counted(documents, 'document')} the model was {what}" for what, count in shares if count]
    if found:
        reporter.note(
            f"Not new to the model (equal texts): {' and '.join(found)}. Scores on them are optimistic; evaluate on "
            "documents that the model has not seen."
        )


def propensity_constants(given: str | tuple[float, float]) -> tuple[float, float]:
    """Return A and B of the propensities from their name in ``PROPENSITIES``, from ``"A,B"``, or as given.

    Raises:
        ConfigError: the name is not known, or these are not two positive numbers.

    >>> propensity_constants("amazon"), propensity_constants("0.5, 0.4")
    ((0.6, 2.6), (0.5, 0.4))
    """
    if isinstance(given, str) and given in PROPENSITIES:
        return PROPENSITIES[given]
    try:
        a, b = (float(part) for part in (given.split(",") if isinstance(given, str) else given))
    except (TypeError, ValueError):
        names = ", ".join(PROPENSITIES)
        hint = nearest(given, PROPENSITIES) if isinstance(given, str) else ""
        raise ConfigError(
            f"propensity is {given!r}.{hint} Choose {names}, or two numbers A,B such as 0.55,1.5."
        ) from None
    if not (0 < a < float("inf") and 0 < b < float("inf")):
        raise ConfigError(f"propensity is {given!r}; A and B must be positive numbers.")
    return a, b
