"""Milliseconds that saved models take for a document, in turn in one process: one by one, and many together.

    python benchmarks/model_folders.py test.jsonl.gz results/cells/*/model

Processor time of one thread: the median of all single documents, and the best pass over all of them. Loading is not
counted. Times of one run compare; those of two runs do not.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import taxotext
from taxotext import Classifier
from taxotext.data import read_corpus


def seconds(suggest: Callable[[list[str]], object], texts: list[str]) -> float:
    """Processor time of the suggestions for ``texts``."""
    started = time.process_time()
    suggest(texts)
    return time.process_time() - started


def main() -> None:
    """Measure, and print one line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="documents")
    parser.add_argument("models", type=Path, nargs="+", help="model folders")
    parser.add_argument("--documents", type=int, default=72, help="that are scored together")
    parser.add_argument("--single", type=int, default=20, help="of these, one by one")
    parser.add_argument("--repeats", type=int, default=4)
    given = parser.parse_args()
    texts = list(read_corpus(given.data).texts[: given.documents])
    models: dict[Path, Classifier] = {folder: taxotext.load(folder, threads=1) for folder in given.models}
    single: dict[Path, list[float]] = {folder: [] for folder in models}
    together: dict[Path, list[float]] = {folder: [] for folder in models}
    for _ in range(given.repeats):
        for folder, model in models.items():
            single[folder] += [seconds(model.suggest, [text]) for text in texts[: given.single]]
            together[folder].append(seconds(model.suggest, texts) / len(texts))
    print("one by one  together  ms a document")
    for folder in models:
        one, many = statistics.median(single[folder]), min(together[folder])
        print(f"{1000 * one:10.1f}  {1000 * many:8.2f}  {folder}")


if __name__ == "__main__":
    main()
