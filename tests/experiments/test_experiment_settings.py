"""EXPERIMENT.yaml: what cells it means, and all that can be wrong in it, in one list."""

from __future__ import annotations

from typing import Any

import pytest

from lab import Lab
from taxotext.errors import ConfigError
from taxotext.experiments.settings import ExperimentSettings, known_metrics, parse_experiment
from taxotext.settings import overlaid

SYSTEMS = {"a": {"model": "linear"}, "b": {"model": "linear", "seeds": [7]}}
CORPORA = {name: {"train": f"{name}.jsonl", "test": f"{name}-test.jsonl"} for name in ("x", "y")}


def parsed(**changes: Any) -> ExperimentSettings:
    return parse_experiment({"systems": SYSTEMS, "corpora": CORPORA, "seeds": [1, 2], **changes}, "e.yaml")


def problems(**changes: Any) -> str:
    with pytest.raises(ConfigError) as error:
        parsed(**changes)
    assert "in the experiment" in error.value.message
    return "\n".join(error.value.problems)


def test_cells_are_systems_by_seeds_by_corpora_and_a_system_may_have_its_own_seeds() -> None:
    assert parsed().triples() == [
        ("a", "x", 1),
        ("a", "x", 2),
        ("b", "x", 7),
        ("a", "y", 1),
        ("a", "y", 2),
        ("b", "y", 7),
    ]


def test_excluded_cells_are_left_out() -> None:
    chosen = parsed(exclude=[{"system": "b"}, {"corpus": "y", "seed": 2}]).triples()
    assert chosen == [("a", "x", 1), ("a", "x", 2), ("a", "y", 1)]


def test_overrides_are_laid_over_the_settings_of_the_system_the_last_one_wins() -> None:
    systems = {"a": {"model": "linear", "settings": {"classifier": {"c": 2, "folds": 4}}}}
    overrides = [
        {"corpus": "x", "settings": {"classifier": {"c": 3}}},
        {"seed": 2, "settings": {"classifier": {"c": 5}}},
    ]
    settings = parsed(systems=systems, overrides=overrides)
    assert settings.settings_of("a", "y", 1) == {"classifier": {"c": 2, "folds": 4}, "seed": 1}
    assert settings.settings_of("a", "x", 1) == {"classifier": {"c": 3, "folds": 4}, "seed": 1}
    assert settings.settings_of("a", "x", 2) == {"classifier": {"c": 5, "folds": 4}, "seed": 2}


def test_a_part_that_is_chosen_anew_does_not_inherit_the_settings_of_the_other() -> None:
    base = {"head": {"name": "linear", "dropout": 0.3}}
    assert overlaid(base, {"head": {"name": "attention"}}) == {"head": {"name": "attention"}}
    assert overlaid(base, {"head": {"dropout": 0.1}}) == {"head": {"name": "linear", "dropout": 0.1}}
    assert base == {"head": {"name": "linear", "dropout": 0.3}}


def test_what_decides_on_label_sets_is_not_tuned() -> None:
    systems = {
        "thresholds": {"model": "kim_cnn"},
        "system": {"model": "sgm"},
        "head": {"model": "kim_cnn", "settings": {"head": {"name": "sequence"}}},
    }
    assert [parsed(systems=systems).is_tuned(name) for name in systems] == [True, False, False]
    assert parsed(systems=systems, tune={"enabled": True}).is_tuned("system")


def test_tuning_and_speed_can_be_switched_off_in_one_word() -> None:
    settings = parsed(tune=False, speed=False)
    assert (settings.tune.enabled, settings.speed.enabled) == (False, False)


def test_cut_offs_follow_from_the_columns() -> None:
    assert parsed(metrics=["p@10", "ndcg@2", "micro_f1"]).ks() == (1, 2, 3, 5, 10)


