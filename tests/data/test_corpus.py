"""The corpus: label sets over a taxonomy, optional columns, checks of Python values."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from taxotext.data import Columns, Corpus, Document, ReadReport, read_corpus
from taxotext.errors import ConfigError, DataError
from taxotext.labels import Taxonomy, read_taxonomy


@pytest.fixture
def animals() -> Taxonomy:
    """animal > (dog, cat > kitten), plant."""
    edges = [(None, "animal"), ("animal", "dog"), ("animal", "cat"), ("cat", "kitten"), (None, "plant")]
    return Taxonomy.from_edges(edges)


def write(path: Path, *label_sets: list[str], **columns: list[Any]) -> Path:
    rows = [
        {"text": f"text {i}", "labels": labels, **{name: values[i] for name, values in columns.items()}}
        for i, labels in enumerate(label_sets)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def dense(corpus: Corpus) -> list[list[int]]:
    result: list[list[int]] = corpus.targets.toarray().astype(int).tolist()
    return result


# Reading


def test_without_a_taxonomy_the_labels_are_flat_and_sorted(tmp_path: Path) -> None:
    corpus = read_corpus(write(tmp_path / "c.jsonl", ["b", "c"], ["a"], []))
    assert corpus.taxonomy == Taxonomy.flat(["a", "b", "c"])
    assert dense(corpus) == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert corpus.targets.dtype == np.bool_
    assert corpus.closure == "as_given"
    assert corpus.texts == ("text 0", "text 1", "text 2")
    assert corpus.source == str(tmp_path / "c.jsonl")
    assert corpus.ids is None
    assert corpus.weights is None
    assert corpus.groups is None
    assert corpus.metadata is None
    assert (corpus.report.documents, corpus.report.empty_label_sets) == (3, 1)


def test_ancestors_are_added_by_default_and_counted(tmp_path: Path, animals: Taxonomy) -> None:
    corpus = read_corpus(write(tmp_path / "c.jsonl", ["kitten"], ["dog", "animal"], []), animals)
    assert corpus.closure == "ancestors"
    assert corpus.label_lists() == [["animal", "cat", "kitten"], ["animal", "dog"], []]
    assert corpus.report.labels_added == 2


def test_the_other_closure_policies(tmp_path: Path, animals: Taxonomy) -> None:
    path = write(tmp_path / "c.jsonl", ["animal", "cat"], ["kitten"])
    assert read_corpus(path, animals, closure="as_given").label_lists() == [["animal", "cat"], ["kitten"]]
    leaves = read_corpus(path, animals, closure="leaves")
    assert leaves.label_lists() == [["cat"], ["kitten"]]
    assert leaves.report.labels_removed == 1


def test_unknown_labels_are_an_error_that_lists_them(tmp_path: Path, animals: Taxonomy) -> None:
    path = write(tmp_path / "c.jsonl", ["dog"], ["dgo"], ["stone", "dgo"])
    with pytest.raises(DataError) as caught:
        read_corpus(path, animals)
    assert str(caught.value) == (
        f"{path}: 2 labels are not in the taxonomy of 5 labels; add them to the taxonomy, correct the data, "
        "or treat unknown labels otherwise: drop them, or count them as misses in an evaluation (unknown)\n"
        f"  - {path}:2: 'dgo' (in 2 documents). Did you mean 'dog'?\n"
        f"  - {path}:3: 'stone' (in 1 document)."
    )


def test_unknown_labels_can_be_dropped(tmp_path: Path, animals: Taxonomy, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "taxotext"):
        corpus = read_corpus(write(tmp_path / "c.jsonl", ["kitten", "x"], ["x"]), animals, unknown="drop")
    assert corpus.label_lists() == [["animal", "cat", "kitten"], []]
    assert corpus.unknown_labels == ()
    assert corpus.report.unknown_labels == {"x": 2}
    assert corpus.report.empty_label_sets == 1
    assert "1 label is not in the taxonomy: 'x' (in 2 documents); it was removed" in caplog.text


def test_unknown_labels_can_be_counted_as_extra_columns(tmp_path: Path, animals: Taxonomy) -> None:
    corpus = read_corpus(write(tmp_path / "c.jsonl", ["z", "dog"], ["x"]), animals, unknown="count")
    assert corpus.unknown_labels == ("x", "z")
    assert corpus.targets.shape == (2, 7)
    assert corpus.known_targets.shape == (2, 5)
    assert corpus.label_lists() == [["animal", "dog", "z"], ["x"]]
    assert corpus.label_ids == (*animals.ids, "x", "z")


def test_optional_columns_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", ["a"], ["b"], id=["x", None], w=[0.5, 2], who=["me", None], year=[1, 2])
    corpus = read_corpus(path, columns=Columns(weight="w", group="who"))
    assert corpus.ids == ("x", None)
    assert corpus.weights is not None
    assert corpus.weights.dtype == np.float32
    assert corpus.weights.tolist() == [0.5, 2.0]
    assert corpus.groups == ("me", None)
    assert corpus.metadata == ({"year": 1}, {"year": 2})


def test_a_corpus_without_documents_is_an_error() -> None:
    with pytest.raises(DataError, match="memory: there are no documents"):
        Corpus.from_documents([])


def test_impossible_policies_are_errors(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", ["a"])
    with pytest.raises(ConfigError, match=r"unknown is 'dorp'.*Did you mean 'drop'\?"):
        read_corpus(path, unknown="dorp")
    with pytest.raises(ConfigError, match=r"closure is 'ancestor'.*Did you mean 'ancestors'\?"):
        read_corpus(path, closure="ancestor")


def test_documents_of_python_code_have_their_duplicates_removed() -> None:
    corpus = Corpus.from_documents([Document("x", ("a", "b", "a"))], report=(report := ReadReport()))
    assert corpus.label_lists() == [["a", "b"]]
    assert report.duplicate_labels == 1


# Subsets and fingerprints


def test_a_subset_keeps_all_columns(animals: Taxonomy) -> None:
    corpus = Corpus.from_lists(
        ["a", "b", "c"],
        [["dog"], ["x"], []],
        animals,
        ids=["1", "2", "3"],
        weights=[1, 2, 3],
        groups=["g", None, "h"],
        metadata=[{"n": 1}, {"n": 2}, {"n": 3}],
        unknown="count",
    )
    part = corpus.subset([2, 0])
    assert part.texts == ("c", "a")
    assert part.label_lists() == [[], ["animal", "dog"]]
    assert (part.ids, part.groups) == (("3", "1"), ("h", "g"))
    assert part.weights is not None
    assert part.weights.tolist() == [3.0, 1.0]
    assert part.metadata == ({"n": 3}, {"n": 1})
    assert part.unknown_labels == ("x",)
    assert part.closure == "ancestors"
    assert len(corpus.subset([])) == 0
    assert corpus.subset(np.array([False, True, False])).texts == ("b",)


@pytest.mark.parametrize("indices", [[3], [-1], [0.5], [[0]]])
def test_an_impossible_subset_is_an_error(indices: Any) -> None:
    with pytest.raises(DataError, match=r"outside the corpus of 3 documents|whole numbers in one row"):
        Corpus.from_lists(["a", "b", "c"]).subset(indices)


def test_the_fingerprint_depends_on_documents_and_not_on_the_taxonomy() -> None:
    base = Corpus.from_lists(["a", "b"], [["x", "y"], []], ids=["1", "2"]).fingerprint()
    assert base == Corpus.from_lists(["a", "b"], [["y", "x"], []], ids=["1", "2"]).fingerprint()
    assert base == Corpus.from_lists(["a", "b"], [["y", "x"], []], Taxonomy.flat("zyx"), ids=[1, 2]).fingerprint()
    changed = [
        Corpus.from_lists(["a", "c"], [["x", "y"], []], ids=["1", "2"]),
        Corpus.from_lists(["a", "b"], [["x"], []], ids=["1", "2"]),
        Corpus.from_lists(["a", "b"], [["x"], ["y"]], ids=["1", "2"]),
        Corpus.from_lists(["a", "b"], [["xy"], []], ids=["1", "2"]),
        Corpus.from_lists(["a", "b"], [["x", "y"], []], ids=["1", "3"]),
        Corpus.from_lists(["a", "b"], [["x", "y"], []]),
        Corpus.from_lists(["b", "a"], [[], ["x", "y"]], ids=["2", "1"]),
        Corpus.from_lists(["a", "b"], [["x", "y"], []], ids=["1", "2"], weights=[1, 2]),
        Corpus.from_lists(["a", "b"], [["x", "y"], []], ids=["1", "2"], weights=[1, 3]),
        Corpus.from_lists(["a", "b"], [["x", "y"], []], ids=["1", "2"], groups=["g", "h"]),
        Corpus.from_lists(["a", "b"], [["x", "y"], []], ids=["1", "2"], groups=["g", "g"]),
    ]
    prints = {corpus.fingerprint() for corpus in changed}
    assert len(prints) == len(changed)
    assert base not in prints
    assert len(base) == 64


# Python values


def test_lists_of_labels_without_a_taxonomy_give_sorted_ids() -> None:
    corpus = Corpus.from_lists(["a", "b"], [{"y", "x"}, ("x",)])
    assert corpus.taxonomy.ids == ("x", "y")
    assert dense(corpus) == [[1, 1], [1, 0]]


def test_lists_of_labels_with_label_ids_have_that_label_set() -> None:
    corpus = Corpus.from_lists(["a"], [["x"]], label_ids=["z", "x"])
    assert corpus.taxonomy.ids == ("z", "x")
    with pytest.raises(DataError, match="document 0: 'y'"):
        Corpus.from_lists(["a"], [["y"]], label_ids=["z", "x"])


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.coo_matrix])
@pytest.mark.parametrize("dtype", [bool, int, np.float32])
def test_an_indicator_matrix_keeps_the_order_of_its_columns(make: Callable[[Any], Any], dtype: type) -> None:
    matrix = make(np.array([[0, 1, 0], [1, 1, 0]], dtype=dtype))
    corpus = Corpus.from_lists(["a", "b"], matrix)
    assert corpus.taxonomy.ids == ("0", "1", "2")
    assert dense(corpus) == [[0, 1, 0], [1, 1, 0]]
    assert Corpus.from_lists(["a", "b"], matrix, label_ids=["z", "x", "y"]).label_lists() == [
        ["x"],
        ["z", "x"],
    ]


def test_an_indicator_matrix_over_a_taxonomy(animals: Taxonomy) -> None:
    matrix = np.array([[0, 0, 0, 1, 0]])
    assert Corpus.from_lists(["a"], matrix, animals).label_lists() == [["animal", "cat", "kitten"]]
    named = Corpus.from_lists(["a"], np.array([[1, 0]]), animals, label_ids=["dog", "plant"])
    assert named.label_lists() == [["animal", "dog"]]


def test_texts_of_numpy_arrays_become_plain_strings() -> None:
    corpus = Corpus.from_lists(np.array(["a", "b"]), np.array([["x"], ["y"]], dtype=object).tolist())
    assert [type(text) for text in corpus.texts] == [str, str]


def test_without_labels_the_sets_are_empty() -> None:
    assert Corpus.from_lists(["a", "b"]).label_lists() == [[], []]


@pytest.mark.parametrize(
    ("texts", "labels", "settings", "sentence"),
    [
        ("a text", [["a"]], {}, "texts is the one string 'a text'; give a list of strings"),
        ([], [], {}, "texts is empty"),
        (7, [], {}, "texts must be a list of strings, found a number"),
        (["a", None, 5], [[], [], []], {}, "texts[1] must be a string, found null"),
        (["a", " "], [[], []], {}, "texts[1] is empty"),
        (["a\ud800"], [[]], {}, "texts[0] has half a character"),
        (["é\0"], [[]], {}, "texts[0] holds a NUL character"),
        (["a", "b"], [["x"]], {}, "texts has 2 entries and labels has 1; give one for each text"),
        (["a"], "x", {}, "labels is the one string 'x'; give one list of label ids for each document"),
        (["a"], ["x"], {}, "found a string for each: 'x'; give [[label] for label in labels]"),
        (
            ["a", "b"],
            ["x", "x;y"],
            {},
            "'x;y'; give [cell.split(';') for cell in labels] if ';' separates labels, else",
        ),
        (["a"], ["['x']"], {}, "give [ast.literal_eval(cell) for cell in labels] if they are printed lists"),
        (["a", "b"], ["x", ["y"]], {}, "labels[0] is the string 'x'; write a list of label ids, ['x']"),
        (["a"], [5], {}, "found a number for each: 5; give [[str(label)] for label in labels]"),
        (["a", "b"], [["x"], 5], {}, "labels[1] must be a list of label ids, found a number: 5"),
        (["a"], [[5]], {}, 'labels[0] must be a list of strings, found a number in it: 5; write "5"'),
        (["a"], [["x", " "]], {}, "labels[0] has an empty label"),
        (["a"], np.array([[0, 2]]), {}, "labels[0, 1] is 2; an indicator matrix has 0 and 1 only (1 entries"),
        (["a"], np.array([[np.nan, 1]]), {}, "labels[0, 0] is nan"),
        (["a"], np.array([["x", "y"]]), {}, "labels is a matrix of <U1; give one of 0 and 1"),
        (["a", "b"], np.array([[1]]), {}, "texts has 2 entries and labels has 1 rows"),
        (
            ["a"],
            np.array([[1]]),
            {"label_ids": ["x", "y"]},
            "labels has 1 columns and label_ids has 2 labels",
        ),
        (
            ["a"],
            np.array([[1]]),
            {"taxonomy": Taxonomy.flat("xy")},
            "labels has 1 columns and the taxonomy has 2",
        ),
        (
            ["a"],
            np.array([[1, 1]]),
            {"label_ids": ["x", "x"]},
            "label_ids[1]: 'x' is there already at label_ids[0]",
        ),
        (["a"], np.array([[1]]), {"label_ids": "x"}, "label_ids is the one string 'x'"),
        (["a"], [["x"]], {"label_ids": ["x"], "taxonomy": Taxonomy.flat("x")}, "leave it out"),
        (["a"], None, {"ids": "x"}, "ids is the one string 'x'; give one string for each document"),
        (["a"], None, {"ids": [1.5]}, "ids[0] must be a string or a whole number, found a number: 1.5"),
        (["a"], None, {"groups": ["x", "y"]}, "texts has 1 entries and groups has 2"),
        (["a"], None, {"weights": [-1]}, "weights[0] must be a finite number, 0 or more, found -1"),
        (["a"], None, {"weights": [float("nan")]}, "weights[0] must be a finite number"),
        (["a"], None, {"weights": ["1"]}, "weights[0] must be a number, found '1'"),
        (["a"], None, {"metadata": ["x"]}, "metadata[0] must be a mapping"),
    ],
)
def test_wrong_python_values_get_a_sentence(texts: Any, labels: Any, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        Corpus.from_lists(texts, labels, **settings)
    assert sentence in str(caught.value)


# Real corpora


def test_a_real_dag_corpus_is_closed(real_data: Callable[[str], Path]) -> None:
    folder = real_data("amazon-hier-val")
    taxonomy = read_taxonomy(folder / "hierarchy.tsv")
    corpus = read_corpus(folder / "train.jsonl.gz", taxonomy)
    assert (len(corpus), len(taxonomy)) == (4423, 531)
    assert corpus.taxonomy.violations(corpus.targets).sum() == 0
    given = read_corpus(folder / "train.jsonl.gz", taxonomy, closure="as_given")
    assert corpus.targets.nnz - given.targets.nnz == corpus.report.labels_added
    assert given.label_lists()[0] == sorted(
        ["health_personal_care", "health_care", "women_s_health"], key=taxonomy.index
    )


def test_a_corpus_is_aligned_with_another_taxonomy_by_label() -> None:
    corpus = Corpus.from_lists(["a", "b"], [["y", "x"], ["z"]], ids=["1", "2"], weights=[1, 2], groups=["g", "h"])
    other = Taxonomy.from_edges([(None, "top"), ("top", "y"), ("top", "x")])
    aligned = corpus.aligned(other, closure="ancestors", unknown="count")
    assert aligned.taxonomy is other
    assert [sorted(labels) for labels in aligned.label_lists()] == [["top", "x", "y"], ["z"]]
    assert aligned.unknown_labels == ("z",)
    assert (aligned.texts, aligned.ids, aligned.groups) == (corpus.texts, corpus.ids, corpus.groups)
    assert aligned.weights is not None
    assert aligned.weights.tolist() == [1, 2]
    with pytest.raises(DataError, match="'z'"):
        corpus.aligned(other)


def test_a_corpus_of_the_same_taxonomy_is_left_alone() -> None:
    corpus = Corpus.from_lists(["a"], [["y"]], Taxonomy.flat("xyz"))
    assert corpus.aligned(Taxonomy.flat("xyz")) is corpus
    assert corpus.aligned(Taxonomy.flat("zyx")) is not corpus


def test_unknown_labels_that_look_alike_are_explained() -> None:
    with pytest.raises(DataError, match=r"'café' is there, written with other Unicode characters .*; normalise to NFC"):
        Corpus.from_lists(["a"], [["cafe\u0301"]], Taxonomy.flat(["caf\u00e9"]))


def test_a_corpus_of_one_document_is_counted_so() -> None:
    with pytest.raises(DataError, match=r"the index 1 is outside the corpus of 1 document \("):
        Corpus.from_lists(["a"]).subset([1])


def test_rows_of_zeros_and_ones_as_lists_are_told_to_be_a_matrix() -> None:
    rows = [[1, 0, 0], [0, 1, 1]]
    with pytest.raises(DataError, match=r"looks like an indicator matrix in lists; give numpy\.asarray"):
        Corpus.from_lists(["x", "y"], rows)
    corpus = Corpus.from_lists(["x", "y"], np.array(rows), label_ids=["a", "b", "c"])
    assert corpus.label_lists() == [["a"], ["b", "c"]]


def test_labels_that_are_missing_are_no_labels():
    assert Corpus.from_lists(["a", "b", "c"], [["x"], None, float("nan")]).label_lists() == [["x"], [], []]
