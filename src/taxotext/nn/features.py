"""The contract between text encoders, structure encoders and heads."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TextFeatures:
    """What an encoder makes of W token windows.

    An encoder has two numbers: ``width`` is D, ``token_width`` is d.

    Attributes:
        tokens: (W, T, d) one vector for each token, or for each position that the encoder makes of them.
        mask: (W, T) bool, True on tokens, False on padding.
        pooled: (W, D) one vector for each window.
        labels: (W, N, d) one vector for each label, filled by structure encoders; None before.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    labels: Tensor | None = None
