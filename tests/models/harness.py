"""What every system must keep to: :func:`check_system` is all that the test of a system has to call."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

import taxotext
from interrupted import check_same_model, cut_at_batch
from taxotext import Classifier, Corpus
from taxotext.composition.named_files import public_settings
from tiny import tiny_corpus

COMMON_FILES = frozenset({"config.json", "taxonomy.json", "decoding.json", "metrics.json", "README.md"})
NETWORK_FILES = ("encoder.json", "parts.json", "tokenizer.json", "weights.safetensors")
WORD_FACTS = (
    *("vocabulary", "embedding_width", "embeddings_trained", "embeddings", "embeddings_sha256"),
    "embeddings_coverage",
)
"""Facts of systems over word vectors."""
KINDS = frozenset({".json", ".safetensors", ".cbor", ".md"})
TOLERANCE = 1e-5
ODD_TEXTS = ("", " ", "\u200b", "cat", "кот и пёс", "猫が好き", "e\u0301\u0301", "cat " * 400)


def check_system(
    name: str,
    settings: Mapping[str, Any],
    folder: Path,
    *,
    files: Collection[str],
    facts: Collection[str],
    few: Mapping[str, Any] | None = None,
    source: Path | None = None,
    overfits: float = 0.97,
    seeded: bool = True,
    reproducible: bool = True,
) -> Classifier:
    """Fit a system on the tiny corpus and check the whole contract of :class:`taxotext.composition.base.System`.

    Args:
        name: of the registry.
        settings: with which it can learn the tiny corpus by heart.
        folder: temporary.
        files: what the model folder holds beside :data:`COMMON_FILES`.
        facts: keys of ``System.facts``; ``parameters`` is always one.
        few: settings of a quick fit, for the checks that need two of them; None: ``settings``.
        source: what the system was built from; deleted before it is loaded.
        overfits: least micro-F1 on the training documents.
        seeded: whether another seed gives other weights.
        reproducible: whether two fits are equal; if not, scores may also change by rounding when a folder is loaded.

    Returns:
        The fitted classifier, for checks of its own.
    """
    corpus = tiny_corpus()
    quick = dict(settings if few is None else few)
    if reproducible:
        check_determinism(name, quick, folder, seeded=seeded)
    classifier = Classifier(name, **settings).fit(corpus, validation=corpus)
    assert classifier.evaluate(corpus)["micro_f1"] >= overfits
    check_scores(classifier, corpus.texts)
    check_facts(classifier, facts)
    check_folder(classifier, folder, corpus, files=files, source=source, rounding=0.0 if reproducible else 1e-6)
    return classifier


def all_scores(classifier: Classifier, texts: Sequence[str]) -> NDArray[np.float32]:
    """Scores (D, N) of the system itself, before decoding."""
    blocks = [dense(block) for block in classifier.system.scores(texts)]
    return np.concatenate(blocks) if blocks else np.zeros((0, len(classifier.taxonomy)), np.float32)


def dense(block: Any) -> NDArray[np.float32]:
    """The scores of a block (b, N); labels that are not candidates have 0."""
    scores = getattr(block, "scores", block)
    return scores.toarray() if issparse(scores) else np.asarray(scores)


def check_scores(classifier: Classifier, texts: Sequence[str]) -> None:
    """Range, shape, order; a text's scores do not depend on its company."""
    counted: list[int] = []
    blocks = [dense(block) for block in classifier.system.scores(texts, progress=counted.append)]
    scores = np.concatenate(blocks)
    labels = len(classifier.taxonomy)
    assert scores.shape == (len(texts), labels)
    assert scores.dtype == np.float32
    assert sum(counted) == len(texts)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert len(np.unique(scores.round(6), axis=0)) > 1, "all texts have the same scores"
    again = all_scores(classifier, texts)
    assert np.array_equal(scores, again), "scoring twice differs: is dropout on?"

    alone = np.concatenate([all_scores(classifier, [text]) for text in texts[:12]])
    np.testing.assert_allclose(alone, scores[:12], atol=TOLERANCE)
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = all_scores(classifier, [texts[position] for position in order])
    np.testing.assert_allclose(shuffled, scores[order], atol=TOLERANCE)
    padded = all_scores(classifier, [texts[0], "cat and dog " * 60])
    np.testing.assert_allclose(padded[0], scores[0], atol=TOLERANCE)

    odd = all_scores(classifier, ODD_TEXTS)
    assert odd.shape == (len(ODD_TEXTS), labels)
    assert np.isfinite(odd).all()
    assert list(classifier.system.scores([])) == []
    assert 0 <= classifier.system.count_cut(ODD_TEXTS) <= len(ODD_TEXTS)


