"""Progress of a training of many fits, from files written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taxotext.binary import overview
from taxotext.binary.overview import Counts, finished_fits, read_progress, write_at_work, write_overview
from taxotext.binary.plan import CONSTANT, FALLBACK, SEARCHED
from taxotext.work import Ledger

EPOCHS = {f"{label}.{fit}": epochs for label in range(3) for fit, epochs in (("0.0", 2), ("0.1", 2), ("1.0", 3))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a is chosen, one fit of b is done and one is running, c waits for both."""
    write_overview(tmp_path, ["a", "b", "c"], EPOCHS, 2)
    ledger = Ledger(tmp_path / "done")
    ledger.write("0.0.0", report(1.0, epochs=2, seconds=4.0))
    ledger.write("0.0.1", report(5.0, epochs=2, seconds=4.0))
    ledger.write("0.1.0", report(5.0, epochs=4, seconds=8.0))  # of 5: the score had stopped rising
    ledger.write("0", chosen())
    ledger.write("1.0.0", report(1.0, epochs=2, seconds=6.0))
    write_at_work(tmp_path, ["1.0.1", "0.0.0"])  # the latter is done by now
    return tmp_path


def report(weight: float, **metrics: Any) -> dict[str, Any]:
    return {"weight": weight, "f1": 0.5, **metrics}


def chosen(**more: Any) -> dict[str, Any]:
    return {"how": SEARCHED, "parent": None, "weight": 5.0, "f1": 0.8, "epoch": 3, **more}


def test_counts_weights_and_totals(folder: Path) -> None:
    found = read_progress(folder, working=True)
    assert found is not None
    assert found.labels == Counts(done=1, at_work=1, planned=3)
    assert found.fits == Counts(done=4, at_work=1, planned=9)
    # The report of the second rung counts the epochs and seconds of the first as well.
    assert (found.epochs_done, found.epochs, found.seconds) == (2 + 4 + 2, 21, 4.0 + 8.0 + 6.0)
    assert found.weights == {"a": 5.0}
    assert found.processes == 2


def test_without_a_process_nothing_is_at_work(folder: Path) -> None:
    found = read_progress(folder, working=False)
    assert found is not None
    assert found.labels == Counts(done=1, at_work=0, planned=3)
    assert found.fits.at_work == 0


def test_the_time_left_is_shared_among_processes_and_counts_on_as_much_early_stopping_as_before(folder: Path) -> None:
    found = read_progress(folder, working=True)
    assert found is not None
    # 18 s for fits of 9 planned epochs, 12 of 21 planned epochs are left for two processes.
    assert found.seconds_left == 18 / 9 * 12 / 2
    # The last fit has one process only.
    ledger = Ledger(folder / "done")
    for key in ("1.0.1", "1.1.0", "2.0.0", "2.0.1"):
        ledger.write(key, report(float(key[0]) + 10, epochs=0, seconds=0.0))
    found = read_progress(folder, working=True)
    assert found is not None
    assert found.seconds_left == round(18 / 18 * 3, 1)


def test_nothing_is_known_before_the_first_fit_and_nothing_is_left_after_the_last(tmp_path: Path) -> None:
    assert read_progress(tmp_path, working=True) is None
    write_overview(tmp_path, ["a", "b", "c"], {"1.0.0": 3, "2.0.0": 4}, 2)
    found = read_progress(tmp_path, working=True)
    assert found is not None
    assert (found.seconds_left, found.fits.done) == (None, 0)
    ledger = Ledger(tmp_path / "done")
    ledger.write("0", {"how": CONSTANT, "parent": None, "weight": 1.0, "f1": 0.0, "epoch": 0})
    ledger.write("1.0.0", report(2.0, epochs=3, seconds=1.5))
    ledger.write("2.0.0", report(2.0, epochs=4, seconds=2.0))
    ledger.write("1", chosen(weight=2.0))
    ledger.write("2", chosen(weight=2.0, how=FALLBACK, parent=1))
    found = read_progress(tmp_path, working=True)
    assert found is not None
    assert found.seconds_left == 0.0
    assert found.weights == {"b": 2.0, "c": 2.0}  # a has no classifier


@pytest.mark.parametrize("content", ["{cut", "[]", "{}", '{"labels": 3, "epochs": {}, "processes": 1}'])
def test_a_damaged_plan_is_no_plan(content: str, folder: Path) -> None:
    (folder / overview.OVERVIEW).write_text(content)
    assert read_progress(folder, working=True) is None


@pytest.mark.parametrize("content", ['{"fits": ["x"]}', '{"fits": []}', "{}", "3", "{"])
def test_a_damaged_note_of_what_is_running_counts_nothing(content: str, folder: Path) -> None:
    (folder / overview.AT_WORK).write_text(content)
    found = read_progress(folder, working=True)
    assert found is not None
    assert found.fits.at_work == 0


@pytest.mark.parametrize("name", ["2.json", "2.0.0.json"])
@pytest.mark.parametrize("content", ['{"epochs": "x"}', '{"weight": []}', '{"how": "searched"}'])
def test_a_damaged_result_is_no_traceback(content: str, name: str, folder: Path) -> None:
    (folder / "done" / name).write_text(content)
    assert read_progress(folder, working=True) is None


def test_a_finished_model_counts_its_fits() -> None:
    fit = {"fits": 3, "epochs": 6, "seconds": 12.0}
    fits = [chosen(**fit), chosen(**fit, weight=30.0), chosen(**fit, how=FALLBACK, parent=1), chosen(**fit)]
    fits[3] = {**fits[3], "how": CONSTANT, "fits": 0, "epochs": 0, "seconds": 0.0}
    found = finished_fits(["a", "b", "c", "d"], fits)
    assert found.labels == Counts(4, 0, 4)
    assert found.fits == Counts(9, 0, 9)
    assert (found.epochs_done, found.epochs, found.seconds, found.seconds_left) == (18, None, 36.0, 0.0)
    assert found.weights == {"a": 5.0, "b": 30.0, "c": 5.0}
    assert found.labels_by_weight() == {5.0: 2, 30.0: 1}
