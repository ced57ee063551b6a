"""Malformed configurations through the command line: all problems at once, each with its key, exit code 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from command import Command, documents
from taxotext import Classifier, TaxotextError
from taxotext.api.runs import keys_of_texts, parse_run
from taxotext.errors import ConfigError
from taxotext.settings import read_yaml, set_key

# what is wrong: (content of the file, fragments of the sentence)
FILES: dict[str, tuple[bytes | str, tuple[str, ...]]] = {
    "no YAML": ("model: linear\n  seed: [", ("c.yaml:2: is not valid YAML (mapping values are not allowed here)",)),
    "open quote": ("model: 'linear\n", ("c.yaml:2: is not valid YAML",)),
    "TAB": ("a\tb: c\n\t- x", ("c.yaml:1: is not valid YAML",)),
    "two documents": ("seed: 1\n---\nseed: 2\n", ("c.yaml:2: is not valid YAML",)),
    "key twice": ("model: linear\nseed: 1\nseed: 2\n", ("c.yaml:3: the key 'seed' is duplicated; keep one of them",)),
    "inner key twice": ("data:\n  text: a\n  text: b\n", ("c.yaml:3: the key 'text' is duplicated",)),
    "a list": ("- a\n", ("c.yaml: must be a mapping of keys to values, such as `seed: 3`, not ['a']",)),
    "a word": ("linear", ("must be a mapping of keys to values, such as `seed: 3`, not 'linear'",)),
    "a number": ("3", ("must be a mapping of keys to values, such as `seed: 3`, not 3",)),
    "a list as a key": ("? [a]\n: 2\n", ("c.yaml:1: a key is a list or a mapping; keys must be plain names",)),
    "deep lists": ("a: " + "[" * 2000, ("c.yaml: is nested too deeply",)),
    "deep mappings": ("a: " + "{a: " * 2000, ("c.yaml: is nested too deeply",)),
    "itself": ("a: &x [*x]\n", ("c.yaml:1: is not valid YAML (found unconstructable recursive node)",)),
    "unknown anchor": ("a: *b\n", ("c.yaml:1: is not valid YAML (found undefined alias 'b')",)),
    "python object": (
        "a: !!python/object/apply:os.system [x]\n",
        ("c.yaml:1: is not valid YAML (could not determine",),
    ),
    "impossible date": ("seed: 2020-99-99\n", ("holds a value that YAML cannot read (month must be in 1..12)",)),
    "binary": (b"\x00\x01", ("c.yaml:1: is not valid YAML (special characters are not allowed)",)),
    "UTF-16": ("seed: 1\n".encode("utf-16"), ("c.yaml: is not UTF-8 text; save the configuration as UTF-8",)),
    "an endless number": (
        f"model: linear\nseed: 0x{'f' * 9000}\n",
        ("2: a whole number has more than 1000 digits; give a smaller one",),
    ),
    "a number as a key": ("model: linear\n1: 2\n", ("1: keys should be strings (got 1)",)),
    "a number as a key, no model": ("1: 2\n", ("1: names a setting of one system; add model",)),
    "unknown model": (
        "model: lineer\n",
        ("there is no system 'lineer'. Did you mean 'linear'? Known systems: linear",),
    ),
    "model is a list": ("model: [linear]\n", ("there is no system \"['linear']\"",)),
    "model misspelt": ("modle: linear\n", ("modle: names a setting of one system; add model. Did you mean 'model'?",)),
    "unknown section": ("model: linear\nfeaturs: {}\n", ("featurs: unknown key. Did you mean 'features'?",)),
    "section of another": ("model: linear\ntraining: {}\n", ("training: unknown key. Known keys: seed, validation,",)),
    "key one level up": ("model: linear\nmin_documents: 3\n", ("Did you mean 'features.min_documents'?",)),
    "unknown key": ("model: linear\nfeatures: {lowercas: true}\n", ("features.lowercas: unknown key. Did you mean",)),
    "key of another part": (
        "model: gru_att\nencoder: {name: transformer}\nbody: {name: pooling, rank: 4}\n",
        ("body.rank: unknown key. body.name=pooling does not have it. Known keys: name, units",),
    ),
    "unknown data key": ("data: {trian: x}\n", ("data.trian: unknown key. Did you mean 'train'?",)),
    "unknown part": ("model: bert\nencoder: {name: lstm}\n", ("encoder.name: 'lstm' is not known; choose from",)),
    "part is a word": ("model: bert\nencoder: transformer\n", ("encoder: must be a mapping of keys to values (got",)),
    "section is a number": ("model: linear\nfeatures: 3\n", ("features: must be a mapping of keys to values (got 3)",)),
    "section is a list": ("model: linear\nfeatures: []\n", ("features: must be a mapping of keys to values (got [])",)),
    "section is null": ("model: linear\nfeatures:\n", ("features: must be a mapping of keys to values (got null)",)),
    "data is a list": ("data: []\n", ("data: must be a mapping of keys to values (got [])",)),
    "training file is a number": ("data: {train: 3}\n", ("data.train: input should be a valid string (got 3)",)),
    "no training file": (
        "model: linear\n",
        ("data.train: a training file is required; set data.train or give --train",),
    ),
    "no file at all": (
        "data: {train: nope.jsonl, validation: no.jsonl}",
        ("data.train: nope.jsonl", "data.validation:"),
    ),
}
# key.path=value: fragments of the sentence
VALUES: dict[str, tuple[str, ...]] = {
    "seed=true": ("seed: a number is needed, not true or false (got true)",),
    "seed='3'": ("seed: a number is needed, not text (got '3')",),
    "seed=three": ("seed: a number is needed, not text (got 'three')",),
    "seed=1.5": ("seed: input should be a valid integer, got a number with a fractional part (got 1.5)",),
    "seed=-1": ("seed: input should be greater than or equal to 0 (got -1)",),
    "seed=1e30": ("seed: ",),
    "seed=null": ("seed: input should be a valid integer (got null)",),
    "seed=": ("seed: input should be a valid integer (got null)",),
    "seed=[1]": ("seed: input should be a valid integer (got [1])",),
    "seed={a: 1}": ("seed: input should be a valid integer",),
    "seed=2020-01-01": ("seed: input should be a valid integer",),
    "features.lowercase=1": ("features.lowercase: true or false is needed, not a number (got 1)",),
    "features.lowercase='yes'": ("features.lowercase: true or false is needed, not text (got 'yes')",),
    "features.lowercase=null": ("features.lowercase: input should be a valid boolean (got null)",),
    "features.min_documents=true": ("features.min_documents: a number is needed, not true or false",),
    "features.min_documents=0": ("features.min_documents: input should be greater than or equal to 1 (got 0)",),
    "features.max_features=many": ("features.max_features: a number is needed, not text (got 'many')",),
    "features.ngrams=2": ("features.ngrams: must be a list, [a, b] (got 2)",),
    "features.ngrams=[1]": ("features.ngrams.1: a value is required",),
    "features.ngrams=[2, 1]": ("features.ngrams: give the shortest and the longest n-gram",),
    "features.ngrams=[1, true]": ("features.ngrams: a number is needed, not true or false",),
    "features.ngrams=[1, 2, 3]": ("features.ngrams: ",),
    "features.analyzer=words": (
        "'words' is not known; choose from 'word', 'char_wb' or 'given'. Did you mean 'word'?",
    ),
    "classifier.c=.nan": ("classifier.c: input should be a finite number (got nan)",),
    "classifier.c=.inf": ("classifier.c: input should be a finite number (got inf)",),
    "classifier.c=0": ("classifier.c: input should be greater than",),
    "classifier.c=1e300": ("classifier.c: input should be less than",),
    "classifier.c=1e-300": ("classifier.c: input should be greater than",),
    "classifier.loss=hinge": ("classifier.loss: 'hinge' is not known; choose from 'squared_hinge' or 'logistic'",),
    "classifier.folds=1": ("classifier.folds: input should be greater than or equal to 2",),
    "validation.fraction=1": ("validation.fraction: input should be less than 1",),
    "validation.fraction=0": ("validation.fraction: input should be greater than 0",),
    "runtime.device=gpu": ("runtime.device: 'gpu' is not a device; choose auto, cpu, cuda, cuda:1 or mps",),
    "runtime.device=cuda:x": ("runtime.device: 'cuda:x' is not a device",),
    "runtime.threads=0": ("runtime.threads: input should be greater than or equal to 1",),
    "runtime.precision=fp16": ("runtime.precision: 'fp16' is not known; choose from 'auto', 'float32' or 'bf16'",),
    "decoding.threshold=1.5": ("decoding.threshold: input should be less than 1 (got 1.5)",),
    "decoding.threshold=0": ("decoding.threshold: input should be greater than 0",),
    "decoding.threshold=null": (
        "decoding: nothing decides what is predicted: set threshold, level_thresholds or top_k",
    ),
    "decoding.threshold=true": ("decoding.threshold: a number is needed, not true or false",),
    "decoding.top_k=0": ("decoding.top_k: input should be greater than or equal to 1",),
    "decoding.include=[]": ("decoding.include: is empty",),
    "decoding.include=[plants]": ("include: The taxonomy has no label 'plants'",),
    "decoding.label_thresholds={fruit: 2}": ("decoding.label_thresholds.fruit: input should be less than 1 (got 2)",),
    "decoding.label_thresholds={frut: .2}": ("The taxonomy has no label 'frut'. Did you mean 'fruit'?",),
    "decoding.level_thresholds=[.3, .3]": ("decoding.level_thresholds has 2 entries but the taxonomy has 1 level",),
    "decoding.consistency=both": ("decoding.consistency: 'both' is not known; choose from 'none', 'up' or 'down'",),
    "data.text=[]": ("data.text: ",),
    "data.text=[text, text]": ("data: the field 'text' is named twice as text; name it once",),
    "data.labels=text": ("data: the field 'text' is taken as text and as labels",),
    "data.weight=''": ("data: data.weight is ''; give the name of a field",),
    "data.unknown_labels=count": ("data.unknown_labels: 'count' is not known; choose from 'error' or 'drop'",),
    "data=3": ("data: must be a mapping of keys to values (got 3)",),
    "seed": ("seed: no such configuration file",),
    "=3": ("'=3' is not of the form key.path=value, such as training.epochs=5",),
    ".=3": ("'.=3' is not of the form key.path=value",),
    "features..lowercase=3": ("is not of the form key.path=value",),
    "seed=[": ("'seed=[':1: is not valid YAML",),
    "seed=2020-99-99": ("'seed=2020-99-99': holds a value that YAML cannot read",),
    "seed.x=3": ("seed: ",),
    "seed=" + "[" * 2000: ("is nested too deeply",),
}
NEURAL: dict[str, tuple[str, ...]] = {
    "loss.positive_weight=wrong": (
        "loss.positive_weight: input should be a valid number, unable to parse string as a number, or one of "
        "'balanced' or 'propensity', or must be a mapping of keys to values (got 'wrong')",
    ),
    "loss.positive_weight=-1": ("loss.positive_weight: input should be greater than 0",),
    "loss.positive_weight=true": ("loss.positive_weight: a number is needed, not true or false",),
    "loss.positive_weight={fruit: -1}": ("loss.positive_weight.fruit: input should be greater than 0 (got -1)",),
    "head.droput=.1": ("head.droput: unknown key. Did you mean 'dropout'?",),
    "head.dropout=1": ("head.dropout: input should be less than 1",),
    "encoder.nam=x": ("encoder.nam: unknown key. Did you mean 'name'?",),
    "epochs=3": ("epochs: unknown key. Did you mean 'training.epochs'?",),
    "max_tokens=3": ("max_tokens: unknown key. Did you mean 'text.max_tokens'?",),
    "text.max_tokens=1": ("text.max_tokens: input should be greater than or equal to 4",),
    "training.learning_rate=fast": ("training.learning_rate: a number is needed, not text (got 'fast')",),
    "training.learning_rate=.inf": ("training.learning_rate: input should be a finite number",),
    "training.learning_rate=0": ("training.learning_rate: input should be greater than 0",),
    "training.epochs=0": ("training.epochs: input should be greater than or equal to 1",),
    "training.monitor=f1": ("training.monitor: 'f1' is not known; choose from 'micro_f1'",),
}


@pytest.mark.parametrize("wrong", FILES.values(), ids=FILES)
def test_a_malformed_file_is_answered_with_a_sentence(
    wrong: tuple[bytes | str, tuple[str, ...]], command: Command
) -> None:
    content, fragments = wrong
    Path("c.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    command("train", "c.yaml", "--output=m").refused("c.yaml", *fragments)
    assert [path.name for path in Path().iterdir()] == ["c.yaml"]


@pytest.mark.parametrize(("model", "setting"), [("linear", key) for key in VALUES] + [("bert", key) for key in NEURAL])
def test_an_impossible_value_is_answered_with_a_sentence(model: str, setting: str, command: Command) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    outcome = command("train", f"--model={model}", "--train=train.jsonl", "--output=m", setting)
    outcome.refused(*(VALUES if model == "linear" else NEURAL)[setting])
    assert [path.name for path in Path().iterdir()] == ["train.jsonl"]


def test_all_problems_of_a_configuration_are_reported_at_once(command: Command) -> None:
    Path("c.yaml").write_text(
        "model: linear\nsed: 3\ndata: {trian: a, closure: up}\nfeatures: {lowercase: 1, ngrams: [0, 1]}\n"
        "decoding: {threshold: 2, never_empty: maybe}\nclassifier: []\n",
        encoding="utf-8",
    )
    outcome = command("train", "c.yaml", "--output=m")
    outcome.refused(
        "c.yaml: 8 problems in the configuration.",
        "- data.trian: unknown key.",
        "- data.closure: ",
        "- sed: unknown key. Did you mean 'seed'?",
        "- features.lowercase: ",
        "- features.ngrams: ",
        "- decoding.threshold: ",
        "- decoding.never_empty: true or false is needed, not text (got 'maybe').",
        "- classifier: ",
    )


def test_settings_without_a_model_are_checked_before_anything_is_read(command: Command) -> None:
    command("train", "--train=none.jsonl", "--output=m", "seed=x", "decoding.threshold=7", "foo=1").refused(
        "3 problems",
        "seed: a number is needed",
        "decoding.threshold: input should be less than 1",
        "foo: names a setting",
    )


@pytest.mark.parametrize("name", ["", "folder", "a\0b", "x" * 300])
def test_a_configuration_that_cannot_be_opened(name: str, command: Command) -> None:
    Path("folder").mkdir()
    outcome = command("train", name, "--output=m")
    outcome.refused()


def test_two_configurations_are_one_too_many(command: Command) -> None:
    command("train", "a.yaml", "b.yaml", "--output=m").refused("'b.yaml' is neither a key.path=value nor the first")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("1E4", 1e4), ("5e-05", 5e-5), ("-1e3", -1e3), (".5e1", 5.0), ("1.e2", 100.0), ("1e", "1e")],
)
def test_numbers_with_an_exponent_are_numbers(text: str, value: object, tmp_path: Path) -> None:
    values: dict[str, Any] = {}
    set_key(values, f"a.b={text}")
    (tmp_path / "c.yaml").write_text(f"a:\n  b: {text}\n", encoding="utf-8")
    assert values == read_yaml(tmp_path / "c.yaml") == {"a": {"b": value}}


def test_merged_mappings_of_yaml_work(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n", encoding="utf-8")
    assert read_yaml(tmp_path / "c.yaml")["b"] == {"x": 1, "y": 2}


def test_a_key_below_null_makes_a_mapping() -> None:
    values: dict[str, Any] = {"data": None}
    set_key(values, "data.train=x")
    assert values == {"data": {"train": "x"}}


def test_a_list_of_lists_that_grows_without_end_is_shown_short(tmp_path: Path) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    (tmp_path / "c.yaml").write_text("a0: &a0 [x]\n" + levels + "seed: *a8\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        parse_run({"model": "linear", "seed": read_yaml(tmp_path / "c.yaml")["seed"]}, "c.yaml")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("settings_", "sentence"),
    [
        ({"sed": 3}, "sed: unknown key. Did you mean 'seed'?"),
        ({"features": {"lowercas": True}}, "features.lowercas: unknown key"),
        ({"features__lowercas": True}, "features.lowercas: unknown key"),
        ({"features__lowercase__x": True}, "features.lowercase: "),
        ({"seed": True}, "seed: a number is needed"),
        ({"classifier__c": "big"}, "classifier.c: a number is needed"),
        ({"runtime": {"device": "tpu"}}, "'tpu' is not a device"),
    ],
)
def test_the_python_interface_says_the_same(settings_: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        Classifier("linear", **settings_)
    assert "Classifier('linear'): 1 problem" in str(error.value)
    assert sentence in str(error.value)


FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = [
    "model",
    "linear",
    "bert",
    "data",
    "train",
    "seed",
    "features",
    "ngrams",
    "decoding",
    "threshold",
    "loss",
    "head",
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=3) | st.dates()
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | SCALARS, inner, max_size=4),
    max_leaves=8,
)


@FUZZ
@given(values=st.dictionaries(st.sampled_from(WORDS) | SCALARS, TREES, max_size=5))
def test_any_mapping_is_a_configuration_or_a_sentence(values: dict[Any, Any]) -> None:
    try:
        parse_run(values, "c.yaml")
    except ConfigError as error:
        assert "c.yaml: " in str(error)
        assert error.problems


@FUZZ
@given(
    content=st.lists(
        st.sampled_from([*WORDS, ": ", "\n", "  ", "- ", "[", "]", "{", "}", "&a ", "*a", "!!", "'", "1", "? ", "<<"])
    ).map("".join)
    | st.text(max_size=20)
)
def test_any_text_is_yaml_or_a_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(content, encoding="utf-8", errors="replace")
    try:
        parse_run(read_yaml(tmp_path / "c.yaml"), "c.yaml")
    except TaxotextError as error:
        assert "c.yaml" in str(error)


@FUZZ
@given(
    assignment=st.text(max_size=12) | st.sampled_from(WORDS).flatmap(lambda w: st.text(max_size=8).map(f"{w}=".__add__))
)
def test_any_assignment_is_applied_or_a_sentence(assignment: str) -> None:
    values: dict[str, Any] = {"data": {"train": "x"}, "seed": 3}
    try:
        set_key(values, assignment)
    except TaxotextError as error:
        assert repr(assignment) in str(error)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("|", "|"),
        (">", ">"),
        (",", ","),
        ("#", "#"),
        (" ", " "),
        ("a #1.csv", "a #1.csv"),
        ("*.csv", "*.csv"),
        ("", None),
        ("null", None),
        ("'|'", "|"),
        ('"a # b"', "a # b"),
        ("[1, 2]  # comment", [1, 2]),
        ("3", 3),
        ("true", True),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_marks_of_yaml_are_texts_on_the_command_line(text: str, value: object) -> None:
    values: dict[str, object] = {}
    set_key(values, f"key={text}")
    assert values == {"key": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (text, text)
            for text in ("~", "#", "1", "null", "Null", "yes", "no", "true", "on", "1e3", "0x1F", "007", "1_000")
        ),
        *(
            (text, text)
            for text in ("2024-01-02", "12:30", "1.0", ".inf", "a: b", "- a", "{a: 1}", "[a, b]", "%", "&x")
        ),
        *((text, text) for text in ("!tag", "*x", "|", ">", " ", " # ", "a #1", "'", '"', "=", "a=b", "\\t")),
        ("'#'", "#"),
        ('"\\t"', "\t"),
        ("''", ""),
        ("", None),
    ],
)
def test_a_setting_that_is_text_takes_it_as_it_stands(text: str, value: str | None) -> None:
    values: dict[str, Any] = {}
    set_key(values, f"data.label_separator={text}", keys_of_texts(None))
    assert values == {"data": {"label_separator": value}}
    if value is not None:
        assert parse_run(values, "here").data.label_separator == value


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("1", ("1",)),
        ("null", ("null",)),
        ("a: b", ("a: b",)),
        ("[title, body]", ("title", "body")),
        ("[1, null, yes, 2024-01-02]", ("1", "null", "yes", "2024-01-02")),
        ("['a, b', c]", ("a, b", "c")),
        ("[title", ("[title",)),
    ],
)
def test_lists_of_texts_are_texts_whatever_yaml_sees_in_them(text: str, fields: tuple[str, ...]) -> None:
    values: dict[str, Any] = {}
    set_key(values, f"data.text={text}", keys_of_texts("linear"))
    assert parse_run(values, "here").data.text == fields


def test_settings_that_are_more_than_text_are_read_as_yaml() -> None:
    values: dict[str, Any] = {}
    for assignment in ("data.closure=null", "seed=3", "features.lowercase=false", "data.format=csv"):
        set_key(values, assignment, keys_of_texts("linear"))
    assert values == {"data": {"closure": None, "format": "csv"}, "seed": 3, "features": {"lowercase": False}}


def test_the_keys_that_are_text_are_those_of_the_chosen_system() -> None:
    assert "encoder.source" in keys_of_texts("bert")
    assert "encoder.source" not in keys_of_texts("linear")
    assert keys_of_texts("no such system") == keys_of_texts(None)


def test_a_number_where_a_configuration_file_needs_text_is_to_be_put_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("data: {labels: 1, id: yes}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        parse_run(read_yaml(tmp_path / "c.yaml"), "c.yaml")
    assert "data.labels: input should be a valid string; put it in quotes (got 1)." in str(raised.value)
    assert "data.id: input should be a valid string (got true); put it in quotes." in str(raised.value)
