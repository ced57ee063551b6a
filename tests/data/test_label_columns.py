"""How the columns of labels are read: one decision for each column, from its first values."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from taxotext.data import Columns, Corpus, ReadReport, read_corpus, read_documents
from taxotext.errors import DataError
from taxotext.labels import Taxonomy


def table(rows: list[dict[str, Any]]) -> io.BytesIO:
    """The rows as CSV, each with a text."""
    file = io.StringIO()
    writer = csv.DictWriter(file, ["text", *rows[0]])
    writer.writeheader()
    writer.writerows({"text": f"text {number}", **row} for number, row in enumerate(rows))
    return io.BytesIO(file.getvalue().encode())


def of_cells(cells: list[str], report: ReadReport | None = None, **columns: Any) -> list[list[str]]:
    """The labels of each cell of a column ``labels``."""
    rows = table([{"labels": cell} for cell in cells])
    documents = read_documents(rows, Columns(**columns), format="csv", report=report)
    return [list(document.labels) for document in documents]


def of_values(values: list[Any], report: ReadReport | None = None, **columns: Any) -> list[list[str]]:
    """The labels of each value of a field ``labels`` of JSON lines."""
    lines = "".join(json.dumps({"text": "a text", "labels": value}) + "\n" for value in values)
    documents = read_documents(io.BytesIO(lines.encode()), Columns(**columns), format="jsonl", report=report)
    return [list(document.labels) for document in documents]


def problem_of(call: Any, *arguments: Any, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["['a', 'b c']", "['b c']", "[]"], [["a", "b c"], ["b c"], []]),
        (["['a' 'b']", "['b']"], [["a", "b"], ["b"]]),
        (["('a', 'b')", "('a',)", "()"], [["a", "b"], ["a"], []]),
        (["{'a', 'b'}", "set()"], [["a", "b"], []]),
        (["frozenset({'a'})", "frozenset()"], [["a"], []]),
        (["array(['a', 'b'], dtype=object)", "array([], dtype=object)"], [["a", "b"], []]),
        (["[np.str_('a'), np.str_('b')]"], [["a", "b"]]),
        (['["a;b", "it\'s"]', "['a', nan, None]"], [["a;b", "it's"], ["a"]]),
        (["[php, file upload]", "[php]"], [["php", "file upload"], ["php"]]),
        (["(a, b)", "(c)"], [["a", "b"], ["c"]]),
        (["(unknown)", "{x}"], [["(unknown)"], ["{x}"]]),
        (["[0 2]", "[1]", "[]"], [["0", "2"], ["1"], []]),
        (["[ 0.  2.]", "[1.]"], [["0", "2"], ["1"]]),
        (["[np.int64(3), np.int64(1)]"], [["3", "1"]]),
        (["{'a': 1, 'b': 0}", "{'a': 0, 'b': 1}"], [["a"], ["b"]]),
        (["['a']", "b"], [["a"], ["b"]]),
        (["<http://e.org/a> <http://e.org/b>", "<http://e.org/a>"], [["http://e.org/a", "http://e.org/b"], ["http://e.org/a"]]),
        (["<php><file-upload>", "<php>"], [["php", "file-upload"], ["php"]]),
        (["http://e.org/a http://e.org/b", "urn:x:1"], [["http://e.org/a", "http://e.org/b"], ["urn:x:1"]]),
        (["http://e.org/a,http://e.org/b;c"], [["http://e.org/a", "http://e.org/b;c"]]),
        (["a||b", "b||c|d"], None),
        (["a||b", "b"], [["a", "b"], ["b"]]),
        (["3 12", "4"], [["3", "12"], ["4"]]),
        (["007", "12"], [["007"], ["12"]]),
        (["a, b\nc", "c"], [["a, b", "c"], ["c"]]),
        (["a b\tc", "c\r\n"], [["a b", "c"], ["c"]]),
        (["1.0", "0.0", "2.0"], [["1"], ["0"], ["2"]]),
        (["[004, 510]", "[4]"], [["004", "510"], ["4"]]),
        (["[004 510]", "[004]"], [["004", "510"], ["004"]]),
        (["[9007199254740993, 7]", "[9007199254740992]"], [["9007199254740993", "7"], ["9007199254740992"]]),
        (["9007199254740993.0", "9007199254740992.0"], [["9007199254740993"], ["9007199254740992"]]),
    ],
)  # fmt: skip
def test_lists_and_identifiers_that_programs_print_are_read(cells: list[str], expected: list[list[str]] | None) -> None:
    if expected is None:
        assert "an empty label between" in problem_of(of_cells, cells)
    else:
        assert of_cells(cells) == expected
        assert of_values(cells) == expected  # a string in JSON is read as a cell


def test_a_list_that_was_cut_short_when_it_was_printed_is_refused() -> None:
    for cell in ("['a', 'b', ...]", "[0 1 2 ... 7 8 9]"):
        assert "was cut short when it was printed; export it in full" in problem_of(of_cells, [cell, cell])


@pytest.mark.parametrize(
    "form", ["[{}, {}, {}]", "[{} {} {}]", "{} {} {}", "({}, {}, {})", "{},{},{}", "[{}. {}. {}.]"]
)
def test_vectors_of_zeros_and_ones_are_positions(form: str) -> None:
    cells = [form.format(*bits) for bits in ((1, 0, 0), (0, 1, 1), (0, 0, 0))]
    report = ReadReport()
    assert of_cells(cells, report) == [["0"], ["1", "2"], []]
    assert report.declared_labels == ("0", "1", "2")
    assert report.label_columns["labels"].startswith("vectors with a place for each of 3 labels")


def test_vectors_in_json_are_positions_and_class_numbers_are_numbers() -> None:
    assert of_values([[1, 0, 0], [0, 1, 1], [0, 0, 0]]) == [["0"], ["1", "2"], []]
    assert of_values([[True, False], [False, False]]) == [["0"], []]
    assert of_values([[0, 4], [7], None, []]) == [["0", "4"], ["7"], [], []]
    assert of_values([[0, 1], [0, 1]]) == [["0", "1"], ["0", "1"]]  # no vector has two places and only this value
    assert of_values([3, 0, None]) == [["3"], ["0"], []]
    assert "where other rows have vectors of 3 numbers" in problem_of(of_values, [[1, 0, 0]] * 1001 + [[1, 2, 0]])
    assert "where other rows have class numbers" in problem_of(of_values, [[5]] * 1001 + [["a"]])


def test_objects_of_truth_values_and_of_names_are_labels() -> None:
    assert of_values([{"a": 1.0, "b": 0.0}, {"a": True, "b": False}]) == [["a"], ["a"]]
    assert of_values([[{"id": 3, "name": "bug"}], []]) == [["bug"], []]


def test_null_means_no_label() -> None:
    assert of_values([["a"], None, "", []]) == [["a"], [], [], []]


@pytest.mark.parametrize(
    ("cells", "expected", "empty"),
    [
        (["a;b;", "a;", ";"], [["a", "b"], ["a"], []], 4),
        (["|a|", "a|b"], [["a"], ["a", "b"]], 2),
        (["a; ;", "b"], [["a"], ["b"]], 2),
    ],
)
def test_empty_labels_at_the_edges_of_a_cell_are_dropped_and_counted(
    cells: list[str], expected: list[list[str]], empty: int
) -> None:
    report = ReadReport()
    assert of_cells(cells, report) == expected
    assert report.empty_labels == empty


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Home &amp; Kitchen", "Garden"], [["Home &amp; Kitchen"], ["Garden"]]),
        (["Caf&eacute;;It&#39;s", "&#x2019;"], [["Caf&eacute;", "It&#39;s"], ["&#x2019;"]]),
        (["R&D;Sales", "Sales"], [["R&D", "Sales"], ["Sales"]]),
        (["AT&amp;T|Verizon", "Verizon"], [["AT&amp;T", "Verizon"], ["Verizon"]]),
    ],
)
def test_an_html_entity_is_never_cut(cells: list[str], expected: list[list[str]]) -> None:
    assert of_cells(cells) == expected
    assert of_cells(["a#b", "It&#39;s"], label_separator="#") == [["a", "b"], ["It&#39;s"]]


KAGGLE = [{"toxic": "1", "obscene": "0"}, {"toxic": "0", "obscene": "0"}, {"toxic": "1", "obscene": "1"}]


@pytest.mark.parametrize(
    "words",
    [("1", "0"), ("1.0", "0.0"), ("1,0", "0,0"), ("True", "False"), ("yes", "No"), ("x", ""), ("1", ""), ("✓", "")],
)
def test_columns_named_after_labels_tell_which_documents_have_them(words: tuple[str, str]) -> None:
    rows = [{name: words[value == "0"] for name, value in row.items()} for row in KAGGLE]
    corpus = read_corpus(table(rows), columns=Columns(labels=("toxic", "obscene")), format="csv")
    assert corpus.label_lists() == [["toxic"], [], ["toxic", "obscene"]]
    assert corpus.metadata is None


def test_1_and_minus_1_without_0_say_has_and_has_not_also_of_a_rare_label() -> None:
    rows = [{name: value.replace("0", "-1") for name, value in row.items()} | {"threat": "-1"} for row in KAGGLE]
    corpus = read_corpus(table(rows), columns=Columns(labels=("toxic", "threat", "obscene")), format="csv")
    assert corpus.label_lists() == [["toxic"], [], ["toxic", "obscene"]]
    assert corpus.taxonomy.ids == ("toxic", "threat", "obscene")
    columns = Columns(labels=("toxic", "threat", "obscene"))
    message = problem_of(read_corpus, table([*rows * 400, KAGGLE[1] | {"threat": "0"}]), columns=columns, format="csv")
    assert "the column 'toxic' is '0', where other rows have '1' or '-1'; write one of these" in message


@pytest.mark.parametrize("missing", ["NaN", "nan", "None", "<NA>", "NULL"])
def test_missing_values_in_a_column_named_after_a_label_are_like_empty_cells(missing: str) -> None:
    for has in ("1.0", "x", "True"):
        rows = [{name: has if value == "1" else missing for name, value in row.items()} for row in KAGGLE]
        corpus = read_corpus(table(rows), columns=Columns(labels=("toxic", "obscene")), format="csv")
        assert corpus.label_lists() == [["toxic"], [], ["toxic", "obscene"]]


def test_a_label_that_no_document_has_stays_a_label() -> None:
    rows = [{**row, "threat": "0"} for row in KAGGLE]
    corpus = read_corpus(table(rows), columns=Columns(labels=("toxic", "threat", "obscene")), format="csv")
    assert corpus.taxonomy.ids == ("toxic", "threat", "obscene")
    assert corpus.known_targets.toarray().sum(0).tolist() == [2, 0, 1]


def test_one_column_named_after_a_label_is_enough_and_a_general_name_is_no_label() -> None:
    corpus = read_corpus(table(KAGGLE), columns=Columns(labels="toxic"), format="csv")
    assert (corpus.taxonomy.ids, corpus.label_lists()) == (("toxic",), [["toxic"], [], ["toxic"]])
    assert of_cells(["1", "0", "1"]) == [["1"], ["0"], ["1"]]


def test_what_is_neither_0_nor_1_is_refused_with_its_place() -> None:
    rows = [*KAGGLE, {"toxic": "-1", "obscene": "-1"}]
    message = problem_of(read_corpus, table(rows), columns=Columns(labels=("toxic", "obscene")), format="csv")
    assert "<stream>:5: the column 'toxic' is -1, which says neither that the document has the label nor" in message
    rows = KAGGLE * 400 + [{"toxic": "maybe", "obscene": "0"}]
    message = problem_of(read_corpus, table(rows), columns=Columns(labels=("toxic", "obscene")), format="csv")
    assert "the column 'toxic' is 'maybe', where other rows have '1' or '0'; write one of these" in message


def test_columns_of_levels_are_joined() -> None:
    rows = [{"l1": "A", "l2": "A1"}, {"l1": "B", "l2": ""}, {"l1": "A", "l2": "A1;A2"}]
    corpus = read_corpus(table(rows), columns=Columns(labels=("l1", "l2")), format="csv")
    assert corpus.label_lists() == [["A", "A1"], ["B"], ["A", "A1", "A2"]]


def test_class_numbers_of_several_columns_are_kept_apart() -> None:
    rows = [{"y1": "3", "y2": "3"}, {"y1": "4", "y2": "12"}]
    corpus = read_corpus(table(rows), columns=Columns(labels=("y1", "y2")), format="csv")
    assert corpus.label_lists() == [["y1=3", "y2=3"], ["y1=4", "y2=12"]]


def test_zeros_in_front_of_digits_belong_to_the_label() -> None:
    rows = [{"l1": "000", "l2": "004"}, {"l1": "500", "l2": "510"}]
    corpus = read_corpus(table(rows), columns=Columns(labels=("l1", "l2")), format="csv")
    assert corpus.label_lists() == [["000", "004"], ["500", "510"]]
    assert 'found a number in it: 400; write "400"' in problem_of(of_values, [[400], ["0400"]])
    assert "is '0400', where other rows have class numbers" in problem_of(of_values, [[400]] * 1001 + ["0400"])


def test_large_class_numbers_stay_apart() -> None:
    assert of_values([[2**53 + 1], [2**53]]) == [["9007199254740993"], ["9007199254740992"]]
    message = problem_of(of_values, [[2.0**60], [1]])
    assert "has the number 1.152921504606847e+18, which a program has rounded; write such numbers as strings" in message


@pytest.mark.parametrize(("form", "expected"), [("names", ["2", "25"]), ("paths", ["2", "2/25"]), ("prefixed", None)])
def test_class_numbers_of_levels_are_codes_where_the_user_says_so(form: str, expected: list[str] | None) -> None:
    columns = Columns(labels=("l1", "l2"), label_columns=form)
    corpus = read_corpus(table([{"l1": "2", "l2": "25"}, {"l1": "5", "l2": "51"}]), columns=columns, format="csv")
    assert corpus.label_lists()[0] == (expected or ["l1=2", "l2=25"])


def test_class_numbers_of_levels_are_the_codes_of_the_taxonomy() -> None:
    rows, columns = [{"l1": "2", "l2": "25"}, {"l1": "5", "l2": "51"}], Columns(labels=("l1", "l2"))
    codes = Taxonomy.from_edges([(None, "2"), ("2", "25"), (None, "5"), ("5", "51")])
    assert read_corpus(table(rows), codes, columns=columns, format="csv").label_lists() == [["2", "25"], ["5", "51"]]
    apart = Taxonomy.flat(["l1=2", "l1=5", "l2=25", "l2=51"])
    found = read_corpus(table(rows), apart, columns=columns, format="csv").label_lists()
    assert found == [["l1=2", "l2=25"], ["l1=5", "l2=51"]]


def test_columns_of_0_and_1_beside_class_numbers_are_class_numbers() -> None:
    rows = [{"y1": "0", "y2": "3"}, {"y1": "1", "y2": "12"}]
    corpus = read_corpus(table(rows), columns=Columns(labels=("y1", "y2")), format="csv")
    assert corpus.label_lists() == [["y1=0", "y2=3"], ["y1=1", "y2=12"]]


def test_shares_between_0_and_1_are_refused() -> None:
    rows = [{"toxic": "0.0", "obscene": "1"}, {"toxic": "0.3", "obscene": "0"}]
    message = problem_of(read_corpus, table(rows), columns=Columns(labels=("toxic", "obscene")), format="csv")
    assert message.startswith("<stream>:3: the column 'toxic' is '0.3', between 0 and 1; write 1 where a document has")
    assert of_cells(["0.1", "0.2"]) == [["0.1"], ["0.2"]]  # chapters


def test_a_column_without_a_value_is_read_as_nothing() -> None:
    report = ReadReport()
    assert of_values([None, []], report) == [[], []]
    assert (report.label_columns, report.guessed_columns) == ({}, [])


def test_a_later_file_is_read_as_the_first_one_was() -> None:
    report = ReadReport()
    of_values([[1, 0], [0, 0]], report)
    found = Columns().as_found(report)
    assert of_values([[0, 1]]) == [["0", "1"]]
    lines = io.BytesIO(b'{"text": "x", "labels": [0, 1]}\n')
    assert [document.labels for document in read_documents(lines, found, format="jsonl")] == [("1",)]


def test_a_separator_that_had_no_effect_is_told() -> None:
    report = ReadReport()
    assert of_cells(["['a', 'b']", "['a']"], report, label_separator=",") == [["a", "b"], ["a"]]
    assert report.unused == {"label_separator": "'labels' holds lists as programs print them"}
    report = ReadReport()
    of_cells(["a;b", "c"], report, label_separator="#")
    assert report.unused == {"label_separator": "it is in none of 2 cells of 'labels'"}
    report = ReadReport()
    assert of_values([["a#b"], ["c"]], report, label_separator="#") == [["a", "b"], ["c"]]
    assert report.unused == {}


def test_a_comma_is_refused_with_what_the_column_shows() -> None:
    message = problem_of(of_cells, ["php,upload", "php"])
    assert "('php' is also a cell by itself, so it probably separates labels); give label_separator=','" in message
    assert of_cells(["php,upload", "php"], label_separator=",") == [["php", "upload"], ["php"]]


def test_a_field_that_no_record_has_is_told_once() -> None:
    lines = io.BytesIO(b'{"text": "x", "label": ["a"]}\n' * 30)
    message = problem_of(read_corpus, lines, format="jsonl")
    assert message == (
        "<stream>: in all of its 30 records there is no field 'labels', only 'text', 'label'. Did you mean 'label'? "
        "Say with columns.text, columns.labels and columns.id which one is what."
    )


def test_labels_keep_their_order_when_columns_declare_them() -> None:
    corpus = Corpus.from_documents(read_documents(table(KAGGLE), Columns(labels=("toxic", "obscene")), format="csv"))
    assert corpus.taxonomy.ids == ("obscene", "toxic")  # without the report nothing is declared


def test_the_key_of_label_studio_around_a_list_of_labels_is_no_label() -> None:
    rows = [{"text": "x", "topic": {"choices": ["a", "b"]}}, {"text": "y", "topic": "a"}]
    content = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())
    corpus = read_corpus(content, columns=Columns(labels="topic"), format="jsonl")
    assert (corpus.taxonomy.ids, corpus.label_lists()) == (("a", "b"), [["a", "b"], ["a"]])
    assert of_values([{"choices": True, "b": False}]) == [["choices"]]
