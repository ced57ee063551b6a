"""What a report is written from: one model, and its scores of documents with gold labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from taxotext.api import Classifier
from taxotext.data import Corpus
from taxotext.decoding import Decoder, ScoreBlock
from taxotext.decoding.heldout import FLOOR
from taxotext.decoding.tuning import sparse_scores
from taxotext.errors import DataError
from taxotext.metrics import Evaluation, widen
from taxotext.metrics.calibration import CalibrationMetrics
from taxotext.metrics.sparse import Sets, as_sets
from taxotext.progress import Reporter

KS = (1, 3, 5)


@dataclass(frozen=True)
class Measured:
    """A model on D documents."""

    name: str  # of the model folder
    classifier: Classifier  # the model
    source: str  # which documents these are, in words
    held_out: bool  # whether they are the held-out documents of the folder, not a corpus
    texts: tuple[str, ...] | None  # D, None where they are not known
    ids: tuple[str | int | None, ...] | None  # document ids, where there are some
    label_ids: tuple[str, ...]  # of the L gold columns; those that the model does not know come last
    # gold, predicted: (D, L) bool sparse
    gold: Sets
    predicted: Sets
    scores: csr_array  # (D, N) float32 sparse, those above 0.001, after calibration and the consistency rule
    metrics: dict[str, float]  # all metrics by name
    per_label: NDArray[np.void]  # table of labels
    per_level: NDArray[np.void] | None  # table of levels; None of a flat taxonomy
    reliability: NDArray[np.void] | None  # table of bins; None where only candidates have scores
    seconds: float | None  # that scoring took; None of held-out documents
    folder_bytes: int  # size of the model folder
    cut_texts: int | None  # texts that are longer than the model reads; None where the texts are not known

    def __len__(self) -> int:
        return int(self.gold.shape[0])

    def label_name(self, label: int) -> str:
        """Display name of a column."""
        taxonomy = self.classifier.taxonomy
        return taxonomy.name(label) if label < len(taxonomy) else f"{self.label_ids[label]} (unknown to the model)"


def measure(folder: Path, classifier: Classifier, corpus: Corpus | None, reporter: Reporter) -> Measured:
    """Score documents, or take the scores of the held-out documents that the folder keeps.

    Args:
        corpus: documents with gold labels; None: the held-out documents.

    Raises:
        DataError: there is no corpus, and the folder keeps no held-out scores.
    """
    system, manifest = classifier.system, classifier.manifest
    held = manifest.held_out
    if corpus is None and (held is None or not held.gold.shape[0]):
        raise DataError(
            f"{folder}: keeps no scores of held-out documents to report on; name documents with gold labels with "
            "--corpus FILE."
        )
    taxonomy = classifier.taxonomy
    gold = as_sets(held.gold if corpus is None and held is not None else corpus.targets)  # type: ignore[union-attr]
    labels = gold.shape[1]
    decoder = Decoder(classifier.decoding, taxonomy)
    counts = np.asarray(manifest.seen, dtype=np.int64)
    evaluation = Evaluation(
        labels,
        closure=taxonomy.closure,
        levels=None if taxonomy.is_flat else taxonomy.levels,
        seen=counts > 0,
        ks=KS,
        counts=counts,
        train_documents=manifest.trained_on.get("training_documents"),
    )
    calibration = CalibrationMetrics(labels)
    predicted, kept, row = [], [], 0
    started = time.perf_counter()
    for block in _blocks(classifier, corpus, reporter):
        sets, scores = decoder.decode(block)
        wide = widen(sets, labels)
        part = gold[row : row + len(scores)]
        # Held-out scores are kept without those near 0: all labels count, and the rest is 0.
        values: Any = scores.candidates.toarray() if corpus is None and scores.is_sparse else scores.scores
        evaluation.update(part, wide, decoder.rank(scores, max(KS))[0], values)
        if isinstance(values, np.ndarray):
            calibration.update(part, values)
        predicted.append(wide)
        kept.append(sparse_scores(scores, FLOOR))
        row += len(scores)
    seconds = time.perf_counter() - started
    every: Any = vstack(kept, format="csr")
    return Measured(
        name=folder.name,
        classifier=classifier,
        source=held.source if corpus is None and held is not None else corpus.source,  # type: ignore[union-attr]
        held_out=corpus is None,
        texts=None if corpus is None else tuple(corpus.texts),
        ids=None if corpus is None or corpus.ids is None else tuple(corpus.ids),
        label_ids=tuple(taxonomy.ids) if corpus is None else tuple(corpus.label_ids),
        gold=gold,
        predicted=as_sets(vstack(predicted, format="csr")),
        scores=csr_array(every),
        metrics=evaluation.compute(),
        per_label=evaluation.per_label(),
        per_level=None if taxonomy.is_flat else evaluation.per_level(),
        reliability=calibration.reliability() if calibration.documents else None,
        seconds=None if corpus is None else seconds,
        folder_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        cut_texts=None if corpus is None else system.count_cut(corpus.texts),
    )


def _blocks(classifier: Classifier, corpus: Corpus | None, reporter: Reporter) -> Iterator[ScoreBlock]:
    if corpus is not None:
        with reporter.task(f"Evaluating {classifier.system.name}", len(corpus)) as task:
            for block in classifier.system.scores(corpus.texts, progress=task.advance):
                yield ScoreBlock.of(block)
        return
    held = classifier.manifest.held_out
    if held is not None:
        yield from (block for _, block in held.blocks())
