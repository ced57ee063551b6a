"""``kim_cnn``: convolutions of several widths over word vectors, each with the maximum over the text.

Kim, *Convolutional Neural Networks for Sentence Classification* (EMNLP 2014), with one sigmoid output for each label,
as the baselines of DocBERT (Adhikari et al. 2019) and LibMultiLabel have it.

    c_i = ReLU(w · x_{i:i+k−1} + b)     filter of k words, at each place      encoder.kernels, filters   (equation 2)
    ĉ   = max_i c_i                     one number for each filter                                        (equation 4)
    z   = [ĉ_1 .. ĉ_m]                  300 numbers
    p_l = σ(w_l · (z ∘ r) + b_l)        r: dropout, 0.5                       head.dropout               (equation 5)
    L   = Σ_l BCE(p_l, y_l)             mean over documents                   loss

A filter may begin or end outside the text, where words are zeros, but sees at least one word of it: the same as Kim's
padding, without the places that saw padding only.

Preset ``paper``: the words as they are (no case folded), every word of the training texts, 300 numbers for each,
batches of 50, mean over labels, constant learning rate, no weight decay. Not as published in either: AdamW instead of
Adadelta, and no bound of 3 on the norm of w_l; sigmoid outputs instead of softmax; the outputs start from the
log-odds of the labels. Kim's four variants are settings of the word vectors: *rand* is ``embeddings=random``, *static*
a file and ``train_embeddings=false``, *non-static* a file; *multichannel* is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.words import KimCnnSettings as KimCnnEncoderSettings


class KimCnnSettings(NeuralSettings):
    """Settings of ``kim_cnn``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "encoder": {"name": "kim_cnn", "vocabulary": {"min_count": 1, "lowercase": False}, "embedding_width": 300},
            "loss": {"name": "bce", "scale": "mean"},
            "training": {"batch_size": 50, "schedule": "constant", "warmup": 0.0, "weight_decay": 0.0},
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = KimCnnEncoderSettings()
    head: HeadPart = parts.LinearHeadSettings(dropout=0.5)
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=3e-3, patience=5
    )


class KimCnn(NeuralSystem):
    """The convolutional network of Kim (2014)."""

    name: ClassVar[str] = "kim_cnn"
    Settings: ClassVar[type[SystemSettings]] = KimCnnSettings
