"""Exports of annotation tools: Label Studio, doccano, Prodigy and spaCy.

Sources: https://labelstud.io/guide/export (JSON), https://doccano.github.io/doccano/ (JSONL),
https://prodi.gy/docs/api-interfaces (``choice``, ``classification``), https://spacy.io/api/data-formats (``cats``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taxotext.data.formats.base import Item, Record, Request, json_object
from taxotext.data.records import BadRecordError, kind, short

Objects = Iterable[tuple[str, Record | BadRecordError | None]]


@dataclass(frozen=True)
class Tool:
    """An annotation tool: how its objects are known, and the documents in them."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    records: Callable[[Request, Objects], Iterator[Item]]

    def of_line(self, line: bytes) -> bool:
        """Whether a line is one of its objects."""
        try:
            return self.recognises(json_object(line))
        except BadRecordError:
            return False


def _each(make: Callable[[Request, Record], Record | None]) -> Callable[[Request, Objects], Iterator[Item]]:
    """One document an object; ``make`` gives None where it is left out (and counts it)."""

    def records(request: Request, objects: Objects) -> Iterator[Item]:
        for place, value in objects:
            if not isinstance(value, dict):
                yield place, value
                continue
            try:
                record = make(request, value)
            except BadRecordError as reason:
                yield place, reason
                continue
            if record is not None:
                yield place, record

    return records


def _ignore(request: Request, reason: str) -> None:
    ignored = request.report.ignored
    ignored[reason] = ignored.get(reason, 0) + 1


# Label Studio


def _is_label_studio(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("data"), dict) and isinstance(value.get("annotations", value.get("completions")), list)


def _of_label_studio(request: Request, task: Record) -> Record | None:
    """The fields of ``data``, and the choices or taxonomy paths of the annotations.

    Annotations that were skipped do not count. A ground truth is preferred; of several annotations those labels are
    taken that more than half of them give.
    """
    given = task.get("annotations", task.get("completions")) or ()
    whole = [each for each in given if isinstance(each, dict) and not each.get("was_cancelled")]
    if not whole:
        _ignore(request, "no annotation, or only skipped ones")
        return None
    truth = [each for each in whole if each.get("ground_truth")][:1] or whole
    record = dict(task["data"])
    differ = False
    for field in request.columns.labels:
        sets = [_choices(each.get("result"), None if field == "labels" else field) for each in truth]
        votes = Counter(label for labels in sets for label in labels)
        differ = differ or len({frozenset(labels) for labels in sets}) > 1
        record[field] = [label for label, count in votes.items() if 2 * count > len(truth)]
    request.report.differing_annotations += differ
    if "id" in task and request.columns.id_field is not None:
        record.setdefault(request.columns.id_field, task["id"])
    return record


def _choices(result: Any, control: str | None) -> list[str]:
    """The labels of one annotation: of the control with this name (``from_name``), or of all (None)."""
    found: list[str] = []
    for region in result or ():
        if not isinstance(region, dict) or control not in (None, region.get("from_name")):
            continue
        value = region.get("value")
        if isinstance(value, dict):
            found += [str(choice) for choice in value.get("choices") or ()]
            found += ["/".join(map(str, path)) for path in value.get("taxonomy") or ()]
    return list(dict.fromkeys(found))


# doccano


def _is_doccano(value: Mapping[str, Any]) -> bool:
    labels = isinstance(value.get("label"), list) and "labels" not in value
    return labels and "text" in value and bool({"Comments", "comments", "annotation_approver", "meta"} & set(value))


def _of_doccano(request: Request, value: Record) -> Record:
    if any(isinstance(label, list) for label in value["label"]):
        raise BadRecordError(
            "the labels are spans of a sequence labelling project; export a text classification project"
        )
    record = {name: field for name, field in value.items() if name not in ("label", "Comments", "comments")}
    return {**record, request.columns.label_field: value["label"]}


# spaCy


def _is_spacy(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("cats"), dict) and "labels" not in value and "answer" not in value


def _of_spacy(request: Request, value: Record) -> Record:
    cats = value.pop("cats")
    return {**value, request.columns.label_field: cats}


# Prodigy

_ANSWERS = ("accept", "reject", "ignore")


def _is_prodigy(value: Mapping[str, Any]) -> bool:
    return value.get("answer") in _ANSWERS and ("accept" in value or "label" in value) and "text" in value


def _prodigy(request: Request, objects: Objects) -> Iterator[Item]:
    """Choices (``accept``), one document an object; or yes and no for one label, the answers for a text joined."""
    joined: dict[Any, tuple[str, Record]] = {}
    for place, value in objects:
        if not isinstance(value, dict):
            yield place, value
            continue
        answer = value.get("answer")
        if answer not in _ANSWERS:
            reason = f"the field 'answer' must be one of {', '.join(_ANSWERS)}, found {short(answer)}"
            yield place, BadRecordError(reason)
        elif answer == "ignore" or (answer == "reject" and "accept" in value):
            _ignore(request, f"'answer' is '{answer}'")
        elif "accept" in value:
            yield place, _with(request, value, value["accept"])
        elif isinstance(value.get("label"), str):
            key = value.get("_input_hash", value.get("text"))
            if key not in joined:
                joined[key] = place, _with(request, value, [])
            if answer == "accept":
                joined[key][1][request.columns.label_field].append(value["label"])
        else:
            yield place, BadRecordError(f"the field 'label' must be a string, found {kind(value.get('label'))}")
    yield from joined.values()


def _with(request: Request, value: Record, labels: Any) -> Record:
    own = ("accept", "answer", "label", "options", "config")
    kept = {name: field for name, field in value.items() if name not in own and not name.startswith("_")}
    return {**kept, request.columns.label_field: labels}


TOOLS = (
    Tool("label-studio", _is_label_studio, _each(_of_label_studio)),
    Tool("doccano", _is_doccano, _each(_of_doccano)),
    Tool("spacy", _is_spacy, _each(_of_spacy)),
    Tool("prodigy", _is_prodigy, _prodigy),
)
