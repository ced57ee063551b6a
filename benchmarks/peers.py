"""Taxotext beside LibMultiLabel, hiclass and scikit-learn: the same documents, one metric code, one run.

See benchmarks/README.md for what is compared and how to run it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Case, machine, measure
from peers_systems import FAMILIES, runs_here
from scipy.sparse import csr_array
from scipy.special import expit

from taxotext.data import Corpus, read_corpus, split_stratified
from taxotext.decoding import Decoder, sparse_scores, tune
from taxotext.experiments.measuring import THREAD_VARIABLES
from taxotext.labels import Taxonomy, read_taxonomy
from taxotext.metrics import evaluate

SEED = 13
"""Of the validation part and of the samples."""
PACKAGES = ("libmultilabel", "hiclass", "scikit-learn", "liblinear-multicore", "torch", "lightning", "numpy")
SHOWN = ("micro_f1", "macro_f1", "set_accuracy")
RANKED = ("p@1", "p@5", "ndcg@5")
EPOCHS = 30
FLOOR = 0.01


@dataclass(frozen=True)
class Part:
    """One comparison: a family of competitors on the splits of a corpus."""

    title: str
    family: str
    train: Corpus
    validation: Corpus
    test: Corpus

    def write(self, folder: Path, vectors: Path | None) -> None:
        """What the processes of the competitors read."""
        taxonomy = self.train.taxonomy
        ids = taxonomy.ids
        content: dict[str, Any] = {
            name: {"texts": list(split.texts), "labels": split.label_lists()}
            for name, split in (("train", self.train), ("validation", self.validation), ("test", self.test))
        }
        edges = [(ids[parent], ids[child]) for parent, child in taxonomy.edge_index.T]
        content |= {"labels": list(ids), "edges": edges, "epochs": EPOCHS}
        folder.mkdir()
        (folder / "corpus.json").write_text(json.dumps(content), encoding="utf-8")
        if vectors is not None:
            unpacked = gzip.decompress(vectors.read_bytes()) if vectors.suffix == ".gz" else vectors.read_bytes()
            (folder / "vectors.txt").write_bytes(unpacked)


# -- the same documents for everybody -------------------------------------------------------------------------------


def parts_of(options: argparse.Namespace) -> Iterator[Part]:
    """The comparisons that were asked for."""
    if options.reuters:
        everything = read_corpus(options.reuters / "train.jsonl.gz")
        test = read_corpus(options.reuters / "test.jsonl.gz", everything.taxonomy)
        rows = split_stratified(everything.known_targets, [0.9, 0.1], SEED)
        train, validation = (everything.subset(part) for part in rows)
        yield Part("Reuters-21578, linear", "linear", train, validation, test)
        yield Part("Reuters-21578, networks", "kim_cnn", sample(train, options.documents), validation, test)
    if options.arxiv:
        taxonomy = read_taxonomy(options.arxiv / "hierarchy.tsv")
        splits = [read_corpus(options.arxiv / f"{name}.jsonl.gz", taxonomy) for name in ("train", "dev", "test")]
        train, validation, test = splits
        yield Part("arxiv-abstracts, documents with one path", "one path", *map(with_one_path, splits))
        yield Part("arxiv-abstracts, linear", "linear", train, validation, test)
        some = sample(train, options.documents), sample(validation, options.documents // 4)
        yield Part("arxiv-abstracts, networks", "kim_cnn", *some, test)

    if options.chemical:
        taxonomy = read_taxonomy(options.chemical / "hierarchy.tsv")
        splits = [read_corpus(options.chemical / f"{name}.jsonl.gz", taxonomy) for name in ("train", "dev", "test")]
        yield Part("chemical-exposure, several paths", "several paths", *splits)


def sample(corpus: Corpus, count: int) -> Corpus:
    """Documents at random."""
    rows = np.random.default_rng(SEED).permutation(len(corpus))[:count]
    return corpus.subset(np.sort(rows))


def with_one_path(corpus: Corpus) -> Corpus:
    """The documents whose labels are a path from a top level downwards."""
    ends = corpus.taxonomy.reduce_to_leaves(corpus.known_targets)  # labels without a lower one in the same document
    return corpus.subset(np.flatnonzero(np.asarray(ends.sum(axis=1)).ravel() == 1))


# -- one metric code --------------------------------------------------------------------------------------------------


def figures(part: Part, answers: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Metrics of the answers of one system.

    ``own``: label sets by its own rule; ``ranking``: of its scores; ``tuned``: label sets by thresholds that the same
    routine has found on the validation documents; ``path``: the best label that ends a path, with its ancestors.
    """
    gold = part.test.known_targets
    found = {"own": evaluate(gold, csr_array(answers["sets"]))}
    if "test" not in answers:
        return found
    scores = answers["test"]
    ranked = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    found["ranking"] = evaluate(gold, csr_array(answers["sets"]), ranked)
    facts = json.loads(str(answers["facts"]))
    held_out, unseen = (
        np.clip(side if facts["probabilities"] else expit(side), 0, 1).astype(np.float32)
        for side in (answers["validation"], scores)
    )
    flat = Taxonomy.flat(part.train.taxonomy.ids)
    decoding, _ = tune(
        sparse_scores(held_out, FLOOR),
        part.validation.known_targets,
        flat,
        tuned_on="validation",
        shrink="auto",
        floor=FLOOR,
    )
    found["tuned"] = evaluate(gold, Decoder(decoding, flat).sets(unseen))
    if part.family == "one path":
        found["path"] = evaluate(gold, best_paths(part, scores))
    return found


