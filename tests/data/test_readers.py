"""Reading corpus files: what is read, and a sentence for whatever is wrong."""

from __future__ import annotations

import gzip
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data import Columns, Document, ReadReport, read_documents, readers
from taxotext.data.formats.base import Item
from taxotext.errors import ConfigError, DataError


def read(
    content: bytes | str, format: str = "jsonl", columns: Columns | None = None, **settings: object
) -> list[Document]:
    data = content.encode() if isinstance(content, str) else content
    return list(read_documents(io.BytesIO(data), columns or Columns(), format=format, **settings))  # type: ignore[arg-type]


def problem_of(content: bytes | str, format: str = "jsonl", columns: Columns | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(content, format, columns)
    return str(caught.value)


def line(**fields: object) -> str:
    return json.dumps({"text": "a text", "labels": ["a"], **fields}) + "\n"


# What is read


def test_a_json_line_gives_text_labels_id_metadata_and_place() -> None:
    [document] = read('{"id": "d1", "text": "Cats purr.", "labels": ["pets", "cats"], "year": 2020}\n')
    assert document == Document("Cats purr.", ("pets", "cats"), "d1", 1.0, None, {"year": 2020}, "<stream>:1")


def test_weight_and_group_are_read_when_they_are_named() -> None:
    columns = Columns(weight="w", group="author")
    [document] = read(line(w=2, author=7), columns=columns)
    assert (document.weight, document.group, document.metadata) == (2.0, "7", {})
    [document] = read("text,labels,w,author\nx,a,0.5,\n", "csv", columns)
    assert (document.weight, document.group) == (0.5, None)


def test_a_whole_number_as_id_stays_one_and_an_empty_one_is_none() -> None:
    assert [document.id for document in read(line(id=12) + line(id=None) + line(id="") + line())] == [
        12,
        None,
        None,
        None,
    ]


def test_duplicate_labels_are_removed_and_counted() -> None:
    report = ReadReport()
    [document] = read(line(labels=["b", "a", "b", "b"]), report=report)
    assert document.labels == ("b", "a")
    assert report.duplicate_labels == 2


def test_white_space_around_labels_is_dropped_and_counted() -> None:
    report = ReadReport()
    [document] = read(line(labels=["a\u00a0", " b", "c"]), report=report)
    assert document.labels == ("a", "b", "c")
    assert report.trimmed_labels == 2


def test_empty_label_sets_are_legal_and_counted() -> None:
    report = ReadReport()
    assert [document.labels for document in read(line(labels=[]) + line(), report=report)] == [(), ("a",)]
    assert (report.documents, report.empty_label_sets) == (2, 1)


def test_several_text_fields_are_joined_in_the_stated_order_without_empty_ones() -> None:
    columns = Columns(text=("title", "body"), text_join=" | ")
    lines = [{"body": "B", "title": "T"}, {"body": "B", "title": " "}, {"body": None, "title": "T"}]
    content = "".join(json.dumps({**fields, "labels": []}) + "\n" for fields in lines)
    assert [document.text for document in read(content, columns=columns)] == ["T | B", "B", "T"]


def test_a_missing_one_among_several_text_fields_is_an_error() -> None:
    message = problem_of('{"title": "T", "labels": []}\n', columns=Columns(text=("title", "body")))
    assert "there is no field 'body'" in message


def test_several_text_fields_that_are_all_empty_are_an_error() -> None:
    message = problem_of('{"title": "", "body": null, "labels": []}\n', columns=Columns(text=("title", "body")))
    assert "the text is empty (field 'title' and 'body')" in message


def test_blank_lines_between_documents_are_counted_and_those_at_the_end_are_not() -> None:
    report = ReadReport()
    assert len(read(line() + "\n  \n" + line() + "\n\n", report=report)) == 2
    assert report.blank_lines == 2
    report = ReadReport()
    assert len(read("text,labels\nx,a\n\ny,b\n\n", "csv", report=report)) == 2
    assert report.blank_lines == 1


@pytest.mark.parametrize("cell", ['""', '" "', " "])
def test_an_empty_document_in_a_file_of_one_column_is_no_blank_line(cell: str) -> None:
    content, report = f"text\none\n{cell}\n\nthree\n", ReadReport()
    with pytest.raises(DataError, match="<stream>:3: the text is empty"):
        read(content, "csv", labelled=False)
    documents = read(content, "csv", labelled=False, on_bad_line="skip", report=report)
    assert [document.text for document in documents] == ["one", "three"]
    assert (report.skipped_count, report.blank_lines) == (1, 1)


def test_white_space_alone_on_a_line_is_blank_where_rows_have_more_cells() -> None:
    report = ReadReport()
    assert len(read("text,labels\nx,a\n  \ny,b\n", "csv", report=report)) == 2
    assert report.blank_lines == 1


def test_a_field_called_id_can_be_the_text() -> None:
    columns = Columns(text="id")
    assert (columns.id_field, Columns().id_field) == (None, "id")
    [document] = read('{"id": "words", "labels": []}\n', columns=columns)
    assert (document.text, document.id, document.metadata) == ("words", None, {})
    assert read("id,labels\nwords,a\n", "csv", columns)[0].id is None
    with pytest.raises(ConfigError, match="the field 'key' is taken as text and as id; name another one for id"):
        Columns(text="key", id="key")


def test_a_field_called_labels_can_be_the_text_when_no_labels_are_read() -> None:
    columns = Columns(text="labels")
    assert read('{"labels": "words"}\n', columns=columns, labelled=False)[0].text == "words"
    with pytest.raises(ConfigError, match="the field 'labels' is taken as text and as labels; name another one for"):
        read('{"labels": "words"}\n', columns=columns)


def test_byte_order_mark_and_windows_line_ends_are_accepted() -> None:
    content = b"\xef\xbb\xbf" + line().replace("\n", "\r\n").encode()
    assert [document.text for document in read(content)] == ["a text"]
    rows = b'\xef\xbb\xbftext,labels\r\nx,a\r\n"two\r\nlines",b\r\n'
    assert [document.text for document in read(rows, "csv")] == ["x", "two\r\nlines"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_unicode_line_separators_do_not_split_lines(separator: str) -> None:
    text = f"one{separator}two"
    content = '{"text": ' + (json.dumps(text, ensure_ascii=separator < " ")) + ', "labels": []}\n'
    assert [document.text for document in read(content)] == [text]
    assert [document.text for document in read(f"text,labels\n{text},a\n", "csv")] == [text]


@pytest.mark.parametrize("text", ["Москва", "東京タワー", "e\u0301 is not é", "مرحبا", "👩\u200d🔬", "ﬁ"])
def test_texts_and_labels_of_any_script_are_not_normalised(text: str) -> None:
    [document] = read('{"text": "%s", "labels": ["%s"]}' % (text, text))  # noqa: UP031
    assert (document.text, document.labels) == (text, (text,))
    [document] = read(f"text,labels\n{text},{text}", "csv")
    assert (document.text, document.labels) == (text, (text,))


def test_very_long_csv_fields_are_read() -> None:
    text = "word " * 100_000
    assert read(f"text,labels\n{text},a\n", "csv")[0].text == text


def test_unlabelled_reading_passes_a_label_field_through() -> None:
    documents = read('{"text": "x", "labels": "whatever"}\n{"text": "y"}\n', labelled=False)
    assert [(document.labels, document.metadata) for document in documents] == [
        ((), {"labels": "whatever"}),
        ((), {}),
    ]


def test_documents_are_drawn_one_at_a_time() -> None:
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:
            return line().encode()

    documents = read_documents(Endless(), format="jsonl")  # type: ignore[arg-type]
    assert [next(documents).where for _ in range(3)] == ["<stream>:1", "<stream>:2", "<stream>:3"]


@pytest.mark.parametrize("name", ["c.jsonl", "c.ndjson", "c.csv", "c.tsv", "C.CSV"])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_format_follows_from_the_suffix(tmp_path: Path, name: str, compressed: bool) -> None:
    separator = "\t" if "tsv" in name else ","
    content = line() if "j" in name else f"text{separator}labels\na text{separator}a\n"
    path = tmp_path / (name + ".gz" if compressed else name)
    path.write_bytes(gzip.compress(content.encode()) if compressed else content.encode())
    [document] = read_documents(path)
    assert (document.text, document.labels) == ("a text", ("a",))
    assert document.where == f"{path}:{1 if 'j' in name else 2}"


def test_a_stream_is_left_open() -> None:
    stream = io.BytesIO(gzip.compress(line().encode()))
    list(read_documents(stream, format="jsonl.gz"))
    assert not stream.closed


# Labels in CSV cells


@pytest.mark.parametrize(
    ("cells", "separator", "expected"),
    [
        (["a;b", "c"], None, [("a", "b"), ("c",)]),
        (["c", "a | b"], None, [("c",), ("a", "b")]),
        (["a,b;c"], None, [("a,b", "c")]),
        (['["a;b", "c|d"]', "e"], None, [("a;b", "c|d"), ("e",)]),
        (["", " "], None, [(), ()]),
        (["a, b"], ",", [("a", "b")]),
        (["a;b|c"], "|", [("a;b", "c")]),
        (["a,b;c|d"], "", [("a,b;c|d",)]),
        (["[x];y"], ";", [("[x]", "y")]),
        (["a::b"], "::", [("a", "b")]),
    ],
)
def test_label_cells_are_cut(cells: list[str], separator: str | None, expected: list[tuple[str, ...]]) -> None:
    rows = "".join('x\t"' + cell.replace('"', '""') + '"\n' for cell in cells)
    documents = read("text\tlabels\n" + rows, "tsv", Columns(label_separator=separator))
    assert [document.labels for document in documents] == expected


def test_the_guessed_separator_is_in_the_report() -> None:
    report = ReadReport()
    read("text,labels\nx,a\ny,b|c\n", "csv", report=report)
    assert report.label_separator == "|"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Food, drink", "cat"], [("Food, drink",), ("cat",)]),
        (["Food, drink", "cat;dog"], [("Food, drink",), ("cat", "dog")]),
        (["cat|dog"], [("cat", "dog")]),
        (['["a;b", "c"]', "d"], [("a;b", "c"), ("d",)]),
    ],
)
def test_the_separator_of_an_earlier_file_counts_where_the_cells_show_none(
    cells: list[str], expected: list[tuple[str, ...]]
) -> None:
    rows = "".join('x\t"' + cell.replace('"', '""') + '"\n' for cell in cells)
    documents = read("text\tlabels\n" + rows, "tsv", Columns(found_separator=";"))
    assert [document.labels for document in documents] == expected


