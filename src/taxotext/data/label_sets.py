"""Label sets while they are gathered, and the matrix over a taxonomy that they become."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import numpy as np
from scipy import sparse

from taxotext.data.columns import ReadReport
from taxotext.data.label_oddities import uncut_labels
from taxotext.errors import ConfigError, DataError, nearest
from taxotext.labels import CLOSURE_POLICIES, Taxonomy, lookup
from taxotext.messages import counted, parameter

if TYPE_CHECKING:
    BoolMatrix: TypeAlias = sparse.csr_array[np.bool_, tuple[int, int]]

logger = logging.getLogger("taxotext")

UNKNOWN_POLICIES = ("error", "drop", "count")
"""What to do with labels that the taxonomy lacks: refuse, remove and count, or keep as extra columns."""


class Targets(NamedTuple):
    """Label sets over a taxonomy; fields as of :class:`taxotext.data.corpus.Corpus`."""

    targets: BoolMatrix
    taxonomy: Taxonomy
    unknown_labels: tuple[str, ...]
    closure: str


class LabelSets:
    """Label sets while they are gathered: the numbers of their labels in the taxonomy, others numbered as they come.

    Args:
        taxonomy: the labels that are known; None: all that come.
    """

    def __init__(self, taxonomy: Taxonomy | None) -> None:
        self._taxonomy = taxonomy
        self._known: Mapping[str, int] = {} if taxonomy is None else taxonomy.positions
        self._others: dict[str, int] = {}  # label -> its number, from the number of known ones
        self._first_place: list[str] = []  # of each of the others
        self._numbers = array("q")
        self._ends = array("q", [0])
        self._declared: tuple[str, ...] = ()

    def declare(self, labels: Iterable[str]) -> None:
        """Without a taxonomy: labels that come first, in this order, whether or not a document has them."""
        self._declared = tuple(labels)
        for label in self._declared if self._taxonomy is None else ():
            self._other(label, "declared")

    def add(self, labels: Iterable[str], where: str) -> int:
        """Add the set of one document and return how many duplicates were in it."""
        given = list(labels)
        unique = dict.fromkeys(given)
        numbers = list(map(self._known.get, unique))
        if None in numbers:
            numbers = [
                self._other(label, where) if number is None else number
                for label, number in zip(unique, numbers, strict=True)
            ]
        self._numbers.extend(cast("list[int]", numbers))
        self._ends.append(len(self._numbers))
        return len(given) - len(unique)

    def _other(self, label: str, where: str) -> int:
        number = self._others.get(label)
        if number is None:
            number = self._others[label] = len(self._known) + len(self._others)
            self._first_place.append(where)
        return number

    def targets(self, *, closure: str | None, unknown: str, report: ReadReport, source: str) -> Targets:
        """Put the sets into the columns of the taxonomy; without one, of the labels that came, sorted.

        Args:
            closure, unknown: as of :meth:`taxotext.data.corpus.Corpus.from_documents`.
            report: takes the counts of this step.
            source: name of the corpus, for messages.

        Raises:
            DataError: unknown labels, when they are errors.
        """
        place = {label: number for number, label in enumerate(self._declared)}
        report.labels_known = self._taxonomy is not None
        others = sorted(self._others, key=lambda label: (place.get(label, len(place)), label))
        taxonomy = Taxonomy.flat(others) if self._taxonomy is None else self._taxonomy
        kept: tuple[str, ...] = ()
        if self._taxonomy is not None and others:
            self._report_unknown(others, taxonomy, unknown, report, source)
            kept = () if unknown == "drop" else tuple(others)
        given = self._matrix(others, len(taxonomy) + len(kept))
        report.documents = given.shape[0]
        report.empty_label_sets = int(np.count_nonzero(np.diff(given.indptr) == 0))
        policy = closure or ("as_given" if taxonomy.is_flat else "ancestors")
        targets = _apply_policy(given, taxonomy, policy)
        change = targets.nnz - given.nnz
        report.labels_added, report.labels_removed = max(change, 0), max(-change, 0)
        if change:
            logger.info("%s: the closure policy %r changed the number of labels by %+d", source, policy, change)
        return Targets(targets, taxonomy, kept, policy)

    def _matrix(self, others: list[str], width: int) -> BoolMatrix:
        """Bool CSR (D, width): columns of known labels, then of ``others``; those beyond the width are left out."""
        known = len(self._known)
        columns = np.array(self._numbers, dtype=np.int64)
        column_of = np.empty(len(others), dtype=np.int64)
        column_of[[self._others[label] - known for label in others]] = np.arange(known, known + len(others))
        other = columns >= known
        columns[other] = column_of[columns[other] - known]
        documents = len(self._ends) - 1
        rows = np.repeat(np.arange(documents), np.diff(self._ends))[columns < width]
        columns = columns[columns < width]
        matrix: BoolMatrix = sparse.csr_array(
            (np.ones(len(columns), dtype=np.bool_), (rows, columns)), shape=(documents, width)
        )
        matrix.sort_indices()
        return matrix

    def _report_unknown(
        self, missing: list[str], taxonomy: Taxonomy, unknown: str, report: ReadReport, source: str
    ) -> None:
        """Count the labels that the taxonomy lacks; refuse them, or say what becomes of them."""
        numbers = np.array(self._numbers, dtype=np.int64) - len(self._known)
        counts = np.bincount(numbers[numbers >= 0], minlength=len(missing))
        report.unknown_labels = {label: int(counts[self._others[label] - len(self._known)]) for label in missing}
        if unknown == "error":
            raise self._unknown_error(report.unknown_labels, taxonomy, source)
        one = len(missing) == 1
        was, misses = ("it was", "it counts as a miss") if one else ("they were", "they count as misses")
        logger.warning(
            "%s: %s not %s: %r (in %s)%s; %s",
            source,
            counted(len(missing), "label is", "labels are"),
            # without edges there may be no taxonomy, only the labels of the training documents
            f"among the {len(taxonomy):,} known labels" if taxonomy.is_flat else "in the taxonomy",
            missing[0],
            counted(report.unknown_labels[missing[0]], "document"),
            "" if one else f" and {len(missing) - 1:,} more",
            f"{was} removed" if unknown == "drop" else f"nothing predicts {'it' if one else 'them'}, so {misses}",
        )

    def _unknown_error(self, counts: Mapping[str, int], taxonomy: Taxonomy, source: str) -> DataError:
        labels = sorted(counts, key=lambda label: (-counts[label], label))
        problems = [
            f"{self._first_place[self._others[label] - len(self._known)]}: "
            f"{label!r} (in {counted(counts[label], 'document')}).{hint}"
            for label, hint in zip(labels, lookup.hints(labels, taxonomy.positions), strict=True)
        ]
        return DataError(
            f"{source}: {counted(len(counts), 'label is', 'labels are')} not in the taxonomy of "
            f"{counted(len(taxonomy), 'label')}; add them to the taxonomy, "
            "correct the data, or treat unknown labels otherwise: drop them, or count them as misses in an evaluation "
            f"({parameter('unknown_labels')})"
            + "".join(f". {oddity.sentence.rstrip('.')}" for oddity in uncut_labels(labels, taxonomy.positions)),
            problems,
        )


def check_policies(closure: str | None, unknown: str) -> None:
    """Refuse a name that is not a policy.

    Raises:
        ConfigError: with the nearest name that is one.
    """
    if unknown not in UNKNOWN_POLICIES:
        hint = nearest(str(unknown), UNKNOWN_POLICIES)
        raise ConfigError(f"unknown is {unknown!r}; choose one of {', '.join(UNKNOWN_POLICIES)}.{hint}")
    if closure is not None and closure not in CLOSURE_POLICIES:
        hint = nearest(str(closure), CLOSURE_POLICIES)
        raise ConfigError(f"closure is {closure!r}; choose one of {', '.join(CLOSURE_POLICIES)}.{hint}")


def _apply_policy(given: BoolMatrix, taxonomy: Taxonomy, policy: str) -> BoolMatrix:
    if given.shape[1] == len(taxonomy):
        return taxonomy.apply_policy(given, policy)
    known = taxonomy.apply_policy(given[:, : len(taxonomy)], policy)
    stacked: BoolMatrix = sparse.hstack([known, given[:, len(taxonomy) :]], format="csr", dtype=np.bool_)
    stacked.sort_indices()
    return stacked
