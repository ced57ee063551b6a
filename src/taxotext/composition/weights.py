"""Weights of a network in safetensors files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taxotext.errors import ModelFolderError
from taxotext.files import write_atomically

if TYPE_CHECKING:
    from torch import nn


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the state of ``network`` as safetensors, completely or not at all."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(state, temporary))


def load_weights(network: nn.Module, path: Path) -> None:
    """Load safetensors into ``network``; every name and shape must fit.

    Raises:
        ModelFolderError: when the file is missing, damaged or of another network or taxonomy.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except FileNotFoundError:
        raise ModelFolderError(f"{path}: the weights are missing; save the model again.") from None
    except (SafetensorError, OSError) as error:
        raise ModelFolderError(f"{path}: is damaged ({error}); save the model again.") from None
    expected = network.state_dict()
    problems = [f"{name}: missing" for name in expected.keys() - state.keys()]
    problems += [f"{name}: not part of this model" for name in state.keys() - expected.keys()]
    problems += [
        f"{name}: shape {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected.keys() & state.keys()
        if state[name].shape != expected[name].shape
    ]
    if problems:
        raise ModelFolderError(
            f"{path}: the weights do not fit the configuration and the taxonomy of the folder.",
            sorted(problems),
        )
    network.load_state_dict(state)
