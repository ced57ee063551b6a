"""The files under ``experiments/``: every system of them takes its settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from taxotext import Classifier
from taxotext.experiments.settings import parse_experiment

FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_the_systems_of_a_shipped_experiment_take_their_settings(name: str) -> None:
    experiment = parse_experiment(yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")), name)
    for entry in experiment.systems.values():
        found = Classifier(entry.model, **entry.settings).settings_()
        for section, values in entry.settings.items():
            chosen = getattr(found, section)
            for key, value in values.items() if isinstance(values, dict) else ():
                assert not isinstance(value, int | float | str) or getattr(chosen, key) == value


def test_table_1_of_himtl_stands_beside_its_systems() -> None:
    experiment = parse_experiment(yaml.safe_load((FOLDER / "himtl.yaml").read_text(encoding="utf-8")), "himtl.yaml")
    averages = {}  # of the paper's last columns, over the three corpora
    for name, entry in experiment.systems.items():
        micro, macro = (
            [one.metrics[f"hierarchical_{mean}_f1"] for one in entry.published] for mean in ("micro", "macro")
        )
        if micro:
            assert [one.corpus for one in entry.published] == ["wos", "rcv1", "nyt"]
            averages[name] = (round(100 * sum(micro) / 3, 2), round(100 * sum(macro) / 3, 2))
    assert averages == {
        "hiagm": (84.66, 73.18),
        "hiagm-mtl-masking": (84.71, 73.58),
        "hiagm-mtl-projection": (84.41, 73.57),
        "hitin": (85.27, 74.65),
        "hitin-mtl-masking": (85.27, 74.45),
        "hitin-mtl-projection": (85.25, 74.65),
    }
