"""Every number that a user can give has an upper limit, in settings and on the command line."""

from __future__ import annotations

import gzip
import json
import os
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import ValidationError

from command import Command, documents
from taxotext.cli.app import app
from taxotext.composition import parts
from taxotext.composition.base import CELLS_TOGETHER, rows_together
from taxotext.data import Columns, read_documents
from taxotext.data.readers import PAUSE
from taxotext.data.sources import LiveStream
from taxotext.errors import ConfigError, DataError, TaxonomyError
from taxotext.labels import Taxonomy, read_taxonomy, tree_lines
from taxotext.models.registry import entries, find
from taxotext.settings import Settings, _members, parse_settings, read_yaml

HUGE = 10**14


def settings_classes() -> list[type[Settings]]:
    """All settings of the package, those of parts that are not chosen by default included."""
    for name in entries():
        find(name)
    parts.members("encoder")
    found, waiting = [], [Settings]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("taxotext."):
            found.append(kind)
    return sorted(set(found), key=lambda kind: kind.__qualname__)


def test_every_number_of_every_configuration_has_an_upper_limit() -> None:
    checked = 0
    for kind in settings_classes():
        for name, field in kind.model_fields.items():
            members = set(_members(field.annotation))
            if not members & {int, float}:
                continue
            with pytest.raises(ValidationError) as caught:
                kind.model_validate({name: HUGE})
            messages = [str(one["msg"]) for one in caught.value.errors() if one["loc"][:1] == (name,)]
            assert any("less than" in message or "at most" in message for message in messages), (kind, name, messages)
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("value", [HUGE, -HUGE, 1e300, [HUGE], {"a": HUGE}])
def test_numbers_without_a_limit_of_their_own_have_one(value: Any) -> None:
    class Example(Settings):
        number: float | list[int] | dict[str, int] = 1.0

    with pytest.raises(ConfigError, match=r"number: input should be at most 1(000000|e\+09)"):
        parse_settings(Example, {"number": value})


def test_every_whole_number_on_the_command_line_has_an_upper_limit() -> None:
    waiting, seen = [typer.main.get_command(app)], 0
    while waiting:
        command: Any = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        for parameter in command.params:
            if parameter.type_descriptor.annotation in {int, int | None}:
                seen += 1
                assert parameter.max is not None, (command.name, parameter.name)
    assert seen > 20


def test_blocks_are_sized_by_their_cells() -> None:
    assert rows_together(2048, 50) == 2048
    assert rows_together(2048, 100_000) * 100_000 <= CELLS_TOGETHER
    assert rows_together(2048, 10 * CELLS_TOGETHER) == 1


# -- bombs -----------------------------------------------------------------------------------------------------------

AGAIN = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
MERGED = "".join(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"a0: &a0 [x, x]\n{AGAIN}", "aliases .* stand for more than 1,000,000 values"),
        (f"a0: &a0 {{x: 1}}\n{MERGED}", "aliases .* stand for more than 1,000,000 values"),
        ("a: " + "[" * 100_000, "is nested too deeply"),
        ("{a: " * 100_000, "is nested too deeply"),
    ],
)
def test_bombs_of_yaml_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        read_yaml(tmp_path / "x.yaml")
    if "[[" in text:
        with pytest.raises(TaxonomyError, match="more than 5,000 brackets are open"):
            read_taxonomy(tmp_path / "x.yaml")


def test_aliases_of_ordinary_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n  y: 2\n")
    assert read_yaml(tmp_path / "x.yaml") == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


def test_a_line_beyond_the_limit_is_named_and_the_limit_can_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps({"text": "a" * (3 * 2**20), "labels": ["x"]}) + "\n")
    assert len(list(read_documents(path, Columns()))) == 1
    monkeypatch.setenv("TAXOTEXT_LONGEST_LINE", "2")
    with pytest.raises(DataError, match=r"x.jsonl.gz:1: the line is longer than 2 MiB; .*TAXOTEXT_LONGEST_LINE"):
        list(read_documents(path, Columns()))


