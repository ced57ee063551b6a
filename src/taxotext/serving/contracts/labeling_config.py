"""The labeling configuration of Label Studio: which text is labelled, and how labels are written there.

A choice is a label of the model when its ``alias`` or ``value`` is the id or the name of the label. Where several
labels have that name, the choice above it decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from taxotext.labels import Taxonomy
from taxotext.serving.limits import Refused

KINDS = {"Choices": "choices", "Taxonomy": "taxonomy"}
DEEPEST = 100
"""Choices within each other."""


@dataclass(frozen=True)
class Control:
    """A tag of choices over a text."""

    # name, to_name: of the tag, and of the text that it labels
    name: str
    to_name: str
    kind: str  # `choices` or `taxonomy`
    field: str  # of the data of a task that holds the text
    multiple: bool  # whether a text may have several labels
    # label index -> how it is written: from the top, at every place where it stands
    paths: Mapping[int, Sequence[tuple[str, ...]]]
    ids: Mapping[tuple[str, ...], str]  # path -> label id; of choices that are no label of the model the last value

    def value(self, labels: Sequence[int]) -> list[Any]:
        """The choices of labels; those that are no choice are left out."""
        found = [path for label in labels for path in self.paths.get(label, ())]
        return [list(path) for path in found] if self.kind == "taxonomy" else [path[-1] for path in found]

    def region(self, value: list[Any]) -> dict[str, Any]:
        """A result of a prediction."""
        return {"from_name": self.name, "to_name": self.to_name, "type": self.kind, "value": {self.kind: value}}

    def labels(self, result: Sequence[Mapping[str, Any]]) -> list[str]:
        """Label ids of an annotation, each once; choices that are no label of the model by their value."""
        found: dict[str, None] = {}
        for region in result:
            value = region.get("value")
            chosen = value.get(self.kind) if isinstance(value, Mapping) else None
            if region.get("from_name") != self.name or not isinstance(chosen, list):
                continue
            for one in chosen:
                path = tuple(map(str, one)) if isinstance(one, list) else (str(one),)
                if path:
                    found[self.ids.get(path, path[-1])] = None
        return list(found)


def read_config(config: str, taxonomy: Taxonomy) -> Control:
    """Read the first tag of choices over a text.

    Raises:
        Refused: 422: it is not XML, there is no such tag, or none of its choices is a label.
    """
    try:
        root = ElementTree.fromstring(config)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise Refused(422, f"The labeling configuration is not valid XML ({error}).") from None
    texts = {tag.get("name"): tag for tag in root.iter("Text")}
    tag = next(
        (one for one in root.iter() if one.tag in KINDS and one.get("toName") in texts and one.get("name")), None
    )
    if tag is None:
        raise Refused(422, "The labeling configuration has no Choices or Taxonomy tag whose toName is a Text tag.")
    source = str(texts[tag.get("toName")].get("value", ""))
    by_key: dict[str, list[int]] = {}
    for number, (own, name) in enumerate(zip(taxonomy.ids, taxonomy.names, strict=True)):
        for key in {own, name or own}:
            by_key.setdefault(key, []).append(number)
    paths: dict[int, list[tuple[str, ...]]] = {}
    ids: dict[tuple[str, ...], str] = {}
    nested = tag.tag == "Taxonomy"
    for path, label in _choices(tag, taxonomy, by_key, nested):
        if label is not None:
            paths.setdefault(label, []).append(path)
            ids[path] = taxonomy.ids[label]
        else:
            ids[path] = path[-1]
    if ids and not paths:
        raise Refused(
            422,
            f"None of the {len(ids):,} choices is a label of the model; give each Choice the id or name of a label as "
            "value or alias.",
        )
    if not ids:  # the choices are data of the tasks
        every = enumerate(taxonomy.ids)
        paths = {number: _from_the_top(taxonomy, number) if nested else [(own,)] for number, own in every}
    return Control(
        name=str(tag.get("name")),
        to_name=str(tag.get("toName")),
        kind=KINDS[str(tag.tag)],
        field=source.removeprefix("$"),
        multiple=nested or tag.get("choice") == "multiple",
        paths=paths,
        ids=ids,
    )


def _choices(
    tag: ElementTree.Element, taxonomy: Taxonomy, by_key: Mapping[str, list[int]], nested: bool
) -> Iterator[tuple[tuple[str, ...], int | None]]:
    """All choices below a tag: their path, and the label that each is."""
    waiting: list[tuple[ElementTree.Element, tuple[str, ...], int | None]] = [(tag, (), None)]
    while waiting:
        above, path, parent = waiting.pop()
        for choice in above:
            written = choice.get("alias") or choice.get("value")
            if choice.tag != "Choice" or not written:
                waiting.append((choice, path, parent))  # a View that groups choices
                continue
            keys = (choice.get("alias"), choice.get("value"))
            found = [label for key in keys if key for label in by_key.get(key, ())]
            below = [label for label in found if parent is not None and parent in taxonomy.parents(label).tolist()]
            label = next(iter(below or found), None)
            here = (*path, written) if nested else (written,)
            yield here, label
            if len(here) < DEEPEST:
                waiting.append((choice, here, label))


def _from_the_top(taxonomy: Taxonomy, label: int) -> list[tuple[str, ...]]:
    """One path of ids from a top-level label."""
    path = [label]
    while len(above := taxonomy.parents(path[-1])):
        path.append(int(above[0]))
    return [tuple(taxonomy.ids[one] for one in reversed(path))]
