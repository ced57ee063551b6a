"""Files of every format where the commands take files, and SKOS vocabularies where they take taxonomies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import TOPICS, Command, documents
from taxotext import load
from taxotext.data import read_corpus, write_corpus

SKOS = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix e: <http://e.org/> .
e:fruit a skos:Concept ; skos:prefLabel "Fruit"@en, "Obst"@de ; skos:notation "F" ; skos:broader e:things .
e:cars a skos:Concept ; skos:prefLabel "Cars"@en, "Autos"@de ; skos:notation "C" ; skos:broader e:things .
e:things a skos:Concept ; skos:prefLabel "Things"@en ; skos:notation "T" .
"""


@pytest.fixture
def files(command: Command) -> None:
    """The same 8 documents as ``FORMAT.*``, and ``topics.ttl``."""
    Path("topics.ttl").write_text(SKOS, encoding="utf-8")
    uris = {"fruit": ["http://e.org/fruit"], "cars": ["http://e.org/cars"]}
    Path("plain.jsonl").write_text(documents(uris), encoding="utf-8")
    corpus = read_corpus("plain.jsonl")
    write_corpus(corpus, "annif.tsv", format="annif-tsv")
    write_corpus(corpus, "lml.txt", format="libmultilabel")
    Path("annif.jsonl").write_text(
        "".join(
            json.dumps({"text": text, "subjects": [{"uri": label} for label in labels]}) + "\n"
            for text, labels in zip(corpus.texts, corpus.label_lists(), strict=True)
        )
    )
    Path("fulltext").mkdir()
    for number, (text, [label]) in enumerate(zip(corpus.texts, corpus.label_lists(), strict=True)):
        Path(f"fulltext/{number}.txt").write_text(text)
        Path(f"fulltext/{number}.key").write_text("Obst\n" if label.endswith("fruit") else "Autos\n")


FILES = ["annif.tsv", "lml.txt", "annif.jsonl", "fulltext", "plain.parquet"]
GERMAN = ("--taxonomy", "topics.ttl", "--taxonomy-language", "de")


def as_parquet() -> None:
    pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    write_corpus(read_corpus("plain.jsonl"), "plain.parquet")


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_checked_measured_split_and_converted(command: Command, files: None, name: str) -> None:
    pytest.importorskip("rdflib", reason="the extra 'skos' is not installed")
    if name.endswith(".parquet"):
        as_parquet()
    checked = command("data", "check", name, *GERMAN)
    assert "0 errors" in checked.err, checked
    metrics = json.loads(command("data", "stats", name, *GERMAN, "--json").ok().out)
    assert (metrics["documents"], metrics["labels"], metrics["unknown_labels"]) == (8, 3, 0)
    command("data", "convert", name, "out.jsonl", *GERMAN).ok()
    assert sorted(map(str, read_corpus("out.jsonl").label_lists())) == sorted(
        map(str, read_corpus("plain.jsonl").label_lists())
    )
    command("data", "split", "out.jsonl", "-o", "parts", "--parts", "a=0.5,b=0.5").ok()


def test_annif_subjects_and_skos_names_go_from_training_to_prediction(command: Command, files: None) -> None:
    pytest.importorskip("rdflib", reason="the extra 'skos' is not installed")
    given = ("--model=linear", "--taxonomy=topics.ttl", "data.taxonomy_language=de", "--threads=1")
    command("train", *given, "--train=fulltext", "--validation=annif.tsv", "--output=model").ok()
    command("tune", "model", "--data", "annif.jsonl").ok()
    assert json.loads(command("evaluate", "model", "lml.txt", "--json").ok().out)["micro_f1"] == 1.0
    [line, *_] = command("predict", "model", "annif.tsv").ok().lines
    assert set(line["labels"]) == {"http://e.org/fruit", "http://e.org/things"}
    assert set(line["names"]) == {"Obst", "Things"}
    assert [label.rsplit("/")[-1][0].upper() for label in line["labels"]] == line["notations"]
    first = command("predict", "model", "fulltext").ok().lines[0]
    assert first["id"] == "0"
    piped = command("predict", "model", "-", "--input-format=annif-tsv", stdin=b"ripe plum\t\n").ok()
    assert "http://e.org/fruit" in piped.lines[0]["labels"]


