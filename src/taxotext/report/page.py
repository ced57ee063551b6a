"""The report as one HTML file: what matters first, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from taxotext import __version__
from taxotext.charts.chart import Chart
from taxotext.charts.curves import Curve, curves
from taxotext.charts.html import document, table
from taxotext.errors import TaxotextError
from taxotext.explain import page as explained
from taxotext.explain.explanation import Explanation
from taxotext.explain.label_map import chart, map_labels, short_name
from taxotext.messages import counted
from taxotext.report.findings import (
    Confusion,
    ThresholdCurves,
    WorstDocument,
    sibling_confusion,
    threshold_curves,
)
from taxotext.report.measured import Measured

SHOWN = {
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "samples_f1": "samples-F1",
    "set_accuracy": "set accuracy",
    "hierarchical_micro_f1": "hierarchical micro-F1",
    "p@1": "P@1",
    "micro_average_precision": "average precision",
    "ece": "calibration error",
}
"""Metrics of the summary, by key."""
LEARNED = ("micro_f1", "macro_f1", "set_accuracy")
LABELS_SHOWN, CONFUSIONS = 25, 25
"""Rows of tables that are shown at once; the others are folded away."""
MOST_LABELS = 2000
"""Labels of a table."""
LETTERS = 1500
"""Letters of a text that is shown without being explained."""
STYLE = (
    explained.STYLE
    + """
.bar { display: inline-block; width: 6rem; height: .7em; background: var(--line); border-radius: 2px; overflow: hidden;
  vertical-align: baseline; margin-right: .5rem; }
