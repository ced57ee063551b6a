"""What users should know about the reading of a file, in sentences."""

from __future__ import annotations

from taxotext.data.columns import ReadReport
from taxotext.messages import counted, ended, parameter, some


def warning_notes(report: ReadReport) -> list[str]:
    """What was left out and was probably not meant to be in the file, a sentence each."""
    notes = []
    if report.skipped_count:
        lines = counted(report.skipped_count, "bad line was", "bad lines were")
        notes.append(ended(f"{lines} left out; the first one: {report.skipped[0]}"))
    if report.repeated_headers:
        headers = counted(report.repeated_headers, "header was", "headers were")
        notes.append(f"{headers} in the middle of the file, where files were joined, and left out.")
    return notes


def change_notes(report: ReadReport) -> list[str]:
    """What else was left out, dropped or changed, a sentence each."""
    notes = []
    if report.blank_lines:
        notes.append(f"{counted(report.blank_lines, 'blank line was', 'blank lines were')} left out.")
    for reason, count in report.ignored.items():
        notes.append(f"{counted(count, 'record was', 'records were')} left out: {reason}.")
    if report.differing_annotations:
        differ = counted(report.differing_annotations, "record has", "records have")
        notes.append(f"{differ} annotations that differ; labels that more than half of them give were taken.")
    if report.joined_rows:
        rows = counted(report.joined_rows + report.documents, "row")
        documents = counted(report.documents, "document")
        notes.append(
            f"{rows} made {documents}: rows in succession with the same id and text are one document with the labels "
            "of all."
        )
    if report.empty_columns:
        columns = counted(report.empty_columns, "column", "columns")
        notes.append(f"{columns} without a name and without a value at the end of the rows left out.")
    if report.duplicate_labels:
        notes.append(f"{counted(report.duplicate_labels, 'label')} occurred twice in one document and counted once.")
    if report.trimmed_labels:
        notes.append(f"White space around {counted(report.trimmed_labels, 'label')} was dropped.")
    if report.empty_labels:
        empty = counted(report.empty_labels, "empty label was", "empty labels were")
        notes.append(f"{empty} dropped, such as one behind the last separator of a cell.")
    return notes


def whole_cell_notes(report: ReadReport) -> list[str]:
    """That each cell is one label, where no taxonomy says what the labels are; one sentence at most."""
    names = [name for name, shape in report.label_shapes.items() if shape == "one" and not report.labels_known]
    return [f"Each cell of {some(_quoted(names), len(names))} is one label."] if names else []


def form_notes(report: ReadReport) -> list[str]:
    """How columns and labels are read where it could be another way, and settings without effect; a sentence each."""
    notes = []
    if report.column_separator is not None:
        notes.append(f"Columns were separated at {report.column_separator!r}, as the first line shows.")
    if report.label_separator is not None:
        notes.append(
            f"Labels were split at {report.label_separator!r}; give {parameter('label_separator', '')} if each cell is "
            "one label."
        )
    alike: dict[str, list[str]] = {}
    for name in report.guessed_columns:
        if report.label_shapes[name] == "indicator":
            alike.setdefault("labels that a document has where the cell says 1 (or true, yes, x)", []).append(name)
        elif report.label_shapes[name] != "separated":
            alike.setdefault(report.label_columns[name], []).append(name)
    for form, names in alike.items():
        several = "Columns" if len(names) > 1 else "The column"
        notes.append(
            f"{several} {some(_quoted(names), len(names))} {'were' if len(names) > 1 else 'was'} read as {form}."
        )
    notes += report.joined_names
    notes += [f"Not used: {parameter(setting)}; {reason}." for setting, reason in report.unused.items()]
    return notes


def _quoted(names: list[str]) -> list[str]:
    return [repr(name) for name in names[:5]]
