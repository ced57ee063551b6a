"""An exported model beside the model it was made from and beside Hugging Face's pipeline: speed, start, memory, F1.

    python benchmarks/onnx_export.py MODEL TEST.jsonl.gz --work /tmp/onnx

MODEL is a `bert` model; its copy cuts texts at --tokens. All competitors have one thread and take turns in processes of
their own. Cold start is a process that imports, loads, and answers one short text.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measuring import Case, Timings, machine, measure, peak_memory, run_one, stopwatch, table

INT8, FLOAT, TORCH = "onnx int8", "onnx float32", "torch float32"
PIPELINE, PIPELINE_ONE = "HF pipeline, batches of 8", "HF pipeline, one text at a time"
FOLDERS = {INT8: "int8", FLOAT: "float32", TORCH: "model", PIPELINE: "hf", PIPELINE_ONE: "hf"}
WARM_UP = 8
STARTED_ON = "Oil prices rose as OPEC cut output"


def prepare(options: argparse.Namespace) -> None:
    """A copy of the model that cuts at --tokens, its exports, and the documents."""
    import taxotext
    from taxotext.api.reading import read_for_model

    work: Path = options.work
    if (work / "texts.json").exists():
        return
    shutil.copytree(options.model, work / "model", dirs_exist_ok=True)
    config = json.loads((work / "model/config.json").read_text(encoding="utf-8"))
    config["settings"]["text"]["max_tokens"] = options.tokens
    (work / "model/config.json").write_text(json.dumps(config), encoding="utf-8")
    for name, flags in {"float32": ["--to", "onnx"], "int8": ["--to", "onnx", "--int8"], "hf": ["--to", "hf"]}.items():
        command = [sys.executable, "-m", "taxotext", "export", str(work / "model"), *flags, "-o", str(work / name)]
        subprocess.run([*command, "--overwrite"], check=True)
    model = taxotext.load(work / "model")
    corpus = read_for_model(model, options.data)
    lengths = model.system.tokenizer.count(corpus.texts)
    long = [text for text, length in zip(corpus.texts, lengths, strict=True) if length >= options.tokens]
    ids, rows = model.taxonomy.ids, corpus.targets[: options.documents]
    gold = [[ids[label] for label in rows[[row]].indices if label < len(ids)] for row in range(rows.shape[0])]
    content = {"as they are": list(corpus.texts[: options.documents]), "long": long[: options.timed], "gold": gold}
    (work / "texts.json").write_text(json.dumps(content), encoding="utf-8")


def ready(name: str, options: argparse.Namespace, texts: list[str]) -> Callable[[], list[list[str]]]:
    """Load a competitor; what it gives predicts the labels of the texts, a pipeline those that score more than 0.5."""
    folder = options.work / FOLDERS[name]
    if FOLDERS[name] != "hf":
        import taxotext

        model = taxotext.load(folder, threads=options.threads, device="cpu")
        return lambda: model.predict(texts)
    import torch
    from transformers import pipeline

    torch.set_num_threads(options.threads)
    scorer = pipeline("text-classification", str(folder), top_k=None, trust_remote_code=True, device="cpu")
    size = 8 if name == PIPELINE else 1

    def predict() -> list[list[str]]:
        found = scorer(texts, truncation=True, batch_size=size)
        return [[row["label"] for row in rows if row["score"] > 0.5] for rows in found]

    return predict


def competitors(options: argparse.Namespace, kind: str) -> Case:
    texts = json.loads((options.work / "texts.json").read_text(encoding="utf-8"))[kind]

    def run(name: str, warming: bool) -> Timings:
        timings: Timings = {}
        predict = ready(name, options, texts[:WARM_UP] if warming else texts)
        with stopwatch(timings, "prediction"):
            found = predict()
        if not warming:
            (options.work / f"{name} {kind}.json").write_text(json.dumps(found), encoding="utf-8")
        return timings

    title = f"{len(texts)} documents {'of' if kind == 'long' else 'up to'} {options.tokens} tokens"
    return Case(title, {"prediction": len(texts)}, {name: (lambda w, n=name: run(n, w)) for name in FOLDERS})


def start_once(name: str, options: argparse.Namespace) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    predict = ready(name, options, [STARTED_ON])
    predict()
    taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "megabytes": peak_memory() / 1e6}
    print(json.dumps(taken))


def quality(options: argparse.Namespace) -> str:
    """Micro-F1 on the documents as they are, and how many label sets are those of torch."""
    gold = [set(row) for row in json.loads((options.work / "texts.json").read_text(encoding="utf-8"))["gold"]]
    count = len(json.loads((options.work / "model/taxonomy.json").read_text(encoding="utf-8"))["labels"])
    found = {
        name: [set(row) for row in json.loads((options.work / f"{name} as they are.json").read_text(encoding="utf-8"))]
        for name in FOLDERS
    }
    lines = ["| competitor | micro-F1 | equal decisions | equal label sets |", "|---|---:|---:|---:|"]
    for name, rows in found.items():
        hits = sum(len(row & right) for row, right in zip(rows, gold, strict=True))
        f1 = 2 * hits / (sum(map(len, rows)) + sum(map(len, gold)))
        apart = [len(row ^ other) for row, other in zip(rows, found[TORCH], strict=True)]
        decisions = 1 - sum(apart) / (len(rows) * count)
        lines.append(f"| {name} | {100 * f1:.2f} | {decisions:.3%} | {apart.count(0) / len(rows):.1%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for exports and answers")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--documents", type=int, default=500, help="of the test file, for micro-F1")
    parser.add_argument("--timed", type=int, default=96, help="documents of full length")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--start", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.start:
        start_once(options.start, options)
        return
    if not options.only:
        options.work.mkdir(parents=True, exist_ok=True)
        prepare(options)
    cases = [competitors(options, "long"), competitors(options, "as they are")]
    if options.only:
        run_one(cases, *options.only)
        return
    print(json.dumps(machine()))
    print(table([measure(cases[0], options.repeats), measure(cases[1], 1)]))
    print(quality(options))
    for name in (INT8, FLOAT, TORCH, PIPELINE):
        runs = []
        for _ in range(options.repeats):
            command = [sys.executable, *sys.argv, "--start", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        medians = {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}
        print(f"start of {name}: {medians}")
    sizes = {name: sum(path.stat().st_size for path in (options.work / name).iterdir()) for name in ("int8", "float32")}
    print({name: f"{size / 1e6:.1f} MB" for name, size in sizes.items()})


if __name__ == "__main__":
    main()
