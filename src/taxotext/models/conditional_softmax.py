"""``conditional_softmax``: each label given its parents, a cheap way to use a taxonomy.

*Revisiting Hierarchical Text Classification: Inference and Metrics* (Plaud et al., CoNLL 2024), over any text encoder.

    z = w_l · v + b_l                                     v: pooled text, dropout          encoder
    p(l | parents) = σ(z_l)                               default                          head.conditional=sigmoid
    p(l | parent)  = softmax of z over the siblings       trees, one path a document       head.conditional=softmax
    p(l) = p(l | parents) min_(parents) p(parent)         no label is above its parents
    L    = cross-entropy of p(l | parents) where the parents are gold                      head.tau: logit adjustment

The paper has softmax over siblings, for documents with one path. With sigmoid a document may have any number of paths
and a label any number of parents; of several the least probable one counts.

Not as published: the sigmoid; AdamW with the rates of ``bert``; logits start from the frequencies of the labels given
their parents; no logit adjustment unless asked for (``head.tau=1``, the paper's choice, which is ``preset=paper`` with
softmax).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.conditional_head import ConditionalHeadSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import HeadPart, NeuralSettings


class ConditionalSoftmaxSettings(NeuralSettings):
    """Settings of ``conditional_softmax``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "head": {"name": "conditional", "conditional": "softmax", "tau": 1.0},
            "training": {"learning_rate": 2e-5, "head_learning_rate": 2e-5},
        }
    }

    preset: Preset = "default"
    head: HeadPart = ConditionalHeadSettings()


class ConditionalSoftmax(NeuralSystem):
    """Labels given their parents."""

    name: ClassVar[str] = "conditional_softmax"
    Settings: ClassVar[type[SystemSettings]] = ConditionalSoftmaxSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        **{path: choice for path, choice in NeuralSystem.search_space.items() if not path.startswith("loss.")},
        "head.tau": [0.0, 0.5, 1.0],
    }
