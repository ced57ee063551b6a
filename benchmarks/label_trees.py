"""``label_tree_linear`` beside omikuji by hand: scores, time and memory; and a corpus of very many labels.

    python benchmarks/label_trees.py run --data tibkat-gnd-en --work WORK --runs 5
    python benchmarks/label_trees.py tables --work WORK
    python benchmarks/label_trees.py check --data tibkat-gnd-en --work WORK
    python benchmarks/label_trees.py generate --labels 500000 --documents 200000 --data FOLDER
    python benchmarks/label_trees.py commands --data FOLDER --work WORK

Every stage (train, predict) of every run is a process of its own, and a line of WORK/results.jsonl; what is there is
not run again. By hand means: TfidfVectorizer with the settings of our features, a file in the format of the extreme
classification repository by ``dump_svmlight_file``, ``Model.train_on_data``, and ``Model.predict`` in a loop.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PRESETS = {
    "parabel": {},
    "bonsai": {"cluster_k": 100, "cluster_balanced": False, "max_depth": 3},
    "wide": {"collapse_every_n_layers": 5},
}
"""What differs from omikuji's defaults; by hand."""
BEAM_SIZE, CANDIDATES, KEPT = 10, 100, 5
METRICS = ("p@1", "p@3", "p@5", "ndcg@5", "psp@5")
SIDES = ("taxotext", "by hand")
INTERVAL = 0.02
"""Seconds between two looks at the memory."""


# -- measuring -----------------------------------------------------------------------------------------------------


@contextmanager
def measured(result: dict[str, Any], name: str) -> Iterator[None]:
    """Seconds and processor seconds of this process and those that it starts, and their greatest memory together."""
    ended = threading.Event()
    peak = [0]

    def look() -> None:
        while not ended.wait(INTERVAL):
            peak[0] = max(peak[0], sum(map(resident, family(os.getpid()))))  # bytes

    watcher = threading.Thread(target=look, daemon=True)
    wall, cpu = time.perf_counter(), processor_seconds()
    watcher.start()
    try:
        yield
    finally:
        result[name] = {"wall": time.perf_counter() - wall, "cpu": processor_seconds() - cpu}
        ended.set()
        watcher.join()
        result["peak"] = max(result.get("peak", 0), peak[0])


def processor_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def family(process: int) -> list[int]:
    """The process and those below it that run a program of their own; one just started still shows its parent's."""
    found = [process]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = list(map(int, tasks.read_text().split()))
                found += [child for child in children if command_of(child) != command_of(parent)]
            except OSError:
                continue
    return found


