"""What onlookers see of a training along the taxonomy, from files written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taxotext.binary import overview
from taxotext.binary.fits import Ledger
from taxotext.binary.overview import FitsFollower, finished_fits, write_at_work, write_overview
from taxotext.binary.plan import CONSTANT, FALLBACK, SEARCHED
from taxotext.labels import Taxonomy

NOW = 1000.0
TAXONOMY = Taxonomy.from_edges([(None, "a"), (None, "b"), ("a", "c"), ("b", "c")], names={"c": "Cee"})
EPOCHS = {f"{label}.{fit}": epochs for label in range(3) for fit, epochs in (("0.0", 2), ("0.1", 2), ("1.0", 3))}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview.time, "time", lambda: NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a is chosen, one fit of b is done and one at work, c waits for both."""
    write_overview(tmp_path, TAXONOMY, [SEARCHED] * 3, EPOCHS, 2, inherits=True)
    ledger = Ledger(tmp_path / "done")
    ledger.write("0.0.0", report(1.0, epochs=2, seconds=4.0))
    ledger.write("0.0.1", report(5.0, epochs=2, seconds=4.0))
    ledger.write("0.1.0", report(5.0, epochs=4, seconds=8.0))  # of 5: the score had stopped rising
    ledger.write("0", chosen())
    ledger.write("1.0.0", report(1.0, epochs=2, seconds=6.0))
    write_at_work(tmp_path, {"1.0.1": NOW - 1, "0.0.0": NOW - 50})  # the latter is done by now
    return tmp_path


def report(weight: float, **figures: Any) -> dict[str, Any]:
    return {"weight": weight, "f1": 0.5, **figures}


def chosen(**more: Any) -> dict[str, Any]:
    return {"how": SEARCHED, "parent": None, "weight": 5.0, "f1": 0.8, "epoch": 3, **more}


def test_states_figures_and_totals(folder: Path) -> None:
    found = FitsFollower(folder).look(working=True)
    assert found is not None
    a, b, c = found.labels
    assert (a.state, a.weight, a.f1, a.epoch, a.fits_done, a.fits) == ("done", 5.0, 0.8, 3, 3, 3)
    assert (a.epochs_done, a.epochs, a.seconds) == (2 + 4, 7, 4.0 + 8.0)  # the second rung tells of the first as well
    assert (b.state, b.weight, b.f1, b.since, b.fits_done, b.epochs_done) == ("at work", None, None, NOW - 1, 1, 2)
    assert (c.state, c.parents, c.level, c.name, c.epochs_done) == ("waiting", ("a", "b"), 2, "Cee", 0)
    assert (found.fits_done, found.fits_at_work, found.fits, found.processes) == (4, 1, 9, 2)
    assert (found.epochs_done, found.epochs, found.epochs_spared, found.seconds) == (8, 21, 1, 18.0)
    assert found.levels() == [
        {"level": 1, "labels": 2, "waiting": 0, "begun": 0, "at work": 1, "done": 1, "mean_f1": 0.8},
        {"level": 2, "labels": 1, "waiting": 1, "begun": 0, "at work": 0, "done": 0, "mean_f1": None},
    ]


def test_the_time_left_is_that_of_the_longest_chain_or_of_the_work_shared(folder: Path) -> None:
    # 18 s for 8 epochs: 2.25 s each. b: 2 epochs at work for 1 s, then 3; c: the longest of its first rung, then 3.
    b, c = (2 * 2.25 - 1) + 3 * 2.25, (2 + 3) * 2.25
    found = FitsFollower(folder).look(working=True)
    assert found is not None
    assert found.seconds_left == round(b + c, 1) == 21.5
    # Nothing is at work any more; b is at its full length again.
    interrupted = FitsFollower(folder).look(working=False)
    assert interrupted is not None
    assert interrupted.labels[1].state == "begun"
    assert interrupted.seconds_left == round(b + 1 + c, 1)
    # Where nobody waits for parents, two processes share the work: 5 epochs of b and 7 of c.
    write_overview(folder, TAXONOMY, [SEARCHED] * 3, EPOCHS, 1, inherits=False)
    alone = FitsFollower(folder).look(working=False)
    assert alone is not None
    assert alone.seconds_left == round((5 + 7) * 2.25, 1)


