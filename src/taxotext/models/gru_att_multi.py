"""``gru_att_multi``: a bidirectional GRU over word vectors, with attention, maximum and mean of its states.

The multi-label model of *Hierarchical Transfer Learning for Multi-label Text Classification* (Banerjee et al.,
ACL 2019), "GRU-Att-Multi": the body of its binary classifiers with N outputs.

    s_t = [GRU→(e(w_1) .. e(w_t)); GRU←(e(w_T) .. e(w_t))]    states, dropout 0.4    encoder.units, dropout
    u_t = tanh(W s_t + b),  α = softmax_t(u_t · u)             word attention of HAN (Yang et al. 2016)
    Att(S) = Σ_t α_t s_t
    R   = [Att(S); max_t s_t; mean_t s_t]                      all three over the words of the text, no padding
    p_l = σ(w_l · R + b_l)                                     one output for each label l
    L   = Σ_l BCE(p_l, y_l)                                    weights of positives: loss.positive_weight

Preset ``paper``: 100 words of a text, batches of 128, 10 epochs, patience 3 on the support-weighted F1, one learning
rate of 1e-3 that stays, no weight decay, mean over labels. Its word vectors are GloVe's of 100 numbers, which are not
part of this package: give ``encoder.embeddings=glove.6B.100d.txt``. The paper does not say whether its 96 units are
those of one direction or of both; here they are of one (``encoder.units``). It takes words by spaCy
(``encoder.vocabulary.tokens=spacy``), and the class weights that the binary classifiers found
(``loss.weights_from=MODEL``): both have to be given. The outputs start from the log-odds of the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.words import GruAttentionSettings


class GruAttMultiSettings(NeuralSettings):
    """Settings of ``gru_att_multi``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 100},
            "loss": {"name": "bce", "scale": "mean"},
            "training": {
                "epochs": 10,
                "batch_size": 128,
                "patience": 3,
                "head_learning_rate": 1e-3,
                "monitor": "weighted_f1",
                "schedule": "constant",
                "warmup": 0.0,
                "weight_decay": 0.0,
            },
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = GruAttentionSettings()
    head: HeadPart = parts.LinearHeadSettings(dropout=0.0)
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=3e-3, patience=5
    )


class GruAttMulti(NeuralSystem):
    """The body of HTrans with one output for each label."""

    name: ClassVar[str] = "gru_att_multi"
    Settings: ClassVar[type[SystemSettings]] = GruAttMultiSettings
