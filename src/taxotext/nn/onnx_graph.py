"""A network as an ONNX graph: token windows to the probabilities of all labels.

Batches of any number of windows and any length go through the graph. What a document of several windows is made of
comes in as ``places``, and not as the owner of each window: gathering has shapes that follow from those of the inputs,
as a graph needs them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from taxotext.errors import ConfigError
from taxotext.messages import quiet
from taxotext.nn.features import TextFeatures
from taxotext.nn.network import TextClassifier
from taxotext.nn.onnx_recurrent import as_operators, translations

OPSET = 23
"""Version of the operators: the first one with attention as a single operator."""
INPUTS = ("ids", "mask", "places")
OUTPUT = "scores"
LARGEST = 2**31 - 2**20
"""Bytes of weights at most; a file of the format is smaller than 2 GiB."""


@dataclass(frozen=True)
class PlacedFeatures(TextFeatures):
    """Features whose windows are put together by gathering.

    Attributes:
        places: (B, C) int64, the windows of each document in order, -1 for none; None: each window is a document.
    """

    places: Tensor | None = None

    @classmethod
    def of(cls, features: TextFeatures, places: Tensor | None) -> Self:
        """The features of an encoder, with the windows of each document."""
        values = {field.name: getattr(features, field.name) for field in fields(TextFeatures)}
        return cls(**values, places=places)

    def joined(self, values: Tensor, how: str) -> Tensor:
        """As of :class:`~taxotext.nn.features.TextFeatures`: (W, N) -> (B, N)."""
        if self.places is None:
            return values
        real = (self.places >= 0).unsqueeze(-1)  # (B, C, 1)
        gathered = values[self.places.clamp(min=0)]  # (B, C, N)
        if how == "max":
            return gathered.masked_fill(~real, torch.finfo(gathered.dtype).min).amax(1)
        return (gathered * real).sum(1) / real.sum(1)

    def by_document(self) -> tuple[Tensor, Tensor]:
        """As of :class:`~taxotext.nn.features.TextFeatures`: (B, C T, d) and (B, C T)."""
        if self.places is None:
            return self.tokens, self.mask
        real, at = (self.places >= 0).unsqueeze(-1), self.places.clamp(min=0)
        return self.tokens[at].flatten(1, 2), (self.mask[at] & real).flatten(1, 2)


class ScoresGraph(nn.Module):
    """What is exported: a network from the tokens of windows to the scores of documents.

    Args:
        network: its head has a score for each label.
    """

    def __init__(self, network: TextClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, mask: Tensor, places: Tensor | None = None) -> Tensor:
        """(W, T) int64 and bool, (B, C) int64 -> (B, N) float32."""
        text = PlacedFeatures.of(self.network.encoder(ids, mask), places)
        found = self.network.head.scores(self.network.structure(text))
        if found.candidates is not None or found.sets is not None:
            raise ValueError("its head scores some of the labels only, or decides on label sets")
        return found.values


def write_graph(network: TextClassifier, path: Path, *, max_tokens: int, several_windows: bool) -> None:
    """Trace a network and write it as an ONNX file with all its weights.

    The network is moved to the CPU, and left in the mode that it was in.

    Args:
        network: whose head has a score for each label.
        path: of the file.
        max_tokens: that the encoder takes at once, special tokens included.
        several_windows: whether a document may have more than one; the graph then has the input ``places``.

    Raises:
        ConfigError: the network has an operation that ONNX lacks, or one whose result decides about shapes; or it is
            too large for a single file.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    if size > LARGEST:
        raise ConfigError(f"its weights take {size / 2**30:.1f} GiB, and an ONNX file holds less than 2")
    was_training, graph = network.training, ScoresGraph(network.cpu()).eval()
    free = torch.export.Dim.DYNAMIC
    length = min(24, max_tokens)  # any length but 0 and 1, which torch.export takes for constants
    mask = torch.ones(3, length, dtype=torch.bool)
    mask[1, length // 2 :] = False
    example = [torch.full((3, length), 2), mask, torch.tensor([[0, 1], [2, -1]])][: 3 if several_windows else 2]
    try:
        with torch.no_grad(), _quietly(), as_operators(network):
            program = torch.onnx.export(
                graph,
                tuple(example),
                dynamo=True,
                dynamic_shapes={name: {0: free, 1: free} for name, _ in zip(INPUTS, example, strict=False)},
                input_names=list(INPUTS[: len(example)]),
                output_names=[OUTPUT],
                opset_version=OPSET,
                custom_translation_table=translations(),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(f"torch cannot trace its network ({_reason(error)})") from error
    finally:
        network.train(was_training)
    if program is None:
        raise ConfigError("torch cannot trace its network")
    program.save(str(path), external_data=False)


def _reason(error: BaseException) -> str:
    """The first cause of an error of the exporter, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])}"[:300]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what the exporter says about packages that are not installed from the terminal."""
    with quiet("torch.onnx", "torch._dynamo", "onnxscript"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
