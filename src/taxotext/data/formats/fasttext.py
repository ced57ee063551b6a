"""Lines of fastText (https://fasttext.cc/docs/en/supervised-tutorial.html): ``__label__a __label__b a text``.

Each word that begins with ``__label__`` is a label, wherever it stands in the line; the other words are the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.formats.base import Documents, Format, Item, Record, Request, decoded, from_lines, parsed
from taxotext.data.formats.output import write_lines
from taxotext.data.records import BadRecordError
from taxotext.data.sources import Lines
from taxotext.errors import DataError

PREFIX = "__label__"
_LABEL = re.compile(rf"(?<!\S){PREFIX}(\S*)\s*")
_FIRST_LINE = re.compile(rb"\s*__label__\S")


def _records(request: Request, lines: Lines) -> Iterator[Item]:
    return parsed(request, lines, _record)


def _record(raw: bytes) -> Record:
    line = decoded(raw)
    labels = _LABEL.findall(line)
    if "" in labels:
        raise BadRecordError(f"{PREFIX!r} stands alone; write the label behind it without a blank, {PREFIX}NAME")
    return {"text": _LABEL.sub("", line).strip(), "labels": labels}


def write_fasttext(
    corpus: Documents, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write fastText's lines, labels first. Line breaks and TABs in texts become blanks; other fields have no place.

    Raises:
        DataError: a label has a blank in it, or a text a word that begins with ``__label__``; or as
            :func:`taxotext.data.write_jsonl`.
    """

    def line(row: int, text: str, labels: list[str]) -> str:
        for label in labels:
            if any(sign.isspace() for sign in label):
                raise DataError(f"{path}: the label {label!r} has a blank in it, which ends labels there")
        if _LABEL.search(text):
            raise DataError(
                f"{path}: the text of document {row + 1} has a word that begins with {PREFIX!r}, as labels do"
            )
        return " ".join([*(PREFIX + label for label in labels), text])

    write_lines(corpus, Path(path), line, overwrite)


FASTTEXT = Format(
    "fasttext",
    from_lines(_records, fixed_fields=True),
    suffixes=("ft", "fasttext"),
    first_line=lambda line: bool(_FIRST_LINE.match(line)),
    looked_into=("txt", "train", "valid", "test"),
    undecided=lambda line: b"\t" not in line and not _FIRST_LINE.match(line),
    write=write_fasttext,
)
