"""``attention_xml``: a bidirectional LSTM over words, and attention of each label to them; flat or along a label tree.

*AttentionXML: Label Tree-based Attention-Aware Deep Model for High-Performance Extreme Multi-Label Text Classification*
(You et al., NeurIPS 2019), the network without a label tree, as the paper trains it on label sets of up to some ten
thousand labels:

    E   = dropout [e(w_1) .. e(w_T)]                   word vectors                   encoder.embeddings, word_dropout
    h_t = dropout [LSTM→; LSTM←]_t                     learned first states           encoder.units, dropout
    α_tj = softmax_t(h_t · w_j),  m_j = Σ_t α_tj h_t   of each label j                head
    z_j = FC(m_j)                                      ReLU, shared by all labels     head.hidden
        + v_j · m_j + b_j                              not in the paper               head.own_output
    L   = Σ_j BCE(σ(z_j), y_j)                         mean over documents            loss

Labels are computed in chunks, which the gradient computes again, so that the states of all labels are never in memory
together; scores and targets of a batch are (documents, labels).

Presets ``tree`` and ``paper_tree`` (``head.name=label_levels``): level by level along a label tree, for larger label
sets (section 3.4, algorithm 1). Each level of the tree, and the labels, has a whole network of its own; levels are
trained one after the other, each starting from the word vectors, LSTM and shared layers of the level above:

    y_n = 1 where a gold label is below node n
    S   = the C nodes above of the largest Π σ(z), gold ones first in training    head.beam
          found once for each document, when the level above is trained: static negatives
    L   = Σ_n BCE(σ(z_n), y_n)       all nodes of the first level, children of S below
    p_l = Π σ(z_n), n on the path to l                                            head.score

Preset ``paper``: 256 units, 500 words, word vectors of 300 numbers that stay as they are (GloVe in the paper: give
``encoder.embeddings=FILE``), batches of 40, Adam at 1e-3, the mean over labels, averaged weights. ``paper_tree``: as
the original trains Amazon-670K: three levels above the labels, 512 units, two shared layers, batches of 200, 160 nodes
kept. Other than published: weights are averaged, validated and kept at the ends of epochs instead of each 100 steps;
gradients are clipped at a fixed norm instead of one that follows the last ones; candidates are not filled up with
random nodes; a document keeps all of its gold nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from taxotext.composition.base import SystemSettings
from taxotext.composition.label_attention import MultiLabelAttentionHeadSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.recurrent_words import RecurrentSettings
from taxotext.composition.space import Around

if TYPE_CHECKING:
    from torch import nn

    from taxotext.nn.heads import Head
    from taxotext.nn.network import TextClassifier

ENCODER = RecurrentSettings(word_dropout=0.2, dropout=0.5, learned_start=True, pooling="max_mean")
"""A bidirectional LSTM as in section 3.2, half as wide."""
PAPER_ENCODER: Mapping[str, Any] = {
    **ENCODER.model_dump(exclude_unset=True),
    "name": "recurrent",
    "units": 256,
    "embedding_width": 300,
}
PAPER_TRAINING: Mapping[str, Any] = {
    "epochs": 30,
    "batch_size": 40,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-3,
    "schedule": "constant",
    "warmup": 0.0,
    "weight_decay": 0.0,
    "averaging": "swa",
    "averaging_start": 0.3,
}
"""Gradient descent of AttentionXML, as far as the settings can say it."""


class AttentionXmlSettings(NeuralSettings):
    """Settings of ``attention_xml``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 500},
            "encoder": {**PAPER_ENCODER, "train_embeddings": False},
            "head": {"name": "multi_label_attention", "own_output": False, "start_at_odds": False},
            "loss": {"name": "bce", "scale": "mean"},
            "training": PAPER_TRAINING,
        },
        "tree": {"head": {"name": "label_levels"}},
        "paper_tree": {
            "text": {"max_tokens": 500},
            "encoder": {**PAPER_ENCODER, "units": 512},
            "head": {
                "name": "label_levels",
                "tree": {"levels": 3},
                "beam": 160,
                "hidden": (512, 256),
                "own_output": False,
                "scale": "mean",
                "start_at_odds": False,
            },
            "training": {**PAPER_TRAINING, "epochs": 10, "batch_size": 200, "averaging_start": 0.2},
        },
    }
    trains_levels: ClassVar[bool] = True

    preset: Literal["default", "paper", "tree", "paper_tree"] = Field(
        "default",
        description="default; paper: as published without a label tree; tree: level by level along one; paper_tree: "
        "that as published; keys that are given are stronger",
    )
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = ENCODER
    head: HeadPart = MultiLabelAttentionHeadSettings()
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=3e-3, patience=5, monitor="ndcg@5"
    )


class AttentionXml(NeuralSystem):
    """Each label attends to the words of the text."""

    name: ClassVar[str] = "attention_xml"
    recipe: ClassVar[str] = "levels"
    Settings: ClassVar[type[SystemSettings]] = AttentionXmlSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        "training.head_learning_rate": Around(5),
        "training.batch_size": [16, 32, 64],
        "encoder.units": [64, 128, 256],
        "encoder.dropout": "0..0.5",
        "loss.positive_weight": [1.0, "balanced"],
    }

    def whole_network(self, encoder: nn.Module, structure: nn.Module, head: Head) -> TextClassifier:
        """The network, or one for each level of a label tree; a frozen encoder is shared by all."""
        from taxotext.nn.level_head import LevelNetworks, LevelsHead

        if not isinstance(head, LevelsHead):
            return super().whole_network(encoder, structure, head)
        above = [] if self.frozen else [deepcopy(encoder) for _ in range(len(head.levels) - 1)]
        return LevelNetworks(encoder, above, structure, head)
