"""``c_hmcnn``: a classifier whose scores cannot contradict the taxonomy.

*Coherent Hierarchical Multi-Label Classification Networks* (Giunchiglia & Lukasiewicz, NeurIPS 2020), over any text
encoder. With D(A) the label A and all labels below it,

    h_A   = σ(w_A · v + b_A)                        v: pooled text, dropout       encoder, head
    MCM_A = max_{B in D(A)} h_B                     what is predicted             decoding.consistency=up
    L     = Σ_A  −ln max_{B in D(A), B gold} h_B    A gold                        loss.name=max_constraint
               −ln(1 − MCM_A)                       A not gold

so that a label never scores below a label under it, whatever the threshold. Labels of a DAG may have several parents.

Deviations from the paper: texts go through a text encoder instead of a perceptron over given features; AdamW with the
rates of ``bert`` instead of Adam at 1e-4 or 1e-5; the loss is computed with logits over pairs of label and ancestor,
which is the same function (:class:`taxotext.nn.losses.MaxConstraintLoss`); labels at the top count in the loss; the sum
over labels instead of their mean. Gold labels are completed by their ancestors, which the paper presumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import SystemSettings
from taxotext.composition.losses import MaxConstraintSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import LossPart, NeuralSettings
from taxotext.decoding import Decoding


class CHmcnnSettings(NeuralSettings):
    """Settings of ``c_hmcnn``."""

    loss: LossPart = MaxConstraintSettings()
    decoding: Decoding = Decoding(consistency="up")


class CHmcnn(NeuralSystem):
    """Any encoder, trained and decoded under the max constraint."""

    name: ClassVar[str] = "c_hmcnn"
    Settings: ClassVar[type[SystemSettings]] = CHmcnnSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        path: choice for path, choice in NeuralSystem.search_space.items() if path != "loss.positive_weight"
    }