def command_of(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


# -- the two sides -------------------------------------------------------------------------------------------------


def documents(path: Path) -> tuple[list[str], list[list[str]]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows], [row["labels"] for row in rows]


def train_taxotext(data: Path, folder: Path, preset: str, threads: int, result: dict[str, Any]) -> None:
    from taxotext import Classifier, read_corpus

    corpus = read_corpus(data / "train.jsonl.gz")
    # A validation corpus is asked for; nothing is chosen with it, and both sides train on all documents.
    few = corpus.subset(range(min(100, len(corpus))))
    with measured(result, "train"):
        classifier = Classifier("label_tree_linear", preset=preset, runtime__threads=threads)
        classifier.fit(corpus, validation=few)
        classifier.save(folder, overwrite=True)


def predict_taxotext(data: Path, folder: Path, threads: int, result: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    import taxotext

    texts = documents(data / "test.jsonl.gz")[0]
    with measured(result, "load"):
        classifier = taxotext.load(folder, threads=threads)
    ids, values = [], []
    with measured(result, "predict"):
        for block in classifier.system.scores(texts):
            rows = block.scores
            for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
                order = np.argsort(-rows.data[start:end], kind="stable")[:KEPT]
                ids.append(rows.indices[start:end][order].tolist())
                values.append(rows.data[start:end][order].tolist())
    return {"labels": list(classifier.taxonomy.ids), "ranked": ids, "scores": values}


def train_by_hand(data: Path, folder: Path, preset: str, threads: int, result: dict[str, Any]) -> None:
    texts, labels = documents(data / "train.jsonl.gz")
    with measured(result, "train"):
        import joblib
        import omikuji
        from sklearn.datasets import dump_svmlight_file
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import MultiLabelBinarizer

        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, token_pattern=r"(?u)\w+")
        features = vectorizer.fit_transform(texts)
        binarizer = MultiLabelBinarizer(sparse_output=True)
        targets = binarizer.fit_transform(labels)
        folder.mkdir(parents=True, exist_ok=True)
        examples = folder / "examples.txt"
        with examples.open("wb") as file:
            file.write(f"{features.shape[0]} {features.shape[1]} {targets.shape[1]}\n".encode())
            dump_svmlight_file(features, targets, file, multilabel=True)
        hyper_parameters = omikuji.Model.default_hyper_param()
        for name, value in PRESETS[preset].items():
            setattr(hyper_parameters, name, value)
        model = omikuji.Model.train_on_data(str(examples), hyper_parameters, threads)
        model.save(str(folder / "trees"))
        joblib.dump((vectorizer, list(binarizer.classes_)), folder / "features.joblib")
        examples.unlink()


def predict_by_hand(data: Path, folder: Path, threads: int, result: dict[str, Any]) -> dict[str, Any]:
    import joblib
    import omikuji

    texts = documents(data / "test.jsonl.gz")[0]
    with measured(result, "load"):
        vectorizer, labels = joblib.load(folder / "features.joblib")
        model = omikuji.Model.load(str(folder / "trees"))
        model.init_prediction_thread_pool(threads)
    found = []
    with measured(result, "predict"):
        features = vectorizer.transform(texts)
        for row in range(features.shape[0]):
            part = slice(features.indptr[row], features.indptr[row + 1])
            pairs = zip(features.indices[part], features.data[part], strict=True)
            found.append(model.predict(pairs, BEAM_SIZE, CANDIDATES)[:KEPT])
    ranked = [[int(label) for label, _ in row] for row in found]
    return {"labels": labels, "ranked": ranked, "scores": [[score for _, score in row] for row in found]}


def one(options: argparse.Namespace) -> None:
    """What the process of one stage does; its measurements are the last line of its output."""
    result: dict[str, Any] = {}
    folder = options.work / f"{options.preset}-{options.side.replace(' ', '-')}-{options.run}"
    if options.stage == "train":
        train = train_taxotext if options.side == "taxotext" else train_by_hand
        train(options.data, folder, options.preset, options.threads, result)
        result["model bytes"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    else:
        predict = predict_taxotext if options.side == "taxotext" else predict_by_hand
        found = predict(options.data, folder, options.threads, result)
        result["metrics"] = score(options.data, found)
    print("\n" + json.dumps(result))


def score(data: Path, found: dict[str, Any]) -> dict[str, float]:
    """The same metrics for both sides; labels that the training lacks count as missed."""
    import numpy as np
    from scipy.sparse import csr_array

    from taxotext.metrics.propensity import PropensityMetrics, inverse_propensities
    from taxotext.metrics.ranking import RankingMetrics

    train, test = (documents(data / f"{split}.jsonl.gz")[1] for split in ("train", "test"))
    counts = Counter(label for row in train for label in set(row))
    index = {label: number for number, label in enumerate(sorted({*counts, *(label for row in test for label in row)}))}
    columns = [sorted({index[label] for label in row}) for row in test]
    indptr = np.cumsum([0, *map(len, columns)])
    indices = np.asarray([label for row in columns for label in row], dtype=np.int32)
    gold = csr_array((np.ones(len(indices), bool), indices, indptr), shape=(len(test), len(index)))
    ranked = np.full((len(test), KEPT), -1, dtype=np.int32)
    for row, labels in enumerate(found["ranked"]):
        ranked[row, : len(labels)] = [index[found["labels"][label]] for label in labels]
    ranking = RankingMetrics(len(index))
    ranking.update(gold, ranked)
    weights = inverse_propensities([counts[label] for label in index], len(train))
    propensity = PropensityMetrics(len(index), weights)
    propensity.update(gold, ranked)
    results = {**ranking.compute(), **propensity.compute()}
    return {name: float(results[name]) for name in METRICS}


# -- running and showing -------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    store = options.work / "results.jsonl"
    done = {key_of(row) for row in rows_of(store)}
    for number in range(options.runs):
        for preset in options.presets:
            for side in options.sides if number % 2 == 0 else reversed(options.sides):
                for stage in ("train", "predict"):
                    row = {"preset": preset, "side": side, "run": number, "stage": stage}
                    if key_of(row) in done:
                        continue
                    own = [f"--{name}={value}" for name, value in row.items()]
                    shared = [f"--data={options.data}", f"--work={options.work}", f"--threads={options.threads}"]
                    load = os.getloadavg()[0]
                    command = [sys.executable, str(Path(__file__)), "one", *own, *shared]
                    ended = subprocess.run(command, capture_output=True, text=True, check=False)
                    if ended.returncode:
                        raise SystemExit(f"{row}:\n{ended.stderr[-3000:]}")
                    row |= json.loads(ended.stdout.splitlines()[-1]) | {"load before": load}
                    with store.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    print({name: value for name, value in row.items() if name != "metrics"}, flush=True)


def rows_of(store: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.read_text(encoding="utf-8").splitlines()] if store.is_file() else []


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("preset", "side", "run", "stage"))


def tables(options: argparse.Namespace) -> None:
    rows = rows_of(options.work / "results.jsonl")
    presets = list(dict.fromkeys(row["preset"] for row in rows))

    def of(preset: str, side: str, stage: str) -> list[dict[str, Any]]:
        return [row for row in rows if (row["preset"], row["side"], row["stage"]) == (preset, side, stage)]

    print("| preset | side | runs | " + " | ".join(METRICS) + " |\n|---|---|---:|" + "---:|" * len(METRICS))
    for preset in presets:
        for side in SIDES:
            found = [row["metrics"] for row in of(preset, side, "predict")]
            if found:
                cells = [shown([100 * metrics[name] for metrics in found]) for name in METRICS]
                print(f"| {preset} | {side} | {len(found)} | " + " | ".join(cells) + " |")
    print("\n| preset | work | taxotext | by hand | ratio |\n|---|---|---:|---:|---:|")
    works = (("train", "train", "wall"), ("train", "train", "cpu"), ("predict", "predict", "wall"))
    works += (("predict", "predict", "cpu"), ("predict", "load", "wall"))
    for preset in presets:
        for stage, work, what in works:
            pair = [[row[work][what] for row in of(preset, side, stage)] for side in SIDES]
            if all(pair):
                print_ratio(preset, f"{work}, {'s' if what == 'wall' else 'CPU s'}", pair, 1)
        for stage in ("train", "predict"):
            pair = [[row["peak"] / 2**20 for row in of(preset, side, stage)] for side in SIDES]
            if all(pair):
                print_ratio(preset, f"{stage}, peak MiB", pair, 0)
        pair = [[row["model bytes"] / 1e6 for row in of(preset, side, "train")] for side in SIDES]
        if all(pair):
            print_ratio(preset, "model, MB", pair, 0)


def print_ratio(preset: str, name: str, pair: list[list[float]], digits: int) -> None:
    ours, theirs = map(statistics.median, pair)
    print(f"| {preset} | {name} | {ours:,.{digits}f} | {theirs:,.{digits}f} | {ours / theirs:.2f} |")


def shown(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def check(options: argparse.Namespace) -> None:
    """With the trees of our first run, omikuji by hand ranks as the system does."""
    import numpy as np
    import omikuji
    from sklearn.feature_extraction.text import TfidfVectorizer

    import taxotext

    texts = documents(options.data / "test.jsonl.gz")[0][: options.documents]
    for preset in options.presets:
        folder = options.work / f"{preset}-taxotext-0"
        classifier = taxotext.load(folder)
        words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\w+", vocabulary=words)
        vectorizer.idf_ = classifier.system._features.idf
        features = vectorizer.transform(texts)
        model = omikuji.Model.load(str(folder))
        different, row, largest = 0, 0, 0.0
        for block in classifier.system.scores(texts):
            for ours in block.scores:
                part = slice(features.indptr[row], features.indptr[row + 1])
                pairs = zip(features.indices[part], features.data[part], strict=True)
                theirs = dict(model.predict(pairs, BEAM_SIZE, CANDIDATES))
                found = ours.tocoo()
                mine = dict(zip(found.coords[-1].tolist(), found.data.tolist(), strict=True))
                different += mine.keys() != theirs.keys()
                shared = mine.keys() & theirs.keys()
                largest = max([largest, *(abs(mine[label] - theirs[label]) for label in shared)])
                order = [
                    sorted(shared, key=lambda label, s=scores: (-np.float32(s[label]), label))
                    for scores in (mine, theirs)
                ]
                different += order[0] != order[1]
                row += 1
        print(f"{preset}: {row} documents, {different} ranked differently, scores differ by {largest:.1e} at most")


# -- a corpus of very many labels ----------------------------------------------------------------------------------


def generate(options: argparse.Namespace) -> None:
    """Zipf labels, each with words of its own, short documents; training, validation and test files."""
    rng = random.Random(options.seed)
    labels, common = options.labels, 20_000
    cumulated = list(itertools.accumulate(1 / (rank + 20) ** 0.7 for rank in range(labels)))
    options.data.mkdir(parents=True, exist_ok=True)
    parts = {"train": options.documents, "validation": options.documents // 40, "test": options.documents // 40}
    unseen = list(range(labels))
    rng.shuffle(unseen)
    for part, count in parts.items():
        with gzip.open(options.data / f"{part}.jsonl.gz", "wt", encoding="utf-8", compresslevel=1) as file:
            for _ in range(count):
                chosen = set(rng.choices(range(labels), cum_weights=cumulated, k=rng.choice((1, 2, 2, 3))))
                if part == "train":  # so that every label has a document
                    chosen.update(unseen.pop() for _ in range(-(-labels // count)) if unseen)
                words = [f"w{label}x{rng.randrange(2)}" for label in chosen for _ in range(2)]
                words += [f"t{label % 5000}" for label in chosen]  # shared by neighbours: what a tree can cluster by
                words += [f"c{min(int(rng.paretovariate(0.8)), common)}" for _ in range(4)]
                rng.shuffle(words)
                row = {"text": " ".join(words), "labels": [f"l{label}" for label in sorted(chosen)]}
                file.write(json.dumps(row) + "\n")


def commands(options: argparse.Namespace) -> None:
    """Train, tune, evaluate and predict from the command line; seconds and memory of each."""
    options.work.mkdir(parents=True, exist_ok=True)
    model, store = options.work / "model", options.work / "commands.jsonl"
    files = {part: str(options.data / f"{part}.jsonl.gz") for part in ("train", "validation", "test")}
    own = ["features.min_documents=1", f"runtime.threads={options.threads}", "tree.one_at_a_time=true"]
    inputs = ["--train", files["train"], "--validation", files["validation"]]
    calls = {
        "train": ["train", "--model", "label_tree_linear", *inputs, "--output", str(model), *own],
        "tune": ["tune", str(model)],
        "evaluate": ["evaluate", str(model), files["test"], "--json"],
        "predict": ["predict", str(model), files["test"], "--output", str(options.work / "labels.jsonl")],
    }
    done = {row["command"] for row in rows_of(store)}
    for name, arguments in calls.items():
        if name in done:
            continue
        with (options.work / f"{name}.out").open("wb") as out, (options.work / f"{name}.err").open("wb") as err:
            started, before, peak = time.perf_counter(), processor_seconds(), 0
            process = subprocess.Popen([sys.executable, "-m", "taxotext", *arguments], stdout=out, stderr=err)
            while process.poll() is None:
                peak = max(peak, sum(map(resident, family(process.pid))))
                time.sleep(INTERVAL)
        row = {
            "command": name,
            "wall": time.perf_counter() - started,
            "cpu": processor_seconds() - before,
            "peak": peak,
        }
        if process.returncode:
            raise SystemExit(f"{name}: {(options.work / f'{name}.err').read_text(encoding='utf-8')[-3000:]}")
        with store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name}: {row['wall']:.0f} s, CPU {row['cpu']:.0f} s, {peak / 2**30:.2f} GiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "one", "tables", "check", "generate", "commands"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--labels", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--preset", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    options = parser.parse_args()
    {"run": run, "one": one, "tables": tables, "check": check, "generate": generate, "commands": commands}[
        options.what
    ](options)


if __name__ == "__main__":
    main()