def test_labels_below_the_top_have_a_pace_of_their_own(folder: Path) -> None:
    ledger = Ledger(folder / "done")
    ledger.write("1", chosen())
    for key in ("1.0.1", "1.1.0"):
        ledger.write(key, report(5.0 if key == "1.0.1" else 1.0, epochs=2, seconds=6.0))
    ledger.write("2.0.0", report(1.0, epochs=2, seconds=1.0))
    found = FitsFollower(folder).look(working=False)
    assert found is not None
    assert found.seconds_left == (2 + 3) * 0.5


def test_nothing_is_known_before_the_first_epoch_and_nothing_is_left_behind_the_last(tmp_path: Path) -> None:
    follower = FitsFollower(tmp_path)
    assert follower.look(working=True) is None
    write_overview(tmp_path, TAXONOMY, [CONSTANT, SEARCHED, FALLBACK], {"1.0.0": 3, "2.0.0": 4}, 2, inherits=True)
    found = follower.look(working=True)
    assert found is not None
    assert (found.seconds_left, found.fits_done) == (None, 0)
    ledger = Ledger(tmp_path / "done")
    ledger.write("0", {"how": CONSTANT, "parent": None, "weight": 1.0, "f1": 0.0, "epoch": 0})
    ledger.write("1.0.0", report(2.0, epochs=3, seconds=1.5))
    ledger.write("2.0.0", report(2.0, epochs=4, seconds=2.0))
    ledger.write("1", chosen(weight=2.0))
    ledger.write("2", chosen(weight=2.0, how=FALLBACK, parent=1))
    found = follower.look(working=True)
    assert found is not None
    assert found.seconds_left == 0.0
    assert [one.how for one in found.labels] == [CONSTANT, SEARCHED, FALLBACK]
    assert (found.labels[0].weight, found.labels[0].f1) == (None, None)  # there is no classifier
    assert found.labels[2].inherits_from == "b"


def test_a_follower_reads_what_is_done_once_and_notices_another_training(folder: Path) -> None:
    follower = FitsFollower(folder)
    follower.look(working=True)
    (folder / "done/0.0.0.json").write_text("{damaged since")
    found = follower.look(working=True)
    assert found is not None
    assert found.labels[0].fits_done == 3
    for path in (folder / "done").iterdir():
        path.unlink()
    found = follower.look(working=True)
    assert found is not None
    assert found.fits_done == 0


@pytest.mark.parametrize(
    "content", ["{cut", "[]", "{}", '{"taxonomy": 3, "how": [], "epochs": {}, "processes": 1, "inherits": true}']
)
def test_a_damaged_overview_is_no_overview(content: str, folder: Path) -> None:
    (folder / overview.OVERVIEW).write_text(content)
    assert FitsFollower(folder).look(working=True) is None


@pytest.mark.parametrize("content", ['{"1.0.1": "x"}', '{"1.0.1": null}', "3"])
def test_a_damaged_note_of_what_is_at_work_is_no_traceback(content: str, folder: Path) -> None:
    (folder / overview.AT_WORK).write_text(content)
    FitsFollower(folder).look(working=True)


@pytest.mark.parametrize("content", ['{"epochs": "x"}', '{"parent": 9, "how": "searched"}', '{"weight": []}'])
def test_a_damaged_result_is_no_traceback(content: str, folder: Path) -> None:
    (folder / "done/2.json").write_text(content)
    (folder / "done/2.0.0.json").write_text(content)
    FitsFollower(folder).look(working=True)


def test_a_finished_model_tells_the_same_without_a_run() -> None:
    fit = {"fits": 3, "epochs": 6, "seconds": 12.0}
    fits = [chosen(**fit), chosen(**fit, f1=0.2), chosen(**fit, how=FALLBACK, parent=1)]
    found = finished_fits(TAXONOMY, json.loads(json.dumps(fits)))
    assert [one.state for one in found.labels] == ["done"] * 3
    assert [one.inherits_from for one in found.labels] == [None, None, "b"]
    assert (found.fits, found.fits_done, found.epochs_done, found.epochs, found.seconds) == (9, 9, 18, None, 36.0)
    assert found.seconds_left == 0.0
