"""``htrans`` over word vectors and over a frozen all-MiniLM-L6-v2: figures and CPU seconds on a part of one corpus.

    python benchmarks/htrans_encoders.py chemical-exposure
    python benchmarks/htrans_encoders.py chemical-exposure --branch 'Biomonitoring--effect marker' --epochs 3

The folder holds ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``hierarchy.tsv``. 800 training documents are fitted on, 366
other ones select class weights, epochs and thresholds, and the figures are of ``dev``; the test documents are not read.
Each case is a process of one thread. Cases that are in the file of results are not run again. Adapters take their time:
``--branch`` measures with a label, those above and those below it, and one class weight.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

SEED = 13
FITTED, SELECTING = 800, 366
TOKENS = 64
MINILM = {"name": "transformer"}
LINEAR = "linear, whole texts"
ADAPTERS = "frozen MiniLM, lora"
CASES: dict[str, dict[str, Any]] = {
    LINEAR: {},
    "word vectors, random, GRU 48": {"encoder": {"name": "gru_att", "units": 48}},
    "word vectors, of MiniLM, GRU 48": {"encoder": {"name": "gru_att", "units": 48, "embeddings": "encoder"}},
    "frozen MiniLM, pooling": {"encoder": MINILM, "body": {"name": "pooling"}},
    "frozen MiniLM, GRU 48": {"encoder": MINILM, "body": {"name": "gru", "units": 48}},
    ADAPTERS: {"encoder": MINILM, "body": {"name": "lora"}},
}
COMMON: dict[str, Any] = {
    "seed": SEED,
    "runtime": {"device": "cpu", "precision": "float32", "threads": 1},
    "text": {"max_tokens": TOKENS},
    "weights": {"candidates": [1.0, 5.0], "rungs": [2]},
    "training": {"epochs": 6, "batch_size": 32, "monitor": "f1"},
    "transfer": {"freeze_embeddings": True, "inherit": "selected", "shrink": 1.0, "perturb": 0.0},  # as in the paper
}


def main() -> None:
    """Run the cases that are missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--results", type=Path, default=Path("htrans_encoders.json"))
    parser.add_argument("--only", action="append", choices=list(CASES), help="cases to run; all but lora otherwise")
    parser.add_argument("--branch", help="a label: only it, those above and below it; class weight 1 alone")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--one", choices=list(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments.one, arguments.data, arguments.branch, arguments.epochs)))
        return
    found = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {}
    for name in arguments.only or (name for name in CASES if arguments.branch or name != ADAPTERS):
        if name not in found:
            threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            command = [sys.executable, __file__, *sys.argv[1:], "--one", name]
            done = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True, check=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
            arguments.results.write_text(json.dumps(found, indent=1))
    columns = ("macro_f1", "micro_f1", "macro_f1_tuned", "cpu_seconds", "use_seconds", "parameters", "epochs")
    print("| case | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 1))
    for name, row in found.items():
        print(f"| {name} | " + " | ".join(str(row[column]) for column in columns) + " |")


def run(name: str, data: Path, branch: str | None, epochs: int) -> dict[str, Any]:
    """Fit and use one case, with all labels or those of one branch."""
    import numpy as np
    from some_labels import with_labels

    from taxotext import Classifier
    from taxotext.data import read_corpus
    from taxotext.labels import read_taxonomy

    taxonomy = read_taxonomy(data / "hierarchy.tsv")
    train, dev = (read_corpus(data / f"{part}.jsonl.gz", taxonomy=taxonomy) for part in ("train", "dev"))
    settings = {**COMMON, "training": {**COMMON["training"], "epochs": epochs}, **CASES[name]}
    if branch:
        middle = taxonomy.index(branch)
        labels = [middle, *taxonomy.ancestors(middle).tolist(), *taxonomy.descendants(middle).tolist()]
        train, dev = with_labels(train, labels), with_labels(dev, labels)
        settings["weights"] = {"candidates": [1.0]}
    order = np.random.default_rng(SEED).permutation(len(train))
    fitted, selecting = train.subset(order[:FITTED]), train.subset(order[FITTED : FITTED + SELECTING])
    before = _cpu()
    if name == LINEAR:
        model = Classifier("linear", seed=SEED).fit(fitted, validation=selecting)
    else:
        model = Classifier("htrans", **settings).fit(fitted, validation=selecting)
    fit_seconds = _cpu() - before
    plain = model.evaluate(dev)
    before = _cpu()
    for _ in model.system.scores(dev.texts):
        pass
    use_seconds = _cpu() - before
    model.tune(metric="macro_f1")
    facts = model.manifest.facts
    return {
        "macro_f1": round(100 * plain["macro_f1"], 2),
        "micro_f1": round(100 * plain["micro_f1"], 2),
        "macro_f1_tuned": round(100 * model.evaluate(dev)["macro_f1"], 2),
        "cpu_seconds": round(fit_seconds),
        "use_seconds": round(use_seconds, 1),
        "parameters": facts["parameters"],
        "epochs": facts.get("fitted_epochs"),
    }


def _cpu() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


if __name__ == "__main__":
    main()
