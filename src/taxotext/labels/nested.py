"""Nested taxonomies in JSON and YAML: mappings and lists inside each other, walked with their key paths."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from taxotext.errors import TaxonomyError, nearest
from taxotext.files.json_files import json_text
from taxotext.files.limits import nested_beyond
from taxotext.labels import building, files
from taxotext.labels.taxonomy import Taxonomy
from taxotext.messages import counted, parameter

DEEPEST = 5000
"""Open brackets at most, in YAML."""

_OBJECT_KEYS = ("id", "name", "description", building.ALTERNATIVES, "children")
_TOO_DEEP = "{path} is nested too deeply to be read; write the taxonomy as lines of parent<TAB>child."


class _Mapping(NamedTuple):
    """A mapping as written: pairs in order, duplicates included, with the line of each key (None in JSON)."""

    pairs: list[tuple[Any, Any, int | None]]

    def has(self, key: str) -> bool:
        return any(found == key for found, _, _ in self.pairs)


class _Sequence(NamedTuple):
    """A YAML list: items with their lines; JSON lists stay lists."""

    items: list[tuple[Any, int]]


class _Odd(NamedTuple):
    """A YAML value that is not text, mapping, list or null, as it was written."""

    written: str
    kind: str

    def __repr__(self) -> str:
        return self.written


class _Entry(NamedTuple):
    """One label met in the file, the value that holds its children, and where both are."""

    id: Any
    texts: dict[str, Any]
    """Its name, description and alternative names, where it has them."""
    children: Any
    path: str
    line: int | None
    below: str
    """Key path of the children."""
    by_name: bool = False
    """Whether it is written as a name alone, not as an object with an id."""


def read_nested(
    text: str, path: Path, *, as_yaml: bool, ids: str | None = None, separator: str = "/"
) -> building.Parts:
    """The parts of a nested taxonomy.

    Args:
        text: content of the file.
        path: its name, for messages.
        as_yaml: whether it is YAML, not JSON.
        ids: of labels that are written as a name alone. ``name``: the name, and equal names are one label; ``path``:
            the names from the top, joined by ``separator``; None: the name, which must stand below one parent only.
        separator: between the steps of a path.

    Raises:
        TaxonomyError: with the key path (and the line in YAML) of each problem.
    """
    if not as_yaml and (parts := _sound_saved(text)) is not None:
        return parts
    top = _parse_yaml(text, path) if as_yaml else _parse_json(text, path)
    if isinstance(top, _Mapping) and _is_saved(top):
        return _saved(top, path)
    return _Walk(path, ids, separator).parts(top)


def is_yaml_name(path: Path) -> bool:
    """Whether the file name says YAML (``.yaml`` or ``.yml``, perhaps with ``.gz``)."""
    return files.plain_name(path).endswith((".yaml", ".yml"))


def nested_content(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """The taxonomy as a list of ``{"id", "name", "description", "alternative_names", "children"}``.

    Keys without content are left out.

    A label with several parents is listed below each of them, its children only below the first.
    """
    seen: set[int] = set()
    top: list[dict[str, Any]] = []
    stack = [(int(root), top) for root in taxonomy.roots[::-1]]
    while stack:
        node, siblings = stack.pop()
        entry: dict[str, Any] = {"id": taxonomy.ids[node]}
        siblings.append(entry)
        if node in seen:
            continue
        seen.add(node)
        if taxonomy.names[node] is not None:
            entry["name"] = taxonomy.names[node]
        if taxonomy.descriptions[node] is not None:
            entry["description"] = taxonomy.descriptions[node]
        if taxonomy.alternative_names[node]:
            entry[building.ALTERNATIVES] = list(taxonomy.alternative_names[node])
        children = taxonomy.children(node).tolist()
        if children:
            entry["children"] = []
            stack.extend((child, entry["children"]) for child in reversed(children))
    return top


def dump_nested(taxonomy: Taxonomy, path: Path) -> str:
    """The text of a nested file, YAML or JSON by the name of ``path``.

    Raises:
        TaxonomyError: when the taxonomy is too deep for a nested file.
    """
    content = nested_content(taxonomy)
    try:
        if is_yaml_name(path):
            return _dump_yaml(content)
        return json_text(content)
    except RecursionError:
        raise TaxonomyError(
            f"A taxonomy of depth {taxonomy.depth} is too deep for the nested file {path}; use format='edges'."
        ) from None


def _dump_yaml(content: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Strings with a line break that only Unicode knows go into double quotes: YAML would fold them."""

    def text(dumper: Any, value: str) -> Any:
        style = '"' if any(sign in value for sign in "\x85\u2028\u2029") else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return str(yaml.dump(content, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=1_000_000))


