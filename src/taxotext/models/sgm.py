"""``sgm``: labels as a sequence, over a bidirectional LSTM.

*SGM: Sequence Generation Model for Multi-label Classification* (Yang et al., COLING 2018), the baseline "SGM" of *BERT
for Sequence-to-Sequence Multi-Label Text Classification* (submission to ICLR 2020):

    h_i = [LSTM→(u_i); LSTM←(u_i)]                      words                           encoder
    s_0 = W [h→_T; h←_1] + b                            s: state of the decoder         head.units
    g_t = (1 − G) ∘ e_t + G ∘ ē_t                       e_t: embedding of the label before, ē_t: mean embedding under
          G = σ(W_1 e_t + W_2 ē_t)                      the distribution before         head.global_embedding
    s_t = LSTM(s_{t-1}, [g_t; c_{t-1}])                 c_0 = 0
    α_ti = softmax_i(v · tanh(W s_t + U h_i))           over words, not over padding    head.attention, head.query
    c_t = Σ_i α_ti h_i
    p_t = softmax(W_o tanh(W_d s_t + V_d c_t) + I_t)    I_t = −∞ on emitted labels
    L   = −Σ_t ln p_t(l_t)                              l: labels by frequency, EOS     head.label_order, head.loss_per

A beam search finds the labels (``head.beams``); max_t p_t(l) are the scores.

Deviations from the paper: labels that were emitted are masked in training as well, EOS never is; the start symbol has
no output; attention leaves padding out; empty label sets are kept; ties of frequency are ordered by level and id. The
default is smaller than the paper and its loss is a mean over documents. Preset ``paper``: two layers, 256 units a
direction, 512 in the decoder, dropout 0.5, Adam's rate 1e-3 without decay, 50,000 words, texts of 500 words, the loss
as a mean over steps. AdamW with weight decay 0 is Adam. The published programs differ from the paper (their beam search
masks wrong labels); this follows the paper. Not stated there and ours: batch size, epochs, the linear map of s_0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings, TextSettings, TrainingSettings
from taxotext.composition.recurrent_words import RecurrentSettings
from taxotext.composition.sequences import SEARCH_SPACE, SequenceHeadSettings


class SgmSettings(NeuralSettings):
    """Settings of ``sgm``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 500},
            "encoder": {
                "name": "recurrent",
                "vocabulary": {"min_count": 1, "punctuation": "drop"},
                "embedding_width": 256,
                "units": 256,
                "layers": 2,
                "word_dropout": 0.5,
                "dropout": 0.5,
            },
            "head": {
                "name": "sequence",
                "units": 512,
                "layers": 2,
                "label_width": 256,
                "dropout": 0.5,
                "loss_per": "token",
            },
            "training": {
                "batch_size": 64,
                "learning_rate": 1e-3,
                "head_learning_rate": 1e-3,
                "weight_decay": 0.0,
                "clip": 10.0,
                "schedule": "constant",
                "warmup": 0.0,
            },
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = RecurrentSettings()
    head: HeadPart = SequenceHeadSettings(global_embedding=True, dropout=0.3)
    training: TrainingSettings = TrainingSettings(
        epochs=30, batch_size=32, learning_rate=1e-3, head_learning_rate=2e-3, patience=5
    )


class Sgm(NeuralSystem):
    """Labels as a sequence, over words."""

    name: ClassVar[str] = "sgm"
    Settings: ClassVar[type[SystemSettings]] = SgmSettings
    search_space: ClassVar[Mapping[str, Any]] = SEARCH_SPACE
