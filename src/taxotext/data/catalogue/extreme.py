"""EUR-Lex-4K, Wiki10-31K and AmazonCat-13K with raw texts, in the three forms in which they go round.

* AttentionXML (You et al., NeurIPS 2019; also LightXML): ``train_raw_texts.txt`` (EUR-Lex: ``train_texts.txt``), a
  document a line, and ``train_labels.txt``, labels separated by spaces.
* The Extreme Classification Repository (Bhatia et al. 2016): ``trn.json.gz``, an object a line with ``uid``, ``title``,
  ``content``, ``target_ind``; and the names of the labels by number in ``Yf.txt`` or ``lbl.json.gz``.
* PECOS (``xmc-base``): ``X.trn.txt``, a sparse matrix ``Y.trn.npz``, and ``output-items.txt``.

"EUR-Lex-4K" names two corpora: this one with texts (15,449 / 3,865 documents, 3,956 labels), and the bag of words of
the repository (15,539 / 3,809, 3,993 labels). Results on one do not compare with the other.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taxotext.data.catalogue.aapd import parallel
from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Place, Raw
from taxotext.data.catalogue.text import decode, numbered, parse_json
from taxotext.errors import DataError

SEPARATOR = "/SEP/"
"""What AttentionXML puts between the title and the description of a product."""

_SHORT = {"train": "trn", "test": "tst"}


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """Documents of whichever form is there; labels by name (AttentionXML) or by number with names aside."""
    if (texts := raw.find("train_raw_texts.txt", "train_texts.txt")) is not None:
        return Content(_attention_xml(raw, texts, findings))
    if raw.find("trn.json", "trn.raw.json") is not None:
        return Content(_repository(raw), names=_label_names(raw, findings, "Yf.txt", "lbl.json", "lbl.raw.json"))
    if raw.find("X.trn.txt") is not None:
        return Content(_pecos(raw, findings), names=_label_names(raw, findings, "output-items.txt"))
    raise raw.missing("every file of training texts")


def _attention_xml(raw: Raw, texts: Place, findings: Findings) -> Iterator[tuple[str, Record]]:
    kind = "raw_texts" if "raw_texts" in texts.name.lower() else "texts"
    if kind == "texts":
        findings.notes.append("Texts are tokenised and lower-cased in this release.")
    for split in ("train", "test"):
        place, labels = raw.need(f"{split}_{kind}.txt"), raw.need(f"{split}_labels.txt")
        for text, line in parallel(raw.lines(place), raw.lines(labels), place.name, labels.name):
            document = "\n".join(part.strip() for part in decode(text, findings).split(SEPARATOR))
            yield split, Record(document, decode(line, findings).split())


def _repository(raw: Raw) -> Iterator[tuple[str, Record]]:
    for split, short in _SHORT.items():
        place = raw.need(f"{short}.json", f"{short}.raw.json")
        for where, line in numbered(raw.lines(place), place.name):
            entry = parse_json(line, where)
            targets = entry.get("target_ind")
            if not isinstance(targets, list) or not all(isinstance(target, int) for target in targets):
                raise DataError(
                    f"{where}: lacks target_ind, a list of numbers; is it a raw-text file of the repository?"
                )
            pieces = (str(entry.get(zone) or "").strip() for zone in ("title", "content"))
            text = "\n".join(piece for piece in pieces if piece)
            # uid is a product: one that stands in train and in test is two documents here
            fields = {"uid": entry.get("uid")}
            yield split, Record(text, [str(target) for target in targets], None, fields)


def _pecos(raw: Raw, findings: Findings) -> Iterator[tuple[str, Record]]:
    for split, short in _SHORT.items():
        texts, matrix = raw.need(f"X.{short}.txt"), raw.need(f"Y.{short}.npz")
        row_labels, rows = load_rows(raw.read(matrix), matrix.name)
        number = 0
        for number, line in enumerate(raw.lines(texts), 1):
            if number > rows:
                break
            yield split, Record(decode(line, findings), row_labels(number - 1))
        if number != rows:
            raise DataError(
                f"{texts.name}: has {number:,} lines or more, {matrix.name} has {rows:,} rows; fetch both again."
            )


def load_rows(data: bytes, where: str) -> tuple[Callable[[int], list[str]], int]:
    """(row -> its columns as strings, number of rows) of a matrix that ``scipy.sparse.save_npz`` wrote.

    Nothing in the file is run: arrays of objects are refused.

    Raises:
        DataError: it is no such file.
    """
    from scipy.sparse import csr_array, load_npz

    try:
        matrix: Any = csr_array(load_npz(io.BytesIO(data)))
        matrix.check_format(full_check=True)  # an index out of range would read foreign memory
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{where}: is not a sparse matrix of SciPy ({error}); fetch the file again.") from None
    matrix.sum_duplicates()

    def row_labels(row: int) -> list[str]:
        start, end = matrix.indptr[row], matrix.indptr[row + 1]
        used = matrix.data[start:end] > 0
        return [str(column) for column in matrix.indices[start:end][used].tolist()]

    return row_labels, int(matrix.shape[0])


def _label_names(raw: Raw, findings: Findings, *patterns: str) -> dict[str, str]:
    """Names by number: the lines of a text file, or the titles of a JSON one; empty where there is no such file."""
    place = raw.find(*patterns)
    if place is None:
        findings.notes.append(f"None of {', '.join(patterns)} was there: labels are numbers without names.")
        return {}
    lines = enumerate(raw.lines(place))
    if ".json" in place.name.lower():
        titles = ((number, parse_json(line, f"{place.name}:{number + 1}").get("title")) for number, line in lines)
        return {str(number): " ".join(str(title).split()) for number, title in titles if title}
    return {str(number): " ".join(decode(line, findings).split()) for number, line in lines}
