"""``htrans``: binary classifiers that inherit along the taxonomy.

*Hierarchical Transfer Learning for Multi-label Text Classification* (Banerjee et al., ACL 2019), section 3.2. The
classifiers are those of ``gru_att``; labels are visited in topological order:

* a label without parent starts from random weights, its word vectors are trained with it;
* a label below starts from the chosen classifier of its parent, all class weights from the same one, with a fresh
  output layer; word vectors are frozen.

In the paper the output layer learns with 1e-3 and what was taken over with 5e-4 (preset ``paper``, or
``training.learning_rate`` and ``transfer.body_learning_rate``). By default there is one rate, 3e-3, for both: with the
paper's two a child learns too little from a few thousand documents (docs/results/htrans.md).

Every switch of ``transfer`` can be turned off. Siblings do not depend on each other: they are fitted side by side by as
many processes as ``runtime.threads``. Because word vectors are frozen below the top, a model holds one table of them
for each label without parent.

Beyond the paper, ``encoder.name=transformer`` takes a pretrained encoder for all labels, frozen: each label owns a body
over its states, or low-rank adapters in it (:mod:`taxotext.binary.bodies`), and inherits them as it inherits the GRU.

The paper knows trees only. A label with several parents inherits from the one with the best validation F1
(``transfer.parent``). Labels whose parent has no training document start from random weights. Preset ``paper`` and what
else differs: as in ``gru_att``; with its separate splits a label is validated on documents that its parent was
trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.binary.settings import BinarySettings
from taxotext.binary.systems import BinarySystem
from taxotext.composition.base import Preset, SystemSettings
from taxotext.models.gru_att import PAPER


class HTransSettings(BinarySettings):
    """Settings of ``htrans``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER}

    preset: Preset = "default"


class HTrans(BinarySystem):
    """Binary classifiers, each from that of its parent label."""

    name: ClassVar[str] = "htrans"
    Settings: ClassVar[type[SystemSettings]] = HTransSettings