def test_two_possible_separators_are_an_error_that_names_the_option() -> None:
    for cells in (["a;b", "c|d"], ["a;b|c"]):
        message = problem_of("text,labels\n" + "".join(f"x,{cell}\n" for cell in cells), "csv")
        assert "has ';' and '|' in its cells" in message
        assert "give label_separator (';' or '|')" in message


def test_a_second_separator_far_down_is_found_too() -> None:
    rows = "x,a;b\n" * 1500 + "x,a|b\n"
    assert problem_of("text,labels\n" + rows, "csv").startswith("<stream>:1502: the column 'labels' has ';' and '|'")


def test_a_comma_in_a_label_cell_must_be_explained() -> None:
    message = problem_of('text,labels\nx,"a,b"\n', "csv")
    assert message.startswith("<stream>:2: the column 'labels' has a comma in 'a,b'")
    assert "label_separator=','" in message
    assert "label_separator=''" in message


def test_an_empty_label_between_separators_is_an_error() -> None:
    message = problem_of("text,labels\nx,a;;b\ny,a;b\n", "csv")
    assert "<stream>:2: the column 'labels' has an empty label between the separators ';': 'a;;b'" in message


def test_a_broken_json_list_in_a_cell_is_an_error() -> None:
    assert "begins like a JSON list but is none" in problem_of("text,labels\nx,[a\ny,b\n", "csv")
    assert "begins like a JSON list but is none" in problem_of("text,labels\nx,[a]\ny,b\n", "csv")


