"""Speed of Taxotext beside the tools that people use otherwise, measured in one run on one machine.

See benchmarks/README.md for what is compared and how to run it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import numpy as np
import torch
from measuring import Case, Taken, Timings, machine, measure, run_one, stopwatch, table
from torch import nn
from transformers.utils import logging as transformers_logging

from taxotext.composition.neural import NeuralSystem
from taxotext.data import Corpus, read_corpus
from taxotext.labels import Taxonomy, read_taxonomy
from taxotext.models.registry import find
from taxotext.nn.encoders.pretrained import resolve
from taxotext.progress import Silent
from taxotext.settings import parse_settings
from taxotext.training import fit
from taxotext.training.run import TemporaryRun

OURS = "Taxotext"
OURS_BF16 = "Taxotext, predict_precision=bf16"
TRAINER = "HF Trainer"
TRAINER_GROUPED = "HF Trainer, group_by_length"
PIPELINE = "HF pipeline"
PIPELINE_ONE = "HF pipeline, one text at a time"
BY_HAND = "scikit-learn by hand"
BY_HAND_PARALLEL = "scikit-learn by hand, n_jobs=2"
LOGISTIC = "scikit-learn by hand, LogisticRegression"
WARM_UP = 64
"""Documents of the run of each competitor that is not counted."""


# -- training --------------------------------------------------------------------------------------------------


class TrainingClock(Silent):
    """A reporter that takes the time between the first and the last batch: the bar that is called Training."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Any]:
        with super().task(name, total, done, unit) as task:
            if name != "Training":
                yield task
                return
            with stopwatch(self._timings, "training"):
                yield task


def train_ours(train: Corpus, options: Options) -> Timings:
    """The training engine as ``taxotext train`` runs it, with one validation document.

    Validating that document and writing the selected weights lie inside the measured time.
    """
    timings: Timings = {}
    system = untrained(train, options)
    with stopwatch(timings, "tokenisation"):
        system.windows(train.texts)
    with TemporaryRun() as run:
        fit(system, train, train.subset(np.arange(1)), run, TrainingClock(timings))
    timings["both"] = timings["tokenisation"] + timings["training"]
    return timings


def untrained(train: Corpus, options: Options, predict_precision: str = "float32") -> NeuralSystem:
    """``bert`` with pretrained encoder and new head."""
    kind = find("bert")
    training = {"epochs": 1, "batch_size": options.batch_size}
    runtime = {"device": "cpu", "precision": options.precision, "predict_precision": predict_precision}
    values = {"text": {"max_tokens": options.tokens}, "training": training, "runtime": runtime}
    system: Any = kind(parse_settings(kind.Settings, values, "benchmark"), train.taxonomy)
    torch.manual_seed(0)
    system.build(train)
    return system  # type: ignore[no-any-return]


class RowDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Token ids and labels as ``datasets`` would hand them out, without its reading from disk."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self._rows[row]


def train_theirs(train: Corpus, options: Options, sampling: str) -> Timings:
    """Hugging Face's Trainer with dynamic padding, the same documents, batch size, precision and optimiser."""
    from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    model, tokenizer = hugging_face(train, options)
    timings: Timings = {}
    with stopwatch(timings, "tokenisation"):
        encoded = tokenizer(list(train.texts), truncation=True, max_length=options.tokens)
        labels = train.known_targets.toarray().astype(np.float32).tolist()
        names = list(encoded.keys())
        columns = zip(*(encoded[name] for name in names), strict=True)
        rows = [
            {**dict(zip(names, row, strict=True)), "labels": gold} for row, gold in zip(columns, labels, strict=True)
        ]

    class Clock(TrainerCallback):
        wall = cpu = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.wall, self.cpu = time.perf_counter(), time.process_time()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            timings["training"] = Taken(time.perf_counter() - self.wall, time.process_time() - self.cpu)

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=options.batch_size,
            train_sampling_strategy=sampling,
            learning_rate=1e-4,
            optim="adamw_torch_fused",
            bf16=options.precision == "bf16",
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        collator = DataCollatorWithPadding(tokenizer)
        trainer = Trainer(model, arguments, collator, RowDataset(rows), callbacks=[Clock()])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    timings["both"] = timings["tokenisation"] + timings["training"]
    return timings


