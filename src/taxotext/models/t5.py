"""``t5``: a pretrained encoder-decoder that writes labels, with one new token for each.

Labels as the output of T5 under the constraint of a taxonomy, as in *Constrained Sequence-to-Tree Generation for
Hierarchical Text Classification* (Yu et al., SIGIR 2022), without label strings, separators and the parsing of them:

    h   = encoder(x)                                     encoder.source
    s_t = decoder([X[begin], X[y_1] .. X[y_{t-1}]], h)   X: what is read: labels, the start
    p_t = softmax(O (c s_t) + b + I_t)                   O: what is written: labels, the end; I_t = −∞ on emitted labels
    L   = −Σ_t ln p_t(l_t)                               l: gold labels in head.label_order, the end

The rows of a label start from the mean of the pretrained embeddings of the pieces of its name (and description). Beam
search, scores, and the masks that keep to the taxonomy (``head.constrained``, on by default) are those of ``sgm``.

c is the factor of the pretrained model, if it has one. Deviations from the paper: each label is one token, in any of
the orders of ``sgm`` (top-down by default) and without tokens for the way up; O starts from the output embeddings and
is a matrix of its own; the constraint is not part of the training. Preset ``paper``: t5-base, 512 tokens and the rate
5e-5 of Torba et al. (ECIR 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.label_tokens import EncoderDecoderSettings, LabelTokensHeadSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import EncoderPart, HeadPart, NeuralSettings
from taxotext.composition.sequences import SEARCH_SPACE


class T5Settings(NeuralSettings):
    """Settings of ``t5``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 512},
            "encoder": {"name": "encoder_decoder", "source": "google-t5/t5-base"},
            "training": {"learning_rate": 5e-5, "head_learning_rate": 5e-5},
        }
    }

    preset: Preset = "default"
    encoder: EncoderPart = Field(EncoderDecoderSettings(), description="text encoder, with a decoder")
    head: HeadPart = LabelTokensHeadSettings(label_order="top_down", constrained=True)


class T5(NeuralSystem):
    """Labels as tokens of a pretrained encoder-decoder."""

    name: ClassVar[str] = "t5"
    Settings: ClassVar[type[SystemSettings]] = T5Settings
    search_space: ClassVar[Mapping[str, Any]] = {
        path: choice for path, choice in SEARCH_SPACE.items() if path != "head.dropout"
    }
