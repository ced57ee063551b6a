"""``taxotext predict``: one line a document, in order, and a sentence for what cannot be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from command import SAMPLE, Command, documents
from taxotext import load, read_corpus

ONE = '{"text": "my password is gone"}\n'


@pytest.fixture(autouse=True)
def one(command: Command) -> None:
    """``one.jsonl``: one text."""
    Path("one.jsonl").write_text(ONE, encoding="utf-8")


def test_each_document_gets_a_line_in_order_with_its_id(command: Command, sample_model: Path) -> None:
    lines = command("predict", sample_model, SAMPLE / "test.jsonl").ok().lines
    corpus = read_corpus(SAMPLE / "test.jsonl")
    assert [line["id"] for line in lines] == list(corpus.ids or ())
    model = load(sample_model)
    assert [set(line["labels"]) for line in lines] == [set(labels) for labels in model.predict(corpus.texts)]
    for line in lines:
        assert list(line) == ["id", "labels", "scores"]
        assert list(line["scores"]) == line["labels"]
        assert sorted(line["scores"].values(), reverse=True) == list(line["scores"].values())


def test_without_an_id_there_is_none(command: Command, sample_model: Path) -> None:
    assert list(command("predict", sample_model, "one.jsonl").ok().lines[0]) == ["labels", "scores"]


def test_stdin_gives_the_same_as_the_file(command: Command, sample_model: Path) -> None:
    content = (SAMPLE / "test.jsonl").read_bytes()
    from_file = command("predict", sample_model, SAMPLE / "test.jsonl").ok()
    assert command("predict", sample_model, "-", stdin=content).ok().out == from_file.out


def test_an_id_comes_back_as_it_was_given(command: Command, sample_model: Path) -> None:
    Path("ids.jsonl").write_text('{"id": 7, "text": "a"}\n{"id": "7", "text": "b"}\n', encoding="utf-8")
    assert [line["id"] for line in command("predict", sample_model, "ids.jsonl").ok().lines] == [7, "7"]


def test_every_row_of_one_column_is_answered(command: Command, sample_model: Path) -> None:
    Path("one.csv").write_text('text\nmy password is gone\n""\nno network\n', encoding="utf-8")
    outcome = command("predict", sample_model, "one.csv").ok()
    assert [line["labels"] == [] for line in outcome.lines] == [False, True, False]
    assert "1 of 3 documents has no text, the first is number 2; it gets no labels." in outcome.err


def test_csv_and_json_lines_give_the_same(command: Command, sample_model: Path) -> None:
    Path("one.csv").write_text("id,text\n7,my password is gone\n", encoding="utf-8")
    Path("one.jsonl").write_text('{"id": "7", "text": "my password is gone"}\n', encoding="utf-8")
    assert (
        command("predict", sample_model, "one.csv").ok().out == command("predict", sample_model, "one.jsonl").ok().out
    )


def test_top_k_answers_k_labels_and_all_when_there_are_fewer(command: Command, sample_model: Path) -> None:
    assert len(command("predict", sample_model, "one.jsonl", "--top-k=3").ok().lines[0]["labels"]) == 3
    assert len(command("predict", sample_model, "one.jsonl", "--top-k=1000").ok().lines[0]["labels"]) == 46


def test_a_threshold_answers_what_lies_above(command: Command, sample_model: Path) -> None:
    scores = command("predict", sample_model, "one.jsonl", "--all-scores").ok().lines[0]["scores"]
    assert len(scores) == 46
    answer = command("predict", sample_model, "one.jsonl", "--threshold=0.2").ok().lines[0]
    assert answer["scores"] == {label: score for label, score in scores.items() if score > 0.2}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--threshold=2"], "threshold: input should be less than 1 (got 2.0)"),
        (["--threshold=1.5"], "threshold: input should be less than 1 (got 1.5)"),
        (["--threshold=0"], "threshold: input should be greater than 0"),
        (["--threshold=-0.1"], "threshold: input should be greater than 0"),
        (["--threshold=nan"], "threshold: input should be a finite number"),
        (["--threshold=inf"], "threshold: input should be a finite number"),
        (["--threshold=half"], "invalid value for '--threshold'"),
        (["--top-k=0"], "invalid value for '--top-k'"),
        (["--top-k=-1"], "invalid value for '--top-k'"),
        (["--top-k=1.5"], "invalid value for '--top-k'"),
        (["--threshold=0.5", "--top-k=2"], "--threshold and --top-k are two ways to choose labels; give one of them"),
        (["--include=passwrd"], "The taxonomy has no label 'passwrd'. Did you mean 'password'?"),
        (["--exclude=passwrd"], "The taxonomy has no label 'passwrd'. Did you mean 'password'?"),
        (["--include=vpn", "--exclude=vpn"], "'vpn' is in include and in exclude: keep it in one of them"),
        (["--consistency=upwards"], "consistency: 'upwards' is not known; choose from 'none', 'up' or 'down'"),
        (["--text=title"], "there is no field 'title', only 'text'"),
        (["--text=text", "--text=text"], "the field 'text' is named twice as text"),
        (["--text="], "--text is ''; give the name of a field"),
        (["--device=gpu"], "runtime.device: 'gpu' is not a device; choose auto, cpu"),
        (["--precision=fp16"], "runtime.predict_precision: 'fp16' is not known; choose from 'float32' or 'bf16'"),
        (["--threads=0"], "invalid value for '--threads'"),
        (["--on-bad-line=ignore"], "--on-bad-line is 'ignore'; choose 'error' or 'skip'"),
        (["--treshold=0.5"], "there is no option '--treshold'. Did you mean '--threshold'?"),
        (["more.jsonl"], "more.jsonl"),
    ],
)
def test_impossible_options_are_answered_with_a_sentence(
    options: list[str], sentence: str, command: Command, sample_model: Path
) -> None:
    command("predict", sample_model, "one.jsonl", *options).refused(sentence)


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file holds only blank lines"),
        (b"hello\n", ":1: this is not valid JSON"),
        (b"\xff\xfea\x00", "the file is UTF-16"),
        (b"\x80\x81", "is not UTF-8"),
        (b'{"txt": "a"}\n', "there is no field 'text', only 'txt'"),
        (b'{"text": "a"}\n{"text": 3}\n', ":2: the field 'text' must be a string"),
    ],
)
def test_bad_input_on_stdin_is_answered_with_a_sentence(
    stdin: bytes, sentence: str, command: Command, sample_model: Path
) -> None:
    command("predict", sample_model, "-", stdin=stdin).refused(sentence)


def test_arguments_must_be_given(command: Command, sample_model: Path) -> None:
    command("predict").refused("taxotext predict: missing argument 'model'", "See `taxotext predict --help`")
    command("predict", sample_model).refused("missing argument 'inputs'")


def test_an_output_that_exists_is_not_replaced(command: Command, sample_model: Path) -> None:
    Path("out.jsonl").write_text("precious", encoding="utf-8")
    command("predict", sample_model, "one.jsonl", "--output=out.jsonl").refused(
        "out.jsonl: already exists. Choose another file, or replace it with --overwrite"
    )
    assert Path("out.jsonl").read_text() == "precious"
    command("predict", sample_model, "one.jsonl", "--output=out.jsonl", "--overwrite").ok()
    assert set(json.loads(Path("out.jsonl").read_text())) == {"labels", "scores"}


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("one.jsonl", "one.jsonl: is the input itself"),
        ("./one.jsonl", "is the input itself"),
        ("link.jsonl", "is the input itself"),
        ("{model}/weights.safetensors", "lies in the model folder"),
        ("{model}/out.jsonl", "lies in the model folder"),
        ("nowhere/out.jsonl", "the folder nowhere does not exist"),
        ("one.jsonl/out.jsonl", "one.jsonl"),
        ("folder", "folder: is a folder; name a file in it"),
        (".", ".: is a folder"),
        ("", ".: is a folder"),
        ("x" * 300, "cannot be written (File name too long)"),
    ],
)
def test_an_output_that_cannot_be_is_refused_also_with_overwrite(
    output: str, sentence: str, command: Command, model: Path
) -> None:
    Path("folder").mkdir()
    os.symlink("one.jsonl", "link.jsonl")
    before = sorted(os.listdir()), sorted(os.listdir(model))
    output = output.format(model=model)
    command("predict", model, "one.jsonl", f"--output={output}", "--overwrite").refused(sentence)
    assert Path("one.jsonl").read_text() == ONE
    assert (sorted(os.listdir()), sorted(os.listdir(model))) == before
    load(model)


def test_an_output_behind_a_link_is_written_there(command: Command, sample_model: Path) -> None:
    Path("behind.jsonl").write_text("old", encoding="utf-8")
    os.symlink("behind.jsonl", "link.jsonl")
    command("predict", sample_model, "one.jsonl", "--output=link.jsonl", "--overwrite").ok()
    assert Path("link.jsonl").is_symlink()
    assert Path("behind.jsonl").read_text().startswith('{"labels":')


def test_a_dash_as_output_is_stdout(command: Command, sample_model: Path) -> None:
    assert len(command("predict", sample_model, "one.jsonl", "--output=-").ok().lines) == 1
    assert not Path("-").exists()


def test_names_are_given_where_the_taxonomy_has_them(command: Command) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("names.tsv").write_text("fruit\tFresh fruit\n", encoding="utf-8")
    command("train", "--model=linear", "--train=train.jsonl", "--names=names.tsv", "--output=m").ok()
    Path("one.jsonl").write_text('{"text": "plum"}\n', encoding="utf-8")
    assert command("predict", "m", "one.jsonl").ok().lines[0]["names"] == ["Fresh fruit"]


def test_skipped_lines_are_counted_and_every_answer_has_the_number_of_its_record(
    command: Command, sample_model: Path
) -> None:
    given = ONE.encode() + b"oops\n\n" + ONE.encode()
    outcome = command("predict", sample_model, "-", "--on-bad-line=skip", stdin=given)
    assert [line["row"] for line in outcome.ok().lines] == [1, 3]
    assert "skipped 1 of 3 records; the first one: " in outcome.err
    assert "-: 1 blank line was left out." in outcome.err
    tree = command("predict", sample_model, "-", "--on-bad-line=skip", "--tree", stdin=given).ok().out
    assert [line.partition(":")[0] for line in tree.splitlines() if "“" in line] == ["1", "3"]
    whole = command("predict", sample_model, "-", stdin=ONE.encode()).ok()
    assert "row" not in whole.lines[0]


BLANKS = {
    "in.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in ("", "no network", " \t\n", "no network", None)),
    "in.csv": 'text,x\n,1\nno network,2\n"  ",3\nno network,4\n"",5\n',
    "in.tsv": "text\tx\n\t1\nno network\t2\n \t3\nno network\t4\n\t5\n",
    "one-column.csv": 'text\n""\nno network\n" "\nno network\n""\n',
}


@pytest.mark.parametrize(
    "options", [[], ["--all-scores"], ["--top-k=2"], ["--threshold=0.001"], ["--on-bad-line=skip"]]
)
@pytest.mark.parametrize("name", BLANKS)
def test_an_empty_text_has_its_line_and_no_labels(
    command: Command, sample_model: Path, name: str, options: list[str]
) -> None:
    Path(name).write_text(BLANKS[name], encoding="utf-8")
    outcome = command("predict", sample_model, name, *options).ok()
    assert len(outcome.lines) == 5
    for number, line in enumerate(outcome.lines):
        if number % 2:
            assert line["scores"] != {}
            assert "note" not in line
        else:
            assert (line["labels"], line["scores"], line["note"]) == ([], {}, "the text is empty")
    assert "3 of 5 documents have no text, the first is number 1; they get no labels" in outcome.err


def test_an_empty_text_has_its_place_among_trees(command: Command, sample_model: Path) -> None:
    Path("in.jsonl").write_text(BLANKS["in.jsonl"], encoding="utf-8")
    shown = command("predict", sample_model, "in.jsonl", "--tree").ok().out
    heads = [line for line in shown.splitlines() if line.startswith(("“", "(the"))]
    assert [head == "(the text is empty)" for head in heads] == [True, False, True, False, True]


def test_a_file_of_empty_texts_is_answered(command: Command, sample_model: Path) -> None:
    outcome = command("predict", sample_model, "-", stdin=b'{"text": "", "id": 1}\n{"text": " ", "id": 2}\n').ok()
    assert [(line["id"], line["labels"]) for line in outcome.lines] == [(1, []), (2, [])]


def test_text_and_id_may_have_other_names_than_in_training(command: Command) -> None:
    rows = [json.loads(line) for line in documents().splitlines()]
    train = [{"body": row["text"], "topics": row["labels"], "ticket": number} for number, row in enumerate(rows)]
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in train), encoding="utf-8")
    fields = ["data.text=body", "data.labels=topics", "data.id=ticket"]
    command("train", "--model=linear", "--train=train.jsonl", "--output=m", *fields).ok()
    Path("new.jsonl").write_text('{"body": "plum"}\n', encoding="utf-8")
    outcome = command("predict", "m", "new.jsonl").ok()
    assert "id" not in outcome.lines[0]
    assert "new.jsonl: has no field 'ticket', which is the id in the training file" in outcome.err
    Path("new.jsonl").write_text('{"t": "plum", "ticket": 3, "n": "a"}\n', encoding="utf-8")
    assert command("predict", "m", "new.jsonl", "--text=t").ok().lines[0]["id"] == 3
    assert command("predict", "m", "new.jsonl", "--text=t", "--id=n").ok().lines[0]["id"] == "a"
    command("predict", "m", "new.jsonl", "--text=t", "--id=missing").refused("no field 'missing'")


def taxotext(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "taxotext", *map(str, arguments)]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SAMPLE.parents[1])}


def test_a_reader_that_stops_early_gets_no_traceback(sample_model: Path, tmp_path: Path) -> None:
    (tmp_path / "many.jsonl").write_text(ONE * 30_000, encoding="utf-8")
    process = subprocess.Popen(
        taxotext("predict", sample_model, tmp_path / "many.jsonl", "--all-scores"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert error == b""


def test_a_full_stdout_is_answered_with_a_sentence(sample_model: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").is_char_device():
        pytest.skip("there is no /dev/full")
    (tmp_path / "one.jsonl").write_text(ONE, encoding="utf-8")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            taxotext("predict", sample_model, tmp_path / "one.jsonl"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_stdin_is_read_by_a_process(sample_model: Path) -> None:
    done = subprocess.run(
        taxotext("predict", sample_model, "-"), input=ONE, capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 0
    assert set(json.loads(done.stdout)) == {"labels", "scores"}


def test_equal_scores_are_listed_from_the_top(command: Command, sample_model: Path) -> None:
    arguments = ("predict", sample_model, "-", "--top-k=40", "--consistency=up")
    line = json.loads(command(*arguments, stdin=b'{"text": "The printer is on fire"}\n').ok().out)
    levels = load(sample_model).taxonomy
    places = [(-line["scores"][label], int(levels.levels[levels.index(label)])) for label in line["labels"]]
    assert len({place[0] for place in places}) < len(places)  # there are ties
    assert [round(-score, 5) for score, _ in places] == sorted((round(-s, 5) for s, _ in places), reverse=True)
    for (score, level), (after, below) in pairwise(places):
        if score == after:
            assert level <= below


def test_a_threshold_replaces_the_top_k_of_the_model(command: Command, model: Path) -> None:
    decoding = json.loads((model / "decoding.json").read_text())
    (model / "decoding.json").write_text(json.dumps({**decoding, "top_k": 1, "threshold": None}))
    few = json.loads(command("predict", model, "-", stdin=b'{"text": "vpn"}\n').ok().out)
    assert len(few["labels"]) == 1
    line = json.loads(command("predict", model, "-", "--threshold=0.0001", stdin=b'{"text": "vpn"}\n').ok().out)
    assert len(line["labels"]) > 1
