"""``hiagm``: text features and label structure in one graph network.

*Hierarchy-Aware Global Model for Hierarchical Text Classification* (Zhou et al., ACL 2020).

    x   = TextRCNN(text)                          pooled text                          encoder
    V_m = dropout(W_m x + b_m)                    a vector for each label m (TP)       structure.variant=tp
    H   = Hierarchy-GCN(V) or TreeLSTM(V)         along the edges, both ways           structure.name=gcn, treelstm
    p_m = σ(w_m · dropout([H_1; ..; H_N]) + b_m)  one matrix over all labels           head.form=flattened
    L   = Σ_m BCE(p_m, y_m) + λ Σ_(p,c) ½‖w_p − w_c‖²                                  loss, training.recursive

    variant la: C = network(E), label vectors; α_m = softmax_t(C_m · S_t) over token states S; H_m = Σ_t α_mt S_t

The edges start from how often a child is gold where its parent is
(:func:`~taxotext.composition.structures.edge_prior`). Equations of the two networks:
:class:`~taxotext.nn.graph_networks.GatedGcn`, ``TreeLstm``. Above 500 labels each label reads its own vector only, and
the projection has low rank: the published matrices have N D d and N N d numbers.

Where the published program goes wrong, and both presets do not: LA attends over a single vector, where the attention is
1; the top-down edges of the TreeLSTM are read transposed, so that the prior is lost; dropout falls on the logits; one
bias is never set; priors and vocabulary see validation and test documents; a label has one parent at most.

Preset ``paper``: 256 words, word vectors of 300 numbers, 64 units, 100 filters of 2, 3 and 4 words, label vectors of
300 numbers, dropout 0.5 on them, one matrix over all labels, batches of 64, 250 epochs with patience 50, a rate of 1e-4
that stays, no weight decay, mean over labels, λ = 1e-6. Give its word vectors:
``encoder.embeddings=glove.6B.300d.txt``. Not as published even there: a leaky ReLU in the GCN; AdamW; the outputs
start from the log-odds of the labels; micro-F1 alone stops the training; words with digits and stop words stay; a
parent none of whose children occurs has equal priors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import (
    EncoderPart,
    HeadPart,
    NeuralSettings,
    StructurePart,
    TextSettings,
    TrainingSettings,
)
from taxotext.composition.rcnn import RcnnSettings
from taxotext.composition.structures import GcnSettings, LabelVectorsHeadSettings

PAPER_TEXT = {
    "text": {"max_tokens": 256},
    "encoder": {
        "name": "rcnn",
        "vocabulary": {"punctuation": "drop"},
        "embedding_width": 300,
    },
    "loss": {"name": "bce", "scale": "mean"},
    "training": {
        "epochs": 250,
        "batch_size": 64,
        "patience": 50,
        "learning_rate": 1e-4,
        "head_learning_rate": 1e-4,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 0.0,
        "recursive": 1e-6,
    },
}
"""What the papers of HiAGM, HiMatch and HiTIN share."""
WORD_TRAINING = TrainingSettings(epochs=60, batch_size=32, learning_rate=1e-3, head_learning_rate=1e-3, patience=8)
"""Defaults of systems over word vectors with a structure encoder."""


class HiagmSettings(NeuralSettings):
    """Settings of ``hiagm``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            **PAPER_TEXT,
            "structure": {"name": "gcn", "width": 300, "projection": "full"},
            "head": {"name": "label_vectors", "form": "flattened", "dropout": 0.0},
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = RcnnSettings()
    structure: StructurePart = GcnSettings()
    head: HeadPart = LabelVectorsHeadSettings()
    training: TrainingSettings = WORD_TRAINING


class Hiagm(NeuralSystem):
    """Text features along the edges of the taxonomy."""

    name: ClassVar[str] = "hiagm"
    Settings: ClassVar[type[SystemSettings]] = HiagmSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        **NeuralSystem.search_space,
        "structure.dropout": "0..0.6",
        "structure.width": [64, 128, 256],
        "training.recursive": [0.0, 1e-6, 1e-4],
    }
