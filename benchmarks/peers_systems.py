"""The competitors of peers.py.

One run of one of them is a process of its own, in the environment that it needs:

    python benchmarks/peers_systems.py --data FOLDER --family FAMILY --only NAME --answers FILE.npz

Taxotext, LibMultiLabel, hiclass and scikit-learn are imported by those who use them, inside their functions.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Case, Timings, run_one, stopwatch

WARM_UP = 64
"""Documents of each split in the run that is not counted."""
MAX_WORDS = 256
"""Of a text, for the networks."""


@dataclass(frozen=True)
class Split:
    """Texts and the ids of their labels."""

    texts: list[str]
    labels: list[list[str]]

    def first(self, count: int) -> Split:
        return Split(self.texts[:count], self.labels[:count])


@dataclass(frozen=True)
class Data:
    """What every competitor is given.

    Attributes:
        labels: N label ids; the columns of the answers.
        edges: (parent, child) ids; none where labels are flat.
        vectors: word vectors as text, GloVe's format.
        epochs: of the networks, at most.
    """

    train: Split
    validation: Split
    test: Split
    labels: list[str]
    edges: list[tuple[str, str]]
    vectors: Path
    epochs: int

    @classmethod
    def read(cls, folder: Path) -> Data:
        """What peers.py wrote."""
        content = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        splits = {name: Split(**content[name]) for name in ("train", "validation", "test")}
        edges = [(parent, child) for parent, child in content["edges"]]
        vectors, epochs = folder / "vectors.txt", content["epochs"]
        return cls(**splits, labels=content["labels"], edges=edges, vectors=vectors, epochs=epochs)

    def small(self) -> Data:
        """For the run that is not counted."""
        parts = {name: getattr(self, name).first(WARM_UP) for name in ("train", "validation", "test")}
        return replace(self, **parts, epochs=1)


@dataclass(frozen=True)
class Answers:
    """What a system says.

    Attributes:
        validation: (D, N) scores of the validation documents, higher is better; None: it gives none.
        test: (D, N) scores of the test documents, or None.
        sets: (D, N) bool, the label sets of the test documents by the system's own rule.
        probabilities: whether scores are probabilities; else decision values around 0.
        notes: facts worth telling.
    """

    validation: Any
    test: Any
    sets: Any
    probabilities: bool
    notes: Mapping[str, Any]

    def save(self, path: Path) -> None:
        scores = {name: getattr(self, name) for name in ("validation", "test")}
        kept = {name: np.asarray(value, dtype=np.float32) for name, value in scores.items() if value is not None}
        facts = json.dumps({"probabilities": self.probabilities, "notes": dict(self.notes)})
        np.savez(path, **kept, sets=self.sets, facts=np.array(facts))


Competitor = Callable[[Data], tuple[Timings, Answers]]

UNSEEN = -10.0
"""Decision value of a label without training documents."""


def spread(values: Any, columns: Any, labels: int, missing: float) -> Any:
    """(D, n) scores of some labels -> (D, N)."""
    result = np.full((len(values), labels), missing, dtype=np.float32)
    result[:, columns] = values
    return result


# -- Taxotext ---------------------------------------------------------------------------------------------------------


def taxotext(data: Data, system: str, settings: Mapping[str, Any]) -> tuple[Timings, Answers]:
    """The classifier with its own defaults, one thread, the common validation documents."""
    from taxotext import Classifier
    from taxotext.labels import Taxonomy

    taxonomy = Taxonomy.from_edges(data.edges, labels=data.labels) if data.edges else Taxonomy.flat(data.labels)
    order = [taxonomy.index(label) for label in data.labels]
    classifier = Classifier(system, runtime__threads=1, **settings)
    timings: Timings = {}
    with stopwatch(timings, "fit"):
        given = (data.validation.texts, data.validation.labels)
        classifier.fit(data.train.texts, data.train.labels, taxonomy=taxonomy, validation=given)
    with stopwatch(timings, "predict"):
        blocks = list(classifier.decode_stream(data.test.texts))
    sets = np.concatenate([found.toarray() for found, _ in blocks])[:, order]
    scores = np.concatenate([block.dense for _, block in blocks])[:, order]
    validation = classifier.predict_proba(data.validation.texts)[:, order]
    notes = {"epochs": len(classifier.manifest.metrics.get("history", []))}
    return timings, Answers(validation, scores, sets, True, notes)


def taxotext_network(data: Data) -> tuple[Timings, Answers]:
    """``kim_cnn`` with its defaults, but for what both sides share: vectors, words of a text, epochs."""
    settings = {
        "encoder__embeddings": str(data.vectors),
        "text__max_tokens": MAX_WORDS,
        "training__epochs": data.epochs,
        "training__patience": data.epochs,
        "training__monitor": "micro_f1",
    }
    return taxotext(data, "kim_cnn", settings)


# -- LibMultiLabel ----------------------------------------------------------------------------------------------------

LIBLINEAR = "-s 1 -B 1 -e 0.0001 -q"
"""Of its linear example configurations and its documentation."""


def frame(data: Data, split: Split) -> Any:
    """Its data frame: label and text. Labels are numbers, since theirs hold no spaces."""
    import pandas as pd

    place = {label: str(index) for index, label in enumerate(data.labels)}
    rows = [" ".join(place[label] for label in labels) for labels in split.labels]
    return pd.DataFrame({"label": rows, "text": split.texts})


def libmultilabel_linear(data: Data, technique: str) -> tuple[Timings, Answers]:
    """TF-IDF of its own preprocessing, then ``train_1vsrest`` or ``train_tree``."""
    import psutil

    psutil.cpu_count = lambda logical=True: 1  # the number of its threads, which nothing else sets
    from libmultilabel import linear

    train, test = frame(data, data.train), frame(data, data.test)
    validation = frame(data, data.validation)
    timings: Timings = {}
    with stopwatch(timings, "fit"):
        preprocessor = linear.Preprocessor()
        content = preprocessor.fit_transform(linear.load_dataset("dataframe", train))
        y, x = content["train"]["y"], content["train"]["x"]
        if technique == "tree":
            np.random.seed(1337)  # it draws the seed of its clustering from here
            model = linear.train_tree(y, x, LIBLINEAR, verbose=False)
        else:
            model = linear.train_1vsrest(y, x, options=LIBLINEAR, verbose=False)

    def scores(given: Any) -> Any:
        features = preprocessor.transform(linear.load_dataset("dataframe", None, given))["test"]["x"]
        return linear.predict_values(model, features)

    with stopwatch(timings, "predict"):
        values = scores(test)
    tree = technique == "tree"
    columns, missing = preprocessor.label_mapping.astype(int), 0.0 if tree else UNSEEN
    found, held_out = (spread(part, columns, len(data.labels), missing) for part in (values, scores(validation)))
    # The rule of its functions is "above 0", which of the tree's probabilities are all that the beam came to.
    sets = found > (0.5 if tree else 0.0)
    notes = {"labels above 0 in each document": float((found > 0).sum(1).mean())} if tree else {}
    return timings, Answers(held_out, found, sets, tree, notes)


NETWORK = {"filter_sizes": [2, 4, 8], "num_filter_per_size": 128, "activation": "relu", "embed_dropout": 0.2}
"""Of its example configurations for KimCNN on RCV1 and EUR-Lex, as are batch size and learning rate below."""


def libmultilabel_network(data: Data) -> tuple[Timings, Answers]:
    """``KimCNN`` as in its examples; word vectors, words of a text, epochs and their selection as on the other side."""
    import torch
    from libmultilabel.nn import data_utils, nn_utils

    logging.getLogger("lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    train, validation, test = (frame(data, split) for split in (data.train, data.validation, data.test))
    timings: Timings = {}
    with tempfile.TemporaryDirectory() as checkpoints:
        with stopwatch(timings, "fit"):
            nn_utils.set_seed(1337)
            device = nn_utils.init_device(use_cpu=True)
            content = data_utils.load_datasets(training_data=train, val_data=validation)
            classes = data_utils.load_or_build_label(content)
            words, vectors = data_utils.load_or_build_text_dict(
                content["train"], embed_file=str(data.vectors), silent=True
            )
            loader = partial(
                data_utils.get_dataset_loader,
                classes=classes,
                device=device,
                max_seq_length=MAX_WORDS,
                data_workers=0,
                word_dict=words,
            )
            model = nn_utils.init_model(
                "KimCNN",
                NETWORK,
                classes,
                vectors,
                learning_rate=0.0005,
                optimizer="adam",
                monitor_metrics=["Micro-F1"],
                val_metric="Micro-F1",
                silent=True,
            )
            trainer = nn_utils.init_trainer(
                checkpoints,
                epochs=data.epochs,
                patience=data.epochs,
                early_stopping_metric="Micro-F1",
                val_metric="Micro-F1",
                silent=True,
                use_cpu=True,
            )
            held_out = loader(content["val"], batch_size=256)
            trainer.fit(model, loader(content["train"], batch_size=64, shuffle=True), held_out)
            best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=False)  # written just now
            model.load_state_dict(best["state_dict"])
            model.eval()

        def scores(loaded: Any) -> Any:
            with torch.no_grad():
                blocks = [torch.sigmoid(model(batch)).numpy() for batch in loaded]
            return spread(np.concatenate(blocks), [int(label) for label in classes], len(data.labels), 0.0)

        with stopwatch(timings, "predict"):
            unseen = data_utils.load_datasets(test_data=test, val_size=0)["test"]
            found = scores(loader(unseen, batch_size=256))
        answers = Answers(scores(held_out), found, found > 0.5, True, {"epochs": trainer.current_epoch})
    return timings, answers


# -- scikit-learn -----------------------------------------------------------------------------------------------------


def by_hand(data: Data) -> tuple[Timings, Answers]:
    """What most people would write."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import MultiLabelBinarizer
    from sklearn.svm import LinearSVC

    timings: Timings = {}
    with stopwatch(timings, "fit"):
        vectorizer, binarizer = TfidfVectorizer(sublinear_tf=True, min_df=2), MultiLabelBinarizer()
        classifier = OneVsRestClassifier(LinearSVC())
        classifier.fit(vectorizer.fit_transform(data.train.texts), binarizer.fit_transform(data.train.labels))
    with stopwatch(timings, "predict"):
        values = classifier.decision_function(vectorizer.transform(data.test.texts))
    held_out = classifier.decision_function(vectorizer.transform(data.validation.texts))
    place = {label: index for index, label in enumerate(data.labels)}
    columns = [place[label] for label in binarizer.classes_]
    found, held_out = (spread(part, columns, len(data.labels), UNSEEN) for part in (values, held_out))
    return timings, Answers(held_out, found, found > 0, False, {})


