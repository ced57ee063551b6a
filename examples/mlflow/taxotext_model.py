"""The model as MLflow runs it ("models from code"): MLflow keeps this file, and no pickle."""

from __future__ import annotations

from typing import Any

import mlflow

import taxotext


class TaxotextModel(mlflow.pyfunc.PythonModel):
    """Texts to label ids."""

    def load_context(self, context: Any) -> None:
        self.model = taxotext.load(context.artifacts["model"])

    def predict(self, model_input: list[str]) -> list[list[str]]:
        """Return the labels of each text."""
        return self.model.predict(model_input)


mlflow.models.set_model(TaxotextModel())
