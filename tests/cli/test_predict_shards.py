"""``taxotext predict --shards``: the same bytes as one process, and nothing twice after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import taxotext
from command import SAMPLE, Command
from hierarchies import wait_for
from interrupted import cut_at
from taxotext.api import shards
from taxotext.work import Workers
from taxotext.work.local import InProcess
from taxotext.work.requests import Outcome, Request

COUNT = 5000
"""Documents of two files together: three blocks of 2,048."""


class Counting(InProcess):
    """This process, with a list of the shards that it was asked for."""

    asked: list[str]

    def submit(self, key: str, request: Request) -> None:
        self.asked.append(key)
        super().submit(key, request)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Shards that were computed; here, not in other processes."""
    found: list[str] = []
    monkeypatch.setattr(Counting, "asked", found, raising=False)
    monkeypatch.setattr(Workers, "start", lambda *_, **__: Counting())
    return found


@pytest.fixture
def inputs(command: Command) -> list[Path]:
    """Two files in two formats; some documents without a text, and one shard of long ones."""
    texts = [json.loads(line)["text"] for line in (SAMPLE / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [{"id": number, "text": texts[number % len(texts)]} for number in range(COUNT)]
    rows[0]["text"] = rows[4000]["text"] = " "
    for row in rows[:2048]:
        row["text"] = str(row["text"]) * 2
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:3000]), encoding="utf-8")
    lines = "".join(f'{row["id"]},"{str(row["text"]).replace(chr(34), chr(34) * 2)}"\n' for row in rows[3000:])
    Path("b.csv").write_text("id,text\n" + lines, encoding="utf-8")
    return [Path("a.jsonl"), Path("b.csv")]


def joined(folder: str) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(Path(folder).glob("shard-*.jsonl")))


def test_shards_joined_are_what_one_process_writes_and_complete_ones_are_kept(
    command: Command, sample_model: Path, inputs: list[Path], asked: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    command("predict", sample_model, *inputs, "--output", "one.jsonl").ok()
    said = caplog.messages[:]
    assert len(Path("one.jsonl").read_bytes().splitlines()) == COUNT
    outcome = command("predict", sample_model, *inputs, "--output", "out", "--shards", 2).ok()
    assert joined("out") == Path("one.jsonl").read_bytes()
    assert asked == ["0001", "0002"]
    assert "2 of 5,000 documents have no text, the first is number 1" in said[0]
    assert caplog.messages[len(said)] == said[0]  # the same warning, once
    assert "`cat out/shard-*.jsonl` joins them" in outcome.err
    assert not Path("out/work").exists()
    # All is there: nothing is read or computed.
    again = command("predict", sample_model, *inputs, "--output", "out", "--shards", 2, "--resume").ok()
    assert "out is finished already; nothing to do." in again.err
    assert asked == ["0001", "0002"]
    # One is missing, then one was changed: those alone are computed.
    for spoil in (Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1] + b" ")):
        spoil(Path("out/shard-0002.jsonl"))
        asked.clear()
        again = command("predict", sample_model, *inputs, "--output", "out", "--shards", 2, "--resume").ok()
        assert asked == ["0002"]
        assert "shard-0002.jsonl: is not the file that was written; it is predicted again." in again.err
        assert joined("out") == Path("one.jsonl").read_bytes()


def test_more_shards_than_blocks_of_documents_are_not_made(
    command: Command, sample_model: Path, inputs: list[Path], asked: list[str]
) -> None:
    outcome = command(
        "predict", sample_model, *inputs, "-o", "out", "--shards", 9, "--all-scores", "--on-bad-line", "skip"
    ).ok()
    assert asked == ["0001", "0002", "0003"]
    assert "5,000 documents make 3 shards: 2,048 of them are scored together, as in one process." in outcome.err
    lines = [json.loads(line) for line in joined("out").splitlines()]
    assert [line["row"] for line in lines] == list(range(1, COUNT + 1))  # counted over both files
    one = command("predict", sample_model, *inputs, "--all-scores", "--on-bad-line", "skip").ok()
    assert one.out.encode() == joined("out")


