"""Label sets while they are gathered, and the matrix over a taxonomy that they become."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from scipy import sparse

from taxotext.data.columns import ReadReport
from taxotext.errors import ConfigError, DataError, nearest
from taxotext.labels import CLOSURE_POLICIES, Taxonomy, lookup
from taxotext.messages import counted

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
    """Label sets while they are gathered: numbers over a vocabulary in the order of first appearance.

    Args:
        taxonomy: the labels that are known; None: all that come.
    """

    def __init__(self, taxonomy: Taxonomy | None) -> None:
        self._taxonomy = taxonomy
        self._known = None if taxonomy is None else _positions(taxonomy)
        self._vocabulary: dict[str, int] = {}
        self._first_place: dict[int, str] = {}
        self._indices: list[int] = []
        self._indptr: list[int] = [0]

    def add(self, labels: Iterable[str], where: str) -> int:
        """Add the set of one document and return how many duplicates were in it."""
        vocabulary, known = self._vocabulary, self._known
        given = list(labels)
        unique = dict.fromkeys(given)
        for label in unique:
            number = vocabulary.get(label)
            if number is None:
                number = vocabulary[label] = len(vocabulary)
                if known is not None and label not in known:
                    self._first_place[number] = where
            self._indices.append(number)
        self._indptr.append(len(self._indices))
        return len(given) - len(unique)

    def targets(self, *, closure: str | None, unknown: str, report: ReadReport, source: str) -> Targets:
        """Put the sets into the columns of the taxonomy; without one, of the labels that came, sorted.

        Args:
            closure, unknown: as of :meth:`taxotext.data.corpus.Corpus.from_documents`.
            report: takes the counts of this step.
            source: name of the corpus, for messages.

        Raises:
            DataError: unknown labels, when they are errors.
        """
        words = list(self._vocabulary)
        taxonomy = Taxonomy.flat(sorted(words)) if self._taxonomy is None else self._taxonomy
        known = self._known or _positions(taxonomy)
        missing = sorted(word for word in words if word not in known)
        if missing:
            self._report_unknown(missing, taxonomy, unknown, report, source)
        kept = () if unknown == "drop" else tuple(missing)
        given = self._matrix(known, kept)
        report.documents = given.shape[0]
        report.empty_label_sets = int(np.count_nonzero(np.diff(given.indptr) == 0))
        policy = closure or ("as_given" if taxonomy.is_flat else "ancestors")
        targets = _apply_policy(given, taxonomy, policy)
        change = targets.nnz - given.nnz
        report.labels_added, report.labels_removed = max(change, 0), max(-change, 0)
        if change:
            logger.info("%s: the closure policy %r changed the number of labels by %+d", source, policy, change)
        return Targets(targets, taxonomy, kept, policy)

    def _matrix(self, known: Mapping[str, int], kept: tuple[str, ...]) -> BoolMatrix:
        """Bool CSR (D, N + U): columns of known labels, then those of ``kept``; labels of neither are left out."""
        words = list(self._vocabulary)
        indices = np.asarray(self._indices, dtype=np.int64)
        # A number for each word of the vocabulary: its column, or -1 for a label that is dropped.
        column_of = np.asarray([known.get(word, -1) for word in words], dtype=np.int64)
        for number, word in enumerate(kept):
            column_of[self._vocabulary[word]] = len(known) + number
        columns = column_of[indices] if len(words) else indices
        documents = len(self._indptr) - 1
        rows = np.repeat(np.arange(documents), np.diff(self._indptr))[columns >= 0]
        columns = columns[columns >= 0]
        shape = (documents, len(known) + len(kept))
        matrix: BoolMatrix = sparse.csr_array((np.ones(len(columns), dtype=np.bool_), (rows, columns)), shape=shape)
        matrix.sort_indices()
        return matrix

    def _report_unknown(
        self, missing: list[str], taxonomy: Taxonomy, unknown: str, report: ReadReport, source: str
    ) -> None:
        """Count the labels that the taxonomy lacks; refuse them, or say what becomes of them."""
        counts = np.bincount(np.asarray(self._indices, dtype=np.int64), minlength=len(self._vocabulary))
        report.unknown_labels = {word: int(counts[self._vocabulary[word]]) for word in missing}
        if unknown == "error":
            raise self._unknown_error(report.unknown_labels, taxonomy, source)
        one = len(missing) == 1
        was, misses = ("it was", "it counts as a miss") if one else ("they were", "they count as misses")
        logger.warning(
            "%s: %s not in the taxonomy: %r (in %s)%s; %s",
            source,
            counted(len(missing), "label is", "labels are"),
            missing[0],
            counted(report.unknown_labels[missing[0]], "document"),
            "" if one else f" and {len(missing) - 1:,} more",
            f"{was} removed" if unknown == "drop" else f"nothing predicts {'it' if one else 'them'}, so {misses}",
        )

    def _unknown_error(self, counts: Mapping[str, int], taxonomy: Taxonomy, source: str) -> DataError:
        labels = sorted(counts, key=lambda label: (-counts[label], label))
        problems = [
            f"{self._first_place[self._vocabulary[label]]}: {label!r} (in {counted(counts[label], 'document')}).{hint}"
            for label, hint in zip(labels, lookup.hints(labels, taxonomy.ids), strict=True)
        ]
        return DataError(
            f"{source}: {counted(len(counts), 'label is', 'labels are')} not in the taxonomy of "
            f"{counted(len(taxonomy), 'label')}; add them to the taxonomy, "
            "correct the data, or treat unknown labels otherwise: drop them, or count them as misses in an evaluation",
            problems,
        )


def check_policies(closure: str | None, unknown: str) -> None:
    """Refuse a name that is no policy.

    Raises:
        ConfigError: with the nearest name that is one.
    """
    if unknown not in UNKNOWN_POLICIES:
        hint = nearest(str(unknown), UNKNOWN_POLICIES)
        raise ConfigError(f"unknown is {unknown!r}; choose one of {', '.join(UNKNOWN_POLICIES)}.{hint}")
    if closure is not None and closure not in CLOSURE_POLICIES:
        hint = nearest(str(closure), CLOSURE_POLICIES)
        raise ConfigError(f"closure is {closure!r}; choose one of {', '.join(CLOSURE_POLICIES)}.{hint}")


def _positions(taxonomy: Taxonomy) -> dict[str, int]:
    return {label: i for i, label in enumerate(taxonomy.ids)}


def _apply_policy(given: BoolMatrix, taxonomy: Taxonomy, policy: str) -> BoolMatrix:
    if given.shape[1] == len(taxonomy):
        return taxonomy.apply_policy(given, policy)
    known = taxonomy.apply_policy(given[:, : len(taxonomy)], policy)
    stacked: BoolMatrix = sparse.hstack([known, given[:, len(taxonomy) :]], format="csr", dtype=np.bool_)
    stacked.sort_indices()
    return stacked