def _is_saved(top: _Mapping) -> bool:
    """Whether this is the form of ``Taxonomy.to_dict`` (a model folder's taxonomy.json), not nested."""
    return len(top.pairs) == 1 and top.pairs[0][0] == "labels" and isinstance(top.pairs[0][1], list | _Sequence)


def _sound_saved(text: str) -> building.Parts | None:
    """The parts of a sound ``Taxonomy.to_dict`` in JSON, a tenth of the work; None for any other content."""
    if text.count('"labels"') != 1:  # a key twice is a mistake, which orjson does not see
        return None
    try:
        top = orjson.loads(text)
    except ValueError:
        return None
    entries = top.get("labels") if isinstance(top, dict) and len(top) == 1 else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "children" not in e for e in entries):
        return None
    return building.sound_dict(entries)


def _saved(top: _Mapping, path: Path) -> building.Parts:
    try:
        entries = _plain(top.pairs[0][1])
    except RecursionError:
        raise TaxonomyError(_TOO_DEEP.format(path=path)) from None
    if not entries:
        raise TaxonomyError(f"{path} holds no labels; a taxonomy needs at least one.")
    if not all(isinstance(entry, dict) and "children" not in entry for entry in entries):
        raise TaxonomyError(
            f"{path}: a list under 'labels' alone is the form of a model's taxonomy.json, a list of "
            '{"id": ..., "name": ..., "parents": [...]}; leave \'labels\' out and write the list alone, or write '
            '[{"id": "labels", "children": [...]}] for a label of this name.'
        )
    return building.from_dict({"labels": entries}, source=str(path))


def _plain(value: Any) -> Any:
    """Mappings and lists as Python has them."""
    if isinstance(value, _Mapping):
        return {key if isinstance(key, str) else repr(key): _plain(inner) for key, inner, _ in value.pairs}
    return [_plain(item) for item, _ in _items(value)] if isinstance(value, list | _Sequence) else value


def _is_object(value: Any) -> bool:
    """Whether a mapping says something about one label, rather than having labels for keys."""
    if not isinstance(value, _Mapping) or not value.pairs:
        return False
    # what is below a label called description is not text, and below one called alternative_names no list of text
    kinds = {"description": str, building.ALTERNATIVES: list | _Sequence}
    if all(key in _OBJECT_KEYS and isinstance(inner, kinds.get(key, object)) for key, inner, _ in value.pairs):
        return True
    # a label may be called id (a language, say): what is below it is not text
    return any(key == "id" and isinstance(inner, str | int | float | _Odd) for key, inner, _ in value.pairs)


