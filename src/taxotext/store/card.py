"""The model card: README.md of a model folder, written from facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxotext import __version__

if TYPE_CHECKING:
    from taxotext.models.base import System
    from taxotext.store.folder import Manifest

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


def model_card(title: str, system: System, manifest: Manifest) -> str:
    """Return the card as Markdown."""
    taxonomy = system.taxonomy
    lines = [
        "---",
        "library_name: taxotext",
        "tags: [text-classification, multi-label-classification]",
        "---",
        "",
        f"# {title.strip('.')}",
        "",
        f"A `{system.name}` model of Taxotext {__version__}: texts to sets of {len(taxonomy)} labels"
        + (f" in a taxonomy of depth {taxonomy.depth}." if not taxonomy.is_flat else " (a flat label set)."),
        "",
        "```python",
        "import taxotext",
        'model = taxotext.load("path/of/this/folder")',
        'model.predict(["a text"])',
        "```",
        "",
        "## Facts",
        "",
        *_table(("fact", "value"), _facts(manifest)),
        "",
        "## Decoding",
        "",
        *_decoding(manifest),
        "",
        "## Scores",
        "",
        *_scores(manifest.metrics),
        "",
        "## Labels",
        "",
    ]
    rows = [
        (_cell(label), _cell(taxonomy.names[index] or ""), str(count))
        for index, (label, count) in enumerate(zip(taxonomy.ids, manifest.seen, strict=False))
    ]
    lines += _table(("id", "name", "training documents"), rows[:SHOWN_LABELS])
    if len(rows) > SHOWN_LABELS:
        lines += ["", f"... and {len(rows) - SHOWN_LABELS} more in taxonomy.json."]
    return "\n".join(lines) + "\n"


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    facts = {**manifest.trained_on, **manifest.facts}
    return [(key.replace("_", " "), _cell(value)) for key, value in facts.items() if value is not None]


def _decoding(manifest: Manifest) -> list[str]:
    decoding = manifest.decoding
    if decoding.tuned_on:
        origin = f"Tuned for {decoding.metric} on: {decoding.tuned_on}."
    else:
        origin = "Not tuned: the default threshold. `taxotext tune` finds better ones."
    own = len(decoding.label_thresholds)
    rules = f"Threshold {decoding.threshold}; {own} labels have their own; consistency: {decoding.consistency}."
    if decoding.calibration != "none":
        rules += f" Probabilities are calibrated: {decoding.calibration}, {decoding.calibration_by}."
    return [origin, rules]


def _scores(metrics: dict[str, Any]) -> list[str]:
    evaluations: dict[str, dict[str, Any]] = metrics.get("evaluations", {})
    if not evaluations:
        selected = metrics.get("selected")
        return [f"Kept {selected}." if selected else "Not evaluated yet: `taxotext evaluate` adds its figures here."]
    shown = [name for name in SHOWN_METRICS if any(name in figures for figures in evaluations.values())]
    rows = [
        (_cell(source), *(f"{figures[name]:.4f}" if name in figures else "" for name in shown))
        for source, figures in evaluations.items()
    ]
    return _table(("data", *shown), rows)


def _table(head: tuple[str, ...], rows: list[Any]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