# Quotes and line ends of tables


def test_a_quote_in_a_tsv_file_does_not_swallow_rows_silently() -> None:
    rows = ["first\ta", '"Quoted" she said\tb', "third\tc", '"fourth\td', "fifth\te", 'this is "sixth"\tf', "last\tg"]
    message = problem_of("text\tlabels\n" + "\n".join(rows) + "\n", "tsv")
    assert "2 of 5 records cannot be read" in message
    assert "<stream>:3: this is not valid CSV: a tab expected after '\"'; fix it" in message
    assert (
        "<stream>:7: this is not valid CSV: a tab expected after '\"', in the record that begins in line 5;" in message
    )
    rows = ["first\ta", '"second\tb', "third\tc", 'fourth"\td', "last\te"]
    message = problem_of("text\tlabels\n" + "\n".join(rows) + "\n", "tsv")
    assert "1 of 3 records cannot be read" in message
    assert "<stream>:3: lines 3 to 5 make one row, because a cell begins with a quote" in message
    rows = ["first\ta", '"second\tb', "third", 'fourth"\td\te', "last\te"]
    assert "<stream>:3: lines 3 to 5 make one row" in problem_of("text\tlabels\n" + "\n".join(rows) + "\n", "tsv")


def test_tabs_and_line_breaks_in_quotes_are_text_where_the_rows_show_it() -> None:
    content = 'id\ttext\tlabels\n1\t"two\nlines\tand ""quotes"""\ta\n'
    assert read(content, "tsv")[0].text == 'two\nlines\tand "quotes"'
    assert read('text\tlabels\n"two\nlines"\ta\n', "tsv")[0].text == "two\nlines"


