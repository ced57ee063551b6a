"""``hmcn``: one output for all labels, one for each level, and a price on scores above those of parents.

*Hierarchical Multi-Label Classification Networks* (Wehrmann, Cerri & Barros, ICML 2018), the variant HMCN-F, over any
text encoder. With x the pooled text:

    A^1 = φ(W^1 x),  A^h = φ(W^h [A^(h-1); x])          levels h = 1..H                 head.width, dropout
    P_G = σ(W_G [A^H; x]),  P_L^h = σ(W_L^h φ(W_T^h A^h))
    P   = β P_L + (1 − β) P_G                           what is predicted               head.beta
    L   = BCE(P_L, y) + BCE(P_G, y) + λ Σ_(p,c) max(0, P_c − P_p)²                      head.violation

φ is ReLU, batch normalisation, dropout. A label with several parents is on the level of its longest path from the top,
or of its shortest (``head.levels``). A flat label set is one level without a price.

Where published programs go wrong, and both presets do not: no violation term; logits mixed instead of probabilities;
layers as wide as a level has labels; normalisation declared and not applied; ancestors have to be in the data.

Preset ``paper``: widths of 384, dropout 0.6, β = 0.5, λ = 0.1, batches of 4, a rate of 1e-3 that stays, no weight
decay, mean over labels. Not as published even there: a text encoder in front, whose output is x; AdamW; early stopping
by micro-F1; the outputs start from the log-odds of the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.hmcn_head import HmcnHeadSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.rcnn import RcnnSettings
from taxotext.models.hiagm import WORD_TRAINING


class HmcnSettings(NeuralSettings):
    """Settings of ``hmcn``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "head": {"name": "hmcn", "scale": "mean"},
            "training": {
                "batch_size": 4,
                "learning_rate": 1e-3,
                "head_learning_rate": 1e-3,
                "schedule": "constant",
                "warmup": 0.0,
                "weight_decay": 0.0,
            },
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = RcnnSettings()
    head: HeadPart = HmcnHeadSettings(dropout=0.4)
    training: TrainingSettings = WORD_TRAINING


class Hmcn(NeuralSystem):
    """Local and global outputs."""

    name: ClassVar[str] = "hmcn"
    Settings: ClassVar[type[SystemSettings]] = HmcnSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        **{path: choice for path, choice in NeuralSystem.search_space.items() if not path.startswith("loss.")},
        "head.width": [128, 256, 384],
        "head.violation": [0.0, 0.1, 1.0],
    }
