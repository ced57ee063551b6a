"""``encdec``: labels as a sequence, with gated recurrent units on both sides.

*Maximizing Subset Accuracy with Recurrent Neural Networks in Multi-label Classification* (Nam et al., NeurIPS 2017),
the baseline "EncDec" of *BERT for Sequence-to-Sequence Multi-Label Text Classification*:

    h_i = [GRU→(u_i); GRU←(u_i)]                        words                           encoder
    s_0 = W [h→_T; h←_1] + b                            s: state of the decoder         head.units
    s_t = GRU(s_{t-1}, [e_t; c_{t-1}])                  e_t: embedding of the label before
    α_ti = softmax_i(v · tanh(W s_t + U h_i))           over words                      head.attention, head.query
    c_t = Σ_i α_ti h_i
    p_t = softmax(W_o tanh(W_d s_t + V_d c_t) + I_t)    I_t = −∞ on emitted labels
    L   = −Σ_t ln p_t(l_t)                              l: gold labels, EOS             head.label_order

The paper studies orders from frequent to rare, the reverse, and along a label tree: ``head.label_order``.

Deviations from the paper: emitted labels are masked in training as well; the widths, dropout and rates are ours, and so
is the exact form of the attention and the output, which are those of ``sgm`` without its global embedding. Preset
``paper``: 512 units on both sides, dropout 0.3, a constant rate, no weight decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.recurrent_words import RecurrentSettings
from taxotext.composition.sequences import SEARCH_SPACE, SequenceHeadSettings


class EncDecSettings(NeuralSettings):
    """Settings of ``encdec``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 500},
            "encoder": {
                "name": "recurrent",
                "cell": "gru",
                "vocabulary": {"min_count": 1, "punctuation": "drop"},
                "embedding_width": 256,
                "units": 512,
            },
            "head": {"name": "sequence", "cell": "gru", "units": 512, "label_width": 256, "dropout": 0.3},
            "training": {
                "learning_rate": 1e-3,
                "head_learning_rate": 1e-3,
                "weight_decay": 0.0,
                "schedule": "constant",
                "warmup": 0.0,
            },
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = RecurrentSettings(cell="gru")
    head: HeadPart = SequenceHeadSettings(cell="gru", dropout=0.3)
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=2e-3, patience=5
    )


class EncDec(NeuralSystem):
    """Labels as a sequence, gated recurrent units on both sides."""

    name: ClassVar[str] = "encdec"
    Settings: ClassVar[type[SystemSettings]] = EncDecSettings
    search_space: ClassVar[Mapping[str, Any]] = SEARCH_SPACE
