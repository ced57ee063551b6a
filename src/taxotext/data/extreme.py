"""Formats of extreme classification: svmlight feature vectors, JSON with label numbers, and LibMultiLabel's text lines.

``svmlight`` is what the Extreme Classification Repository (http://manikvarma.org/downloads/XC/XMLRepository.html) and
LIBSVM publish: ``label,label index:value index:value ...``, in the repository below a header ``N D L`` (documents,
features, labels). There are no texts in it. A document's text is then its vector as it stands, ``index:value ...``,
which ``linear`` reads with ``features.analyzer=given``; systems that read words refuse such a corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from taxotext.data.formats import Asked, Item, Record
from taxotext.data.readers import encoding_fault
from taxotext.data.records import BadRecordError, kind, missing_field, short
from taxotext.data.sources import Lines

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_VECTOR = re.compile(rf"\d+:{_NUMBER}(?: \d+:{_NUMBER})*", re.ASCII)
_FEATURE = re.compile(rf"\d+:{_NUMBER}", re.ASCII)
_NO_FEATURES = "there are no features; a document needs at least one, index:value"
_HEADER = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)\s*")


def read_svmlight(asked: Asked, lines: Lines) -> Iterator[Item]:
    """Sparse feature vectors with label sets; numbers are held against the header, where there is one."""
    asked.report.feature_vectors = True
    header: tuple[int, int, int] | None = None
    count = 0
    blank: list[str] = []  # places; below a header they are documents without features, unless they end the file
    for number, raw in lines:
        place = f"{asked.name}:{number}"
        found = _HEADER.fullmatch(raw) if number == 1 else None
        if found:
            header = (int(found[1]), int(found[2]), int(found[3]))
        elif not raw.strip():
            blank.append(place)
        else:
            count += 1 + len(blank)
            yield from ((other, BadRecordError(_NO_FEATURES) if header else None) for other in blank)
            blank.clear()
            try:
                yield place, _of_vector(raw, header)
            except BadRecordError as reason:
                yield place, reason
    if header is not None and header[0] != count:
        missing = header[0] - count
        if missing > len(blank) or missing < 0:
            differs = (
                f"the header says {header[0]:,} documents, and the file has {count:,}; "
                "it is cut short or not the one that belongs to the header"
            )
            yield f"{asked.name}:1", BadRecordError(differs)
            return
        yield from ((other, BadRecordError(_NO_FEATURES)) for other in blank[:missing])


def _of_vector(raw: bytes, header: tuple[int, int, int] | None) -> Record:
    fault = encoding_fault(raw)
    if fault is not None:
        raise BadRecordError(fault)
    line = raw.decode().partition("#")[0].rstrip()
    first, _, rest = line.partition(" ")
    if ":" in first or "\t" in first:
        first, rest = "", line
    labels = [label.strip() for label in first.split(",")] if first else []
    pieces = rest.split()
    text = " ".join(pieces)
    if not pieces:
        raise BadRecordError(_NO_FEATURES)
    if not _VECTOR.fullmatch(text):
        wrong = next(piece for piece in pieces if not _FEATURE.fullmatch(piece))
        raise BadRecordError(f"{short(wrong)} is no feature; write index:value, a whole number and a finite number")
    indices = [int(piece.partition(":")[0]) for piece in pieces]
    if len(set(indices)) < len(indices):
        twice = next(index for index in indices if indices.count(index) > 1)
        raise BadRecordError(f"the feature {twice} is there twice; add the two up, or remove one")
    if header is not None:
        _check_range(indices, labels, header)
    return {"text": text, "labels": labels}


def _check_range(indices: list[int], labels: list[str], header: tuple[int, int, int]) -> None:
    _, features, known = header
    if max(indices) >= features:
        raise BadRecordError(
            f"the feature {max(indices)} is beyond the {features:,} features of the header, which are numbered from 0"
        )
    for label in labels:
        if not label.isdecimal() or int(label) >= known:
            raise BadRecordError(
                f"the label {label!r} is none of the {known:,} labels of the header, which are numbered from 0"
            )


def declared_by_header(lines: Lines) -> tuple[str, ...]:
    """The labels 0 to L - 1 of a header ``N D L``; none without a header."""
    for _, raw in lines:
        found = _HEADER.fullmatch(raw)
        return tuple(map(str, range(int(found[3])))) if found else ()
    return ()


def read_libmultilabel(asked: Asked, lines: Lines) -> Iterator[Item]:
    """Text lines of LibMultiLabel: ``[ID TAB] labels TAB text``, blanks between the labels; there is no header."""
    width = 0
    for number, raw in lines:
        place = f"{asked.name}:{number}"
        if not raw.strip():
            yield place, None
            continue
        fault = encoding_fault(raw)
        if fault is not None:
            yield place, BadRecordError(fault)
            continue
        cells = raw.decode().rstrip("\r\n").split("\t")
        width = width or len(cells)
        if len(cells) not in (2, 3) or len(cells) != width:
            expected = "2 or 3" if width not in (2, 3) else f"{width} as in the first line"
            yield (
                place,
                BadRecordError(f"the line has {len(cells)} columns, not {expected}; write [ID<TAB>]labels<TAB>text"),
            )
            continue
        record: Record = {"text": cells[-1], "labels": cells[-2].split()}
        yield place, {"id": cells[0], **record} if width == 3 else record


def read_xc_json(asked: Asked, lines: Lines) -> Iterator[Item]:
    """JSON lines of the Extreme Classification Repository: ``uid``, ``title``, ``content``, ``target_ind``: numbers."""
    for number, raw in lines:
        item: Record | BadRecordError | None = None
        if raw.strip():
            try:
                item = _of_xc(raw, asked)
            except BadRecordError as reason:
                item = reason
        yield f"{asked.name}:{number}", item


def _of_xc(raw: bytes, asked: Asked) -> Record:
    try:
        value: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRecordError(encoding_fault(raw) or f"this is not valid JSON, {error.msg}") from None
    if not isinstance(value, dict):
        raise BadRecordError(f"a document must be a JSON object, found {kind(value)}: {short(value)}")
    columns = asked.columns
    if columns.text == ("text",) and "text" not in value:
        pieces = [value.pop(name, None) for name in ("title", "content")]
        value["text"] = columns.text_join.join(piece for piece in pieces if isinstance(piece, str) and piece.strip())
    if "uid" in value and columns.id not in value:
        value[columns.id] = value.pop("uid")
    if not asked.labelled:
        return value
    if "target_ind" not in value:
        raise BadRecordError(missing_field("target_ind", list(value)))
    numbers = value.pop("target_ind")
    value.pop("target_rel", None)
    if not isinstance(numbers, list) or not all(type(number) is int and number >= 0 for number in numbers):
        raise BadRecordError(f"the field 'target_ind' must be a list of label numbers, found {short(numbers)}")
    value[columns.labels] = [str(number) for number in numbers]
    return value