def test_line_ends_of_old_macs_are_named() -> None:
    message = problem_of("text,labels\rx,a\ry,b\r", "csv")
    assert message == (
        "<stream>:1: the header is not valid CSV: lines end in CR alone; save the file with LF (or CR LF) line ends"
    )
    assert "<stream>:3: this is not valid CSV: lines end in CR alone" in problem_of(
        "text,labels\nx,a\ny,b\rz,c\n", "csv"
    )


# Bad lines


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('{"text": "x", "labels": ["a"]', "not valid JSON, at column"),
        ('["x"]', "must be a JSON object, found a list: ['x']"),
        ("17", "must be a JSON object, found a number: 17"),
        ('{"labels": ["a"], "txt": "x"}', "no field 'text', only 'labels', 'txt'. Did you mean 'txt'?"),
        ('{"text": "x", "label": ["a"]}', "no field 'labels', only 'text', 'label'. Did you mean 'label'?"),
        ('{"text": 5, "labels": []}', "the field 'text' must be a string, found a number: 5"),
        ('{"text": null, "labels": []}', "the field 'text' must be a string, found null"),
        ('{"text": " \\n\\t", "labels": []}', "the text is empty"),
        ('{"text": "a\\u0000b", "labels": []}', "the text holds a NUL character"),
        ('{"text": "x", "labels": {"a": 0.3}}', "must be a list of strings, found an object whose 'a' is 0.3"),
        ('{"text": "x", "labels": true}', "must be a list of strings, found a truth value"),
        ('{"text": "x", "labels": [1]}', 'found a number in it: 1; write "1"'),
        ('{"text": "x", "labels": ["a", ""]}', "has an empty label"),
        ('{"text": "x", "labels": ["a\\tb"]}', "contains a TAB or a line break"),
        ('{"text": "x", "labels": ["a"], "id": 1.5}', "the field 'id' must be a string or a whole number"),
        ('{"text": "\\ud800", "labels": []}', "not valid JSON"),
        ('{"text": "x", "labels": [], "n": NaN}', "not valid JSON"),
    ],
)
def test_a_bad_json_line_is_reported_with_its_place_and_reason(bad: str, reason: str) -> None:
    message = problem_of(line() + bad + "\n" + line())
    assert message.startswith("<stream>: 1 of 3 records cannot be read; fix them, or leave bad lines out")
    assert "\n  - <stream>:2: " in message
    assert reason in message


@pytest.mark.parametrize("weight", ["-1", "1e39", '"1"', "true", "null", "[]"])
def test_a_bad_weight_is_reported(weight: str) -> None:
    message = problem_of('{"text": "x", "labels": [], "w": %s}' % weight, columns=Columns(weight="w"))  # noqa: UP031
    assert "<stream>:1: the weight (field 'w') must be a" in message


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "1e39", "much", ""])
def test_a_bad_weight_in_csv_is_reported(weight: str) -> None:
    message = problem_of(f"text,labels,w\nx,a,{weight}\n", "csv", Columns(weight="w"))
    assert "<stream>:2: the weight (field 'w') must be a" in message


def test_bytes_that_are_not_utf8_are_reported_with_their_line() -> None:
    message = problem_of(line().encode() + b'{"text": "caf\xe9", "labels": []}\n')
    assert "<stream>:2: the line is not UTF-8 (byte 0xE9 at byte 14); save the file as UTF-8" in message


