"""RCV1-v2 from newsML files or tokens, with the appendices of LYRL2004."""

from __future__ import annotations

import pytest

from releases import Release, tarred, zipped
from taxotext.errors import DataError
from taxotext.labels import read_names, read_taxonomy

QRELS = """\
CCAT 2286 1
C15 2286 1
C151 2286 1
ECAT 26150 1
CCAT 26151 1
C15 26151 1
C151 26152 1
GCAT 810596 1
GMIL 810596 1
CCAT 2290 1
CCAT 810597 1
CCAT 2300 0
"""
HIERARCHY = """\
parent: None            child: Root            child-description: Root
parent: Root            child: CCAT            child-description: CORPORATE/INDUSTRIAL
parent: Root            child: ECAT            child-description: ECONOMICS
parent: Root            child: GCAT            child-description: GOVERNMENT/SOCIAL
parent: CCAT            child: C15             child-description: PERFORMANCE
parent: C15             child: C151            child-description: ACCOUNTS/EARNINGS
parent: GCAT            child: GMIL            child-description: MILLENNIUM ISSUES
"""
TAXONOMY = "Root\tCCAT\tECAT\tGCAT\nCCAT\tC15\nC15\tC151\n"


def news(number: int, *paragraphs: str, codes: str = "M11") -> bytes:
    text = "".join(f"<p>{paragraph}</p>\r\n" for paragraph in paragraphs)
    return (
        '<?xml version="1.0" encoding="iso-8859-1" ?>\r\n'
        f'<newsitem itemid="{number}" id="root" date="1996-08-20" xml:lang="en">\r\n'
        f"<title>NORWAY: Mine {number} opens.</title>\r\n<headline>Mine {number} opens.</headline>\r\n"
        f"<dateline>OSLO</dateline>\r\n<text>\r\n{text}</text>\r\n<copyright>(c) nobody</copyright>\r\n<metadata>"
        f'<codes class="bip:topics:1.0"><code code="{codes}"/></codes></metadata></newsitem>'
    ).encode("latin-1")


NEWS = {
    2286: news(2286, "The mine opens today.", "Caf\xe9s &amp; bars stay\r\nopen."),
    26150: news(26150, "Last one of August."),
    26151: news(26151, "First one of September."),
    26152: news(26152, "It lacks ancestors."),
    810596: news(810596, "The very last."),
    2290: news(2290),
    2287: news(2287, "Not part of version 2."),
    810597: news(810597, "Beyond the split."),
}
APPENDICES = {"rcv1-v2.topics.qrels.gz": QRELS, "rcv1.topics.hier.orig": HIERARCHY}


def name_of(number: int) -> str:
    return f"{number}newsML.xml"


def put_xml(release: Release) -> None:
    release.put(APPENDICES)
    release.put({name_of(number): data for number, data in NEWS.items()}, "19960820")


def test_the_split_goes_by_ids_and_topics_come_from_the_appendix(release: Release) -> None:
    put_xml(release)
    facts = release.prepare("rcv1-v2")
    assert release.labels("train") == {"2286": ["CCAT", "C15", "C151"], "26150": ["ECAT"]}
    assert release.labels("test") == {"26151": ["CCAT", "C15"], "26152": ["C151"], "810596": ["GCAT", "GMIL"]}
    assert facts["splits"]["train"]["left_out_without_text"] == 1
    assert facts["changes"] == {
        "documents that RCV1-v2 left out of RCV1-v1, left out": 1,
        "documents with ids outside of LYRL2004, left out": 1,
        "documents of the topics file without a text in RAW": 1,
    }
    assert facts["taxonomy"]["documents_with_missing_ancestors"] == 1
    assert facts["taxonomy"]["labels_of_each_level"] == [3, 2, 1]
    assert release.check("train documents") == (23149, 2)
    assert release.check("roots") == (4, 3)
    assert facts["source"]["folder"]["files"] == 8


def test_paragraphs_are_joined_with_a_space(release: Release) -> None:
    put_xml(release)
    release.prepare("rcv1-v2")
    first = release.rows("train")[0]
    assert first["text"] == "The mine opens today. Caf\xe9s & bars stay open."
    assert first["title"] == "Mine 2286 opens."


