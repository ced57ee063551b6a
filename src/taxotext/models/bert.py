"""``bert``: a pretrained encoder with one sigmoid output for each label.

The "multi-label BERT" of *BERT for Sequence-to-Sequence Multi-Label Text Classification* (submission to ICLR 2020), of
DocBERT (Adhikari et al. 2019) and of most tables:

    h = pool(encoder(x))                 pooled vector, dropout 0.1
    p_l = σ(w_l · h + b_l)               one output for each label l
    L = Σ_l BCE(p_l, y_l)                mean over documents

Deviations from the papers: the loss is the sum over labels instead of their mean (see
:class:`taxotext.nn.losses.BinaryCrossEntropy`); the head has its own, larger learning rate; mean pooling is the default
because the default encoder was trained with it, while ``encoder.pooling=cls`` is the papers' choice.
"""

from __future__ import annotations

from typing import ClassVar

from taxotext.composition.base import SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import NeuralSettings


class BertSettings(NeuralSettings):
    """Settings of ``bert``: the composition with its defaults."""


class Bert(NeuralSystem):
    """Any Hugging Face encoder, fine-tuned."""

    name: ClassVar[str] = "bert"
    Settings: ClassVar[type[SystemSettings]] = BertSettings
