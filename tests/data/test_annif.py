"""Corpora of Annif: short texts as TSV and JSON Lines, folders of full texts."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from taxotext.data import Columns, ReadReport, read_corpus, read_documents, write_annif_tsv
from taxotext.errors import DataError
from taxotext.labels import Taxonomy

CATS, RAIN = "http://e.org/cats", "http://e.org/rain"
TAXONOMY = Taxonomy.flat([CATS, RAIN, "http://e.org/pets", "http://e.org/pets2"]).with_names(
    {CATS: "Cats", RAIN: "Rain", "http://e.org/pets": "Pets", "http://e.org/pets2": "Pets"}
)


def read(content: str, format: str, columns: Columns | None = None, **settings: object) -> list[tuple[str, ...]]:
    documents = read_documents(io.BytesIO(content.encode()), columns or Columns(), format=format, **settings)  # type: ignore[arg-type]
    return [(document.text, *document.labels) for document in documents]


def problem_of(source: Path, **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        read_corpus(source, **settings)  # type: ignore[arg-type]
    return str(caught.value)


def line(**fields: object) -> str:
    return json.dumps({"document_id": "d", "text": "Cats purr.", "subjects": [{"uri": CATS}], **fields}) + "\n"


# TSV


def test_a_line_is_a_text_and_uris_with_or_without_brackets(tmp_path: Path) -> None:
    content = f"Cats purr.\t<{CATS}> {RAIN}\n\n“Nothing”\t\n"
    assert read(content, "annif-tsv") == [("Cats purr.", CATS, RAIN), ("“Nothing”",)]


def test_it_is_told_from_a_table_by_its_first_line(tmp_path: Path) -> None:
    content = f"Cats purr.\t<{CATS}>\n"
    (tmp_path / "a.tsv").write_text("\ufeff" + content, encoding="utf-8")
    (tmp_path / "b.tsv").write_text("text\tlabels\n" + content, encoding="utf-8")
    with gzip.open(tmp_path / "c.tsv.gz", "wt", encoding="utf-8") as file:
        file.write(content)
    labels = [read_corpus(tmp_path / name).label_lists() for name in ("a.tsv", "b.tsv", "c.tsv.gz")]
    assert labels == [[[CATS]], [[CATS]], [[CATS]]]


def test_bad_lines_are_listed_together(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(f"Fine.\t<{CATS}>\nNo tab\na\tb\tc\nx\tcats\n\t<{CATS}>\n".encode() + b"\xff\t\n")
    message = problem_of(path)
    assert f"{path}: 5 of 6 records cannot be read" in message
    for fragment in (
        f"{path}:2: the line has no TAB",
        f"{path}:3: the line has 2 TABs",
        f"{path}:4: the subject 'cats' is not a URI",
        f"{path}:5: the text is empty",
        f"{path}:6: the line is not UTF-8 (byte 0xFF",
    ):
        assert fragment in message
    assert len(read_corpus(path, on_bad_line="skip")) == 1


def test_texts_to_predict_need_no_subjects() -> None:
    assert read(f"Cats\nRain\t<{RAIN}>\n", "annif-tsv", labelled=False) == [("Cats",), ("Rain",)]


# JSON Lines


def test_fields_of_the_metadata_are_fields() -> None:
    columns = Columns(text=("title", "text"), text_join=": ")
    [document] = read_documents(
        io.BytesIO(line(metadata={"title": "On cats", "year": 2020}).encode()), columns, format="annif-jsonl"
    )
    assert (document.text, document.labels, document.id) == ("On cats: Cats purr.", (CATS,), "d")
    assert document.metadata == {"year": 2020}


def test_subjects_may_be_names_that_a_taxonomy_knows() -> None:
    content = line(subjects=[{"label": "Rain"}, {"uri": CATS, "label": "Felines"}, {"label": "New"}])
    assert read(content, "annif-jsonl", taxonomy=TAXONOMY) == [("Cats purr.", RAIN, CATS, "New")]
    assert read(content, "annif-jsonl") == [("Cats purr.", "Rain", CATS, "New")]


def test_json_lines_are_told_by_their_subjects(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line() + line(subjects=[]), encoding="utf-8")
    assert read_corpus(path).label_lists() == [[CATS], []]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            line(subjects=[{"label": "Pets"}]),
            "the subject 'Pets' is the name of 2 labels (http://e.org/pets, http://e.org/pets2)",
        ),
        (line(subjects="cats"), "the field 'subjects' must be a list of objects, found a string: 'cats'"),
        (line(subjects=["cats"]), "a subject must be an object with 'uri' or 'label', found 'cats'"),
        (line(subjects=[{"uri": 1}]), "a subject must be an object with 'uri' or 'label', found {'uri': 1}"),
        (line(metadata=[1]), "the field 'metadata' must be an object, found a list"),
        (line(metadata={"text": "t"}), "the field 'text' is there and in 'metadata' too"),
        ('{"text": "t"}', "there is no field 'subjects', only 'text'"),
        ("[1]", "a document must be a JSON object, found a list"),
        ("{", "this is not valid JSON"),
    ],
)
def test_bad_json_lines_get_a_sentence(content: str, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        read(content, "annif-jsonl", taxonomy=TAXONOMY)
    assert f"<stream>:1: {sentence}" in str(caught.value)


# Folders


def folder(path: Path, **files: str | bytes) -> Path:
    path.mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (path / name.replace("_", ".")).write_bytes(data)
    return path


def test_a_folder_holds_texts_with_their_subjects_beside_them(tmp_path: Path) -> None:
    source = folder(
        tmp_path / "texts",
        b_txt="Rain\nfalls.",
        b_tsv=f"<{RAIN}>\tRain\n\n<{CATS}>\tCats\n",
        a_txt="\ufeffCats purr.",
        a_key="Cats\nRain\n",
        c_txt="Nothing.",
        c_key="",
        d_json=line(document_id="x"),
        notes_md="no document",
    )
    corpus = read_corpus(source, TAXONOMY)
    assert corpus.texts == ("Cats purr.", "Rain\nfalls.", "Nothing.", "Cats purr.")
    assert corpus.label_lists() == [[CATS, RAIN], [CATS, RAIN], [], [CATS]]
    assert corpus.ids == ("a", "b", "c", "x")


def test_what_is_missing_in_a_folder_is_listed(tmp_path: Path) -> None:
    source = folder(
        tmp_path / "texts", a_txt="Cats", b_tsv="", d_txt=b"ok\nnot \xff", d_key="", e_txt="Pets", e_key="Rain\nPets"
    )
    message = problem_of(source, taxonomy=TAXONOMY)
    assert f"{source}/a.txt: there are no subjects beside it; write them into a.tsv or a.key" in message
    assert f"{source}/b.tsv: there is no text for these subjects; it would be b.txt" in message
    assert f"{source}/d.txt: in d.txt:2, the line is not UTF-8" in message
    assert f"{source}/e.txt: in e.key:2, the subject 'Pets' is the name of 2 labels" in message
    assert len(list(read_documents(source, labelled=False, on_bad_line="skip"))) == 2


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    assert "this is a folder; name a file in it" in problem_of(folder(tmp_path / "a", x_md="x"))
    message = problem_of(folder(tmp_path / "b", x_md="x"), format="annif-folder")
    assert "the file holds no documents" in message
    (tmp_path / "f.txt").write_text("x")
    assert "is a folder; name that" in problem_of(tmp_path / "f.txt", format="annif-folder")


# Writing


def test_tsv_is_written_and_read_back(tmp_path: Path) -> None:
    source = folder(tmp_path / "texts", a_txt="Cats\npurr.\t!", a_tsv=f"<{CATS}>", b_txt="Rain", b_key="")
    corpus = read_corpus(source)
    write_annif_tsv(corpus, tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text(encoding="utf-8") == f"Cats purr. !\t<{CATS}>\nRain\t\n"
    report = ReadReport()
    documents = list(read_documents(tmp_path / "out.tsv", report=report))
    assert [document.labels for document in documents] == [(CATS,), ()]
    assert report.empty_label_sets == 1


def test_labels_that_are_no_uris_have_no_place_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x", "labels": ["two words"]}', encoding="utf-8")
    with pytest.raises(DataError, match="the label 'two words' is not a URI"):
        write_annif_tsv(read_corpus(tmp_path / "a.jsonl"), tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()
