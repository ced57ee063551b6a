"""``light_attention``: label attention over the candidates that a label tree finds, the two trained together.

The LightAttention of an unpublished manuscript ("generative cooperative networks" over AttentionXML; its section of
results is empty), read as follows. Labels are clustered into a tree; a generator scores the clusters, the labels of the
best ones are candidates, and a discriminator scores those. Both attend to the words:

    h_t = dropout [LSTM→; LSTM←]_t                     any text encoder               encoder
    α_tn = softmax_t(h_t · w_n),  m_n = Σ_t α_tn h_t   of each node or label n        head.scorer
    z_n = FC_level(m_n)                                shared by the nodes of a level head.hidden
        + v_n · m_n + b_n                              not in the paper               head.own_output
    S   = the C nodes of the largest Π σ(z)            gold ones first in training    head.beam
    L   = Σ_n BCE(z_n, y_n) over all nodes of level 0 and the children of S below,    head.negatives
          y_n = 1 where a gold label is below n; mean over documents
    p_l = Π σ(z_n), n on the path to l                 of the labels below S          head.score

The tree: TF-IDF of the training texts, the mean of the texts of a label, balanced 2-means down to
``head.tree.cluster_size`` labels, wide levels above (AttentionXML, algorithm 1).

What the manuscript leaves open, and what is done here: the generator needs a vector of the text and gets the label
attention of AttentionXML's top level; "label embeddings" are the queries w; generator and discriminator are trained in
one step, and no gradient goes through the choice of the candidates (as in LightXML); the clusters of its algorithm 2
are the lowest level of the tree of its algorithm 1. Other than in the manuscript: v_n and b_n (without them labels
differ by what they attend to alone, and a text of one word gives all labels the same logit); outputs start from the
mean share of gold labels; the sum over candidates; with many clusters further levels, so that no more than 512 nodes
are scored for every document. Preset ``paper`` has none of these, three shared layers, and the gradient descent of
AttentionXML.

Preset ``light_xml``: LightXML (Jiang et al., AAAI 2021) over a transformer: clusters and labels are compared with the
pooled vector. The original joins the first tokens of the last five layers; here it is that of the last layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from taxotext.composition.base import SystemSettings
from taxotext.composition.label_trees import LabelTreeHeadSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.space import Around
from taxotext.models.attention_xml import ENCODER, PAPER_ENCODER, PAPER_TRAINING


class LightAttentionSettings(NeuralSettings):
    """Settings of ``light_attention``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 500},
            "encoder": {**PAPER_ENCODER},
            "head": {
                "name": "label_tree",
                "tree": {"levels": 1},
                "hidden": (256, 256, 256),
                "own_output": False,
                "scale": "mean",
                "start_at_odds": False,
            },
            "training": PAPER_TRAINING,
        },
        "light_xml": {
            "text": {"max_tokens": 512},
            "encoder": {"name": "transformer", "pooling": "cls"},
            "head": {
                "name": "label_tree",
                "scorer": "dot",
                "tree": {"cluster_size": 100, "levels": 1},
                "dropout": 0.5,
            },
            "training": {
                "epochs": 20,
                "batch_size": 16,
                "learning_rate": 1e-4,
                "head_learning_rate": 1e-3,
                "averaging": "swa",
            },
        },
    }

    preset: Literal["default", "paper", "light_xml"] = Field(
        "default",
        description="default; paper: as published; light_xml: pooled vector of a transformer; keys that are given are "
        "stronger",
    )
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = ENCODER
    head: HeadPart = LabelTreeHeadSettings()
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=3e-3, patience=5, monitor="ndcg@5"
    )


class LightAttention(NeuralSystem):
    """Clusters of labels propose candidates, and label attention scores them."""

    name: ClassVar[str] = "light_attention"
    Settings: ClassVar[type[SystemSettings]] = LightAttentionSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        "training.head_learning_rate": Around(5),
        "training.batch_size": [16, 32, 64],
        "encoder.units": [64, 128, 256],
        "encoder.dropout": "0..0.5",
        "head.beam": [32, 64, 128],
        "head.scale": ["sum", "mean"],
    }
