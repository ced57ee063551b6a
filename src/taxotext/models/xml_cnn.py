"""``xml_cnn``: convolutions over word vectors, maxima over parts of the text, and a narrow layer before the labels.

*Deep Learning for Extreme Multi-label Text Classification* (Liu et al., SIGIR 2017):

    c_i = ReLU(w · x_{i:i+k−1} + b)         filter of k words, at each place        encoder.kernels, filters
    ĉ_j = max of c_i in part j of p         dynamic max pooling                     encoder.parts
    h   = ReLU(W_h [ĉ_1 .. ĉ_m] + b_h)      "bottleneck": few numbers a label       encoder.hidden
    p_l = σ(w_l · dropout(h) + b_l)         one output for each label               head.dropout
    L   = Σ_l BCE(p_l, y_l)                 mean over documents                     loss

The parts are those of the text itself, not of the padded text as in the original, so that padding changes nothing. The
narrow layer makes label sets of tens of thousands affordable: a label has ``hidden`` weights, not kernels x filters x
parts. All labels are scored for each document; beyond that take ``light_attention`` or ``attention_xml`` along a tree.

Preset ``paper``: 500 words, word vectors of 300 numbers (GloVe in the paper: give ``encoder.embeddings=FILE``), mean
over labels, constant learning rate of 1e-3, no weight decay, validation by P@1 as in LibMultiLabel. What was read of
the paper gives neither batch size nor number of epochs: those are ours. Other than published: AdamW, and the outputs
start from the log-odds of the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.space import Around
from taxotext.composition.words import XmlCnnSettings as XmlCnnEncoderSettings


class XmlCnnSettings(NeuralSettings):
    """Settings of ``xml_cnn``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 500},
            "encoder": {"name": "xml_cnn", "embedding_width": 300},
            "loss": {"name": "bce", "scale": "mean"},
            "training": {
                "batch_size": 128,
                "learning_rate": 1e-3,
                "head_learning_rate": 1e-3,
                "schedule": "constant",
                "warmup": 0.0,
                "weight_decay": 0.0,
                "monitor": "p@1",
            },
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = XmlCnnEncoderSettings()
    head: HeadPart = parts.LinearHeadSettings(dropout=0.5)
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=3e-3, patience=5, monitor="ndcg@5"
    )


class XmlCnn(NeuralSystem):
    """The convolutional network of Liu et al. (2017)."""

    name: ClassVar[str] = "xml_cnn"
    Settings: ClassVar[type[SystemSettings]] = XmlCnnSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        "training.head_learning_rate": Around(5),
        "training.batch_size": [16, 32, 64],
        "encoder.hidden": [256, 512, 1024],
        "encoder.parts": [1, 2, 4],
        "head.dropout": "0..0.5",
        "loss.positive_weight": [1.0, "balanced"],
    }
