"""``hilap``: from the root of the taxonomy down, label by label, until the policy stops.

*Hierarchical Text Classification with Reinforced Label Assignment* (Mao et al., EMNLP 2019), over any text encoder:

    v   = pool(encoder(x))                                                     encoder
    h_t = ReLU(W_2 ReLU(W_1 [v; E[y_{t-1}]] + b_1) + b_2)                      head.hidden, head.label_width
    p_t = softmax over candidates of E[l] · h_t + b_l                          candidates: labels whose parents were all
                                                                               taken, and the end
    L   = −Σ_t 1/|R_t| Σ_{l in R_t} ln p_t(l)                                  R_t: gold candidates, or the end
          −ρ (F1(s) − F1(g)) Σ_t ln p_t(s_t)                                   head.objective=self_critical, head.reward

with labels y that the model draws itself, a drawn set s and the greedy one g. Every predicted set is closed under
ancestors. The search is the beam search of the other sequence systems, greedy by default (``head.beams``); scores are
max_t p_t(l).

Deviations from the paper: the supervised part is the loss over all gold candidates at states that the model reaches
itself, in place of a binary cross-entropy level by level along gold labels and one over all labels; the reward is the
F1 of the whole set against that of the greedy set, without discount, standardisation over the batch, and entropy bonus,
and stopping is no wrong label in it; the end of a document is its own, not after a fixed number of steps; a label with
several parents waits for all of them; AdamW with the rates of ``bert``. ``head.objective=supervised`` leaves the reward
out ("HiLAP-SL"). Preset ``paper``: its TextCNN (that of Kim), widths, rate, batches and number of epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import HeadPart, NeuralSettings
from taxotext.composition.sequences import PolicyHeadSettings


class HiLapSettings(NeuralSettings):
    """Settings of ``hilap``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "encoder": {"name": "kim_cnn"},
            "head": {"name": "policy", "label_width": 50, "hidden": 500},
            "training": {
                **{"epochs": 50, "batch_size": 32, "learning_rate": 1e-3, "head_learning_rate": 1e-3},
                **{"weight_decay": 1e-6, "schedule": "constant", "warmup": 0.0},
            },
        }
    }

    preset: Preset = "default"
    head: HeadPart = PolicyHeadSettings()


class HiLap(NeuralSystem):
    """Labels from the root downwards."""

    name: ClassVar[str] = "hilap"
    Settings: ClassVar[type[SystemSettings]] = HiLapSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        **{path: choice for path, choice in NeuralSystem.search_space.items() if not path.startswith("loss.")},
        "head.objective": ["supervised", "self_critical"],
    }