def check_facts(classifier: Classifier, facts: Collection[str]) -> None:
    """The promised facts, JSON-ready."""
    import json

    found = classifier.system.facts()
    assert set(found) == {"parameters", *facts}
    assert isinstance(found["parameters"], int)
    assert found["parameters"] > 0
    assert json.loads(json.dumps(found)) == found


def check_folder(
    classifier: Classifier,
    folder: Path,
    corpus: Corpus,
    *,
    files: Collection[str],
    source: Path | None = None,
    rounding: float = 0.0,
) -> Classifier:
    """Save and load: the same scores and settings, known files only, no pickle, no need of ``source``."""
    place = folder / f"{classifier.model}-saved"
    held_out = {"heldout.safetensors"} if classifier.manifest.held_out is not None else set()
    classifier.save(place)
    found = {path.name for path in place.iterdir()}
    assert found == COMMON_FILES | set(files) | held_out
    for path in place.iterdir():
        assert path.suffix in KINDS, f"{path.name} is of an unknown kind"
        start = path.read_bytes()[:4]
        assert start[:1] != b"\x80", f"{path.name} looks like a pickle"
        assert start != b"PK\x03\x04", f"{path.name} is an archive"
    if source is not None:
        shutil.rmtree(source)
    loaded = taxotext.load(place)
    texts = [*corpus.texts, *ODD_TEXTS]
    np.testing.assert_allclose(all_scores(loaded, texts), all_scores(classifier, texts), rtol=0, atol=rounding)
    assert loaded.predict(texts) == classifier.predict(texts)
    assert loaded.taxonomy == classifier.taxonomy
    assert public_settings(loaded.settings_()) == public_settings(classifier.settings_())  # without paths
    assert type(loaded.system) is type(classifier.system)
    assert loaded.system.facts() == classifier.system.facts()
    again = folder / f"{classifier.model}-saved-again"
    loaded.save(again)
    for name in sorted(found - {"README.md"}):
        assert (again / name).read_bytes() == (place / name).read_bytes(), f"{name} changes when it is saved again"
    return loaded


def check_determinism(name: str, settings: Mapping[str, Any], folder: Path, *, seeded: bool) -> None:
    """Two fits give equal weights bit by bit; another seed gives others."""
    corpus = tiny_corpus()

    def weights(seed: int) -> bytes:
        place = folder / "weights"
        Classifier(name, **{**settings, "seed": seed}).fit(corpus, validation=corpus).save(place, overwrite=True)
        return (place / "weights.safetensors").read_bytes()

    first = weights(3)
    np.random.random(5)
    assert weights(3) == first, "two fits with one seed differ"
    if seeded:
        assert weights(4) != first, "the seed has no effect"


def check_resume(name: str, settings: Mapping[str, Any], folder: Path) -> None:
    """A training that is cut twice, once within and once between epochs, ends with the weights of an undisturbed one.

    Args:
        name: of a system that is trained by gradient descent.
        settings: with a batch size of 12 and three epochs: fifteen batches.
        folder: temporary.
    """
    from taxotext.training import RunFolder

    corpus = tiny_corpus()
    validation = corpus.subset(range(0, 60, 3))
    values = {**settings, "training": {**settings["training"], "checkpoint_minutes": 0}}

    def fit(run: RunFolder | None = None) -> Classifier:
        return Classifier(name, **values).fit(corpus, validation=validation, run=run)

    whole = fit()
    for batch in (7, 10, 13):
        with cut_at_batch(batch):
            fit(RunFolder(folder / "m.run", {}, resume=True))
    check_same_model(fit(RunFolder(folder / "m.run", {}, resume=True)), whole)
