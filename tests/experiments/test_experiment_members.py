"""Systems that are made of other systems of the experiment: order, reuse, failure, plan, and what they may name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import taxotext
from lab import SYSTEMS, Lab, Notes
from taxotext.errors import ConfigError
from taxotext.experiments.cell_process import FIT
from taxotext.experiments.members import members_first
from taxotext.experiments.probing import Estimate, plan_experiment
from taxotext.experiments.runner import _PlannedCells, run_experiment
from taxotext.files.json_files import read_json_or_none
from taxotext.progress import Silent

MIXED = {"model": "mixed", "members": ["linear", "loose"]}
GIVEN: dict[str, Any] = {"systems": {"mixed": MIXED, **SYSTEMS}, "seeds": [1], "speed": False}


def problems(lab: Lab, **changes: Any) -> str:
    with pytest.raises(ConfigError) as error:
        lab.settings(**changes)
    return "\n".join(error.value.problems)


def with_mixed(**entry: Any) -> dict[str, Any]:
    return {"systems": {**SYSTEMS, "mixed": {"model": "mixed", **entry}}}


def test_a_mixture_waits_for_its_members_and_uses_their_models(lab: Lab, output: Path) -> None:
    folder = lab.compute(output, [FIT], **{**GIVEN, "systems": {**SYSTEMS, "mixed": MIXED}})
    first = lab.cells(**GIVEN)
    facts = (read_json_or_none(folder.folder_of(first[0]).fit) or {})["facts"]
    assert facts["mixture_documents"] == 60  # linear cross-fits: no member saw a document in training
    for cell in first:
        folder.folder_of(cell).forget_model()

    # Another mixture needs models that were not kept: its members are run again, before it, and the first one is not.
    top = {**MIXED, "settings": {"combine": "max"}}
    settings = lab.settings(**{**GIVEN, "systems": {"top": top, **GIVEN["systems"]}, "jobs": 2})
    seen = Notes()
    outcome = run_experiment(settings, output, seen, resume=True)
    assert (outcome.failed, outcome.reused) == ({}, 1)
    assert sorted(title.split(",")[0] for title, _, _ in seen.ends[:2]) == ["linear", "loose"]
    assert [title for title, _, _ in seen.ends[2:]] == ["top, tiny, seed 1"]  # last, though it is the first of the file
    again = "linear, tiny, seed 1: its model was not kept, and top, tiny, seed 1 needs it; it is run again."
    assert again in seen.notes
    loaded = taxotext.load(folder.folder_of(outcome.cells[0]).model)
    assert [member.settings.classifier.c for member in loaded.system.members] == [0.5, 30.0]

    # Where models are not kept, those of members go when no mixture waits for them any more.
    run_experiment(settings.model_copy(update={"keep_models": False}), output, Notes(), resume=True)
    assert not any(folder.folder_of(cell).model.exists() for cell in outcome.cells)


def test_models_of_members_stay_while_a_mixture_is_not_fitted(lab: Lab, output: Path) -> None:
    given: dict[str, Any] = {**GIVEN, "systems": {**SYSTEMS, "mixed": MIXED}, "keep_models": False}
    folder = lab.compute(output, [FIT], **{**given, "systems": SYSTEMS})
    planned = _PlannedCells(folder, lab.cells(**given), lab.settings(**given))
    for cell in planned.cells:
        planned.tidy(cell)
    assert all(folder.folder_of(cell).model.is_dir() for cell in planned.cells[:2])


def test_a_mixture_of_a_failed_member_fails_with_its_reason_and_the_rest_stays(lab: Lab, output: Path) -> None:
    lab.compute(output, [FIT], **{**GIVEN, "systems": {"linear": SYSTEMS["linear"]}})
    wrong = {"model": "linear", "settings": {"features": {"min_documents": 1000}}}
    systems = {"linear": SYSTEMS["linear"], "loose": wrong, "mixed": MIXED}
    seen = Notes()
    outcome = run_experiment(lab.settings(**{**GIVEN, "systems": systems}), output, seen, resume=True)
    assert set(outcome.failed) == {"loose, tiny, seed 1", "mixed, tiny, seed 1"}
    reason = outcome.failed["mixed, tiny, seed 1"]
    assert reason == f"its member failed: loose, tiny, seed 1: {outcome.failed['loose, tiny, seed 1']}"
    assert seen.shown[-1].counts["finished"] == 1


def test_the_key_of_a_mixture_follows_from_its_members(lab: Lab) -> None:
    mixed, *_ = lab.cells(**GIVEN)
    assert lab.cells(**GIVEN)[0].key == mixed.key
    other = {"linear": SYSTEMS["linear"], "loose": {"model": "linear", "settings": {"classifier": {"c": 3}}}}
    assert lab.cells(**{**GIVEN, "systems": {"mixed": MIXED, **other}})[0].key != mixed.key
    turned = {**GIVEN["systems"], "mixed": {**MIXED, "members": ["loose", "linear"]}}
    assert lab.cells(**{**GIVEN, "systems": turned})[0].key != mixed.key


def test_a_plan_adds_up_the_scoring_of_members_finished_or_not(
    lab: Lab, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def trial(system: str, corpus: str, count: int, *_: Any) -> Estimate:
        tried.append(system)
        return Estimate(system, corpus, count, 100.0, 10**9, 5, 5, 1, "", scoring=4.0 + len(tried))

    monkeypatch.setattr("taxotext.experiments.probing._estimate", trial)
    plan = plan_experiment(lab.settings(**GIVEN), Silent())
    assert tried == ["linear", "loose"]
    cost = {one.system: (one.seconds, one.memory) for one in plan.estimates}
    assert cost == {"linear": (100.0, 10**9), "loose": (100.0, 10**9), "mixed": (5.0 + 6.0, 2 * 10**9)}
    lab.compute(output, [FIT], **{**GIVEN, "systems": SYSTEMS})
    plan = plan_experiment(lab.settings(**GIVEN), Silent(), output=output)
    assert [(one.system, one.cells, one.seconds) for one in plan.estimates] == [("mixed", 1, 7.0 + 8.0)]

    def fails(system: str, corpus: str, count: int, *_: Any) -> Estimate:
        return Estimate(system, corpus, count, None, None, 0, 0, 0, "no such file")

    monkeypatch.setattr("taxotext.experiments.probing._estimate", fails)
    advice = plan_experiment(lab.settings(**GIVEN), Silent()).advice()
    assert "mixed on tiny will fail: its member linear fails: no such file" in advice


def test_a_missing_model_of_a_member_is_a_sentence(lab: Lab, output: Path) -> None:
    folder = lab.compute(output, [FIT], **{**GIVEN, "systems": {**SYSTEMS, "mixed": MIXED}})
    cells = lab.cells(**GIVEN)
    shutil.rmtree(folder.folder_of(cells[1]).model)
    with pytest.raises(taxotext.errors.DataError, match=r"the model of its member \w+ is missing in .*; resume"):
        folder.folder_of(cells[0]).values_of(cells[0])


def test_what_cannot_be_a_member_is_said_together(lab: Lab) -> None:
    assert "systems.mixed.members: 0 given; name two or more systems of this experiment." in problems(
        lab, **with_mixed()
    )
    found = problems(lab, **with_mixed(members=["linear", "lose"]))
    assert "systems.mixed.members.1: there is no system 'lose'. Did you mean 'loose'?" in found
    assert "'mixed' would be a member of itself" in problems(lab, **with_mixed(members=["linear", "mixed"]))
    assert "systems.mixed.members: a system is duplicated" in problems(lab, **with_mixed(members=["linear", "linear"]))
    both = with_mixed(members=["linear", "loose"], settings={"members": ["a", "b"]})
    assert "the settings name folders as members; leave one of the two out" in problems(lab, **both)
    taken = {"systems": {**SYSTEMS, "loose": {**SYSTEMS["loose"], "members": ["linear"]}}}
    assert "systems.loose.members: only systems that are made of others (mixed)" in problems(lab, **taken)
    seeds = with_mixed(members=["linear", "loose"], seeds=[1, 3, 4])
    assert "members.1: 'loose' is not run on tiny with seed 3 and 1 more, and 'mixed' is" in problems(lab, **seeds)
    excluded = {**with_mixed(members=["linear", "loose"]), "exclude": [{"system": "loose", "seed": 2}]}
    found = problems(lab, **excluded)
    assert "'loose' is not run on tiny with seed 2, and 'mixed' is; give both the same seeds" in problems(
        lab, **excluded
    )


def test_folders_may_still_be_members(lab: Lab, tmp_path: Path) -> None:
    settings = {"members": [str(tmp_path / "a"), str(tmp_path / "b")]}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}", encoding="utf-8")
    assert lab.settings(**with_mixed(settings=settings)).systems["mixed"].members == ()


def test_mixtures_of_mixtures_come_last() -> None:
    members = {"all": ("mixed", "c"), "mixed": ("a", "b")}
    cells = [(system, "x", 1) for system in ("all", "mixed", "a", "b", "c")]
    assert [cell[0] for cell in members_first(cells, members)] == ["a", "b", "mixed", "c", "all"]