def test_packed_files_that_are_read_whole_unpack_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXOTEXT_LONGEST_LINE", "1")
    for name in ("x.json.gz", "x.tsv.gz"):
        with gzip.open(tmp_path / name, "wb") as file:
            file.write(b" " * 2**25)
    with pytest.raises(DataError, match="longer than 1 MiB"):
        list(read_documents(tmp_path / "x.json.gz", Columns()))
    with pytest.raises(TaxonomyError, match="what it unpacks to is longer than 1 MiB"):
        read_taxonomy(tmp_path / "x.tsv.gz")


def test_a_json_list_in_one_line_may_be_longer_than_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXOTEXT_LONGEST_LINE", "1")
    (tmp_path / "x.json").write_text(json.dumps([{"text": "a" * 2**20, "labels": ["x"]}] * 3))
    assert len(list(read_documents(tmp_path / "x.json", Columns()))) == 3


# -- large taxonomies ------------------------------------------------------------------------------------------------


def test_a_long_cycle_is_a_short_sentence(tmp_path: Path) -> None:
    count = 20_000
    lines = ["Root\tx\n", *(f"l{at}\tl{(at + 1) % count}\n" for at in range(count))]
    (tmp_path / "x.tsv").write_text("".join(lines))
    with pytest.raises(TaxonomyError) as caught:
        read_taxonomy(tmp_path / "x.tsv")
    (problem,) = caught.value.problems
    assert len(problem) < 1000
    assert "'l0' -> 'l1' -> 'l2' -> 'l3' -> ... 19,992 more ... -> 'l19997'" in problem


def test_many_cycles_end_with_the_first_twenty(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("".join(f"l{a}\tl{b}\n" for a in range(60) for b in range(60) if a != b))
    with pytest.raises(TaxonomyError) as caught:
        read_taxonomy(tmp_path / "x.tsv")
    assert sum("form a cycle" in problem for problem in caught.value.problems) == 20


def test_the_tree_of_a_long_chain_is_indented_up_to_a_level() -> None:
    chain = [str(at) for at in range(3000)]
    taxonomy = Taxonomy.from_edges([(None, "0"), *pairwise(chain)])
    lines = list(tree_lines(taxonomy))
    assert len(lines) == 3000
    assert max(map(len, lines)) < 500
    assert lines[99].endswith("└── 99")
    assert lines[2999].endswith("(level 3000) 2999")


# -- pipes -----------------------------------------------------------------------------------------------------------


def test_a_pipe_keeps_its_start(command: Command, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(documents(), encoding="utf-8")
    command("train", "--model=linear", "--train=train.jsonl", "--output=model").ok()
    for name in ("pipe.jsonl", "pipe.json"):  # of .json the first line decides, where it can be seen
        os.mkfifo(name)
        content = documents() if name == "pipe.jsonl" else json.dumps([{"text": "apple"}, {"text": "wheel"}])
        writer = threading.Thread(target=Path(name).write_text, args=(content,))
        writer.start()
        expected = 8 if name == "pipe.jsonl" else 2
        assert len(command("predict", "model", name).ok().lines) == expected
        writer.join()


def test_a_live_stream_says_where_its_writer_pauses() -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"text": "a"}\n{"text": "b"}\n{"te')
    with os.fdopen(reading, "rb", buffering=0) as raw:
        found: Any = read_documents(LiveStream(raw, 0.01), Columns(), format="jsonl", labelled=False)
        assert [next(found).text for _ in range(2)] == ["a", "b"]
        assert next(found) is PAUSE
        os.write(writing, b'xt": "c"}\n\n')
        assert next(found).text == "c"
        assert next(found) is PAUSE
        os.write(writing, b'{"text": "d"}')
        os.close(writing)
        assert [document.text for document in found] == ["d"]


def test_lines_of_a_live_stream_are_numbered_and_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXOTEXT_LONGEST_LINE", "1")
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(writing, b'{"text": "a"}\n'), _fill(writing)))
    writer.start()
    with os.fdopen(reading, "rb", buffering=0) as raw:
        documents_of = read_documents(LiveStream(raw, 0.01), Columns(), format="jsonl", labelled=False)
        with pytest.raises(DataError, match=r"stdin:2: the line is longer than 1 MiB"):
            list(documents_of)
    writer.join()


def _fill(writing: int) -> None:
    try:
        for _ in range(64):
            os.write(writing, b"x" * 2**16)
    except BrokenPipeError:
        pass
    os.close(writing)
