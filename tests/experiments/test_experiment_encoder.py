"""A cell with a network: trained, resumed, measured, and tried before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from taxotext.experiments.cell_process import FIT, SPEED
from taxotext.experiments.folder import CellFolder
from taxotext.experiments.measuring import measure_speed, spread
from taxotext.experiments.probing import Estimate, ExperimentPlan, makespan
from taxotext.experiments.worker import DONE, INTERRUPTED, probe_cell, run_stage
from taxotext.files.json_files import read_json_or_none
from taxotext.progress import Silent
from tiny import tiny_settings


@pytest.fixture
def given(tiny_encoder: Path) -> dict[str, Any]:
    settings = tiny_settings("bert", tiny_encoder, training={"epochs": 4, "checkpoint_minutes": 0})
    settings.pop("seed")
    settings["runtime"].pop("threads")
    return {"systems": {"bert": {"model": "bert", "settings": settings}}, "baseline": None, "seeds": [3]}


def test_an_interrupted_cell_goes_on_and_answers_as_if_undisturbed(
    lab: Lab, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = lab.cells(**given)
    calm, disturbed = CellFolder(tmp_path / "calm"), CellFolder(tmp_path / "disturbed")
    for place in (calm, disturbed):
        place.prepare(cell, {"documents": 4, "seconds": 0.01})
    assert run_stage(calm, FIT) == DONE

    from taxotext.training.callbacks import EpochCallback

    ended = EpochCallback._end_epoch

    def interrupt(self: Any, *arguments: Any) -> None:
        ended(self, *arguments)
        self.interrupted = len(self.history) == 2

    with monkeypatch.context() as patch:
        patch.setattr(EpochCallback, "_end_epoch", interrupt)
        assert run_stage(disturbed, FIT) == INTERRUPTED
    assert not disturbed.fit.exists()
    assert run_stage(disturbed, FIT) == DONE
    assert calm.predictions.read_bytes() == disturbed.predictions.read_bytes()
    first, second = read_json_or_none(calm.fit), read_json_or_none(disturbed.fit)
    assert first is not None
    assert second is not None
    assert (first["attempts"], second["attempts"]) == (1, 2)
    assert first["parameters"] == second["parameters"] > 1000
    assert first["selected"] == second["selected"]
    assert first["metrics"]["micro_f1"] == second["metrics"]["micro_f1"]
    assert second["train_seconds"] > 0
    assert run_stage(calm, SPEED) == DONE
    speed = read_json_or_none(calm.speed)
    assert speed is not None
    assert 0 < speed["batch_1"]["p50_ms"] <= speed["batch_1"]["p95_ms"]
    assert speed["peak_memory"] > 20e6


def test_a_trial_counts_epochs_and_documents(lab: Lab, given: dict[str, Any]) -> None:
    (cell,) = lab.cells(**given)
    found = probe_cell(cell, Silent())
    assert (found["epochs"], found["documents"]) == (4, 54)  # a tenth of 60 is held out
    assert found["tried"] == 54
    assert 0 < found["scoring"] < found["seconds"]
    assert found["memory"] > 20e6


# -- pieces ----------------------------------------------------------------------------------------------------------


def test_speed_is_a_document_s_share_of_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("taxotext.experiments.measuring.time.perf_counter", lambda: clock[0])
    sizes: list[int] = []

    def predict(batch: list[str]) -> None:
        sizes.append(len(batch))
        clock[0] += 0.010 + 0.001 * len(batch)  # 10 ms a call and 1 ms a document

    found = measure_speed(predict, ["text"] * 64, 1e9, lambda _: None)
    assert found["batch_1"] == pytest.approx({"p50_ms": 11.0, "p95_ms": 11.0, "batches": 64})
    assert found["batch_32"] == pytest.approx({"p50_ms": 42 / 32, "p95_ms": 42 / 32, "batches": 3})
    assert found["documents_per_second"] == pytest.approx(64 / 0.074)
    assert sizes[:67] == [1] * 67  # three to warm up
    assert sizes[67:73] == [32] * 6


def test_texts_are_taken_evenly() -> None:
    texts = [str(number) for number in range(10)]
    assert spread(texts, 4) == ["0", "3", "6", "9"]
    assert spread(texts, 20) == texts


def test_a_plan_warns_of_memory_and_of_trials_that_failed() -> None:
    assert makespan([4, 3, 2, 1], jobs=2) == 5.0
    failed = Estimate("a", "x", 1, None, None, 0, 0, 0, "no such file")
    plan = ExperimentPlan([failed], 1, 0, 2, 500, 0.0, 0.0, 8 * 10**9, 6 * 10**9, 0.0)
    advice = "\n".join(plan.advice())
    assert "2 jobs may need 8.0 GB together and 6.0 GB are free: lower jobs" in advice
    assert "jobs x threads is 1000" in advice
    assert "a on x will fail: no such file" in advice
