"""How the cost of a label tree grows with the labels: training, prediction, memory, size; beside flat attention.

::

    python benchmarks/extreme_growth.py run --work WORK
    python benchmarks/extreme_growth.py clusters --labels 100000 1000000 --work WORK
    python benchmarks/extreme_growth.py table --work WORK

Documents and labels are made up: random words of a vocabulary of 2,000, three random labels a document, clusters at
random, weights as they are at the start, so that only the number of labels changes. Every measurement is a process of
its own with one thread, and a line of WORK/growth.jsonl; what is there is not run again. Times are CPU times: training
steps whole (batch, loss, gradients, clipping, optimiser), prediction from the tokens to the scores of the candidates.
Memory is the peak of the process, libraries included (about 0.4 GiB).

``clusters`` builds label trees from label features of ``--features`` numbers, drawn with the frequencies of words.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import peak_memory

VARIANTS: dict[str, dict[str, Any]] = {
    "tree": {"model": "light_attention"},
    "tree, all rows": {"model": "light_attention", "head": {"sparse_updates": False}},
    "flat": {"model": "attention_xml"},
}
"""``all rows``: gradients and optimiser steps for all labels, not for the candidates only."""
LIMITS = {"flat": 100_000}
"""Labels up to which a variant is measured."""
WORDS, VOCABULARY, DOCUMENTS, BATCH, UNITS = 64, 2_000, 256, 16, 64
WARM_UP, STEPS = 2, 7
FEATURES = 100_000


def settings_of(variant: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of a system: 64 units a direction, one shared layer of 128."""
    own = dict(VARIANTS[variant])
    head = {"hidden": (128,), **own.pop("head", {})}
    if own["model"] == "light_attention":
        head |= {"name": "label_tree", "tree": {"source": "random"}}
    else:
        head |= {"name": "multi_label_attention"}
    return own["model"], {
        "text": {"max_tokens": WORDS},
        "encoder": {"name": "recurrent", "units": UNITS},
        "head": head,
        "training": {"batch_size": BATCH},
        "runtime": {"device": "cpu", "threads": 1, "precision": "float32", "check_memory": False},
    }


def train(labels: int, variant: str, folder: Path) -> dict[str, Any]:
    """Build, take steps, predict, and save the model for :func:`predict`."""
    import numpy as np
    import torch

    from taxotext import Corpus, Taxonomy
    from taxotext.models.registry import find
    from taxotext.settings import parse_settings
    from taxotext.training.loader import TrainingLoader
    from taxotext.training.module import TextModule

    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, VOCABULARY, WORDS)) for _ in range(DOCUMENTS)]
    gold = [[str(label) for label in rng.integers(0, labels, 3)] for _ in range(DOCUMENTS)]
    result: dict[str, Any] = {}
    taxonomy = timed(result, "taxonomy", lambda: Taxonomy.flat(map(str, range(labels))))
    corpus = Corpus.from_lists(texts, gold, taxonomy)
    name, values = settings_of(variant)
    kind: Any = find(name)
    torch.manual_seed(0)
    system = kind(parse_settings(kind.Settings, values), taxonomy)
    system.runtime()  # threads and memory as in a training
    timed(result, "build", lambda: system.build(corpus))
    windows = system.windows(corpus.texts)
    loader = TrainingLoader(
        windows, corpus.known_targets, None, batch_size=BATCH, epochs=1, seed=0, pad_id=system.tokenizer.pad_id
    )
    module = TextModule(system.network.train(), system.settings.training, 0, 100)
    optimizer = module.configure_optimizers()["optimizer"]
    batches = iter(loader)

    def step() -> None:
        optimizer.zero_grad()
        module.training_step(next(batches), 1).backward()
        module.configure_gradient_clipping(optimizer, 1.0)
        optimizer.step()

    result["step"] = repeated(step, WARM_UP, STEPS if variant != "flat" or labels <= 10_000 else 2)
    result["peak_train"] = peak_memory()
    result["parameters"] = sum(parameter.numel() for parameter in system.network.parameters())
    folder.mkdir(parents=True, exist_ok=True)
    system.save_parts(folder)
    (folder / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    result["bytes"] = sum(path.stat().st_size for path in folder.iterdir())
    return result


def predict(labels: int, variant: str, folder: Path) -> dict[str, Any]:
    """Load the model and score documents, in batches and one by one."""
    import numpy as np
    import torch  # noqa: F401  # before loading is timed

    from taxotext import Taxonomy
    from taxotext.models.registry import find
    from taxotext.nn.tree_head import LabelTreeHead  # noqa: F401  # before loading is timed
    from taxotext.settings import parse_settings

    name, values = settings_of(variant)
    kind: Any = find(name)
    taxonomy = Taxonomy.flat(map(str, range(labels)))
    result: dict[str, Any] = {"peak_before": peak_memory()}
    system = timed(result, "load", lambda: kind.load_parts(folder, parse_settings(kind.Settings, values), taxonomy))
    result["peak_loaded"] = peak_memory()
    rng = np.random.default_rng(1)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, VOCABULARY, WORDS)) for _ in range(DOCUMENTS)]
    few = 2 * BATCH if variant == "flat" else DOCUMENTS
    windows, runtime = system.windows(texts[:few]), system.runtime()
    of_one = [system.windows([text]) for text in texts[:20]]
    found = repeated(lambda: list(system.score_windows(windows, runtime)), 1, 3)
    result["predict"] = found / few
    result["predict_one"] = repeated(lambda: [list(system.score_windows(one, runtime)) for one in of_one], 1, 3) / 20
    result["peak_predict"] = peak_memory()
    return result


