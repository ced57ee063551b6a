"""Exports of annotation tools: Label Studio, doccano, Prodigy and spaCy.

Sources: https://labelstud.io/guide/export (JSON), https://doccano.github.io/doccano/ (JSONL),
https://prodi.gy/docs/api-interfaces (``choice``, ``classification``), https://spacy.io/api/data-formats (``cats``),
https://v2.spacy.io/api/annotation#json-input (``paragraphs``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from taxotext.data.formats.base import Item, Record, Request, with_labels
from taxotext.data.records import BadRecordError, kind, short
from taxotext.errors import DataError, nearest
from taxotext.messages import parameter

Objects = Iterable[tuple[str, Record | BadRecordError | None]]


@dataclass(frozen=True)
class Tool:
    """An annotation tool: how its objects are known, and the documents in them."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    records: Callable[[Request, Objects], Iterator[Item]]


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


def _label_studio(request: Request, objects: Objects) -> Iterator[Item]:
    """The tasks; controls that were named must be there, or all documents would be without labels."""
    controls: set[str] = set()
    yield from _each(partial(_of_label_studio, controls=controls))(request, objects)
    if not controls:
        return
    for name in request.columns.labels:
        if name != "labels" and name not in controls:
            raise DataError(
                f"{request.name}: no annotation is of the control {name!r}, only of "
                f"{', '.join(map(repr, sorted(controls)))}.{nearest(name, controls)} Name one with "
                f"{parameter('labels')}, or give {parameter('labels', 'labels')} for all of them"
            )


def _of_label_studio(request: Request, task: Record, controls: set[str]) -> Record | None:
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
    controls.update(str(name) for each in truth for name in _controls(each.get("result")))
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


def _controls(result: Any) -> Iterator[Any]:
    """The names of the controls of choices and taxonomies in one annotation."""
    for region in result or ():
        value = region.get("value") if isinstance(region, dict) else None
        if isinstance(value, dict) and ("choices" in value or "taxonomy" in value):
            yield region.get("from_name")


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
    return with_labels(request, record, value["label"], ("label",), "exports of doccano")


# spaCy


def _is_spacy(value: Mapping[str, Any]) -> bool:
    paragraphs = value.get("paragraphs")
    if isinstance(paragraphs, list):
        return any(isinstance(each, dict) and _is_paragraph(each) for each in paragraphs)
    cats = isinstance(value.get("cats"), dict) and "labels" not in value and "answer" not in value
    return cats or _is_paragraph(value)


def _is_paragraph(value: Mapping[str, Any]) -> bool:
    """Whether this is a paragraph of a training file of spaCy 2 with categories."""
    text = "raw" in value or isinstance(value.get("sentences"), list)
    return text and isinstance(value.get("cats"), (list, dict)) and "text" not in value


def _spacy(request: Request, objects: Objects) -> Iterator[Item]:
    """Texts with ``cats``, or documents of which each paragraph is a text (spaCy 2)."""
    for place, value in objects:
        if not isinstance(value, dict):
            yield place, value
        elif isinstance(value.get("paragraphs"), list):
            number = value.get("id")
            several = len(value["paragraphs"]) > 1
            for count, paragraph in enumerate(value["paragraphs"], 1):
                where = f"{place}, paragraph {count}" if several else place
                named = {} if number is None else {"id": f"{number}.{count}" if several else number}
                yield where, _of_paragraph(request, paragraph, named)
        elif _is_paragraph(value):
            yield place, _of_paragraph(request, value, {"id": value["id"]} if "id" in value else {})
        else:
            kept = {name: field for name, field in value.items() if name != "cats"}
            yield place, with_labels(request, kept, value.get("cats"), ("cats",), "exports of spaCy")


def _of_paragraph(request: Request, value: Any, named: Record) -> Record | BadRecordError:
    if not isinstance(value, dict):
        return BadRecordError(f"a paragraph must be a JSON object, found {kind(value)}: {short(value)}")
    if "cats" not in value:
        return BadRecordError("a paragraph has no 'cats'; leave it out, or give it [] if it has no label")
    text = value.get("raw")
    if text is None:
        text = " ".join(_sentence(each) for each in value.get("sentences") or ())
    cats = value["cats"]
    if isinstance(cats, list):
        if not all(isinstance(each, dict) and "label" in each and "value" in each for each in cats):
            return BadRecordError(f"'cats' must be a list of labels with values, found {short(cats)}")
        cats = {each["label"]: each["value"] for each in cats}
    field = request.columns.text[0]
    request.note_field("text", ("raw",), "paragraphs of spaCy")
    record = {**named, field: text}
    return with_labels(request, record, cats, ("cats",), "exports of spaCy")


def _sentence(value: Any) -> str:
    """The words of a sentence with blanks between them: the file does not say where there were none."""
    tokens = value.get("tokens") if isinstance(value, dict) else None
    return " ".join(str(token.get("orth", "")) for token in tokens or () if isinstance(token, dict))


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
    hidden = {name for name in value if name.startswith("_")} - {request.columns.id}
    kept = {name: field for name, field in value.items() if name not in own and name not in hidden}
    return with_labels(request, kept, labels, ("accept", "label"), "exports of Prodigy")


TOOLS = (
    Tool("label-studio", _is_label_studio, _label_studio),
    Tool("doccano", _is_doccano, _each(_of_doccano)),
    Tool("spacy", _is_spacy, _spacy),
    Tool("prodigy", _is_prodigy, _prodigy),
)
