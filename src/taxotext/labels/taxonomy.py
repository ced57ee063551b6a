"""The label set and its structure: a directed acyclic graph (or no edges at all), immutable and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse

from taxotext.errors import ConfigError, LabelError, nearest
from taxotext.labels import building, graph, lookup
from taxotext.labels.graph import Int32Array, Int64Array, Rows
from taxotext.metrics import sparse as sets

if TYPE_CHECKING:
    from taxotext.labels.graph import BoolMatrix

ClosurePolicy = Literal["ancestors", "as_given", "leaves"]
CLOSURE_POLICIES: tuple[str, ...] = get_args(ClosurePolicy)
"""What to do with label sets of documents: add all ancestors, leave them, or keep the most specific."""


class Taxonomy:
    """N labels, each with an id, perhaps a display name and a description, and any number of parents.

    Labels are numbered 0..N-1 in the order of first appearance. The artificial root of taxonomy files is not
    a label: top-level labels have no parent. A flat label set is a taxonomy without edges. All arrays are
    read-only; those that follow from the edges are computed when first asked for, and kept.

    Create one with :meth:`from_edges`, :meth:`flat`, :meth:`from_dict` or
    :func:`~taxotext.labels.read_taxonomy`, which check their input; the constructor takes parts already
    checked.

    Two taxonomies are equal when ids, their order, all names, descriptions, notations and edges are: the order is what
    trained weights rely on.

    >>> taxonomy = Taxonomy.from_edges([(None, "animal"), ("animal", "dog"), (None, "pet"), ("pet", "dog")])
    >>> taxonomy
    Taxonomy(3 labels, 2 edges, depth 2)
    >>> [taxonomy.ids[i] for i in taxonomy.ancestors(taxonomy.index("dog"))]
    ['animal', 'pet']
    """

    ids: tuple[str, ...]
    """Label ids, unique."""
    names: tuple[str | None, ...]
    """Display names, None where there is none; they may repeat."""
    edge_index: Int64Array
    """int64 (2, E): row 0 parents, row 1 children, sorted by parent, then child."""
    descriptions: tuple[str | None, ...]
    """What each label means, in a sentence or more; None where there is none."""
    alternative_names: tuple[tuple[str, ...], ...]
    """Further names of each label (synonyms, other spellings), none of them its display name."""
    notations: tuple[str | None, ...]
    """What each label is written as in a classification, such as ``512.7``; None where there is none."""

    def __init__(
        self,
        ids: tuple[str, ...],
        names: tuple[str | None, ...],
        edge_index: Int64Array,
        descriptions: tuple[str | None, ...] | None = None,
        alternative_names: tuple[tuple[str, ...], ...] | None = None,
        notations: tuple[str | None, ...] | None = None,
    ) -> None:
        nothing = (None,) * len(ids)
        self.__dict__.update(
            ids=ids,
            names=names,
            edge_index=edge_index,
            descriptions=nothing if descriptions is None else descriptions,
            alternative_names=((),) * len(ids) if alternative_names is None else alternative_names,
            notations=nothing if notations is None else notations,
        )

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[tuple[str | None, str]],
        *,
        labels: Iterable[str] = (),
        names: Mapping[str, str] | None = None,
    ) -> Taxonomy:
        """A taxonomy from (parent, child) pairs of ids; parent None puts the child at the top level.

        Every label must be declared: as a child (of None or of another label) or in ``labels``. A label at
        the top level that has parents too keeps only the parents (logged at level info).

        Args:
            edges: pairs of ids.
            labels: labels declared without an edge; they come first in the order.
            names: id -> display name; an empty name is not a name.

        Raises:
            TaxonomyError: listing all undeclared parents, duplicates, self loops, cycles, impossible ids and
                names of absent labels.
        """
        return cls(*building.build(edges, labels=labels, names=building.named(names)))

    @classmethod
    def flat(cls, ids: Iterable[str], names: Mapping[str, str] | None = None) -> Taxonomy:
        """A label set without edges, in the order given.

        Raises:
            TaxonomyError: listing duplicates, impossible ids and names of absent labels.
        """
        return cls.from_edges([], labels=ids, names=names)

    @classmethod
    def from_dict(cls, content: Any) -> Taxonomy:
        """The inverse of :meth:`to_dict`, order included.

        Raises:
            TaxonomyError: when ``content`` has another shape, or for what :meth:`from_edges` reports.
        """
        return cls(*building.from_dict(content))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy: ``{"labels": [{"id": ..., "name": ..., "parents": [ids]}]}``.

        Labels with a description have the key ``description`` too, those with further names ``alternative_names``,
        those with a notation ``notation``.
        """
        bounds = self._parents.indptr.tolist()
        above = [self.ids[parent] for parent in self._parents.indices.tolist()]
        labels: list[dict[str, Any]] = [
            {"id": label, "name": name, "parents": above[start:end]}
            for label, name, (start, end) in zip(self.ids, self.names, pairwise(bounds), strict=True)
        ]
        if self.has_descriptions:
            for entry, description in zip(labels, self.descriptions, strict=True):
                if description is not None:
                    entry["description"] = description
        for entry, further in zip(labels, self.alternative_names, strict=True):
            if further:
                entry[building.ALTERNATIVES] = list(further)
        if self.has_notations:
            for entry, notation in zip(labels, self.notations, strict=True):
                if notation is not None:
                    entry[building.NOTATION] = notation
        return {"labels": labels}

    def with_names(self, names: Mapping[str, str], *, unknown: Literal["error", "ignore"] = "error") -> Taxonomy:
        """The same taxonomy with these display names in place of its own.

        Args:
            names: id -> name; an empty name is not a name.
            unknown: whether names of labels that the taxonomy lacks are an error.

        Raises:
            TaxonomyError: listing the names of absent labels.
        """
        kept = {label: name for label, name in names.items() if unknown == "error" or label in self}
        further = zip(self.ids, self.alternative_names, strict=True)
        parts = building.build(
            [],
            labels=self.ids,
            names=building.named(kept),
            alternatives=[(label, name, None) for label, given in further for name in given],
        )
        return self._changed(names=parts.names, alternative_names=parts.alternatives)

    def with_descriptions(
        self, descriptions: Mapping[str, str], *, unknown: Literal["error", "ignore"] = "error"
    ) -> Taxonomy:
        """The same taxonomy with these descriptions in place of its own.

        Args:
            descriptions: id -> text, which becomes one line; an empty one is not a description.
            unknown: whether descriptions of labels that the taxonomy lacks are an error.

        Raises:
            TaxonomyError: listing the descriptions of absent labels.

        >>> Taxonomy.flat(["cats", "dogs"]).with_descriptions({"cats": "Small felines."}).descriptions
        ('Small felines.', None)
        """
        kept = {label: text for label, text in descriptions.items() if unknown == "error" or label in self}
        parts = building.build([], labels=self.ids, descriptions=building.named(kept))
        return self._changed(descriptions=parts.descriptions)

    def with_alternative_names(
        self, names: Mapping[str, Sequence[str]], *, unknown: Literal["error", "ignore"] = "error"
    ) -> Taxonomy:
        """The same taxonomy with these further names in place of its own.

        Args:
            names: id -> names; those that are the display name of the label are left out.
            unknown: whether names of labels that the taxonomy lacks are an error.

        Raises:
            TaxonomyError: listing the names of absent labels.

        >>> Taxonomy.flat(["cats", "dogs"]).with_alternative_names({"cats": ["felines"]}).alternative_names
        (('felines',), ())
        """
        rows = [(label, name, None) for label, given in names.items() for name in given]
        kept = [row for row in rows if unknown == "error" or row[0] in self]
        shown = [(label, name, None) for label, name in zip(self.ids, self.names, strict=True) if name is not None]
        parts = building.build([], labels=self.ids, names=shown, alternatives=kept)
        return self._changed(alternative_names=parts.alternatives)

    # Labels

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The index of each label id."""
        return MappingProxyType(dict(zip(self.ids, range(len(self.ids)), strict=True)))

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, label: object) -> bool:
        return label in self.positions

    def name(self, i: int) -> str:
        """The display name of label i, or its id where it has none."""
        return self.names[i] or self.ids[i]

    def all_names(self, i: int) -> tuple[str, ...]:
        """The display name of label i, or its id where it has none, and its alternative names."""
        return (self.name(i), *self.alternative_names[i])

    @cached_property
    def has_names(self) -> bool:
        """Whether any label has a display name."""
        return any(name is not None for name in self.names)

    @cached_property
    def has_descriptions(self) -> bool:
        """Whether any label has a description."""
        return any(description is not None for description in self.descriptions)

    @cached_property
    def has_alternative_names(self) -> bool:
        """Whether any label has further names."""
        return any(self.alternative_names)

    @cached_property
    def has_notations(self) -> bool:
        """Whether any label has a notation."""
        return any(notation is not None for notation in self.notations)

    def index(self, label: str) -> int:
        """The index of a label id.

        Raises:
            LabelError: naming the nearest id.
        """
        found = self.positions.get(label)
        if found is None:
            raise LabelError(f"The taxonomy has no label {label!r}.{lookup.hint(label, self.positions)}")
        return found

    def indices(self, labels: Iterable[str]) -> Int32Array:
        """The indexes of label ids, int32, in their order; ids may repeat.

        Raises:
            LabelError: listing all that the taxonomy lacks, each once with how often it was met and the nearest id.
        """
        asked = list(labels)
        found = [self.positions.get(label, -1) for label in asked]
        if -1 in found:
            raise lookup.missing(asked, found, self.positions)
        return np.array(found, dtype=np.int32)

    # Structure

    @property
    def is_flat(self) -> bool:
        """Whether there are no edges."""
        return bool(self.edge_index.shape[1] == 0)

    @cached_property
    def order(self) -> Int32Array:
        """Topological order, int32 (N,): parents before children; by level, then index."""
        return _kept(np.argsort(self.levels, kind="stable").astype(np.int32))

    @cached_property
    def levels(self) -> Int32Array:
        """Level by the longest path from a root, int32 (N,), roots = 1; a label is below all its parents."""
        return _kept(graph.longest_levels(len(self), self.edge_index))

    @cached_property
    def shortest_levels(self) -> Int32Array:
        """Level by the shortest path from a root, int32 (N,), roots = 1."""
        return _kept(graph.shortest_levels(len(self), self.edge_index))

    @cached_property
    def depth(self) -> int:
        """The greatest of ``levels``: 1 when flat, 0 when empty."""
        return int(self.levels.max(initial=0))

    @cached_property
    def roots(self) -> Int32Array:
        """Labels without a parent, int32, sorted."""
        return _kept(np.flatnonzero(np.diff(self._parents.indptr) == 0).astype(np.int32))

    @cached_property
    def leaves(self) -> Int32Array:
        """Labels without a child, int32, sorted."""
        return _kept(np.flatnonzero(np.diff(self._children.indptr) == 0).astype(np.int32))

    def parents(self, i: int) -> Int32Array:
        """Labels directly above label i, sorted."""
        return self._parents.row(self._checked(i))

    def children(self, i: int) -> Int32Array:
        """Labels directly below label i, sorted."""
        return self._children.row(self._checked(i))

    def ancestors(self, i: int) -> Int32Array:
        """All labels above label i, without i, sorted."""
        return _without(i, _row(self.closure, self._checked(i)))

    def descendants(self, i: int) -> Int32Array:
        """All labels below label i, without i, sorted."""
        return _without(i, self._below.row(self._checked(i)))

    def siblings(self, i: int) -> Int32Array:
        """Labels that share at least one parent with i, without i, sorted; for a root the other roots."""
        above = self.parents(i)
        family = np.unique(self._children.gather(above)[0]) if above.size else self.roots
        return _without(i, family)

    @cached_property
    def closure(self) -> BoolMatrix:
        """Sparse bool (N, N): True at (i, j) when j is i or an ancestor of i; rows sorted, read-only."""
        return graph.ancestor_closure(len(self), self.edge_index, self.levels)

    def branches(self) -> list[Int32Array]:
        """The taxonomy split at the root: for each root an int32 array, the root and its descendants, sorted.

        In a DAG branches may overlap.
        """
        return [self._below.row(int(root)) for root in self.roots]

    # Label sets of documents: CSR bool (D, N)

    def close(self, targets: BoolMatrix) -> BoolMatrix:
        """Add the ancestors of each set label; ``targets`` (D, N), the result a new array of that shape."""
        targets = self._canonical(targets)
        if self.is_flat:
            return targets
        return sets.close_upward(targets, self.closure)

    def reduce_to_leaves(self, targets: BoolMatrix) -> BoolMatrix:
        """Remove each set label that is an ancestor of another set label of the same document; (D, N)."""
        targets = self._canonical(targets)
        if self.is_flat or targets.nnz == 0:
            return targets
        above: BoolMatrix = targets @ self._proper_ancestors
        above.sort_indices()
        kept = ~sets.contains(sets.keys(above), sets.keys(targets))
        targets.data &= kept
        targets.eliminate_zeros()
        return targets

    def apply_policy(self, targets: BoolMatrix, policy: str) -> BoolMatrix:
        """Apply one of :data:`CLOSURE_POLICIES` to label sets (D, N); the result is a new array.

        Raises:
            ConfigError: for another policy.
        """
        if policy == "ancestors":
            return self.close(targets)
        if policy == "leaves":
            return self.reduce_to_leaves(targets)
        if policy == "as_given":
            return self._canonical(targets)
        hint = nearest(str(policy), CLOSURE_POLICIES)
        raise ConfigError(f"Unknown closure policy {policy!r}; use one of {', '.join(CLOSURE_POLICIES)}.{hint}")

    def violations(self, targets: BoolMatrix) -> Int64Array:
        """For each document the number of its labels with at least one ancestor not set; int64 (D,)."""
        targets = self._canonical(targets)
        if self.is_flat:
            return np.zeros(targets.shape[0], dtype=np.int64)
        return sets.violations(targets, self.closure)

    # Value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Taxonomy):
            return NotImplemented
        mine, theirs = ({**one._content, "edge_index": None} for one in (self, other))
        return mine == theirs and np.array_equal(self.edge_index, other.edge_index)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Taxonomy({len(self)} labels, {self.edge_index.shape[1]} edges, depth {self.depth})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Taxonomy cannot be changed (setting {name!r}); make a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Taxonomy cannot be changed (deleting {name!r}); make a new one")

    def __reduce__(self) -> tuple[Any, ...]:
        # only the content travels to other processes; what follows from it is computed there when needed
        return _restored, tuple(self._content.values())

    @property
    def _content(self) -> dict[str, Any]:
        """The arguments of the constructor, in their order."""
        return {
            "ids": self.ids,
            "names": self.names,
            "edge_index": self.edge_index,
            "descriptions": self.descriptions,
            "alternative_names": self.alternative_names,
            "notations": self.notations,
        }

    def _changed(self, **parts: Any) -> Taxonomy:
        """The same taxonomy with other names, descriptions or alternative names."""
        return Taxonomy(**{**self._content, **parts})

    @cached_property
    def _hash(self) -> int:
        return hash((self.ids, self.names, self.edge_index.tobytes()))

    @cached_property
    def _children(self) -> Rows:
        return graph.rows_from_pairs(len(self), self.edge_index[0], self.edge_index[1])

    @cached_property
    def _parents(self) -> Rows:
        return graph.rows_from_pairs(len(self), self.edge_index[1], self.edge_index[0])

    @cached_property
    def _below(self) -> Rows:
        """Each label and its descendants: the closure by columns."""
        columns: Any = self.closure.tocsc()
        rows = Rows(columns.indptr.astype(np.int64), columns.indices.astype(np.int32))
        graph.frozen(rows.indptr)
        graph.frozen(rows.indices)
        return rows

    @cached_property
    def _proper_ancestors(self) -> BoolMatrix:
        proper: BoolMatrix = self.closure.copy()
        proper.setdiag(np.False_)
        proper.eliminate_zeros()
        return proper

    def _checked(self, i: int) -> int:
        if not 0 <= i < len(self):
            raise IndexError(f"label index {i} is outside 0..{len(self) - 1}")
        return int(i)

    def _canonical(self, targets: BoolMatrix) -> BoolMatrix:
        """A new bool CSR array with sorted rows, without duplicates and stored zeros."""
        if targets.ndim != 2 or targets.shape[1] != len(self):
            raise ValueError(f"targets have the shape {targets.shape}; expected (documents, {len(self)} labels)")
        result: BoolMatrix = sparse.csr_array(targets, copy=True).astype(np.bool_)
        result.sum_duplicates()
        result.eliminate_zeros()
        return result


def _restored(
    ids: tuple[str, ...],
    names: tuple[str | None, ...],
    edge_index: Int64Array,
    descriptions: tuple[str | None, ...] | None = None,
    alternative_names: tuple[tuple[str, ...], ...] | None = None,
    notations: tuple[str | None, ...] | None = None,
) -> Taxonomy:
    graph.frozen(edge_index)
    return Taxonomy(ids, names, edge_index, descriptions, alternative_names, notations)


def _without(i: int, row: Int32Array) -> Int32Array:
    others: Int32Array = row[row != i]
    return others


def _kept(array: Int32Array) -> Int32Array:
    graph.frozen(array)
    return array


def _row(matrix: BoolMatrix, i: int) -> npt.NDArray[np.int32]:
    return matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]
