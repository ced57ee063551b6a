"""Searches whose trials run side by side: what is proposed, resumption, failures, and the model that stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import taxotext
from taxotext import Classifier
from taxotext.api.identity import fingerprints_of
from taxotext.api.proposals import propose
from taxotext.api.runs import train_run
from taxotext.api.search import search
from taxotext.api.search_trial import run_trial
from taxotext.composition.space import Range
from taxotext.data import write_jsonl
from taxotext.errors import ConfigError, DataError, TrainingError
from taxotext.labels import write_taxonomy
from taxotext.progress import Silent
from taxotext.settings import read_yaml
from tiny import Notes, tiny_corpus

pytest.importorskip("optuna")

SPACE = {"classifier.c": "0.05..20:log", "classifier.loss": ["squared_hinge", "logistic"]}


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("data")
    write_jsonl(tiny_corpus(60), folder / "train.jsonl")
    write_jsonl(tiny_corpus(40, seed=8), folder / "validation.jsonl")
    write_taxonomy(tiny_corpus().taxonomy, folder / "taxonomy.tsv")
    files = {name: str(folder / f"{name}.jsonl") for name in ("train", "validation")}
    data = {**files, "taxonomy": str(folder / "taxonomy.tsv")}
    return {"model": "linear", "data": data, "features": {"min_documents": 1}}


def small(values: dict[str, Any], output: Path, **options: Any) -> Any:
    return search(values, output, **{"space": SPACE, "only": True, "trials": 6, "jobs": 2, **options})


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def test_trials_side_by_side_leave_the_model_of_the_best_one(values: dict[str, Any], tmp_path: Path) -> None:
    notes = Notes()
    result = small(values, tmp_path / "found", reporter=notes)
    assert [(trial.number, trial.state) for trial in result.trials] == [(number, "complete") for number in range(1, 7)]
    assert len({json.dumps(trial.settings) for trial in result.trials}) == 6
    assert result.best.value == max(trial.value for trial in result.trials)
    assert sum(said.startswith("Trial ") for said in notes.sentences) == 6
    model = taxotext.load(tmp_path / "found/model")
    assert model.manifest.metrics["search"]["trial"] == result.best.number
    assert model.settings_().runtime.threads is None  # those of the worker are no setting of the model
    again = train_run(read_yaml(tmp_path / "found/best.yaml"), tmp_path / "again", reporter=Silent())
    texts = list(tiny_corpus().texts)
    assert (again.predict_proba(texts) == model.predict_proba(texts)).all()
    assert sorted(os.listdir(tmp_path / "found")) == ["best.yaml", "model", "search.json", "trials.jsonl"]


def test_each_trial_has_the_metric_that_it_has_alone(values: dict[str, Any], tmp_path: Path) -> None:
    for trial in small(values, tmp_path / "found", trials=4).trials:
        settings = {key.replace(".", "__"): value for key, value in trial.settings.items()}
        model = Classifier("linear", features__min_documents=1, **settings)
        train = taxotext.read_corpus(values["data"]["train"], taxotext.read_taxonomy(values["data"]["taxonomy"]))
        model.fit(train, validation=taxotext.read_corpus(values["data"]["validation"], train.taxonomy))
        assert model.tune(metric="micro_f1").cross_validated == trial.value


def test_settings_at_work_are_not_started_again(values: dict[str, Any], tmp_path: Path) -> None:
    space = {"classifier.loss": ["squared_hinge", "logistic"]}
    result = search(values, tmp_path / "found", space=space, only=True, trials=8, jobs=3)
    fitted = [trial for trial in result.trials if trial.same_as is None]
    assert sorted(trial.settings["classifier.loss"] for trial in fitted) == ["logistic", "squared_hinge"]
    assert len(result.trials) == 8


def test_settings_at_work_count_as_bad_ones() -> None:
    space = {"x": Range(0.0, 1.0)}
    finished = [({"x": number / 30}, -((number / 30 - 0.7) ** 2)) for number in range(31)]
    draws = {}
    for at_work in (0, 12):
        there = [{"x": 0.7} for _ in range(at_work)]
        drawn = [propose(space, finished, at_work=there, seed=3, number=32 + number)["x"] for number in range(20)]
        draws[at_work] = sum(abs(value - 0.7) < 0.03 for value in drawn)
    assert draws[12] < draws[0]


def test_a_killed_search_goes_on_and_repeats_nothing(values: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "found"
    code = f"""
