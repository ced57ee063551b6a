"""Malformed taxonomies and name files through the command line: every problem with its line, exit code 2."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from command import Command, documents
from taxotext import Taxonomy, TaxotextError, read_taxonomy

SOUND = "Root\tfruit\nRoot\tcars\n"

# what is wrong: (file name, content, fragments of the sentence)
WRONG: dict[str, tuple[str, bytes | str | None, tuple[str, ...]]] = {
    "missing": ("t.tsv", None, ("data.taxonomy: t.tsv: no such file",)),
    "a folder": ("folder", None, ("data.taxonomy: folder: this is a folder",)),
    "empty": ("t.tsv", "", ("t.tsv is empty; a taxonomy needs at least one label",)),
    "blank": ("t.tsv", "\n \n", ("t.tsv is empty",)),
    "no TAB": ("t.tsv", "Root fruit\n", ("t.tsv has no TAB in it", "separate the columns with a TAB")),
    "three columns": ("t.tsv", "Root\tfruit\tcars\n", ("t.tsv:1: 3 columns", "write parent<TAB>child")),
    "one column": ("t.tsv", SOUND + "cars\n", ("t.tsv:3: 1 column in 'cars'",)),
    "own parent": ("t.tsv", SOUND + "cars\tcars\n", ("t.tsv:3: 'cars' is its own parent; remove the edge",)),
    "cycle": (
        "t.tsv",
        SOUND + "cars\ta\na\tb\nb\ta\n",
        ("the labels form a cycle: 'a' -> 'b' -> 'a'", "t.tsv:4", "t.tsv:5", "remove one of these edges"),
    ),
    "undeclared parent": ("t.tsv", SOUND + "tools\thammer\n", ("'tools' is used as a parent but is never declared",)),
    "Root as a child": ("t.tsv", SOUND + "cars\tRoot\n", ("t.tsv:3: 'Root' is the artificial root",)),
    "an edge twice": ("t.tsv", SOUND + "cars\ta\ncars\ta\n", ("t.tsv:4: the edge 'cars' -> 'a' is a duplicate",)),
    "top level twice": ("t.tsv", SOUND + "Root\tcars\n", ("t.tsv:3: 'cars' is put at the top level again",)),
    "white space": ("t.tsv", SOUND + "Root\t a\n", ("t.tsv:3: the label ' a' begins or ends with white space",)),
    "empty label": ("t.tsv", SOUND + "Root\t\n", ("t.tsv:3: a label is empty",)),
    "Latin-1": ("t.tsv", b"Root\tcaf\xe9\n", ("t.tsv:1: byte 0xe9", "save the file in the encoding UTF-8")),
    "UTF-16": ("t.tsv", SOUND.encode("utf-16"), ("t.tsv",)),
    "no gzip": ("t.tsv.gz", SOUND, ("t.tsv.gz is not a sound gzip file",)),
    "cut gzip": ("t.tsv.gz", gzip.compress(SOUND.encode())[:-4], ("t.tsv.gz is not a sound gzip file",)),
    "cut JSON": ("t.json", '{"fruit": {', ("t.json:1: not JSON",)),
    "JSON number": ("t.json", "3", ("t.json at $: expected",)),
    "JSON without labels": ("t.json", "{}", ("t.json holds no labels",)),
    "JSON key twice": ("t.json", '{"a": null, "a": null}', ("t.json",)),
    "unknown key": ("t.json", '[{"id": "a", "childs": []}]', ("unknown key 'childs'", "Did you mean 'children'?")),
    "no id": ("t.json", '[{"name": "a"}]', ("an object without 'id'",)),
    "id is a number": ("t.json", '[{"id": 3}]', ("t.json",)),
    "deep JSON": ("t.json", "[" * 100_000, ("nested too deeply",)),
    "cut YAML": ("t.yaml", "a: [", ("not YAML",)),
    "YAML alias": ("t.yaml", "a: &x [b]\nc: *x\n", ("the alias *x is not supported",)),
    "YAML number": ("t.yaml", "- 3\n", ("put text that looks like one in quotes",)),
    "YAML documents": ("t.yaml", "- a\n---\n- b\n", ("a second YAML document begins",)),
    "deep YAML": ("t.yaml", "[" * 20_000, ("t.yaml",)),
    "path with a hole": ("t.paths", "a//b\n", ("t.paths:1: the path 'a//b' has an empty segment",)),
    "path twice": ("t.paths", "a/b\na/b\n", ("t.paths:2: the path 'a/b' is a duplicate",)),
    "labels that the data lack": ("t.tsv", "Root\tother\n", ("2 labels are not in the taxonomy of 1 label;",)),
    "a label misspelt": ("t.tsv", "Root\tfruit\nRoot\tcar\n", ("'cars' (in 4 documents). Did you mean 'car'?",)),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_malformed_taxonomy_is_answered_with_a_sentence(
    wrong: tuple[str, bytes | str | None, tuple[str, ...]], command: Command
) -> None:
    name, content, fragments = wrong
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("folder").mkdir()
    if content is not None:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    command("train", "--model=linear", "--train=train.jsonl", f"--taxonomy={name}", "--output=m").refused(*fragments)
    assert not Path("m").exists()
    assert not Path("m.run").exists()


def test_all_problems_of_a_taxonomy_are_listed(command: Command) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("t.tsv").write_text("Root\tfruit\nx\ty\nfruit\tfruit\na\tb\tc\nRoot\t\n", encoding="utf-8")
    outcome = command("train", "--model=linear", "--train=train.jsonl", "--taxonomy=t.tsv", "--output=m")
    outcome.refused("The taxonomy t.tsv has 4 problems:", "t.tsv:2:", "t.tsv:3:", "t.tsv:4:", "t.tsv:5:")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "data.names: names.tsv: no such file"),
        ("fruit\n", "names.tsv:1: 1 column in 'fruit'; write id<TAB>name"),
        ("fruit\tFruit\nfruit\tFrüchte\n", "names.tsv:2: the id 'fruit' is named twice (first at names.tsv:1)"),
        ("plants\tPlants\n", "'plants' has the name 'Plants' but is not a label of the taxonomy"),
        (b"fruit\t\xff\n", "names.tsv:1: byte 0xff"),
        ("", "names.tsv is empty"),
    ],
)
def test_a_malformed_file_of_names_is_answered_with_a_sentence(
    content: bytes | str | None, sentence: str, command: Command
) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("t.tsv").write_text(SOUND, encoding="utf-8")
    if content is not None:
        Path("names.tsv").write_bytes(content if isinstance(content, bytes) else content.encode())
    given = ("--train=train.jsonl", "--taxonomy=t.tsv", "--names=names.tsv")
    command("train", "--model=linear", *given, "--output=m").refused(sentence)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("data.taxonomy_format=edge", "data.taxonomy_format: 'edge' is not known; choose from 'edges'"),
        ("data.path_separator=''", "data.path_separator: string should have at least 1 character"),
        ("data.closure=up", "data.closure: 'up' is not known; choose from 'ancestors', 'as_given' or 'leaves'"),
        ("data.taxonomy_format=nested", "not JSON"),
    ],
)
def test_settings_of_the_taxonomy_are_checked(setting: str, sentence: str, command: Command) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("t.tsv").write_text(SOUND, encoding="utf-8")
    given = ("--train=train.jsonl", "--taxonomy=t.tsv", setting)
    command("train", "--model=linear", *given, "--output=m").refused(sentence)


def test_a_taxonomy_saved_with_a_model_is_a_taxonomy(command: Command, sample_model: Path) -> None:
    command("data", "tree", sample_model / "taxonomy.json").ok()


FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = st.lists(
    st.sampled_from(
        ["Root", "a", "b", "\t", "\n", "/", "{", "}", "[", "]", '"', ":", ",", "- ", "id", "&a", "*a", "\0"]
    ),
    max_size=25,
).map("".join)


@pytest.mark.parametrize("suffix", ["tsv", "paths", "json", "yaml", "txt", "tsv.gz"])
@FUZZ
@given(content=PIECES.map(str.encode) | st.binary(max_size=30))
def test_any_bytes_are_a_taxonomy_or_a_sentence(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"taxonomy.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") and len(content) % 2 else content)
    try:
        taxonomy = read_taxonomy(path)
    except TaxotextError as error:
        assert path.name in str(error)
        return
    assert Taxonomy.from_dict(json.loads(json.dumps(taxonomy.to_dict()))) == taxonomy
