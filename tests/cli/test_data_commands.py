"""The ``taxotext data`` commands, run as a user runs them."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from taxotext.cli import main
from taxotext.data import read_corpus
from taxotext.data.tokens import TextTokenizer
from taxotext.labels import read_names, read_taxonomy

TAXONOMY = "Root\tscience\nRoot\tarts\nscience\tphysics\narts\tmusic\n"


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``taxotext data ...`` in the temporary folder; the files of a test have short names there."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as exit:
            main(["data", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(int(exit.value.code or 0), captured.out, captured.err)

    return run


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def document(number: int, labels: list[str], **fields: Any) -> dict[str, Any]:
    return {"id": f"d{number}", "text": f"This is the text of document {number}.", "labels": labels, **fields}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Twenty documents; half physics (one without its ancestor), half music; and a taxonomy."""
    rows = [document(i, ["science", "physics"] if i % 2 else ["arts", "music"]) for i in range(20)]
    rows[1]["labels"] = ["physics"]
    write_jsonl(tmp_path / "small.jsonl", rows)
    (tmp_path / "topics.tsv").write_text(TAXONOMY)
    return tmp_path


# -- stats -----------------------------------------------------------------------------------------------------


def cells(table: str, start: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.strip().startswith(start))
    return line.strip()[len(start) :].split()


def test_stats_shows_documents_labels_levels_and_missing_ancestors(run: Run, small: Path) -> None:
    result = run("stats", "small.jsonl", "--taxonomy", "topics.tsv")
    assert result.code == 0
    assert result.err == ""
    assert cells(result.out, "documents") == ["20"]
    assert cells(result.out, "with a label whose ancestors are missing") == ["1", "5.0", "%"]
    assert cells(result.out, "levels") == ["2"]
    assert cells(result.out, "words")[0] == "7.00"  # This is the text of document 3
    per_document = result.out[result.out.index("per document") :]
    assert cells(per_document, "labels") == ["1.95", "0.22", "1", "2", "2", "2"]
    assert cells(result.out, "6 to 10") == ["4", "100.0", "%"]
    assert cells(result.out, "physics") == ["10", "50.0", "%"]
    assert "tokens" not in result.out
    assert all(line == line.rstrip() for line in result.out.splitlines())


def test_stats_as_json_holds_everything(run: Run, small: Path) -> None:
    write_jsonl(small / "test.jsonl", [document(3, ["music"]), document(99, ["arts", "dance"])])
    result = run("stats", "small.jsonl", "--taxonomy", "topics.tsv", "--other", "test.jsonl", "--top", "1", "--json")
    values = json.loads(result.out)
    assert values["documents"] == 20
    assert values["closure"] == "as_given"
    assert values["closure_violations"] == {"documents": 1, "pairs": 1}
    assert values["overlap"]["documents"] == 1
    assert values["overlap"]["documents_with_different_labels"] == 1
    assert values["overlap"]["labels_only_there"] == ["dance"]
    assert values["most_frequent_labels"] == [{"id": "arts", "name": None, "documents": 10}]
    assert values["reading"]["documents"] == 20
    assert values["tokens"] is None


def test_stats_follows_the_closure_that_is_asked_for(run: Run, small: Path) -> None:
    result = run("stats", "small.jsonl", "--taxonomy", "topics.tsv", "--closure", "ancestors", "--json")
    values = json.loads(result.out)
    assert values["labels_added"] == 1
    assert values["labels_per_document"]["mean"] == 2.0
    assert values["closure_violations"] is None


def test_stats_counts_tokens_as_a_trained_model_does(run: Run, small: Path) -> None:
    folder = small / "model"
    folder.mkdir()
    config = {"model": "bert", "settings": {"text": {"max_tokens": 7}}}
    (folder / "config.json").write_text(json.dumps(config))
    TextTokenizer.learn_words(["one two"], min_count=1).save(folder / "tokenizer.json")
    write_jsonl(small / "texts.jsonl", [{"text": "one two", "labels": ["a"]}, {"text": "one " * 8, "labels": ["b"]}])
    result = run("stats", "texts.jsonl", "--model", "model", "--json")
    tokens = json.loads(result.out)["tokens"]
    assert tokens["max_tokens"] == 7
    assert (tokens["tokens"]["min"], tokens["tokens"]["max"], tokens["cut_texts"]) == (2, 8, 1)
    table = run("stats", "texts.jsonl", "--model", "model", "--max-tokens", "1").out
    assert cells(table, "longer than 1 tokens") == ["2", "100.0", "%"]
    assert cells(table, "tokens") == ["5.00", "3.00", "2", "5", "7.7", "8"]


