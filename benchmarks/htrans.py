"""Cost of HTrans: its recipe beside a plain loop, prediction with all labels at once, and growth with the labels.

See benchmarks/README.md for what is compared and how to run it.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import REMARK, Case, Taken, Timings, machine, measure, run_one, table
from some_labels import with_labels
from torch import Tensor, nn

from taxotext.api.fitting import held_out_part
from taxotext.data import Corpus, read_corpus
from taxotext.data.batches import make_batch
from taxotext.labels import read_taxonomy
from taxotext.models.htrans import HTrans
from taxotext.progress import Silent
from taxotext.store import Manifest, save_folder
from taxotext.training import RunFolder, fit

GRID, HALVING, PLAIN = "Taxotext, grid", "Taxotext, halving", "plain loop over a grid"
STACKED, SINGLY = "Taxotext, all labels at once", "one label after the other"
CANDIDATES = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 50.0)
EPOCHS, PATIENCE, BATCH, TOKENS, UNITS, RATE = 10, 3, 128, 100, 96, 3e-3


@dataclass(frozen=True)
class Options:
    """What is measured."""

    data: Path
    documents: int
    labels: int
    threads: int
    seed: int = 13


@contextmanager
def stopwatch(timings: Timings, name: str) -> Iterator[None]:
    """Time on the clock, and of this process and the children that have ended."""

    def used() -> float:
        here, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return here.ru_utime + here.ru_stime + children.ru_utime + children.ru_stime

    wall, cpu = time.perf_counter(), used()
    yield
    timings[name] = Taken(time.perf_counter() - wall, used() - cpu)


def few_labels(options: Options, labels: int) -> tuple[Corpus, Corpus]:
    """Training and validation documents with the first ``labels`` labels in topological order."""
    taxonomy = read_taxonomy(options.data / "hierarchy.tsv")
    corpus = read_corpus(options.data / "train.jsonl.gz", taxonomy)
    step = max(1, len(corpus) // options.documents)
    corpus = corpus.subset(range(0, step * options.documents, step))
    return held_out_part(with_labels(corpus, taxonomy.order[:labels].tolist()), 0.15, options.seed)


def untrained(train: Corpus, options: Options, precision: str = "float32", **sections: Any) -> HTrans:
    values = {
        "seed": options.seed,
        "runtime": {"device": "cpu", "precision": precision, "threads": options.threads},
        "encoder": {"units": UNITS},
        "text": {"max_tokens": TOKENS},
        "training": {"epochs": EPOCHS, "patience": PATIENCE, "batch_size": BATCH},
        **sections,
    }
    return HTrans(HTrans.Settings.model_validate(values), train.taxonomy)


# -- fits ------------------------------------------------------------------------------------------------------


def fit_ours(options: Options, search: str, warming_up: bool) -> Timings:
    train, validation = few_labels(options, options.labels)
    chosen = {"search": search, "candidates": CANDIDATES[:1] if warming_up else CANDIDATES}
    if warming_up:
        train = train.subset(range(64))
    system = untrained(train, options, weights=chosen, precision="auto")
    timings: Timings = {}
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run", {})
        with stopwatch(timings, "fitting"):
            result = fit(system, train, validation, run)
    print(f"{REMARK}{result.notes['fitted_epochs']} epochs", file=sys.stderr)
    return timings


class PlainNetwork(nn.Module):
    """The classifier of the paper as one writes it down."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 100, padding_idx=0)
        self.gru = nn.GRU(100, UNITS, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.4)
        self.projection = nn.Linear(2 * UNITS, 2 * UNITS)
        self.context = nn.Parameter(torch.empty(2 * UNITS).uniform_(-0.1, 0.1))
        self.output = nn.Linear(6 * UNITS, 1)

    def forward(self, ids: Tensor) -> Tensor:
        mask = ids != 0
        mask[:, 0] = True
        states = self.dropout(self.gru(self.embedding(ids))[0])
        scores = torch.tanh(self.projection(states)) @ self.context
        weights = torch.softmax(scores.masked_fill(~mask, -1e9), 1)
        attended = (weights.unsqueeze(-1) * states).sum(1)
        most = states.masked_fill(~mask.unsqueeze(-1), -1e9).amax(1)
        mean = (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        logits: Tensor = self.output(torch.cat([attended, most, mean], 1)).squeeze(1)
        return logits


def fit_plainly(options: Options, warming_up: bool) -> Timings:
    """One process, every text padded to 100 words, one fit after the other."""
    train, validation = few_labels(options, options.labels)
    if warming_up:
        train = train.subset(range(64))
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    timings: Timings = {}
    with stopwatch(timings, "fitting"):
        system = untrained(train, options)
        system.build(train)
        words = len(system.tokenizer)
        ids, gold = _padded(system, train)
        held_ids, held_gold = _padded(system, validation)
        chosen: dict[int, PlainNetwork] = {}
        epochs = 0
        for label in train.taxonomy.order.tolist():
            parents = train.taxonomy.parents(label).tolist()
            best, best_f1 = None, -1.0
            for weight in CANDIDATES[:1] if warming_up else CANDIDATES:
                network = copy.deepcopy(chosen[parents[0]]) if parents else PlainNetwork(words)
                if parents:
                    network.output.reset_parameters()
                    network.embedding.requires_grad_(False)
                f1, trained = _fit_one(network, ids, gold[:, label], held_ids, held_gold[:, label], weight)
                epochs += trained
                if f1 > best_f1:
                    best, best_f1 = network, f1
            assert best is not None
            chosen[label] = best
    print(f"{REMARK}{epochs} epochs", file=sys.stderr)
    return timings


def _padded(system: HTrans, corpus: Corpus) -> tuple[Tensor, Tensor]:
    windows = system.windows(corpus.texts)
    ids = torch.zeros(len(corpus), TOKENS, dtype=torch.long)
    for row in range(len(corpus)):
        found = windows.tokens[row]
        ids[row, : len(found)] = torch.from_numpy(found.astype(np.int64))
    return ids, torch.from_numpy(corpus.known_targets.toarray().astype(np.float32))


def _fit_one(
    network: PlainNetwork, ids: Tensor, gold: Tensor, held: Tensor, held_gold: Tensor, weight: float
) -> tuple[float, int]:
    """Best validation F1, and epochs; of equal F1 the smaller loss counts as better, as in the recipe."""
    rest = [
        value for name, value in network.named_parameters() if not name.startswith("output") and value.requires_grad
    ]
    optimiser = torch.optim.Adam([*network.output.parameters(), *rest], lr=RATE)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight))
    best, state, waited = (-1.0, 0.0), copy.deepcopy(network.state_dict()), 0
    trained = 0
    while trained < EPOCHS and waited < PATIENCE:
        trained += 1
        network.train()
        for batch in torch.randperm(len(ids)).split(BATCH):
            optimiser.zero_grad()
            loss_of(network(ids[batch]), gold[batch]).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            logits = torch.cat([network(part) for part in held.split(BATCH)])
        said = logits > 0
        f1 = float(2 * (said & (held_gold > 0)).sum() / max(float(said.sum() + held_gold.sum()), 1))
        now = (f1, -float(loss_of(logits, held_gold)))
        if now > best:
            best, state, waited = now, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
    network.load_state_dict(state)
    return best[0], trained


