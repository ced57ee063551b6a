"""``bert``: a pretrained encoder with one sigmoid output for each label.

The "multi-label BERT" of *BERT for Sequence-to-Sequence Multi-Label Text Classification* (submission to ICLR 2020), of
DocBERT (Adhikari et al. 2019) and of most tables:

    h = pool(encoder(x))                 pooled vector, dropout 0.1
    p_l = σ(w_l · h + b_l)               one output for each label l
    L = Σ_l BCE(p_l, y_l)                mean over documents

Deviations from the papers: the loss is the sum over labels instead of their mean (see
:class:`taxotext.nn.losses.BinaryCrossEntropy`); the head has its own, larger learning rate; mean pooling is the default
because the default encoder was trained with it, while ``encoder.pooling=cls`` is the papers' choice; AdamW with β =
(0.9, 0.999) instead of Adam with (0.9, 0.99); outputs start from the log-odds of the labels. Preset ``paper``: the mean
over labels, the first token, one rate of 2e-5 that rises over a tenth of the steps and falls linearly, batches of 16,
30 epochs (the paper's number for Reuters-21578 and RCV1), no weight decay, 512 tokens of texts in lower case without
punctuation; the encoder stays the default one, BERT-base is ``encoder.source=bert-base-uncased``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import NeuralSettings


class BertSettings(NeuralSettings):
    """Settings of ``bert``: the composition with its defaults."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 512},
            "encoder": {"name": "transformer", "pooling": "cls", "lowercase": True, "punctuation": "drop"},
            "loss": {"name": "bce", "scale": "mean"},
            "training": {
                **{"epochs": 30, "patience": 30, "batch_size": 16, "weight_decay": 0.0},
                **{"learning_rate": 2e-5, "head_learning_rate": 2e-5, "schedule": "linear", "warmup": 0.1},
            },
        }
    }

    preset: Preset = "default"


class Bert(NeuralSystem):
    """Any Hugging Face encoder, fine-tuned."""

    name: ClassVar[str] = "bert"
    Settings: ClassVar[type[SystemSettings]] = BertSettings
