"""AAPD: abstracts of arXiv papers, a document a line in ``text_train`` and its subjects in ``label_train``.

Source: Yang et al., SGM: Sequence Generation Model for Multi-Label Classification, COLING 2018.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Raw
from taxotext.data.catalogue.text import decode
from taxotext.errors import DataError

_NAMES = {"train": ("train",), "validation": ("val", "valid", "dev"), "test": ("test",)}


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """Lower-cased, tokenised texts with their subjects, in the three splits of the release."""
    return Content(_records(raw, findings))


def _records(raw: Raw, findings: Findings) -> Iterator[tuple[str, Record]]:
    for split, names in _NAMES.items():
        texts = raw.need(*(f"text_{name}{suffix}" for name in names for suffix in ("", ".txt")))
        labels = raw.need(*(f"label_{name}{suffix}" for name in names for suffix in ("", ".txt")))
        for text, line in parallel(raw.lines(texts), raw.lines(labels), texts.name, labels.name):
            yield split, Record(decode(text, findings), decode(line, findings).split())


def parallel(
    first: Iterator[bytes], second: Iterator[bytes], first_name: str, second_name: str
) -> Iterator[tuple[bytes, bytes]]:
    """The lines of two files side by side; empty lines at the end of the longer one do not count.

    Raises:
        DataError: one has more lines, after all common ones were given.
    """
    number = 0
    for line in first:
        other = next(second, None)
        if other is None:
            if any(rest.strip() for rest in (line, *first)):
                raise DataError(f"{second_name}: ends after line {number:,}, {first_name} does not; fetch both again.")
            return
        number += 1
        yield line, other
    if any(rest.strip() for rest in second):
        raise DataError(f"{first_name}: ends after line {number:,}, {second_name} does not; fetch both again.")
