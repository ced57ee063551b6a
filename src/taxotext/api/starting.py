"""Trainings that start from the weights of a saved model (``training.start``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.composition.base import System, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.messages import counted
from taxotext.models.registry import find
from taxotext.models.saved import read_config
from taxotext.progress import Reporter
from taxotext.settings import overlaid
from taxotext.store import read_folder

READS = ("text", "encoder")
"""Sections that another system takes over from the model that it starts from."""
OF_THE_RUN = ("runtime", "decoding", "seed", "validation")
"""Sections that the same system does not take over."""


@dataclass(frozen=True, eq=False)
class Start:
    """The model that a training starts from."""

    system: System
    held_out: HeldOut | None  # knows which texts it was trained on

    def fresh(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Which texts (D,) the model was not trained on."""
        if self.held_out is None:
            return np.ones(len(texts), dtype=np.bool_)
        return np.asarray(~self.held_out.was_trained_on(texts))

    def warn(self, texts: Sequence[str], reporter: Reporter) -> None:
        """Say that validation scores are optimistic where the model was trained on validation documents."""
        seen = int((~self.fresh(texts)).sum())
        if seen:
            reporter.note(
                f"The model that the training starts from was trained on {seen:,} of "
                f"{counted(len(texts), 'validation document')}: validation scores will be optimistic, and thresholds "
                "unreliable. Name a validation file that it has not seen."
            )


def read_start(settings: SystemSettings) -> Start | None:
    """Read the model that the settings name; None where the training starts anew.

    Raises:
        ModelFolderError: it is missing or damaged.
    """
    name = getattr(getattr(settings, "training", None), "start", None)
    if name is None:
        return None
    system, manifest = read_folder(Path(name), {"device": "cpu"})
    return Start(system, manifest.held_out)


def with_start(model: Any, given: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """System and settings of a training, with those of the model that it starts from where nothing else is given.

    Args:
        model: name of the system; None: that of the model.
        given: settings of the user.

    Raises:
        ConfigError: the model is missing or damaged, or of a system without a network.
    """
    training = given.get("training")
    name = training.get("start") if isinstance(training, Mapping) else None
    if not name or not isinstance(name, str):
        return model, given
    try:
        config = read_config(Path(name))
    except ModelFolderError as error:
        raise ConfigError(f"training.start: {error.message}", error.problems) from None
    earlier, settings = config["model"], config["settings"]
    for chosen, what in ((earlier, f"{name} is a model of {earlier}"), (model, f"the system is {model}")):
        if chosen is not None and not issubclass(find(str(chosen), saved=True), NeuralSystem):
            raise ConfigError(
                f"training.start: {what}, whose training always starts anew; train {chosen} on all documents without "
                "it, or choose a model of one network, such as bert."
            )
    if model in (None, earlier):
        kept = {key: value for key, value in settings.items() if key not in OF_THE_RUN and value is not None}
    else:
        kept = {key: settings[key] for key in READS if key in settings}
    return earlier if model is None else model, overlaid(kept, given)
