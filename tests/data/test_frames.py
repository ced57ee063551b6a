"""Texts and labels in tables of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from taxotext import Corpus, Taxonomy
from taxotext.data.frames import column_names
from taxotext.errors import DataError

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")


class PolarsLike:
    """What a polars DataFrame shows: ``columns`` as a list of strings, columns by name."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns = columns

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


TABLES = {"pandas": pandas.DataFrame, "pyarrow": pyarrow.table, "polars": PolarsLike}
BITS = {"cats": [1, 0, 1], "dogs": [0, 1, 1], "rain": [0, 0, 0]}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_a_table_of_zeros_and_ones_names_its_labels(make: Any) -> None:
    corpus = Corpus.from_lists(["a", "b", "c"], make(BITS))
    assert corpus.taxonomy.ids == ("cats", "dogs", "rain")
    assert corpus.label_lists() == [["cats"], ["dogs"], ["cats", "dogs"]]


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_texts_may_be_a_table_of_one_column(make: Any) -> None:
    assert Corpus.from_lists(make({"body": ["a", "b"]})).texts == ("a", "b")


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_labels_may_be_a_table_with_one_column_of_lists(make: Any) -> None:
    corpus = Corpus.from_lists(["a", "b"], make({"tags": [["x"], ["y"]]}))
    assert corpus.label_lists() == [["x"], ["y"]]


@pytest.mark.parametrize(
    "texts", [*(make({"id": [1], "text": ["a"]}) for make in TABLES.values()), {"id": [1], "text": ["a"]}]
)
def test_several_columns_as_texts_are_an_error_that_says_what_to_write(texts: Any) -> None:
    with pytest.raises(DataError, match=r"texts is a \w+ with 2 columns \(id, text\); give the one .* df\['text'\]"):
        Corpus.from_lists(texts)


def test_without_a_column_text_the_first_one_is_named() -> None:
    with pytest.raises(DataError, match=r"df\['title'\]"):
        Corpus.from_lists(pandas.DataFrame({"title": ["a"], "body": ["b"]}))
    with pytest.raises(DataError, match=r"is a dict with 1 column \(body\).*df\['body'\]"):
        Corpus.from_lists({"body": ["b"]})


def test_bool_nullable_object_and_sparse_columns_are_read() -> None:
    frame = pandas.DataFrame(BITS)
    expected = [["cats"], ["dogs"], ["cats", "dogs"]]
    for form in (frame.astype(bool), frame.astype("Int8"), frame.astype(object), frame.astype(float)):
        assert Corpus.from_lists(list("abc"), form).label_lists() == expected
    wide = pandas.DataFrame.sparse.from_spmatrix(sparse.csr_array(frame.to_numpy()), columns=frame.columns)
    assert Corpus.from_lists(list("abc"), wide).label_lists() == expected


def test_columns_without_names_are_those_of_a_matrix() -> None:
    frame = pandas.DataFrame([[1, 0], [0, 1]])
    assert Corpus.from_lists(["a", "b"], frame).taxonomy.ids == ("0", "1")
    assert Corpus.from_lists(["a", "b"], frame, label_ids=["x", "y"]).label_lists() == [["x"], ["y"]]
    tree = Taxonomy.from_edges([(None, "x"), ("x", "y")])
    assert Corpus.from_lists(["a", "b"], frame, tree).label_lists() == [["x"], ["x", "y"]]
    with pytest.raises(DataError, match="label_ids: the columns of the labels have names of their own; leave it out"):
        Corpus.from_lists(["a", "b", "c"], pandas.DataFrame(BITS), label_ids=["x", "y", "z"])


def test_numbers_as_names_are_ids() -> None:
    assert Corpus.from_lists(["a"], pandas.DataFrame({101: [1], 7: [1]})).taxonomy.ids == ("101", "7")
    corpus = Corpus.from_lists(["a"], np.array([[1, 1]]), label_ids=np.array([101, 7]))  # classes_ of scikit-learn
    assert corpus.taxonomy.ids == ("101", "7")


@pytest.mark.parametrize("values", [["yes", "no"], [2, 0], [None, 1], ["1", "0"], [0.5, 1]])
def test_other_values_than_zero_and_one_are_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match=r"something else than 0 and 1|an indicator matrix has 0 and 1 only"):
        Corpus.from_lists(["a", "b"], pandas.DataFrame({"x": [1, 0], "y": values}))


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="the labels have two columns 'x'; name each label once"):
        Corpus.from_lists(["a"], pandas.DataFrame([[1, 0]], columns=["x", "x"]))


def test_lists_of_bits_are_not_taken_for_labels() -> None:
    with pytest.raises(DataError, match=r"looks like an indicator matrix in lists; give numpy.asarray\(labels\)"):
        Corpus.from_lists(["a", "b"], [[1, 0], [0, 1]])


def test_missing_texts_are_named_as_such() -> None:
    with pytest.raises(DataError, match=r"1 of 2 texts cannot be used") as raised:
        Corpus.from_lists(pandas.Series(["a", None]))
    assert "texts[1] is missing" in str(raised.value)


def test_series_and_arrays_are_no_tables() -> None:
    for values in (pandas.Series(["a"]), np.array([["a"]]), ["a"], "a", sparse.csr_array([[1]])):
        assert column_names(values) is None
    assert Corpus.from_lists(np.array([["a"], ["b"]], dtype=object)).texts == ("a", "b")
    with pytest.raises(DataError, match="texts is an array of 2 dimensions"):
        Corpus.from_lists(np.array([["a", "b"]]))
