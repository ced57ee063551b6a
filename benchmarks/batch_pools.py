"""Lengths sorted with noise on small corpora: other batches in each epoch, their padding, and what a network learns.

::

    python benchmarks/batch_pools.py --data ../shared/data --json batches.jsonl
    python benchmarks/batch_pools.py --tables batches.jsonl

*exact* sorts a small corpus by the exact length, *noise* is what Taxotext does. Documents of the training file are
drawn at random: some train, some select the epoch and the thresholds, others measure; the test file is not read.
Runs that are in the file already are not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taxotext import Classifier
from taxotext.data import batches, read_corpus
from taxotext.data.windows import Windows
from taxotext.labels import read_taxonomy

SPREADS = {"exact": 0.0, "noise": batches.SPREAD}
CORPORA = ("reuters21578-apte90", "amazon-hier-val", "chemical-exposure")
PLANS = 10
"""Epochs whose batches are counted."""
F1 = ("micro_f1", "macro_f1")


def batches_of(windows: Windows, batch_size: int, seed: int) -> dict[str, float]:
    """Padding as a share of the tokens, and the share of pairs of a batch that meet again in the next epoch."""
    cells = tokens = met = pairs = 0
    together: list[set[tuple[int, int]]] = []
    for epoch in range(PLANS):
        found = set()
        for documents in batches.shuffled_plan(windows.costs, batch_size, seed=seed, epoch=epoch):
            mask = batches.make_batch(windows, documents, 0).mask
            cells, tokens = cells + mask.size, tokens + int(mask.sum())
            members = sorted(documents.tolist())
            found.update((one, other) for at, one in enumerate(members) for other in members[at + 1 :])
        together.append(found)
    for one, other in pairwise(together):
        met, pairs = met + len(one & other), pairs + len(one)
    return {"padding": cells / tokens - 1, "met again": met / pairs}


def measure(path: Path, kind: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """Fit, tune and measure one system."""
    batches.SPREAD = SPREADS[kind]
    tree = path / "hierarchy.tsv"
    whole = read_corpus(path / "train.jsonl.gz", read_taxonomy(tree) if tree.is_file() else None)
    rows = np.random.default_rng(seed).permutation(len(whole))
    ends = np.cumsum([given.documents, given.validation, given.measured])
    train, validation, measured = (
        whole.subset(rows[begin:end]) for begin, end in zip([0, *ends[:2]], ends, strict=True)
    )
    settings: dict[str, Any] = {
        "seed": seed,
        "training": {"epochs": given.epochs},
        "runtime": {"device": "cpu", "threads": 1},
    }
    before = time.process_time()
    classifier = Classifier("kim_cnn", **settings).fit(train, validation=validation)
    seconds = time.process_time() - before
    metrics = classifier.evaluate(measured)
    system: Any = classifier.system
    return {
        "corpus": path.name,
        "kind": kind,
        "seed": seed,
        "seconds": seconds,
        **batches_of(system.windows(train.texts), system.settings.training.batch_size, seed),
        **{key: float(metrics[key]) for key in F1},
    }


def tables(path: Path) -> Iterator[str]:
    """The table of the page of results: means over the seeds, and the difference for each seed."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for run in sorted(map(json.loads, path.read_text(encoding="utf-8").splitlines()), key=lambda run: run["seed"]):
        found[run["corpus"], run["kind"]].append(run)
    yield "| corpus | lengths | seeds | met again | padding | CPU s | micro-F1 | macro-F1 |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for corpus in CORPORA:
        scores = {}
        for kind in SPREADS:
            runs = found[corpus, kind]
            scores[kind] = 100 * np.array([[run[key] for key in F1] for run in runs])  # (seeds, 2)
            met, padding, seconds = (np.mean([run[key] for run in runs]) for key in ("met again", "padding", "seconds"))
            micro, macro = scores[kind].mean(0)
            yield (
                f"| {corpus if kind == 'exact' else ''} | {kind} | {len(runs)} | {met:.0%} | {padding:.0%} "
                f"| {seconds:.0f} | {micro:.1f} | {macro:.1f} |"
            )
        change = scores["noise"] - scores["exact"]
        cells = [f"{values.mean():+.1f} ({', '.join(f'{one:+.1f}' for one in values)})" for values in change.T]
        yield f"| | difference | | | | | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--documents", type=int, default=800)
    parser.add_argument("--validation", type=int, default=300)
    parser.add_argument("--measured", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--json", type=Path, help="results, one a line")
    parser.add_argument("--tables", type=Path, help="print the table of such a file, and stop")
    given = parser.parse_args()
    if given.tables:
        print("\n".join(tables(given.tables)))
        return
    if given.json is None:
        parser.error("give --json or --tables")
    torch.set_num_threads(1)
    lines = given.json.read_text(encoding="utf-8").splitlines() if given.json.exists() else []
    done = {(run["corpus"], run["kind"], run["seed"]) for run in map(json.loads, lines)}
    for seed in given.seeds:
        for name in given.corpora:
            for kind in SPREADS:
                if (name, kind, seed) not in done:
                    line = json.dumps(measure(given.data / name, kind, seed, given))
                    print(line, flush=True)
                    with given.json.open("a", encoding="utf-8") as file:
                        file.write(line + "\n")


if __name__ == "__main__":
    main()