def test_stats_counts_tokens_as_an_encoder_does(run: Run, small: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    words = {"[PAD]": 0, "[UNK]": 1, "one": 2}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(small / "encoder")
    (small / "encoder" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    result = run("stats", "small.jsonl", "--encoder", str(small / "encoder"), "--json")
    tokens = json.loads(result.out)["tokens"]
    assert tokens["max_tokens"] == 128
    assert tokens["tokens"]["max"] == 7
    assert tokens["cut_texts"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing.jsonl",), "nothing.jsonl: no such file."),
        (("smal.jsonl",), "smal.jsonl: no such file. Did you mean 'small.jsonl'?"),
        (("small.jsonl", "--labels", "topics"), "there is no field 'topics'"),
        (("small.jsonl", "--text", "text", "--labels", "text"), "the field 'text' is taken as text and as labels"),
        (("small.jsonl", "--closure", "all"), "closure is 'all'; choose one of ancestors, as_given, leaves."),
        (("small.jsonl", "--names", "names.tsv"), "--names says more about a taxonomy; name that with --taxonomy"),
        (("small.jsonl", "--max-tokens", "9"), "--max-tokens needs something to count with; add --encoder default"),
        (("small.jsonl", "--encoder", "default", "--model", "m"), "give one of them."),
        (("small.jsonl", "--model", "m"), "m: is not a model folder (config.json is missing)."),
        (("small.jsonl", "--encoder", "/none/such"), "encoder.source: '/none/such' cannot be loaded"),
        (("small.jsonl", "--taxonomy", "none.tsv"), "The file none.tsv does not exist"),
        (("small.jsonl", "--on-bad-line", "stop"), "on_bad_line is 'stop'; choose 'error' or 'skip'"),
    ],
)
def test_stats_answers_mistakes_with_a_sentence(
    run: Run, small: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run("stats", *arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("taxotext: ")
    assert sentence in result.err


def test_a_model_without_a_tokenizer_is_named(run: Run, small: Path) -> None:
    (small / "model").mkdir()
    (small / "model" / "config.json").write_text('{"model": "linear", "settings": {}}')
    result = run("stats", "small.jsonl", "--model", "model")
    assert (result.code, result.err) == (
        2,
        "taxotext: model: the system 'linear' has no tokenizer and cuts no text; leave --model out.\n",
    )


# -- check -----------------------------------------------------------------------------------------------------


def test_check_lists_bad_lines_and_unknown_labels_and_exits_with_1(run: Run, small: Path) -> None:
    with (small / "small.jsonl").open("a") as file:
        file.write("{oops\n" + json.dumps({"text": "", "labels": []}) + "\n")
        file.write(json.dumps(document(77, ["phisics"])) + "\n")
    result = run("check", "small.jsonl", "--taxonomy", "topics.tsv")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0].split() == ["level", "finding"]
    errors = [line for line in lines if line.startswith("error")]
    assert len(errors) == 3
    assert "small.jsonl:21: this is not valid JSON" in errors[0]
    assert "small.jsonl:22: the text is empty" in errors[1]
    assert "1 label is not in the taxonomy: 'phisics' in 1 document (Did you mean 'physics'?)" in errors[2]
    assert [line for line in lines if line.startswith("info")] == [
        "info   small.jsonl: 1 document has a label without all ancestors (1 label); "
        "training adds the 1 missing ancestor unless you set data.closure=as_given."
    ]
    assert "skipped while reading" not in result.out  # the lines themselves say it
    assert result.err == "small.jsonl: 3 errors, 0 warnings, 1 to know, in 21 documents with 4 labels.\n"


def test_check_warns_of_unknown_labels_in_the_other_file(run: Run, small: Path) -> None:
    write_jsonl(small / "test.jsonl", [document(90, ["phisics"])])
    result = run("check", "small.jsonl", "--taxonomy", "topics.tsv", "--other", "test.jsonl")
    assert result.code == 0
    [found] = [line for line in result.out.splitlines() if "phisics" in line and "not in the taxonomy" in line]
    assert found.startswith("warning  test.jsonl: 1 label is not in the taxonomy: 'phisics' in 1 document")
    assert "an evaluation counts them as misses" in found
    assert "train with" not in found


def test_sentences_of_check_and_convert_end_once(run: Run, small: Path) -> None:
    write_jsonl(small / "bad.jsonl", [document(1, ["a"]), {"txt": "x", "labels": ["a"]}])
    assert "Did you mean 'txt'?\n" in run("check", "bad.jsonl").out
    assert "Did you mean 'txt'?\n" in run("convert", "bad.jsonl", "out.jsonl", "--on-bad-line", "skip").err


def test_blank_lines_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gaps.csv").write_text("text,labels\nx,a\n\ny,b\n")
    assert "1 blank line was left out.\n" in run("convert", "gaps.csv", "out.jsonl").err


def test_check_of_a_sound_file_exits_with_0_and_prints_nothing(run: Run, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "sound.jsonl", [document(i, ["a" if i % 2 else "b"]) for i in range(20)])
    result = run("check", "sound.jsonl")
    assert result == (0, "", "sound.jsonl: 0 errors, 0 warnings, 0 to know, in 20 documents with 2 labels.\n")


def test_check_knows_that_bad_lines_will_be_skipped(run: Run, small: Path) -> None:
    with (small / "small.jsonl").open("a") as file:
        file.write("{oops\n")
    result = run("check", "small.jsonl", "--on-bad-line", "skip")
    assert result.code == 0
    assert result.out.splitlines()[1].startswith("warning")
    assert "small.jsonl:21:" in result.out


def test_check_judges_the_label_sets_that_will_be_trained_on(run: Run, small: Path) -> None:
    rows = [document(i, ["physics"] if i % 2 else ["music"]) for i in range(20)]
    write_jsonl(small / "low.jsonl", rows)
    closed = run("check", "low.jsonl", "--taxonomy", "topics.tsv")
    assert "no document" not in closed.out  # science and arts have some once ancestors are added
    assert "training adds the 20 missing ancestors" in closed.out
    given = run("check", "low.jsonl", "--taxonomy", "topics.tsv", "--closure", "as_given")
    assert "2 labels of the taxonomy have no document: science, arts" in given.out
    assert "20 documents have labels without all of their ancestors (20 labels)" in given.out


def test_check_as_json(run: Run, small: Path) -> None:
    write_jsonl(small / "test.jsonl", [document(3, ["science", "physics"]), {"text": "no labels"}])
    result = run("check", "small.jsonl", "--taxonomy", "topics.tsv", "--other", "test.jsonl", "--json")
    values = json.loads(result.out)
    assert result.code == 1  # a bad line of the other file counts, too
    assert values["counts"]["error"] == 1
    assert values["bad_lines"][0].startswith("test.jsonl:2: there is no field 'labels'")
    assert values["unknown_labels"] == {"small.jsonl": {}, "test.jsonl": {}}
    assert {finding["level"] for finding in values["findings"]} == {"error", "warning", "info"}
    assert any("also in test.jsonl" in finding["sentence"] for finding in values["findings"])


def test_check_without_any_label_is_an_error(run: Run, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "bare.jsonl", [document(i, []) for i in range(3)])
    result = run("check", "bare.jsonl")
    assert result.code == 1
    assert "No document of bare.jsonl has a label; check which field holds the labels." in result.out


def test_check_cannot_look_at_a_file_without_a_readable_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{\n[\n")
    result = run("check", "bad.jsonl")
    assert result.code == 2
    assert "bad.jsonl: 2 of 2 records cannot be read" in result.err
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv: the file is empty" in run("check", "empty.csv").err


def test_check_asks_for_a_possible_policy(run: Run, small: Path) -> None:
    result = run("check", "small.jsonl", "--on-bad-line", "stop")
    assert (result.code, result.err) == (2, "taxotext: --on-bad-line is 'stop'; choose error or skip.\n")


# -- tree ------------------------------------------------------------------------------------------------------


def test_tree_draws_labels_with_their_documents(run: Run, small: Path) -> None:
    result = run("tree", "topics.tsv", "--counts", "small.jsonl")
    assert result.code == 0
    assert result.out == "science  [10]\n└── physics  [10]\narts  [10]\n└── music  [10]\n"
    assert result.err.startswith("4 labels, 2 edges, 2 levels; 20 documents of small.jsonl")
    given = run("tree", "topics.tsv", "--counts", "small.jsonl", "--closure", "as_given")
    assert given.out.startswith("science  [9]\n└── physics  [10]\n")


def test_tree_without_counts_can_be_cut_and_named(run: Run, small: Path) -> None:
    (small / "names.tsv").write_text("science\tScience & nature\n")
    result = run("tree", "topics.tsv", "--names", "names.tsv", "--max-depth", "1")
    assert result.out == "science  Science & nature  (+1 below)\narts  (+1 below)\n"


def test_tree_can_show_only_used_labels_and_tells_of_unknown_ones(run: Run, small: Path) -> None:
    write_jsonl(small / "few.jsonl", [document(1, ["music"]), document(2, ["dance"])])
    result = run("tree", "topics.tsv", "--counts", "few.jsonl", "--used", "--closure", "as_given")
    assert result.out == "arts  [0]\n└── music  [1]\n"
    assert "1 label of few.jsonl not in the taxonomy, such as 'dance', not shown" in result.err


def test_tree_as_json_repeats_no_label_of_a_dag(run: Run, small: Path) -> None:
    write_jsonl(small / "low.jsonl", [document(1, ["music"])])
    (small / "dag.tsv").write_text(TAXONOMY + "music\tacoustics\nphysics\tacoustics\n")
    result = run("tree", "dag.tsv", "--counts", "small.jsonl", "--json")
    values = json.loads(result.out)
    assert values["depth"] == 3
    assert values["documents"] == 20
    used = json.loads(run("tree", "dag.tsv", "--counts", "low.jsonl", "--used", "--closure", "as_given", "--json").out)
    assert [label["id"] for label in used["labels"]] == ["arts", "music"]
    acoustics = values["labels"][-1]
    assert acoustics == {
        "id": "acoustics",
        "name": None,
        "parents": ["physics", "music"],
        "level": 3,
        "documents": 0,
    }
    cut = json.loads(run("tree", "dag.tsv", "--max-depth", "1", "--json").out)
    assert [label["id"] for label in cut["labels"]] == ["science", "arts"]
    assert "documents" not in cut["labels"][0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("topics.tsv", "--used"), "--used shows the labels with documents; name these with --counts FILE."),
        (("small.jsonl", "--taxonomy-format", "edge"), "Unknown taxonomy format 'edge'; use one of edges"),
        (("none.tsv",), "The file none.tsv does not exist; check the path."),
        (("topics.tsv", "--counts", "none.csv"), "none.csv: no such file."),
    ],
)
def test_tree_answers_mistakes_with_a_sentence(
    run: Run, small: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run("tree", *arguments)
    assert result.code == 2
    assert sentence in result.err


# -- split -----------------------------------------------------------------------------------------------------


def test_split_writes_every_document_once_with_labels_as_they_stand(run: Run, small: Path) -> None:
    result = run("split", "small.jsonl", "--output", "parts", "--parts", "train=0.7,dev=0.2,test=0.1")
    assert result.code == 0
    assert [cells(result.out, name)[0] for name in ("train", "dev", "test")] == ["14", "4", "2"]
    parts = [rows_of(small / "parts" / f"{name}.jsonl") for name in ("train", "dev", "test")]
    together = {row["id"]: row for part in parts for row in part}
    assert sum(map(len, parts)) == 20
    assert together["d1"]["labels"] == ["physics"]
    assert {"music", "physics"} <= {label for row in parts[2] for label in row["labels"]}  # stratified


def test_split_has_usual_parts_and_a_seed(run: Run, small: Path) -> None:
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run("split", "small.jsonl", "-o", folder, "--seed", seed, "--random").code == 0
    first, again, other = ([*map(Path.read_bytes, sorted((small / folder).iterdir()))] for folder in "abc")
    assert sorted(path.name for path in (small / "a").iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]
    assert first == again != other


def test_split_keeps_groups_and_equal_texts_together(run: Run, tmp_path: Path) -> None:
    rows = [document(i, ["a"], author=f"author {i % 7}") for i in range(40)]
    write_jsonl(tmp_path / "groups.jsonl", rows)
    run("split", "groups.jsonl", "-o", "parts", "--parts", "train=0.5,test=0.5", "--group", "author")
    train, test = (rows_of(tmp_path / "parts" / f"{name}.jsonl") for name in ("train", "test"))
    assert len(train) + len(test) == 40
    assert not {row["author"] for row in train} & {row["author"] for row in test}
    twice = [{**document(i % 10, ["a"]), "id": str(i)} for i in range(40)]
    write_jsonl(tmp_path / "twice.jsonl", twice)
    apart = run("split", "twice.jsonl", "-o", "apart", "--parts", "train=0.5,test=0.5", "--random")
    assert "texts stand in more than one part" in apart.err
    joined = run("split", "twice.jsonl", "-o", "joined", "--parts", "train=0.5,test=0.5", "--equal-texts-together")
    assert joined.err == ""


def test_split_into_folds_tests_on_each_document_once(run: Run, small: Path) -> None:
    result = run("split", "small.jsonl", "-o", "folds", "--folds", "4", "--json")
    values = json.loads(result.out)
    assert [part["documents"] for part in values["parts"]] == [15, 5] * 4
    tested = []
    for number in range(1, 5):
        folder = small / "folds" / f"fold-{number}"
        train, test = ({row["id"] for row in rows_of(folder / f"{name}.jsonl")} for name in ("train", "test"))
        assert not train & test
        assert len(train | test) == 20
        tested += sorted(test)
    assert len(set(tested)) == len(tested) == 20


def test_split_of_a_table_keeps_its_columns_and_separator(run: Run, tmp_path: Path) -> None:
    body = "".join(f"{i},text number {i},a|b,{2000 + i}\n" for i in range(10))
    (tmp_path / "table.csv").write_text("nr,body,topics,year\n" + body)
    options = ("--text", "body", "--labels", "topics", "--id", "nr")
    result = run("split", "table.csv", "-o", "parts", "--format", "csv.gz", *options)
    assert result.code == 0
    with gzip.open(tmp_path / "parts" / "train.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert set(rows[0]) == {"nr", "body", "topics", "year"}
    assert rows[0]["topics"] == "a|b"
    assert int(rows[0]["year"]) == 2000 + int(rows[0]["nr"])
    assert "Labels were separated at '|', as it seems" in result.err


def test_split_tells_how_many_labels_reach_each_part(run: Run, small: Path) -> None:
    write_jsonl(small / "rare.jsonl", [document(i, ["a", "rare"] if i == 0 else ["a"]) for i in range(20)])
    result = run("split", "rare.jsonl", "-o", "parts", "--json")
    parts = json.loads(result.out)["parts"]
    assert sorted((part["labels"], part["labels_missing"]) for part in parts) == [(1, 1), (1, 1), (2, 0)]
    assert result.err == "1 label has fewer documents than there are parts and cannot reach all of them.\n"


def test_split_replaces_nothing_unless_told_to(run: Run, small: Path) -> None:
    (small / "parts").mkdir()
    (small / "parts" / "test.jsonl").write_text("precious\n")
    result = run("split", "small.jsonl", "-o", "parts")
    assert (result.code, result.out) == (2, "")
    expected = "parts/test.jsonl: already exists. Choose another name, or replace it with --overwrite."
    assert expected in result.err.replace("\\", "/")
    assert [path.name for path in (small / "parts").iterdir()] == ["test.jsonl"]
    assert (small / "parts" / "test.jsonl").read_text() == "precious\n"
    assert run("split", "small.jsonl", "-o", "parts", "--overwrite").code == 0
    assert len(rows_of(small / "parts" / "test.jsonl")) == 2


def test_split_never_replaces_the_file_that_it_reads(run: Run, small: Path) -> None:
    (small / "small.jsonl").rename(small / "train.jsonl")
    before = (small / "train.jsonl").read_bytes()
    result = run("split", "train.jsonl", "-o", ".", "--overwrite")
    assert result.code == 2
    assert "train.jsonl: is the file that is read; write to another name." in result.err
    assert (small / "train.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--parts", "train=0.8"), "are 0.8 together; they must be 1"),
        (("--parts", "train,test"), "--parts: 'train' is not name=share; write names and shares such as train=0.8"),
        (("--parts", "train=0.5,train=0.5"), "--parts: 'train' is named twice"),
        (("--parts", "a/b=0.5,c=0.5"), "--parts: 'a/b' cannot be the name of a file"),
        (("--parts", "train=most,test=0.1"), "--parts: the share of 'train' is 'most', not a number"),
        (("--parts", "train=1.5,test=-0.5"), "the share of a part must be above 0"),
        (("--parts", "a=0.5,b=0.5", "--folds", "2"), "--parts and --folds are two ways to split"),
        (("--folds", "21"), "20 documents cannot be split into 21 parts"),
        (("--group", "author"), "there is no field 'author'"),
        (("--group", "id", "--equal-texts-together"), "give one of them."),
        (("--format", "xlsx"), "unknown corpus format 'xlsx'"),
    ],
)
def test_split_answers_mistakes_with_a_sentence(
    run: Run, small: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run("split", "small.jsonl", "-o", "parts", *arguments)
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err
    assert not (small / "parts").exists()


# -- convert ---------------------------------------------------------------------------------------------------


def test_convert_there_and_back_loses_nothing(run: Run, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "text": 'Line\nbreak, "quotes" and\ttab é 漢 \u2028', "labels": ["a;b", "c"], "year": "2019"},
        {"id": "2", "text": "No labels", "labels": [], "year": "2020"},
        {"id": "3", "text": " outer space ", "labels": ["["], "year": ""},
    ]
    write_jsonl(tmp_path / "in.jsonl", rows)
    for source, target in (("in.jsonl", "b.csv.gz"), ("b.csv.gz", "c.tsv"), ("c.tsv", "out.jsonl")):
        result = run("convert", source, target)
        assert (result.code, result.out) == (0, "")
        assert f"Wrote {target}: 3 documents." in result.err
    assert rows_of(tmp_path / "out.jsonl") == rows


def test_convert_writes_the_separator_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,labels\nhello there,b/a\n")
    result = run("convert", "in.csv", "out.tsv", "--label-separator", "/", "--output-label-separator", ";")
    assert result.code == 0
    assert (tmp_path / "out.tsv").read_text() == "text\tlabels\nhello there\ta;b\n"


def test_convert_joins_several_text_fields(run: Run, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"title": "T", "body": "B", "labels": ["a"]}])
    run("convert", "in.jsonl", "joined.jsonl", "--text", "title", "--text", "body")
    assert rows_of(tmp_path / "joined.jsonl") == [{"text": "T\nB", "labels": ["a"]}]
    run("convert", "in.jsonl", "apart.jsonl", "--text", "title")
    assert rows_of(tmp_path / "apart.jsonl") == [{"title": "T", "body": "B", "labels": ["a"]}]


