"""``bert_sgm``: labels as a sequence, over any pretrained transformer.

"BERT+SGM", Algorithm 1 of *BERT for Sequence-to-Sequence Multi-Label Text Classification* (submission to ICLR 2020):

    h_1 .. h_T, h_[CLS] = BERT(x)                       last layer                      encoder, encoder.pooling=cls
    s_0 = W_init h_[CLS] + b                            cell state m_0 = 0
    α_t = softmax_i(h_i · s_{t-1})                      no scaling                      head.attention, query, scale
    c_t = Σ_i α_ti h_i                                  c_0 = 0                         head.first_context
    s_t = LSTM(s_{t-1}, [e(y_{t-1}); c_{t-1}])
    p_t = softmax(W_o tanh(W_d s_t + V_d c_t) + I_t)    I_t = −∞ on emitted labels
    L   = −Σ_t ln p_t(l_t)                              l: labels by frequency, EOS     head.label_order

A beam search finds the labels (``head.beams``); max_t p_t(l) are the scores, those of its mixed model. Not stated in
the paper, and ours: c_0 (zeros), label embeddings as wide as the states, one layer, dropout 0.1; [SEP] is attended to,
[CLS] is not, since the algorithm lists it apart.

Deviations: labels that were emitted are masked in training as well; the decoder has its own, larger learning rate;
AdamW with β = (0.9, 0.999) instead of Adam with (0.9, 0.99); dot products are divided by the root of the width by
default. Preset ``paper``: they are not, 2e-5 for the encoder, batches of 16, warm-up over a tenth of the steps, no
weight decay, 512 tokens of texts in lower case without punctuation. With 2e-5 for a decoder that starts from nothing
training is slow: the preset keeps 5e-4 for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TrainingSettings
from taxotext.composition.sequences import SEARCH_SPACE, SequenceHeadSettings


class BertSgmSettings(NeuralSettings):
    """Settings of ``bert_sgm``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 512},
            "encoder": {"name": "transformer", "lowercase": True, "punctuation": "drop"},
            "head": {"name": "sequence", "attention": "dot", "query": "previous", "scale": False},
            "training": {"learning_rate": 2e-5, "head_learning_rate": 5e-4, "weight_decay": 0.0},
        }
    }

    preset: Preset = "default"
    encoder: EncoderPart = parts.TransformerSettings(pooling="cls")
    head: HeadPart = SequenceHeadSettings(attention="dot", query="previous", scale=True)
    training: TrainingSettings = TrainingSettings()


class BertSgm(NeuralSystem):
    """Labels as a sequence, over a pretrained transformer."""

    name: ClassVar[str] = "bert_sgm"
    Settings: ClassVar[type[SystemSettings]] = BertSgmSettings
    search_space: ClassVar[Mapping[str, Any]] = SEARCH_SPACE
