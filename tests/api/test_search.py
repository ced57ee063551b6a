"""Searches: the metric that is compared, the best model, resumption after a cut at any place, budgets."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from interrupted import cut_at
from taxotext import Classifier
from taxotext.api import search as module
from taxotext.api import search_loop, search_trial
from taxotext.api.objective import held_out_score
from taxotext.api.proposals import propose
from taxotext.api.runs import train_run
from taxotext.api.search import search
from taxotext.composition.space import Choice, Range
from taxotext.data import write_jsonl
from taxotext.errors import ConfigError, DataError, MissingExtraError, ModelFolderError
from taxotext.labels import write_taxonomy
from taxotext.progress import Silent
from taxotext.settings import read_yaml
from taxotext.training import RunFolder
from tiny import Notes, tiny_corpus, tiny_settings

pytest.importorskip("optuna")

SPACE = {"classifier.c": "0.05..20:log", "classifier.loss": ["squared_hinge", "logistic"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("data")
    write_jsonl(tiny_corpus(60), folder / "train.jsonl")
    write_jsonl(tiny_corpus(40, seed=8), folder / "validation.jsonl")
    write_taxonomy(tiny_corpus().taxonomy, folder / "taxonomy.tsv")
    return {
        "train": str(folder / "train.jsonl"),
        "validation": str(folder / "validation.jsonl"),
        "taxonomy": str(folder / "taxonomy.tsv"),
    }


@pytest.fixture
def values(files: dict[str, str]) -> dict[str, Any]:
    return {"model": "linear", "data": files, "runtime": {"threads": 1}, "features": {"min_documents": 1}}


def small(values: dict[str, Any], output: Path, **options: Any) -> Any:
    return search(values, output, **{"space": SPACE, "only": True, "trials": 6, **options})


def metrics(result: Any) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.state, trial.settings, trial.value) for trial in result.trials]


# -- what is found -------------------------------------------------------------------------------------------------


def test_the_first_trial_has_the_settings_as_they_are_and_the_best_one_wins(
    values: dict[str, Any], tmp_path: Path
) -> None:
    result = small(values, tmp_path / "found")
    assert [trial.number for trial in result.trials] == [1, 2, 3, 4, 5, 6]
    assert result.trials[0].settings == {"classifier.c": 0.5, "classifier.loss": "squared_hinge"}
    assert result.best.value == max(trial.value for trial in result.trials)
    assert len({json.dumps(trial.settings) for trial in result.trials}) == 6
    for trial in result.trials:
        assert 0.05 <= trial.settings["classifier.c"] <= 20
    assert sorted(os.listdir(tmp_path / "found")) == ["best.yaml", "model", "search.json", "trials.jsonl"]


def test_the_figure_is_the_cross_validated_one_of_tune_on_the_validation_documents(
    values: dict[str, Any], files: dict[str, str], tmp_path: Path
) -> None:
    result = small(values, tmp_path / "found", metric="macro_f1", trials=3)
    for trial in result.trials:
        settings = {key.replace(".", "__"): value for key, value in trial.settings.items()}
        model = Classifier("linear", runtime__threads=1, features__min_documents=1, **settings)
        train = taxotext.read_corpus(Path(files["train"]), taxotext.read_taxonomy(Path(files["taxonomy"])))
        validation = taxotext.read_corpus(Path(files["validation"]), train.taxonomy)
        model.fit(train, validation=validation)
        assert model.tune(metric="macro_f1").cross_validated == trial.value


def test_ranking_metrics_are_taken_from_the_held_out_scores() -> None:
    corpus = tiny_corpus(80)
    model = Classifier("linear", features__min_documents=1).fit(corpus)
    held_out = model.manifest.held_out
    assert held_out is not None
    scores, gold = held_out.scores.toarray(), held_out.gold.toarray()
    best = np.argmax(scores, axis=1)
    by_hand = np.mean([gold[row, label] for row, label in enumerate(best)])
    assert held_out_score(model.system, model.manifest, "p@1") == pytest.approx(by_hand)


def test_the_saved_model_is_that_of_the_best_trial_with_tuned_thresholds(
    values: dict[str, Any], tmp_path: Path
) -> None:
    result = small(values, tmp_path / "found")
    model = taxotext.load(tmp_path / "found/model")
    assert model.settings_().classifier.c == result.best.settings["classifier.c"]  # type: ignore[attr-defined]
    assert model.manifest.metrics["tuning"]["cross_validated"] == result.best.value
    assert model.manifest.metrics["search"] == {
        "trial": result.best.number,
        "metric": "micro_f1",
        "value": result.best.value,
    }
    assert model.decoding.tuned_on == "validation file validation.jsonl"


def test_training_the_best_configuration_gives_the_same_model(values: dict[str, Any], tmp_path: Path) -> None:
    small(values, tmp_path / "found", trials=4)
    again = train_run(read_yaml(tmp_path / "found/best.yaml"), tmp_path / "again", reporter=Silent())
    saved = taxotext.load(tmp_path / "found/model")
    texts = list(tiny_corpus().texts)
    assert (again.predict_proba(texts) == saved.predict_proba(texts)).all()
    assert (tmp_path / "found/best.yaml").read_text().startswith("# Trial ")


def test_a_search_without_a_validation_file_uses_what_training_holds_out(
    values: dict[str, Any], files: dict[str, str], tmp_path: Path
) -> None:
    data = {key: name for key, name in files.items() if key != "validation"}
    result = small({**values, "data": data}, tmp_path / "found", trials=2)
    assert result.best.value > 0.3
    model = taxotext.load(tmp_path / "found/model")
    assert model.decoding.tuned_on == "train.jsonl, 3-fold cross-fitting"


def test_epochs_are_selected_by_the_metric_of_the_search(tiny_encoder: Path, files: dict[str, str]) -> None:
    given = {"model": "bert", "data": files, **tiny_settings("bert", tiny_encoder)}
    config = module.parse_run(given, "test")
    assert config.chosen is not None
    assert module._given(config, config.chosen, "macro_f1")["training"]["monitor"] == "macro_f1"
    assert "monitor" not in module._given(config, config.chosen, "p@3")["training"]
    named = module.parse_run({**given, "training": {"monitor": "p@1"}}, "test")
    assert named.chosen is not None
    assert module._given(named, named.chosen, "macro_f1")["training"]["monitor"] == "p@1"


# -- proposals -----------------------------------------------------------------------------------------------------

TOY = {"x": Range(0.01, 100.0, log=True), "n": Range(1, 9, whole=True), "kind": Choice(([1, 1], [1, 2], "c"))}


def toy(values: dict[str, Any]) -> float:
    return -(math.log10(values["x"]) ** 2) - 0.05 * abs(values["n"] - 6) - 0.5 * (values["kind"] != [1, 2])


def proposed(seed: int, count: int) -> list[dict[str, Any]]:
    trials: list[tuple[dict[str, Any], float]] = []
    for number in range(1, count + 1):
        values = propose(TOY, trials, seed=seed, number=number)
        trials.append((values, toy(values)))
    return [values for values, _ in trials]


def test_proposals_learn_from_the_trials() -> None:
    trials = proposed(3, 50)
    early, late = ([toy(values) for values in part] for part in (trials[:15], trials[-15:]))
    assert np.mean(late) > np.mean(early) + 0.3
    assert max(late) > -0.15


def test_proposals_are_a_function_of_seed_number_and_trials() -> None:
    assert proposed(4, 14) == proposed(4, 14)
    assert proposed(4, 3) != proposed(5, 3)
    assert propose(TOY, [], seed=1, number=1) != propose(TOY, [], seed=1, number=2)


# -- resumption ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    values = {"model": "linear", "data": files, "runtime": {"threads": 1}, "features": {"min_documents": 1}}
    folder = tmp_path_factory.mktemp("undisturbed") / "found"
    return small(values, folder), folder


def same_ends(result: Any, folder: Path, undisturbed: tuple[Any, Path]) -> None:
    whole, there = undisturbed
    assert metrics(result) == metrics(whole)
    for name in ("best.yaml", "model/weights.safetensors", "model/decoding.json", "model/heldout.safetensors"):
        assert (folder / name).read_bytes() == (there / name).read_bytes(), name
    assert sorted(os.listdir(folder)) == sorted(os.listdir(there))


@pytest.mark.parametrize(
    ("where", "at"),
    [
        *[(where, at) for where in ("fit_system", "write_text_atomically", "keep", "kept") for at in (1, 3)],
        *[("save_folder", 1), ("forget_run", 2), ("take_model", 1), ("model taken", 1)],
    ],
)
def test_a_search_that_is_cut_off_ends_as_if_nothing_had_happened(
    where: str, at: int, values: dict[str, Any], undisturbed: tuple[Any, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "found"
    name = {"kept": "keep", "model taken": "take_model"}.get(where, where)
    holders: list[Any] = [search_trial, search_loop, module.SearchFolder]
    holder = next(holder for holder in holders if hasattr(holder, name))
    with cut_at(holder, name, at, after=name != where):
        small(values, folder)
    same_ends(small(values, folder, resume=True), folder, undisturbed)


def test_a_kill_while_the_model_of_a_trial_moves_leaves_a_search_that_goes_on(
    values: dict[str, Any], undisturbed: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(listed(path))))  # one of the orders that there are
    folder, moved = tmp_path / "found", {"model", "config.json"}  # without the latter a folder is no model
    with cut_at(Path, "rename", when=lambda path, _: path.name in moved and "trials" in path.parts, after=True):
        small(values, folder)
    same_ends(small(values, folder, resume=True), folder, undisturbed)


def test_real_kills_are_survived(
    files: dict[str, str], values: dict[str, Any], undisturbed: tuple[Any, Path], tmp_path: Path
) -> None:
    folder, rng, kills = tmp_path / "found", random.Random(5), 0
    code = f"""
