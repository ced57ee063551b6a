"""The example of MLflow runs where MLflow is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import taxotext

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "mlflow" / "log_model.py"


@pytest.mark.integration
def test_a_logged_model_predicts_what_the_model_did(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="pip install mlflow-skinny")
    environment = {**os.environ, "PYTHONPATH": str(Path(taxotext.__path__[0]).resolve().parent)}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "the same labels: True" in done.stdout
    kept = [path.suffix for path in (tmp_path / "out" / "mlruns").rglob("artifacts/**/*") if path.is_file()]
    assert ".safetensors" in kept
    assert not {".pkl", ".pickle", ".joblib"} & set(kept), "the model is kept as code"