def test_another_model_input_or_option_is_refused(
    command: Command, sample_model: Path, inputs: list[Path], asked: list[str], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(sample_model, model)
    run = ("predict", model, "a.jsonl", "--output", "out", "--shards", 2)
    command(*run).ok()
    command(*run).refused("out: holds shards already", "--resume", "--overwrite")
    command(*run, "--resume", "--top-k", 2).refused("its shards were computed from something else", "label_thresholds")
    command(*run[:-1], 3, "--resume").refused("shards: 2 then, 3 now")
    command("evaluate", model, SAMPLE / "test.jsonl").ok()  # metrics and card change, predictions do not
    command(*run, "--resume").ok()
    with Path("a.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "one more"}\n')
    command(*run, "--resume").refused("inputs")
    before = joined("out")
    command("tune", model, "--metric", "macro_f1").ok()
    command(*run, "--resume").refused("model: '")
    asked.clear()
    command(*run, "--overwrite").ok()
    assert asked == ["0001", "0002"]
    assert joined("out") != before


def test_a_model_that_changes_meanwhile_ends_the_prediction(
    command: Command, sample_model: Path, inputs: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tmp_path / "changing"
    shutil.copytree(sample_model, model)

    class Late(InProcess):
        def wait(self, seconds: float | None = None) -> list[Outcome]:
            content = json.loads((model / "decoding.json").read_text(encoding="utf-8"))
            (model / "decoding.json").write_text(json.dumps({**content, "threshold": 0.9}), encoding="utf-8")
            return super().wait(seconds)

    monkeypatch.setattr(Workers, "start", lambda *_, **__: Late())
    command("predict", model, "a.jsonl", "-o", "out", "--shards", 2).refused("has changed since the prediction began")
    assert joined("out") == b""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("a.jsonl", "--shards", 2), "Name a folder with --output DIR"),
        (("a.jsonl", "-o", "x", "--shards", 2, "--tree"), "--tree is for people"),
        (("-", "-o", "x", "--shards", 2), "write stdin to a file"),
        (("a.jsonl", "-"), "- (stdin) is one of several inputs"),
        (("a.jsonl", "--resume"), "--resume goes with --shards N"),
        (("a.jsonl", "--jobs", 2), "--jobs goes with --shards N"),
        (("a.jsonl", "-o", "x", "--shards", 2, "--executor", "rya"), "--executor is 'rya'; choose processes or ray"),
        (("a.jsonl", "-o", "x", "--shards", 2, "--address", "h:1"), "give --executor ray as well"),
        (("missing.jsonl", "-o", "x", "--shards", 2), "missing.jsonl"),
        (("a.jsonl", "-o", "full", "--shards", 2), "full: is not empty and holds no shards"),
        (("a.jsonl", "-o", "a.jsonl", "--shards", 2), "a.jsonl: is a file"),
        (("a.jsonl", "-o", ".", "--shards", 2), "lies in the output folder"),
        (("a.jsonl", "-o", "x", "--shards", 2, "--include", "nothing"), "nothing"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(
    command: Command, sample_model: Path, options: tuple[object, ...], sentence: str
) -> None:
    Path("a.jsonl").write_text('{"text": "my password is gone"}\n', encoding="utf-8")
    Path("full").mkdir()
    Path("full/mine.txt").write_text("kept", encoding="utf-8")
    command("predict", sample_model, *options).refused(sentence)
    assert not Path("x/shards.json").exists()
    assert Path("full/mine.txt").read_text(encoding="utf-8") == "kept"


def test_bad_lines_are_told_before_anything_is_predicted(
    command: Command, sample_model: Path, asked: list[str]
) -> None:
    Path("bad.jsonl").write_text('{"text": "my password is gone"}\n{"text": 7}\n', encoding="utf-8")
    command("predict", sample_model, "bad.jsonl", "-o", "out", "--shards", 2).refused("bad.jsonl:2")
    assert asked == []
    assert not Path("out").exists()  # a corrected file needs no other command
    Path("bad.jsonl").write_text('{"text": "my password is gone"}\n{"text": "seven"}\n', encoding="utf-8")
    command("predict", sample_model, "bad.jsonl", "-o", "out", "--shards", 2).ok()
    assert len(joined("out").splitlines()) == 2


@pytest.mark.parametrize("again", [(), ("--resume",), ("--overwrite",)])
def test_a_kill_right_at_the_start_is_in_nobodys_way(
    command: Command, sample_model: Path, asked: list[str], again: tuple[str, ...]
) -> None:
    call = ("predict", sample_model, SAMPLE / "test.jsonl", "-o", "out", "--shards", 2)
    with cut_at(shards, "write_text_atomically", 1):
        command(*call)
    Path("out/.shards.json.host.1.0a.tmp").write_text("half", encoding="utf-8")
    command(*call, *again).ok()
    assert len(joined("out").splitlines()) == len((SAMPLE / "test.jsonl").read_bytes().splitlines())


def test_a_kill_while_old_shards_are_removed_leaves_a_folder_that_is_overwritten(
    command: Command, sample_model: Path, asked: list[str]
) -> None:
    call = ("predict", sample_model, SAMPLE / "test.jsonl", "-o", "out", "--shards", 2)
    command(*call).ok()
    whole = joined("out")
    with cut_at(shutil, "rmtree", when=lambda path, **_: Path(path).name == "done", after=True):
        command(*call, "--overwrite")
    command(*call).refused("out: holds shards already", "--overwrite")
    command(*call, "--overwrite").ok()
    assert joined("out") == whole


def test_who_comes_second_does_not_take_the_shards_of_the_first_for_its_own(
    command: Command, sample_model: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("predict", sample_model, SAMPLE / "test.jsonl", "-o", "out", "--shards", 2)
    own = shards.load

    def slow(*given: object, **settings: object) -> object:
        """Reads the model, while another process begins and ends."""
        monkeypatch.setattr(shards, "load", own)
        command(*call, "--top-k", 1).ok()
        return own(*given, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "load", slow)
    command(*call).refused("out: holds shards already")


@pytest.fixture
def killed(command: Command, sample_model: Path, inputs: list[Path]) -> list[str]:
    """The arguments of a prediction that was killed with its workers when its first shard was there."""
    arguments = ["predict", str(sample_model), *map(str, inputs), "-o", "out", "--shards", "3", "--jobs", "1"]
    source = str(Path(taxotext.__file__).parents[1])
    program = [sys.executable, "-m", "taxotext", *arguments]
    with subprocess.Popen(program, env={**os.environ, "PYTHONPATH": source}) as process:
        assert wait_for(lambda: Path("out/done/0001.json").exists() or process.poll() is not None, 900)
        process.send_signal(signal.SIGKILL)
    return arguments


def test_kill_9_loses_only_the_shards_at_work(
    command: Command, sample_model: Path, inputs: list[Path], killed: list[str]
) -> None:
    first = Path("out/shard-0001.jsonl").stat()
    time.sleep(0.1)
    command(*killed, "--resume").ok()
    now = Path("out/shard-0001.jsonl").stat()
    assert (now.st_ino, now.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)  # not written again
    command("predict", sample_model, *inputs, "-o", "one.jsonl").ok()
    assert joined("out") == Path("one.jsonl").read_bytes()
    assert not list(Path("out").glob(".shard-*"))  # nothing half written is left


@pytest.mark.parametrize(
    "change",
    [{"blank": [1]}, {"counts": []}, {"counts": [10**9]}, {"starts": [5]}, {"starts": ["x"]}, {"documents": -1}, None],
)
def test_how_the_documents_were_cut_is_not_believed(
    change: dict[str, object] | None, command: Command, sample_model: Path, asked: list[str]
) -> None:
    call = ("predict", sample_model, SAMPLE / "test.jsonl", "--output", "out", "--shards", 2)
    command(*call).ok()
    expected = joined("out")
    cut = Path("out/cut.json")
    content = json.loads(cut.read_text(encoding="utf-8"))
    cut.write_text("{" if change is None else json.dumps({**content, **change}), encoding="utf-8")
    command(*call, "--resume").ok()
    assert asked == ["0001"], "the shard is as it was written"
    Path("out/shard-0001.jsonl").write_text("damaged", encoding="utf-8")
    cut.write_text("{", encoding="utf-8")
    command(*call, "--resume").ok()
    assert joined("out") == expected
    assert asked == ["0001", "0001"]
