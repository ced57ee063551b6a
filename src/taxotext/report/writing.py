"""From model folders to the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from taxotext.api import Classifier, load
from taxotext.data import Corpus
from taxotext.explain.explanation import Explanation
from taxotext.progress import Reporter
from taxotext.report.findings import WorstDocument, worst_documents
from taxotext.report.measured import Measured, measure
from taxotext.report.page import page
from taxotext.report.sources import model_folders

LABELS_EXPLAINED = 4
"""Labels of a document that are explained: those that were missed, then those that are wrong."""
MOST_WORDS = 200


def report(
    given: Sequence[Path],
    read: Callable[[Classifier], Corpus] | None,
    *,
    worst: int,
    explained: int,
    runtime: dict[str, Any],
    reporter: Reporter,
) -> str:
    """Return a report on models as HTML.

    Args:
        read: reads the documents for a model; None: its held-out documents.
        worst: documents that are shown of each model.
        runtime: settings of ``runtime``.

    Raises:
        ModelFolderError: see :func:`~taxotext.report.sources.model_folders`.
        DataError: see :func:`~taxotext.report.measured.measure`.
    """
    models: list[Measured] = []
    documents: list[list[WorstDocument]] = []
    explanations: list[dict[int, Explanation]] = []
    for name, folder in model_folders(given):
        classifier = load(folder, **runtime)
        found = replace(measure(folder, classifier, None if read is None else read(classifier), reporter), name=name)
        shown = worst_documents(found.scores, found.gold, found.predicted, worst)
        models.append(found)
        documents.append(shown)
        explanations.append(_explain(found, shown[:explained], reporter))
    return page(models, documents, explanations)


def _explain(one: Measured, shown: Sequence[WorstDocument], reporter: Reporter) -> dict[int, Explanation]:
    """Why labels of documents were missed or wrongly predicted."""
    if one.texts is None:
        return {}
    found = {}
    known = len(one.classifier.taxonomy)
    for document in shown:
        labels = [label for label in (*document.missed, *document.wrong) if label < known][:LABELS_EXPLAINED]
        if labels:
            ids = [one.label_ids[label] for label in labels]
            found[document.row] = one.classifier.explain(
                [one.texts[document.row]], ids, max_words=MOST_WORDS, reporter=reporter
            )[0]
    return found
