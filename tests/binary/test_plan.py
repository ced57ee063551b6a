"""Which fits a label needs, and what each of them is asked: rungs, grids, parents, switches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxotext.binary.plan import CONSTANT, FALLBACK, FIRST_TABLE, SEARCHED, Files, FitPlan, _quality, rungs
from taxotext.labels import Taxonomy
from taxotext.models.gru_att import GruAttSettings
from taxotext.models.htrans import HTransSettings
from taxotext.settings import parse_settings
from taxotext.work import Request

EDGES = [(None, "a"), (None, "b"), ("a", "c"), ("b", "c"), ("c", "d")]
"""c lies under a and b."""


def settings(kind: Any = HTransSettings, **sections: Any) -> Any:
    return parse_settings(kind, sections, "test")


def plan_of(
    given: Any,
    positives: tuple[int, ...] = (20, 30, 10, 5),
    validated: tuple[int, ...] = (5, 5, 3, 2),
    documents: int = 60,
) -> FitPlan:
    taxonomy = Taxonomy.from_edges(EDGES)
    assert taxonomy.ids == ("a", "b", "c", "d")
    return FitPlan(given, taxonomy, np.array(positives), np.array(validated), documents, Files(Path("run")))


def chosen(f1: float = 0.5, **more: Any) -> dict[str, Any]:
    """The result of the choice for a label that trained its word vectors."""
    return {"how": SEARCHED, "f1": f1, "weight": 3.0, "epoch": 4, "table": FIRST_TABLE, **more}


def request(plan: FitPlan, key: str, results: Mapping[str, Any]) -> Mapping[str, Any]:
    found = plan.graph[key].start(results)
    assert isinstance(found, Request)
    assert found.task == "binary"
    return found.arguments


# -- rungs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "epochs", "expected"),
    [
        ({}, 10, [(7, 2), (3, 5), (1, 10)]),  # 7 -> 7/3 rounded up -> 3/3
        ({"search": "grid"}, 10, [(7, 10)]),
        ({"factor": 2.0}, 10, [(7, 2), (4, 5), (2, 10)]),
        ({"rungs": [2, 5, 8]}, 10, [(7, 2), (3, 5), (1, 10)]),  # with one weight left nothing is compared
        ({"rungs": [2, 10]}, 10, [(7, 2), (3, 10)]),  # no rung at the end
        ({"rungs": [12]}, 10, [(7, 10)]),
        ({"candidates": [1.0]}, 10, [(1, 10)]),
        ({"candidates": [1.0, 5.0], "rungs": [1]}, 3, [(2, 1), (1, 3)]),
    ],
)
def test_rungs(weights: dict[str, Any], epochs: int, expected: list[tuple[int, int]]) -> None:
    assert rungs(settings(weights=weights, training={"epochs": epochs})) == expected


def report(weight: float, f1: float, average_precision: float) -> dict[str, float]:
    return {"weight": weight, "f1": f1, "average_precision": average_precision}


def test_halving_plans_the_fits_of_all_rungs_and_a_choice_for_each_label() -> None:
    plan = plan_of(settings())
    fits = [f"0.{rung}.{place}" for rung, count in enumerate((7, 3, 1)) for place in range(count)]
    assert [key for key in plan.epochs if key.startswith("0.")] == fits
    assert [plan.epochs[key] for key in fits] == [2] * 7 + [3] * 3 + [5]
    assert len(plan.graph) == 4 * (11 + 1)
    assert plan.graph["0.0.3"].needs == ()
    assert set(plan.graph["0.1.2"].needs) == set(fits[:7])
    assert set(plan.graph["0.2.0"].needs) == set(fits[7:10])
    assert set(plan.graph["0"].needs) == set(fits)
    assert plan.graph["2.0.0"].needs == ("0", "1")  # both parents: which one is decided when they are done
    assert plan.graph["3.0.0"].needs == ("2",)


def test_a_grid_trains_each_weight_to_its_end() -> None:
    plan = plan_of(settings(weights={"search": "grid"}))
    assert plan.epochs == {f"{label}.0.{place}": 10 for label in range(4) for place in range(7)}
    found = request(plan, "0.0.6", {})
    assert found["weight"] == 50.0
    assert found["until"] == 10
    assert found["select"]


def test_the_better_ones_go_on_from_their_own_states_and_ties_go_to_the_smaller_weight() -> None:
    plan = plan_of(settings())
    weights = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 50.0)
    scores = (0.1, 0.5, 0.2, 0.5, 0.9, 0.2, 0.1)
    first = {f"0.0.{place}": report(weights[place], scores[place], 0.5) for place in range(7)}
    second = [request(plan, f"0.1.{place}", first) for place in range(3)]
    assert [found["weight"] for found in second] == [10.0, 2.0, 5.0]
    assert [Path(found["state"]).name for found in second] == [f"0.{n}.safetensors" for n in (4, 1, 3)]
    assert {found["until"] for found in second} == {5}
    third = {f"0.1.{place}": report(found["weight"], 0.7, 0.5) for place, found in enumerate(second)}
    last = request(plan, "0.2.0", third)
    assert (last["weight"], last["until"]) == (2.0, 10)
    assert last["state"] == second[1]["state"]


def test_of_equal_f1_the_better_ranking_goes_on() -> None:
    plan = plan_of(settings())
    weights, precisions = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 50.0), (0.1, 0.1, 0.2, 0.1, 0.4, 0.3, 0.2)
    first = {f"0.0.{place}": report(weights[place], 0.0, precisions[place]) for place in range(7)}
    assert [request(plan, f"0.1.{place}", first)["weight"] for place in range(3)] == [10.0, 30.0, 3.0]


# -- labels that cannot be searched --------------------------------------------------------------------------------


def test_labels_without_or_with_all_documents_are_constant_and_need_no_fit() -> None:
    plan = plan_of(settings(), positives=(60, 30, 0, 5))
    assert [plan.how(label) for label in range(4)] == [CONSTANT, SEARCHED, CONSTANT, SEARCHED]
    assert not [key for key in plan.epochs if key.startswith(("0.", "2."))]
    result = plan.graph["2"].start({"0": chosen(how=CONSTANT), "1": chosen()})
    assert isinstance(result, Mapping)
    assert (result["how"], result["fits"], result["seconds"]) == (CONSTANT, 0, 0.0)


def test_labels_with_too_few_documents_take_over_weight_and_epoch_of_their_parent() -> None:
    plan = plan_of(settings(), positives=(20, 30, 1, 5), validated=(5, 5, 3, 0))
    assert [plan.how(label) for label in range(4)] == [
        SEARCHED,
        SEARCHED,
        FALLBACK,
        FALLBACK,
    ]  # one document; none to validate on
    assert plan.epochs["2.0.0"] == 10
    found = request(plan, "2.0.0", {"0": chosen(0.2), "1": chosen(0.8, weight=30.0, epoch=7)})
    assert (found["weight"], found["until"], found["select"]) == (30.0, 7, False)
    none_kept = request(plan, "2.0.0", {"0": chosen(0.2), "1": chosen(0.8, epoch=0)})
    assert none_kept["until"] == 1
    own = plan_of(settings(training={"split": "own"}), validated=(5, 5, 3, 0))
    assert own.how(3) == SEARCHED  # it holds out documents of its own


def test_a_fallback_without_parent_takes_the_first_weight_and_all_epochs() -> None:
    plan = plan_of(settings(), positives=(1, 30, 10, 5))
    found = request(plan, "0.0.0", {})
    assert (found["weight"], found["until"], found["start"], found["select"]) == (1.0, 10, None, False)


# -- parents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "scores", "parent"),
    [
        ("best", (0.4, 0.6), "1"),
        ("best", (0.6, 0.4), "0"),
        ("best", (0.5, 0.5), "0"),
        ("largest", (0.6, 0.4), "1"),
        ("first", (0.4, 0.6), "0"),
    ],
)
def test_of_several_parents_one_hands_down(rule: str, scores: tuple[float, float], parent: str) -> None:
    plan = plan_of(settings(transfer={"parent": rule, "inherit": "selected"}))
    found = request(plan, "2.0.0", {"0": chosen(scores[0], table=0), "1": chosen(scores[1], table=1)})
    assert Path(found["start"]).name == f"{parent}.safetensors"
    assert Path(found["table"]).name == f"{parent}.table.npy"


@pytest.mark.parametrize("rule", ["best", "largest", "first"])
def test_a_parent_without_classifier_hands_nothing_down(rule: str) -> None:
    plan = plan_of(settings(transfer={"parent": rule, "inherit": "selected"}), positives=(0, 30, 10, 5))
    found = request(plan, "2.0.0", {"0": chosen(0.9, how=CONSTANT), "1": chosen(0.1)})
    assert Path(found["start"]).name == "1.safetensors"
    orphan = plan_of(settings(), positives=(0, 60, 10, 5))
    found = request(orphan, "2.0.0", {"0": chosen(how=CONSTANT), "1": chosen(how=CONSTANT)})
    assert found["start"] is None
    assert Path(found["table"]).name == "table.npy"
    assert found["train_table"]  # it starts from random weights, as a label at the top does


# -- switches ------------------------------------------------------------------------------------------------------


def test_word_vectors_are_trained_at_the_top_and_frozen_below_when_asked() -> None:
    plan = plan_of(settings(transfer={"freeze_embeddings": True}))
    assert request(plan, "0.0.0", {})["train_table"]
    above = {"0": chosen(table=0), "1": chosen(0.1, table=1)}
    found = request(plan, "2.0.0", above)
    assert not found["train_table"]
    assert Path(found["table"]).name == "0.table.npy"
    thawed = plan_of(settings())
    assert request(thawed, "2.0.0", above)["train_table"]
    fixed = plan_of(settings(encoder={"train_embeddings": False}))
    assert not request(fixed, "0.0.0", {})["train_table"]
    assert not request(fixed, "2.0.0", {"0": chosen(), "1": chosen()})["train_table"]


@pytest.mark.parametrize("given", [settings(GruAttSettings), settings(transfer={"enabled": False})])
def test_without_transfer_no_label_waits_for_another(given: Any) -> None:
    plan = plan_of(given)
    assert plan.graph["2.0.0"].needs == ()
    found = request(plan, "3.0.0", {})
    assert (found["start"], found["train_table"]) == (None, True)
    assert Path(found["table"]).name == "table.npy"


def test_of_equal_f1_the_higher_average_precision_is_kept_then_the_smaller_weight() -> None:
    reports = [report(1, 0.0, 0.1), report(50, 0.0, 0.3), report(10, 0.0, 0.3), report(3, 0.0, 0.2)]
    assert [one["weight"] for one in sorted(reports, key=_quality, reverse=True)] == [10, 50, 3, 1]
    assert max([*reports, report(2, 0.1, 0.0)], key=_quality)["weight"] == 2
