r"""napkinXC and Annif's MLLM on the files of a corpus, each in an environment of its own; the same metrics for all.

::

    python -m venv napkin && napkin/bin/pip install napkinxc scikit-learn
    python -m venv annif && annif/bin/pip install annif
    python benchmarks/extreme_peers.py run --train train.jsonl --test test.jsonl.gz --names labels.tsv \
        --napkinxc napkin/bin/python --annif annif/bin/python --work WORK
    python benchmarks/extreme_peers.py models MODEL ... --train train.jsonl --test test.jsonl.gz --work WORK
    python benchmarks/extreme_peers.py table --train train.jsonl --test test.jsonl.gz --work WORK

``run`` starts this file with the interpreter of the peer, which trains, ranks ten labels for each test document, and
writes them to WORK/NAME.json with CPU seconds, peak memory (with child processes, the larger of the two) and the size
of the model. ``models`` does the same with trained models of Taxotext, without the training. A peer whose file is there
is not run again. Nothing but the standard library is imported before the peer is known.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEPT = 10
NAPKINXC: dict[str, dict[str, Any]] = {
    "napkinxc": {"tree_type": "hierarchicalKmeans", "max_leaves": 100, "arity": 2},
    "napkinxc, 3 trees": {"tree_type": "hierarchicalKmeans", "max_leaves": 100, "arity": 2, "ensemble": 3},
}
"""Trees as Parabel's; all else napkinXC's defaults (logistic loss)."""
ANNIF = """[mllm]
name=mllm
language=en
backend=mllm
vocab=subjects
analyzer=snowball(english)
limit={kept}
"""
METRICS = ("p@1", "p@3", "p@5", "ndcg@5", "ndcg@10", "r@10", "psp@5")


def documents(path: Path) -> tuple[list[str], list[list[str]]]:
    """Texts and label ids of a JSONL file, plain or gzip."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [json.loads(line) for line in data.splitlines()]
    return [row["text"] for row in rows], [row["labels"] for row in rows]


@contextmanager
def measured(result: dict[str, Any], name: str) -> Iterator[None]:
    """Seconds, CPU seconds and peak MiB of this process and of those that it has started."""
    wall, before = time.perf_counter(), _usage()[0]
    yield
    cpu, peak = _usage()
    result[name] = {"wall": time.perf_counter() - wall, "cpu": cpu - before, "peak_mib": peak / 1024}


def _usage() -> tuple[float, int]:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used), max(one.ru_maxrss for one in used)


def size_of(folder: Path) -> float:
    """Megabytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


# -- peers -----------------------------------------------------------------------------------------------------------


def napkinxc(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A probabilistic label tree on the TF-IDF features of the other linear systems."""
    from napkinxc.models import PLT
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, labels = documents(options.train)
    test = documents(options.test)[0]
    ids = sorted({label for row in labels for label in row})
    number = {label: place for place, label in enumerate(ids)}
    result: dict[str, Any] = {}
    folder = options.work / name.replace(", ", "-").replace(" ", "-")
    with measured(result, "train"):
        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, token_pattern=r"(?u)\w+")
        features = vectorizer.fit_transform(texts).astype("float32")
        model = PLT(str(folder), threads=1, seed=13, **NAPKINXC[name])
        model.fit(features, [[number[label] for label in row] for row in labels])
    result["model_mb"] = size_of(folder)
    model.unload()
    model.load()
    with measured(result, "predict"):
        found = model.predict_proba(vectorizer.transform(test).astype("float32"), top_k=KEPT)
    result["ranked"] = [[ids[label] for label, _ in row] for row in found]
    return result


def mllm(options: argparse.Namespace) -> dict[str, Any]:
    """Annif's lexical matcher, by its command line."""
    import nltk
    from nltk.tokenize.punkt import PunktTrainer, save_punkt_params

    work = (options.work / "mllm").absolute()
    sentences = work / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
    sentences.mkdir(parents=True, exist_ok=True)
    texts, labels = documents(options.train)
    # NLTK's model of sentences is a download; one of the same kind is learned from some of the texts instead.
    trainer = PunktTrainer("\n".join(texts[:5000]))
    save_punkt_params(trainer.get_params(), str(sentences))
    environment = os.environ | {"NLTK_DATA": str(work / "nltk_data"), "ANNIF_DATADIR": str(work / "data")}
    nltk.data.path.insert(0, str(work / "nltk_data"))
    (work / "projects.cfg").write_text(ANNIF.format(kept=KEPT), encoding="utf-8")
    with options.names.open(encoding="utf-8") as file:
        named = dict(line.rstrip("\n").split("\t")[:2] for line in file if line.strip())
    known = {label for label, name in named.items() if name}  # others cannot be matched, and Annif refuses them
    lines = [f"<{label}>\t{named[label]}\n" for label in sorted(known)]
    (work / "subjects.tsv").write_text("".join(lines), encoding="utf-8")
    _annif_corpus(work / "train.jsonl", texts, labels, known)
    test = documents(options.test)[0]
    _annif_corpus(work / "test.jsonl", test)

    def annif(*arguments: str) -> None:
        program = Path(sys.executable).with_name("annif")
        subprocess.run([str(program), *arguments], cwd=work, env=environment, check=True)

    result: dict[str, Any] = {}
    with measured(result, "train"):
        annif("load-vocab", "--language", "en", "--force", "subjects", "subjects.tsv")
        annif("train", "--jobs", "1", "mllm", "train.jsonl")
    result["model_mb"] = size_of(work / "data" / "projects")
    with measured(result, "predict"):
        annif("index", "--force", "--limit", str(KEPT), "--output", "found.jsonl", "mllm", "test.jsonl")
    with (work / "found.jsonl").open(encoding="utf-8") as file:
        found = {int(row["document_id"]): row["results"] for row in map(json.loads, file)}
    result["ranked"] = [[one["uri"] for one in found[number]] for number in range(len(test))]
    return result


