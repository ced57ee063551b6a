"""Encoders and losses against ``tests/reference/blocks.json``, which a NumPy script without Taxotext has written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import blocks
from taxotext.nn.encoders.words import GruAttention, KimCnn, TextCnn
from taxotext.nn.losses import AsymmetricLoss, BinaryCrossEntropy, FocalLoss, ZlprLoss, recursive_regularisation

GOLDEN: dict[str, Any] = json.loads(blocks.VALUES.read_text(encoding="utf-8"))
TOLERANCE = 1e-5


def encoded(encoder: nn.Module, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors of tokens (W, T', d), and of windows (W, D): how encoders are called."""
    features = encoder(ids, mask)
    return features.tokens, features.pooled


def loss_of(loss: nn.Module, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """A scalar: how losses are called."""
    value: Tensor = loss(logits, targets, weights)
    return value


def table() -> nn.Embedding:
    return nn.Embedding(blocks.VOCABULARY, blocks.WIDTH, padding_idx=0)


ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "gru_attention": lambda: GruAttention(table(), blocks.UNITS, 0.0),
    "textcnn": lambda: TextCnn(table(), blocks.FILTERS, blocks.KERNEL, blocks.POOL, blocks.HIDDEN),
    "kim_cnn": lambda: KimCnn(table(), blocks.KERNELS, blocks.KIM_FILTERS),
}
GRU = {"input": "weight_ih_l0", "state": "weight_hh_l0", "input_bias": "bias_ih_l0", "state_bias": "bias_hh_l0"}
NAMES: dict[str, dict[str, str]] = {
    "gru_attention": {
        "embedding": "embedding.weight",
        **{f"{way}.{name}": f"{way}.{ours}" for way in ("forwards", "backwards") for name, ours in GRU.items()},
        "attention": "attention.projection.weight",
        "attention_bias": "attention.projection.bias",
        "context": "attention.context",
    },
    "textcnn": {
        "embedding": "embedding.weight",
        **{name: f"{name}.weight" for name in ("first", "second", "hidden")},
        **{f"{name}_bias": f"{name}.bias" for name in ("first", "second", "hidden")},
        **{"scale": "norm.weight", "shift": "norm.bias", "mean": "norm.running_mean", "variance": "norm.running_var"},
    },
    "kim_cnn": {
        "embedding": "embedding.weight",
        **{f"filters_{size}": f"convolutions.{place}.weight" for place, size in enumerate(blocks.KERNELS)},
        **{f"bias_{size}": f"convolutions.{place}.bias" for place, size in enumerate(blocks.KERNELS)},
    },
}
"""Names of the script -> ours."""


def filled(name: str) -> nn.Module:
    """Our block with the parameters of the script."""
    encoder = ENCODERS[name]().eval()
    state = {NAMES[name][key]: torch.tensor(values).float() for key, values in blocks.parameters(name).items()}
    assert state.keys() == encoder.state_dict().keys() - {"norm.num_batches_tracked"}
    encoder.load_state_dict(state, strict=False)
    return encoder


def batch(padding: int) -> tuple[Tensor, Tensor]:
    """The texts of the script with any word behind their ends, which the mask leaves out."""
    lengths = torch.tensor([len(text) for text in blocks.TEXTS])
    ids = torch.full((len(lengths), blocks.LENGTH + padding), 6)
    for row, text in enumerate(blocks.TEXTS):
        ids[row, : len(text)] = torch.tensor(text)
    return ids, torch.arange(ids.shape[1]) < lengths.unsqueeze(1)


def close(found: Tensor, expected: Any) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=TOLERANCE)


def agrees(encoder: nn.Module, golden: dict[str, Any], padding: int) -> None:
    tokens, pooled = encoded(encoder, *batch(padding))
    expected = np.asarray(golden["tokens"])
    close(tokens[:, : expected.shape[1]], expected)
    assert not tokens[:, expected.shape[1] :].any(), "padding is not zero"
    close(pooled, golden["pooled"])


def test_the_file_is_what_the_script_writes() -> None:
    found = blocks.rounded(blocks.values())
    assert found.keys() == GOLDEN.keys()
    for block, expected in GOLDEN.items():
        assert _flat(found[block]) == pytest.approx(_flat(expected), abs=1e-6), block


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("gradients", [False, True])  # the GRU takes its steps in another way where they are needed
@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_computes_what_its_equations_say(name: str, gradients: bool, padding: int) -> None:
    with torch.set_grad_enabled(gradients):
        agrees(filled(name), GOLDEN[name], padding)


@pytest.mark.parametrize("padding", [0, 5])
def test_batch_normalisation_takes_the_statistics_of_the_batch_in_training(padding: int) -> None:
    agrees(filled("textcnn").train(), GOLDEN["textcnn in training"], padding)


@pytest.mark.parametrize("padding", [0, 5])
def test_the_gru_has_the_derivatives_of_its_equations(padding: int) -> None:
    encoder = filled("gru_attention")
    _, pooled = encoded(encoder, *batch(padding))
    (pooled * torch.tensor(blocks.fill(tuple(pooled.shape), 30)).float()).sum().backward()
    parameters = dict(encoder.named_parameters())
    for name, expected in GOLDEN["gru_attention derivatives"].items():
        gradient = parameters[NAMES["gru_attention"][name]].grad
        assert gradient is not None
        close(gradient, expected)


LOSSES: dict[str, Callable[[Any], nn.Module]] = {
    "bce": lambda scale: BinaryCrossEntropy(scale=scale),
    "bce_positive_weights": lambda scale: BinaryCrossEntropy(torch.tensor(blocks.POSITIVE_WEIGHTS).float(), scale),
    "focal": lambda scale: FocalLoss(2.0, 0.25, scale),
    "focal_without_alpha": lambda scale: FocalLoss(0.5, None, scale),
    "asymmetric": lambda scale: AsymmetricLoss(1.0, 3.0, 0.1, scale),
    "asymmetric_without_margin": lambda scale: AsymmetricLoss(0.0, 2.0, 0.0, scale),
    "zlpr": lambda scale: ZlprLoss(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_derivative_are_those_of_its_equation(name: str) -> None:
    golden = GOLDEN["losses"][name]
    logits = torch.tensor(blocks.LOGITS).float().requires_grad_()
    targets, weights = torch.tensor(blocks.TARGETS).float(), torch.tensor(blocks.DOCUMENT_WEIGHTS).float()
    total = loss_of(LOSSES[name]("sum"), logits, targets)
    total.backward()
    close(total, golden["sum"])
    assert logits.grad is not None
    close(logits.grad, golden["derivative"])
    close(loss_of(LOSSES[name]("mean"), logits, targets), golden["mean"])
    close(loss_of(LOSSES[name]("sum"), logits, targets, weights), golden["weighted"])


def test_recursive_regularisation_and_its_derivative_are_those_of_the_equation() -> None:
    rows = torch.tensor(blocks.fill(blocks.ROWS, 21)).float().requires_grad_()
    penalty = recursive_regularisation(rows, torch.tensor(blocks.EDGES).T)
    penalty.backward()
    close(penalty, GOLDEN["recursive"]["value"])
    assert rows.grad is not None
    close(rows.grad, GOLDEN["recursive"]["derivative"])


def _flat(found: Any) -> list[float]:
    if isinstance(found, dict):
        return [number for value in found.values() for number in _flat(value)]
    return [float(number) for number in np.ravel(found)]