from pathlib import Path
from taxotext.api.search import search
search({values!r}, Path({str(folder)!r}), space={SPACE!r}, only=True, trials=6, resume=True)
"""
    source = str(Path(taxotext.__file__).parents[1])
    for done in (1, 3):
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": source}, start_new_session=True
        )
        while process.poll() is None and not (folder / "trials.jsonl").is_file():
            time.sleep(0.01)
        while process.poll() is None and len((folder / "trials.jsonl").read_text().splitlines()) < done:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    same_ends(small(values, folder, resume=True), folder, undisturbed)


def test_a_neural_trial_goes_on_from_its_checkpoint(
    tiny_encoder: Path, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings("bert", tiny_encoder, training={"epochs": 3, "checkpoint_minutes": 0})
    given = {"model": "bert", "data": files, **settings}
    options: dict[str, Any] = {"space": {"head.dropout": "0..0.5"}, "only": True, "trials": 2}
    whole = search(given, tmp_path / "whole", **options)
    from taxotext.training.gradient import HeldOut

    with cut_at(HeldOut, "from_blocks"):
        search(given, tmp_path / "cut", **options)
    assert (tmp_path / "cut/trials/0001/checkpoints/last.ckpt").is_file()
    resumed: list[bool] = []

    def spy(*arguments: Any, **keywords: Any) -> RunFolder:
        run = RunFolder(*arguments, **keywords)
        resumed.append(run.resumed)
        return run

    monkeypatch.setattr(search_trial, "RunFolder", spy)
    again = search(given, tmp_path / "cut", **options, resume=True)
    assert resumed == [True, False]
    assert metrics(again) == metrics(whole)
    assert sorted(os.listdir(tmp_path / "cut/trials/0002")) == ["logs"]
    assert again.trials[0].settings["head.dropout"] == 0.1


def test_a_search_goes_on_with_more_trials_and_is_left_alone_when_it_is_done(
    values: dict[str, Any], undisturbed: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(values, tmp_path / "found", trials=2)
    same_ends(small(values, tmp_path / "found", resume=True), tmp_path / "found", undisturbed)
    monkeypatch.setattr(search_trial, "fit_system", lambda *_, **__: pytest.fail("nothing is to be fitted"))
    assert metrics(small(values, tmp_path / "found", trials=3, resume=True)) == metrics(undisturbed[0])


def test_a_lost_model_is_fitted_again(values: dict[str, Any], undisturbed: tuple[Any, Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(undisturbed[1], tmp_path / "found")
    shutil.rmtree(tmp_path / "found/model")
    (tmp_path / "found/best.yaml").unlink()
    same_ends(small(values, tmp_path / "found", resume=True), tmp_path / "found", undisturbed)


def test_only_the_same_search_is_resumed(values: dict[str, Any], tmp_path: Path) -> None:
    small(values, tmp_path / "found", trials=1)
    with pytest.raises(ModelFolderError, match=r"holds a search already\. Continue with resume=True"):
        small(values, tmp_path / "found", trials=1)
    with pytest.raises(ConfigError) as error:
        small({**values, "seed": 4}, tmp_path / "found", metric="p@1", resume=True)
    assert set(error.value.problems) == {
        "metric: 'micro_f1' then, 'p@1' now",
        "settings.seed: 13 then, 4 now",
    }
    small({**values, "seed": 4}, tmp_path / "found", trials=1, overwrite=True)
    assert taxotext.load(tmp_path / "found/model").settings_().seed == 4


def test_folders_of_other_things_are_never_searched_in(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter").write_text("years of work")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(ModelFolderError, match="is not empty and holds no search"):
            small(values, tmp_path / "thesis", **options)
    assert os.listdir(tmp_path / "thesis") == ["chapter"]


def test_damaged_records_are_sentences(values: dict[str, Any], tmp_path: Path) -> None:
    small(values, tmp_path / "found", trials=1)
    for name in ("trials.jsonl", "search.json"):
        (tmp_path / "found" / name).write_text('{"number": 7}\n[')
        with pytest.raises(ConfigError, match=rf"{name}: is damaged.*start over with overwrite=True"):
            small(values, tmp_path / "found", resume=True)


def test_a_line_of_the_trials_without_end_is_not_read_to_its_end(values: dict[str, Any], tmp_path: Path) -> None:
    small(values, tmp_path / "found", trials=1)
    (tmp_path / "found/trials.jsonl").write_text('{"number": 1}' * 2**20)
    with pytest.raises(ConfigError, match=r"is damaged \(a line has 1,048,576 characters or more\)"):
        small(values, tmp_path / "found", resume=True)


@pytest.mark.parametrize(
    "damage",
    [
        {"number": "x"},
        {"state": "asleep"},
        {"value": "good"},
        {"value": float("nan")},
        {"value": None},
        {"settings": []},
        {"settings": {}},
        {"settings": {"classifier.c": "many"}},
        {"settings": {"classifier.c": 1e9}},
        {"settings": {"classifier.c": 1, "seed": 3}},
        {"seconds": []},
    ],
    ids=str,
)
def test_trials_that_were_changed_are_a_sentence(
    damage: dict[str, Any], values: dict[str, Any], undisturbed: tuple[Any, Path], tmp_path: Path
) -> None:
    shutil.copytree(undisturbed[1], tmp_path / "found")
    trials = tmp_path / "found" / "trials.jsonl"
    first, *others = trials.read_text().splitlines()
    trials.write_text("\n".join([json.dumps({**json.loads(first), **damage}), *others]) + "\n")
    with pytest.raises(ConfigError, match=r"trials\.jsonl: is damaged .*start over with overwrite=True"):
        small(values, tmp_path / "found", resume=True, trials=9)


# -- budgets and failures ------------------------------------------------------------------------------------------


def test_no_trial_starts_that_would_not_fit(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    original = search_trial.fit_system

    def slow(*arguments: Any, **keywords: Any) -> Any:
        clock[0] += 20
        return original(*arguments, **keywords)

    monkeypatch.setattr(search_trial, "fit_system", slow)
    monkeypatch.setattr(search_loop.time, "monotonic", lambda: clock[0])
    notes = Notes()
    result = small(values, tmp_path / "found", trials=None, minutes=1.2, reporter=notes)
    assert len(result.trials) == 3  # 60 s are spent, a fourth would end at 80 s of 72
    assert any("No other trial fits into 1.2 minutes" in sentence for sentence in notes.sentences)
    monkeypatch.undo()
    again = small(values, tmp_path / "found", trials=None, minutes=1.2, resume=True)
    assert len(again.trials) == 3  # what was spent before counts


def test_settings_that_were_tried_are_not_fitted_again_and_an_exhausted_space_ends_the_search(
    values: dict[str, Any], tmp_path: Path
) -> None:
    space = {"classifier.loss": ["squared_hinge", "logistic"]}
    notes = Notes()
    result = search(values, tmp_path / "found", space=space, only=True, minutes=60, reporter=notes)
    fitted = [trial for trial in result.trials if trial.same_as is None]
    assert sorted(trial.settings["classifier.loss"] for trial in fitted) == ["logistic", "squared_hinge"]
    for trial in result.trials:
        if trial.same_as is not None:
            assert trial.value == result.trials[trial.same_as - 1].value
            assert trial.seconds == 0
    assert "All settings of the search space have been tried." in notes.sentences


def test_a_trial_that_fails_is_reported_and_the_search_goes_on(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count = search_trial.fit_system, [0]

    def failing(*arguments: Any, **keywords: Any) -> Any:
        count[0] += 1
        if count[0] == 2:
            raise DataError("The loss is no longer a number.")
        return original(*arguments, **keywords)

    monkeypatch.setattr(search_trial, "fit_system", failing)
    notes = Notes()
    result = small(values, tmp_path / "found", trials=4, reporter=notes)
    assert [trial.state for trial in result.trials] == ["complete", "failed", "complete", "complete"]
    assert result.trials[1].reason == "The loss is no longer a number."
    assert any(said.startswith("Trial 2 of 4: failed (The loss is no longer a number.)") for said in notes.sentences)
    assert result.best.number != 2


def test_a_mistake_that_fails_the_first_trial_ends_the_search_and_leaves_nothing(
    values: dict[str, Any], tmp_path: Path
) -> None:
    wrong = {**values, "features": {"min_documents": 1000}}
    with pytest.raises(DataError, match="No feature is left"):
        small(wrong, tmp_path / "found")
    assert not (tmp_path / "found").exists()
    small(values, tmp_path / "found", trials=1)


def test_options_are_checked_together(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        small(values, tmp_path / "x", metric="micro", trials=0, minutes=-1, resume=True, overwrite=True)
    assert len(error.value.problems) == 4
    assert "Did you mean 'micro_f1'?" in error.value.problems[0]
    assert not (tmp_path / "x").exists()


def test_without_optuna_the_extra_is_named(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError) as error:
        small(values, tmp_path / "x")
    assert str(error.value) == "`taxotext search` needs Optuna; install it with `pip install 'taxotext[search]'`."


def test_binary_systems_are_searched_too(files: dict[str, str], tmp_path: Path) -> None:
    """They have no setting that names the metric by which epochs are selected."""
    sections = {
        "text": {"max_tokens": 8},
        "encoder": {"units": 2, "embedding_width": 4},
        "weights": {"candidates": [1.0]},
        "training": {"epochs": 1},
    }
    values = {"model": "gru_att", "data": files, "runtime": {"threads": 1, "device": "cpu"}, **sections}
    found = search(values, tmp_path / "found", space={"encoder.dropout": [0.0, 0.2]}, only=True, trials=1)
    assert [trial.state for trial in found.trials] == ["complete"]