from pathlib import Path
from taxotext.api.search import search
search({values!r}, Path({str(folder)!r}), space={SPACE!r}, only=True, trials=40, jobs=2)
"""
    source = str(Path(taxotext.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    while process.poll() is None and (
        not (folder / "trials.jsonl").is_file() or sum(trial["state"] == "complete" for trial in lines(folder)) < 3
    ):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = lines(folder)
    assert any(trial["state"] == "running" for trial in before)
    complete = [trial for trial in before if trial["state"] == "complete"]
    small(values, folder, trials=len(before) + 1, resume=True)
    after = {trial["number"]: trial for trial in lines(folder)}
    assert len(after) == len(before) + 1
    assert {trial["state"] for trial in after.values()} == {"complete"}
    assert all(after[trial["number"]] == trial for trial in complete)
    assert [after[trial["number"]]["settings"] for trial in before] == [trial["settings"] for trial in before]


def test_trials_that_were_cut_off_are_dropped_where_the_budget_is_smaller_now(
    values: dict[str, Any], tmp_path: Path
) -> None:
    small(values, tmp_path / "found", trials=2)
    path = tmp_path / "found/trials.jsonl"
    first, second = lines(tmp_path / "found")
    cut = {**first, "state": "running", "value": None, "seconds": 0.0}
    path.write_text(json.dumps(cut) + "\n" + json.dumps(second) + "\n")
    result = small(values, tmp_path / "found", trials=1, resume=True)
    assert [trial.number for trial in result.trials] == [2]
    assert taxotext.load(tmp_path / "found/model").manifest.metrics["search"]["trial"] == 2
    grown = small(values, tmp_path / "found", trials=3, resume=True)
    assert [trial.number for trial in grown.trials] == [2, 3, 4]


def test_a_mistake_that_fails_all_trials_ends_the_search_and_leaves_nothing(
    values: dict[str, Any], tmp_path: Path
) -> None:
    wrong = {**values, "features": {"min_documents": 1000}}
    with pytest.raises(TrainingError, match="No feature is left"):
        small(wrong, tmp_path / "found")
    assert not (tmp_path / "found/trials.jsonl").exists()
    small(values, tmp_path / "found", trials=1)


def test_a_trial_that_fails_beside_one_that_does_not_is_reported(values: dict[str, Any], tmp_path: Path) -> None:
    notes = Notes()
    space, given = {"features.min_documents": [2, 1000]}, {"model": "linear", "data": values["data"]}
    result = search(given, tmp_path / "found", space=space, only=True, trials=2, jobs=2, reporter=notes)
    assert sorted(trial.state for trial in result.trials) == ["complete", "failed"]
    failed = next(trial for trial in result.trials if trial.state == "failed")
    assert failed.reason is not None
    assert "No feature is left" in failed.reason
    assert result.best.settings == {"features.min_documents": 2}


def test_documents_that_changed_in_between_are_not_mixed(values: dict[str, Any], tmp_path: Path) -> None:
    corpus = tiny_corpus(60)
    with pytest.raises(DataError, match="The documents have changed since the search began"):
        run_trial(
            model="linear",
            given={"features": {"min_documents": 1}},
            data=values["data"],
            fingerprints=fingerprints_of(corpus, corpus),
            metric="micro_f1",
            number=1,
            settings={},
            threads=1,
            best=None,
            folder=str(tmp_path / "0001"),
        )


def test_the_number_of_jobs_is_checked(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        small(values, tmp_path / "x", jobs=0)
    assert error.value.problems == ("jobs: must be 1 at least (got 0).",)
