"""What `taxotext train` without `--model` ends with, beside `linear` on the same documents.

    python benchmarks/first_model.py DATA OUT [CORPUS ...] --documents 300 --budget 5

DATA holds folders of corpora (train.jsonl.gz, test.jsonl.gz, perhaps hierarchy.tsv). Of each a random part of the
training file is taken (seed 13), and trained on as a newcomer would. Both models are evaluated on the test file (its
first 1,000 documents); a row of OUT/results.jsonl and of the printed table says which one was kept, its micro-F1, that
of linear, and the paired-bootstrap interval of the difference on the test documents.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from taxotext import Classifier, Corpus, read_corpus, read_taxonomy
from taxotext.api.evaluation import evaluate_corpus
from taxotext.api.runs import train_run
from taxotext.cli.reporter import Lines
from taxotext.data import write_jsonl
from taxotext.metrics import widen
from taxotext.metrics.significance import paired_bootstrap
from taxotext.progress import Silent

SEED = 13
TEST_DOCUMENTS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("corpora", nargs="*", help="folders in DATA; all when none is named")
    parser.add_argument("--documents", type=int, help="training documents; all when left out")
    parser.add_argument("--budget", type=float, default=30.0, help="minutes for bert")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    names = given.corpora or sorted(path.parent.name for path in given.data.glob("*/train.jsonl.gz"))
    print(
        "| corpus | documents | kept | micro-F1 | linear | difference, 95 % | bert, held out | linear, held out | s |"
    )
    print("| --- | ---: | --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for name in names:
        row = measured(given.data / name, given.out, given.documents, given.budget, given.threads)
        with (given.out / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        scores = row["choice"].get("micro_f1", {})
        print(
            f"| {name} | {row['documents']:,} | {row['kept']} | {row['micro_f1']:.4f} | {row['linear']:.4f} | "
            f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f}) | "
            f"{scores.get('bert', float('nan')):.4f} | {scores.get('linear', float('nan')):.4f} | "
            f"{row['seconds']:.0f} |",
            flush=True,
        )


def measured(folder: Path, out: Path, documents: int | None, budget: float, threads: int) -> dict[str, Any]:
    """Train on a part of one corpus, and compare with ``linear`` on its test file."""
    tree = folder / "hierarchy.tsv"
    taxonomy = read_taxonomy(tree) if tree.is_file() else None
    train = read_corpus(folder / "train.jsonl.gz", taxonomy)
    if documents is not None and documents < len(train):
        rows = np.sort(np.random.default_rng(SEED).permutation(len(train))[:documents])
        train = train.subset(rows)
    part = out / f"{folder.name}-{len(train)}.jsonl"
    write_jsonl(train, part)
    data = {"train": str(part)} | ({"taxonomy": str(tree)} if taxonomy is not None else {})
    values: dict[str, Any] = {"data": data, "seed": SEED, "runtime": {"threads": threads}}
    started = time.monotonic()
    chosen = train_run(values, part.with_suffix(""), budget=budget, resume=True, reporter=Lines())
    seconds = time.monotonic() - started
    if chosen.model == "linear":
        linear = chosen
    else:
        linear = train_run({**values, "model": "linear"}, part.with_suffix(".linear"), resume=True, reporter=Silent())
    test = read_corpus(folder / "test.jsonl.gz", chosen.taxonomy, unknown="count")
    test = test.subset(range(min(len(test), TEST_DOCUMENTS)))
    first, scores = predicted(chosen, test)
    second, beside = predicted(linear, test)
    found = paired_bootstrap(test.targets, first, second, "micro_f1")
    return {
        "corpus": folder.name,
        "documents": len(train),
        "kept": chosen.model,
        "micro_f1": scores["micro_f1"],
        "linear": beside["micro_f1"],
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "seconds": round(seconds, 1),
        "budget": budget,
        "choice": chosen.manifest.metrics["choice"],
    }


def predicted(model: Classifier, test: Corpus) -> tuple[Any, dict[str, Any]]:
    """Label sets (D, L) of the test documents, and their metrics."""
    from scipy.sparse import vstack

    kept: list[Any] = []
    scores = evaluate_corpus(
        model.system,
        model.manifest,
        test,
        ks=(1, 3, 5),
        per_label=False,
        reporter=Silent(),
        keep=lambda sets, _: kept.append(widen(sets, test.targets.shape[1])),
    )
    return vstack(kept, format="csr"), scores


if __name__ == "__main__":
    main()