class _Walk:
    """Collects edges, names and problems, label by label in the order of the file."""

    def __init__(self, path: Path, ids: str | None, separator: str) -> None:
        self.file = path
        self.ids = ids
        self.separator = separator
        self.problems: list[str] = []
        self.edges: dict[tuple[str | None, str], str] = {}
        self.texts: dict[str, dict[str, building.Name]] = {"name": {}, "description": {}}
        self.alternatives: list[building.Name] = []
        self.stack: list[tuple[str | None, _Entry]] = []
        self.below: dict[str, dict[str | None, tuple[str, int | None]]] = {}
        """Parent -> place, of each label that is written as a name alone."""
        self.with_id: set[str] = set()

    def parts(self, top: Any) -> building.Parts:
        self._push(None, top, "$", None)
        if not self.stack and not self.problems:
            raise TaxonomyError(f"{self.file} holds no labels; a taxonomy needs at least one.")
        while self.stack:
            parent, entry = self.stack.pop()
            if isinstance(entry.id, _Odd):
                self._wrong(entry.path, entry.line, entry.id, "a label (text)")
                continue
            if problem := building.id_problem(entry.id):
                self._report(entry.path, entry.line, problem)
                continue
            place = self._place(entry.path, entry.line)
            if entry.by_name and self.ids == "path":
                entry = self._by_path(parent, entry, place)
            elif entry.by_name:
                self.below.setdefault(entry.id, {}).setdefault(parent, (entry.path, entry.line))
            else:
                self.with_id.add(entry.id)
            # a label written out below several parents repeats its own edges: that is not a mistake
            self.edges.setdefault((parent, entry.id), place)
            for what, text in entry.texts.items():
                if what == building.ALTERNATIVES:
                    self._add_alternatives(entry, text)
                else:
                    self._add_text(entry, what, text)
            self._push(entry.id, entry.children, entry.below, entry.line)
        if self.ids is None:
            self._check_names()
        return building.build(
            list(self.edges),
            names=self.texts["name"].values(),
            descriptions=self.texts["description"].values(),
            alternatives=self.alternatives,
            where=list(self.edges.values()),
            source=str(self.file),
            problems=self.problems,
        )

    def _by_path(self, parent: str | None, entry: _Entry, place: str) -> _Entry:
        """The entry with its path as id and its name as display name."""
        if self.separator in entry.id:
            other = " > " if self.separator != " > " else " | "
            self.problems.append(
                f"{place}: the name {entry.id!r} contains {self.separator!r}, which separates the steps of paths; give "
                f"another separator ({parameter('path_separator', other, python='separator')})"
            )
        label = entry.id if parent is None else f"{parent}{self.separator}{entry.id}"
        return entry._replace(id=label, texts={"name": entry.id} | entry.texts)

    def _check_names(self) -> None:
        """Names below several parents may be one label or several, which only the user knows."""
        several = {
            name: parents for name, parents in self.below.items() if len(parents) > 1 and name not in self.with_id
        }
        if not several:
            return
        name, parents = next(iter(several.items()))
        above = ["the top level" if parent is None else repr(parent) for parent in parents]
        first, second, *_ = parents.values()
        more = "" if len(several) == 1 else f" ({counted(len(several) - 1, 'more name is', 'more names are')} like it)"
        self.problems.append(
            f"{self._place(*second)}: the name {name!r} is below {above[1]}, and below {above[0]} "
            f"{f'at {first[0]}' if first[1] is None else f'in line {first[1]}'}{more}; if these are different "
            f"labels, take paths as ids ({parameter('taxonomy_ids', 'path')}); if such a name is one label "
            f"with several parents, say so ({parameter('taxonomy_ids', 'name')})"
        )
        raise building.fail(self.problems, str(self.file))

    def _push(self, parent: str | None, value: Any, path: str, line: int | None) -> None:
        """Put the labels that ``value`` holds on the stack, the first on top."""
        if _is_object(value):
            entries = self._listed(value, path, line)
        elif isinstance(value, _Mapping):
            entries = self._keyed(value, path)
        elif isinstance(value, list | _Sequence):
            entries = [
                entry for i, (item, at) in enumerate(_items(value)) for entry in self._listed(item, f"{path}[{i}]", at)
            ]
        elif value is None and path != "$":
            return
        else:
            self._wrong(path, line, value, "a mapping, a list or nothing (null)")
            return
        met: set[str] = set()
        for entry in entries:
            if not isinstance(entry.id, str):
                continue
            if entry.id in met:
                self._report(entry.path, entry.line, f"{entry.id!r} is duplicated here; remove one")
            met.add(entry.id)
        self.stack.extend((parent, entry) for entry in reversed(entries))

    def _keyed(self, value: _Mapping, path: str) -> list[_Entry]:
        """The labels that the keys are; below one stand its children, or an object that says more about it."""
        entries = []
        for key, inner, line in value.pairs:
            step = f"{path}{_step(key)}"
            if not _is_object(inner):
                entries.append(_Entry(key, {}, inner, step, line, step, by_name=True))
                continue
            found = self._object(inner, step)
            if found.get("id", key) != key:
                self._report(
                    step, line, f"the object below {key!r} has the id {found['id']!r}; for a single child write a list"
                )
            by_name = "id" not in found and "name" not in found
            entries.append(_Entry(key, _texts(found), found.get("children"), step, line, f"{step}.children", by_name))
        return entries

    def _listed(self, item: Any, path: str, line: int | None) -> list[_Entry]:
        """The labels of one item of a list: text, an object with an id, or a mapping of names."""
        if isinstance(item, str):
            return [_Entry(item, {}, None, path, line, path, by_name=True)]
        if not isinstance(item, _Mapping):
            self._wrong(path, line, item, "a label (text) or a mapping")
            return []
        is_object = len(item.pairs) > 1 and any(isinstance(inner, str) for _, inner, _ in item.pairs)
        if not item.has("id") and not is_object and not all(key in _OBJECT_KEYS for key, _, _ in item.pairs):
            return self._keyed(item, path)
        found = self._object(item, path)
        if "id" not in found:
            if self.ids is not None and isinstance(found.get("name"), str):
                return [
                    _Entry(found["name"], _texts(found), found.get("children"), path, line, f"{path}.children", True)
                ]
            hint = f", or take names or paths as ids ({parameter('taxonomy_ids', 'path')})" if "name" in found else ""
            self._report(path, line, f"an object without 'id'; add the id of the label{hint}")
            return []
        return [_Entry(found["id"], _texts(found), found.get("children"), path, line, f"{path}.children")]

    def _object(self, item: _Mapping, path: str) -> dict[str, Any]:
        """The values of an object by their keys."""
        found: dict[str, Any] = {}
        for key, inner, at in item.pairs:
            if key not in _OBJECT_KEYS:
                hint = nearest(str(key), _OBJECT_KEYS)
                self._report(path, at, f"unknown key {key!r}; an object has {', '.join(_OBJECT_KEYS)}.{hint}")
            elif key in found:
                self._report(path, at, f"the key {key!r} is duplicated here; remove one")
            else:
                found[key] = inner
        return found

    def _add_text(self, entry: _Entry, what: str, text: Any) -> None:
        place = self._place(f"{entry.path}.{what}", entry.line)
        if not isinstance(text, str):
            self._wrong(f"{entry.path}.{what}", entry.line, text, "text")
            return
        first = self.texts[what].setdefault(entry.id, building.Name(entry.id, text, place))
        if first.name != text:
            self.problems.append(
                f"{place}: {entry.id!r} has the {what} {text!r} here and {first.name!r} at {first.where}; keep one"
            )

    def _add_alternatives(self, entry: _Entry, names: Any) -> None:
        path = f"{entry.path}.{building.ALTERNATIVES}"
        if not isinstance(names, list | _Sequence):
            self._wrong(path, entry.line, names, "a list of names")
            return
        for number, (name, line) in enumerate(_items(names)):
            if isinstance(name, str):
                place = self._place(f"{path}[{number}]", line)
                self.alternatives.append(building.Name(entry.id, name, place))
            else:
                self._wrong(f"{path}[{number}]", line, name, "text")

    def _wrong(self, path: str, line: int | None, value: Any, expected: str) -> None:
        if isinstance(value, _Odd):
            found = f"the {value.kind} {value.written}; put text that looks like one in quotes"
        elif isinstance(value, _Mapping):
            found = "a mapping"
        elif isinstance(value, str):
            found = f"the text {value!r:.80}; for a single child write a list"
        else:
            kinds = {list: "a list", _Sequence: "a list", type(None): "nothing (null)"}
            found = kinds.get(type(value)) or json.dumps(value)
        self._report(path, line, f"expected {expected}, found {found}")

    def _report(self, path: str, line: int | None, problem: str) -> None:
        self.problems.append(f"{self._place(path, line)}: {problem}")

    def _place(self, path: str, line: int | None) -> str:
        return f"{self.file} at {path}" if line is None else f"{self.file}:{line} at {path}"


