"""Which numbers of the tiny fits are kept in ``fits.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOLDEN = Path(__file__).with_name("fits.json")
"""``{"FIT/ARRAY": [numbers, row by row]}``."""

HEAD, OWN_HEAD = "head.output.weight", "labels.head.output.weight"
WEIGHTS = {
    "linear": ("intercepts", "coefficients.data"),
    "bert": (HEAD, "encoder.model.encoder.layer.0.attention.self.query.weight"),
    "textcnn": (HEAD, "encoder.first.weight"),
    "kim_cnn": (HEAD, "encoder.convolutions.1.weight"),
    "gru_att_multi": (HEAD, "encoder.forwards.weight_hh_l0"),
    "dgcnn": (HEAD, "encoder.convolutions.0.weight"),
    "gru_att": (OWN_HEAD, "labels.encoder.backwards.weight_ih_l0"),
    "htrans": (OWN_HEAD, "tables.0"),
    "htrans_frozen": (OWN_HEAD, "labels.encoder.attention.context"),
}
"""Tensors of ``weights.safetensors``; a commit that renames tensors renames them here."""
KEPT = 12
"""First numbers of each tensor."""


def chosen(name: str, found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Scores, tuned label sets (0 or 1), and a part of the weights, of what :func:`golden.fits.fit` found."""
    weights = {weight: found[f"weights/{weight}"].ravel()[:KEPT] for weight in WEIGHTS[name]}
    return {"scores": found["scores"], "tuned": found["tuned"].astype(np.int8), **weights}