.value { display: inline-block; min-width: 2.6em; }
.bar > i { display: block; height: 100%; background: var(--c0); }
nav { font-size: .92rem; margin: .6rem 0 1rem; } nav a { margin-right: 1rem; }
a { color: var(--c0); } details > summary { cursor: pointer; color: var(--soft); margin: .4rem 0; }
.document { border-top: 1px solid var(--line); margin-top: 1rem; padding-top: .6rem; overflow-wrap: anywhere; }
.miss { color: var(--c1); } .hit { color: var(--c2); }
.map { max-width: 46rem; }
"""
)


def page(
    models: Sequence[Measured],
    worst: Sequence[Sequence[WorstDocument]],
    explanations: Sequence[dict[int, Explanation]],
) -> str:
    """Return the page.

    Args:
        models: at least one.
        worst: of each model the documents that are shown.
        explanations: of each model: row of a document to its explanation.
    """
    title = f"Report on {models[0].name}" if len(models) == 1 else f"Report on {len(models)} models"
    body = [f"<h1>{escape(title)}</h1>", *_summary(models)]
    if len(models) > 1:
        links = (f'<a href="#model-{number}">{escape(one.name)}</a>' for number, one in enumerate(models))
        body.append(f"<nav>{''.join(links)}</nav>")
        body += _together(models)
    for number, one in enumerate(models):
        if len(models) > 1:
            body.append(f'<h1 id="model-{number}">{escape(one.name)}</h1>')
        body += _model(one, worst[number], explanations[number])
    body.append(f'<p class="soft">Written by Taxotext {escape(__version__)}.</p>')
    return document(title, body, STYLE)


# -- the summary -----------------------------------------------------------------------------------------------------


def _summary(models: Sequence[Measured]) -> list[str]:
    flat = all(one.classifier.taxonomy.is_flat for one in models)
    shown = [key for key in SHOWN if not (flat and key.startswith("hierarchical"))]
    keys = [key for key in shown if any(key in one.metrics for one in models)]
    rows = []
    for one in models:
        values = (f"{100 * one.metrics[key]:.1f}" if key in one.metrics else "" for key in keys)
        rows.append((one.name, one.classifier.system.name, *values))
    parts = [table(("model", "system", *(f"{SHOWN[key]}, %" for key in keys)), rows)]
    for one in models:
        name = f"<strong>{escape(one.name)}</strong>: " if len(models) > 1 else ""
        parts.append(f"<p>{name}{escape(' '.join(_sentences(one)))}</p>")
    return parts


def _sentences(one: Measured) -> list[str]:
    """What a reader should know first."""
    labels, support = one.per_label, one.per_label["support"]
    sentences = [f"Measured on {counted(len(one), 'document')} of {one.source}, with {len(labels):,} labels."]
    tuned, system = one.classifier.decoding.tuned_on, one.classifier.system
    if one.held_out:
        sentences.append("They are held out of the training; the folder keeps their scores, not their texts.")
        if tuned is not None:
            sentences.append("Thresholds were tuned on them, so the metrics are somewhat optimistic.")
    elif tuned is None and one.classifier.decoding.source != "system" and not system.decides(system.settings):
        sentences.append("Thresholds are not tuned; the command tune finds better ones.")
    hits = one.gold.multiply(one.predicted).tocsr()
    incomplete = int((np.diff(one.gold.indptr) != np.diff(hits.indptr)).sum())
    sentences.append(f"Labels are missed in {counted(incomplete, 'document')}.")
    never = int(((support > 0) & (labels["predicted"] == 0)).sum())
    if never:
        are = "is" if never == 1 else "are"
        sentences.append(f"{counted(never, 'label')} with gold documents {are} never predicted.")
    lost = (support - np.round(labels["recall"] * support)).astype(np.int64)
    order = [label for label in np.argsort(-lost, kind="stable")[:3].tolist() if lost[label]]
    named = (f"{one.label_name(label)} ({lost[label]:,} of {support[label]:,})" for label in order)
    if order:
        sentences.append(f"Missed most often: {', '.join(named)}.")
    if one.cut_texts:
        are = "is" if one.cut_texts == 1 else "are"
        sentences.append(f"{counted(one.cut_texts, 'text')} {are} longer than is read.")
    return sentences


def _together(models: Sequence[Measured]) -> list[str]:
    """Curves of all models in one chart each."""
    found = [(number, one, threshold_curves(one.scores, one.gold)) for number, one in enumerate(models)]
    charts = [
        curves(
            "Precision and recall of all pairs",
            [Curve(one.name, own.recalls.tolist(), own.precisions.tolist(), number) for number, one, own in found],
            "recall",
            "precision",
        ),
        curves(
            "Micro-F1 at one threshold for all labels",
            [Curve(one.name, own.thresholds.tolist(), own.micro_f1.tolist(), number) for number, one, own in found],
            "threshold",
            "micro-F1",
        ),
    ]
    histories = [(one.name, _history(one)) for one in models]
    learned = [chart for name in LEARNED if (chart := learning_speed(histories, name)) is not None]
    return [_charts([*learned[:2], *charts])]


def learning_speed(histories: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], metric: str) -> Chart | None:
    """One metric of the validation documents after each epoch, a curve a model; None where fewer than two have some.

    Args:
        histories: name of a model and a row for each of its epochs.
        metric: a key of :data:`SHOWN`.
    """
    found = []
    for number, (name, history) in enumerate(histories):
        if len(history) > 1 and all(isinstance(row.get(metric), float) for row in history):
            epochs, values = [row["epoch"] for row in history], [row[metric] for row in history]
            found.append(Curve(name, epochs, values, number))
    if len(found) < 2:
        return None
    return curves(f"Learning: {SHOWN[metric]} of validation documents", found, "epoch", SHOWN[metric], whole=False)


def _history(one: Measured) -> list[dict[str, Any]]:
    rows = one.classifier.manifest.metrics.get("history") or []
    return [row for row in rows if isinstance(row.get("epoch"), int)]


def _charts(charts: Sequence[Any]) -> str:
    inside = "".join(f"<div>{one.svg()}</div>" for one in charts)
    return f'<div class="charts">{inside}</div>' if inside else ""


# -- one model -------------------------------------------------------------------------------------------------------


def _model(one: Measured, worst: Sequence[WorstDocument], explanations: dict[int, Explanation]) -> list[str]:
    own = threshold_curves(one.scores, one.gold)
    body = ["<h2>Learning, thresholds, calibration</h2>", _charts([*_learning(one), *_curves(one, own)])]
    body += _levels(one)
    body += _labels(one)
    body += _confusions(one)
    body += _worst(one, worst, explanations)
    body += _map(one)
    body += _costs(one)
    return body


def _learning(one: Measured) -> list[Any]:
    history = _history(one)
    if len(history) < 2:
        return []
    found = []
    scores = [
        Curve(SHOWN[name], [row["epoch"] for row in history], [row[name] for row in history], number)
        for number, name in enumerate(LEARNED)
        if all(isinstance(row.get(name), float) for row in history)
    ]
    if scores:
        found.append(curves("Learning: scores of validation documents", scores, "epoch", "score", whole=False))
    losses = [row.get("loss") for row in history]
    if all(isinstance(loss, float) for loss in losses):
        epochs = [row["epoch"] for row in history]
        loss = Curve("loss", epochs, [float(loss) for loss in losses if loss is not None], 1)
        found.append(curves("Learning: loss in training", [loss], "epoch", "loss", whole=False))
    return found


def _curves(one: Measured, own: ThresholdCurves) -> list[Any]:
    decoding = one.classifier.decoding
    found = [
        curves(
            "Precision and recall of all pairs",
            [Curve("precision", own.recalls.tolist(), own.precisions.tolist(), 0)],
            "recall",
            "precision",
        ),
        curves(
            "One threshold for all labels",
            [
                Curve(name, own.thresholds.tolist(), values.tolist(), number)
                for number, (name, values) in enumerate(
                    (
                        ("micro-F1", own.micro_f1),
                        ("macro-F1", own.macro_f1),
                        ("precision", own.precision),
                        ("recall", own.recall),
                    )
                )
            ],
            "threshold",
            "score",
            at=decoding.threshold,
        ),
    ]
    if one.reliability is not None:
        bins = one.reliability[one.reliability["pairs"] > 0]
        reliable = Curve("share of gold labels", bins["probability"].tolist(), bins["gold"].tolist(), 0)
        found.append(
            curves("Reliability of probabilities", [reliable], "predicted probability", "share of gold", diagonal=True)
        )
    return found


def _bar(share: float) -> str:
    return (
        f'<span class="bar"><i style="width:{100 * share:.0f}%"></i></span><span class="value">{100 * share:.1f}</span>'
    )


def _levels(one: Measured) -> list[str]:
    if one.per_level is None:
        return []
    rows = [
        (
            f"level {row['level']}" if row["level"] else "unknown to the model",
            _bar(row["micro_f1"]),
            _bar(row["macro_f1"]),
            f"{row['labels']:,}",
            f"{row['support']:,}",
            f"{row['predicted']:,}",
        )
        for row in one.per_level
        if row["labels"]
    ]
    head = ("level", "micro-F1, %", "macro-F1, %", "labels", "gold", "predicted")
    return ["<h2>Levels</h2>", _bars(head, rows)]


def _labels(one: Measured) -> list[str]:
    levels = one.classifier.taxonomy.levels
    flat = one.classifier.taxonomy.is_flat
    order = np.argsort(-one.per_label["support"], kind="stable")
    rows = []
    for label in order[:MOST_LABELS].tolist():
        row = one.per_label[label]
        level = () if flat else (str(int(levels[label])) if label < len(levels) else "",)
        rows.append(
            (
                one.label_name(label),
                _bar(row["f1"]),
                f"{100 * row['precision']:.1f}",
                f"{100 * row['recall']:.1f}",
                f"{row['support']:,}",
                f"{row['predicted']:,}",
                *level,
            )
        )
    head = ("label", "F1, %", "precision, %", "recall, %", "gold", "predicted", *(() if flat else ("level",)))
    body = ["<h2>Labels</h2>", _bars(head, rows[:LABELS_SHOWN])]
    if len(rows) > LABELS_SHOWN:
        more = _bars(head, rows[LABELS_SHOWN:])
        body.append(f"<details><summary>{len(rows) - LABELS_SHOWN:,} more labels</summary>{more}</details>")
    if len(order) > MOST_LABELS:
        body.append(f'<p class="soft">The {MOST_LABELS:,} most frequent of {len(order):,} labels.</p>')
    return body


def _bars(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells with bars are HTML already, and whose other cells are texts."""
    names = "".join(f"<th{_number_class(place)}>{escape(name)}</th>" for place, name in enumerate(head))
    lines = []
    for row in rows:
        cells = (
            f"<td{_number_class(place)}>{cell if cell.startswith('<span class=') else escape(cell)}</td>"
            for place, cell in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _number_class(place: int) -> str:
    return ' class="n"' if place else ""


def _confusions(one: Measured) -> list[str]:
    taxonomy = one.classifier.taxonomy
    found = sibling_confusion(one.gold, one.predicted, taxonomy)
    if not found:
        return []
    title = "Confusion of labels" if taxonomy.is_flat else "Confusion among siblings"
    where = "other labels" if taxonomy.is_flat else "labels below the same parent"
    body = [
        f"<h2>{title}</h2>",
        f'<p class="soft">Labels that were missed, and which {where} were wrongly predicted in the same documents.</p>',
    ]
    groups: dict[int | None, list[Confusion]] = {}
    for confusion in found:
        groups.setdefault(confusion.parent, []).append(confusion)
    order = sorted(groups, key=lambda parent: -sum(confusion.times for confusion in groups[parent]))
    head = ("missed", "times", "predicted in its place", "nothing in its place")
    folded: list[str] = []
    room = CONFUSIONS
    for parent in order:
        rows = [_confusion(one, confusion) for confusion in groups[parent]]
        heading = "At the top level" if parent is None else f"Below {taxonomy.name(parent)}"
        heading = "" if taxonomy.is_flat else heading
        if room:
            body.append(table(head, rows[:room], heading))
        if rows[room:]:
            folded.append(table(head, rows[room:], heading))
        room = max(room - len(rows), 0)
    if folded:
        count = sum(map(len, groups.values())) - CONFUSIONS
        body.append(f"<details><summary>{count:,} more</summary>{''.join(folded)}</details>")
    return body


def _confusion(one: Measured, confusion: Confusion) -> tuple[str, ...]:
    taxonomy = one.classifier.taxonomy
    instead = ", ".join(f"{short_name(taxonomy, label)} ({times:,})" for label, times in confusion.instead)
    times = f"{confusion.times:,} of {confusion.support:,}"
    return short_name(taxonomy, confusion.missed), times, instead or "–", f"{confusion.nothing:,}"


def _worst(one: Measured, worst: Sequence[WorstDocument], explanations: dict[int, Explanation]) -> list[str]:
    if not worst:
        return []
    body = [
        "<h2>Worst documents</h2>",
        '<p class="soft">Those that the model is most sure about, and wrong. '
        '<span class="miss">Missed</span> labels are gold and not predicted, <span class="miss">wrong</span> ones are '
        "predicted and not gold; with the score of each.</p>",
    ]
    if one.texts is None:
        body.append('<p class="soft">The folder keeps no texts; --corpus FILE shows them and explains some.</p>')
    for found in worst:
        name = None if one.ids is None else one.ids[found.row]
        place = f"document {found.row + 1:,}" if name is None else f"document {name}"
        body.append(f'<div class="document"><h3>{escape(place[:1].upper() + place[1:])}</h3><p>')
        parts = (("hit", "right", found.right), ("miss", "missed", found.missed), ("miss", "wrong", found.wrong))
        for kind, word, labels in parts:
            named = ", ".join(f"{one.label_name(label)} {_score(one, found.row, label)}".rstrip() for label in labels)
            if labels:
                body.append(f'<span class="{kind}">{word}:</span> {escape(named)}<br>')
        body.append("</p>")
        own = explanations.get(found.row)
        if own is not None:
            body += explained.sections(own, own.labels)
        elif one.texts is not None:
            text = one.texts[found.row]
            cut = text if len(text) <= LETTERS else text[:LETTERS] + " …"
            body.append(f'<details><summary>Text</summary><div class="text">{escape(cut)}</div></details>')
        body.append("</div>")
    return body


def _score(one: Measured, row: int, label: int) -> str:
    return f"{float(one.scores[row, label]):.2f}" if label < one.scores.shape[1] else ""


def _map(one: Measured) -> list[str]:
    classifier = one.classifier
    try:
        found = map_labels(classifier.system, classifier.manifest.seen, method="tsne")
    except TaxotextError:  # it has no vectors of labels
        return []
    drawn = chart(found, classifier.system)
    return [
        "<h2>Map of the labels</h2>",
        '<p class="soft">Labels with similar vectors lie near each other; the command labels lists the nearest. '
        "The pointer over a point shows its name.</p>",
        f'<div class="map">{drawn.svg()}</div>',
    ]


def _costs(one: Measured) -> list[str]:
    manifest = one.classifier.manifest
    facts = manifest.facts
    rows = [("parameters", f"{facts['parameters']:,}")] if isinstance(facts.get("parameters"), int) else []
    if isinstance(facts.get("seconds"), (int, float)):
        rows.append(("training, s", f"{facts['seconds']:,.1f}"))
    documents = manifest.trained_on.get("training_documents")
    if documents:
        rows.append(("training documents", f"{documents:,}"))
    rows.append(("model folder, MB", f"{one.folder_bytes / 1e6:,.1f}"))
    if one.seconds:
        rows.append(("prediction here, documents/s", f"{len(one) / one.seconds:,.1f}"))
    if one.cut_texts is not None:
        rows.append(("texts longer than is read", f"{one.cut_texts:,}"))
    return ["<h2>Costs</h2>", table(("", ""), rows)]
