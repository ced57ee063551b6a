"""``gru_att``: one binary classifier for each label, with the best of some class weights.

The "GRU-Att" of *Hierarchical Transfer Learning for Multi-label Text Classification* (Banerjee et al., ACL 2019),
section 3.1: for each label l a network of its own over the first words of a text (text.max_tokens),

    s_t = [GRU→; GRU←]_t                             states, dropout 0.4             encoder.units, dropout
    u_t = tanh(W s_t + b),  α = softmax_t(u_t · u)    word attention of HAN (Yang et al. 2016)
    R   = [Σ_t α_t s_t; max_t s_t; mean_t s_t]        all three over the words of the text, no padding
    p_l = σ(w · R + b)                               one output
    L   = −(ω y log p + (1 − y) log(1 − p))          mean over documents; ω: class weight, weights.candidates

ω is the candidate with the best F1 of l on validation documents, at the threshold 0.5; Adam, early stopping.

Presets: ``basic``: ω = 1, "GRU-Att-basic" of the paper's Table 1. ``weights``: the default. ``paper``: a grid over all
weights, a random (here: stratified) 85/15 split for each label, no clipping, outputs that start at 0, a learning rate
of 1e-3, the first 100 words. Its validation documents are then of no use for thresholds, which therefore come from
further held-out ones.

The default reads 256 words, which gained more on one corpus of abstracts than class weights and inheritance.

Not stated in the paper, and chosen here: the learning rate (3e-3: with a few thousand documents ten epochs of 1e-3 are
too few; in the preset 1e-3, that of the paper's output layers); that the weight is one of the positive term; whether 96
units are those of one direction (they are). Other than published: words are split at
blanks and punctuation (``encoder.vocabulary`` has other ways); GloVe vectors are not part of this package (give
``encoder.embeddings=FILE``); of epochs with equal validation F1 the one with the smaller loss is kept, and counts as
better for early stopping; all labels share one validation split, and successive halving spares most epochs of the
weights that lose (``weights.search=grid`` does not).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from taxotext.binary.settings import BinarySettings, TransferSettings
from taxotext.binary.systems import BinarySystem
from taxotext.composition.base import SystemSettings

PAPER: Mapping[str, Any] = {
    "text": {"max_tokens": 100},
    "weights": {"search": "grid"},
    "training": {"split": "own", "clip": 0.0, "start_at_odds": False, "learning_rate": 1e-3, "monitor": "f1"},
    "transfer": {
        "body_learning_rate": 5e-4,
        "freeze_embeddings": True,
        "inherit": "selected",
        "shrink": 1.0,
        "perturb": 0.0,
    },
}
"""Preset ``paper`` of the binary systems."""


class GruAttSettings(BinarySettings):
    """Settings of ``gru_att``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "basic": {"weights": {"candidates": (1.0,)}},
        "weights": {},
        "paper": PAPER,
    }

    preset: Literal["default", "basic", "weights", "paper"] = Field(
        "default", description="default, weights: class weights are searched; basic: none; paper: as published"
    )
    transfer: TransferSettings = Field(
        TransferSettings(enabled=False), description="along the taxonomy; htrans switches it on"
    )


class GruAtt(BinarySystem):
    """Binary classifiers that know nothing of each other."""

    name: ClassVar[str] = "gru_att"
    Settings: ClassVar[type[SystemSettings]] = GruAttSettings
