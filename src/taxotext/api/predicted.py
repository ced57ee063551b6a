"""Label sets that are compared: of model folders, or of the files that ``taxotext predict`` writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from scipy.sparse import csr_array

from taxotext.api.classifier import Classifier
from taxotext.data import Corpus
from taxotext.data.sources import open_lines
from taxotext.errors import SHOWN_PROBLEMS, DataError
from taxotext.metrics.sparse import Sets, as_sets
from taxotext.progress import Reporter


@dataclass(frozen=True)
class PredictedSets:
    """The label sets of one run."""

    source: str  # the folder or file they are from
    label_ids: tuple[str, ...]  # names of the columns
    sets: Sets  # (D, columns) bool sparse
    document_ids: tuple[str, ...] | None = None  # of the documents in their order; None where the lines have none


def gold_of(corpus: Corpus) -> PredictedSets:
    """The gold label sets of a corpus; document ids only when every document has one."""
    ids = corpus.ids
    document_ids = None if ids is None or None in ids else tuple(str(name) for name in ids)
    return PredictedSets(corpus.source, tuple(corpus.label_ids), as_sets(corpus.targets), document_ids)


def predict_sets(classifier: Classifier, corpus: Corpus, source: str, reporter: Reporter) -> PredictedSets:
    """Label the texts of a corpus with a model."""
    found = [sets for sets, _ in classifier.decode_stream(corpus.texts, reporter=reporter)]
    columns = np.concatenate([sets.indices for sets in found])
    ends = np.cumsum(np.concatenate([np.diff(sets.indptr) for sets in found]))
    labels = tuple(classifier.taxonomy.ids)
    return PredictedSets(source, labels, _matrix(columns, np.concatenate([[0], ends]), len(labels)))


def read_predictions(path: Path) -> PredictedSets:
    """Read the JSON lines of ``taxotext predict``: ``labels``, and ``id`` where the documents have one.

    Raises:
        DataError: a line is not such an object; all bad lines are listed.
    """
    columns: dict[str, int] = {}
    indices: list[int] = []
    ends, ids, problems = [0], [], []
    with open_lines(path, path.suffix == ".gz") as lines:
        for number, line in lines:
            if not line.strip():
                continue
            try:
                labels, document_id = _read_line(line)
            except ValueError as reason:
                problems.append(f"{path}:{number}: {reason}")
                continue
            ids.append(document_id)
            indices += sorted({columns.setdefault(label, len(columns)) for label in labels})
            ends.append(len(indices))
    if problems:
        raise DataError(f"{path}: is not a file of predictions, such as `taxotext predict` writes.", problems)
    if not ids:
        raise DataError(f"{path}: holds no predictions.")
    named = sum(name is not None for name in ids)
    if named not in (0, len(ids)):
        raise DataError(f"{path}: {named} of {len(ids)} lines have an id; all of them must have one, or none.")
    sets = _matrix(np.asarray(indices), np.asarray(ends), len(columns))
    return PredictedSets(str(path), tuple(columns), sets, tuple(str(name) for name in ids) if named else None)


def in_order_of(gold: PredictedSets, predicted: PredictedSets) -> PredictedSets:
    """Bring predictions into the order of the gold documents: by id where both have them, else as they stand.

    Raises:
        DataError: the documents are not the same ones.
    """
    count, given = gold.sets.shape[0], predicted.sets.shape[0]
    if gold.document_ids is None or predicted.document_ids is None:
        if given != count:
            raise DataError(
                f"{predicted.source}: has {given} documents, and {gold.source} has {count}; without ids in both they "
                "are matched line by line. Predict that file again."
            )
        return predicted
    if gold.document_ids == predicted.document_ids:
        return predicted
    for side in (gold, predicted):
        names, times = np.unique(side.document_ids or (), return_counts=True)
        if (times > 1).any():
            raise DataError(
                f"{side.source}: the id {str(names[times > 1][0])!r} names {times.max()} documents, and the order "
                "is not that of the other file; they cannot be matched."
            )
    place = {name: row for row, name in enumerate(predicted.document_ids)}
    missing = [name for name in gold.document_ids if name not in place]
    known = set(gold.document_ids)
    more = [name for name in predicted.document_ids if name not in known]
    if missing or more:
        problems = [f"{name!r}: no prediction in {predicted.source}" for name in missing[:SHOWN_PROBLEMS]]
        problems += [f"{name!r}: not in {gold.source}" for name in more[:SHOWN_PROBLEMS]]
        raise DataError(
            f"{predicted.source}: its documents are not those of {gold.source}: {len(missing)} are missing and "
            f"{len(more)} are not there.",
            problems,
        )
    rows = [place[name] for name in gold.document_ids]
    return PredictedSets(predicted.source, predicted.label_ids, as_sets(predicted.sets[rows]), gold.document_ids)


def common_columns(parts: Sequence[PredictedSets]) -> tuple[tuple[str, ...], list[Sets]]:
    """Return the labels of all parts, in the order of first appearance, and the sets over them."""
    place: dict[str, int] = {}
    for part in parts:
        for name in part.label_ids:
            place.setdefault(name, len(place))
    result = []
    for part in parts:
        columns = np.fromiter((place[name] for name in part.label_ids), dtype=np.int64, count=len(part.label_ids))
        result.append(_matrix(columns[part.sets.indices], part.sets.indptr, len(place)))
    return tuple(place), result


def _matrix(indices: Any, indptr: Any, columns: int) -> Sets:
    data = np.ones(len(indices), dtype=np.bool_)
    sets = csr_array((data, np.asarray(indices, dtype=np.int64), indptr), shape=(len(indptr) - 1, columns))
    return as_sets(sets)


def _read_line(line: bytes) -> tuple[Iterable[str], str | None]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"this is not valid JSON: {error.msg}") from None
    if not isinstance(record, dict) or "labels" not in record:
        raise ValueError("a JSON object with the key 'labels' is needed")
    labels, document_id = record["labels"], record.get("id")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("'labels' must be a list of label ids")
    if document_id is not None and not isinstance(document_id, (str, int)):
        raise ValueError("'id' must be text")
    return labels, None if document_id is None else str(document_id)
