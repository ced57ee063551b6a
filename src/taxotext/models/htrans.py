"""``htrans``: binary classifiers that inherit along the taxonomy.

*Hierarchical Transfer Learning for Multi-label Text Classification* (Banerjee et al., ACL 2019), section 3.2. The
classifiers are those of ``gru_att``; labels are visited in topological order:

* a label without parent starts from random weights, its word vectors are trained with it;
* a label below starts from the chosen classifier of its parent, all class weights from the same one, with a fresh
  output layer; word vectors are frozen.

By default it starts from half of the parent's weights at the epoch of least validation loss plus half of fresh ones,
because features of a converged parent are few, and trains word vectors of its own (docs/results/htrans.md); the preset
``paper`` takes over the selected classifier as it is.

In the paper the output layer learns with 1e-3 and what was taken over with 5e-4 (preset ``paper``, or
``training.learning_rate`` and ``transfer.body_learning_rate``). By default there is one rate, 3e-3, for both: with the
paper's two a child learns too little from a few thousand documents (docs/results/htrans.md).

Every switch of ``transfer`` can be turned off. Siblings do not depend on each other: they are fitted side by side by as
many processes as ``runtime.threads``. With ``transfer.freeze_embeddings=true`` a model holds one table of word vectors
for each label without parent, else one for each label.

Beyond the paper, ``encoder.name=transformer`` takes a pretrained encoder for all labels, frozen: each label owns a body
over its states, or low-rank adapters in it (:mod:`taxotext.binary.bodies`), and inherits them as it inherits the GRU.

The paper knows trees only. A label with several parents inherits from the one with the best validation F1
(``transfer.parent``). Labels whose parent has no training document start from random weights. Preset ``paper`` and what
else differs: as in ``gru_att``; with its separate splits a label is validated on documents that its parent was
trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from taxotext.binary.settings import BinarySettings, BinaryTrainingSettings
from taxotext.binary.systems import BinarySystem
from taxotext.composition.base import Preset, SystemSettings
from taxotext.models.gru_att import PAPER


class InheritingTrainingSettings(BinaryTrainingSettings):
    """One small fit, by default with the epoch of the best average precision.

    F1 at 0.5 stops the fits of labels with few documents while their loss still falls.
    """

    monitor: Literal["f1", "average_precision", "loss"] = Field(
        "average_precision",
        description="what the kept epoch is best in, on the validation documents (f1: at threshold 0.5)",
    )


class HTransSettings(BinarySettings):
    """Settings of ``htrans``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER}

    preset: Preset = "default"
    training: InheritingTrainingSettings = Field(InheritingTrainingSettings(), description="of one small fit")


class HTrans(BinarySystem):
    """Binary classifiers, each from that of its parent label."""

    name: ClassVar[str] = "htrans"
    Settings: ClassVar[type[SystemSettings]] = HTransSettings
