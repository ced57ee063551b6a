"""Tables as spreadsheets, databases and people write them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from taxotext.data import Columns, Document, ReadReport, read_corpus, read_documents
from taxotext.data.reading_notes import change_notes
from taxotext.errors import DataError


def read(content: str, format: str = "csv", report: ReadReport | None = None, **columns: object) -> list[Document]:
    return list(read_documents(io.BytesIO(content.encode()), Columns(**columns), format=format, report=report))  # type: ignore[arg-type]


def problem_of(content: str, format: str = "csv", **columns: object) -> str:
    with pytest.raises(DataError) as caught:
        read(content, format, **columns)
    return str(caught.value)


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(("sign", "format"), [(";", "csv"), ("\t", "csv"), ("|", "csv"), (",", "tsv"), (";", "tsv")])
def test_columns_are_separated_as_the_header_shows(quote: str, sign: str, format: str) -> None:
    rows = (("text", "labels"), ("x", "a"), ("y", "b"))
    content = "".join(sign.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in rows)
    report = ReadReport()
    assert [(document.text, document.labels) for document in read(content, format, report)] == [
        ("x", ("a",)),
        ("y", ("b",)),
    ]
    assert report.column_separator == sign
    assert "no field 'text', only 'Text', 'labels'. Did you mean 'Text'?" in problem_of(
        content.replace("text", "Text"), format
    )


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;"])
def test_a_line_that_tells_a_spreadsheet_the_separator_is_obeyed(first: str) -> None:
    [document] = read(f"{first}\r\ntext;labels;w\r\nx, y;a;0,5\r\n", weight="w")
    assert (document.text, document.labels, document.weight) == ("x, y", ("a",), 0.5)
    assert document.where == "<stream>:3"


def test_blanks_behind_separators_are_left_out_where_the_header_shows_them() -> None:
    [document] = read('text, labels\n"one, two", "a;b"\n')
    assert (document.text, document.labels) == ("one, two", ("a", "b"))
    assert read("text,labels\nx, a\n")[0].labels == ("a",)
    assert read("text,labels, extra\n x,a, y\n")[0].metadata == {" extra": " y"}


def test_decimal_commas_are_read_only_beside_semicolons() -> None:
    assert "must be a number, found '0,5'" in problem_of('text,labels,w\nx,a,"0,5"\n', weight="w")


def test_a_comma_in_the_text_of_a_single_column_is_no_separator() -> None:
    documents = read_documents(io.BytesIO(b"text;labels\nx, y;a\n"), format="csv", labelled=False)
    assert [document.text for document in documents] == ["x, y"]


def test_empty_columns_and_rows_at_the_end_are_left_out() -> None:
    report = ReadReport()
    documents = read("text,labels,,\nx,a,,\ny,b,,\n,,,\nz,c\n,,,\n", report=report)
    assert [(document.text, document.metadata) for document in documents] == [("x", {}), ("y", {}), ("z", {})]
    assert (report.empty_columns, report.blank_lines) == (2, 1)
    assert len(read("text,labels\nx,a,,\n", report=report)) == 1
    assert "too many cells, 3 where the header has 2" in problem_of("text,labels,\nx,a,note\n")


def test_a_header_in_the_middle_of_a_joined_file_is_left_out_and_counted() -> None:
    report = ReadReport()
    documents = read("text,labels\nx,a\n\ufefftext,labels\ny,b\n", report=report)
    assert [document.text for document in documents] == ["x", "y"]
    assert report.repeated_headers == 1
    message = problem_of("text,labels\nx,a\nlabels,text\nb,y\n")
    assert "<stream>:3: the row is a header in another order" in message


@pytest.mark.parametrize("again", ['"text","labels"', 'text, "labels"', "Text,LABELS", " text , labels "])
def test_a_repeated_header_is_known_whatever_program_has_written_it(again: str) -> None:
    report = ReadReport()
    documents = read(f"text,labels\nx,a\n{again}\ny,b\n", report=report)
    assert [(document.text, document.labels) for document in documents] == [("x", ("a",)), ("y", ("b",))]
    assert report.repeated_headers == 1


def test_rows_of_empty_cells_keep_their_place_where_texts_may_be_blank() -> None:
    source = io.BytesIO(b"text,labels\nx,a\n,\n  ,\ny,b\n,\n")
    documents = read_documents(source, format="csv", labelled=False, blank_texts=True)
    assert [document.text for document in documents] == ["x", "", "", "y", ""]


@pytest.mark.parametrize("between", ["", "\n"])
def test_a_json_array_under_the_name_of_json_lines_is_one_error_with_advice_that_reads_it(between: str) -> None:
    array = '[{"text": "x",XX "labels": ["a"]},XX {"text": "y", "labels": []}]'.replace("XX", between)
    message = problem_of("\n" + array, "jsonl")
    assert message == "<stream>:2: the file is one JSON array, not one object a line; give format='json'"
    assert [document.text for document in read(array, "json")] == ["x", "y"]
    assert "each line must be a JSON object, found a list" in problem_of('["a"]\n{"text": "x"}\n', "jsonl")


def test_a_byte_order_mark_in_the_middle_of_json_lines_is_dropped() -> None:
    line = '{"text": "x", "labels": []}\n'
    assert len(read(line + "\ufeff" + line, "jsonl")) == 2


def test_quotes_can_mean_nothing() -> None:
    content = 'text\tlabels\n"Quoted" she said\ta\n5" screen\tb\n"open\tc\n'
    assert "or give columns.quotes=False where a quote" in problem_of(content, "tsv")
    texts = [document.text for document in read(content, "tsv", quotes=False)]
    assert texts == ['"Quoted" she said', '5" screen', '"open']


@pytest.mark.parametrize("role", ["labels", "text"])
def test_names_of_several_fields_given_as_one_are_told_to_be_several(role: str) -> None:
    message = problem_of("text,labels,toxic,obscene\nx,a,0,1\n", **{role: "toxic,obscene"})
    assert f"These are 2 fields; give columns.{role} several times, one field each" in message
    assert "Did you mean" not in message


@pytest.mark.parametrize("above", ["# made by hand\n", "Tickets of 2026\n\n", "a;b;c\n"])
def test_lines_above_the_header_are_named(tmp_path: Path, above: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(above + "text,labels\nx,a\n")
    line = 1 + above.count("\n")
    with pytest.raises(
        DataError, match=rf"t.csv:1: the header is in line {line}; remove what is above it, '{above[0]}"
    ):
        read_corpus(path)


@pytest.mark.parametrize(
    ("yes", "no"), [("ja", "nein"), ("WAHR", "FALSCH"), ("Oui", "Non"), ("sí", "no"), ("да", "нет")]
)
def test_yes_and_no_of_other_languages_say_which_documents_have_a_label(tmp_path: Path, yes: str, no: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"text,red,blue\nx,{yes},{no}\ny,{no},{no}\n", encoding="utf-8")
    assert read_corpus(path, columns=Columns(labels=("red", "blue"))).label_lists() == [["red"], []]


def test_other_words_for_yes_and_no_are_refused_with_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,red,blue\nx,present,absent\ny,absent,present\n")
    with pytest.raises(DataError, match="whether a document has the label that a column is named after, write 1 and 0"):
        read_corpus(path, columns=Columns(labels=("red", "blue")))


def test_rows_in_succession_with_one_id_and_text_are_one_document() -> None:
    report = ReadReport()
    table = "id,text,labels\n1,x,a\n1,x,b\n1,x,a\n2,y,a\n1,x,c\n3,z,a\n3,other,b\n4,w,\n4,w,\n"
    documents = read(table, report=report)
    assert [(document.id, document.text, document.labels) for document in documents] == [
        ("1", "x", ("a", "b")),
        ("2", "y", ("a",)),
        ("1", "x", ("c",)),  # not in succession: the check of ids says so
        ("3", "z", ("a",)),
        ("3", "other", ("b",)),
        ("4", "w", ()),
        ("4", "w", ()),
    ]
    assert (report.joined_rows, report.documents) == (2, 7)
    assert "9 rows made 7 documents: rows in succession" in " ".join(change_notes(report))
    assert len(read("text,labels\nx,a\nx,b\n")) == 2, "without ids, equal texts are documents of their own"


def test_where_no_column_of_labels_is_found_columns_of_0_and_1_are_advised() -> None:
    table = "id,text,toxic,is rude,length\n1,x,1,0,1\n2,y,0,1,9\n"
    message = problem_of(table)
    assert "The columns 'toxic', 'is rude' say whether a document has a label" in message
    assert "columns.labels=['toxic', 'is rude']" in message
    documents = read(table, labels=("toxic", "is rude"))
    assert [document.labels for document in documents] == [("toxic",), ("is rude",)]
    assert "say whether" not in problem_of("text,topic,n\nx,sport,1\ny,news,0\n"), "one such column is no advice"
    assert "say whether" not in problem_of("toxic,rude,labels\n1,0,a\n0,1,b\n"), "the labels are there, the text is not"
