"""The model folder: complete or absent, old or new, and what it says about itself."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from interrupted import cut_at
from taxotext import Classifier, __version__
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.files import recover_folder
from taxotext.models.saved import write_taxonomy
from taxotext.store import FORMAT_VERSION, check_free, read_folder, record_evaluation, save_folder, update_folder
from taxotext.store import folder as store_folder
from taxotext.store.fingerprint import fingerprint
from tiny import tiny_corpus, tiny_taxonomy

SETTINGS: dict[str, Any] = {"features__min_documents": 1, "runtime__threads": 1}


@pytest.fixture(scope="module")
def first() -> Classifier:
    return Classifier("linear", **SETTINGS).fit(tiny_corpus(), tune=False)


@pytest.fixture(scope="module")
def second() -> Classifier:
    return Classifier("linear", classifier__loss="logistic", **SETTINGS).fit(tiny_corpus())


def loss_of(model: Path) -> str:
    settings: Any = taxotext.load(model).settings_()
    return str(settings.classifier.loss)


def hidden(parent: Path) -> list[str]:
    return sorted(name for name in os.listdir(parent) if name.startswith("."))


def test_a_folder_reads_back_as_it_was_saved(first: Classifier, tmp_path: Path) -> None:
    first.save(tmp_path / "deep/down/model")
    system, manifest = read_folder(tmp_path / "deep/down/model")
    saved = first.manifest
    assert system.taxonomy == first.taxonomy
    assert (manifest.decoding, manifest.seen) == (saved.decoding, saved.seen)
    assert json.loads(json.dumps(saved.trained_on)) == manifest.trained_on
    assert (manifest.facts, manifest.metrics) == (saved.facts, saved.metrics)
    assert manifest.held_out is not None
    assert saved.held_out is not None
    assert np.array_equal(manifest.held_out.scores.toarray(), saved.held_out.scores.toarray())
    assert np.array_equal(manifest.held_out.gold.toarray(), saved.held_out.gold.toarray())
    assert manifest.held_out.source == saved.held_out.source
    assert hidden(tmp_path / "deep/down") == []


def test_the_labels_are_written_as_json_for_people(tmp_path: Path) -> None:
    names = {"cats": 'Kätzchen, "wild"', "rye": "a \\ b\u2028c 🍞"}
    taxonomy = tiny_taxonomy().with_names(names).with_descriptions({"food": "what is eaten"})
    write_taxonomy(tmp_path / "taxonomy.json", taxonomy)
    expected = json.dumps(taxonomy.to_dict(), indent=2, ensure_ascii=False) + "\n"
    assert (tmp_path / "taxonomy.json").read_text(encoding="utf-8") == expected


def test_names_of_labels_come_back(tmp_path: Path) -> None:
    taxonomy = taxotext.Taxonomy.from_edges([(None, "a"), ("a", "b")], names={"a": "Über | alles", "b": "猫"})
    classifier = Classifier("linear", **SETTINGS).fit(["cat", "dog"], [["a"], ["b"]], taxonomy=taxonomy)
    classifier.save(tmp_path / "model")
    assert taxotext.load(tmp_path / "model").taxonomy == taxonomy
    assert "| a | Über \\| alles | 2 |" in (tmp_path / "model/README.md").read_text(encoding="utf-8")


def test_the_files_can_be_read_by_whom_the_umask_lets(first: Classifier, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        first.save(tmp_path / "model")
    finally:
        os.umask(before)
    for path in (tmp_path / "model").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644, path.name


def test_equal_models_are_equal_files_whatever_they_are_called(first: Classifier, tmp_path: Path) -> None:
    first.save(tmp_path / "one")
    first.save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        other = tmp_path / "two" / path.name
        assert other.read_bytes().replace(b"# two", b"# one") == path.read_bytes(), path.name


def test_a_newer_format_is_refused_with_both_versions(first: Classifier, tmp_path: Path) -> None:
    first.save(tmp_path / "model")
    path = tmp_path / "model/config.json"
    config = json.loads(path.read_text())
    assert config["format_version"] == FORMAT_VERSION
    path.write_text(json.dumps({**config, "format_version": FORMAT_VERSION + 1}))
    with pytest.raises(ModelFolderError) as error:
        taxotext.load(tmp_path / "model")
    assert str(error.value) == (
        f"{tmp_path / 'model'}: has format version {FORMAT_VERSION + 1}; this Taxotext ({__version__}) reads up to "
        f"{FORMAT_VERSION}. Install a newer Taxotext."
    )


def test_a_folder_that_is_none_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="nothing: there is no such model folder"):
        taxotext.load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFolderError, match=r"empty: is not a model folder \(config.json is missing\)"):
        taxotext.load(tmp_path / "empty")


def test_an_existing_model_is_replaced_only_when_asked(first: Classifier, second: Classifier, tmp_path: Path) -> None:
    model = tmp_path / "model"
    first.save(model)
    with pytest.raises(ModelFolderError, match=r"model: already exists. Choose another folder, or replace it with"):
        second.save(model)
    assert loss_of(model) == "squared_hinge"
    second.save(model, overwrite=True)
    assert loss_of(model) == "logistic"
    assert hidden(tmp_path) == []


def test_what_is_no_model_is_never_replaced(first: Classifier, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter").write_text("years of work")
    with pytest.raises(ModelFolderError, match="thesis: is not a model of Taxotext and is not replaced"):
        first.save(tmp_path / "thesis", overwrite=True)
    (tmp_path / "file").write_text("text")
    with pytest.raises(ModelFolderError, match="file: is a file; name a folder"):
        first.save(tmp_path / "file", overwrite=True)
    assert (tmp_path / "thesis/chapter").read_text() == "years of work"


def test_an_empty_folder_is_filled(first: Classifier, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    first.save(tmp_path / "model")
    assert taxotext.load(tmp_path / "model").predict(["cat"]) == first.predict(["cat"])


def leave_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process cleans nothing up."""
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)


