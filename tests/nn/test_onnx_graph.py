"""Parts of an exported network: windows joined by gathering, recurrent layers as operators."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taxotext.errors import ConfigError
from taxotext.models.onnx import places
from taxotext.nn import onnx_graph
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import LinearHead
from taxotext.nn.network import TextClassifier
from taxotext.nn.onnx_graph import PlacedFeatures, write_graph
from taxotext.nn.onnx_recurrent import as_operators
from taxotext.nn.recurrent import both_directions

OWNER = np.asarray([0, 0, 0, 1, 2, 2])


@pytest.mark.parametrize("how", ["max", "mean"])
def test_windows_are_joined_as_by_their_owners(how: str) -> None:
    torch.manual_seed(0)
    mask = torch.arange(5) < torch.tensor([[5], [5], [2], [4], [5], [1]])
    plain = TextFeatures(torch.randn(6, 5, 3), mask, torch.randn(6, 4)).owned(torch.from_numpy(OWNER), 3)
    placed = PlacedFeatures.of(plain, torch.from_numpy(places(OWNER, 3)))
    values = torch.randn(6, 7) - 3
    torch.testing.assert_close(placed.joined(values, how), plain.joined(values, how))
    for one, other in zip(placed.by_document(), plain.by_document(), strict=True):
        real = plain.by_document()[1]
        assert torch.equal(one[real], other[real])
    assert torch.equal(placed.by_document()[1], plain.by_document()[1])


def test_places_of_no_documents_are_an_empty_array() -> None:
    assert places(np.zeros(0, np.int64), 0).shape[0] == 0


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("start", [False, True], ids=["zeros", "learned start"])
def test_recurrent_layers_run_as_operators_on_other_lengths(kind: str, start: bool, tmp_path: Path) -> None:
    """Against torch, in both directions, with padding, and for another length and batch than the traced ones."""
    import onnxruntime

    torch.manual_seed(1)
    make = nn.LSTM if kind == "lstm" else nn.GRU

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.forwards, self.backwards = make(3, 4, batch_first=True), make(3, 4, batch_first=True)
            self.start = torch.randn(2, 2 if kind == "lstm" else 1, 4) if start else None
            self.width = self.token_width = 8

        def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
            words = torch.stack([ids % 3, ids % 5, ids % 7], 2).float() * mask.unsqueeze(2)
            states = both_directions(self.forwards, self.backwards, words, mask, self.start)
            return TextFeatures(states, mask, states.sum(1))

    network = TextClassifier(Both(), nn.Identity(), LinearHead(8, 5)).train()
    layer = network.encoder.forwards
    write_graph(network, tmp_path / "model.onnx", max_tokens=20, several_windows=False)
    assert network.encoder.forwards is layer, "the network is as it was"
    assert network.training
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for windows, length in ((1, 1), (2, 7), (5, 19)):
        ids = torch.randint(1, 100, (windows, length))
        mask = torch.arange(length) < torch.randint(1, length + 1, (windows, 1))
        with torch.no_grad():
            wanted = network.eval().head.scores(network.encoder(ids, mask)).values
        found = session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})[0]
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)


def test_layers_come_back_when_the_trace_fails() -> None:
    network = nn.Sequential(nn.GRU(2, 2, batch_first=True))
    before = network[0]
    with suppress(RuntimeError), as_operators(network):
        assert network[0] is not before
        raise RuntimeError
    assert network[0] is before


def test_what_cannot_be_traced_or_is_too_large_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deciding(nn.Module):
        def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
            pooled = ids.float() if int(ids.sum()) > 3 else -ids.float()
            return TextFeatures(pooled.unsqueeze(2), mask, pooled[:, :4])

    network = TextClassifier(Deciding(), nn.Identity(), LinearHead(4, 2))
    with pytest.raises(ConfigError, match="torch cannot trace its network"):
        write_graph(network, tmp_path / "model.onnx", max_tokens=8, several_windows=False)
    monkeypatch.setattr(onnx_graph, "LARGEST", 10)
    with pytest.raises(ConfigError, match="an ONNX file holds less than 2"):
        write_graph(network, tmp_path / "model.onnx", max_tokens=8, several_windows=False)
