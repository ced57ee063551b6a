"""Datasets of Hugging Face ``datasets`` (extra ``datasets``): in memory, streamed, or saved to disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taxotext.data.columns import Columns
from taxotext.data.formats.base import Format, Item, Reading, Request
from taxotext.data.records import BadRecordError
from taxotext.errors import DataError, MissingExtraError
from taxotext.messages import first_line

logger = logging.getLogger("taxotext")

ROWS = 1024
"""Rows that are turned into Python values at a time."""


def read_rows(dataset: Any, request: Request) -> Reading:
    """Return the rows of a ``datasets.Dataset`` or ``IterableDataset``.

    Numbers of ``ClassLabel`` features become their names, also in lists; -1 and null mean: no label. The label column
    may also hold whatever :mod:`taxotext.data.label_columns` reads, strings with separators included. Columns that are
    neither values nor lists of values (images, audio) are left out.

    Raises:
        DataError: a column is missing, or the object is not a dataset.
        MissingExtraError: ``datasets`` is not installed.
    """
    datasets = _library(request.name)
    if isinstance(dataset, Mapping):  # DatasetDict, IterableDatasetDict
        raise _not_one_split(request.name, list(dataset))
    if not isinstance(dataset, (datasets.Dataset, datasets.IterableDataset)):
        raise DataError(f"{request.name}: this is not a dataset of Hugging Face but a {type(dataset).__name__}")
    features = dataset.features
    if features is None:  # a stream says its features only when request to look
        dataset = dataset._resolve_features()
        features = dataset.features
    missing = request.missing(list(features))
    if missing:
        raise DataError(f"{request.name}: a column that is needed is missing; {request.advice}", missing)
    kept = [name for name, feature in features.items() if _is_plain(feature, datasets)]
    left_out = sorted(set(features) - set(kept))
    if left_out:
        logger.info("%s: the columns %s are left out; they hold no plain values", request.name, ", ".join(left_out))
    rows = dataset.select_columns(kept).with_format(None)
    return _rows(rows, {name: features[name] for name in kept}, request, datasets), request.parser()


def declared_of(dataset: Any, columns: Columns) -> tuple[str, ...]:
    """The names of the ``ClassLabel`` of the label columns, in their order; none for another kind of column."""
    datasets = _library(columns.label_field)
    features = [_inner((getattr(dataset, "features", None) or {}).get(name)) for name in columns.labels]
    names = [name for feature in features if isinstance(feature, datasets.ClassLabel) for name in feature.names]
    return tuple(dict.fromkeys(names))


def _load(folder: Path) -> Any:
    datasets = _library(str(folder))
    if (folder / "dataset_dict.json").is_file():
        raise _not_one_split(str(folder), sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))
    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:  # whatever is damaged in the folder, each with an exception of its own
        raise DataError(
            f"{folder}: is not a dataset that save_to_disk wrote, or a damaged one ({first_line(error)})"
        ) from error


def _not_one_split(name: str, splits: list[str]) -> DataError:
    shown, first = ", ".join(splits) or "none", (splits or ["train"])[0]
    return DataError(f"{name}: holds several splits ({shown}); name one of them, such as {name}/{first}")


def _library(name: str) -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{name}: datasets of Hugging Face need the package `datasets`; "
            "install it with `pip install 'taxotext[datasets]'`."
        ) from None
    return datasets


def _inner(feature: Any) -> Any:
    """The feature inside a list feature, by whichever name the version of the library gives it."""
    if isinstance(feature, list):
        return feature[0]
    return getattr(feature, "feature", feature)


def _is_plain(feature: Any, datasets: Any) -> bool:
    return isinstance(_inner(feature), (datasets.Value, datasets.ClassLabel))


def _rows(dataset: Any, features: Mapping[str, Any], request: Request, datasets: Any) -> Iterator[Item]:
    columns, number = request.columns.labels if request.labelled else (), 0
    coded = {name: _inner(feature) for name, feature in features.items()}
    coded = {name: feature for name, feature in coded.items() if isinstance(feature, datasets.ClassLabel)}
    for batch in dataset.iter(batch_size=ROWS):
        count = len(next(iter(batch.values())))
        for i in range(count):
            number += 1
            row = {name: values[i] for name, values in batch.items()}
            place = f"{request.name}: row {number}"
            try:
                for name, feature in coded.items():
                    row[name] = _names_of(row[name], feature, name, as_list=name in columns)
            except BadRecordError as reason:
                yield place, reason
                continue
            yield place, row


def _names_of(value: Any, feature: Any, column: str, as_list: bool) -> Any:
    if isinstance(value, list):
        return [name for number in value for name in _names_of(number, feature, column, as_list=True)]
    if value is None or value == -1:
        return [] if as_list else None
    if not 0 <= value < feature.num_classes:
        raise BadRecordError(
            f"the column {column!r} has the number {value}, and its ClassLabel names 0 to {feature.num_classes - 1}"
        )
    name = feature.int2str(int(value))
    return [name] if as_list else name


DATASET = Format(
    "dataset",
    lambda request: read_rows(_load(request.folder), request),
    files=lambda names: bool(names & {"state.json", "dataset_dict.json"}),
    is_folder=True,
    packed=False,
    cells=True,
    declared=lambda request: declared_of(_load(request.folder), request.columns),
)