def _texts(found: dict[str, Any]) -> dict[str, Any]:
    """The names and the description among the values of an object."""
    return {what: found[what] for what in ("name", "description", building.ALTERNATIVES) if found.get(what) is not None}


def _items(value: list[Any] | _Sequence) -> list[tuple[Any, int | None]]:
    return [(item, None) for item in value] if isinstance(value, list) else [*value.items]


def _step(key: Any) -> str:
    if isinstance(key, _Odd):
        key = key.written
    return f".{key}" if re.fullmatch(r"\w+", str(key)) else f"[{json.dumps(str(key), ensure_ascii=False)}]"


def _parse_json(text: str, path: Path) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _Mapping([(key, value, None) for key, value in pairs]))
    except json.JSONDecodeError as error:
        raise TaxonomyError(
            f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}; fix the file."
        ) from None
    except ValueError as error:
        raise TaxonomyError(f"{path}: not JSON: {error}; fix the file.") from None
    except RecursionError:
        raise TaxonomyError(_TOO_DEEP.format(path=path)) from None


def _parse_yaml(text: str, path: Path) -> Any:
    import yaml

    if nested_beyond(text, DEEPEST):
        raise TaxonomyError(f"{path}: more than {DEEPEST:,} brackets are open at a place; write one label a line.")

    # Events, not values: they keep lines and duplicate keys, construct nothing that the file asks for, and
    # need no recursion (the composer in C crashes the process on a deeply nested file).
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _from_events(yaml.parse(text, Loader=loader), path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise TaxonomyError(f"{path}{line}: not YAML: {error.problem or error.context}; fix the file.") from None
    except yaml.YAMLError as error:
        raise TaxonomyError(f"{path}: not YAML: {' '.join(str(error).split())}; fix the file.") from None
    except RecursionError:
        raise TaxonomyError(_TOO_DEEP.format(path=path)) from None


def _from_events(events: Any, path: Path) -> Any:
    import yaml

    resolve: Any = yaml.resolver.Resolver().resolve
    top: list[tuple[Any, int]] = []  # the values of the documents
    open_lists = [top]  # the lists of values now being filled, the innermost last
    starts: list[Any] = []
    value: Any
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            # an alias could make the tree endless or exponentially large; naming the label again says the
            # same
            raise TaxonomyError(
                f"{path}:{line}: the alias *{event.anchor} is not supported; write the id of the label again instead."
            )
        if isinstance(event, yaml.DocumentStartEvent) and top:
            raise TaxonomyError(f"{path}:{line}: a second YAML document begins; keep one taxonomy a file.")
        if isinstance(event, yaml.ScalarEvent):
            tag: str = event.tag or resolve(yaml.ScalarNode, event.value, event.implicit)
            kind = tag.rsplit(":", 1)[-1]
            value = {"str": event.value, "!": event.value, "null": None}.get(kind, _Odd(event.value, kind))
            open_lists[-1].append((value, line))
        elif isinstance(event, yaml.CollectionStartEvent):
            open_lists.append([])
            starts.append(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            items = open_lists.pop()
            start = starts.pop()
            value = _Sequence(items)
            if isinstance(start, yaml.MappingStartEvent):
                pairs = zip(items[::2], items[1::2], strict=True)
                value = _Mapping([(key, inner, at) for (key, at), (inner, _) in pairs])
            open_lists[-1].append((value, start.start_mark.line + 1))
    return top[0][0] if top else None
