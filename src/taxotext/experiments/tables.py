"""The table of an experiment as Markdown and CSV; :mod:`taxotext.experiments.page` makes it a web page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxotext.experiments.summary import COSTS

MARK = "†"


@dataclass(frozen=True)
class Table:
    """A table for people: texts, the first column to the left."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def csv_table(summary: Mapping[str, Any]) -> str:
    """One line for each corpus and system, published ones included; metrics are fractions."""
    compared = sorted({name for _, row in _rows(summary) for name in row["against_baseline"] or {}})
    head = [
        *("corpus", "system", "model", "kind", "seeds"),
        *(f"{name}_{part}" for name in [*summary["metrics"], *COSTS] for part in ("mean", "sd")),
        *(f"{name}_{part}" for name in compared for part in ("difference", "low", "high", "p_value", "p_adjusted")),
        *("source", "split"),
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, head, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for corpus in summary["corpora"]:
        for row in corpus["rows"]:
            found = {**row["metrics"], **row["costs"]}
            cells = {
                f"{name}_{part}": value for name, spread in found.items() for part, value in (spread or {}).items()
            }
            for name, difference in (row["against_baseline"] or {}).items():
                cells |= {f"{name}_{part}": value for part, value in difference.items()}
            cells |= {name: row[name] for name in ("system", "model")}
            seeds = " ".join(map(str, row["seeds"]))
            writer.writerow(
                {**cells, "corpus": corpus["name"], "kind": "measured", "seeds": seeds, "split": corpus["split"]}
            )
        for one in corpus["published"]:
            cells = {f"{name}_mean": value for name, value in one["metrics"].items()}
            cells |= {name: one[name] for name in ("system", "source", "split")}
            writer.writerow({**cells, "corpus": corpus["name"], "kind": "published"})
    return text.getvalue()


def markdown(summary: Mapping[str, Any]) -> str:
    """The tables of every corpus with what they mean."""
    parts = [f"# {summary['name']}"]
    if summary["description"]:
        parts.append(summary["description"])
    for corpus in summary["corpora"]:
        parts.append(f"## {corpus['name']}")
        parts.append(facts_of(corpus))
        for table in tables_of(corpus, summary):
            parts.append(f"{table.title}\n\n{_markdown_table(table)}" if table.title else _markdown_table(table))
    parts.append("## How it was measured")
    parts.append("\n".join(f"* {sentence}" for sentence in notes_of(summary)))
    return "\n\n".join(parts) + "\n"


def tables_of(corpus: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of one corpus: metrics, costs, differences, published metrics."""
    rows = corpus["rows"]
    head = ("system", "seeds", *(f"{name} %" for name in summary["metrics"]))
    yield Table(
        "",
        head,
        tuple(
            (row["system"], str(len(row["seeds"])), *(_metric(row, name) for name in summary["metrics"]))
            for row in rows
        ),
    )
    costs = [name for name in COSTS if any(row["costs"].get(name) for row in rows)]
    yield Table(
        "Costs",
        ("system", *(COSTS[name][0] for name in costs)),
        tuple((row["system"], *(_cost(row["costs"].get(name), COSTS[name][1]) for name in costs)) for row in rows),
    )
    compared = [row for row in rows if row["against_baseline"]]
    if compared:
        level = summary["significance"]["confidence"]
        yield Table(
            f"Differences to {summary['baseline']}, in points",
            ("system", "metric", "difference", f"{100 * level:g} % interval", "p", "p (Holm)"),
            tuple(
                (row["system"], name, *_difference(found))
                for row in compared
                for name, found in row["against_baseline"].items()
            ),
        )
    if corpus["published"]:
        yield _published(corpus["published"])


def _published(published: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each system of somebody else, and below it what was measured here of the same one."""
    names = list(dict.fromkeys(name for one in published for name in one["metrics"]))
    lines = []
    for one in published:
        metrics = (f"{100 * one['metrics'][name]:.2f}" if name in one["metrics"] else "–" for name in names)
        lines.append((one["system"], *metrics, one["source"], one["split"]))
        if one["ours"]:
            lines.append((f"{one['system']}, here", *(_beside(one, name) for name in names), "", ""))
    return Table("Published metrics", ("system", *(f"{name} %" for name in names), "source", "split"), tuple(lines))


def facts_of(corpus: Mapping[str, Any]) -> str:
    """Split and sizes in a sentence."""
    facts = [corpus["split"]] if corpus["split"] else []
    if corpus["test_documents"]:
        facts.append(f"{corpus['test_documents']:,} test documents, {corpus['labels']:,} labels")
    if corpus["unknown_labels"]:
        facts.append(f"{corpus['unknown_labels']} gold labels unknown in training count as misses")
    training = sorted({tuple(row["training_documents"]) for row in corpus["rows"] if row["training_documents"]})
    if training:
        low, high = training[0][0], training[-1][1]
        facts.append(f"fitted on {low:,} documents" if low == high else f"fitted on {low:,} to {high:,} documents")
    return "; ".join(facts) + "." if facts else "Nothing is finished yet."


def notes_of(summary: Mapping[str, Any]) -> list[str]:
    """What the metrics are and how they were taken."""
    measured, tune = summary["measured"], summary["tune"]
    notes = ["Metrics are means over seeds ± standard deviation (n - 1); no ± where there is one seed."]
    if tune["enabled"] is not False:
        whose = f"every system but {', '.join(tune['untuned'])}" if tune["untuned"] else "every system alike"
        notes.append(
            f"Thresholds: tuned for {tune['metric']} ({tune['method']}), for {whose}, on validation "
            "documents: the validation file, a part of the training file, or cross-fitting over it, as the system "
            "does. Nothing was selected on test documents."
        )
    else:
        notes.append("Thresholds were not tuned.")
    if any(row["against_baseline"] for _, row in _rows(summary)):
        drawn, level = summary["significance"]["samples"], 1 - summary["significance"]["confidence"]
        notes.append(
            f"{MARK} differs from {summary['baseline']}: paired bootstrap over test documents and seeds ({drawn:,} "
            f"draws), p < {level:g} after Holm's correction over all comparisons on the corpus."
        )
    threads = _numbers(measured["threads"], "thread", "threads")
    notes.append(
        f"Training: {_numbers(measured['jobs'], 'process', 'processes')} at a time, {threads} each; seconds of fitting "
        "and of scoring validation documents, "
        "interrupted parts included (of systems without checkpoints, which start again, the last attempt only)."
    )
    if measured["loads"]:
        low, high = min(load or 0 for load in measured["loads"]), max(load or 0 for load in measured["loads"])
        at_most = f"{measured['speed']['documents']:,}"
        notes.append(
            "Prediction: from texts to label sets, one process at a time after all trainings, "
            f"{threads}, after a warm-up; at most {at_most} test documents. "
            "Batch 1 and 32: ms a document when so many are given together; documents/s: all given at once. "
            f"Load of the machine before (running processes, mean of a minute): {low:g} to {high:g}."
        )
    notes.append("Peak RSS: greatest resident memory of the process, with interpreter and libraries. MB: 10^6 bytes.")
    notes += [_machine_note(one) for one in summary["machines"]]
    notes += [_version_note(one, len(summary["versions"])) for one in summary["versions"]]
    if len(summary["sources"]) > 1:
        states = ", ".join(f"{one['digest']} ({one['cells']} cells)" for one in summary["sources"])
        notes.append(f"The cells come from different states of the source code: {states}.")
    left = [
        f"{cell['system']}, {cell['corpus']}, seed {cell['seed']} is {cell['state']}"
        + (f" ({cell['reason'].rstrip('.')})" if cell["reason"] else "")
        for cell in summary["incomplete"]
    ]
    if left:
        notes.append(f"Not in the table, or not in full: {'; '.join(left)}.")
    return notes


def _numbers(found: Sequence[int], one: str, many: str) -> str:
    """``1 or 2 threads``."""
    return f"{' or '.join(str(number) for number in found)} {one if found in ([], [1]) else many}"


def _machine_note(machine: Mapping[str, Any]) -> str:
    gpu = f", {machine['accelerator']}" if machine.get("accelerator") else ", no GPU in use"
    memory = f", {machine['memory_gb']:g} GB" if machine.get("memory_gb") else ""
    return f"Machine: {machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}{gpu}."


def _version_note(versions: Mapping[str, Any], different: int) -> str:
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "cells")
    cells = f" ({versions['cells']} cells)" if different > 1 else ""
    return f"Versions: {shown}{cells}."


def _rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for corpus in summary["corpora"]:
        for row in corpus["rows"]:
            yield corpus["name"], row


def _metric(row: Mapping[str, Any], name: str) -> str:
    spread = row["metrics"].get(name)
    if spread is None:
        return "–"
    text = percent(spread)
    found = (row["against_baseline"] or {}).get(name)
    return f"{text} {MARK}" if found is not None and found["significant"] else text


def percent(spread: Mapping[str, Any]) -> str:
    """``87.21 ± 0.13``."""
    text = f"{100 * spread['mean']:.2f}"
    return text if spread["sd"] is None else f"{text} ± {100 * spread['sd']:.2f}"


def _cost(spread: Mapping[str, Any] | None, decimals: int) -> str:
    return "–" if spread is None else f"{spread['mean']:,.{decimals}f}"


def _difference(found: Mapping[str, float]) -> tuple[str, ...]:
    interval = f"{100 * found['low']:+.2f} to {100 * found['high']:+.2f}"
    return (f"{100 * found['difference']:+.2f}", interval, _p_value(found["p_value"]), _p_value(found["p_adjusted"]))


def _p_value(p: float) -> str:
    """A p-value; one that rounds to nothing is never nothing."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _beside(one: Mapping[str, Any], name: str) -> str:
    ours = (one["ours"] or {}).get(name)
    return "–" if ours is None else percent(ours)


def _markdown_table(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    ruler = ["---", *("---:" for _ in table.head[1:])]
    return "\n".join([line(table.head), line(ruler), *(line(row) for row in table.rows)])