# -- prediction ------------------------------------------------------------------------------------------------


def random_model(options: Options, labels: int) -> tuple[HTrans, Corpus]:
    """A model of ``labels`` labels with random weights; its cost is that of a trained one."""
    train, _ = few_labels(options, labels)
    system = untrained(train, options)
    torch.manual_seed(options.seed)
    system.build(train)
    shape = system._one().own_state()
    vectors: Any = system.built.module
    each = {name: 0.1 * torch.randn(len(train.taxonomy), *value.shape) for name, value in shape.items()}
    fits = [{"weight": 1.0}] * len(train.taxonomy)
    system.take([vectors.embedding.weight.data], torch.zeros(len(train.taxonomy), dtype=torch.int64), each, fits)
    return system, train


def predict(options: Options, how: str, warming_up: bool) -> Timings:
    """Logits of single texts, token ids given."""
    system, corpus = random_model(options, options.labels)
    system.runtime()
    networks: Any = system.network.eval()
    compute = networks.stacked if how == STACKED else networks.one_by_one
    windows = system.windows(corpus.texts)
    timings: Timings = {}
    with torch.inference_mode(), stopwatch(timings, "prediction, batch 1"):
        for row in range(5 if warming_up else 50):
            batch = make_batch(windows, np.asarray([row]), system.tokenizer.pad_id)
            compute(*(torch.from_numpy(part) for part in (batch.ids, batch.mask, batch.owner)), 1)
    return timings


