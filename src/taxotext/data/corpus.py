"""The corpus: texts, label sets as a sparse matrix over a taxonomy, and the optional columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from taxotext.data.columns import DEFAULT_COLUMNS, Columns, Document, ReadReport
from taxotext.data.label_sets import LabelSets, check_policies
from taxotext.data.readers import read_documents
from taxotext.data.sources import source_name
from taxotext.errors import DataError
from taxotext.labels import Taxonomy
from taxotext.messages import counted

if TYPE_CHECKING:
    from taxotext.data.label_sets import BoolMatrix


@dataclass(frozen=True, eq=False)
class Corpus:
    """D documents with their label sets, immutable; made with :func:`read_corpus` or a ``from_...`` method.

    Attributes:
        texts: D texts.
        targets: bool CSR (D, N + U): the label sets after the closure policy; row indices are sorted. The
            last U columns belong to ``unknown_labels``.
        taxonomy: the N labels and their structure.
        unknown_labels: U labels that the data have and the taxonomy lacks, sorted; only with
            ``unknown="count"``.
        ids: the ids of the documents, strings or whole numbers, or None when no document has one.
        weights: float32 (D,), or None when all weigh 1.
        groups: the groups of the documents, or None when no document has one.
        metadata: the other fields of each document, or None when there are none.
        closure: the closure policy that was applied (``ancestors``, ``as_given``, ``leaves``).
        source: the file it was read from, or ``memory``.
        report: the account of the reading; a subset keeps that of the whole.

    >>> corpus = Corpus.from_lists(["Cats purr.", "Rain."], [["animals"], []])
    >>> corpus.label_lists()
    [['animals'], []]
    """

    texts: Sequence[str]
    targets: BoolMatrix
    taxonomy: Taxonomy
    unknown_labels: tuple[str, ...] = ()
    ids: tuple[str | int | None, ...] | None = None
    weights: npt.NDArray[np.float32] | None = None
    groups: tuple[str | None, ...] | None = None
    metadata: tuple[Mapping[str, Any], ...] | None = None
    closure: str = "as_given"
    source: str = "memory"
    report: ReadReport = field(default_factory=ReadReport)

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        taxonomy: Taxonomy | None = None,
        *,
        closure: str | None = None,
        unknown: str = "error",
        source: str = "memory",
        report: ReadReport | None = None,
    ) -> Corpus:
        """Gather documents, for example those of :func:`read_documents`.

        Args:
            documents: drawn once.
            taxonomy: None: the labels of the documents, sorted, without structure.
            closure: what is done to each label set (see :data:`taxotext.labels.CLOSURE_POLICIES`); None:
                ``ancestors`` when the taxonomy has edges, else ``as_given``.
            unknown: what is done with labels that the taxonomy lacks: ``error``, ``drop`` or ``count`` (extra
                columns).
            source: the name of the corpus.
            report: the report that ``read_documents`` fills; counts of this step are added to it.

        Raises:
            DataError: no documents, or unknown labels (each with its first place and the nearest known
                label).
            ConfigError: an impossible setting.
        """
        check_policies(closure, unknown)
        report = ReadReport() if report is None else report
        texts: list[str] = []
        ids: list[str | int | None] = []
        weights: list[float] = []
        groups: list[str | None] = []
        metadata: list[Mapping[str, Any]] = []
        sets = LabelSets(taxonomy)
        nothing: Mapping[str, Any] = {}  # one for all documents without metadata
        for document in documents:
            texts.append(document.text)
            ids.append(document.id)
            weights.append(document.weight)
            groups.append(document.group)
            metadata.append(document.metadata or nothing)
            report.duplicate_labels += sets.add(document.labels, document.where)
        sets.declare(report.declared_labels)
        if not texts:
            raise DataError(f"{source}: there are no documents; a corpus needs at least one")
        made = sets.targets(closure=closure, unknown=unknown, report=report, source=source)
        return cls(
            tuple(texts),
            **made._asdict(),
            ids=tuple(ids) if any(value is not None for value in ids) else None,
            weights=np.asarray(weights, dtype=np.float32) if any(value != 1.0 for value in weights) else None,
            groups=tuple(groups) if any(value is not None for value in groups) else None,
            metadata=tuple(metadata) if any(metadata) else None,
            source=source,
            report=report,
        )

    @classmethod
    def from_lists(
        cls,
        texts: Iterable[str],
        labels: Any = None,
        taxonomy: Taxonomy | None = None,
        *,
        label_ids: Sequence[str] | None = None,
        ids: Iterable[str | int | None] | None = None,
        weights: Iterable[float] | None = None,
        groups: Iterable[str | None] | None = None,
        metadata: Iterable[Mapping[str, Any]] | None = None,
        closure: str | None = None,
        unknown: str = "error",
        source: str = "memory",
    ) -> Corpus:
        """Make a corpus of Python values.

        Args:
            texts: D strings: a list, an array, a Series, or a data frame of one column.
            labels: D lists (or sets, tuples) of label ids; or an indicator matrix (D, L) of 0 and 1, an array,
                sparse, or a data frame (pandas, polars, pyarrow) whose columns are named by the label ids;
                None: no document has a label.
            taxonomy: None: the label ids, sorted, without structure; for a matrix, its columns in their
                order.
            label_ids: the L ids of the columns of a matrix, whole numbers as text. Without them they are those of the
                taxonomy, or else the column numbers from 0 as strings. With lists and no taxonomy: the whole label
                set, in this order.
            ids: D document ids, strings or whole numbers, or None.
            weights: D finite numbers, 0 or more.
            groups: D groups, strings or whole numbers; None: a group of its own.
            metadata: D mappings.
            closure: as in :meth:`from_documents`.
            unknown: as in :meth:`from_documents`.
            source: the name of the corpus.

        Raises:
            DataError: values of a wrong type, shape or number, listing the first places; unknown labels.
            ConfigError: an impossible setting.
        """
        from taxotext.data import lists
        from taxotext.data.frames import as_indicator

        check_policies(closure, unknown)
        checked = lists.check_texts(texts)
        count = len(checked)
        report = ReadReport()
        labels, label_ids = as_indicator(labels, label_ids)
        if lists.is_matrix(labels):
            matrix, columns = lists.check_indicator(labels, label_ids, taxonomy, count)
            sets = LabelSets(Taxonomy.flat(columns) if taxonomy is None else taxonomy)
            for row in range(count):
                chosen = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
                sets.add([columns[column] for column in chosen], f"document {row}")
        else:
            sets = LabelSets(taxonomy if label_ids is None else lists.flat_from_ids(label_ids, taxonomy))
            for row, label_set in enumerate(lists.check_label_lists(labels, count, report)):
                report.duplicate_labels += sets.add(label_set, f"document {row}")
        optional: dict[str, Any] = {
            "ids": lists.check_ids(ids, count),
            "weights": lists.check_weights(weights, count),
            "groups": lists.check_groups(groups, count),
            "metadata": lists.check_metadata(metadata, count),
        }
        made = sets.targets(closure=closure, unknown=unknown, report=report, source=source)
        return cls(tuple(checked), **made._asdict(), **optional, source=source, report=report)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        taxonomy: Taxonomy | None = None,
        columns: Columns = DEFAULT_COLUMNS,
        *,
        closure: str | None = None,
        unknown: str = "error",
        on_bad_line: str = "error",
        labelled: bool = True,
        source: str = "dataset",
    ) -> Corpus:
        """Make a corpus of a dataset of Hugging Face (extra ``datasets``): one split, in memory or streamed.

        Args:
            dataset: a ``datasets.Dataset`` or ``datasets.IterableDataset``. ``ClassLabel`` numbers become their names.
            taxonomy: None: the names of the ``ClassLabel`` in their order, else the labels that occur, sorted.
            columns: which column is what.
            closure: as in :meth:`from_documents`.
            unknown: as in :meth:`from_documents`.
            on_bad_line: as in :func:`read_documents`, of rows.
            labelled: as in :func:`read_documents`.
            source: the name of the corpus.

        Raises:
            DataError: a column is missing, or rows cannot be used; all are listed.
            ConfigError: an impossible setting.
            MissingExtraError: ``datasets`` is not installed.
        """
        from taxotext.data.formats.hub import declared_of
        from taxotext.data.readers import documents_of_dataset

        check_policies(closure, unknown)
        report = ReadReport()
        documents = documents_of_dataset(dataset, columns, on_bad_line, labelled, report, source, taxonomy)
        if taxonomy is None and labelled:
            taxonomy = _flat(declared_of(dataset, columns))
        return cls.from_documents(documents, taxonomy, closure=closure, unknown=unknown, source=source, report=report)

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        unknown = f" and {len(self.unknown_labels)} unknown" if self.unknown_labels else ""
        size = f"{len(self)} documents, {len(self.taxonomy)} labels{unknown}"
        return f"Corpus({size}, {self.closure}, {self.source!r})"

    @property
    def known_targets(self) -> BoolMatrix:
        """Bool CSR (D, N): the label sets without unknown labels."""
        if not self.unknown_labels:
            return self.targets
        return self.targets[:, : len(self.taxonomy)]

    @property
    def label_ids(self) -> tuple[str, ...]:
        """The ids of the columns of ``targets``: those of the taxonomy, then the unknown labels."""
        return self.taxonomy.ids + self.unknown_labels

    def label_lists(self) -> list[list[str]]:
        """Return the label ids of each document, unknown ones included, in the order of the columns."""
        columns = self.label_ids
        indices = self.targets.indices.tolist()
        return [[columns[i] for i in indices[start:end]] for start, end in pairwise(self.targets.indptr.tolist())]

    def subset(self, indices: npt.ArrayLike) -> Corpus:
        """Return the documents at these indices, with all columns.

        Args:
            indices: numbers from 0, in the wanted order; or a bool mask of length D.

        Raises:
            DataError: an index outside the corpus.
        """
        rows = np.asarray(indices)
        if rows.dtype == np.bool_ and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        if rows.size == 0:
            rows = rows.astype(np.int64).reshape(-1)
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
            raise DataError(f"a subset is given by whole numbers in one row, not by {rows.dtype} of shape {rows.shape}")
        outside = rows[(rows < 0) | (rows >= len(self))]
        if outside.size:
            raise DataError(
                f"the index {int(outside[0])} is outside the corpus of {counted(len(self), 'document')} "
                "(0 is the first)"
            )
        chosen = rows.tolist()
        return replace(
            self,
            texts=tuple(self.texts[i] for i in chosen),
            targets=self.targets[rows],
            ids=None if self.ids is None else tuple(self.ids[i] for i in chosen),
            weights=None if self.weights is None else self.weights[rows],
            groups=None if self.groups is None else tuple(self.groups[i] for i in chosen),
            metadata=None if self.metadata is None else tuple(self.metadata[i] for i in chosen),
        )

    def aligned(self, taxonomy: Taxonomy, *, closure: str | None = None, unknown: str = "error") -> Corpus:
        """Return the same documents with their labels in the columns of another taxonomy.

        Args:
            taxonomy: of the model, say; a corpus of the same one is returned as it is.
            closure: policy for the label sets when the taxonomies differ.
            unknown: labels that ``taxonomy`` lacks, as in :meth:`from_documents`.

        Raises:
            DataError: unknown labels, when they are errors.
        """
        mine, theirs = self.taxonomy, taxonomy
        if mine is theirs or (mine.ids == theirs.ids and np.array_equal(mine.edge_index, theirs.edge_index)):
            return self
        return Corpus.from_lists(
            self.texts,
            self.label_lists(),
            taxonomy,
            ids=self.ids,
            weights=self.weights,
            groups=self.groups,
            metadata=self.metadata,
            closure=closure,
            unknown=unknown,
            source=self.source,
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of texts, label sets and document ids, and of weights and groups if there are any.

        Label sets count as ids, in any order of the taxonomy; the document ids 7 and "7" are the same.

        It is the same for the same documents in the same order, on any machine.
        """
        digest = hashlib.sha256()

        def add(value: str) -> None:
            encoded = value.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)

        for row, (text, labels) in enumerate(zip(self.texts, self.label_lists(), strict=True)):
            add(text)
            digest.update(len(labels).to_bytes(8, "little"))
            for label in sorted(labels):
                add(label)
            document_id = None if self.ids is None else self.ids[row]
            digest.update(b"\0" if document_id is None else b"\1")
            add("" if document_id is None else str(document_id))
        if self.weights is not None:
            digest.update(b"weights" + self.weights.astype("<f4").tobytes())
        if self.groups is not None:
            digest.update(b"groups")
            for group in self.groups:
                digest.update(b"\0" if group is None else b"\1")
                add(group or "")
        return digest.hexdigest()


