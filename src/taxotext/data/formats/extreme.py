"""Formats of extreme classification: svmlight feature vectors, JSON with label numbers, and LibMultiLabel's text lines.

``svmlight`` is what the Extreme Classification Repository (http://manikvarma.org/downloads/XC/XMLRepository.html) and
LIBSVM publish: ``label,label index:value index:value ...``, in the repository below a header ``N D L`` (documents,
features, labels). There are no texts in it. A document's text is then its vector as it stands, ``index:value ...``,
which ``linear`` reads with ``features.analyzer=given``; systems that read words refuse such a corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.formats.base import (
    Documents,
    Format,
    Item,
    Record,
    Request,
    decoded,
    from_lines,
    json_object,
    object_in,
    parsed,
    with_labels,
)
from taxotext.data.formats.output import write_lines
from taxotext.data.records import BadRecordError, missing_field, short
from taxotext.data.sources import Lines, open_lines
from taxotext.errors import DataError

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_VECTOR = re.compile(rf"\d+:{_NUMBER}(?: \d+:{_NUMBER})*", re.ASCII)
_FEATURE = re.compile(rf"\d+:{_NUMBER}", re.ASCII)
_NO_FEATURES = "there are no features; a document needs at least one, index:value"
_FIRST_HEADER = re.compile(rb"\d+ +\d+ +\d+ *")
_FIRST_FEATURES = re.compile(rb"(?:[^\s:]*\s+)?\d+:\S+(?:\s.*)?", re.DOTALL)
_HEADER = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)\s*")


def _svmlight(request: Request, lines: Lines) -> Iterator[Item]:
    """Sparse feature vectors with label sets; numbers are held against the header, where there is one."""
    request.report.feature_vectors = True
    header: tuple[int, int, int] | None = None
    count = 0
    blank: list[str] = []  # places; below a header they are documents without features, unless they end the file
    for number, raw in lines:
        place = f"{request.name}:{number}"
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
            yield f"{request.name}:1", BadRecordError(differs)
            return
        yield from ((other, BadRecordError(_NO_FEATURES)) for other in blank[:missing])


def _of_vector(raw: bytes, header: tuple[int, int, int] | None) -> Record:
    line = decoded(raw).partition("#")[0].rstrip()
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
        raise BadRecordError(f"{short(wrong)} is not a feature; write index:value, a whole number and a finite number")
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


def _declared(request: Request) -> tuple[str, ...]:
    """The labels 0 to L - 1 of a header ``N D L``; none without a header."""
    with open_lines(request.source, request.compressed) as lines:
        for _, raw in lines:
            found = _HEADER.fullmatch(raw)
            return tuple(map(str, range(int(found[3])))) if found else ()
    return ()


def _libmultilabel(request: Request, lines: Lines) -> Iterator[Item]:
    """Text lines of LibMultiLabel: ``[ID TAB] labels TAB text``, blanks between the labels; there is no header."""
    width = 0

    def parse(raw: bytes) -> Record:
        nonlocal width
        cells = decoded(raw).rstrip("\r\n").split("\t")
        width = width or len(cells)
        if len(cells) not in (2, 3) or len(cells) != width:
            expected = "2 or 3" if width not in (2, 3) else f"{width} as in the first line"
            raise BadRecordError(f"the line has {len(cells)} columns, not {expected}; write [ID<TAB>]labels<TAB>text")
        record: Record = {"text": cells[-1], "labels": cells[-2].split()}
        return {"id": cells[0], **record} if width == 3 else record

    return parsed(request, lines, parse)


def _xc_json(request: Request, lines: Lines) -> Iterator[Item]:
    """JSON lines of the Extreme Classification Repository: ``uid``, ``title``, ``content``, ``target_ind``: numbers."""
    return parsed(request, lines, lambda raw: _of_xc(raw, request))


def _of_xc(raw: bytes, request: Request) -> Record:
    value = json_object(raw)
    columns = request.columns
    if columns.text == ("text",) and "text" not in value:
        pieces = [value.pop(name, None) for name in ("title", "content")]
        value["text"] = columns.text_join.join(piece for piece in pieces if isinstance(piece, str) and piece.strip())
    if "uid" in value and columns.id not in value:
        request.note_field("id", ("uid",), "documents of xc-json")
        value[columns.id] = value.pop("uid")
    if not request.labelled:
        return value
    if "target_ind" not in value:
        raise BadRecordError(missing_field("target_ind", list(value)))
    numbers = value.pop("target_ind")
    value.pop("target_rel", None)
    if not isinstance(numbers, list) or not all(type(number) is int and number >= 0 for number in numbers):
        raise BadRecordError(f"the field 'target_ind' must be a list of label numbers, found {short(numbers)}")
    found = [str(number) for number in numbers]
    return with_labels(request, value, found, ("target_ind",), "documents of xc-json")


def write_libmultilabel(
    corpus: Documents, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write LibMultiLabel's lines: the id (or the number of the document, from 1), the labels, the text.

    Line breaks and TABs in texts become blanks. Other fields have no place there.

    Raises:
        DataError: a label has a blank in it; or as :func:`taxotext.data.write_jsonl`.
    """

    def line(row: int, text: str, labels: list[str]) -> str:
        for label in labels:
            if any(sign.isspace() for sign in label):
                raise DataError(f"{path}: the label {label!r} has a blank in it, which separates labels there")
        document_id = None if corpus.ids is None else corpus.ids[row]
        name = str(row + 1) if document_id is None else " ".join(str(document_id).split())
        return "\t".join([name, " ".join(labels), text])

    write_lines(corpus, Path(path), line, overwrite)


def _is_svmlight(line: bytes) -> bool:
    return bool(_FIRST_HEADER.fullmatch(line) or _FIRST_FEATURES.fullmatch(line))


def _is_libmultilabel(line: bytes) -> bool:
    return 1 <= line.count(b"\t") <= 2


def _is_xc_json(line: bytes) -> bool:
    value = object_in(line)
    return "labels" not in value and isinstance(value.get("target_ind"), list)


LIBMULTILABEL = Format(
    "libmultilabel",
    from_lines(_libmultilabel, fixed_fields=True),
    first_line=_is_libmultilabel,
    looked_into=("txt",),
    write=write_libmultilabel,
)
SVMLIGHT = Format(
    "svmlight",
    from_lines(_svmlight, fixed_fields=True),
    suffixes=("svm", "svmlight", "libsvm"),
    first_line=_is_svmlight,
    looked_into=("txt",),
    declared=_declared,
)
XC_JSON = Format("xc-json", from_lines(_xc_json), first_line=_is_xc_json, looked_into=("jsonl", "ndjson", "json"))