def test_notations_are_the_labels_when_asked_for(command: Command, files: None) -> None:
    pytest.importorskip("rdflib", reason="the extra 'skos' is not installed")
    drawn = command("data", "tree", "topics.ttl", "--taxonomy-ids=notation", "--taxonomy-language=de").ok().out
    assert drawn.splitlines()[0].startswith("T")
    command("data", "convert-taxonomy", "topics.ttl", "t.tsv", "--taxonomy-ids=notation").ok()
    assert set(Path("t.tsv").read_text().splitlines()) == {"Root\tT", "T\tF", "T\tC"}
    command("data", "convert-taxonomy", "t.tsv", "back.ttl").ok()
    assert "3 labels, 2 edges" in command("data", "tree", "back.ttl", "--taxonomy-ids=notation").ok().err
    command("data", "tree", "topics.ttl", "--taxonomy-ids=uris").refused(
        "uri or notation (SKOS), path or name (nested files), not 'uris'"
    )
    command("data", "check", "plain.jsonl", "--taxonomy-language=de").refused("name that with --taxonomy FILE")


def test_feature_vectors_are_for_linear_with_given_features(command: Command, files: None) -> None:
    words = {
        word: i for i, word in enumerate(sorted({w for texts in TOPICS.values() for t in texts for w in t.split()}))
    }
    lines = [
        f"{number} " + " ".join(f"{i}:1" for i in sorted({words[word] for word in text.split()}))
        for number, texts in enumerate(TOPICS.values())
        for text in texts
    ]
    Path("train.txt").write_text(f"8 {len(words)} 3\n" + "\n".join(lines) + "\n")
    given = ("--model=linear", "--train=train.txt", "--output=model", "--threads=1")
    command("train", *given).refused("train.txt: holds feature vectors", "features.analyzer=given")
    command("train", *given, "features.analyzer=given").ok()
    assert load("model").taxonomy.ids == ("0", "1", "2")
    assert json.loads(command("evaluate", "model", "train.txt", "--json").ok().out)["micro_f1"] == 1.0
    assert command("predict", "model", "train.txt").ok().lines[0]["labels"] == ["0"]
    command("predict", "model", "plain.jsonl").refused("is not a feature vector")
    texts_as_vectors = ("train", "--model=linear", "--train=plain.jsonl", "features.analyzer=given", "--output=other")
    command(*texts_as_vectors).refused("is not a feature vector")
    assert not Path("other").exists()
    command("train", "--model=linear", "--train=plain.jsonl", "--output=words").ok()
    for verb in ("evaluate", "predict"):
        command(verb, "words", "train.txt").refused("holds feature vectors (svmlight), no texts")


def test_a_format_can_be_said(command: Command, files: None) -> None:
    Path("corpus").write_bytes(Path("annif.tsv").read_bytes())
    command("data", "stats", "corpus").refused("the file name has no suffix")
    command("data", "stats", "corpus", "--input-format=annif-tsv").ok()
    command("data", "stats", "corpus", "--input-format=annif").refused("unknown corpus format 'annif'", "annif-tsv")
    command("train", "--model=linear", "--train=corpus", "data.format=annif-tsv", "--output=model", "--threads=1").ok()
    command("train", "--train=corpus", "data.format=annif", "--output=m").refused("data.format", "'annif-tsv'")
    command("data", "convert", "plain.jsonl", "x.svm").refused("are read but not written as svmlight")
    command("data", "convert", "plain.jsonl", "x.txt", "--to=csv").refused("name a file in the format csv .csv")
    command("data", "convert", "plain.jsonl", "x.txt", "--to=libmultilabel").ok()
    assert Path("x.txt").read_bytes() == Path("lml.txt").read_bytes()


def test_a_dry_run_says_what_memory_it_needs(command: Command, files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("train", "--model=linear", "--train=plain.jsonl", "--threads=1")
    told = command(*given, "--dry-run").ok().err
    assert "It needs about 0 MiB of" in told
    from taxotext.cost import memory

    monkeypatch.setattr(memory, "available", lambda: 500)
    command(*given, "--output=m").refused("This training needs about 0 MiB of memory", "runtime.check_memory=false")
    refused = command(*given, "--dry-run", "runtime.check_memory=false").ok().err
    assert "It would be refused. This training needs" in refused
    command(*given, "--output=m", "runtime.check_memory=false").ok()