def best_paths(part: Part, scores: Any) -> csr_array:
    """(D, N) bool: the highest of the labels that end a path in training, with its ancestors."""
    taxonomy = part.train.taxonomy
    ends = np.asarray(taxonomy.reduce_to_leaves(part.train.known_targets).sum(axis=0)).ravel() > 0
    best = np.where(ends, scores, -np.inf).argmax(axis=1)
    rows = np.arange(len(best))
    chosen = csr_array((np.ones(len(best), dtype=bool), (rows, best)), shape=scores.shape)
    return taxonomy.close(chosen)


# -- the run ----------------------------------------------------------------------------------------------------------


def compare(part: Part, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the competitors of a part in turn, and evaluate what they say."""
    part.write(folder, options.vectors)
    script = str(Path(__file__).with_name("peers_systems.py"))

    def answers_of(name: str) -> Path:
        return folder / f"{name}.npz"

    def start(name: str) -> list[str]:
        theirs = options.peers_python
        if part.family == "several paths" and options.hiclass_python:
            theirs = options.hiclass_python
        python = sys.executable if runs_here(name) else theirs
        given = ["--data", str(folder), "--family", part.family, "--only", name, "--answers", str(answers_of(name))]
        return [python, script, *given]

    names = [name for name in FAMILIES[part.family] if not options.systems or name in options.systems]
    case = Case(part.title, {"fit": len(part.train), "predict": len(part.test)}, dict.fromkeys(names, never))
    result = measure(case, 1 if part.family == "kim_cnn" else options.repeats, start)
    result["validation_documents"], result["labels"] = len(part.validation), len(part.train.taxonomy)
    result["figures"], result["notes"] = {}, {}
    for name in names:
        with np.load(answers_of(name)) as answers:
            result["figures"][name] = figures(part, answers)
            result["notes"][name] = json.loads(str(answers["facts"]))["notes"]
    return result


def never(warming: bool) -> Any:
    raise RuntimeError("competitors run in processes of their own")


def versions(python: str) -> dict[str, str]:
    """Of the packages in the environment of the others."""
    ask = (
        "import importlib.metadata as m, json, sys\nfound = {}\nfor name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n    except m.PackageNotFoundError: pass\nprint(json.dumps(found))"
    )
    done = subprocess.run([python, "-c", ask, *PACKAGES], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


# -- the tables -------------------------------------------------------------------------------------------------------


def tables(content: Mapping[str, Any]) -> str:
    """Markdown: for each part what the systems answer, and what it costs."""
    lines: list[str] = []
    for result in content["results"]:
        fitted, asked = result["documents"]["fit"], result["documents"]["predict"]
        rounds = len(next(iter(result["times"].values())))
        lines += [
            f"## {result['title']}",
            "",
            f"{fitted:,} training, {result['validation_documents']:,} validation and {asked:,} test documents, "
            f"{result['labels']} labels; {rounds} round{'s' if rounds > 1 else ''}.",
            "",
            *accuracy_rows(result),
            "",
            *cost_rows(result),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def accuracy_rows(result: Mapping[str, Any]) -> Iterator[str]:
    """Percent; a dash where a system gives no scores."""
    rules = {"own": "own rule", "tuned": "tuned", "path": "best path"}
    kinds = [kind for kind in rules if any(kind in found for found in result["figures"].values())]
    columns = [(kind, key) for kind in kinds for key in SHOWN if not (kind == "tuned" and key == "set_accuracy")]
    titles = [f"{rules[kind]}: {NAMES[key]}" for kind, key in columns] + [NAMES[key] for key in RANKED]
    columns += [("ranking", key) for key in RANKED]
    yield f"| system | {' | '.join(titles)} |"
    yield f"| --- |{' ---: |' * len(titles)}"
    for name, found in result["figures"].items():
        values = [f"{100 * found[kind][key]:.2f}" if kind in found else "–" for kind, key in columns]
        yield f"| {name} | {' | '.join(values)} |"


NAMES = {
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "set_accuracy": "set accuracy",
    "p@1": "P@1",
    "p@5": "P@5",
    "ndcg@5": "nDCG@5",
}


def cost_rows(result: Mapping[str, Any]) -> Iterator[str]:
    """Medians over the rounds; memory is the greatest of all."""
    yield "| system | fit, CPU s | fit, s | predict, CPU s | predict, s | peak memory, MB | epochs |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, rounds in result["times"].items():
        values = [
            f"{statistics.median(one[work][clock] for one in rounds):.2f}"
            for work in ("fit", "predict")
            for clock in ("cpu", "wall")
        ]
        peak = max(one["predict"]["peak"] for one in rounds) / 1e6
        epochs = result["notes"][name].get("epochs") or "–"
        yield f"| {name} | {' | '.join(values)} | {peak:,.0f} | {epochs} |"


# -- the command ------------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reuters", type=Path, help="folder with train.jsonl.gz and test.jsonl.gz")
    parser.add_argument("--arxiv", type=Path, help="the same, with dev.jsonl.gz and hierarchy.tsv")
    parser.add_argument("--chemical", type=Path, help="the same, with dev.jsonl.gz and hierarchy.tsv")
    parser.add_argument("--vectors", type=Path, help="word vectors of the networks, as GloVe writes them, .gz or not")
    parser.add_argument("--peers-python", default=sys.executable, help="Python of the environment of the others")
    parser.add_argument(
        "--hiclass-python", help="Python of an environment with hiclass 4.13; default: that of the others"
    )
    parser.add_argument("--documents", type=int, default=2000, help="training documents of the networks, at random")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the networks run once")
    parser.add_argument("--parts", nargs="+", choices=list(FAMILIES), help="only these families of competitors")
    parser.add_argument("--systems", nargs="+", help="only these competitors, by their names in the tables")
    parser.add_argument("--json", type=Path, help="write all measured values here; what it holds of other parts stays")
    parser.add_argument("--tables", type=Path, metavar="JSON", help="run nothing; print the tables of this file")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.tables:
        print(tables(json.loads(options.tables.read_text(encoding="utf-8"))), end="")
        return
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # of all processes that are started from here
    here = machine()
    content: dict[str, Any] = {
        "machine": {key: here[key] for key in ("processor", "cores", "python", "versions")},
        "peers": versions(options.peers_python),
        "documents": options.documents,
        "epochs": EPOCHS,
        "results": [],
    }
    with tempfile.TemporaryDirectory(prefix="peers-") as place:
        for number, part in enumerate(parts_of(options)):
            if options.parts and part.family not in options.parts:
                continue
            content["results"].append(compare(part, options, Path(place) / str(number)))
            if options.json is not None:
                store(options.json, content)
    print(tables(content), end="")


def store(path: Path, content: Mapping[str, Any]) -> None:
    """Write what was measured; parts of an earlier run that this one has not stay."""
    before = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else []
    new = {result["title"] for result in content["results"]}
    kept = [result for result in before if result["title"] not in new]
    path.write_text(json.dumps({**content, "results": kept + content["results"]}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