def dead_process() -> int:
    """Number of a process that has ended: only what such a one left is cleaned up."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_replacement_that_is_cut_off_leaves_the_old_model_or_the_new_one(
    renames: int, first: Classifier, second: Classifier, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    first.save(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", dead_process)
        leave_everything(patch)
        with cut_at(os, "rename", renames + 1):
            second.save(model, overwrite=True)
    assert model.exists() == (renames != 1)
    assert loss_of(model) == ("logistic" if renames == 2 else "squared_hinge")
    second.save(model, overwrite=True)
    assert loss_of(model) == "logistic"
    assert hidden(tmp_path) == []


def test_an_old_model_that_stands_aside_is_not_lost_to_a_save_without_overwrite(
    first: Classifier, second: Classifier, tmp_path: Path
) -> None:
    first.save(tmp_path / "model")
    os.rename(tmp_path / "model", tmp_path / ".model.old")
    with pytest.raises(ModelFolderError, match="model: already exists"):
        second.save(tmp_path / "model")
    assert loss_of(tmp_path / "model") == "squared_hinge"


def test_a_save_that_is_cut_off_leaves_no_model_and_the_next_save_cleans_up(
    first: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", dead_process)
        leave_everything(patch)
        with cut_at(type(first.system), "save_parts"):
            first.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert [name.rpartition(".")[2] for name in hidden(tmp_path)] == ["tmp"]
    first.save(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]


def test_an_old_model_left_beside_a_finished_one_is_removed_by_the_next_save(
    first: Classifier, second: Classifier, tmp_path: Path
) -> None:
    first.save(tmp_path / "model")
    shutil.copytree(tmp_path / "model", tmp_path / ".model.old")
    second.save(tmp_path / "model", overwrite=True)
    assert hidden(tmp_path) == []
    assert loss_of(tmp_path / "model") == "logistic"


def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    first: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(first.system), "save_parts", full)
    with pytest.raises(ModelFolderError, match=r"model: cannot be written \(No space left on device\)"):
        first.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_update_changes_thresholds_figures_and_card_and_no_weights(first: Classifier, tmp_path: Path) -> None:
    first.save(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    loaded = taxotext.load(tmp_path / "model")
    loaded.tune(method="global", shrink=0.0)
    loaded.update(tmp_path / "model")
    changed = {path.name for path in (tmp_path / "model").iterdir() if path.read_bytes() != before.get(path.name)}
    assert changed == {"decoding.json", "metrics.json", "README.md"}
    again = taxotext.load(tmp_path / "model")
    assert again.decoding == loaded.decoding
    assert again.decoding.tuned_on == "tiny, 3-fold cross-fitting"
    assert "Tuned for micro_f1 on: tiny, 3-fold cross-fitting." in (tmp_path / "model/README.md").read_text()
    assert again.manifest.metrics["tuning"] == json.loads(json.dumps(loaded.manifest.metrics["tuning"]))


def test_update_of_a_folder_that_cannot_be_written_is_a_sentence(first: Classifier, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"nothing: cannot be written \(No such file or directory\)"):
        update_folder(tmp_path / "nothing", first.system, first.manifest)


def test_settings_of_the_runtime_are_replaced_at_loading(first: Classifier, tmp_path: Path) -> None:
    first.save(tmp_path / "model")
    assert taxotext.load(tmp_path / "model", threads=2, device="cpu").settings_().runtime.threads == 2
    assert taxotext.load(tmp_path / "model").settings_().runtime.threads == 1
    with pytest.raises(ConfigError, match=r"runtime.treads: unknown key. Did you mean 'threads'"):
        taxotext.load(tmp_path / "model", treads=2)
    with pytest.raises(ConfigError, match=r"runtime.threads: .*greater than or equal to 1 \(got 0\)"):
        taxotext.load(tmp_path / "model", threads=0)


def test_evaluations_that_are_recorded_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    Classifier("linear", **SETTINGS).fit(tiny_corpus(), tune=False).save(tmp_path / "model")
    models = [read_folder(tmp_path / "model") for _ in range(6)]

    def record(number: int) -> None:
        found = {"micro_f1": number / 10, "data_fingerprint": f"{number}" * 8}
        record_evaluation(tmp_path / "model", *models[number], f"test-{number}", found)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    evaluations = read_folder(tmp_path / "model")[1].metrics["evaluations"]
    assert {name: found["micro_f1"] for name, found in evaluations.items()} == {f"test-{n}": n / 10 for n in range(6)}


def test_a_kill_while_new_thresholds_are_written_leaves_no_evaluation_of_others(tmp_path: Path) -> None:
    model = Classifier("linear", **SETTINGS).fit(tiny_corpus(), tune=False)
    model.manifest.metrics["evaluations"] = {"test": model.evaluate(tiny_corpus())}
    model.save(tmp_path / "model")
    model.tune(metric="macro_f1")
    for file in ("metrics.json", "decoding.json"):
        with cut_at(
            store_folder, "write_text_atomically", when=lambda path, _, name=file: path.name == name, after=True
        ):
            model.update(tmp_path / "model")
        found = read_folder(tmp_path / "model")[1]
        assert "evaluations" not in found.metrics or found.decoding.tuned_on is None
    assert found.decoding == model.decoding


def test_the_card_states_the_facts(first: Classifier, tmp_path: Path) -> None:
    save_folder(tmp_path / "news", first.system, first.manifest)
    card = (tmp_path / "news/README.md").read_text(encoding="utf-8")
    for line in (
        "library_name: taxotext",
        "# news",
        f"A `linear` model of Taxotext {__version__}: texts to sets of 7 labels in a taxonomy of depth 3.",
        "| training data | tiny |",
        "| training documents | 60 |",
        "| validation documents | 60 |",
        "| closure | ancestors |",
        f"| parameters | {first.system.facts()['parameters']} |",
        "Not tuned: the default threshold. `taxotext tune` finds better ones.",
        "Not evaluated yet: `taxotext evaluate` adds its metrics here.",
        "| id | name | training documents |",
    ):
        assert line in card.splitlines(), line
    counts = tiny_corpus().targets.toarray().sum(axis=0)
    for label, count in zip(first.taxonomy.ids, counts, strict=True):
        assert f"| {label} |  | {count} |" in card.splitlines()


def test_the_card_shows_evaluations_and_the_first_labels_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("taxotext.store.card.SHOWN_LABELS", 3)
    classifier = Classifier("linear", **SETTINGS).fit(tiny_corpus())
    metrics = classifier.evaluate(tiny_corpus())
    classifier.manifest.metrics["evaluations"] = {"test|1": metrics}
    classifier.manifest.trained_on["matrix_columns"] = classifier.taxonomy.ids  # as after a fit on a matrix
    classifier.save(tmp_path / "model")
    card = (tmp_path / "model/README.md").read_text(encoding="utf-8")
    assert "... and 4 more in taxonomy.json." in card
    assert "matrix columns" not in card
    assert f"| test\\|1 | {metrics['micro_f1']:.4f} | {metrics['macro_f1']:.4f} |" in card


def test_a_reader_between_the_two_renames_does_not_lose_the_new_model(
    first: Classifier, second: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever loads in that moment brings the old folder back; the writer then moves it aside once more."""
    first.save(tmp_path / "model")
    rename, times = os.rename, [0]

    def watched(source: Any, target: Any) -> None:
        rename(source, target)
        times[0] += 1
        if times[0] == 1:
            recover_folder(tmp_path / "model")

    monkeypatch.setattr(os, "rename", watched)
    second.save(tmp_path / "model", overwrite=True)
    assert loss_of(tmp_path / "model") == "logistic"
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_or_device_is_never_replaced_by_a_model(tmp_path: Path, overwrite: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(ModelFolderError, match=r"is a device, pipe or socket, which is never replaced"):
            check_free(tmp_path / name, overwrite=overwrite)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_folders_are_told_apart_whatever_bytes_their_names_have(tmp_path: Path) -> None:
    found = set()
    for name in (b"caf\xe9.txt", b"caf\xe8.txt"):  # Latin-1, which is no UTF-8
        folder = tmp_path / str(len(found))
        folder.mkdir()
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("a", encoding="utf-8")
        found.add(fingerprint(folder))
    assert len(found) == 2
