"""``taxotext data stats``, ``check`` and ``tree``, run as a user runs them, and what all its commands have."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Outcome
from data_commands import TAXONOMY, Run, cells, document, write_jsonl
from taxotext.data import read_corpus
from taxotext.data.tokens import TextTokenizer

# -- stats -----------------------------------------------------------------------------------------------------


def test_stats_shows_documents_labels_levels_and_missing_ancestors(run_data: Run, small_data: Path) -> None:
    result = run_data("stats", "small.jsonl", "--taxonomy", "topics.tsv")
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


def test_stats_as_json_holds_everything(run_data: Run, small_data: Path) -> None:
    write_jsonl(small_data / "test.jsonl", [document(3, ["music"]), document(99, ["arts", "dance"])])
    result = run_data(
        "stats", "small.jsonl", "--taxonomy", "topics.tsv", "--other", "test.jsonl", "--top", "1", "--json"
    )
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


def test_stats_follows_the_closure_that_is_asked_for(run_data: Run, small_data: Path) -> None:
    result = run_data("stats", "small.jsonl", "--taxonomy", "topics.tsv", "--closure", "ancestors", "--json")
    values = json.loads(result.out)
    assert values["labels_added"] == 1
    assert values["labels_per_document"]["mean"] == 2.0
    assert values["closure_violations"] is None


def test_stats_counts_tokens_as_a_trained_model_does(run_data: Run, small_data: Path) -> None:
    folder = small_data / "model"
    folder.mkdir()
    config = {"model": "bert", "settings": {"text": {"max_tokens": 7}}}
    (folder / "config.json").write_text(json.dumps(config))
    TextTokenizer.learn_words(["one two"], min_count=1).save(folder / "tokenizer.json")
    write_jsonl(
        small_data / "texts.jsonl", [{"text": "one two", "labels": ["a"]}, {"text": "one " * 8, "labels": ["b"]}]
    )
    result = run_data("stats", "texts.jsonl", "--model", "model", "--json")
    tokens = json.loads(result.out)["tokens"]
    assert tokens["max_tokens"] == 7
    assert (tokens["tokens"]["min"], tokens["tokens"]["max"], tokens["cut_texts"]) == (2, 8, 1)
    table = run_data("stats", "texts.jsonl", "--model", "model", "--max-tokens", "1").out
    assert cells(table, "longer than 1 tokens") == ["2", "100.0", "%"]
    assert cells(table, "tokens") == ["5.00", "3.00", "2", "5", "7.7", "8"]


def test_stats_counts_tokens_as_an_encoder_does(run_data: Run, small_data: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    words = {"[PAD]": 0, "[UNK]": 1, "one": 2}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(small_data / "encoder")
    (small_data / "encoder" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    result = run_data("stats", "small.jsonl", "--encoder", str(small_data / "encoder"), "--json")
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
        (("small.jsonl", "--on-bad-line", "stop"), "--on-bad-line is 'stop'; choose 'error' or 'skip'"),
    ],
)
def test_stats_answers_mistakes_with_a_sentence(
    run_data: Run, small_data: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run_data("stats", *arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("taxotext: ")
    assert sentence in result.err


def test_a_model_without_a_tokenizer_is_named(run_data: Run, small_data: Path) -> None:
    (small_data / "model").mkdir()
    (small_data / "model" / "config.json").write_text('{"model": "linear", "settings": {}}')
    result = run_data("stats", "small.jsonl", "--model", "model")
    assert (result.code, result.err) == (
        2,
        "taxotext: model: the system 'linear' has no tokenizer and cuts no text; leave --model out.\n",
    )


@pytest.mark.parametrize("content", ["[" * 100_000, "{}", "[]", "3", '{"model": "bert", "settings": {"text": 3}}'])
def test_a_damaged_configuration_of_a_model_is_named(content: str, run_data: Run, small_data: Path) -> None:
    (small_data / "model").mkdir()
    (small_data / "model" / "config.json").write_text(content)
    result = run_data("stats", "small.jsonl", "--model", "model")
    assert result.err.startswith("taxotext: model/config.json: is damaged (")


# -- check -----------------------------------------------------------------------------------------------------


def test_check_lists_bad_lines_and_unknown_labels_and_exits_with_1(run_data: Run, small_data: Path) -> None:
    with (small_data / "small.jsonl").open("a") as file:
        file.write("{oops\n" + json.dumps({"text": "", "labels": []}) + "\n")
        file.write(json.dumps(document(77, ["phisics"])) + "\n")
    result = run_data("check", "small.jsonl", "--taxonomy", "topics.tsv")
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
    assert "left out" not in result.out  # the lines themselves say it
    assert result.err == "small.jsonl: 3 errors, 0 warnings, 1 to know, in 21 documents with 4 labels.\n"


def test_check_warns_of_unknown_labels_in_the_other_file(run_data: Run, small_data: Path) -> None:
    write_jsonl(small_data / "test.jsonl", [document(90, ["phisics"])])
    result = run_data("check", "small.jsonl", "--taxonomy", "topics.tsv", "--other", "test.jsonl")
    assert result.code == 0
    [found] = [line for line in result.out.splitlines() if "phisics" in line and "not in the taxonomy" in line]
    assert found.startswith("warning  test.jsonl: 1 label is not in the taxonomy: 'phisics' in 1 document")
    assert "an evaluation counts them as misses" in found
    assert "train with" not in found


def test_sentences_of_check_and_convert_end_once(run_data: Run, small_data: Path) -> None:
    write_jsonl(small_data / "bad.jsonl", [document(1, ["a"]), {"txt": "x", "labels": ["a"]}])
    assert "Did you mean 'txt'?\n" in run_data("check", "bad.jsonl").out
    assert "Did you mean 'txt'?\n" in run_data("convert", "bad.jsonl", "out.jsonl", "--on-bad-line", "skip").err


def test_blank_lines_are_told(run_data: Run, tmp_path: Path) -> None:
    (tmp_path / "gaps.csv").write_text("text,labels\nx,a\n\ny,b\n")
    assert "1 blank line was left out.\n" in run_data("convert", "gaps.csv", "out.jsonl").err


def test_check_of_a_sound_file_exits_with_0_and_prints_nothing(run_data: Run, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "sound.jsonl", [document(i, ["a" if i % 2 else "b"]) for i in range(20)])
    result = run_data("check", "sound.jsonl")
    assert result == Outcome(0, "", "sound.jsonl: 0 errors, 0 warnings, 0 to know, in 20 documents with 2 labels.\n")


def test_check_knows_that_bad_lines_will_be_skipped(run_data: Run, small_data: Path) -> None:
    with (small_data / "small.jsonl").open("a") as file:
        file.write("{oops\n")
    result = run_data("check", "small.jsonl", "--on-bad-line", "skip")
    assert result.code == 0
    assert result.out.splitlines()[1].startswith("warning")
    assert "small.jsonl:21:" in result.out


def test_check_judges_the_label_sets_that_will_be_trained_on(run_data: Run, small_data: Path) -> None:
    rows = [document(i, ["physics"] if i % 2 else ["music"]) for i in range(20)]
    write_jsonl(small_data / "low.jsonl", rows)
    closed = run_data("check", "low.jsonl", "--taxonomy", "topics.tsv")
    assert "no document" not in closed.out  # science and arts have some once ancestors are added
    assert "training adds the 20 missing ancestors" in closed.out
    given = run_data("check", "low.jsonl", "--taxonomy", "topics.tsv", "--closure", "as_given")
    assert "2 labels of the taxonomy have no document: science, arts" in given.out
    assert "20 documents have labels without all of their ancestors (20 labels)" in given.out


def test_check_as_json(run_data: Run, small_data: Path) -> None:
    write_jsonl(small_data / "test.jsonl", [document(3, ["science", "physics"]), {"text": "no labels"}])
    result = run_data("check", "small.jsonl", "--taxonomy", "topics.tsv", "--other", "test.jsonl", "--json")
    values = json.loads(result.out)
    assert result.code == 1  # a bad line of the other file counts, too
    assert values["counts"]["error"] == 1
    assert values["bad_lines"][0].startswith("test.jsonl:2: there is no field 'labels'")
    assert values["unknown_labels"] == {"small.jsonl": {}, "test.jsonl": {}}
    assert {finding["level"] for finding in values["findings"]} == {"error", "warning", "info"}
    assert any("also in test.jsonl" in finding["sentence"] for finding in values["findings"])


def test_check_without_any_label_is_an_error(run_data: Run, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "bare.jsonl", [document(i, []) for i in range(3)])
    result = run_data("check", "bare.jsonl")
    assert result.code == 1
    assert "No document of bare.jsonl has a label; check which field holds the labels." in result.out


def test_check_cannot_look_at_a_file_without_a_readable_line(run_data: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{\n[\n")
    result = run_data("check", "bad.jsonl")
    assert result.code == 2
    assert "bad.jsonl: 2 of 2 records cannot be read" in result.err
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv: the file is empty" in run_data("check", "empty.csv").err


def test_check_asks_for_a_possible_policy(run_data: Run, small_data: Path) -> None:
    result = run_data("check", "small.jsonl", "--on-bad-line", "stop")
    assert (result.code, result.err) == (2, "taxotext: --on-bad-line is 'stop'; choose error or skip.\n")


# -- tree ------------------------------------------------------------------------------------------------------


def test_tree_draws_labels_with_their_documents(run_data: Run, small_data: Path) -> None:
    result = run_data("tree", "topics.tsv", "--counts", "small.jsonl")
    assert result.code == 0
    assert result.out == "science  [10]\n└── physics  [10]\narts  [10]\n└── music  [10]\n"
    assert result.err.startswith("4 labels, 2 edges, 2 levels; 20 documents of small.jsonl")
    given = run_data("tree", "topics.tsv", "--counts", "small.jsonl", "--closure", "as_given")
    assert given.out.startswith("science  [9]\n└── physics  [10]\n")


def test_tree_without_counts_can_be_cut_and_named(run_data: Run, small_data: Path) -> None:
    (small_data / "names.tsv").write_text("science\tScience & nature\n")
    result = run_data("tree", "topics.tsv", "--names", "names.tsv", "--max-depth", "1")
    assert result.out == "science  Science & nature  (+1 below)\narts  (+1 below)\n"


def test_tree_can_show_only_used_labels_and_tells_of_unknown_ones(run_data: Run, small_data: Path) -> None:
    write_jsonl(small_data / "few.jsonl", [document(1, ["music"]), document(2, ["dance"])])
    result = run_data("tree", "topics.tsv", "--counts", "few.jsonl", "--used", "--closure", "as_given")
    assert result.out == "arts  [0]\n└── music  [1]\n"
    assert "1 label of few.jsonl not in the taxonomy, such as 'dance', not shown" in result.err


def test_tree_as_json_repeats_no_label_of_a_dag(run_data: Run, small_data: Path) -> None:
    write_jsonl(small_data / "low.jsonl", [document(1, ["music"])])
    (small_data / "dag.tsv").write_text(TAXONOMY + "music\tacoustics\nphysics\tacoustics\n")
    result = run_data("tree", "dag.tsv", "--counts", "small.jsonl", "--json")
    values = json.loads(result.out)
    assert values["depth"] == 3
    assert values["documents"] == 20
    used = json.loads(
        run_data("tree", "dag.tsv", "--counts", "low.jsonl", "--used", "--closure", "as_given", "--json").out
    )
    assert [label["id"] for label in used["labels"]] == ["arts", "music"]
    acoustics = values["labels"][-1]
    assert acoustics == {
        "id": "acoustics",
        "name": None,
        "parents": ["physics", "music"],
        "level": 3,
        "documents": 0,
    }
    cut = json.loads(run_data("tree", "dag.tsv", "--max-depth", "1", "--json").out)
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
    run_data: Run, small_data: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run_data("tree", *arguments)
    assert result.code == 2
    assert sentence in result.err


# -- all -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["stats", "check", "tree", "split", "convert", "convert-taxonomy"])
def test_every_verb_has_help_with_examples(run_data: Run, verb: str) -> None:
    result = run_data(verb, "--help")
    assert result.code == 0
    assert f"Examples: taxotext data {verb}" in " ".join(result.out.split())


def test_help_loads_no_numbers() -> None:
    code = (
        "import sys, taxotext.cli.data; sys.exit(bool({'numpy', 'torch', 'taxotext.data.corpus'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_commands_work_on_a_real_corpus(run_data: Run, real_data: Callable[[str], Path]) -> None:
    train, test = (str(real_data(f"chemical-exposure/{name}.jsonl.gz")) for name in ("train", "test"))
    taxonomy = str(real_data("chemical-exposure/hierarchy.tsv"))
    values = json.loads(run_data("stats", train, "--taxonomy", taxonomy, "--other", test, "--json").out)
    assert (values["documents"], values["labels"], values["depth"]) == (2563, 69, 5)
    assert run_data("check", train, "--taxonomy", taxonomy, "--other", test).code == 0
    assert run_data("tree", taxonomy, "--counts", train).out.startswith("Biomonitoring  [1,840]\n")
    assert run_data("split", train, "-o", "parts").code == 0
    assert run_data("convert", train, "train.csv").code == 0
    assert read_corpus("train.csv").fingerprint() == read_corpus(train).fingerprint()
