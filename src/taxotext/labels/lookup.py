"""Sentences for labels that a taxonomy lacks, with the nearest one that it has."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from taxotext.errors import SHOWN_PROBLEMS, LabelError, nearest
from taxotext.messages import counted

LARGEST = 60_000
"""How many ids, at most, a label is compared with; of more only those are found that are one slip away from it."""
_COMPARED = 500
"""How many ids, at most, a label is compared with letter by letter; the likeliest are taken."""
_LONGEST = 200
"""Letters of a label of which the slips are tried."""
_PAIRS = 128
"""Pairs of letters are counted in so many classes."""


def hint(label: object, ids: Collection[str]) -> str:
    """:func:`hints` for one label."""
    return hints([label], ids)[0]


def hints(labels: Sequence[object], ids: Collection[str]) -> list[str]:
    """What the user may have meant by each of ``labels``, as a sentence after a blank; empty when nothing is near.

    An id that differs only in case, white space or Unicode characters comes first, then the one with most letters in
    common. Among more than :data:`LARGEST` ids, which take milliseconds if they are the keys of a mapping, only slips
    of one letter are found. Labels after the first :data:`SHOWN_PROBLEMS` are not looked up: messages do not show them.
    """
    asked = list(labels[:SHOWN_PROBLEMS])
    if len(ids) > LARGEST:
        known: Mapping[str, str] | None = None
        there: Collection[str] = ids if isinstance(ids, Mapping) else frozenset(ids)
    else:
        there = ids = list(ids)
        known = {fold(other): other for other in reversed(ids)}
    found = [_odd_type(label, there) if not isinstance(label, str) else _alike(label, there, known) for label in asked]
    far = [label for label, sentence in zip(asked, found, strict=True) if sentence is None and isinstance(label, str)]
    near = iter(_one_typo_away(far, there) if known is None else _nearest(far, list(ids)))
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


def missing(asked: Sequence[str], found: Sequence[int], ids: Collection[str]) -> LabelError:
    """The error that lists each label of ``asked`` with index -1 in ``found`` once."""
    met = Counter(label for label, index in zip(asked, found, strict=True) if index < 0)
    problems: list[str] = []
    for (label, count), near in zip(met.items(), hints(list(met), ids), strict=True):
        times = f" ({count} times)" if count > 1 else ""
        problems.append(f"{label!r}{times}.{near}")
    return LabelError(
        f"{counted(len(met), 'label is', 'labels are')} not in the taxonomy of {counted(len(ids), 'label')}; "
        "add them to it or correct the data:",
        problems,
    )


def _odd_type(label: object, ids: Collection[str]) -> str:
    return f" Label ids are text, not {type(label).__name__}; write {str(label)!r}." if str(label) in ids else ""


def _alike(label: str, ids: Collection[str], folded: Mapping[str, str] | None) -> str | None:
    """The sentence for an id that differs in case, white space or Unicode characters only.

    ``folded`` has the ids by their folded form; without it the usual ways to write the label are looked for.
    """
    if folded is not None:
        found = folded.get(fold(label))
    else:
        tidy = " ".join(label.split())
        ways = [tidy, *(unicodedata.normalize(form, tidy) for form in ("NFC", "NFKC", "NFD"))]
        ways += [tidy.casefold(), tidy.lower(), tidy.upper(), tidy.capitalize(), tidy.title()]
        found = next((way for way in ways if way in ids), None)
    if found is None:
        return None
    form = other_form(label, found)
    if form is None or label == found:
        return f" Did you mean {found!r}?"
    return (
        f" {found!r} is there, written with other Unicode characters ({found!a}, not {label!a}); normalise to {form}."
    )


def _one_typo_away(labels: Sequence[str], ids: Collection[str]) -> list[str]:
    """The id that each label is one slip away from: two letters swapped, one too many, missing, or another one."""
    sentences = []
    for label in labels:
        letters = sorted({*label, *string.ascii_letters, *string.digits, *" -_./:#"})
        cuts = [(label[:i], label[i:]) for i in range(len(label) + 1)] if len(label) <= _LONGEST else []
        slips = chain(
            (begin + end[1::-1] + end[2:] for begin, end in cuts),
            (begin + end[1:] for begin, end in cuts),
            (begin + letter + end for begin, end in cuts for letter in letters),
            (begin + letter + end[1:] for begin, end in cuts for letter in letters),
        )
        found = next((slip for slip in slips if slip in ids), None)
        sentences.append("" if found is None else f" Did you mean {found!r}?")
    return sentences


def _nearest(labels: Sequence[str], ids: Sequence[str]) -> list[str]:
    """The nearest id of each label, compared letter by letter with those that share most pairs of letters."""
    if not labels:
        return []
    if len(ids) <= _COMPARED:
        return [nearest(label, ids) for label in labels]
    there = _pairs(ids)  # about 60 MB for ids of 50 letters
    sentences = []
    for label, row in zip(labels, _pairs(labels), strict=True):
        differ = np.abs(there - row).sum(axis=1, dtype=np.int64)
        sentences.append(nearest(label, (ids[i] for i in np.argsort(differ, kind="stable")[:_COMPARED])))
    return sentences


def _pairs(labels: Sequence[str]) -> npt.NDArray[np.int16]:
    """How often each class of pairs of neighbouring bytes occurs in each label, (labels, classes)."""
    encoded = [b"\n" + label[:1000].casefold().encode("utf-8", "surrogatepass") + b"\n" for label in labels]
    letters = np.frombuffer(b"".join(encoded), dtype=np.uint8).astype(np.int64)
    rows = np.repeat(np.arange(len(encoded)), [len(label) for label in encoded])
    inside = rows[1:] == rows[:-1]
    classes = (letters[:-1] * 31 + letters[1:])[inside] % _PAIRS
    counts = np.bincount(rows[1:][inside] * _PAIRS + classes, minlength=len(encoded) * _PAIRS)
    return counts.reshape(len(encoded), _PAIRS).astype(np.int16)
