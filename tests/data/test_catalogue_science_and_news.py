"""Web of Science, the New York Times Annotated Corpus and AAPD."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from releases import Release, tarred, zipped
from taxotext.data.catalogue.wos import published_split
from taxotext.errors import DataError
from taxotext.labels import read_names, read_taxonomy

# -- Web of Science ------------------------------------------------------------------------------------------------

HEAD = "Y1\tY2\tY\tDomain\tarea\tkeywords\tAbstract"
PAPERS = [
    "0\t1\t1\tCS \t Networks \trouters; cables\tRouters talk.",
    '4\t4\t90\tCivil\tWater Pollution\tlakes\t"A ""clean"" lake is rare."',
    "4\t4\t90\tCivil\tWater Pollution\tlakes\tLakes again.",
    "4\t4\t90\tCivil\tUnderwater Windmill\ttides\tTides turn mills.",
    "5\t7\t101\tMedical\tDepression\tmood\tMood and sleep.",
    "6\t2\t120\tPsychology\tDepression\tmood\tMood and work.",
]


def test_a_code_is_one_label_named_by_its_most_frequent_name(release: Release) -> None:
    release.put({"Meta-data/Data.txt": ("\r\n".join([HEAD, *PAPERS]) + "\r\n").encode("utf-16")})
    facts = release.prepare("wos")
    rows = {row["id"]: row for split in ("train", "validation", "test") for row in release.rows(split)}
    assert sorted(rows) == ["0", "1", "2", "3", "4", "5"]
    assert rows["1"] == {
        "id": "1",
        "text": 'A "clean" lake is rare.',
        "labels": ["4", "4-4"],
        "keywords": "lakes",
    }
    assert rows["3"]["labels"] == ["4", "4-4"]
    names = read_names(release.output / "names.tsv")
    assert (names["0"], names["0-1"], names["4-4"]) == ("CS", "Networks", "Water Pollution")
    assert names["5-7"] == names["6-2"] == "Depression"
    assert facts["changes"] == {"names of labels merged into the most frequent one of their code": 1}
    taxonomy = read_taxonomy(release.output / "hierarchy.tsv")
    assert [taxonomy.ids[i] for i in taxonomy.roots] == ["0", "4", "5", "6"]
    assert release.check("labels of each level") == ([7, 134], [4, 4])


def test_the_split_is_the_one_that_the_script_of_the_literature_draws() -> None:
    number = 101
    np.random.seed(7)
    rows = list(range(number))
    np.random.shuffle(rows)
    rest, test = train_test_split(np.array(rows), test_size=0.2, random_state=0)
    train, validation = train_test_split(rest, test_size=0.2, random_state=0)
    found = published_split(number)
    assert found == {"train": list(train), "validation": list(validation), "test": list(test)}
    assert sorted(row for part in found.values() for row in part) == list(range(number))


def columns(**change: str) -> dict[str, str]:
    files = {
        "X.txt": "Routers talk.\nLakes.\nTides.\n",
        "YL1.txt": "0\n4\n4\n",
        "YL2.txt": "1\n4\n0\n",
        "Y.txt": "1\n90\n86\n",
    }
    return files | {name.replace("_", "."): text for name, text in change.items()}


def test_the_columns_of_the_parts_are_read_from_the_zip_of_the_release(release: Release) -> None:
    files = {f"WOS{part}/{name}": text.encode() for part in (5736, 46985) for name, text in columns().items()}
    release.put({"WebOfScience.zip": zipped(files | {"__MACOSX/WOS5736/._X.txt": b"x", "Meta-data/Data.xls": b"x"})})
    release.prepare("wos", "part=5736")
    assert sum(len(release.rows(split)) for split in ("train", "validation", "test")) == 3
    assert release.check("documents") == (5736, 3)
    assert [check["what"] for check in release.facts["checks"]] == ["documents", "labels of each level"]
    assert "4\t4-0\n" in release.text("hierarchy.tsv")
    assert not (release.output / "names.tsv").exists()
    release.prepare("wos", overwrite=True)
    assert any("save that sheet as 'Unicode text'" in note for note in release.facts["notes"])


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"WOS46985/X.txt": "A.\n"}, r"YL1\.txt is missing"),
        ({f"WOS46985/{k}": v for k, v in columns(YL1_txt="0\n4\n").items()}, "different numbers of lines"),
        ({f"WOS46985/{k}": v for k, v in columns(YL2_txt="1\nx\n0\n").items()}, r"YL2\.txt:2: expected a number"),
        ({"Data.txt": "Y1\tText\n"}, r"Data\.txt:1: expected the columns Y1, Y2"),
        ({"Data.txt": f"{HEAD}\n{PAPERS[0]}\nx\t2\n"}, r"Data\.txt: has 1 bad row"),
    ],
)
def test_damaged_papers_are_named(release: Release, files: dict[str, str], sentence: str) -> None:
    release.put(files)
    with pytest.raises(DataError, match=sentence):
        release.prepare("wos")


# -- New York Times ------------------------------------------------------------------------------------------------

VOCABULARY = "Root\nTop/News\nTop/News/Sports\nTop/News/Sports/Chess/Clubs\nTop/Features\nTop/Features/Travel\n"


def article(number: int, *classifiers: str, full: bool = True, empty: bool = False) -> bytes:
    marks = "".join(
        f'<classifier class="online_producer" type="taxonomic_classifier">{c}</classifier>' for c in classifiers
    )
    lead = "" if empty else '<block class="lead_paragraph"><p>A club opens.</p></block>'
    text = '<block class="full_text"><p>A club opens.</p>\n<p>All may &amp; will\ncome.</p></block>' if full else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nitf SYSTEM "http://localhost/nitf-3-3.dtd">\n'
        f'<nitf version="-//IPTC//DTD NITF 3.3//EN"><head><title>Club {number}</title><docdata>'
        f'<identified-content>{marks}<classifier type="descriptor">Top/News/Sports</classifier></identified-content>'
        f"</docdata></head><body><body.head><abstract><p>Short.</p></abstract></body.head><body.content>{lead}{text}"
        "</body.content></body></nitf>"
    ).encode()


ARTICLES = {
    1: article(1, "Top/News/Sports/Chess/Clubs", "Top/News/Sports"),
    2: article(2, "Top/Features/Travel/Guides", "Top/News", "Top/Opinion/Letters"),
    3: article(3, "Top/News/Sports", full=False),
    4: article(4, full=False, empty=True),
    5: b"never read, and not XML",
}
LISTS = {
    "idnewnyt_train.json": "Nytimes/2003/1.xml\nNytimes/2003/4.xml\n",
    "idnewnyt_val.json": "Nytimes/2003/2.xml\r\nNytimes/2003/9.xml\r\n",
    "idnewnyt_test.json": "Nytimes/2004/3.xml\nNytimes/2003/1.xml\n",
    "nyt_label.vocab": VOCABULARY,
}


def test_articles_of_the_lists_get_the_labels_of_the_vocabulary(release: Release) -> None:
    months = {"nyt_corpus/data/2003/01.tgz": tarred({f"01/02/{n:07d}.xml": ARTICLES[n] for n in (5, 4, 2, 1)})}
    months["nyt_corpus/data/2004/12.tgz"] = tarred({"12/31/0000003.xml": ARTICLES[3]})
    release.put({**LISTS, **months})
    facts = release.prepare("nyt")
    clubs = ["Top/News", "Top/News/Sports", "Top/News/Sports/Chess/Clubs"]
    assert release.labels("train") == {"1": clubs}
    assert release.labels("validation") == {"2": ["Top/Features", "Top/Features/Travel"]}
    assert release.labels("test") == {"3": ["Top/News", "Top/News/Sports"]}
    assert release.rows("train")[0]["text"] == "A club opens. All may & will come."
    assert release.rows("test")[0]["text"] == "A club opens."
    assert release.rows("train")[0]["title"] == "Club 1"
    assert facts["splits"]["train"]["left_out_without_text"] == 1
    assert facts["changes"] == {
        "articles of the lists that are not in RAW": 1,
        "articles that two lists name, kept in the first": 1,
    }
    taxonomy = read_taxonomy(release.output / "hierarchy.tsv", names=release.output / "names.tsv")
    assert [taxonomy.ids[i] for i in taxonomy.parents(taxonomy.index("Top/News/Sports/Chess/Clubs"))] == clubs[1:2]
    assert taxonomy.name(taxonomy.index("Top/Features/Travel")) == "Travel"
    assert len(taxonomy) == 5
    assert len(taxonomy.roots) == 2


def test_an_archive_inside_an_archive_is_to_be_unpacked(release: Release) -> None:
    months = {"nyt_corpus/data/2003/01.tgz": tarred({"01/02/0000001.xml": ARTICLES[1]})}
    release.put({**LISTS, "nyt_corpus_LDC2008T19.tgz": tarred(months)})
    with pytest.raises(DataError) as caught:
        release.prepare("nyt")
    assert str(caught.value) == (
        "nyt_corpus_LDC2008T19.tgz!nyt_corpus/data/2003/01.tgz: this is an archive inside an archive, which is not "
        "read; unpack nyt_corpus_LDC2008T19.tgz into a folder and name that folder."
    )
    assert not release.output.exists()


def test_unpacked_articles_are_found_as_well(release: Release) -> None:
    release.put({**LISTS, **{f"Nytimes/2003/{n}.xml": data for n, data in ARTICLES.items()}})
    release.prepare("nyt")
    assert set(release.labels("train")) == {"1"}


def test_lists_and_articles_that_are_not_there_are_named(release: Release) -> None:
    release.put({"nyt_label.vocab": VOCABULARY, "idnewnyt_train.json": "Nytimes/2003/1.xml\n"})
    with pytest.raises(DataError, match=r"idnewnyt_val\.json is missing"):
        release.prepare("nyt")
    release.put(LISTS)
    with pytest.raises(DataError, match="every article of the lists is missing"):
        release.prepare("nyt")
    release.put({"idnewnyt_val.json": '["1"]\n'})
    with pytest.raises(DataError, match="have 1 bad line"):
        release.prepare("nyt")


# -- AAPD ----------------------------------------------------------------------------------------------------------


def test_texts_and_subjects_stand_line_by_line(release: Release) -> None:
    files = {
        "text_train": "we route packets\nwe count\n",
        "label_train": "cs.NI cs.IT\nmath.CO math.CO\n",
        "text_val": "we sort\r\n",
        "label_val": "cs.DS\r\n",
        "text_test": "we prove",
        "label_test": "cs.LO\n\n",
    }
    release.put({"aapd.zip": zipped({f"aapd/{name}": text.encode() for name, text in files.items()})})
    facts = release.prepare("aapd")
    assert release.rows("train") == [
        {"text": "we route packets", "labels": ["cs.NI", "cs.IT"]},
        {"text": "we count", "labels": ["math.CO"]},
    ]
    assert release.rows("validation") == [{"text": "we sort", "labels": ["cs.DS"]}]
    assert release.rows("test") == [{"text": "we prove", "labels": ["cs.LO"]}]
    assert facts["splits"]["train"]["duplicate_labels_removed"] == 1
    assert release.check("documents") == (55840, 4)


@pytest.mark.parametrize(("text", "label"), [("a\nb\n", "cs.AI\n"), ("a\n", "cs.AI\ncs.DS\n")])
def test_files_that_do_not_fit_are_named(release: Release, text: str, label: str) -> None:
    release.put({"text_train": text, "label_train": label})
    with pytest.raises(DataError, match=r"ends after line 1, .* does not"):
        release.prepare("aapd")