def test_bytes_that_are_not_utf8_in_a_record_of_several_lines_name_the_line() -> None:
    message = problem_of(b'text,labels\nx,a\n"one\ntwo \xe9\nthree",b\ny,c\n', "csv")
    assert "1 of 3 records" in message
    assert "<stream>:4: the line is not UTF-8 (byte 0xE9 at byte 5)" in message


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_nul_bytes_are_reported_with_their_line(format: str) -> None:
    content = line() if format == "jsonl" else "text,labels\nx,a\n"
    message = problem_of(content.encode() + b"x\0y,a\n", format)
    assert f"<stream>:{2 if format == 'jsonl' else 3}: there is a NUL byte at byte 2" in message


def test_rows_with_too_few_or_too_many_cells_are_reported() -> None:
    message = problem_of("text,labels\nx\ny,a\nz,a,b\n", "csv")
    assert "2 of 3 records" in message
    assert "<stream>:2: the row has too few cells, 1 where the header has 2" in message
    assert "<stream>:4: the row has too many cells, 3 where the header has 2" in message


def test_bad_quoting_is_reported_and_reading_goes_on() -> None:
    message = problem_of('text,labels\n"x"y,a\nz,a\nu,\n', "csv")
    assert "1 of 3 records" in message
    assert "<stream>:2: this is not valid CSV" in message


def test_a_quote_that_is_never_closed_is_an_error_even_when_bad_lines_are_skipped() -> None:
    with pytest.raises(DataError, match="<stream>:3: the record that begins here opens a quote"):
        read('text,labels\nx,a\n"y,a\nz,a\n', "csv", on_bad_line="skip")


def test_a_header_without_the_columns_is_an_error_with_the_nearest_name() -> None:
    message = problem_of("Text,label\nx,a\n", "csv")
    assert message.startswith("<stream>:1: the header lacks a column that is needed")
    assert "no field 'text', only 'Text', 'label'. Did you mean 'Text'?" in message
    assert "Did you mean 'label'?" in message


def test_a_duplicated_header_is_an_error() -> None:
    assert "the header has the column 'text' twice" in problem_of("text,labels,text\nx,a,y\n", "csv")


def test_a_named_id_column_must_exist_and_the_default_one_need_not() -> None:
    assert "no field 'key'" in problem_of("text,labels\nx,a\n", "csv", Columns(id="key"))
    assert "no field 'key'" in problem_of(line(), columns=Columns(id="key"))


def test_all_problems_are_counted_and_twenty_are_listed() -> None:
    message = problem_of(line() + "x\n" * 30)
    assert message.startswith("<stream>: 30 of 31 records cannot be read (the first 20 are listed)")
    assert message.count("\n  - <stream>:") == 20


def test_no_document_is_yielded_after_a_bad_line() -> None:
    documents = read_documents(io.BytesIO((line() + "x\n" + line()).encode()), format="jsonl")
    next(documents)
    with pytest.raises(DataError):
        next(documents)


def test_skipping_keeps_sentences_and_counts_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    report = ReadReport()
    with caplog.at_level(logging.WARNING, "taxotext"):
        documents = read(line() + "x\n" + line() + "[]\n", on_bad_line="skip", report=report)
    assert len(documents) == report.documents == 2
    assert report.skipped_count == 2
    assert report.skipped[1] == "<stream>:4: each line must be a JSON object, found a list: []"
    assert "skipped 2 of 4 records" in caplog.text


def test_skipping_everything_is_an_error() -> None:
    with pytest.raises(DataError, match="2 of 2 records cannot be read; fix them"):
        read("x\ny\n", on_bad_line="skip")


def test_a_document_that_is_bad_does_not_count_its_duplicates() -> None:
    report = ReadReport()
    read(line(labels=["a", "a"], id=1.5) + line(), on_bad_line="skip", report=report)
    assert report.duplicate_labels == 0


# Files


@pytest.mark.parametrize(
    ("content", "format", "sentence"),
    [
        (b"", "jsonl", "<stream>: the file is empty"),
        (b"", "csv", "<stream>: the file is empty"),
        (b"\n\n", "jsonl", "the file holds only blank lines"),
        (b"text,labels\n", "csv", "the file holds a header and no documents"),
        ("text".encode("utf-16"), "jsonl", "the file is UTF-16; save it as UTF-8"),
        (gzip.compress(b"x", mtime=0), "jsonl", "the file is gzip-compressed; end its name in .gz"),
        (b"{}\n", "jsonl.gz", "this is not a gzip file"),
        (gzip.compress(line().encode() * 1000)[:-10], "jsonl.gz", "breaks off after line"),
        (b"PK\x03\x04...", "csv", "a zip archive or a spreadsheet"),
    ],
)
def test_files_that_are_no_corpus_get_a_sentence(content: bytes, format: str, sentence: str) -> None:
    assert sentence in problem_of(content, format)


