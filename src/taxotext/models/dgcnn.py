"""``dgcnn``: a convolutional network over the graph of words of a text, labels tied to their parents.

Peng et al., *Large-Scale Hierarchical Text Classification with Recursively Regularized Deep Graph-CNN* (WWW 2018),
"HR-DGCNN"; a baseline of the HTrans paper (Banerjee et al., ACL 2019, Table 1).

    V   = the distinct words of the text, most frequent first      rows of the grid: encoder.vertices, R = 96
    A_uv = times that 3 consecutive words hold u and v             encoder.window
    X_v = [v; breadth-first from v, heaviest edges first]          10 words a row: encoder.neighbours, K
    G   = e(X_1) .. e(X_R)                                         word vectors, a grid of R x K
    C_1 = maxpool_2x1(ReLU(conv_3x3(G)))                           64 filters
    C_2 = maxpool_2x2(ReLU(conv_3x1(C_1)))                         128 filters
    C_3 = maxpool_2x2(ReLU(conv_3x1(C_2)))                         256 filters, 10 x 2 places are left
    h   = ReLU(W_2 ReLU(W_1 C_3 + b_1) + b_2)                      1024 and 512 numbers: encoder.hidden
    p_l = σ(w_l · h + b_l)                                         one output for each label l
    L   = Σ_l BCE(p_l, y_l) + λ Σ_(p,c) ½‖w_p − w_c‖²              over the edges of the taxonomy: training.recursive

``encoder.layers`` counts the convolutions: 3 are the network above (DGCNN-3), 1 is its first stage alone (DGCNN-1),
6 have two convolutions in front of each pooling (DGCNN-6; what the paper's sixth layer is like was not to be found
out, this is our reading of "as VGG"). ``training.recursive=0`` is DGCNN without "HR".

Where the published programs go wrong, and both presets do not: vectors are divided by 18; documents with fewer than
10 different words are left out of training and test; the epoch is chosen by the test score; one of the two programs
never adds the regulariser to its loss. Padding counts nowhere here: places whose filter sees no word are 0. Words that
the vocabulary lacks are not vertices.

Preset ``paper``: words repeat in a row (the walk keeps no list of what it met), English stop words are left out, 50
numbers a word, no dropout, batches of 32, 200 epochs at most, a rate of 1e-3 that stays, no weight decay, mean over
labels, λ = 5e-5. Its word vectors are those of word2vec and are not trained: give ``encoder.embeddings=FILE
encoder.train_embeddings=false``. Not as published even there: words are not lemmatised, and those with digits stay;
stop words are scikit-learn's, not NLTK's; equally frequent words are in the order of the text, not of the alphabet;
two neighbours at the end of a text count as often as others; AdamW; the outputs start from the log-odds of the labels;
validation documents choose the epoch, with patience.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.graph_words import GraphCnnSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.space import Around
from taxotext.composition.words import VocabularySettings


class DgcnnSettings(NeuralSettings):
    """Settings of ``dgcnn``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 10_000},
            "encoder": {
                "name": "dgcnn",
                "vocabulary": {"min_count": 1},
                "embedding_width": 50,
                "stop_words": "english",
                "revisit": True,
                "dropout": 0.0,
            },
            "loss": {"name": "bce", "scale": "mean"},
            "training": {
                "epochs": 200,
                "batch_size": 32,
                "patience": 10,
                "schedule": "constant",
                "warmup": 0.0,
                "weight_decay": 0.0,
                "recursive": 5e-5,
            },
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=512)
    encoder: EncoderPart = GraphCnnSettings(vocabulary=VocabularySettings(punctuation="drop"))
    head: HeadPart = parts.LinearHeadSettings(dropout=0.0)
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=1e-3, patience=5, recursive=1e-3
    )


class Dgcnn(NeuralSystem):
    """A graph of words, convolutions, and recursive regularisation."""

    name: ClassVar[str] = "dgcnn"
    Settings: ClassVar[type[SystemSettings]] = DgcnnSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        "training.learning_rate": Around(5),
        "training.head_learning_rate": Around(5),
        "training.batch_size": [16, 32, 64],
        "training.weight_decay": [0.0, 0.01, 0.1],
        "training.recursive": Around(10),
        "encoder.layers": [1, 3],
        "encoder.dropout": "0..0.6",
        "encoder.stop_words": ["none", "english"],
        "loss.positive_weight": [1.0, "balanced"],
    }
