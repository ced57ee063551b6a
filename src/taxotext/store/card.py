"""The model card: README.md of a model folder, written from facts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from taxotext import __version__

if TYPE_CHECKING:
    from taxotext.composition.base import System
    from taxotext.store.manifest import Manifest

SHOWN_METRICS = (
    "micro_f1",
    "macro_f1",
    "macro_f1_seen",
    "set_accuracy",
    "hierarchical_micro_f1",
    "violation_rate",
    "p@1",
    "p@5",
    "ndcg@5",
)
SHOWN_LABELS = 60
TASK = {"type": "text-classification", "name": "Multi-label text classification"}
HUB_METRICS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "micro_f1": ("f1", {"average": "micro"}),
    "macro_f1": ("f1", {"average": "macro"}),
    "set_accuracy": ("accuracy", None),
}
"""Metrics that are metrics of the hub; the others go there under our names."""


def model_card(
    title: str, system: System, manifest: Manifest, *, hub_name: str | None = None, revision: str | None = None
) -> str:
    """Return the card as Markdown, with the metadata that the hub reads at its head.

    Args:
        title: name of the model.
        system: fitted.
        manifest: facts and metrics.
        hub_name: ``owner/name`` of a model on the hub; None: a folder.
        revision: its branch there, when it is not main.
    """
    import yaml

    taxonomy = system.taxonomy
    place = f', revision="{revision}"' if revision is not None else ""
    lines = [
        "---",
        yaml.safe_dump(
            _metadata(title, system, manifest), sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000
        ).rstrip(),
        "---",
        "",
        f"# {title.strip('.')}",
        "",
        f"A `{system.name}` model of Taxotext {__version__}: texts to sets of {len(taxonomy)} labels"
        + (f" in a taxonomy of depth {taxonomy.depth}." if not taxonomy.is_flat else " (a flat label set)."),
        "",
        "```python",
        "import taxotext",
        'model = taxotext.load("path/of/this/folder")'
        if hub_name is None
        else f'model = taxotext.Classifier.from_pretrained("{hub_name}"{place})',
        'model.predict(["a text"])',
        "```",
        "",
        "## Facts",
        "",
        *_table(("fact", "value"), [*_facts(manifest), *_members(system)]),
        "",
        "## Decoding",
        "",
        *_decoding(system, manifest),
        "",
        "## Scores",
        "",
        *_scores(manifest.metrics),
        "",
        "## Labels",
        "",
    ]
    shown = zip(taxonomy.ids[:SHOWN_LABELS], taxonomy.names, manifest.seen, strict=False)
    rows = [(_cell(label), _cell(name or ""), str(count)) for label, name, count in shown]
    lines += _table(("id", "name", "training documents"), rows)
    further = min(len(taxonomy), len(manifest.seen)) - SHOWN_LABELS
    if further > 0:
        lines += ["", f"... and {further} more in taxonomy.json."]
    return "\n".join(lines) + "\n"


def _metadata(title: str, system: System, manifest: Manifest) -> dict[str, Any]:
    """What the hub filters and shows models by."""
    structure = [] if system.taxonomy.is_flat else ["hierarchical-classification"]
    values: dict[str, Any] = {
        "library_name": "taxotext",
        "pipeline_tag": TASK["type"],
        "tags": ["multi-label-classification", *structure, system.name],
    }
    results = [
        {
            "task": dict(TASK),
            # The hub has data sets by name; a file is told from another one by its fingerprint.
            "dataset": {
                "type": "unknown",
                "name": source,
                "revision": str(metrics.get("data_fingerprint", "unknown"))[:16],
            },
            "metrics": list(_hub_metrics(metrics)),
        }
        for source, metrics in manifest.metrics.get("evaluations", {}).items()
    ]
    if results:
        values["model-index"] = [{"name": title, "results": results}]
    return values


def _hub_metrics(metrics: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in SHOWN_METRICS:
        value = metrics.get(name)
        if value is None or not math.isfinite(value):
            continue
        kind, arguments = HUB_METRICS.get(name, (name, None))
        entry = {"type": kind, "name": name, "value": round(float(value), 4)}
        yield entry if arguments is None else {**entry, "args": dict(arguments)}


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    facts = {**manifest.trained_on, **manifest.facts, "matrix_columns": None}  # the labels, which come below
    return [(key.replace("_", " "), _cell(value)) for key, value in facts.items() if value is not None]


def _members(system: System) -> list[tuple[str, str]]:
    names = [member.name for member in system.members]
    return [("members", _cell(", ".join(names)))] if names else []


def _decoding(system: System, manifest: Manifest) -> list[str]:
    decoding = manifest.decoding
    if decoding.source == "system" or (decoding.source == "auto" and system.decides(system.settings)):
        return ["The system decides the label sets itself.", f"Consistency: {decoding.consistency}."]
    if decoding.tuned_on:
        origin = f"Tuned for {decoding.metric} on: {decoding.tuned_on}."
    else:
        origin = "Not tuned: the default threshold. `taxotext tune` finds better ones."
    if decoding.source == "expected_f1":
        decided = "Documents get the closed label set of greatest expected hierarchical F1"
        return [origin, f"{decided}; consistency: {decoding.consistency}."]
    own = len(decoding.label_thresholds)
    rules = f"Threshold {decoding.threshold}; {own} labels have their own; consistency: {decoding.consistency}."
    if decoding.calibration != "none":
        rules += f" Probabilities are calibrated: {decoding.calibration}, {decoding.calibration_by}."
    return [origin, rules]


def _scores(metrics: dict[str, Any]) -> list[str]:
    evaluations: dict[str, dict[str, Any]] = metrics.get("evaluations", {})
    if not evaluations:
        selected = metrics.get("selected")
        return [f"Kept {selected}." if selected else "Not evaluated yet: `taxotext evaluate` adds its metrics here."]
    shown = [name for name in SHOWN_METRICS if any(name in found for found in evaluations.values())]
    rows = [
        (_cell(source), *(f"{found[name]:.4f}" if name in found else "" for name in shown))
        for source, found in evaluations.items()
    ]
    return _table(("data", *shown), rows)


def _table(head: tuple[str, ...], rows: list[Any]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
