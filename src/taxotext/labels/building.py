"""From edges to checked parts of a taxonomy: every mistake is gathered, then reported at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from taxotext.errors import TaxonomyError
from taxotext.labels import graph
from taxotext.messages import counted

logger = logging.getLogger("taxotext")


class Parts(NamedTuple):
    """The checked content of a taxonomy."""

    ids: tuple[str, ...]
    names: tuple[str | None, ...]
    edge_index: graph.Int64Array


class Name(NamedTuple):
    """A display name and where it was written."""

    id: str
    name: str | None
    where: str | None


def id_problem(label: object) -> str | None:
    """Why ``label`` cannot be the id of a label, as the second half of a sentence; None when it can.

    >>> id_problem(" a")
    "the label ' a' begins or ends with white space; remove it"
    """
    if not isinstance(label, str):
        return f"the label {label!r} is not text; write it as a string"
    if not label:
        return "a label is empty; give it an id"
    if label != label.strip():
        return f"the label {label!r} begins or ends with white space; remove it"
    if any(sign in label for sign in "\t\n\r"):
        return f"the label {label!r} contains a TAB or a line break; replace it"
    if _half_character(label):
        return f"the label {label!r} contains half a character (a lone surrogate); replace it"
    return None


def _half_character(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text)


def tidy_name(name: str | None) -> str | None:
    """A display name on one line with single spaces; None for an empty one."""
    return " ".join(name.split()) or None if name else None


def fail(problems: Sequence[str], source: str | None = None) -> TaxonomyError:
    """The one error that carries all problems of a taxonomy."""
    named = source + " " if source else ""
    return TaxonomyError(f"The taxonomy {named}has {counted(len(problems), 'problem')}:", problems)


def build(
    edges: Iterable[tuple[str | None, str]],
    *,
    labels: Iterable[str] = (),
    names: Iterable[Name] = (),
    where: Sequence[str] | None = None,
    source: str | None = None,
    problems: Iterable[str] = (),
) -> Parts:
    """Check edges, labels and names and turn them into arrays.

    Args:
        edges: (parent id or None for the top level, child id).
        labels: labels declared without an edge; they come first in the order.
        names: display names.
        where: for each edge the place it was read from.
        source: what to call the taxonomy in the error.
        problems: what a reader found already; reported together with what is found here.

    Raises:
        TaxonomyError: listing all problems.
    """
    draft = _Draft(edges, labels, where, problems)
    draft.check_parents()
    draft.check_cycles()
    shown = draft.check_names(names)
    if draft.problems:
        raise fail(draft.problems, source)
    draft.log_redundant_roots(source)
    edge_index = draft.edge_index[:, np.lexsort((draft.edge_index[1], draft.edge_index[0]))]
    graph.frozen(edge_index)
    return Parts(tuple(draft.index), shown, edge_index)


def from_dict(content: Any, *, source: str | None = None) -> Parts:
    """The parts of a taxonomy written by ``Taxonomy.to_dict``, checked like any other.

    Raises:
        TaxonomyError: listing all problems by their place in the list.
    """
    listed = content.get("labels") if isinstance(content, Mapping) else None
    if not isinstance(listed, list):
        raise fail(
            ['expected {"labels": [{"id": ..., "name": ..., "parents": [...]}, ...]}; write it in this form'],
            source,
        )
    problems: list[str] = []
    labels: list[str] = []
    names: list[Name] = []
    edges: list[tuple[str | None, str]] = []
    where: list[str] = []
    for number, label in enumerate(listed):
        place = f"labels[{number}]"
        parents = label.get("parents") or [] if isinstance(label, Mapping) else None
        if not isinstance(label, Mapping) or "id" not in label or not isinstance(parents, list):
            problems.append(f'{place}: expected {{"id": ..., "name": ..., "parents": [...]}}, found {label!r:.80}')
            continue
        if problem := id_problem(label["id"]):
            problems.append(f"{place}: {problem}")
            continue
        labels.append(label["id"])
        if label.get("name") is not None:
            names.append(Name(label["id"], label["name"], place))
        for parent in parents:
            edges.append(("" if parent is None else parent, label["id"]))
            where.append(place)
    return build(edges, labels=labels, names=names, where=where, source=source, problems=problems)


class _Draft:
    """A taxonomy on trial: labels in the order of first appearance, sound edges, and the problems so far."""

    def __init__(
        self,
        edges: Iterable[tuple[str | None, str]],
        labels: Iterable[str],
        where: Sequence[str] | None,
        problems: Iterable[str],
    ) -> None:
        self.problems = list(problems)
        self.from_file = where is not None
        self.index: dict[str, int] = {}
        self.declared: set[int] = set()
        self.roots: dict[int, str] = {}  # labels below the root -> where
        self.pairs: dict[tuple[int, int], str] = {}  # (parent, child) -> where
        for number, label in enumerate(labels, start=1):
            self._add_label(label, f"label {number}")
        edges = list(edges)
        if where is not None and len(where) != len(edges):
            raise ValueError(f"where has {len(where)} entries for {len(edges)} edges; give one for each edge")
        for number, (parent, child) in enumerate(edges, start=1):
            self._add_edge(parent, child, where[number - 1] if where is not None else f"edge {number}")
        pairs = np.array(list(self.pairs), dtype=np.int64).reshape(-1, 2)
        self.edge_index: graph.Int64Array = np.ascontiguousarray(pairs.T)
        self.ids = list(self.index)

    def _add_label(self, label: str, place: str) -> None:
        if problem := id_problem(label):
            self.problems.append(f"{place}: {problem}")
        elif label in self.index:
            self.problems.append(f"{place}: the label {label!r} is listed twice; remove one")
        else:
            self.declared.add(self.index.setdefault(label, len(self.index)))

    def _add_edge(self, parent: str | None, child: str, place: str) -> None:
        faults = [None if parent is None else id_problem(parent), id_problem(child)]
        if any(faults):
            self.problems.extend(f"{place}: {fault}" for fault in faults if fault)
            return
        if parent is None:
            below = self.index.setdefault(child, len(self.index))
            if below in self.roots:
                first = self.roots[below]
                self.problems.append(f"{place}: {child!r} is put at the top level again (first at {first}); remove one")
            self.roots.setdefault(below, place)
            self.declared.add(below)
            return
        above = self.index.setdefault(parent, len(self.index))
        below = self.index.setdefault(child, len(self.index))
        self.declared.add(below)
        if above == below:
            self.problems.append(f"{place}: {child!r} is its own parent; remove the edge")
        elif (above, below) in self.pairs:
            first = self.pairs[above, below]
            self.problems.append(
                f"{place}: the edge {parent!r} -> {child!r} is a duplicate (first at {first}); remove one"
            )
        else:
            self.pairs[above, below] = place

    def check_parents(self) -> None:
        reported = set(self.declared)
        for (above, _), place in self.pairs.items():
            if above not in reported:
                reported.add(above)
                label = self.ids[above]
                remedy = (
                    f"add the line 'Root<TAB>{label}'"
                    if self.from_file
                    else f"add the edge (None, {label!r}) or name it in labels"
                )
                self.problems.append(f"{place}: {label!r} is used as a parent but is never declared; {remedy}")

    def check_cycles(self) -> None:
        for cycle in graph.cycles(len(self.index), self.edge_index):
            steps = list(pairwise(cycle))
            places = [self.pairs[step] for step in steps]
            spelled = " -> ".join(repr(self.ids[node]) for node in cycle)
            self.problems.append(
                f"{places[0]}: the labels form a cycle: {spelled} ({', '.join(places)}); remove one of these edges"
            )

    def check_names(self, names: Iterable[Name]) -> tuple[str | None, ...]:
        shown: list[str | None] = [None] * len(self.index)
        for label, name, where in names:
            place = f"{where}: " if where else ""
            if label not in self.index:
                self.problems.append(
                    f"{place}{label!r} has the name {name!r} but is not a label of the taxonomy; "
                    "remove the name or add the label"
                )
            elif name is not None and not isinstance(name, str):
                self.problems.append(f"{place}the name {name!r} of {label!r} is not text; write it as a string")
            elif name and _half_character(name):
                self.problems.append(
                    f"{place}the name {name!r} of {label!r} contains half a character (a lone surrogate); replace it"
                )
            else:
                shown[self.index[label]] = tidy_name(name)
        return tuple(shown)

    def log_redundant_roots(self, source: str | None) -> None:
        children = {below for _, below in self.pairs}
        redundant = [(node, place) for node, place in self.roots.items() if node in children]
        if redundant:
            examples = ", ".join(f"{self.ids[node]!r} ({place})" for node, place in redundant[:3])
            logger.info(
                "%s: %s at the top level and below another label too, such as %s; only real parents count",
                source or "taxonomy",
                counted(len(redundant), "label stands", "labels stand"),
                examples,
            )


def named(names: Mapping[str, str] | None) -> list[Name]:
    """A mapping of names as the list that :func:`build` takes."""
    return [Name(label, name, None) for label, name in (names or {}).items()]