# -- growth ----------------------------------------------------------------------------------------------------


def grow(options: Options, labels: int) -> dict[str, Any]:
    """Fits, seconds, memory and disk of a training with so many labels."""
    train, validation = few_labels(options, labels)
    system = untrained(train, options)
    with tempfile.TemporaryDirectory() as place:
        run = RunFolder(Path(place) / "model.run", {})
        began = time.perf_counter()
        watch = _Disk(run.folder)
        result = fit(system, train, validation, run, watch)
        seconds = time.perf_counter() - began
        folder = Path(place) / "model"
        half = Path(place) / "half"
        facts = {**system.facts(), **result.notes}
        manifest = Manifest(
            decoding=system.settings.decoding, trained_on={}, facts=facts, metrics={}, seen=[0] * labels, held_out=None
        )
        save_folder(folder, system, manifest)
        system.settings = system.settings.model_copy(update={"storage": "float16"})
        save_folder(half, system, manifest)
        tables = sum(table.numel() for table in system.network.tables)  # type: ignore[attr-defined]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return {
            "labels": labels,
            "fits": result.notes["fits"],
            "epochs": result.notes["fitted_epochs"],
            "seconds": round(seconds, 1),
            "seconds_of_fits": result.notes["fit_seconds"],
            "main_process_mb": peak // 1024,
            "largest_worker_mb": workers // 1024,
            "run_folder_mb": round(watch.peak / 1e6, 1),
            "model_mb": round(_size(folder) / 1e6, 1),
            "half_model_mb": round(_size(half) / 1e6, 1),
            "embeddings_mb": round(4 * tables / 1e6, 1),
        }


class _Disk(Silent):
    """A reporter that looks how large the run folder is whenever a fit is done."""

    def __init__(self, folder: Path) -> None:
        self.peak, self._folder = 0, folder

    def note(self, sentence: str) -> None:
        self._look()

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Any]:
        yield self

    def advance(self, amount: int = 1) -> None:
        self._look()

    def show(self, **fields: float | str) -> None:
        pass

    def _look(self) -> None:
        self.peak = max(self.peak, _size(self._folder))


def _size(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        try:
            sizes += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # a temporary file that has gone since
            continue
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl.gz and hierarchy.tsv")
    parser.add_argument("--documents", type=int, default=800, help="training and validation documents of the fits")
    parser.add_argument("--labels", type=int, default=6, help="labels of the fits")
    parser.add_argument("--predicted", type=int, default=69, help="labels of the prediction")
    parser.add_argument("--grow", type=int, nargs="*", default=[10, 40, 160], help="numbers of labels of the growth")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--what", nargs="*", default=["fits", "prediction", "growth"])
    parser.add_argument("--json", type=Path, help="where results go")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = Options(given.data, given.documents, given.labels, given.threads)
    many = Options(given.data, given.documents, given.predicted, given.threads)
    cases = [
        Case(
            f"{options.labels} labels, {options.documents} documents",
            {"fitting": options.documents},
            {
                HALVING: lambda warming: fit_ours(options, "halving", warming),
                GRID: lambda warming: fit_ours(options, "grid", warming),
                PLAIN: lambda warming: fit_plainly(options, warming),
            },
        ),
        Case(
            f"{many.labels} labels",
            {"prediction, batch 1": 50},
            {
                STACKED: lambda warming: predict(many, STACKED, warming),
                SINGLY: lambda warming: predict(many, SINGLY, warming),
            },
        ),
    ]
    if given.only:
        run_one(cases, *given.only)
        return
    if given.one:
        print(json.dumps(grow(options, given.one)))
        return
    wanted = [case for case, name in zip(cases, ("fits", "prediction"), strict=True) if name in given.what]
    results = [measure(case, given.repeats) for case in wanted]
    print(table(results))
    growth = []
    for labels in given.grow if "growth" in given.what else []:
        growth.append(_in_process(labels))
        print(json.dumps(growth[-1]), flush=True)
    if given.json:
        content = {"machine": machine(), "options": vars(given), "results": results, "growth": growth}
        given.json.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")


def _in_process(labels: int) -> dict[str, Any]:
    """Growth is measured in a process of its own: peak memory never falls again."""
    import subprocess

    done = subprocess.run([sys.executable, *sys.argv, "--one", str(labels)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
