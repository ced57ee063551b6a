"""What settings of ``linear`` reach on validation documents of several corpora.

::

    python benchmarks/linear_defaults.py --data ../shared/data --json defaults.jsonl
    python benchmarks/linear_defaults.py --tables defaults.jsonl

For each corpus and seed, documents of the training file (never the test file) are drawn at random: some train, others
validate. Thresholds are found on cross-fitted scores of the training documents, as ``taxotext train`` and ``tune``
do without a validation file, and everything is measured on the validation documents. ``auto`` takes, for a model, the
method whose micro-F1 is best in 5-fold cross-validation over those training scores. Runs that are in the file already
are not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.api.fitting import fit_system
from taxotext.data import Corpus, read_corpus
from taxotext.decoding import Decoder, sparse_scores, tune
from taxotext.labels import Taxonomy, read_taxonomy
from taxotext.metrics import evaluate
from taxotext.models.registry import find
from taxotext.progress import Silent
from taxotext.settings import parse_settings

CORPORA = {
    # name: (training documents, validation documents, labels of so many training documents at least)
    "chemical-exposure": (2200, 363, 1),
    "amazon-hier-val": (3400, 1023, 1),
    "reuters21578-apte90": (3000, 1500, 1),
    "arxiv-abstracts": (3000, 1500, 1),
    "eurlex-eurovoc-domains": (600, 199, 1),
    "eurlex-eurovoc-concepts": (600, 199, 3),
    "tibkat-gnd-en": (5000, 1500, 6),
}
NGRAMS = ((1, 1), (1, 2))
PRUNES = (0.0, 0.01, 0.03)
METHODS: dict[str, dict[str, Any]] = {
    "0.5": {},
    "global": {"method": "global"},
    "level": {"method": "level"},
    "label": {"method": "label"},
    "label, shrink auto": {"method": "label", "shrink": "auto"},
    "macro": {"method": "label", "metric": "macro_f1"},
}
CHOICES = ("global", "level", "label")
FOLDS = 5
SHOWN = ("micro_f1", "macro_f1", "p@1")


def split(name: str, folder: Path, seed: int) -> tuple[Corpus, Corpus]:
    """Training and validation documents of a corpus."""
    training, validation, least = CORPORA[name]
    tree = folder / name / "hierarchy.tsv"
    whole = read_corpus(folder / name / "train.jsonl.gz", read_taxonomy(tree) if tree.is_file() else None)
    rows = np.random.default_rng(seed).permutation(len(whole))
    parts = whole.subset(rows[:training]), whole.subset(rows[training : training + validation])
    if least == 1:
        return parts
    counts = np.asarray(parts[0].known_targets.sum(axis=0)).ravel()
    kept = Taxonomy.flat([whole.taxonomy.ids[label] for label in np.flatnonzero(counts >= least)])
    found = [
        Corpus.from_lists(
            part.texts, [[label for label in labels if label in kept] for labels in part.label_lists()], kept
        )
        for part in parts
    ]
    return found[0], found[1]


def figures(scores: NDArray[np.float32], gold: csr_array, decoding: Any, taxonomy: Taxonomy) -> dict[str, float]:
    ranked = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    found = evaluate(gold, Decoder(decoding, taxonomy).sets(scores), ranked)
    return {key: float(found[key]) for key in SHOWN}


def cross_validated(scores: csr_array, gold: csr_array, taxonomy: Taxonomy, chosen: dict[str, Any], seed: int) -> float:
    """Micro-F1 of label sets by thresholds that were found on other documents."""
    fold = np.random.default_rng(seed).permutation(gold.shape[0]) % FOLDS
    hits = said = 0
    for part in range(FOLDS):
        rest, here = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        decoding, _ = tune(scores[rest], gold[rest], taxonomy, tuned_on="folds", **chosen)
        sets = Decoder(decoding, taxonomy).sets(scores[here].toarray())
        hits += int(sets.multiply(gold[here]).sum())
        said += int(sets.sum())
    return 2 * hits / max(1, said + int(gold.sum()))


def runs(name: str, folder: Path, seed: int, ngrams: tuple[int, int]) -> Iterator[dict[str, Any]]:
    train, validation = split(name, folder, seed)
    kind = find("linear")
    given = {"seed": seed, "features": {"ngrams": list(ngrams)}, "classifier": {"prune": 0.0}}
    before = time.process_time()
    system: Any
    system, manifest = fit_system(
        kind, parse_settings(kind.Settings, given, "benchmark"), train, None, reporter=Silent()
    )
    taken = time.process_time() - before
    held_out = manifest.held_out
    assert held_out is not None
    stored, flat = sparse_scores(held_out.scores), train.taxonomy
    gold = held_out.gold
    by_method = {}
    for method, chosen in METHODS.items():
        by_method[method] = manifest.decoding
        if chosen:
            by_method[method], _ = tune(stored, gold, flat, tuned_on="cross-fitting", **chosen)
    expected = {method: cross_validated(stored, gold, flat, METHODS[method], seed) for method in CHOICES}
    whole = system._coefficients.copy()
    for prune in PRUNES:
        system._coefficients, system._product = whole.copy(), None
        system._coefficients.data[np.abs(whole.data) <= prune] = 0
        system._coefficients.eliminate_zeros()
        scores = np.vstack([block.dense for block in system.scores(validation.texts)])
        yield {
            "corpus": name,
            "seed": seed,
            "ngrams": list(ngrams),
            "prune": prune,
            "labels": len(flat),
            "documents": [len(train), len(validation)],
            "cpu": taken,
            "features": system.facts()["features"],
            "coefficients": system._coefficients.nnz,
            "cross_validated": expected,
            "figures": {
                method: figures(scores, validation.known_targets, decoding, flat)
                for method, decoding in by_method.items()
            },
        }


def tables(lines: list[dict[str, Any]]) -> str:
    """Markdown; means over the seeds, in %."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[line["corpus"], tuple(line["ngrams"]), line["prune"]].append(line)

    def mean(values: list[float], digits: int = 2) -> str:
        return f"{100 * float(np.mean(values)):.{digits}f}"

    rows = [
        "| corpus | n-grams | seeds | " + " | ".join(METHODS) + " | auto | P@1 |",
        "| --- | --- | ---: | " + "---: | " * (len(METHODS) + 2),
    ]
    for (name, ngrams, prune), found in groups.items():
        if prune == 0:
            cells = [
                " / ".join(mean([line["figures"][method][key] for line in found], 1) for key in SHOWN[:2])
                for method in METHODS
            ]
            best = [max(CHOICES, key=line["cross_validated"].__getitem__) for line in found]
            auto = [line["figures"][method] for line, method in zip(found, best, strict=True)]
            cells.append(" / ".join(mean([line[key] for line in auto], 1) for key in SHOWN[:2]))
            cells.append(mean([line["figures"]["0.5"]["p@1"] for line in found]))
            rows.append(f"| {name} | {ngrams[0]} to {ngrams[1]} | {len(found)} | {' | '.join(cells)} |")
    rows += ["", "| corpus | labels | n-grams | " + " | ".join(f"{prune:g}" for prune in PRUNES) + " |"]
    rows.append("| --- | ---: | --- | " + "---: | " * len(PRUNES))
    for (name, ngrams, prune), found in groups.items():
        if prune == 0:
            cells = []
            for other in PRUNES:
                same = groups[name, ngrams, other]
                scored = " / ".join(
                    mean([line["figures"][method][key] for line in same])
                    for method, key in (("label", "micro_f1"), ("label", "macro_f1"), ("label", "p@1"))
                )
                cells.append(f"{scored}; {np.mean([line['coefficients'] for line in same]) / 1e6:.1f} M")
            rows.append(f"| {name} | {found[0]['labels']} | {ngrams[0]} to {ngrams[1]} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, help="results, one a line; those that are there are not made again")
    parser.add_argument("--tables", type=Path, help="print the tables of such a file, and nothing else")
    given = parser.parse_args()
    if given.tables:
        print(tables([json.loads(line) for line in given.tables.read_text(encoding="utf-8").splitlines()]))
        return
    there = given.json.read_text(encoding="utf-8").splitlines() if given.json and given.json.exists() else []
    done = {(line["corpus"], line["seed"], tuple(line["ngrams"])) for line in map(json.loads, there)}
    for seed in given.seeds:
        for name in given.corpora:
            for ngrams in NGRAMS:
                if (name, seed, ngrams) not in done:
                    for line in runs(name, given.data, seed, ngrams):
                        text = json.dumps(line)
                        print(text, flush=True)
                        if given.json:
                            with given.json.open("a", encoding="utf-8") as file:
                                file.write(text + "\n")


if __name__ == "__main__":
    main()