def test_all_problems_of_all_parts_are_reported_together() -> None:
    found = problems(
        nam="x",
        systems={
            "a b": {"model": "linear"},
            "typo": {"modle": "linear"},
            "liner": {"model": "liner"},
            "wrong": {"model": "linear", "settings": {"classifer": {"c": 1}, "seed": 3, "runtime": {"threads": 2}}},
        },
        corpora={"x": {"train": "a.jsonl", "tets": "b.jsonl"}},
        metrics=["mirco_f1"],
        tune={"metod": "label"},
        jobs=0,
    )
    for sentence in (
        "nam: unknown key. Did you mean 'name'?",
        "systems: 'a b' cannot be a name",
        "systems.typo.model: a value is required.",
        "systems.typo.modle: unknown key. Did you mean 'model'?",
        "systems.liner.model: there is no system 'liner'. Did you mean 'linear'?",
        "systems.wrong.settings.classifer: unknown key. Did you mean 'classifier'?",
        "systems.wrong.settings.seed: seeds are the experiment's",
        "systems.wrong.settings.runtime.threads: threads are the experiment's",
        "corpora.x.test: a value is required.",
        "corpora.x.tets: unknown key. Did you mean 'text'?",
        "metrics.0: there is no metric 'mirco_f1'. Did you mean 'micro_f1'?",
        "tune.metod: unknown key. Did you mean 'method'?",
        "jobs: ",
    ):
        assert sentence in found


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"baseline": "c"}, "baseline: there is no system 'c'. Known: a, b."),
        ({"exclude": [{"corpus": "xx"}]}, "exclude.0.corpus: there is no corpus 'xx'"),
        ({"exclude": [{}]}, "exclude: leaves no cell"),
        ({"overrides": [{"seed": 9, "settings": {"classifier": {"c": 1}}}]}, "overrides.0: fits no cell"),
        ({"overrides": [{"settings": {}}]}, "overrides.0.settings"),
        (
            {"overrides": [{"system": "a", "settings": {"clasifier": {}, "seed": 1}}]},
            "overrides.0.settings.clasifier: unknown key. Did you mean 'classifier'? (a)",
        ),
        ({"overrides": [{"settings": {"seed": 1}}]}, "overrides.0.settings.seed: seeds are the experiment's"),
        ({"seeds": [1, 1]}, "seeds: a seed is duplicated"),
        ({"seeds": []}, "seeds: "),
        ({"seeds": [-1]}, "seeds.0: "),
        ({"systems": {"a": {"model": "linear", "seeds": []}}}, "systems.a.seeds: is empty, or a seed is duplicated"),
        ({"systems": {}}, "systems: "),
        ({"systems": ["linear"]}, "systems: "),
        ({"metrics": ["level_0_macro_f1"]}, "there is no metric 'level_0_macro_f1'"),
        (
            {"published": [{"system": "z", "corpus": "x", "source": "s", "split": "t", "metrics": {"mirco_f1": 0.5}}]},
            "published.0.metrics.mirco_f1: there is no such metric. Did you mean 'micro_f1'?",
        ),
        ({"significance": {"metrics": ["p@1"]}}, "significance.metrics.0: 'p@1' cannot be resampled"),
        (
            {"published": [{"system": "z", "corpus": "q", "source": "s", "split": "t", "metrics": {"micro_f1": 0.5}}]},
            "published.0.corpus: there is no corpus 'q'",
        ),
        (
            {"published": [{"system": "z", "corpus": "x", "source": "s", "split": "t", "metrics": {"micro_f1": 89.9}}]},
            "micro_f1 is 89.9; give fractions, 0.899 for 89.9 %",
        ),
    ],
)
def test_what_is_impossible_is_said(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in problems(**changes)


def test_metrics_that_may_be_columns_are_those_of_an_evaluation() -> None:
    known = known_metrics((1, 7))
    assert {"micro_f1", "macro_f1_seen", "hierarchical_micro_f1", "violation_rate", "p@7", "ndcg@1"} <= set(known)
    assert {"psp@7", "ece", "tail_macro_f1", "head_macro_f1", "samples_average_precision"} <= set(known)
    assert not {"violating_documents", "tail_labels"} & set(known)  # counts are not columns
    assert parsed(metrics=["level_3_macro_f1", "r@7"]).metrics == ("level_3_macro_f1", "r@7")


def test_the_settings_of_the_lab_are_sound(lab: Lab) -> None:
    assert len(lab.settings().triples()) == 4
