"""Rows of Parquet files in bounded memory: columns of few kilobytes may decode to gigabytes.

Strings are kept as dictionaries while they are decoded, so that what rows share in the file they share in memory, and
batches have fewer rows where rows are large. A file that decodes to far more than it is (one text of a megabyte for
thousands of rows) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taxotext.errors import DataError
from taxotext.files.limits import decoded_limit, decodes_to_more

ROWS = 1024
"""Rows that are turned into Python values at a time, at most."""
ROWS_DECODED = 16 * ROWS
"""Rows that are decoded at a time, at most."""
PLAIN_ROWS = 128
"""The same where strings are decoded to strings: one entry of a dictionary may be a megabyte."""
LARGEST_BATCH = 2**26
"""Bytes of the rows that are decoded together, as far as the footer of the file tells."""
LARGEST_DICTIONARY = 2**25
"""Bytes of a column of a row group up to which it is decoded to a dictionary. That dictionary grows to the end of the
row group where most strings are stored once."""
CELL = 8
"""Bytes that a value or the list around values takes at least."""


def dictionary_columns(file: Any) -> list[str]:
    """Leaves of a Parquet file that are read as dictionaries."""
    found = []
    for at, leaf in enumerate(map(file.schema.column, range(len(file.schema)))):
        chunks = (file.metadata.row_group(group).column(at) for group in range(file.metadata.num_row_groups))
        if leaf.physical_type == "BYTE_ARRAY" and all(c.total_uncompressed_size <= LARGEST_DICTIONARY for c in chunks):
            found.append(leaf.path)
    return found


def decoded_rows(file: Any, columns: list[str], size: int, name: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an opened file, batch by batch.

    Args:
        file: a ``pyarrow.parquet.ParquetFile`` that was opened with ``read_dictionary=dictionary_columns(...)``.
        columns: to be read.
        size: bytes of the file.
        name: of the file, in sentences.

    Raises:
        DataError: the rows take more than :func:`~taxotext.files.limits.decoded_limit`.
    """
    strings = sum(file.schema.column(at).physical_type == "BYTE_ARRAY" for at in range(len(file.schema)))
    most = ROWS_DECODED if len(dictionary_columns(file)) == strings else PLAIN_ROWS
    limit, decoded, number = decoded_limit(size), 0, 0
    for at in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(at)
        stored = _stored(group, file.schema)
        if decoded + stored > limit:
            raise DataError(decodes_to_more(f"{name}: what comes behind row {number:,}"))
        together = max(1, min(most, LARGEST_BATCH * group.num_rows // max(1, stored)))
        for batch in file.iter_batches(batch_size=together, row_groups=[at], columns=columns, use_threads=False):
            decoded += sum(map(_decoded, batch.columns))
            if decoded > limit:
                raise DataError(decodes_to_more(f"{name}: what comes up to row {number + batch.num_rows:,}"))
            for begin in range(0, batch.num_rows, ROWS):
                part = batch.slice(begin, ROWS)
                values = zip(*map(_values, part.columns), strict=True)
                yield [dict(zip(columns, row, strict=True)) for row in values]
            number += batch.num_rows


def _stored(group: Any, schema: Any) -> int:
    """Bytes that the columns of a row group decode to at least, as far as the footer tells."""
    chunks = ((group.column(at), max(CELL, schema.column(at).length)) for at in range(group.num_columns))
    return sum(max(chunk.total_uncompressed_size, width * chunk.num_values) for chunk, width in chunks)


def _decoded(array: Any) -> int:
    """Bytes of the values of an array when each has its own."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    kind, own = array.type, CELL * len(array)
    if types.is_dictionary(kind):
        if not (types.is_string(kind.value_type) or types.is_binary(kind.value_type)):
            return own
        return own + (pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0)
    if types.is_struct(kind):
        return own + sum(map(_decoded, array.flatten()))
    if types.is_map(kind):
        begin, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return own + sum(_decoded(part.slice(begin, end - begin)) for part in (array.keys, array.items))
    if types.is_nested(kind):
        return own + _decoded(array.flatten())
    return max(own, int(array.nbytes))


def _values(array: Any) -> list[Any]:
    """``array.to_pylist()`` with one string for all places of a dictionary's entry."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    kind = array.type
    if not _has_dictionary(kind):
        return list(array.to_pylist())
    if types.is_dictionary(kind):
        used = array.indices.unique().drop_null()
        entries = dict(zip(used.to_pylist(), array.dictionary.take(used).to_pylist(), strict=True))
        return [entries.get(at) for at in array.indices.to_pylist()]
    if types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        rows = zip(array.is_null().to_pylist(), *map(_values, array.flatten()), strict=True)
        return [None if missing else dict(zip(names, row, strict=True)) for missing, *row in rows]
    inner, at, found = _values(array.flatten()), 0, list[Any]()
    for length in pc.list_value_length(array).to_pylist():
        found.append(None if length is None else inner[at : at + length])
        at += length or 0
    return found


def _has_dictionary(kind: Any) -> bool:
    """Whether :func:`_values` reads dictionaries in a type; in others, such as maps, they are rare."""
    import pyarrow.types as types

    if types.is_list(kind) or types.is_large_list(kind):
        return _has_dictionary(kind.value_type)
    if types.is_struct(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        return len({field.name for field in fields}) == len(fields) and any(_has_dictionary(f.type) for f in fields)
    return bool(types.is_dictionary(kind))