def _annif_corpus(
    path: Path, texts: Sequence[str], labels: Sequence[Sequence[str]] = (), known: Collection[str] = ()
) -> None:
    """Write a corpus; without labels, it has no ``subjects``: Annif skips documents whose subjects are empty."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            subjects = {"subjects": [{"uri": label} for label in labels[number] if label in known]} if labels else {}
            file.write(json.dumps({"document_id": str(number), "text": text, **subjects}) + "\n")


def taxotext_model(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Rank with a trained model, in one thread."""
    import numpy as np

    import taxotext

    result: dict[str, Any] = {"model_mb": size_of(folder)}
    test = documents(options.test)[0]
    classifier = taxotext.load(folder, threads=1)
    ids, rows = classifier.taxonomy.ids, []
    with measured(result, "predict"):
        for block in classifier.system.scores(test):
            for place in range(len(block)):
                labels, scores = block.row(place)
                rows.append([ids[label] for label in labels[np.lexsort((labels, -scores))[:KEPT]].tolist()])
    result["ranked"] = rows
    return result


# -- metrics ---------------------------------------------------------------------------------------------------------


def table(options: argparse.Namespace) -> None:
    """Metrics and cost of what was ranked; labels that no training document has count as missed where they are."""
    import numpy as np
    from scipy.sparse import csr_array

    from taxotext.metrics.propensity import PropensityMetrics, inverse_propensities
    from taxotext.metrics.ranking import RankingMetrics

    train, gold_rows = documents(options.train)[1], documents(options.test)[1]
    every = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(options.work.glob("*.json"))}
    index: dict[str, int] = {}
    for row in (*train, *gold_rows, *(row for found in every.values() for row in found["ranked"])):
        for label in row:
            index.setdefault(label, len(index))
    counts = np.zeros(len(index), np.int64)
    np.add.at(counts, [index[label] for row in train for label in set(row)], 1)
    indices = [sorted({index[label] for label in row}) for row in gold_rows]
    gold = csr_array(
        (np.ones(sum(map(len, indices)), bool), np.concatenate(indices), np.cumsum([0, *map(len, indices)])),
        shape=(len(indices), len(index)),
    )
    unseen = counts[gold.indices] == 0
    print(
        "| system | " + " | ".join(METRICS) + " | r@10, unseen labels | train, CPU s | ms a document | peak MiB | MB |"
    )
    print("|---|" + "---:|" * (len(METRICS) + 5))
    for name, found in every.items():
        ranked = np.full((len(indices), KEPT), -1, np.int64)
        for place, row in enumerate(found["ranked"]):
            ranked[place, : len(row)] = [index[label] for label in row]
        ranking = RankingMetrics(len(index), ks=(1, 3, 5, 10))
        ranking.update(gold, ranked)
        propensity = PropensityMetrics(len(index), inverse_propensities(counts, len(train)))
        propensity.update(gold, ranked)
        values = {**ranking.compute(), **propensity.compute()}
        rows = np.repeat(np.arange(len(indices)), np.diff(gold.indptr))
        hit = (ranked[rows] == gold.indices[:, None]).any(1)
        cost = found.get("train", {}).get("cpu", math.nan)
        peak = max(found[part]["peak_mib"] for part in ("train", "predict") if part in found)
        cells = [f"{100 * float(values[metric]):.2f}" for metric in METRICS]
        cells += [f"{100 * hit[unseen].mean():.2f}", "" if math.isnan(cost) else f"{cost:,.0f}"]
        cells += [f"{1000 * found['predict']['cpu'] / len(indices):.1f}", f"{peak:,.0f}", f"{found['model_mb']:.0f}"]
        print(f"| {name} | " + " | ".join(cells) + " |")


def run(options: argparse.Namespace) -> None:
    """Start each peer with its interpreter."""
    peers = dict.fromkeys(NAPKINXC, options.napkinxc) | {"mllm": options.annif}
    for name, interpreter in peers.items():
        if interpreter is None or (options.work / f"{name}.json").is_file():
            continue
        shared = [f"--{key}={getattr(options, key)}" for key in ("train", "test", "work")]
        if options.names:
            shared.append(f"--names={options.names}")
        subprocess.run([str(interpreter), str(Path(__file__)), "one", name, *shared], check=True)


def one(name: str, options: argparse.Namespace) -> None:
    """What the process of a peer does."""
    found = mllm(options) if name == "mllm" else napkinxc(name, options)
    (options.work / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")
    print(name, {part: value for part, value in found.items() if part != "ranked"}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "one", "models", "table"))
    parser.add_argument("which", nargs="*", help="Peer, or folders of models.")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--names", type=Path, help="TSV: label id and name.")
    parser.add_argument("--napkinxc", type=Path, help="Python of the environment of napkinXC.")
    parser.add_argument("--annif", type=Path, help="Python of the environment of Annif.")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.what == "run":
        run(options)
    elif options.what == "one":
        one(options.which[0], options)
    elif options.what == "models":
        for folder in map(Path, options.which):
            found = taxotext_model(folder, options)
            (options.work / f"{folder.name}.json").write_text(json.dumps(found), encoding="utf-8")
    else:
        table(options)


if __name__ == "__main__":
    main()