def read_corpus(
    path: Path | str | BinaryIO,
    taxonomy: Taxonomy | None = None,
    columns: Columns = DEFAULT_COLUMNS,
    *,
    closure: str | None = None,
    unknown: str = "error",
    on_bad_line: str = "error",
    format: str | None = None,
    labelled: bool = True,
) -> Corpus:
    """Read a whole corpus.

    Settings and errors are those of :func:`read_documents` and :meth:`Corpus.from_documents`.
    """
    check_policies(closure, unknown)
    report = ReadReport()
    documents = read_documents(
        path,
        columns,
        format=format,
        on_bad_line=on_bad_line,
        labelled=labelled,
        report=report,
        taxonomy=taxonomy,
    )
    if taxonomy is None and labelled:
        taxonomy = declared_taxonomy(path, columns, format)
    return Corpus.from_documents(
        documents, taxonomy, closure=closure, unknown=unknown, source=source_name(path), report=report
    )


def declared_taxonomy(
    path: Path | str | BinaryIO, columns: Columns = DEFAULT_COLUMNS, format: str | None = None
) -> Taxonomy | None:
    """The flat label set that a corpus declares, None where its format declares none or it is not read from a path."""
    from taxotext.data.formats.table import declared_labels

    return _flat(declared_labels(path, columns, format))


def _flat(labels: Sequence[str]) -> Taxonomy | None:
    return Taxonomy.flat(labels) if labels else None
