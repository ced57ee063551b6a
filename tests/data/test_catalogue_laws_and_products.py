"""EURLEX57K, MultiEURLEX, the extreme corpora and the Blurb Genre Collection."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from releases import Release, tarred, zipped
from taxotext.errors import DataError, TaxonomyError
from taxotext.labels import read_names, read_taxonomy

# -- EURLEX57K -----------------------------------------------------------------------------------------------------


def law(number: int, *concepts: str, **change: Any) -> dict[str, Any]:
    entry = {
        "celex_id": f"3{number}",
        "type": "Decision",
        "title": f"Law {number}",
        "header": "HEAD",
        "recitals": ",\nWhereas",
        "main_body": ["Article 1", "Article 2"],
        "attachments": "Annex",
        "concepts": list(concepts),
    }
    return entry | change


CONCEPTS = {
    "10": {"concept_id": "10", "label": "fishing", "alt_labels": [], "parents": ["20", "30"]},
    "20": {"concept_id": "20", "label": "sea", "alt_labels": [], "parents": ["40"]},
    "30": {"concept_id": "30", "label": "trade", "alt_labels": [], "parents": []},
    "40": {"concept_id": "40", "label": "nature", "alt_labels": [], "parents": []},
    "99": {"concept_id": "99", "label": "unused", "alt_labels": [], "parents": ["40"]},
}


def test_laws_are_read_from_the_zip_and_concepts_get_all_ancestors(release: Release) -> None:
    laws = {"train/31.json": law(1, "10"), "dev/32.json": law(2, "30"), "test/33.json": law(3, "20", "55")}
    files = {f"dataset/{name}": json.dumps(entry).encode() for name, entry in laws.items()}
    release.put({"datasets.zip": zipped(files), "eurovoc_en.json": json.dumps(CONCEPTS)})
    facts = release.prepare("eurlex57k")
    assert release.rows("train")[0] == {
        "id": "31",
        "text": "HEAD\n,\nWhereas\nArticle 1\nArticle 2\nAnnex",
        "labels": ["10"],
        "title": "Law 1",
        "type": "Decision",
    }
    assert release.labels("validation") == {"32": ["30"]}
    assert release.labels("test") == {"33": ["20", "55"]}
    taxonomy = read_taxonomy(release.output / "hierarchy.tsv")
    assert set(taxonomy.ids) == {"10", "20", "30", "40", "55"}
    assert {taxonomy.ids[i] for i in taxonomy.parents(taxonomy.index("10"))} == {"20", "30"}
    assert read_names(release.output / "names.tsv") == {"10": "fishing", "20": "sea", "30": "trade", "40": "nature"}
    assert facts["taxonomy"]["documents_with_missing_ancestors"] == 2
    release.prepare("eurlex57k", "attachments=no", overwrite=True)
    assert release.rows("train")[0]["text"].endswith("Article 2")


def test_the_other_release_has_a_file_a_split_and_no_hierarchy(release: Release) -> None:
    def line(number: int) -> str:
        entry = law(number, eurovoc_concepts=["10"])
        del entry["concepts"]
        return json.dumps(entry) + "\n"

    release.put({"train.jsonl": line(1) + line(2), "dev.jsonl": line(3), "test.jsonl": line(4)})
    release.put({"eurovoc_concepts.jsonl": '{"id": "10", "title": "fishing"}\n'})
    facts = release.prepare("eurlex57k")
    assert set(release.labels("train")) == {"31", "32"}
    assert "taxonomy" not in facts
    assert release.text("names.tsv") == "10\tfishing\n"


def test_laws_that_are_damaged_or_missing_are_named(release: Release) -> None:
    release.put({"train/31.json": json.dumps(law(1, "10")), "dev/32.json": "{"})
    with pytest.raises(DataError, match=r"dev/32\.json: is not valid JSON"):
        release.prepare("eurlex57k")
    release.put({"dev/32.json": json.dumps({"celex_id": "32"})})
    with pytest.raises(DataError, match=r"dev/32\.json: lacks celex_id or concepts"):
        release.prepare("eurlex57k")
    release.put({"dev/32.json": json.dumps(law(2, "10"))})
    with pytest.raises(DataError, match=r"dataset/test/\*\.json is missing"):
        release.prepare("eurlex57k")


def test_a_cycle_of_concepts_is_reported(release: Release) -> None:
    release.put({f"{split}.jsonl": json.dumps(law(n, "1")) for n, split in enumerate(("train", "dev", "test"))})
    release.put({"eurovoc_en.json": json.dumps({"1": {"parents": ["2"]}, "2": {"parents": ["1"]}})})
    with pytest.raises(TaxonomyError, match="cycle"):
        release.prepare("eurlex57k")
    assert not release.output.exists()


# -- MultiEURLEX -----------------------------------------------------------------------------------------------------


def translated(number: int, german: str | None) -> str:
    entry = {
        "celex_id": f"3{number}",
        "publication_date": "1979-05-24",
        "text": {"en": f"Law {number}", "de": german},
        "eurovoc_concepts": {"level_1": ["100"], "level_2": ["20", "30"], "level_3": ["10"], "all_levels": ["11"]},
    }
    return json.dumps(entry, ensure_ascii=False) + "\n"


def test_one_language_and_one_level_are_taken(release: Release) -> None:
    lines = {"train": translated(1, "Gesetz über Öl") + translated(2, None), "dev": translated(3, "Drei")}
    lines["test"] = translated(4, "Vier")
    archive = tarred({f"multi_eurlex/{split}.jsonl": text.encode() for split, text in lines.items()})
    names = {"20": {"en": "sea", "de": "Meer"}, "30": {"en": "trade", "de": None}}
    release.put({"multi_eurlex.tar.gz.part": b"", "eurovoc_descriptors.json": json.dumps(names)})
    (release.raw / "multi_eurlex.tar.gz").write_bytes(archive)
    release.prepare("multi-eurlex", "language=de", "level=2")
    assert release.rows("train") == [
        {"id": "31", "text": "Gesetz über Öl", "labels": ["20", "30"], "publication_date": "1979-05-24"}
    ]
    assert release.text("names.tsv") == "20\tMeer\n"
    assert release.check("train documents") == (55000, 1)
    release.prepare("multi-eurlex", overwrite=True)
    assert release.labels("train") == {"31": ["10"], "32": ["10"]}
    release.prepare("multi-eurlex", "level=all", overwrite=True)
    assert release.labels("train") == {"31": ["11"], "32": ["11"]}


def test_lines_that_are_not_of_the_release_are_named(release: Release) -> None:
    release.put({"train.jsonl": translated(1, "x") + '{"text": "plain"}\n'})
    with pytest.raises(DataError, match=r"train\.jsonl:2: lacks text or eurovoc_concepts"):
        release.prepare("multi-eurlex")


# -- extreme classification ------------------------------------------------------------------------------------------


def test_the_form_of_attention_xml(release: Release) -> None:
    files = {
        "train_raw_texts.txt": "Blue Pen /SEP/ Writes in blue.\nRed Ink\n",
        "train_labels.txt": "pens office_supplies\nink\n",
        "train_texts.txt": "blue pen\nred ink\n",
        "test_raw_texts.txt": "Green Pen\n",
        "test_labels.txt": "pens\n",
    }
    release.put({"AmazonCat-13K.zip": zipped({f"AmazonCat-13K/{k}": v.encode() for k, v in files.items()})})
    release.prepare("amazoncat-13k")
    assert release.rows("train") == [
        {"text": "Blue Pen\nWrites in blue.", "labels": ["pens", "office_supplies"]},
        {"text": "Red Ink", "labels": ["ink"]},
    ]
    assert release.check("test documents") == (306782, 1)


def test_eur_lex_comes_tokenised(release: Release) -> None:
    release.put({"train_texts.txt": "a law\n", "train_labels.txt": "fish\n"})
    release.put({"test_texts.txt": "a law\n", "test_labels.txt": "fish\n"})
    facts = release.prepare("eurlex-4k")
    assert any("tokenised" in note for note in facts["notes"])


def test_the_form_of_the_repository_keeps_numbers_and_writes_names(release: Release) -> None:
    def line(uid: str, title: str, content: str, *targets: int) -> str:
        entry = {
            "uid": uid,
            "title": title,
            "content": content,
            "target_ind": targets,
            "target_rel": [1.0] * len(targets),
        }
        return json.dumps(entry) + "\n"

    train = line("B1", "Blue Pen", "Writes.", 0, 2) + line("B2", "", "", 1)
    train = train.replace("Writes.", "Writes.\\ud83d")  # half of a character, as some descriptions hold
    files = {"trn.json.gz": gzip.compress(train.encode())}
    files["tst.json.gz"] = gzip.compress(line("B1", "Blue Pen", "", 2).encode())
    files["Yf.txt"] = "pens\nink\ncaf\xe9 supplies\n".encode("latin-1")
    release.put({"AmazonCat-13K.raw.zip": zipped({f"AmazonCat-13K.raw/{k}": v for k, v in files.items()})})
    facts = release.prepare("amazoncat-13k")
    assert release.rows("train") == [{"text": "Blue Pen\nWrites.?", "labels": ["0", "2"], "uid": "B1"}]
    assert release.rows("test") == [{"text": "Blue Pen", "labels": ["2"], "uid": "B1"}]
    assert facts["splits"]["train"]["left_out_without_text"] == 1
    assert read_names(release.output / "names.tsv") == {"0": "pens", "2": "café supplies"}


def matrix(rows: list[list[int]], **save: Any) -> bytes:
    buffer = io.BytesIO()
    sparse.save_npz(buffer, sparse.csr_matrix(np.array(rows, dtype=np.float32)), **save)
    return buffer.getvalue()


def test_the_form_of_pecos(release: Release) -> None:
    files = {
        "X.trn.txt": b"a blue pen\r\nred ink\r\n",
        "Y.trn.npz": matrix([[1, 0, 1], [0, 0, 0]]),
        "X.tst.txt": b"green pen\n",
        "Y.tst.npz": matrix([[0, 1, 0]]),
        "output-items.txt": b"pens\nink\noffice supplies\n",
    }
    release.put({"wiki10-31k.tar.gz.txt": b""})
    (release.raw / "wiki10-31k.tar.gz").write_bytes(tarred({f"xmc-base/wiki10-31k/{k}": v for k, v in files.items()}))
    release.prepare("wiki10-31k")
    assert release.rows("train") == [
        {"text": "a blue pen", "labels": ["0", "2"]},
        {"text": "red ink", "labels": []},
    ]
    assert release.text("names.tsv") == "0\tpens\n1\tink\n2\toffice supplies\n"


def test_matrices_that_do_not_fit_or_hold_objects_are_refused(release: Release) -> None:
    release.put({"X.trn.txt": "one\ntwo\n", "Y.trn.npz": matrix([[1]]), "X.tst.txt": "x\n", "Y.tst.npz": matrix([[1]])})
    with pytest.raises(DataError, match=r"X\.trn\.txt: has 2 lines or more, .* has 1 rows"):
        release.prepare("wiki10-31k")
    buffer = io.BytesIO()
    np.savez(buffer, format=np.array([object()], dtype=object))
    release.put({"Y.trn.npz": buffer.getvalue()})
    with pytest.raises(DataError, match="is not a sparse matrix"):
        release.prepare("wiki10-31k")
    parts = dict(np.load(io.BytesIO(matrix([[1, 1], [1, 1]]))))
    buffer = io.BytesIO()
    np.savez(buffer, **{**parts, "indptr": np.asarray([0, 50_000_000, 4], np.int32)})  # rows in foreign memory
    release.put({"Y.trn.npz": buffer.getvalue()})
    with pytest.raises(DataError, match="is not a sparse matrix"):
        release.prepare("wiki10-31k")


def test_several_corpora_in_raw_and_lines_of_another_form_are_refused(release: Release) -> None:
    release.put({"trn.json": '{"uid": "a", "title": "t", "target_ind": "0"}\n', "tst.json": "", "Yf.txt": "a\n"})
    with pytest.raises(DataError, match=r"trn\.json:1: lacks target_ind"):
        release.prepare("amazoncat-13k")
    release.put({"EUR-Lex/train_texts.txt": "a\n", "Wiki10-31K/train_texts.txt": "b\n"})
    with pytest.raises(DataError, match=r"holds 2 files that could be train_texts\.txt"):
        release.prepare("eurlex-4k")


# -- blurbs ----------------------------------------------------------------------------------------------------------


def book(title: str, body: str, *genres: tuple[int, str]) -> str:
    topics = "\n".join(f"<d{depth}>{genre}</d{depth}>" for depth, genre in genres)
    return (
        f'<book date="2018-08-18" xml:lang="en">\n<title>{title}</title>\n<body>{body}</body>\n'
        f"<copyright>(c) x</copyright>\n<metadata>\n<topics>\n{topics}\n</topics>\n"
        "<author>A. Nobody</author>\n<published>May 1, 2001 </published>\n"
        "<isbn>123</isbn>\n<url>x</url>\n</metadata>\n</book>\n"
    )


GENRES = "Fiction\tMystery & Suspense\r\nMystery & Suspense\tNoir\r\nFiction\tNoir\r\nPoetry\r\nFiction\tNoir\r\n"


def put_blurbs(release: Release, **change: str) -> None:
    files = {
        "BlurbGenreCollection_EN_train.txt": book(
            "Fog & Rain", "Rain &amp; fog > sun.\nThe end", (0, "Fiction"), (2, "Noir")
        )
        + book("No text", " ", (0, "Poetry")),
        "BlurbGenreCollection_EN_dev.txt": book("Ode", "To a pen", (0, "Poetry")),
        "BlurbGenreCollection_EN_test.txt": book("Ink", "A murder", (0, "Fiction"), (1, "Mystery &amp; Suspense")),
        "hierarchy.txt": GENRES,
    }
    release.put(
        {"blurbs.zip": zipped({f"x/{k}": change.get(k.split("_")[-1][:-4], v).encode() for k, v in files.items()})}
    )


def test_blurbs_are_read_though_they_are_not_xml(release: Release) -> None:
    put_blurbs(release)
    facts = release.prepare("bgc")
    assert release.rows("train") == [
        {
            "text": "Rain & fog > sun.\nThe end",
            "labels": ["Fiction", "Noir"],
            "title": "Fog & Rain",
            "author": "A. Nobody",
            "published": "May 1, 2001",
            "isbn": "123",
        }
    ]
    assert release.rows("test")[0]["labels"] == ["Fiction", "Mystery & Suspense"]
    assert facts["splits"]["train"]["left_out_without_text"] == 1
    taxonomy = read_taxonomy(release.output / "hierarchy.tsv")
    assert {taxonomy.ids[i] for i in taxonomy.parents(taxonomy.index("Noir"))} == {"Fiction", "Mystery & Suspense"}
    assert {taxonomy.ids[i] for i in taxonomy.roots} == {"Fiction", "Poetry"}
    assert facts["taxonomy"]["documents_with_missing_ancestors"] == 1
    assert facts["changes"] == {"edges of the hierarchy that were there before, dropped": 1}
    assert release.check("labels of each level") == ([7, 46, 77, 16], [2, 1, 1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"train": book("a", "b", (0, "Poetry")).removesuffix("</book>\n")},
            r"train\.txt:1: the last <book> has no end",
        ),
        ({"dev": "\n<book><title>x</title></book>\n"}, r"dev\.txt:2: a book without <topics>"),
        ({"hierarchy": "a\tb\tc\n"}, r"hierarchy\.txt:1: has 3 columns"),
    ],
)
def test_damaged_blurbs_are_named(release: Release, change: dict[str, str], sentence: str) -> None:
    put_blurbs(release, **change)
    with pytest.raises(DataError, match=sentence):
        release.prepare("bgc")
