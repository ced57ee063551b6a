"""``gru_att`` and ``htrans`` on a part of one corpus: the preset ``paper``, and word vectors of several kinds.

    python benchmarks/htrans_branch.py chemical-exposure --model weights=MODEL --model htrans=MODEL
    python benchmarks/htrans_branch.py chemical-exposure --vectors random --vectors glove.txt --seed 13 --seed 14
    python benchmarks/htrans_branch.py chemical-exposure --vectors glove.txt --variants --seed 13 --seed 14 --seed 15

The folder holds ``train.jsonl.gz``, ``dev.jsonl.gz``, ``test.jsonl.gz`` and ``hierarchy.tsv``. The labels are one,
those above and those below it; 48 units, the first 100 words. With the preset each label selects class weight (of
seven, a grid) and epoch on its own 15 % of the training documents, and ``dev`` is left for thresholds; its word vectors
start from those of MiniLM's input layer. With ``--vectors`` the class weights 1, 3 and 10 are halved on ``dev``. The
figures are of ``test``, of these labels alone, also those of models that were trained with more labels. Each case is a
process of one thread, two at a time; what is in the file of results is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SYSTEMS = ("gru_att", "htrans")
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "": {},
    "own vectors": {"transfer": {"freeze_embeddings": False}},
    "own vectors, least loss": {"transfer": {"freeze_embeddings": False, "inherit": "least_loss"}},
    "least loss": {"transfer": {"inherit": "least_loss"}},
    "kept by loss": {"training": {"monitor": "loss"}},
    "kept by average precision": {"training": {"monitor": "average_precision"}},
    "shrunk and perturbed": {"transfer": {"shrink": 0.5, "perturb": 0.5}},
    "all but own vectors": {
        "transfer": {"inherit": "least_loss", "shrink": 0.5, "perturb": 0.5},
        "training": {"monitor": "average_precision"},
    },
    "all of them": {
        "transfer": {"freeze_embeddings": False, "inherit": "least_loss", "shrink": 0.5, "perturb": 0.5},
        "training": {"monitor": "average_precision"},
    },
}
"""Settings of ``htrans`` beside :data:`PUBLISHED`, by what they are."""
PUBLISHED: dict[str, dict[str, Any]] = {
    "transfer": {"freeze_embeddings": True, "inherit": "selected", "shrink": 1.0, "perturb": 0.0},
    "training": {"monitor": "f1"},
}
"""What a child takes over in the paper, and by what an epoch is kept."""
FIGURES = ("micro_f1", "macro_f1", "macro_ap", "micro_f1_tuned", "macro_f1_tuned", "fit_seconds", "epochs")
CHOSEN_BY = "validation_macro_ap"
"""What variants are chosen by: macro average precision on ``dev``, with ``--vectors``."""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--branch", default="Biomonitoring--effect marker")
    parser.add_argument("--vectors", action="append", default=[], help="random, encoder, or a file; else the preset")
    parser.add_argument("--seed", action="append", type=int, default=[])
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER", help="a model to stand beside")
    parser.add_argument("--variants", action="store_true", help="htrans with each of some settings, too")
    parser.add_argument("--variant", action="append", default=[], choices=list(VARIANTS)[1:], help="with these alone")
    parser.add_argument("--results", type=Path, default=Path("htrans_branch.json"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(*json.loads(arguments.one), arguments.data, arguments.branch)))
        return
    found = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {}
    variants = {"gru_att": [""], "htrans": list(VARIANTS) if arguments.variants else ["", *arguments.variant]}
    cases = {
        f"{system}{variant and f' ({variant})'}, {Path(vectors).name if vectors else 'paper'}, seed {seed}": [
            *(system, vectors, seed, variant)
        ]
        for seed in arguments.seed or [13]
        for vectors in arguments.vectors or [None]
        for system in SYSTEMS
        for variant in variants[system]
    }
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

    def compute(name: str) -> None:
        command = [sys.executable, __file__, str(arguments.data), "--branch", arguments.branch]
        command += ["--one", json.dumps(cases[name])]
        done = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        arguments.results.write_text(json.dumps(found, indent=1))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compute, [name for name in cases if name not in found]))
    for name, _, folder in (given.partition("=") for given in arguments.model):
        if name not in found:
            found[name] = of_model(Path(folder), arguments.data, arguments.branch)
            arguments.results.write_text(json.dumps(found, indent=1))
    columns = [CHOSEN_BY, *FIGURES]
    print("| case | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 1))
    for name, row in found.items():
        print(f"| {name} | " + " | ".join(str(row.get(column, "")) for column in columns) + " |")


def run(system: str, vectors: str | None, seed: int, variant: str, data: Path, branch: str) -> dict[str, Any]:
    """Fit and evaluate one case on the labels of a branch."""
    from some_labels import with_labels

    from taxotext import Classifier
    from taxotext.data import read_corpus
    from taxotext.labels import read_taxonomy

    taxonomy = read_taxonomy(data / "hierarchy.tsv")
    labels = _branch(taxonomy, branch)
    train, dev, test = (
        with_labels(read_corpus(data / f"{part}.jsonl.gz", taxonomy=taxonomy), labels)
        for part in ("train", "dev", "test")
    )
    settings: dict[str, Any] = {"preset": "paper"}
    if vectors is not None:
        settings = {"text": {"max_tokens": 100}, "weights": {"candidates": [1.0, 3.0, 10.0]}}
    if system == "htrans" and vectors is not None:
        settings |= {name: {**section, **VARIANTS[variant].get(name, {})} for name, section in PUBLISHED.items()}
    model = Classifier(
        system,
        seed=seed,
        encoder={"embeddings": vectors or "encoder", "units": 48},
        runtime={"device": "cpu", "threads": 1},
        **settings,
    ).fit(train, validation=dev, tune=False)
    found = _figures(model, test, list(test.taxonomy.ids))
    return found if vectors is None else {CHOSEN_BY: _macro_ap(model, dev, range(len(labels))), **found}


def of_model(folder: Path, data: Path, branch: str) -> dict[str, Any]:
    """Figures of a trained model, of the labels of a branch alone."""
    from taxotext import load
    from taxotext.data import read_corpus

    model = load(folder)
    taxonomy = model.taxonomy
    test = read_corpus(data / "test.jsonl.gz", taxonomy=taxonomy)
    return _figures(model, test, [taxonomy.ids[label] for label in _branch(taxonomy, branch)])


def _branch(taxonomy: Any, branch: str) -> list[int]:
    middle = taxonomy.index(branch)
    return sorted({middle, *taxonomy.ancestors(middle).tolist(), *taxonomy.descendants(middle).tolist()})


def _figures(model: Any, test: Any, labels: list[str]) -> dict[str, Any]:
    plain = _f1(model.evaluate(test, per_label=True)["per_label"], labels)
    macro_ap = _macro_ap(model, test, [test.taxonomy.index(label) for label in labels])
    model.tune(metric="macro_f1")
    tuned = _f1(model.evaluate(test, per_label=True)["per_label"], labels)
    fits = [fit for fit, label in zip(model.system.fits, model.taxonomy.ids, strict=True) if label in labels]
    return {
        **plain,
        "macro_ap": macro_ap,
        **{f"{name}_tuned": value for name, value in tuned.items()},
        "fit_seconds": round(sum(fit["seconds"] for fit in fits)),
        "epochs": sum(fit["epochs"] for fit in fits),
    }


def _macro_ap(model: Any, corpus: Any, labels: Iterable[int]) -> float:
    """Mean average precision (%) of the labels that some document has."""
    from sklearn.metrics import average_precision_score

    gold, scores = corpus.known_targets.toarray(), model.predict_proba(corpus.texts)
    found = [average_precision_score(gold[:, label], scores[:, label]) for label in labels if gold[:, label].any()]
    return round(100 * sum(found) / len(found), 2)


def _f1(rows: list[dict[str, Any]], labels: list[str]) -> dict[str, float]:
    """Micro and macro-F1 (%) of some labels."""
    chosen = [row for row in rows if row["id"] in labels]
    hits = sum(round(row["recall"] * row["support"]) for row in chosen)
    marks = sum(row["support"] + row["predicted"] for row in chosen)  # gold and answered
    macro = sum(row["f1"] for row in chosen) / len(chosen)
    return {"micro_f1": round(200 * hits / marks, 2), "macro_f1": round(100 * macro, 2)}


if __name__ == "__main__":
    main()