def hugging_face(train: Corpus, options: Options) -> tuple[nn.Module, Any]:
    """The same encoder with the library's own multi-label head."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    place, _ = resolve("default")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        place, num_labels=len(train.taxonomy), problem_type="multi_label_classification", dtype="float32"
    )
    return model, AutoTokenizer.from_pretrained(place)


def training_case(train: Corpus, options: Options) -> Case:
    def part(warming: bool) -> Corpus:
        return train.subset(np.arange(min(WARM_UP, len(train)))) if warming else train

    return Case(
        f"training, {options.tokens} tokens, {options.precision}",
        dict.fromkeys(("tokenisation", "training", "both"), len(train)),
        {
            OURS: lambda warming: train_ours(part(warming), options),
            TRAINER: lambda warming: train_theirs(part(warming), options, "random"),
            TRAINER_GROUPED: lambda warming: train_theirs(part(warming), options, "group_by_length"),
        },
    )


# -- prediction ------------------------------------------------------------------------------------------------


def prediction_case(train: Corpus, test: Corpus, options: Options) -> Case:
    from transformers import pipeline

    texts = list(test.texts)
    # A NeuralSystem scores twice as many documents at once as it trains with.
    together = 2 * options.batch_size

    def ours(warming: bool, precision: str) -> Timings:
        timings: Timings = {}
        system = untrained(train, options, precision)
        with stopwatch(timings, "prediction"):
            blocks = list(system.scores(texts[:WARM_UP] if warming else texts))
        if not warming and sum(len(block) for block in blocks) != len(texts):
            raise RuntimeError("documents are missing")
        return timings

    def theirs(warming: bool, batch_size: int) -> Timings:
        timings: Timings = {}
        model, tokenizer = hugging_face(train, options)
        scorer = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, device="cpu")
        with stopwatch(timings, "prediction"):
            scorer(
                texts[:WARM_UP] if warming else texts,
                top_k=None,
                function_to_apply="sigmoid",
                batch_size=batch_size,
                truncation=True,
                max_length=options.tokens,
            )
        return timings

    return Case(
        f"prediction, {options.tokens} tokens, float32",
        {"prediction": len(texts)},
        {
            OURS: lambda warming: ours(warming, "float32"),
            PIPELINE: lambda warming: theirs(warming, together),
            PIPELINE_ONE: lambda warming: theirs(warming, 1),
            OURS_BF16: lambda warming: ours(warming, "bf16"),
        },
    )


# -- linear ----------------------------------------------------------------------------------------------------


def linear_case(train: Corpus, test: Corpus, *, calibrated: bool) -> Case:
    """``linear`` against the same features and one classifier for each label by hand, with scikit-learn's defaults.

    With calibration both cross-fit three folds for the scores that thresholds are tuned with. Without it Taxotext is
    given a validation corpus, the first test document, so that it fits the final classifiers only.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    kind = find("linear")
    settings: Any = parse_settings(kind.Settings, {}, "benchmark")
    validation = (
        None
        if calibrated
        else Corpus.from_lists(test.texts[:1], test.label_lists()[:1], taxonomy=train.taxonomy, source="one document")
    )

    def ours(warming: bool) -> Timings:
        timings: Timings = {}
        corpus = train.subset(np.arange(WARM_UP)) if warming else train
        system = kind(settings, corpus.taxonomy)
        with TemporaryRun() as run, stopwatch(timings, "fit"):
            fit(system, corpus, validation, run)
        with stopwatch(timings, "predict"):
            for _ in system.scores(test.texts):
                pass
        return timings

    def by_hand(warming: bool, binary: Any, jobs: int | None = None) -> Timings:
        timings: Timings = {}
        corpus = train.subset(np.arange(WARM_UP)) if warming else train
        features, chosen = settings.features, settings.classifier
        vectorizer = TfidfVectorizer(
            ngram_range=features.ngrams,
            min_df=features.min_documents,
            sublinear_tf=features.sublinear,
            token_pattern=r"(?u)\w+",
        )
        classifier = OneVsRestClassifier(binary, n_jobs=jobs)
        with warnings.catch_warnings(), stopwatch(timings, "fit"):
            warnings.simplefilter("ignore")  # labels that a fold has no document of
            matrix = vectorizer.fit_transform(corpus.texts)
            targets = corpus.known_targets.toarray().astype(np.int64)  # cross_val_predict takes no sparse targets
            if calibrated:
                cross_val_predict(classifier, matrix, targets, cv=chosen.folds, method="decision_function")
            classifier.fit(matrix, targets)
        with stopwatch(timings, "predict"):
            classifier.decision_function(vectorizer.transform(test.texts))
        return timings

    how = "with 3 calibration folds" if calibrated else "no calibration folds"
    return Case(
        f"linear, {how}",
        {"fit": len(train), "predict": len(test)},
        {
            OURS: ours,
            BY_HAND: lambda warming: by_hand(warming, LinearSVC(random_state=settings.seed)),
            BY_HAND_PARALLEL: lambda warming: by_hand(warming, LinearSVC(random_state=settings.seed), 2),
            LOGISTIC: lambda warming: by_hand(warming, LogisticRegression(solver="liblinear")),
        },
    )


