"""Reading files for a model: the fields, labels and closure that it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from taxotext.api.classifier import Classifier
from taxotext.data import Columns, Corpus, read_corpus


def columns_of(classifier: Classifier, **changes: Any) -> Columns:
    """Which fields the model was trained on, with changes; the id field of the training may be absent."""
    saved = dict(classifier.manifest.trained_on.get("columns") or {})
    if changes.get("labels") is not None:  # what was found out about the fields of the training says nothing of others
        saved.update(found_separator=None, found_shapes=())
        if len(changes["labels"]) == 1:  # such as the one that split files have
            saved.update(label_columns=None)
    saved.update({key: value for key, value in changes.items() if value is not None})
    # Weights and groups belong to training and splitting; files to predict or evaluate need not have them.
    saved.update(weight=None, group=None, id_optional=changes.get("id") is None)
    for role in ("text", "labels"):
        if role in saved:
            saved[role] = (saved[role],) if isinstance(saved[role], str) else tuple(saved[role])
    return Columns(**saved)


def read_for_model(
    classifier: Classifier,
    path: Path,
    *,
    on_bad_line: str = "error",
    unknown: str = "count",
    format: str | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Corpus:
    """Read a labelled file as the model's training data were read; its format may be another one.

    Args:
        on_bad_line: ``error`` or ``skip``.
        unknown: what is done with labels that the model lacks.
        format: of the file; None: by suffix and content.
        columns: fields that differ from those of the training, as of :class:`taxotext.data.Columns`.

    Raises:
        DataError: see :func:`taxotext.data.read_corpus`.
        ConfigError: feature vectors for a model that reads words.
    """
    corpus = read_corpus(
        path,
        classifier.taxonomy,
        columns_of(classifier, **(columns or {})),
        closure=classifier.manifest.trained_on.get("closure"),
        unknown=unknown,
        on_bad_line=on_bad_line,
        format=format,
    )
    classifier.system.check_source(corpus.report.feature_vectors, str(path))
    return replace(corpus, source=path.name)  # it goes into the model folder, which is passed on
