"""Corpora as Parquet (extra ``parquet``), read and written by row groups; also folders of Parquet files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from io import SEEK_END
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from taxotext.data.class_names import names_of_features
from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.formats.base import Documents, Format, Item, Reading, Request
from taxotext.data.formats.output import field_names, opened_for, records_of
from taxotext.data.formats.parquet_rows import ROWS, decoded_rows, dictionary_columns
from taxotext.errors import DataError, MissingExtraError
from taxotext.messages import first_line

ROW_GROUP = 16 * ROWS
"""Rows of a written row group: what a reader holds in memory."""

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def _read(request: Request) -> Reading:
    """Return the rows of a file, or of the ``*.parquet`` files of a folder in the order of their names.

    Label columns hold what :mod:`taxotext.data.label_columns` reads: lists of strings, strings with separators,
    numbers. A null there means: no labels.

    Raises:
        DataError: no Parquet, a column that is missing, or labels of another type.
        MissingExtraError: pyarrow is not installed.
    """
    arrow = _arrow(request.name)
    parts = _parts(request)
    names: dict[str, tuple[str, ...]] = {}
    for part, place in parts:
        names |= _check_schema(_open(arrow, part, place), request, place)
    return _rows(arrow, parts), request.parser(names=names)


def _arrow(name: str) -> Any:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{name}: Parquet files are read and written with pyarrow; "
            "install it with `pip install 'taxotext[parquet]'`."
        ) from None
    return pyarrow


def _parts(request: Request) -> list[tuple[Path | BinaryIO, str]]:
    """(file, its name in sentences)."""
    if not isinstance(request.source, (str, Path)):
        return [(request.source, request.name)]
    path = Path(request.source)
    if not path.is_dir():
        return [(path, request.name)]
    return [(file, str(file)) for file in sorted(path.glob("*.parquet"))]


def _open(arrow: Any, part: Path | BinaryIO, name: str, dictionaries: list[str] | None = None) -> Any:
    try:
        return arrow.parquet.ParquetFile(part, read_dictionary=dictionaries)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{name}: this is not a Parquet file, or a damaged one ({first_line(error)})") from error


def _check_schema(file: Any, request: Request, name: str) -> dict[str, tuple[str, ...]]:
    """Check the columns; return the names of class numbers by label column, where the file stores them."""
    schema = file.schema_arrow
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise DataError(f"{name}: several columns are called {twice[0]!r}; rename all but one of them")
    missing = request.missing(schema.names)
    if missing:
        raise DataError(f"{name}: a column that is needed is missing; {request.advice}", missing)
    if not request.labelled:
        return {}
    for column in request.columns.labels:
        if not _may_be_labels(schema.field(column).type):
            raise DataError(
                f"{name}: the column {column!r} must hold lists of strings, strings with separators, or numbers, found "
                f"{schema.field(column).type}"
            )
    return {
        column: names
        for column, names in class_names(schema.metadata or {}).items()
        if column in request.columns.labels
    }


def _may_be_labels(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    simple = (types.is_string, types.is_large_string, types.is_string_view, types.is_null, types.is_boolean)
    numeric = (types.is_integer, types.is_floating, types.is_decimal)
    nested = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_struct)
    return any(is_one(kind) for is_one in (*simple, *numeric, *nested))


def class_names(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """The names of ``ClassLabel`` columns that Hugging Face ``datasets`` writes into the metadata of a Parquet file."""
    features: Any = {}
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        features = orjson.loads(metadata[b"huggingface"])["info"]["features"]
    return names_of_features(features)


def _rows(arrow: Any, parts: list[tuple[Path | BinaryIO, str]]) -> Iterator[Item]:
    for part, name in parts:
        number = 0
        with _open(arrow, part, name) as plain:
            names = [field for field in plain.schema_arrow.names if not _PANDAS_INDEX.fullmatch(field)]
            dictionaries = dictionary_columns(plain)
        with _open(arrow, part, name, dictionaries) as file:
            batches = decoded_rows(file, names, _size(part), name)
            while True:
                try:
                    rows = next(batches, None)
                except OverflowError as error:
                    raise DataError(
                        f"{name}: one of the {ROWS:,} rows behind row {number} holds a date, time or duration that "
                        f"Python cannot represent ({first_line(error)}); leave the column out, or store it as text"
                    ) from error
                except (arrow.ArrowException, OSError, ValueError) as error:
                    raise DataError(f"{name}: reading stopped after row {number}: {first_line(error)}") from error
                if rows is None:
                    break
                for row in rows:
                    number += 1
                    yield f"{name}: row {number}", row


def _size(part: Path | BinaryIO) -> int:
    """Bytes of a file."""
    return part.stat().st_size if isinstance(part, Path) else part.seek(0, SEEK_END)


def write_parquet(
    corpus: Documents, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write a Parquet file (extra ``parquet``): id, text, labels (lists of strings), weight, group, then the metadata.

    Ids are whole numbers where all of them are, else strings.

    Args and errors are those of :func:`taxotext.data.write_jsonl`; besides, the values of a field of the metadata must
    have a common type.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    target = Path(path)
    pa = _arrow(str(target))
    names = field_names(corpus, columns)
    ids = [value for value in corpus.ids or () if value is not None]
    whole = bool(ids) and all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in ids)
    string = pa.string()
    types = {
        "id": pa.int64() if whole else string,
        "text": string,
        "labels": pa.list_(string),
        "weight": pa.float64(),
        "group": string,
    }
    fields = [pa.field(name, types[role]) for role, name in names.items() if role != "id" or corpus.ids is not None]
    fields += [pa.field(name, kind) for name, kind in _metadata_types(pa, corpus.metadata or (), target).items()]
    schema = pa.schema(fields)
    records = records_of(corpus, names)
    with opened_for(target, overwrite) as stream, pa.parquet.ParquetWriter(stream, schema) as writer:
        while rows := list(islice(records, ROW_GROUP)):
            for row in rows:
                if not whole and isinstance(row.get(names.get("id", "")), int):  # a column has one type
                    row[names["id"]] = str(row[names["id"]])
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _metadata_types(pa: Any, metadata: Iterable[Mapping[str, Any]], target: Path) -> dict[str, Any]:
    """The Arrow type of each field, in the order in which they first occur."""
    found: dict[str, Any] = {}
    held: dict[str, list[Any]] = {}

    def look() -> None:
        for name, values in held.items():
            try:
                kind = pa.infer_type(values)
                before = found.get(name, kind)
                # `permissive` takes whole and decimal numbers together, and nothing together with anything.
                found[name] = pa.unify_schemas(
                    [pa.schema([(name, before)]), pa.schema([(name, kind)])], promote_options="permissive"
                )[0].type
            except (pa.ArrowException, TypeError, ValueError) as error:
                raise DataError(
                    f"{target}: the values of the field {name!r} have no common type in Parquet ({first_line(error)}); "
                    "make them alike, or write JSONL"
                ) from error
        held.clear()

    for number, fields in enumerate(metadata, 1):
        for name, value in fields.items():
            held.setdefault(name, []).append(value)
            found.setdefault(name, pa.null())
        if number % ROWS == 0:
            look()
    look()
    return found


PARQUET = Format(
    "parquet",
    _read,
    suffixes=("parquet",),
    files=lambda names: any(Path(name).suffix == ".parquet" for name in names),
    packed=False,
    cells=True,
    write=write_parquet,
)
