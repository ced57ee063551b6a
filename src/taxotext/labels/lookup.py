"""Sentences for labels that a taxonomy lacks, with the nearest one that it has."""

from __future__ import annotations

from collections.abc import Sequence

from taxotext.errors import SHOWN_PROBLEMS, LabelError, nearest

_SMALL = 20_000  # up to so many labels the nearest one is looked for among all


def hint(label: object, ids: Sequence[str]) -> str:
    """What the user may have meant by ``label``, as a sentence after a blank; empty when nothing is near.

    A label that differs only in case or white space comes first.
    """
    if not isinstance(label, str):
        return f" Label ids are text, not {type(label).__name__}; write {str(label)!r}." if str(label) in ids else ""
    wanted = _fold(label)
    found = next((other for other in ids if _fold(other) == wanted), None)
    if found is not None:
        return f" Did you mean {found!r}?"
    if len(ids) <= _SMALL:
        return nearest(label, ids)
    # comparing with hundreds of thousands of labels takes seconds: look at those with the same beginning
    return nearest(label, (other for other in ids if other[:2] == label[:2]))


def missing(asked: Sequence[str], found: Sequence[int], where: Sequence[str] | None, ids: Sequence[str]) -> LabelError:
    """The error that lists each label of ``asked`` with index -1 in ``found`` once, with its first place."""
    positions: dict[str, list[int]] = {}
    for position, index in enumerate(found):
        if index < 0:
            positions.setdefault(asked[position], []).append(position)
    problems: list[str] = []
    for label, met in positions.items():
        place = f"{where[met[0]]}: " if where is not None else ""
        times = f" ({len(met)} times)" if len(met) > 1 else ""
        # what is not shown needs no costly search
        near = hint(label, ids) if len(problems) < SHOWN_PROBLEMS else ""
        problems.append(f"{place}{label!r}{times}.{near}")
    count = "1 label is" if len(positions) == 1 else f"{len(positions)} labels are"
    return LabelError(
        f"{count} not in the taxonomy of {len(ids)} labels; add them to it or correct the data:", problems
    )


def _fold(label: str) -> str:
    return " ".join(label.casefold().split())