def test_the_taxonomy_and_the_descriptions_are_written(release: Release) -> None:
    put_xml(release)
    release.prepare("rcv1-v2")
    taxonomy = read_taxonomy(release.output / "hierarchy.tsv")
    assert {taxonomy.ids[i] for i in taxonomy.ancestors(taxonomy.index("C151"))} == {"C15", "CCAT"}
    assert read_names(release.output / "names.tsv")["GMIL"] == "MILLENNIUM ISSUES"


def test_zips_of_days_and_the_archive_of_nist_give_the_same(release: Release) -> None:
    put_xml(release)
    release.prepare("rcv1-v2")
    plain = release.rows("train"), release.rows("test")
    for archive in (
        {"19960820.zip": zipped({name_of(number): data for number, data in NEWS.items()})},
        {"rcv1.tar.xz": tarred({f"rcv1/19960820/{name_of(n)}": data for n, data in NEWS.items()}, "w:xz")},
    ):
        for old in [*release.raw.glob("*.tar*"), *release.raw.glob("*.zip"), *release.raw.glob("1996*/*")]:
            old.unlink()
        release.put(archive)
        facts = release.prepare("rcv1-v2", overwrite=True)
        assert (release.rows("train"), release.rows("test")) == plain
        assert [file["file"] for file in facts["source"]["files"]] == sorted([*APPENDICES, *archive])


def test_token_files_are_read_where_there_are_no_texts(release: Release) -> None:
    tokens = {
        "lyrl2004_tokens_train.dat.gz": ".I 2286\n.W\nmine open\ntoday\n\n.I 26150\n.W\nlast august\n\n",
        "lyrl2004_tokens_test_pt0.dat": ".I 26151\r\n.W\r\nfirst septemb\r\n\r\n",
        "lyrl2004_tokens_test_pt3.dat": ".I 810596\n.W\nlast",
    }
    release.put({**APPENDICES, **tokens})
    facts = release.prepare("rcv1-v2")
    assert [row["text"] for row in release.rows("train")] == ["mine open today", "last august"]
    assert [row["text"] for row in release.rows("test")] == ["first septemb", "last"]
    assert any("stemmed" in note for note in facts["notes"])
    with pytest.raises(DataError, match="every document of RCV1-v2 is missing"):
        release.prepare("rcv1-v2", "text=xml", overwrite=True)


def test_a_taxonomy_that_lacks_a_topic_is_noticed(release: Release) -> None:
    put_xml(release)
    (release.raw / "rcv1.topics.hier.orig").unlink()
    release.put({"rcv1.taxonomy": TAXONOMY})
    facts = release.prepare("rcv1-v2")
    check = facts["checks"][-1]
    assert (check["what"], check["expected"], check["found"]) == ("labels of documents that the taxonomy lacks", 0, 1)
    assert any("GMIL (1)" in note for note in release.notes)
    assert release.check("labels of the taxonomy") == (103, 5)
    taxonomy = read_taxonomy(release.output / "hierarchy.tsv")
    assert "GMIL" in taxonomy
    assert len(taxonomy.parents(taxonomy.index("GMIL"))) == 0
    with pytest.raises(DataError, match="nothing is written because of strict=True") as error:
        release.prepare("rcv1-v2", overwrite=True, strict=True)
    assert any("GMIL" in problem for problem in error.value.problems)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"rcv1-v2.topics.qrels.gz": "CCAT 2286\n"}, r"qrels\.gz: has 1 bad line"),
        ({"rcv1.topics.hier.orig": "CCAT C15\n"}, r"hier\.orig: has 1 bad line"),
        ({"5newsML.xml": b"<newsitem itemid='5'><text>"}, r"5newsML\.xml: is not well-formed XML"),
        ({"5newsML.xml": b"<newsitem><text/></newsitem>"}, r"5newsML\.xml: its itemid is ''"),
    ],
)
def test_damaged_files_are_named(release: Release, files: dict[str, str | bytes], sentence: str) -> None:
    put_xml(release)
    release.put(files)
    with pytest.raises(DataError, match=sentence):
        release.prepare("rcv1-v2")
    assert not release.output.exists()


def test_missing_appendices_and_texts_are_named(release: Release) -> None:
    release.put({"rcv1.topics.hier.orig": HIERARCHY})
    with pytest.raises(DataError, match=r"raw: rcv1-v2\.topics\.qrels is missing: RCV1-v2 needs .*Found: rcv1\.topics"):
        release.prepare("rcv1-v2")
    release.put({"rcv1-v2.topics.qrels": QRELS})
    with pytest.raises(DataError, match="every file of texts"):
        release.prepare("rcv1-v2")
