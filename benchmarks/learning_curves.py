"""A chart of one metric after each epoch, of several models of one corpus.

::

    python benchmarks/learning_curves.py bert=MODEL bert_sgm=MODEL --metric micro_f1 --output learning.svg

The metrics are those of the validation documents that each training kept in its folder (``metrics.json``). The page of
``taxotext report`` shows the same chart.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from taxotext.report.page import learning_speed


def main() -> None:
    """Read the histories and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--metric", default="micro_f1", choices=("micro_f1", "macro_f1", "set_accuracy"))
    parser.add_argument("--output", type=Path, required=True, help=".svg or .png")
    asked = parser.parse_args()
    histories = []
    for given in asked.models:
        name, _, folder = given.rpartition("=")
        metrics = json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))
        histories.append((name or Path(folder).name, metrics["history"]))
    chart = learning_speed(histories, asked.metric)
    if chart is None:
        parser.error("fewer than two of the models have this metric of two epochs or more.")
    chart.save(asked.output)


if __name__ == "__main__":
    main()
