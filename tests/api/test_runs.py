"""A training from a configuration: what is read, resumed, replaced, refused."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interrupted import cut_at
from taxotext.api.runs import default_config, dry_run, identity, parse_run, train_run
from taxotext.api.search import search
from taxotext.data import write_jsonl
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.experiments.folder import ExperimentFolder
from taxotext.labels import write_taxonomy
from taxotext.progress import Silent
from taxotext.training import network, run
from taxotext.training.run import run_folder_of
from tiny import Notes, tiny_corpus, tiny_settings


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    corpus = tiny_corpus()
    write_jsonl(corpus, tmp_path / "train.jsonl")
    write_taxonomy(corpus.taxonomy, tmp_path / "taxonomy.tsv")
    return {
        "model": "linear",
        "data": {"train": str(tmp_path / "train.jsonl"), "taxonomy": str(tmp_path / "taxonomy.tsv")},
        "features": {"min_documents": 1},
        "runtime": {"threads": 1},
    }


@pytest.fixture
def neural(values: dict[str, Any], tiny_encoder: Path) -> dict[str, Any]:
    settings = tiny_settings("bert", tiny_encoder, training={"epochs": 2, "checkpoint_minutes": 0})
    return {"model": "bert", "data": values["data"], **settings}


def test_a_training_writes_the_model_and_leaves_no_run(values: dict[str, Any], tmp_path: Path) -> None:
    classifier = train_run(values, tmp_path / "model", reporter=Silent())
    assert classifier.taxonomy == tiny_corpus().taxonomy
    assert (tmp_path / "model/config.json").is_file()
    assert not run_folder_of(tmp_path / "model").exists()


def test_logs_of_a_neural_training_stay(neural: dict[str, Any], tmp_path: Path) -> None:
    train_run(neural, tmp_path / "model", reporter=Silent())
    assert [path.name for path in (tmp_path / "model.run").iterdir()] == ["logs"]
    logged = next((tmp_path / "model.run/logs").rglob("metrics.csv")).read_text()
    assert "validation/micro_f1" in logged.splitlines()[0]


def test_a_finished_training_is_not_repeated(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_run(values, tmp_path / "model", reporter=Silent())
    before = (tmp_path / "model/config.json").stat().st_mtime_ns
    with pytest.raises(ModelFolderError, match="model: already exists"):
        train_run(values, tmp_path / "model", reporter=Silent())
    notes = Notes()
    train_run(values, tmp_path / "model", resume=True, reporter=notes)
    assert notes.sentences == [f"{tmp_path / 'model'} is finished already; nothing to do."]
    assert (tmp_path / "model/config.json").stat().st_mtime_ns == before


def test_nothing_is_written_into_a_model(values: dict[str, Any], tmp_path: Path) -> None:
    """Whatever replaces the model would remove it."""
    train_run(values, tmp_path / "model", reporter=Silent())
    before = sorted(path.name for path in (tmp_path / "model").iterdir())
    never_read: Any = None
    for inside in (tmp_path / "model/next", tmp_path / "model/a/b"):
        with pytest.raises(ModelFolderError, match=rf"{inside}: lies in the model {tmp_path / 'model'}; choose"):
            train_run(values, inside, reporter=Silent())
        with pytest.raises(ModelFolderError, match="lies in the model"):
            search(values, inside, trials=1, reporter=Silent())
        with pytest.raises(ModelFolderError, match="lies in the model"):
            ExperimentFolder(inside).start(never_read, [], resume=False, threads=1)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == before


def test_an_interrupted_training_goes_on_only_with_resume(neural: dict[str, Any], tmp_path: Path) -> None:
    with cut_at(network, "load_weights"):
        train_run(neural, tmp_path / "model", reporter=Silent())
    assert not (tmp_path / "model").exists()
    with pytest.raises(ModelFolderError, match=r"model.run: holds an interrupted training. Continue with resume=True"):
        train_run(neural, tmp_path / "model", reporter=Silent())
    other = {**neural, "seed": 99}
    with pytest.raises(
        ConfigError, match=r"(?s)the interrupted training was another one.*settings.seed: 3 then, 99 now"
    ):
        train_run(other, tmp_path / "model", resume=True, reporter=Silent())
    notes = Notes()
    train_run(neural, tmp_path / "model", resume=True, reporter=notes)
    assert f"Continuing the training in {tmp_path / 'model.run'}." in notes.sentences


def test_overwrite_starts_an_interrupted_training_anew(neural: dict[str, Any], tmp_path: Path) -> None:
    with cut_at(network, "load_weights"):
        train_run(neural, tmp_path / "model", reporter=Silent())
    train_run({**neural, "seed": 99}, tmp_path / "model", overwrite=True, reporter=Silent())
    assert json.loads((tmp_path / "model/config.json").read_text())["settings"]["seed"] == 99


def test_an_interrupted_replacement_is_resumed_and_then_replaces(neural: dict[str, Any], tmp_path: Path) -> None:
    """The old model is not a sign that the new training is finished."""
    output = tmp_path / "model"
    train_run(neural, output, reporter=Silent())
    newer = {**neural, "seed": 99}
    with cut_at(network, "load_weights"):
        train_run(newer, output, overwrite=True, reporter=Silent())
    assert json.loads((output / "config.json").read_text())["settings"]["seed"] == 3
    notes = Notes()
    train_run(newer, output, resume=True, reporter=notes)
    assert f"Continuing the training in {output}.run." in notes.sentences
    assert json.loads((output / "config.json").read_text())["settings"]["seed"] == 99
    assert [path.name for path in (tmp_path / "model.run").iterdir()] == ["logs"]


def test_a_cut_between_saving_and_cleaning_is_mended_by_resume(neural: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "model"
    with cut_at(run, "clean_run"):
        train_run(neural, output, reporter=Silent())
    assert (tmp_path / "model.run/run.json").is_file()
    train_run(neural, output, resume=True, reporter=Silent())
    assert [path.name for path in (tmp_path / "model.run").iterdir()] == ["logs"]


def test_what_is_no_run_folder_is_not_removed(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "model.run").mkdir()
    (tmp_path / "model.run/thesis").write_text("years of work")
    with pytest.raises(ConfigError, match=r"model.run: is not a run folder of a training and is not removed"):
        train_run(values, tmp_path / "model", overwrite=True, reporter=Silent())
    assert (tmp_path / "model.run/thesis").is_file()


def test_where_and_how_often_is_saved_does_not_make_another_training(neural: dict[str, Any]) -> None:
    corpus = tiny_corpus()

    def of(**changes: Any) -> dict[str, Any]:
        chosen = parse_run({**neural, **changes}, "test").chosen
        assert chosen is not None
        return identity(chosen, corpus, None)

    first = of()
    assert of(runtime={**neural["runtime"], "threads": 2}) == first
    assert of(runtime={**neural["runtime"], "tokens_in_memory": 9, "check_memory": False}) == first
    assert of(training={**neural["training"], "checkpoint_minutes": 9}) == first
    assert of(decoding={"threshold": 0.3}) == first
    assert of(runtime={**neural["runtime"], "precision": "bf16"}) != first
    assert of(training={**neural["training"], "epochs": 9}) != first
    assert identity(parse_run(neural, "test").chosen, corpus.subset(range(59)), None) != first  # type: ignore[arg-type]


def test_problems_of_all_sections_come_together() -> None:
    with pytest.raises(ConfigError) as error:
        parse_run({"model": "linear", "data": {"trian": "x", "closure": "no"}, "classifier": {"c": 0}}, "my.yaml")
    assert error.value.message == "my.yaml: 3 problems in the configuration."
    assert [problem.split(":")[0] for problem in error.value.problems] == ["data.closure", "data.trian", "classifier.c"]


@pytest.mark.parametrize("name", ["linear", "bert"])
def test_the_printed_configuration_reads_back_as_the_default(name: str, tmp_path: Path) -> None:
    from taxotext.settings import read_yaml

    (tmp_path / "config.yaml").write_text(default_config(name), encoding="utf-8")
    read = parse_run(read_yaml(tmp_path / "config.yaml"), "config.yaml")
    default = parse_run({"model": name}, "nothing")
    assert (read.chosen, read.data) == (default.chosen, default.data)


def test_a_training_file_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"data.train: a training file is required; set data.train or give --train"):
        train_run({"model": "linear"}, Path("never-written"), reporter=Silent())


@pytest.mark.parametrize("kind", ["linear", "bert"])
def test_a_dry_run_writes_nothing_and_estimates(
    kind: str, values: dict[str, Any], neural: dict[str, Any], tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    sentence = dry_run(values if kind == "linear" else neural, reporter=Silent())
    assert sentence.startswith(f"Dry run of {kind}: ")
    assert "nothing written. The whole training would take less than a minute" in sentence
    assert re.search(r"It needs about \d+ MiB of .* in memory\.$", sentence)
    assert sorted(tmp_path.iterdir()) == before


def test_an_encoder_is_not_replaced_by_the_model_that_starts_from_it(
    neural: dict[str, Any], tiny_encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelFolderError, match="is not a model of Taxotext and is not replaced"):
        train_run(neural, tiny_encoder, overwrite=True, reporter=Silent())
    assert (tiny_encoder / "config.json").is_file()


def test_an_encoder_in_the_output_folder_is_not_removed(
    values: dict[str, Any], neural: dict[str, Any], tiny_encoder: Path, tmp_path: Path
) -> None:
    train_run(values, tmp_path / "model", reporter=Silent())
    inside = shutil.copytree(tiny_encoder, tmp_path / "model" / "encoder")
    with pytest.raises(ConfigError, match=r"encoder.source: .* lies in the output folder"):
        train_run({**neural, "encoder": {"source": str(inside)}}, tmp_path / "model", overwrite=True, reporter=Silent())
    assert (inside / "config.json").is_file()


def test_a_finished_model_of_other_data_is_not_passed_off(values: dict[str, Any], tmp_path: Path) -> None:
    train_run(values, tmp_path / "model", reporter=Silent())
    unnamed = {key: value for key, value in values.items() if key in {"data", "runtime"}}
    with pytest.raises(ConfigError, match=r"features.min_documents: 1 there, 2 now"):
        train_run(unnamed, tmp_path / "model", resume=True, reporter=Silent())
    write_jsonl(tiny_corpus().subset(range(20)), tmp_path / "train.jsonl", overwrite=True)
    with pytest.raises(ConfigError, match=r"train: '\w+' there, '\w+' now"):
        train_run(values, tmp_path / "model", resume=True, reporter=Silent())


def test_where_it_is_computed_and_how_often_it_is_saved_make_no_other_training(
    values: dict[str, Any], tmp_path: Path
) -> None:
    train_run(values, tmp_path / "model", reporter=Silent())
    values["runtime"] = {
        "threads": 2,
        "predict_precision": "bf16",
        "tokens_in_memory": 9,
        "check_memory": False,
    }
    notes = Notes()
    train_run(values, tmp_path / "model", resume=True, reporter=notes)
    assert "finished already" in notes.sentences[-1]


def test_groups_and_weights_make_another_training(values: dict[str, Any], tmp_path: Path) -> None:
    corpus = replace(tiny_corpus(), groups=tuple("ab"[row % 2] for row in range(len(tiny_corpus()))))
    config = parse_run(values, "settings")
    assert config.chosen is not None
    assert identity(config.chosen, corpus, None) != identity(config.chosen, tiny_corpus(), None)


def test_a_label_of_the_validation_file_alone_is_left_out_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ['{"text": "cat dog", "labels": ["a"]}', '{"text": "dog", "labels": ["b"]}'] * 4
    (tmp_path / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "validation.jsonl").write_text('{"text": "cat", "labels": ["a", "rare"]}\n', encoding="utf-8")
    data = {name: str(tmp_path / f"{name}.jsonl") for name in ("train", "validation")}
    notes = Notes()
    model = train_run(
        {"model": "linear", "data": data, "features": {"min_documents": 1}, "runtime": {"threads": 1}},
        tmp_path / "model",
        reporter=notes,
    )
    assert model.taxonomy.ids == ("a", "b")
    said = [*notes.sentences, *(record.getMessage() for record in caplog.records)]
    assert [sentence for sentence in said if "rare" in sentence] == [
        f"{data['validation']}: 1 label is not among the 2 known labels: 'rare' (in 1 document); it was removed"
    ]