def test_convert_tells_what_it_left_out(run: Run, tmp_path: Path) -> None:
    rows = [document(1, ["a", "a", " b"]), document(2, ["a"])]
    write_jsonl(tmp_path / "in.jsonl", rows)
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write("{\n")
    result = run("convert", "in.jsonl", "out.csv", "--on-bad-line", "skip")
    assert result.code == 0
    assert "1 bad line was left out; the first one: in.jsonl:3: " in result.err
    assert "1 label stood twice in one document and counted once." in result.err
    assert "White space around 1 label was dropped." in result.err
    assert len(read_corpus(tmp_path / "out.csv")) == 2


def test_convert_replaces_nothing_unless_told_to(run: Run, small: Path) -> None:
    (small / "out.csv").write_text("precious")
    result = run("convert", "small.jsonl", "out.csv")
    assert result.code == 2
    assert "out.csv: already exists. Choose another name, or replace it with --overwrite." in result.err
    assert (small / "out.csv").read_text() == "precious"
    assert run("convert", "small.jsonl", "out.csv", "--overwrite").code == 0
    assert "is the file that is read" in run("convert", "out.csv", "out.csv", "--overwrite").err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("small.jsonl", "out.xlsx"), "out.xlsx: the suffix '.xlsx' is none of a corpus file"),
        (
            ("small.jsonl", "out.csv", "--label-separator", ";"),
            "labels are lists in JSONL; leave --label-separator out.",
        ),
        (
            ("small.jsonl", "out.jsonl", "--output-label-separator", ";"),
            "labels are lists in JSONL; leave --output-label-separator out.",
        ),
        (("small.jsonl", "none/out.csv"), "the folder none does not exist; make it first"),
        (("small.jsonl", "out.csv", "--output-label-separator", "s"), "the label 'arts' contains the separator 's'"),
        (("none.jsonl", "out.csv"), "none.jsonl: no such file."),
    ],
)
def test_convert_answers_mistakes_with_a_sentence(
    run: Run, small: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run("convert", *arguments)
    assert result.code == 2
    assert sentence in result.err
    assert not (small / "out.csv").exists()


# -- convert-taxonomy ------------------------------------------------------------------------------------------


def test_convert_taxonomy_there_and_back_loses_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "topics.paths").write_text("arts/music/theory\nscience/theory\n")
    first = run("convert-taxonomy", "topics.paths", "topics.yaml")
    assert (first.code, first.err) == (0, "Wrote topics.yaml: 5 labels, 3 edges, 3 levels.\n")
    second = run("convert-taxonomy", "topics.yaml", "topics.tsv", "--output-names", "names.tsv")
    assert second.code == 0
    expected = read_taxonomy(tmp_path / "topics.paths")
    assert read_taxonomy(tmp_path / "topics.tsv", names=tmp_path / "names.tsv") == expected
    assert read_names(tmp_path / "names.tsv")["science/theory"] == "theory"
    third = run("convert-taxonomy", "topics.tsv", "again", "--to", "paths")
    assert third.code == 0
    assert read_taxonomy(tmp_path / "again", "paths") == expected