def common_labels(train: Corpus, test: Corpus, least: int, most: int | None, seed: int) -> tuple[Corpus, Corpus]:
    """The corpora with the labels of at least so many training documents, or so many of them at random."""
    counts = np.asarray(train.known_targets.sum(axis=0)).ravel()
    common = np.flatnonzero(counts >= least)
    chosen = np.sort(np.random.default_rng(seed).permutation(common)[:most])
    taxonomy = Taxonomy.flat([train.taxonomy.ids[label] for label in chosen])
    found = [
        Corpus.from_lists(
            side.texts,
            [[label for label in labels if label in taxonomy] for labels in side.label_lists()],
            taxonomy=taxonomy,
        )
        for side in (train, test)
    ]
    return found[0], found[1]


# -- the command ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What a case over the encoder needs."""

    tokens: int
    batch_size: int
    precision: str


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of Taxotext beside Hugging Face and scikit-learn.")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl.gz and test.jsonl.gz")
    parser.add_argument("--documents", type=int, default=1000, help="documents of a random sample (linear takes all)")
    parser.add_argument("--what", choices=["train", "predict", "linear", "all"], default="all")
    parser.add_argument("--tokens", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--repeats", type=int, default=3, help="rounds in which each competitor runs once")
    parser.add_argument("--batch-size", type=int, default=16, help="of training; prediction takes twice as many")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="bf16", help="of training, of both sides")
    parser.add_argument("--linear-documents", type=int, help="sample size of linear; default: the whole corpus")
    parser.add_argument("--linear-labels-of", type=int, help="labels of so many documents at least, for linear")
    parser.add_argument("--linear-labels", type=int, help="so many of these labels at random")
    parser.add_argument("--threads", type=int, help="CPU threads of torch on both sides; default: all cores")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--json", type=Path, help="write all measured times here")
    parser.add_argument(
        "--only", nargs=2, metavar=("CASE", "COMPETITOR"), help="one run; how the processes are started"
    )
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    logging.getLogger("taxotext").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    tree = chosen.data / "hierarchy.tsv"
    taxonomy = read_taxonomy(tree) if tree.is_file() else None
    train = read_corpus(chosen.data / "train.jsonl.gz", taxonomy)
    test = read_corpus(chosen.data / "test.jsonl.gz", train.taxonomy, unknown="drop")
    rng = np.random.default_rng(chosen.seed)
    some_train = train.subset(np.sort(rng.permutation(len(train))[: chosen.documents]))
    some_test = test.subset(np.sort(rng.permutation(len(test))[: chosen.documents]))
    facts = {"machine": machine(), "options": {key: str(value) for key, value in vars(chosen).items()}}

    cases: list[Case] = []
    for tokens in chosen.tokens if chosen.what != "linear" else []:
        options = Options(tokens, chosen.batch_size, chosen.precision)
        if chosen.what in {"train", "all"}:
            cases.append(training_case(some_train, options))
        if chosen.what in {"predict", "all"}:
            cases.append(prediction_case(some_train, some_test, options))
    if chosen.what in {"linear", "all"}:
        size = chosen.linear_documents
        sides = [side.subset(np.arange(min(size or len(side), len(side)))) for side in (train, test)]
        if chosen.linear_labels_of is not None:
            sides = list(common_labels(*sides, chosen.linear_labels_of, chosen.linear_labels, chosen.seed))
        for calibrated in (False, True):
            cases.append(linear_case(*sides, calibrated=calibrated))
    if chosen.only:
        run_one(cases, *chosen.only)
        return
    results = [measure(case, chosen.repeats) for case in cases]

    here = facts["machine"]
    print(
        f"{here['processor']}, {here['cores']} cores, {here['torch threads']} torch threads, "
        f"{' '.join(here['capabilities'])}; Python {here['python']}, "
        f"{', '.join(f'{name} {number}' for name, number in here['versions'].items())}.\n"
        f"Corpus {chosen.data.name}, {len(some_train)} documents of {len(train)} (training) and {len(some_test)} of "
        f"{len(test)} (prediction), {chosen.linear_documents or 'all'} for linear; "
        f"{len(train.taxonomy)} labels; batch size {chosen.batch_size} in "
        f"training, {2 * chosen.batch_size} in prediction; {chosen.repeats} rounds.\n"
    )
    print(table(results))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({**facts, "results": results}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
