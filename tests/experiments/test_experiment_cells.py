"""When two cells are the same: settings, seeds, contents of files, the version; and nothing else."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from taxotext.errors import ConfigError
from taxotext.experiments import cells as module
from taxotext.experiments.cells import Cell, content_digest, data_path
from taxotext.experiments.source import source_digest


def keys(lab: Lab, **changes: Any) -> list[str]:
    return [cell.key for cell in lab.cells(**changes)]


def test_every_cell_has_a_key_of_its_own_and_the_same_one_again(lab: Lab) -> None:
    assert len(set(keys(lab))) == 4
    assert keys(lab) == keys(lab)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [3, 4]},
        {"tune": False},
        {"tune": {"metric": "macro_f1"}},
        {"systems": {name: {"model": "linear", "settings": {"classifier": {"c": 7}}} for name in ("linear", "loose")}},
        {"overrides": [{"settings": {"classifier": {"folds": 2}}}]},
        {"corpora": {"tiny": {"train": "train.jsonl", "test": "validation.jsonl", "taxonomy": "taxonomy.tsv"}}},
        {"corpora": {"tiny": {"train": "train.jsonl", "test": "test.jsonl"}}},
        {
            "corpora": {
                "tiny": {
                    "train": "train.jsonl",
                    "test": "test.jsonl",
                    "taxonomy": "taxonomy.tsv",
                    "closure": "as_given",
                }
            }
        },
    ],
)
def test_what_changes_figures_changes_every_key(lab: Lab, changes: dict[str, Any]) -> None:
    assert not set(keys(lab)) & set(keys(lab, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"jobs": 4},
        {"metrics": ["p@10"]},
        {"speed": False},
        {"baseline": None},
        {"keep_models": False},
        {"name": "other"},
        {"overrides": [{"settings": {"runtime": {"device": "cpu"}}}]},
        # Defaults written out are not change.
        {"overrides": [{"settings": {"classifier": {"balance": 0.25}}}]},
    ],
)
def test_what_changes_no_figure_changes_no_key(lab: Lab, changes: dict[str, Any]) -> None:
    assert keys(lab) == keys(lab, **changes)


def test_contents_count_and_places_do_not(lab: Lab, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(lab.folder, copy)
    assert keys(lab) == keys(lab, data_folder=str(copy))
    with (copy / "test.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "one more", "labels": []}\n')
    assert not set(keys(lab)) & set(keys(lab, data_folder=str(copy)))


def test_another_version_is_another_cell(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(lab)
    monkeypatch.setattr(module, "__version__", "99.0")
    assert not set(before) & set(keys(lab))


def test_a_renamed_system_keeps_its_cells(lab: Lab) -> None:
    systems = lab.values()["systems"]
    assert keys(lab) == keys(lab, systems={"a": systems["linear"], "b": systems["loose"]}, baseline="a")


def test_files_that_settings_name_count_by_content(lab: Lab, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    (encoder / "config.json").write_text("{}", encoding="utf-8")
    system = {"bert": {"model": "bert", "settings": {"encoder": {"source": str(encoder)}}}}
    before = keys(lab, systems=system, baseline=None)
    assert before == keys(lab, systems=system, baseline=None)
    (encoder / "config.json").write_text('{"a": 1}', encoding="utf-8")
    assert not set(before) & set(keys(lab, systems=system, baseline=None))


@pytest.mark.parametrize("place", ["weights", "weights/class_weights.json", "making"])
def test_class_weights_of_a_model_count_by_their_content_and_nothing_else_of_it(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def told(weight: float) -> list[str]:
        content = json.dumps({"format": 1, "weights": {"a": weight}})
        for folder in ("weights", "making.run"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / "class_weights.json").write_text(content, encoding="utf-8")
        return keys(lab, systems=system, baseline=None)

    monkeypatch.chdir(tmp_path)
    system = {"multi": {"model": "gru_att_multi", "settings": {"loss": {"weights_from": place, "weights_missing": 1}}}}
    before = told(2.0)
    assert set(before).isdisjoint(told(3.0))
    (tmp_path / "weights" / "thresholds.json").write_text("{}", encoding="utf-8")
    (tmp_path / "making.run" / "events.log").write_text("x", encoding="utf-8")
    assert told(2.0) == before


def test_class_weights_that_are_not_there_are_missed_before_the_first_training(lab: Lab) -> None:
    system = {"multi": {"model": "gru_att_multi", "settings": {"loss": {"weights_from": "nowhere"}}}}
    with pytest.raises(ConfigError, match=r"loss\.weights_from: nowhere: no such file or folder"):
        lab.cells(systems=system, baseline=None)


@pytest.mark.parametrize(
    ("encoder", "counts"),
    [({"embeddings": "vectors"}, True), ({"stop_words": "listed"}, True), ({"embeddings": "encoder"}, False)],
)
def test_files_count_by_content_also_where_their_names_are_plain_words(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: dict[str, Any], counts: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    system = {"dgcnn": {"model": "dgcnn", "settings": {"encoder": encoder}}}
    before = keys(lab, systems=system, baseline=None)
    for value in encoder.values():
        (tmp_path / value).write_text("word 1 2 3\n", encoding="utf-8")
    assert set(before).isdisjoint(keys(lab, systems=system, baseline=None)) == counts


def test_the_training_gets_absolute_paths_its_seed_and_its_threads(lab: Lab) -> None:
    cell = lab.cells()[0]
    assert cell.values["seed"] == 1
    assert cell.values["runtime"] == {"threads": 1}
    assert Path(cell.values["data"]["train"]) == lab.folder / "train.jsonl"
    assert Path(cell.test) == lab.folder / "test.jsonl"
    assert Cell.from_dict(cell.to_dict()) == cell


def test_all_missing_files_are_named_together(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="2 files cannot be read") as error:
        lab.cells(corpora={"tiny": {"train": "nope.jsonl", "test": "test.jsonl", "taxonomy": "none.tsv"}})
    assert [problem.split(":")[0] for problem in error.value.problems] == [
        "corpora.tiny.train",
        "corpora.tiny.taxonomy",
    ]


def test_the_sample_is_named_without_its_place() -> None:
    assert data_path("sample:test.jsonl", "/elsewhere").is_file()
    assert data_path("a/b.jsonl", "/data") == Path("/data/a/b.jsonl")


def test_a_folder_has_the_digest_of_its_names_and_contents(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "a.txt").write_text("x", encoding="utf-8")
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")
    (tmp_path / "two" / "inner" / "a.txt").rename(tmp_path / "two" / "inner" / "b.txt")
    assert content_digest(tmp_path / "one") != content_digest(tmp_path / "two")
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"x"))
    assert len(content_digest(packed)) == 64


def test_the_digest_of_the_source_is_that_of_the_program() -> None:
    assert len(source_digest()) == 16


@pytest.mark.usefixtures("sparse_systems")
@pytest.mark.parametrize(
    ("tune", "tuned"),
    [(None, ["linear"]), (True, ["linear", "sets"]), (False, []), ({"metric": "macro_f1"}, ["linear"])],
)
def test_systems_that_decide_on_label_sets_are_tuned_only_when_asked(lab: Lab, tune: Any, tuned: list[str]) -> None:
    changes = {} if tune is None else {"tune": tune}
    systems = {"linear": {"model": "linear"}, "sets": {"model": "decides_itself"}}
    cells = lab.cells(systems=systems, **changes)
    assert sorted({cell.system for cell in cells if cell.tune is not None}) == tuned
