"""``lexical``: the contract of all systems, labels without training documents, and its forest beside scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.ensemble import RandomForestClassifier

import taxotext
from models.harness import all_scores, check_system
from sealing import seal
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.api.runs import train_run
from taxotext.data import write_jsonl
from taxotext.errors import ConfigError, DataError, ModelFolderError
from taxotext.labels import write_taxonomy
from taxotext.models.forest import Forest, fit_forest
from taxotext.models.lexical import FEATURES
from tiny import Notes

SETTINGS: dict[str, Any] = {"seed": 3, "ranker": {"min_leaf": 1, "trees": 10}, "runtime": {"threads": 1}}


def library(documents: int = 300, unseen: int = 5) -> tuple[list[str], list[list[str]], Taxonomy]:
    """Texts that say the names of their subjects, and mention others at their end; some subjects come once or never."""
    rng = np.random.default_rng(4)
    subjects = [f"subject {chr(97 + row // 20)}{chr(97 + row % 20)}" for row in range(40 + unseen)]
    texts, labels = [], []
    for _ in range(documents):
        about, mentioned = rng.choice(40, 2, replace=False)
        texts.append(f"On {subjects[about]}\nA long report " + "with many words " * 5 + f"and {subjects[mentioned]}")
        labels.append([f"s{about}"])
    names = {f"s{row}": name for row, name in enumerate(subjects)}
    return texts, labels, Taxonomy.flat(list(names), names)


def test_lexical_keeps_the_contract_of_all_systems(tmp_path: Path) -> None:
    check_system(
        "lexical",
        SETTINGS,
        tmp_path,
        files=("weights.safetensors",),
        facts=("trees", "names", "labels with a name"),
        overfits=0.1,  # ids as names: few of the documents say their labels,
        seeded=False,  # and those are all gold, so that trees have no choice
    )


def test_labels_without_training_documents_are_predicted_where_their_names_occur() -> None:
    texts, labels, taxonomy = library()
    corpus = Corpus.from_lists(texts, labels, taxonomy)
    model = Classifier("lexical", **{**SETTINGS, "ranker": {"min_leaf": 5}}).fit(corpus, validation=corpus)
    fresh = [
        "On subject cb\nA long report with many words and subject aa",
        "On subject aa\nA long report with many words",
    ]
    scores = all_scores(model, fresh)
    unseen = taxonomy.index("s41")
    assert taxonomy.names[unseen] == "subject cb"
    assert scores[0].argmax() == unseen
    assert scores[0, unseen] > 0.5 > scores[0, taxonomy.index("s0")]
    assert scores[1].argmax() == taxonomy.index("s0")
    assert np.count_nonzero(scores[1]) == 1  # what does not occur is no candidate


def test_alternative_names_reach_labels_and_are_kept_in_the_model_folder(tmp_path: Path) -> None:
    texts, labels, taxonomy = library()
    called = taxonomy.with_alternative_names({"s41": ["zebra crossing"], "s0": ["pelican"]})
    corpus = Corpus.from_lists(texts, labels, called)
    Classifier("lexical", **{**SETTINGS, "ranker": {"min_leaf": 5}}).fit(corpus, validation=corpus).save(tmp_path / "m")
    model = taxotext.load(tmp_path / "m")
    assert model.taxonomy == called
    scores = all_scores(model, ["On zebra crossings\nA long report with many words"])
    assert np.flatnonzero(scores[0]).tolist() == [called.index("s41")]


def test_the_seed_decides_the_forest() -> None:
    texts, labels, taxonomy = library()
    corpus = Corpus.from_lists(texts, labels, taxonomy)
    one, two, other = (
        all_scores(Classifier("lexical", **{**SETTINGS, "seed": seed}).fit(corpus, validation=corpus), texts)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_document_is_left_out_of_what_is_known_of_its_labels() -> None:
    texts, labels, taxonomy = library(documents=60)
    corpus = Corpus.from_lists(texts, labels, taxonomy)
    system = Classifier("lexical", **SETTINGS).fit(corpus, validation=corpus).system
    found = system._find(texts[:1])  # type: ignore[attr-defined]
    gold = np.asarray([taxonomy.ids[label] in labels[0] for label in found.label])
    rows = system._rows(found, gold)  # type: ignore[attr-defined]
    for row, (label, positive) in enumerate(zip(found.label.tolist(), gold.tolist(), strict=True)):
        name, label_id = taxonomy.names[label], taxonomy.ids[label]
        others = [(text, own) for text, own in zip(texts[1:], labels[1:], strict=True)]
        matched = sum(f"{name} " in f"{text} ".replace("\n", " ") for text, _ in others)
        both = sum(label_id in own and f"{name} " in f"{text} ".replace("\n", " ") for text, own in others)
        columns = dict(zip(FEATURES, rows[row].tolist(), strict=True))
        assert columns["training documents with the name"] == pytest.approx(np.log1p(matched), rel=1e-5)
        assert columns["training documents with the label"] == pytest.approx(np.log1p(both), rel=1e-5)
        assert columns["share of the former with the label"] == pytest.approx((both + 0.1) / (matched + 1), rel=1e-5)
        assert columns["in the first line"] == pytest.approx(np.log(2) if positive else 0.0)


def test_neighbours_in_the_taxonomy_are_counted() -> None:
    taxonomy = Taxonomy.from_edges([(None, "science"), ("science", "physics"), ("science", "optics"), (None, "sport")])
    corpus = Corpus.from_lists(
        ["physics and science", "sport", "optics, physics, science"], [["physics"], ["sport"], ["optics"]], taxonomy
    )
    system = Classifier("lexical", **SETTINGS).fit(corpus, validation=corpus).system
    found = system._find(["physics, optics and science, no sport"])  # type: ignore[attr-defined]
    column = FEATURES.index("matched neighbours")
    counts = {
        taxonomy.ids[label]: float(np.expm1(row[column])) for label, row in zip(found.label, found.columns, strict=True)
    }
    assert counts == {"science": pytest.approx(2), "physics": pytest.approx(1), "optics": pytest.approx(1), "sport": 0}


@pytest.mark.parametrize("threads", [1, 3])
def test_the_forest_is_that_of_scikit_learn(threads: int) -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(500, 4)).astype(np.float32)
    gold = rows[:, 0] + rng.normal(size=500) > 0.5
    grown: list[int] = []
    forest = fit_forest(
        rows, gold, trees=7, leaves=20, rows_of_a_leaf=3, seed=1, threads=threads, progress=grown.append
    )
    model = RandomForestClassifier(7, min_samples_leaf=3, max_leaf_nodes=20, random_state=1).fit(rows, gold)
    assert sum(grown) == 7
    assert len(forest.roots) == 7
    if threads == 1:
        one_by_one = RandomForestClassifier(0, min_samples_leaf=3, max_leaf_nodes=20, random_state=1, warm_start=True)
        for size in range(1, 8):
            one_by_one.set_params(n_estimators=size).fit(rows, gold)
        model = one_by_one
        np.testing.assert_allclose(forest.predict(rows), model.predict_proba(rows)[:, 1], rtol=1e-5)
    again = Forest.from_tensors(forest.tensors(), 4)
    np.testing.assert_array_equal(again.predict(rows), forest.predict(rows))
    assert (forest.predict(rows) > 0.5).mean() == pytest.approx((model.predict(rows)).mean(), abs=0.05)


def test_a_forest_of_one_class_says_so() -> None:
    rows = np.zeros((10, 2), np.float32)
    for gold in (True, False):
        forest = fit_forest(rows, np.full(10, gold), trees=2, leaves=5, rows_of_a_leaf=1, seed=1, threads=1)
        assert forest.predict(rows).tolist() == [float(gold)] * 10


def test_damaged_forests_are_refused(tmp_path: Path) -> None:
    texts, labels, taxonomy = library()
    corpus = Corpus.from_lists(texts, labels, taxonomy)
    Classifier("lexical", **SETTINGS).fit(corpus, validation=corpus).save(tmp_path / "model")
    path = tmp_path / "model/weights.safetensors"
    sound = load_file(path)
    circle = {**sound, "forest.left": np.where(sound["forest.left"] > 0, 1, 0).astype(np.int32)}
    outside = {**sound, "forest.feature": sound["forest.feature"] + 99}
    above = {**sound, "forest.value": sound["forest.value"].view(np.uint32)}  # no probabilities
    for damaged in (circle, outside, above, {name: array for name, array in sound.items() if name != "forest.value"}):
        save_file(damaged, path)
        seal(tmp_path / "model")
        with pytest.raises(ModelFolderError, match=r"weights\.safetensors: .*; save the model again"):
            taxotext.load(tmp_path / "model")


def test_corpora_in_which_no_name_occurs_are_refused() -> None:
    corpus = Corpus.from_lists(["one", "two"], [["x1"], ["x2"]])
    with pytest.raises(DataError, match=r"no name of a label occurs .*; give the labels names \(--names FILE"):
        Classifier("lexical", **SETTINGS).fit(corpus, validation=corpus)


def test_unknown_stemmers_are_refused_with_the_known_ones() -> None:
    corpus = Corpus.from_lists(["tree"], [["tree"]])
    with pytest.raises(ConfigError, match=r"matching.stemmer: 'englisch' is not a stemmer; .*german.*'english'"):
        Classifier("lexical", matching={"stemmer": "englisch"}).fit(corpus, validation=corpus)


@pytest.mark.parametrize(("system", "said"), [("lexical", False), ("linear", True)])
def test_labels_without_training_documents_are_pointed_out_where_they_are_not_learned(
    system: str, said: bool, tmp_path: Path
) -> None:
    texts, labels, taxonomy = library(documents=60)
    write_jsonl(Corpus.from_lists(texts, labels, taxonomy), tmp_path / "train.jsonl")
    write_taxonomy(taxonomy, tmp_path / "labels.txt", format="paths")
    (tmp_path / "names.tsv").write_text(
        "".join(f"{label}\t{name}\n" for label, name in zip(taxonomy.ids, taxonomy.names, strict=True))
    )
    data = {"train": "train.jsonl", "taxonomy": "labels.txt", "names": "names.tsv"}
    notes = Notes()
    values = {"model": system, "data": {key: str(tmp_path / name) for key, name in data.items()}}
    train_run(values, tmp_path / "model", reporter=notes)
    assert any("have no training document" in sentence for sentence in notes.sentences) == said
