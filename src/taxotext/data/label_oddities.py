"""Labels that are probably not what was meant: several in one, signs of another program, values that were missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from taxotext.data.label_cells import NO_LABEL, cut, entities, without_entities
from taxotext.messages import counted, parameter, some

SHOWN = 3
"""How many labels a sentence names."""
_SIGN = re.compile(r"[^\w]+|_+")
_SEPARATORS = frozenset("#;|,+~^$*%\\&!•·、，；،\n")
"""Signs that mostly separate; others (a blank, ``-``, ``/``, ``.``, ``:``) are mostly part of a label or a path."""
_LAST_STEP = re.compile(r"[/>|=]")
"""What stands before the last step of a path, or before the label of a column."""
_COMMON = 0.2
"""The share of labels with a sign of :data:`_SEPARATORS` from which on it is pointed out."""
INVISIBLE = re.compile("[\u00ad\u200b\u2060\u2061\u2062\u2063\u2064\ufeff]")
"""Zero-width space, soft hyphen and the like; joiners, which some scripts need, are not among them."""


class Oddity(NamedTuple):
    """One finding about labels: whether it is a warning, and the sentence."""

    warning: bool
    sentence: str


def label_oddities(frequency: Mapping[str, int], known: Collection[str] = (), *, one_each: bool = True) -> list[Oddity]:
    """What is odd about the labels of a corpus.

    Args:
        frequency: label -> its number of documents.
        known: labels of a taxonomy, which are what they are; only others can be several labels in one.
        one_each: whether no document has more than one label, so that a sign that often separates is suspicious.
    """
    unsure = [label for label in frequency if label not in known]
    return [
        *uncut_labels(unsure, known or frequency, one_each),
        *_vectors_in_one(unsure),
        *_with_entities(list(frequency)),
        *_missing_values(frequency),
        *_invisible(list(frequency)),
    ]


def uncut_labels(labels: Sequence[str], known: Collection[str], one_each: bool = False) -> Iterator[Oddity]:
    """Signs that split labels into known ones, or (``one_each``) that mostly separate labels."""
    found: Counter[str] = Counter()
    for label in labels:
        # The separator in a run of signs: ", " is a comma, " " a blank.
        for sign in dict.fromkeys(run.strip() or run[:1] for run in _SIGN.findall(without_entities(label))):
            found[sign] += bool(sign) and len(_parts(label, sign)) > 1
    for sign, count in found.most_common(8):
        if not count:
            continue
        split = {label: parts for label in labels if len(parts := _parts(label, sign)) > 1}
        if not split:
            continue
        uses = Counter(part for parts in split.values() for part in parts)
        alone = [label for label, parts in split.items() if all(part in known for part in parts)]
        shared = sum(all(part in known or uses[part] > 1 for part in parts) for parts in split.values())
        advice = f"if it separates labels, give {parameter('label_separator', sign)}."
        if alone and 2 * shared >= len(split):
            one = alone[0]
            yield Oddity(
                True,
                f"{sign!r} splits {counted(len(alone), 'label')} into labels that are there by themselves, too: "
                f"{one!r} into {' and '.join(map(repr, split[one][:4]))}"
                f"{'' if len(alone) == 1 else f', and {len(alone) - 1:,} more'}; {advice}",
            )
        elif one_each and sign[0] in _SEPARATORS and 1 < len(split) >= _COMMON * len(labels):
            yield Oddity(
                False,
                f"{counted(len(split), 'label contains', 'labels contain')} {sign!r}, such as {next(iter(split))!r}, "
                f"and each is taken as one label; {advice}",
            )


def _vectors_in_one(labels: Sequence[str]) -> Iterator[Oddity]:
    """Rows of an indicator matrix written without separators: ``1001``, ``0110``."""
    lengths = {len(label) for label in labels}
    zeros = [label for label in labels if label.startswith("0")]
    if (
        zeros
        and len(labels) > 1
        and lengths <= {max(lengths)} - {1, 2}
        and all(set(label) <= set("01") for label in labels)
    ):
        yield Oddity(
            True,
            f"All labels are {max(lengths)} digits 0 and 1, such as {zeros[0]!r}; if each digit stands for a label, "
            f"separate them: {','.join(zeros[0])!r}.",
        )


def _parts(label: str, sign: str) -> list[str]:
    return [part for part in cut(label, sign) if part]


def _with_entities(labels: Sequence[str]) -> Iterator[Oddity]:
    odd = [label for label in labels if next(entities(label), None) is not None]
    if odd:
        first = next(entities(odd[0]))[0]
        yield Oddity(
            True,
            f"{counted(len(odd), 'label has', 'labels have')} HTML entities such as {first!r}: "
            f"{some([repr(label) for label in odd[:SHOWN]], len(odd))}; "
            "write the characters themselves if other files have them so.",
        )


def _missing_values(frequency: Mapping[str, int]) -> Iterator[Oddity]:
    odd = [
        label
        for label in frequency
        if {label.lower(), _LAST_STEP.split(label)[-1].strip().lower()} & NO_LABEL or label in ("-1", "[]", "{}", "()")
    ]
    if odd and "-1" in odd and any(not re.fullmatch(r"-?\d+", label) for label in frequency):
        odd.remove("-1")
    for label in odd:
        yield Oddity(
            True,
            f"{counted(frequency[label], 'document has', 'documents have')} the label {label!r}, which programs write "
            "where a value is missing; leave the cell empty if it means: no label.",
        )


def _invisible(labels: Sequence[str]) -> Iterator[Oddity]:
    odd = [label for label in labels if INVISIBLE.search(label)]
    if odd:
        yield Oddity(
            True,
            f"{counted(len(odd), 'label has', 'labels have')} characters that cannot be seen: "
            f"{some([ascii(label) for label in odd[:SHOWN]], len(odd))}; remove them.",
        )
