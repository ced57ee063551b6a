"""Tiny fits of all systems, through the public names of the package alone.

The golden values beside this file and ``tests/reference/bitwise`` share them. Only names, settings and files that users
know are used here, so that it runs with every version of the package.

    python tests/golden/fits.py FOLDER [FIT ...]     one FIT.npz each, and where the package was imported from
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests, where `tiny` is

import taxotext
from tiny import EDGES, make_encoder, tiny_documents, tiny_words

ENCODER = "ENCODER"
"""In the settings below: the folder of a tiny pretrained encoder."""
CLASS_WEIGHTS = "CLASS_WEIGHTS"
"""In the settings below: a file of class weights."""

WORDS: dict[str, Any] = {"embedding_width": 8, "vocabulary": {"min_count": 1}}
CLIP = 1e-5
"""Largest norm of the gradients. Some gradients are rounding errors only (of a bias before batch normalisation). Adam
scales them up to full steps, which differ between processors; clipped to this norm they are below Adam's epsilon."""
TRAINING: dict[str, Any] = {
    "epochs": 5,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "head_learning_rate": 3e-2,
    "monitor": "ndcg@5",
    "clip": CLIP,
}
TWO_WEIGHTS: dict[str, Any] = {"candidates": [1.0, 5.0], "rungs": [1], "factor": 2.0}
SMALL_FITS: dict[str, Any] = {"epochs": 4, "batch_size": 6, "learning_rate": 2e-2, "clip": CLIP}
AS_PUBLISHED: dict[str, Any] = {"freeze_embeddings": True, "inherit": "selected", "shrink": 1.0, "perturb": 0.0}

FITS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {"features": {"min_documents": 3, "ngrams": [1, 2]}}),
    "bert": (
        "bert",
        {
            "encoder": {"source": ENCODER},
            "text": {"max_tokens": 12, "long_text": "chunk_max", "max_chunks": 2},
            "training": {**TRAINING, "learning_rate": 3e-3, "accumulate": 2, "averaging": "swa"},
        },
    ),
    "textcnn": (
        "textcnn",
        {
            "encoder": {**WORDS, "filters": 6, "kernel": 3, "hidden": 6},
            "text": {"max_tokens": 8, "long_text": "chunk_mean", "max_chunks": 2},
            "loss": {"name": "focal"},
            "training": {**TRAINING, "clip": CLIP / 10},
        },
    ),
    "kim_cnn": (
        "kim_cnn",
        {
            "encoder": {**WORDS, "filters": 4, "kernels": [2, 3]},
            "text": {"max_tokens": 24},
            "loss": {"positive_weight": "balanced"},
            "head": {"dropout": 0.1},
            "training": {**TRAINING, "recursive": 0.02},
        },
    ),
    "gru_att_multi": (
        "gru_att_multi",
        {
            "encoder": {**WORDS, "units": 6},
            "text": {"max_tokens": 10, "long_text": "head_tail"},
            "loss": {"weights_from": CLASS_WEIGHTS},
            "training": TRAINING,
        },
    ),
    "dgcnn": (
        "dgcnn",
        {
            "encoder": {**WORDS, "layers": 1, "vertices": 16, "neighbours": 4, "hidden": [12, 8], "dropout": 0.1},
            "text": {"max_tokens": 24},
            "loss": {"name": "asymmetric"},
            "training": {**TRAINING, "head_learning_rate": 5e-3, "recursive": 0.01},
        },
    ),
    "gru_att": (
        "gru_att",
        {
            "encoder": {**WORDS, "units": 4},
            "text": {"max_tokens": 16},
            "weights": {**TWO_WEIGHTS, "search": "grid"},
            "training": SMALL_FITS,
        },
    ),
    "htrans": (
        "htrans",
        {
            "encoder": {**WORDS, "units": 4},
            "text": {"max_tokens": 8, "long_text": "chunk_max", "max_chunks": 2},
            "weights": TWO_WEIGHTS,
            "training": {**SMALL_FITS, "monitor": "f1"},
            "transfer": AS_PUBLISHED,
        },
    ),
    "htrans_frozen": (
        "htrans",
        {
            "encoder": {"name": "transformer", "source": ENCODER},
            "body": {"name": "gru", "units": 4},
            "text": {"max_tokens": 16},
            "weights": TWO_WEIGHTS,
            "training": {**SMALL_FITS, "learning_rate": 1e-2, "monitor": "f1"},
            "transfer": AS_PUBLISHED,
        },
    ),
}
"""Name of a fit -> system and settings. Together they walk through long texts, losses, class weights and averaging."""

COMMON: dict[str, Any] = {"seed": 3, "runtime": {"device": "cpu", "precision": "float32", "threads": 1}}
TRAIN, TEXTS = 36, 8
"""Documents that are fitted, and that are only predicted."""


def corpora() -> tuple[taxotext.Corpus, taxotext.Corpus, list[str], list[list[str]]]:
    """Training and validation documents with a taxonomy (a DAG), and texts with labels that no fit has seen.

    Validation documents are among those of the training: of so few others, the first epoch would be the best one.
    """
    texts, labels = tiny_documents(TRAIN + TEXTS)
    taxonomy = taxotext.Taxonomy.from_edges(EDGES)
    train = taxotext.Corpus.from_lists(texts[:TRAIN], labels[:TRAIN], taxonomy, source="golden")
    return train, train.subset(range(0, TRAIN, 2)), texts[TRAIN:], labels[TRAIN:]


def write_sources(folder: Path) -> Path:
    """Write what the settings name: the tiny encoder and the class weights; returns ``folder``."""
    make_encoder(folder / ENCODER, tiny_words())
    weights = {label: 1.0 + number for number, (_, label) in enumerate(EDGES)}
    (folder / CLASS_WEIGHTS).write_text(json.dumps({"format": 1, "weights": weights}), encoding="utf-8")
    return folder


def fitted(name: str, sources: Path) -> taxotext.Classifier:
    """The classifier of a fit; ``sources`` is what :func:`write_sources` wrote."""
    system, settings = FITS[name]
    train, validation, *_ = corpora()
    model = taxotext.Classifier(system, **{**COMMON, **_placed(settings, sources)})
    return model.fit(train, validation=None if system == "linear" else validation)  # None: linear cross-fits


def fit(name: str, sources: Path) -> dict[str, NDArray[Any]]:
    """Fit, predict, tune and save.

    Returns:
        ``scores`` (8, 7); ``tuned`` (8, 7), label sets with tuned thresholds; ``weights/NAME`` for each tensor of the
        saved folder.
    """
    from safetensors.numpy import load_file

    texts = corpora()[2]
    model = fitted(name, sources)
    found: dict[str, NDArray[Any]] = {"scores": model.predict_proba(texts)}
    model.tune()
    labels = list(model.classes_)
    found["tuned"] = np.asarray([[label in answer for label in labels] for answer in model.predict(texts)])
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        weights = load_file(Path(folder) / "model" / "weights.safetensors")
    return found | {f"weights/{tensor}": values for tensor, values in weights.items()}


def _placed(value: Any, sources: Path) -> Any:
    if isinstance(value, dict):
        return {key: _placed(inner, sources) for key, inner in value.items()}
    return str(sources / value) if value in (ENCODER, CLASS_WEIGHTS) else value


if __name__ == "__main__":
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        given = write_sources(Path(scratch))
        for fit_name in sys.argv[2:] or FITS:
            np.savez(target / f"{fit_name}.npz", **fit(fit_name, given))
    print(taxotext.__file__)