def clusters(labels: int, features: int) -> dict[str, Any]:
    """A label tree from sparse features of the labels."""
    import numpy as np
    from scipy.sparse import csr_array

    from taxotext.labels.clustering import balanced_clusters, unit_rows
    from taxotext.labels.label_tree import tree_of_clusters

    rng = np.random.default_rng(0)
    columns = ((rng.pareto(0.8, labels * features) * 20) % FEATURES).astype(np.int32)
    starts = np.arange(0, labels * features + 1, features)
    values = rng.random(len(columns), dtype=np.float32)
    rows = csr_array((values, columns, starts), shape=(labels, FEATURES))
    rows.sum_duplicates()
    rows = unit_rows(rows)
    del columns, values
    result: dict[str, Any] = {"numbers": rows.nnz / labels, "peak_before": peak_memory()}
    wall = time.perf_counter()
    found = timed(result, "clusters", lambda: balanced_clusters(rows, 8))
    tree = timed(result, "tree", lambda: tree_of_clusters(found))
    result |= {"wall": time.perf_counter() - wall, "nodes": list(tree.nodes), "peak": peak_memory()}
    sizes = np.bincount(found)
    result["sizes"] = [int(sizes.min()), int(sizes.max())]
    return result


def timed(result: dict[str, Any], name: str, work: Callable[[], Any]) -> Any:
    before = time.process_time()
    found = work()
    result[name] = time.process_time() - before
    return found


def repeated(work: Callable[[], Any], warm_up: int, times: int) -> float:
    """Median CPU seconds of a call."""
    found = []
    for _ in range(warm_up + times):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return statistics.median(found[warm_up:])


# -- running and showing ---------------------------------------------------------------------------------------------


def rows_of(store: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.read_text(encoding="utf-8").splitlines()] if store.is_file() else []


def measure(options: argparse.Namespace, stages: list[tuple[str, str, int]]) -> None:
    """Run what is not there yet: (stage, variant, labels)."""
    options.work.mkdir(parents=True, exist_ok=True)
    store = options.work / "growth.jsonl"
    for stage, variant, labels in stages:
        if any((row["stage"], row["variant"], row["labels"]) == (stage, variant, labels) for row in rows_of(store)):
            continue
        command = [sys.executable, str(Path(__file__)), "one", "--work", str(options.work), "--labels", str(labels)]
        command += ["--stage", stage, "--variants", variant, "--features", str(options.features)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            print(f"{stage}, {variant}, {labels:,} labels: status {done.returncode}\n{done.stderr[-2000:]}", flush=True)
            continue
        row = {"stage": stage, "variant": variant, "labels": labels, **json.loads(done.stdout.splitlines()[-1])}
        with store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


def one(options: argparse.Namespace) -> None:
    """What the process of a measurement does."""
    (labels,), (variant,) = options.labels, options.variants
    folder = options.work / f"{variant.replace(', ', '-').replace(' ', '-')}-{labels}"
    if options.stage == "clusters":
        result = clusters(labels, options.features)
    else:
        result = (train if options.stage == "train" else predict)(labels, variant, folder)
    print("\n" + json.dumps(result))


def table(options: argparse.Namespace) -> None:
    rows = rows_of(options.work / "growth.jsonl")
    found = {(row["stage"], row["variant"], row["labels"]): row for row in rows}
    print(
        "| system | labels | training step, ms | peak in training, GiB | prediction, ms a document | one by one, ms |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    keys = [(variant, labels) for stage, variant, labels in found if stage == "train"]
    for variant, labels in keys:
        trained, used = found["train", variant, labels], found.get(("predict", variant, labels), {})
        cells = [f"{1000 * trained['step']:,.0f}", f"{trained['peak_train'] / 2**30:.2f}"]
        cells += [f"{1000 * used[name]:.2f}" if used else "" for name in ("predict", "predict_one")]
        print(f"| {variant} | {labels:,} | " + " | ".join(cells) + " |")
    print("\n| system | labels | weights, million | model, MB | loading, CPU s | peak of loading and prediction, GiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for variant, labels in keys:
        trained, used = found["train", variant, labels], found.get(("predict", variant, labels), {})
        cells = [f"{trained['parameters'] / 1e6:,.1f}", f"{trained['bytes'] / 1e6:,.0f}"]
        cells += [f"{used['load']:.2f}", f"{used['peak_predict'] / 2**30:.2f}"] if used else ["", ""]
        print(f"| {variant} | {labels:,} | " + " | ".join(cells) + " |")
    print("\n| labels | features of a label | nodes | clusters, CPU s | peak, GiB | of that the features, GiB |")
    print("|---:|---:|---|---:|---:|---:|")
    for (stage, _, labels), row in found.items():
        if stage == "clusters":
            nodes = " > ".join(f"{count:,}" for count in row["nodes"])
            peaks = [f"{row[name] / 2**30:.2f}" for name in ("peak", "peak_before")]
            print(f"| {labels:,} | {row['numbers']:.0f} | {nodes} | {row['clusters']:.1f} | {' | '.join(peaks)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "clusters", "table", "one"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--features", type=int, default=50, help="Numbers of a label, for clusters.")
    parser.add_argument("--stage", choices=("train", "predict", "clusters"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what == "one":
        one(options)
    elif options.what == "table":
        table(options)
    elif options.what == "clusters":
        measure(options, [("clusters", "tree", labels) for labels in options.labels])
    else:
        pairs = [(variant, labels) for variant in options.variants for labels in options.labels]
        pairs = [pair for pair in pairs if pair[1] <= LIMITS.get(pair[0], pair[1])]
        measure(options, [(stage, *pair) for pair in pairs for stage in ("train", "predict")])


if __name__ == "__main__":
    main()
