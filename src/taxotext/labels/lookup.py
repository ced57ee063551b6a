"""Sentences for labels that a taxonomy lacks, with the nearest one that it has."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from taxotext.errors import SHOWN_PROBLEMS, LabelError, nearest
from taxotext.messages import counted

_COMPARED = 500
"""How many ids, at most, a label is compared with letter by letter; the likeliest are taken."""
_COUNTED = 50_000
"""Of how many ids pairs of letters are counted at a time: about 60 MB for ids of 50 letters."""
_PAIRS = 128
"""Pairs of letters are counted in so many classes."""


def hint(label: object, ids: Sequence[str]) -> str:
    """:func:`hints` for one label."""
    return hints([label], ids)[0]


def hints(labels: Sequence[object], ids: Sequence[str]) -> list[str]:
    """What the user may have meant by each of ``labels``, as a sentence after a blank; empty when nothing is near.

    An id that differs only in case, white space or Unicode characters comes first, then the one with most letters in
    common. Labels after the first :data:`SHOWN_PROBLEMS` are not looked up: messages do not show them.
    """
    asked = list(labels[:SHOWN_PROBLEMS])
    known: dict[str, str] = {}
    for other in ids:
        known.setdefault(fold(other), other)
    found = [_odd_type(label, ids) if not isinstance(label, str) else _alike(label, known) for label in asked]
    far = [label for label, sentence in zip(asked, found, strict=True) if sentence is None and isinstance(label, str)]
    near = iter(_nearest(far, ids))
    return [next(near) if sentence is None else sentence for sentence in found] + [""] * (len(labels) - len(asked))


def fold(label: str) -> str:
    """The label as it is compared where case, white space and the form of Unicode characters do not count."""
    form = label if label.isascii() else unicodedata.normalize("NFKC", label)
    return " ".join(form.casefold().split())


def other_form(one: str, other: str) -> str | None:
    """``NFC`` or ``NFKC`` when the two are equal once normalised so, that is, look alike; else None.

    >>> other_form("caf\u00e9", "cafe\u0301"), other_form("a", "A")
    ('NFC', None)
    """
    for form in ("NFC", "NFKC"):
        if unicodedata.normalize(form, one) == unicodedata.normalize(form, other):
            return form
    return None


def missing(asked: Sequence[str], found: Sequence[int], where: Sequence[str] | None, ids: Sequence[str]) -> LabelError:
    """The error that lists each label of ``asked`` with index -1 in ``found`` once, with its first place."""
    positions: dict[str, list[int]] = {}
    for position, index in enumerate(found):
        if index < 0:
            positions.setdefault(asked[position], []).append(position)
    problems: list[str] = []
    for (label, met), near in zip(positions.items(), hints(list(positions), ids), strict=True):
        place = f"{where[met[0]]}: " if where is not None else ""
        times = f" ({len(met)} times)" if len(met) > 1 else ""
        problems.append(f"{place}{label!r}{times}.{near}")
    return LabelError(
        f"{counted(len(positions), 'label is', 'labels are')} not in the taxonomy of {counted(len(ids), 'label')}; "
        "add them to it or correct the data:",
        problems,
    )


def _odd_type(label: object, ids: Sequence[str]) -> str:
    return f" Label ids are text, not {type(label).__name__}; write {str(label)!r}." if str(label) in ids else ""


def _alike(label: str, known: dict[str, str]) -> str | None:
    found = known.get(fold(label))
    if found is None:
        return None
    form = other_form(label, found)
    if form is None or label == found:
        return f" Did you mean {found!r}?"
    return (
        f" {found!r} is there, written with other Unicode characters ({found!a}, not {label!a}); normalise to {form}."
    )


def _nearest(labels: Sequence[str], ids: Sequence[str]) -> list[str]:
    """The nearest id of each label, compared letter by letter with those that share most pairs of letters.

    Comparing with all of hundreds of thousands would take seconds for each label.
    """
    if not labels:
        return []
    if len(ids) <= _COMPARED:
        return [nearest(label, ids) for label in labels]
    wanted = _pairs(labels)
    best: list[list[tuple[int, int]]] = [[] for _ in labels]  # (pairs that differ, index)
    for start in range(0, len(ids), _COUNTED):
        there = _pairs(ids[start : start + _COUNTED])
        for row, chosen in zip(wanted, best, strict=True):
            differ = np.abs(there - row).sum(axis=1, dtype=np.int64)
            few = np.argsort(differ, kind="stable")[:_COMPARED]
            chosen.extend(zip(differ[few].tolist(), (few + start).tolist(), strict=True))
    return [
        nearest(label, (ids[index] for _, index in sorted(chosen)[:_COMPARED]))
        for label, chosen in zip(labels, best, strict=True)
    ]


def _pairs(labels: Sequence[str]) -> npt.NDArray[np.int16]:
    """How often each class of pairs of neighbouring bytes occurs in each label, (labels, classes)."""
    encoded = [b"\n" + label[:1000].casefold().encode("utf-8", "surrogatepass") + b"\n" for label in labels]
    letters = np.frombuffer(b"".join(encoded), dtype=np.uint8).astype(np.int64)
    rows = np.repeat(np.arange(len(encoded)), [len(label) for label in encoded])
    inside = rows[1:] == rows[:-1]
    classes = (letters[:-1] * 31 + letters[1:])[inside] % _PAIRS
    counts = np.bincount(rows[1:][inside] * _PAIRS + classes, minlength=len(encoded) * _PAIRS)
    return counts.reshape(len(encoded), _PAIRS).astype(np.int16)