# -- hiclass ----------------------------------------------------------------------------------------------------------


def hiclass(data: Data, kind: str) -> tuple[Timings, Answers]:
    """One local classifier for each node or each parent, its default classifier; one path a document."""
    import hiclass as package
    from sklearn.feature_extraction.text import TfidfVectorizer

    above = {child: parent for parent, child in data.edges}

    def depth(label: str) -> int:
        return 1 + depth(above[label]) if label in above else 0

    paths = [sorted(labels, key=depth) for labels in data.train.labels]
    longest = max(map(len, paths))
    targets = np.array([path + [""] * (longest - len(path)) for path in paths])
    place = {label: index for index, label in enumerate(data.labels)}
    timings: Timings = {}
    with stopwatch(timings, "fit"):
        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2)
        model = getattr(package, kind)(n_jobs=1)
        model.fit(vectorizer.fit_transform(data.train.texts), targets)
    with stopwatch(timings, "predict"):
        found = model.predict(vectorizer.transform(data.test.texts))
    sets = np.zeros((len(found), len(data.labels)), dtype=bool)
    for row, path in enumerate(found):
        sets[row, [place[label] for label in path if label]] = True
    return timings, Answers(None, None, sets, True, {})


TOLERANCES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Of hiclass: children whose probability is at most so far below that of the best one are answered too."""


def hiclass_multilabel(data: Data, kind: str) -> tuple[Timings, Answers]:
    """Its classifiers for several paths (version 4.13), at the tolerance with the best validation micro-F1."""
    import hiclass as package
    from sklearn.feature_extraction.text import TfidfVectorizer

    above = {child: parent for parent, child in data.edges}
    place = {label: index for index, label in enumerate(data.labels)}

    def path(label: str) -> list[str]:
        return [*path(above[label]), label] if label in above else [label]

    paths = [
        [path(label) for label in labels if not any(above.get(other) == label for other in labels)]
        for labels in data.train.labels
    ]
    width = max(map(len, paths))
    depth = max(len(one) for some in paths for one in some)
    targets = np.full((len(paths), width, depth), "", dtype=object)
    for row, some in enumerate(paths):
        for column, one in enumerate(some):
            targets[row, column, : len(one)] = one

    def marks(lists: Any) -> Any:
        found = np.zeros((len(lists), len(data.labels)), dtype=bool)
        for row, labels in enumerate(lists):
            found[row, [place[label] for label in labels if label]] = True
        return found

    def answers(features: Any, tolerance: float) -> Any:
        return marks(model.predict(features, tolerance=tolerance).reshape(features.shape[0], -1))

    timings: Timings = {}
    with stopwatch(timings, "fit"):
        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2)
        model = getattr(package, kind)(n_jobs=1)
        model.fit(vectorizer.fit_transform(data.train.texts), targets)
        held_out, gold = vectorizer.transform(data.validation.texts), marks(data.validation.labels)

        def micro_f1(tolerance: float) -> float:
            said = answers(held_out, tolerance)
            return float(2 * (said & gold).sum() / (said.sum() + gold.sum()))

        best = max(TOLERANCES, key=micro_f1)
    with stopwatch(timings, "predict"):
        sets = answers(vectorizer.transform(data.test.texts), best)
    return timings, Answers(None, None, sets, True, {"tolerance": best})


# -- who takes part ---------------------------------------------------------------------------------------------------

OURS_LINEAR = "Taxotext linear"
OURS_NETWORK = "Taxotext kim_cnn"

LINEAR: dict[str, Competitor] = {
    OURS_LINEAR: partial(taxotext, system="linear", settings={}),
    "Taxotext linear, balance=0": partial(taxotext, system="linear", settings={"classifier__balance": 0.0}),
    "LibMultiLabel linear, 1vsrest": partial(libmultilabel_linear, technique="1vsrest"),
    "LibMultiLabel linear, tree": partial(libmultilabel_linear, technique="tree"),
    "scikit-learn by hand": by_hand,
}
NETWORKS: dict[str, Competitor] = {
    OURS_NETWORK: taxotext_network,
    "LibMultiLabel KimCNN": libmultilabel_network,
}
PATHS: dict[str, Competitor] = {
    **{name: run for name, run in LINEAR.items() if name.startswith("Taxotext")},
    "hiclass LocalClassifierPerNode": partial(hiclass, kind="LocalClassifierPerNode"),
    "hiclass LocalClassifierPerParentNode": partial(hiclass, kind="LocalClassifierPerParentNode"),
    "scikit-learn by hand": by_hand,
}
SEVERAL_PATHS: dict[str, Competitor] = {
    OURS_LINEAR: partial(taxotext, system="linear", settings={}),
    "Taxotext linear, consistency=up": partial(taxotext, system="linear", settings={"decoding__consistency": "up"}),
    "hiclass MultiLabelLocalClassifierPerNode": partial(hiclass_multilabel, kind="MultiLabelLocalClassifierPerNode"),
    "hiclass MultiLabelLocalClassifierPerParentNode": partial(
        hiclass_multilabel, kind="MultiLabelLocalClassifierPerParentNode"
    ),
    "scikit-learn by hand": by_hand,
}
FAMILIES = {"several paths": SEVERAL_PATHS, "linear": LINEAR, "kim_cnn": NETWORKS, "one path": PATHS}


def runs_here(name: str) -> bool:
    """Whether a competitor runs in the environment of Taxotext, not in that of the others."""
    return name.startswith(("Taxotext", "scikit-learn"))


def main() -> None:
    parser = argparse.ArgumentParser(description="One run of one competitor of peers.py.")
    parser.add_argument("--data", type=Path, required=True, help="folder that peers.py wrote")
    parser.add_argument("--family", choices=list(FAMILIES), required=True)
    parser.add_argument("--only", required=True, help="name of the competitor")
    parser.add_argument("--answers", type=Path, required=True, help="file to write what it says to")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")  # labels without documents
    os.environ["TQDM_DISABLE"] = "1"
    data = Data.read(chosen.data)
    competitor = FAMILIES[chosen.family][chosen.only]

    def run(warming: bool) -> Timings:
        timings, answers = competitor(data.small() if warming else data)
        if not warming:
            answers.save(chosen.answers)
        return timings

    run_one([Case(chosen.family, {}, {chosen.only: run})], chosen.family, chosen.only)


if __name__ == "__main__":
    sys.exit(main())
