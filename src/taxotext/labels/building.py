"""From edges to checked parts of a taxonomy: every mistake is gathered, then reported at once."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from taxotext.errors import TaxonomyError
from taxotext.labels import graph
from taxotext.messages import counted

logger = logging.getLogger("taxotext")


ALTERNATIVES, NOTATION = "alternative_names", "notation"
"""Keys of the further names of a label, and of its notation, in JSON and YAML."""


class Parts(NamedTuple):
    """The checked content of a taxonomy."""

    ids: tuple[str, ...]
    names: tuple[str | None, ...]
    edge_index: graph.Int64Array
    descriptions: tuple[str | None, ...] | None = None
    """None: no label has one."""
    alternatives: tuple[tuple[str, ...], ...] | None = None
    """Further names of each label; None: no label has one."""
    notations: tuple[str | None, ...] | None = None
    """What each label is written as in a classification, ``512.7``; None: no label has one."""


class Name(NamedTuple):
    """A display name, or a description, and where it was written."""

    id: str
    name: str | None
    where: str | None


SHOWN_CYCLES = 20
"""Cycles that are looked for: a dense knot has millions."""
SHOWN_STEPS = 8
"""Labels of a long cycle that are named."""

Edge: TypeAlias = tuple[str | None, str]
"""Parent (None for the top level) and child."""
Names: TypeAlias = Iterable[tuple[str, str | None, str | None]]
"""As :class:`Name`: label, display name, place."""


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


def are_sound(labels: Sequence[Any]) -> bool:
    """Whether :func:`id_problem` has nothing to say of any label: a few passes over all of them, not a look at each.

    False may be a false alarm (labels with NUL characters).
    """
    if not labels:
        return True
    try:
        joined = "\n".join(labels)
    except TypeError:
        return False
    return (
        joined.count("\n") == len(labels) - 1
        and "\t" not in joined
        and "\r" not in joined
        and "\0" not in joined
        and all(labels)
        and list(map(str.strip, labels)) == list(labels)
        and not _half_character(joined)
    )


def _half_character(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def tidy_text(text: str | None) -> str | None:
    """A name or a description on one line with single spaces; None for an empty one."""
    return " ".join(text.split()) or None if text else None


def fail(problems: Sequence[str], source: str | None = None) -> TaxonomyError:
    """The one error that carries all problems of a taxonomy."""
    named = source + " " if source else ""
    return TaxonomyError(f"The taxonomy {named}has {counted(len(problems), 'problem')}:", problems)


def build(
    edges: Iterable[Edge],
    *,
    labels: Iterable[str] = (),
    names: Names = (),
    descriptions: Names = (),
    alternatives: Names = (),
    where: Sequence[str] | None = None,
    source: str | None = None,
    problems: Iterable[str] = (),
) -> Parts:
    """Check edges, labels and names and turn them into arrays.

    Args:
        edges: (parent id or None for the top level, child id).
        labels: labels declared without an edge; they come first in the order.
        names: display names.
        descriptions: what labels mean.
        alternatives: further names, any number a label; those that repeat a name of the label are left out.
        where: for each edge the place it was read from.
        source: what to call the taxonomy in the error.
        problems: what a reader found already; reported together with what is found here.

    Raises:
        TaxonomyError: listing all problems.
    """
    edges, labels, problems = list(edges), list(labels), list(problems)
    names, descriptions, alternatives = list(names), list(descriptions), list(alternatives)
    ends = [end for parent, child in edges for end in (parent, child)]
    parts = None if problems else _sound_parts(ends, labels, _by_label(names), _by_label(descriptions))
    if parts is not None:
        faults: list[str] = []
        further = _alternatives(alternatives, parts.ids, parts.names, faults)
        if not faults:
            return parts._replace(alternatives=further)
    draft = _Draft(edges, labels, where, problems)
    draft.check_parents()
    draft.check_cycles()
    shown = draft.check_texts(names, "name")
    meanings = draft.check_texts(descriptions, "description")
    further = _alternatives(alternatives, tuple(draft.index), shown, draft.problems)
    if draft.problems:
        raise fail(draft.problems, source)
    draft.log_redundant_roots(source)
    edge_index = draft.edge_index[:, np.lexsort((draft.edge_index[1], draft.edge_index[0]))]
    graph.frozen(edge_index)
    return Parts(tuple(draft.index), shown, edge_index, meanings if any(meanings) else None, further)


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
    parts = sound_dict(listed)
    if parts is not None:
        return parts
    problems: list[str] = []
    notations: list[str | None] = []
    labels: list[str] = []
    names: list[Name] = []
    descriptions: list[Name] = []
    alternatives: list[Name] = []
    edges: list[Edge] = []
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
        notations.append(label.get(NOTATION))
        if fault := _notation_fault(label.get(NOTATION)):
            problems.append(f"{place}: {fault}")
        for key, texts in (("name", names), ("description", descriptions)):
            if label.get(key) is not None:
                texts.append(Name(label["id"], label[key], place))
        further = label.get(ALTERNATIVES) or []
        if not isinstance(further, list):
            problems.append(f"{place}: {ALTERNATIVES} is {further!r:.80}; write a list of names")
            continue
        alternatives += [Name(label["id"], name, place) for name in further]
        for parent in parents:
            edges.append(("" if parent is None else parent, label["id"]))
            where.append(place)
    parts = build(
        edges,
        labels=labels,
        names=names,
        descriptions=descriptions,
        alternatives=alternatives,
        where=where,
        source=source,
        problems=problems,
    )
    return with_notations(parts, notations)


def sound_dict(listed: list[Any]) -> Parts | None:
    """The parts of a sound list of labels, without a look at each; None when something may be wrong with it."""
    if set(map(type, listed)) != {dict}:
        return None
    labels = [entry.get("id") for entry in listed]
    above = [entry.get("parents") or () for entry in listed]
    if not set(map(type, above)) <= {list, tuple}:
        return None
    ends = [end for label, parents in zip(labels, above, strict=True) for parent in parents for end in (parent, label)]
    if None in ends:
        return None
    names, descriptions = ([entry.get(key) for entry in listed] for key in ("name", "description"))
    parts = _sound_parts(ends, labels, names, descriptions)
    notations = [entry.get(NOTATION) for entry in listed]
    if parts is None or any(map(_notation_fault, notations)):
        return None
    parts = with_notations(parts, notations)
    found = [(entry["id"], entry[ALTERNATIVES]) for entry in listed if entry.get(ALTERNATIVES)]
    if not found:
        return parts
    if not all(isinstance(further, list) for _, further in found):
        return None
    faults: list[str] = []
    rows = [(label, name, None) for label, further in found for name in further]
    alternatives = _alternatives(rows, parts.ids, parts.names, faults)
    return None if faults else parts._replace(alternatives=alternatives)


def with_notations(parts: Parts, notations: Sequence[str | None]) -> Parts:
    """The parts with the notation of each label, in the order of the ids; empty ones are none."""
    found = tuple(map(tidy_text, notations))
    return parts._replace(notations=found if any(found) else None)


def _notation_fault(notation: object) -> str | None:
    if notation is not None and not isinstance(notation, str):
        return f"the notation {notation!r:.80} is not text; write it as a string"
    if notation and _half_character(notation):
        return f"the notation {notation!r:.80} contains half a character (a lone surrogate); replace it"
    return None


def _alternatives(
    rows: Sequence[tuple[str, str | None, str | None]],
    ids: tuple[str, ...],
    names: tuple[str | None, ...],
    problems: list[str],
) -> tuple[tuple[str, ...], ...] | None:
    """The further names of each label, tidy, each once; None where there are none."""
    if not rows:
        return None
    place_of = dict(zip(ids, range(len(ids)), strict=True))
    found: dict[int, dict[str, None]] = {}
    for label, name, where in rows:
        if fault := _text_fault(label, name, where, "alternative name", place_of):
            problems.append(fault)
        elif (tidy := tidy_text(name)) is not None and tidy != names[place_of[label]]:
            found.setdefault(place_of[label], {})[tidy] = None
    return tuple(tuple(found.get(label, ())) for label in range(len(ids))) if found else None


def _text_fault(label: str, text: object, where: str | None, what: str, labels: Container[str]) -> str | None:
    """Why a name, alternative name or description (``what``) cannot be that of a label; None when it can."""
    place = f"{where}: " if where else ""
    if label not in labels:
        has = f"{label!r} has the {what} {text!r:.80} but is not a label of the taxonomy"
        return f"{place}{has}; remove the {what} or add the label"
    if text is not None and not isinstance(text, str):
        return f"{place}the {what} {text!r:.80} of {label!r} is not text; write it as a string"
    if text and _half_character(text):
        return f"{place}the {what} {text!r:.80} of {label!r} contains half a character (a lone surrogate); replace it"
    return None


Texts: TypeAlias = list[str | None] | dict[str, str | None]


def _by_label(texts: list[tuple[str, str | None, str | None]]) -> dict[str, str | None]:
    return {label: text for label, text, _ in texts}


def _sound_parts(ends: list[str | None], labels: list[str], names: Texts, descriptions: Texts) -> Parts | None:
    """The parts of a sound taxonomy, by passes over whole lists, in a fraction of the time of :class:`_Draft`.

    Args:
        ends: parent and child of each edge, one after the other.
        labels: labels declared without an edge.
        names: of ``labels``, which are then all there are; or by label.
        descriptions: like the names.

    Returns:
        None when something may be wrong, or is worth a line in the log; the draft then says what and where.
    """
    try:
        met: dict[str | None, None] = dict.fromkeys(labels)
        if len(met) < len(labels) or None in met:
            return None
        if isinstance(names, dict):
            met.update(dict.fromkeys(ends))
            met.pop(None, None)
        ids: list[Any] = list(met)
        if not are_sound(ids):
            return None
        place: dict[str | None, int] = dict(zip(ids, range(len(ids)), strict=True))
        shown, meanings = _sound_texts(ids, names), _sound_texts(ids, descriptions)
        place[None] = -1
        numbered = np.fromiter(map(place.__getitem__, ends), dtype=np.int64, count=len(ends)).reshape(-1, 2)
    except (TypeError, KeyError, AttributeError, UnicodeEncodeError):  # other types, absent labels, half characters
        return None
    if (numbered[:, 1] < 0).any():
        return None
    at_top = numbered[:, 0] < 0
    real = numbered[~at_top]
    edge_index = np.ascontiguousarray(real[np.lexsort((real[:, 1], real[:, 0]))].T)
    times_at_top = np.bincount(numbered[at_top, 1], minlength=len(ids))
    times_below = np.bincount(real[:, 1], minlength=len(ids))
    undeclared = (times_at_top + times_below)[len(labels) :] == 0
    twice = (times_at_top > 1) | ((times_at_top > 0) & (times_below > 0))
    doubled = (np.diff(edge_index) == 0).all(axis=0)
    cyclic = graph.longest_levels(len(ids), edge_index) == 0  # self loops, too
    if any(odd.any() for odd in (undeclared, twice, doubled, cyclic)):
        return None
    graph.frozen(edge_index)
    return Parts(tuple(ids), shown, edge_index, meanings if any(meanings) else None)


def _sound_texts(ids: list[str], texts: Texts) -> tuple[str | None, ...]:
    """A tidy name (or description) for each label.

    Raises:
        KeyError, TypeError, AttributeError, UnicodeEncodeError: something is wrong with them.
    """
    if isinstance(texts, dict):
        if not texts:
            return (None,) * len(ids)
        if not texts.keys() <= dict.fromkeys(ids).keys():
            raise KeyError
        texts = [texts.get(label) for label in ids]
    tidy = tuple(None if text is None else " ".join(text.split()) or None for text in texts)
    "".join(filter(None, tidy)).encode()
    return tidy


class _Draft:
    """A taxonomy on trial: labels in the order of first appearance, sound edges, and the problems so far."""

    def __init__(self, edges: list[Edge], labels: list[str], where: Sequence[str] | None, problems: list[str]) -> None:
        self.problems = problems
        self.from_file = where is not None
        self.index: dict[str, int] = {}
        self.declared: set[int] = set()
        self.roots: dict[int, str] = {}  # labels below the root -> where
        self.pairs: dict[tuple[int, int], str] = {}  # (parent, child) -> where
        for number, label in enumerate(labels, start=1):
            self._add_label(label, f"label {number}")
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
        for cycle in islice(graph.cycles(len(self.index), self.edge_index), SHOWN_CYCLES):
            steps = list(pairwise(cycle))
            places = [self.pairs[step] for step in steps]
            spelled = [repr(self.ids[node]) for node in cycle]
            if len(steps) > SHOWN_STEPS:
                left = f"... {len(steps) - SHOWN_STEPS:,} more ..."
                spelled = [*spelled[: SHOWN_STEPS // 2], left, *spelled[-SHOWN_STEPS // 2 :]]
                places = [*places[: SHOWN_STEPS // 2], "...", *places[-SHOWN_STEPS // 2 :]]
            self.problems.append(
                f"{places[0]}: the labels form a cycle: {' -> '.join(spelled)} ({', '.join(places)}); remove one of "
                "these edges"
            )

    def check_texts(self, texts: Names, what: str) -> tuple[str | None, ...]:
        """The name or the description (``what``) of each label."""
        shown: list[str | None] = [None] * len(self.index)
        for label, text, where in texts:
            if fault := _text_fault(label, text, where, what, self.index):
                self.problems.append(fault)
            else:
                shown[self.index[label]] = tidy_text(text)
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


def named(texts: Mapping[str, str] | None) -> Names:
    """A mapping of names or descriptions as :func:`build` takes it."""
    return [(label, text, None) for label, text in (texts or {}).items()]
