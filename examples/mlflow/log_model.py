"""Log a model folder to MLflow, load it again, and predict: `pip install mlflow-skinny`, then run this file.

MLflow copies the model folder, and taxotext_model.py beside it; whoever loads the model needs Taxotext.
"""

from __future__ import annotations

import os
import sys
from importlib.resources import as_file, files
from pathlib import Path

import mlflow

import taxotext
from taxotext import Classifier, read_corpus


def main(folder: Path) -> None:
    with as_file(files("taxotext") / "sample") as sample:
        train, test = read_corpus(sample / "train.jsonl"), read_corpus(sample / "test.jsonl")
    model = Classifier("linear").fit(train)
    model.save(folder / "model", overwrite=True)

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # files are enough to try it; servers have a database
    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    with mlflow.start_run():
        mlflow.log_params({"model": model.model, "classifier.c": model.settings_().classifier.c})
        mlflow.log_metric("micro_f1", model.score(test))
        logged = mlflow.pyfunc.log_model(
            name="labels",
            python_model=str(Path(__file__).with_name("taxotext_model.py")),
            artifacts={"model": str(folder / "model")},
            pip_requirements=[f"taxotext=={taxotext.__version__}"],
        )

    again = mlflow.pyfunc.load_model(logged.model_uri)
    found = again.predict(list(test.texts[:20]))
    print("the same labels:", found == model.predict(test.texts[:20]))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "mlflow-output").resolve())