@pytest.mark.parametrize("place", [slice(-8, -4), slice(200, 260)])
def test_damage_inside_gzip_data_gets_a_sentence(place: slice) -> None:
    packed = bytearray(gzip.compress("".join(line(n=n * n) for n in range(2000)).encode()))
    packed[place] = b"\xff" * len(packed[place])
    assert "damaged gzip data after line" in problem_of(bytes(packed), "jsonl.gz")


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(line())
    with pytest.raises(DataError, match=r"no such file\. Did you mean 'train.jsonl'\?"):
        read_documents(tmp_path / "trian.jsonl")
    with pytest.raises(DataError, match=r"the folder .* does not exist"):
        read_documents(tmp_path / "nowhere" / "train.jsonl")


def test_a_folder_or_an_unknown_suffix_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this is a folder; name a file in it"):
        read_documents(tmp_path, format="csv")
    with pytest.raises(DataError, match=r"the suffix '\.docx' is none of a corpus file; use jsonl, json, csv or tsv"):
        read_documents(tmp_path / "a.docx")
    with pytest.raises(DataError, match="the file name has no suffix"):
        read_documents(tmp_path / "a")


def test_impossible_settings_get_a_sentence() -> None:
    with pytest.raises(DataError, match=r"unknown corpus format 'jsnl'.*Did you mean 'jsonl'\?"):
        read_documents(io.BytesIO(), format="jsnl")
    with pytest.raises(DataError, match="a stream has no suffix; give its format"):
        read_documents(io.BytesIO())
    with pytest.raises(ConfigError, match="on_bad_line is 'ignore'"):
        read_documents(io.BytesIO(), format="csv", on_bad_line="ignore")
    with pytest.raises(DataError, match="gives str, not bytes"):
        list(read_documents(io.StringIO("x\n"), format="jsonl"))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="not from list"):
        list(read_documents([1], format="jsonl"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [{"text": ()}, {"weight": ""}, {"text": ("a", "a")}, {"id": "text"}, {"group": "g", "weight": "g"}, {"id": ""}],
)
def test_impossible_columns_get_a_sentence(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"column|named twice"):
        Columns(**settings)  # type: ignore[arg-type]


# Anything at all

FORMATS = st.sampled_from(["jsonl", "csv", "tsv", "jsonl.gz", "csv.gz"])
PIECES = [
    b'{"text": "x", "labels": ["a"]}',
    b"text,labels",
    b"text\tlabels",
    b"\n",
    b",",
    b'"',
    b"\r",
    b"\0",
    b";",
]
PIECES += [b"|", b"[", b"x", b" ", b"\xe9", b"\xef\xbb\xbf", b"{}", b'{"text": 1}', "\u2028".encode()]


@given(
    content=st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)),
    format=FORMATS,
    policy=st.sampled_from(["error", "skip"]),
)
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_give_documents_or_a_data_error(content: bytes, format: str, policy: str) -> None:
    report = ReadReport()
    try:
        documents = read(content, format, on_bad_line=policy, report=report)
    except DataError as error:
        documents, sentence = None, str(error)
    if documents is None:
        assert "<stream>" in sentence
    else:
        assert documents
        assert report.documents == len(documents)
        assert all(document.text.strip() and all(document.labels) for document in documents)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


@given(texts=st.lists(TEXTS, min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_back_from_json_as_it_was_written(texts: list[str]) -> None:
    content = "".join(json.dumps({"text": text, "labels": []}, ensure_ascii=False) + "\n" for text in texts)
    assert [document.text for document in read(content)] == texts


def test_few_records_are_held_back_where_their_lists_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LARGEST_LOOK", 10_000)
    drawn: list[int] = []

    def records() -> Iterator[Item]:
        for number in range(100):
            drawn.append(number)
            yield f"x:{number}", {"text": "x", "labels": ["a"] * 1000}

    class Parser:
        def look(self, items: object) -> None:
            pass

    assert next(readers._look_ahead(records(), cast("Any", Parser())))[0] == "x:0"
    assert drawn == [0, 1]
