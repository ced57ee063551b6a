"""``textcnn``: two convolutions over word vectors, each followed by max pooling, and a feed-forward layer.

The baseline "TextCNN" of *BERT for Sequence-to-Sequence Multi-Label Text Classification* (submission to ICLR 2020,
section 4.2: "a two-layer CNN with each layer followed by max pooling and two feed-forward fully-connected layers
followed by dropout and batch normalization at the end"); not the network of Kim (2014), which is ``kim_cnn``.

    E = [e(w_1) .. e(w_T)]                    word vectors                        encoder.embeddings
    C = maxpool_2(ReLU(conv(E)))              filters, kernel, pool               encoder.filters, kernel, pool
    c = max_t ReLU(conv(C))                   maximum over the rest of the text
    h = ReLU(BatchNorm(W_1 c + b_1))          width                               encoder.hidden
    p_l = σ(w_l · dropout(h) + b_l)           one output for each label l         head.dropout
    L = Σ_l BCE(p_l, y_l)                     mean over documents                 loss

Preset ``paper``: lower case, no punctuation, 50,000 words and 500 words of a text (the preprocessing of SGM that the
paper names), mean over labels, constant learning rate, no weight decay. The paper states none of: number and width
of filters, widths of the layers and of the word vectors, dropout, learning rate, batch size, order of dropout and
batch normalisation; these are ours. The default keeps punctuation, reads fewer words, and lets the learning rate
fall. In both, a text of more than one window (``long_text=chunk_*``) is joined from its windows, the outputs start
from the log-odds of the labels, and positions of padding never count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.words import TextCnnSettings as TextCnnEncoderSettings


class TextCnnSettings(NeuralSettings):
    """Settings of ``textcnn``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 500},
            "encoder": {
                "name": "textcnn",
                "vocabulary": {"min_count": 1, "punctuation": "drop"},
                "embedding_width": 256,
            },
            "loss": {"name": "bce", "scale": "mean"},
            "training": {"schedule": "constant", "warmup": 0.0, "weight_decay": 0.0},
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = TextCnnEncoderSettings()
    head: HeadPart = parts.LinearHeadSettings(dropout=0.5)
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=3e-3, patience=5
    )


class TextCnn(NeuralSystem):
    """Two layers of convolutions over word vectors."""

    name: ClassVar[str] = "textcnn"
    Settings: ClassVar[type[SystemSettings]] = TextCnnSettings