def test_convert_taxonomy_warns_of_names_that_are_lost(run: Run, tmp_path: Path) -> None:
    (tmp_path / "topics.json").write_text('[{"id": "9", "name": "Science"}]')
    result = run("convert-taxonomy", "topics.json", "topics.tsv")
    assert "topics.tsv has no place for the display names; keep them with --output-names FILE." in result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("topics.tsv", "small.jsonl"), "small.jsonl: already exists."),
        (("topics.tsv", "topics.tsv", "--overwrite"), "topics.tsv: is the file that is read; write to another name."),
        (("topics.tsv", "out"), "The name of out does not say which format to write"),
        (("topics.tsv", "out.paths"), "The taxonomy cannot be written to out.paths as paths"),
        (("topics.tsv", "out.tsv", "--output-names", "out.tsv"), "would hold the taxonomy and the names"),
        (("none.tsv", "out.tsv"), "The file none.tsv does not exist; check the path."),
    ],
)
def test_convert_taxonomy_answers_mistakes_with_a_sentence(
    run: Run, small: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run("convert-taxonomy", *arguments)
    assert result.code == 2
    assert sentence in result.err


# -- all -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["stats", "check", "tree", "split", "convert", "convert-taxonomy"])
def test_every_verb_has_help_with_examples(run: Run, verb: str) -> None:
    result = run(verb, "--help")
    assert result.code == 0
    assert f"Examples: taxotext data {verb}" in " ".join(result.out.split())


def test_help_loads_no_numbers() -> None:
    code = (
        "import sys, taxotext.cli.data; sys.exit(bool({'numpy', 'torch', 'taxotext.data.corpus'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_commands_work_on_a_real_corpus(run: Run, real_data: Callable[[str], Path]) -> None:
    train, test = (str(real_data(f"chemical-exposure/{name}.jsonl.gz")) for name in ("train", "test"))
    taxonomy = str(real_data("chemical-exposure/hierarchy.tsv"))
    values = json.loads(run("stats", train, "--taxonomy", taxonomy, "--other", test, "--json").out)
    assert (values["documents"], values["labels"], values["depth"]) == (2563, 69, 5)
    assert run("check", train, "--taxonomy", taxonomy, "--other", test).code == 0
    assert run("tree", taxonomy, "--counts", train).out.startswith("Biomonitoring  [1,840]\n")
    assert run("split", train, "-o", "parts").code == 0
    assert run("convert", train, "train.csv").code == 0
    assert read_corpus("train.csv").fingerprint() == read_corpus(train).fingerprint()
