"""``hitin``: messages up a coding tree of the taxonomy.

*HiTIN: Hierarchy-aware Tree Isomorphism Network for Hierarchical Text Classification* (Zhu et al., ACL 2023).

    T   = the coding tree of height k of the taxonomy's edges, with little structural entropy    structure.height
    x_m = s_m (P h) + b_m                                     leaves, h: pooled text              encoder
    h^i_v = ReLU(norm(MLP_i(Σ_{c child of v} h^(i-1)_c)))     layer i = 1..k
    z_m = Σ_i w^i_m · dropout(pool_v h^i_v) + b_m             a linear layer on each layer        head
    L   = Σ_m BCE(σ(z_m), y_m) + λ Σ_i Σ_(p,c) ½‖w^i_p − w^i_c‖²    over all k + 1 of them        training.recursive

How the tree is made: :mod:`taxotext.labels.coding_tree`. Its clusters are not the branches of the taxonomy. Labels
without edges are clusters of their own.

Where the published program goes wrong, and both presets do not: it ends after building the tree; poolings are dense
over the first batch, so that other batch sizes fail and the rest of the test documents is left out; both regularisers
are 0 in the documented commands; edge-less label sets break the tree.

Preset ``paper``: the texts and the training of ``hiagm``'s, vectors of 512 numbers, k = 2, sum, dropout 0.5 in front of
the linear layers, λ = 1e-6. Not as published even there: the linear layer across the N leaves is applied as what it
comes to, two numbers for each leaf, so that dropout is drawn once for all copies of the text; ties of the tree go to
upper levels and smaller ids, not to the order of a file; one bias for each label instead of one for each layer;
AdamW; the outputs start from the log-odds of the labels, the first weights of the heads divided by the number of nodes
in the sum.
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
from taxotext.composition.structures import CodingTreeSettings, LayersHeadSettings
from taxotext.models.hiagm import PAPER_TEXT, WORD_TRAINING


class HitinSettings(NeuralSettings):
    """Settings of ``hitin``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            **PAPER_TEXT,
            "structure": {"name": "coding_tree", "width": 512},
            "head": {"name": "layers", "dropout": 0.5},
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = RcnnSettings()
    structure: StructurePart = CodingTreeSettings()
    head: HeadPart = LayersHeadSettings()
    training: TrainingSettings = WORD_TRAINING


class Hitin(NeuralSystem):
    """A coding tree over the labels."""

    name: ClassVar[str] = "hitin"
    Settings: ClassVar[type[SystemSettings]] = HitinSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        **NeuralSystem.search_space,
        "structure.height": [2, 3, 4],
        "structure.pooling": ["sum", "mean"],
        "training.recursive": [0.0, 1e-6, 1e-4],
    }
