"""The files that an experiment ends with: the table in four forms, and charts of metrics by level."""

from __future__ import annotations

from typing import Any

from taxotext.experiments.folder import ExperimentFolder
from taxotext.experiments.page import level_charts, page
from taxotext.experiments.summary import summarise
from taxotext.experiments.tables import csv_table, markdown
from taxotext.files import write_text_atomically
from taxotext.files.json_files import json_text

FORMS = {"table.md": markdown, "table.csv": csv_table, "table.json": json_text, "table.html": page}


def write_tables(folder: ExperimentFolder) -> dict[str, Any]:
    """Write the table in its four forms, charts of metrics by level, and return the summary that they show.

    Raises:
        ConfigError, DataError: see :func:`taxotext.experiments.summary.summarise`.
    """
    summary = summarise(folder)
    for name, form in FORMS.items():
        write_text_atomically(folder.path / name, form(summary))
    for corpus in summary["corpora"]:
        for average, chart in level_charts(corpus, summary).items():
            chart.save(folder.path / f"levels_{corpus['name']}_{average}_f1.svg")
    return summary
