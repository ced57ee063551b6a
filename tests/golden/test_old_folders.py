"""Model folders that earlier versions saved are read, predict alike, are evaluated and tuned, and are saved again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from golden.folders import FOLDERS, TUNING

NAMES = sorted(path.name for path in FOLDERS.iterdir() if path.is_dir())
TOLERANCE = 1e-5


def expected(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDERS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def predicts_alike(model: taxotext.Classifier, name: str) -> None:
    wanted = expected(name)
    assert model.classes_.tolist() == wanted["classes"]
    np.testing.assert_allclose(model.predict_proba(wanted["texts"]), wanted["probabilities"], rtol=0, atol=TOLERANCE)


def test_the_first_format_is_kept() -> None:
    assert {"v1-linear", "v1-kim_cnn"} <= set(NAMES)
    for name in NAMES:
        version = json.loads((FOLDERS / name / "config.json").read_text(encoding="utf-8"))["format_version"]
        assert name.startswith(f"v{version}-"), "a kept folder is never written again"


@pytest.mark.parametrize("name", NAMES)
def test_an_old_folder_predicts_as_it_did(name: str) -> None:
    predicts_alike(taxotext.load(FOLDERS / name), name)


@pytest.mark.parametrize("name", NAMES)
def test_an_old_folder_is_evaluated(name: str) -> None:
    wanted = expected(name)
    metrics = taxotext.load(FOLDERS / name).evaluate(wanted["texts"], wanted["labels"])
    for key, value in wanted["metrics"].items():
        assert metrics[key] == pytest.approx(value, abs=TOLERANCE), key


@pytest.mark.parametrize("name", NAMES)
def test_an_old_folder_is_tuned_on_its_held_out_scores_and_updated(name: str, tmp_path: Path) -> None:
    wanted = expected(name)
    shutil.copytree(FOLDERS / name, tmp_path / name)
    model = taxotext.load(tmp_path / name)
    untuned = model.predict(wanted["texts"])
    model.tune(**TUNING)
    model.update(tmp_path / name)
    tuned = taxotext.load(tmp_path / name).predict(wanted["texts"])
    assert tuned == wanted["tuned_predictions"]
    assert tuned != untuned


@pytest.mark.parametrize("name", NAMES)
def test_an_old_folder_that_is_saved_again_predicts_alike(name: str, tmp_path: Path) -> None:
    taxotext.load(FOLDERS / name).save(tmp_path / "again")
    again = taxotext.load(tmp_path / "again")
    predicts_alike(again, name)
    again.tune(**TUNING)
    assert again.predict(expected(name)["texts"]) == expected(name)["tuned_predictions"]
