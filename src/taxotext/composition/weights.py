"""Weights of a network in safetensors files."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from taxotext.errors import ConfigError, ModelFolderError
from taxotext.files import write_atomically
from taxotext.files.tensors import read_shapes

if TYPE_CHECKING:
    from torch import Tensor, nn

FLOAT_BYTES = 4
MOST_TENSORS = 200_000
"""Weight matrices and the like of a network that is trained: more would take minutes to make."""
MAPPED_FROM = 2**15
"""Rows of a table from which on prediction leaves it in the file of the weights."""
SPARE = 2**24
"""Numbers that modules may make and drop again while they are built, beside those of the file."""


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the state of ``network`` as safetensors, completely or not at all."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(state, temporary))


def load_weights(network: nn.Module, path: Path, *, mapped: bool = False) -> None:
    """Load safetensors into ``network``; every name and shape must fit.

    Args:
        network: of the settings.
        path: of the weights.
        mapped: tables of at least :data:`MAPPED_FROM` nodes stay in the file, which the system reads where rows are
            looked up; a change of their weights does not reach it.

    Raises:
        ModelFolderError: when the file is missing, damaged or of another network or taxonomy.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_shapes(network, path, read_shapes(path))
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelFolderError(f"{path}: is damaged ({error}); save the model again.") from None
    kept = _map_tables(network, state) if mapped and os.name == "posix" else set()  # elsewhere it could not be replaced
    network.load_state_dict({name: tensor for name, tensor in state.items() if name not in kept}, strict=not kept)


def _map_tables(network: nn.Module, state: Mapping[str, Tensor]) -> set[str]:
    """Let the large tables of labels be those of ``state``, which are not copied; return their names."""
    from torch import nn

    from taxotext.nn.node_scorers import NodeScorer

    found = set()
    for prefix, scorer in network.named_modules():
        if not isinstance(scorer, NodeScorer) or scorer.nodes < MAPPED_FROM:
            continue
        for name, own in scorer.tables().items():
            given = state[f"{prefix}.{name}"]
            if given.dtype == own.dtype:
                setattr(scorer, name, nn.Parameter(given, requires_grad=own.requires_grad))
                found.add(f"{prefix}.{name}")
    return found


def check_shapes(network: nn.Module, path: Path, found: Mapping[str, tuple[int, ...]]) -> None:
    """Compare names and shapes of the weights of a file with those of ``network``.

    Raises:
        ModelFolderError: they are those of another network or taxonomy.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if problems := shape_problems(expected, found):
        raise misfit(path, problems)


def shape_problems(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What is missing, not expected, or of another shape among weights, by their names and shapes."""
    problems = [f"{name}: missing" for name in expected.keys() - found.keys()]
    problems += [f"{name}: not part of this model" for name in found.keys() - expected.keys()]
    problems += [
        f"{name}: shape {found[name]} instead of {expected[name]}"
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    return problems


def limited_by(path: Path, found: Mapping[str, tuple[int, ...]]) -> AbstractContextManager[None]:
    """Let modules that are built in the block have no more, and no larger, tensors than the weights of a file can fill.

    What settings and records say about sizes is not believed: a made-up size must not exhaust the memory.

    Args:
        path: of the weights.
        found: their shapes, by name.

    Raises:
        ModelFolderError: in the block, the modules have more than twice as many numbers as the file.
    """
    from taxotext.nn.sizes import limited

    numbers = sum(math.prod(shape) for shape in found.values())
    return limited(2 * numbers + SPARE, 4 * len(found) + 200, lambda: misfit(path))


def within_memory(*, checked: bool) -> AbstractContextManager[None]:
    """Let a network that is built in the block be no larger than the free memory, before anything is filled.

    Args:
        checked: false: let it try.

    Raises:
        ConfigError: in the block, the weights alone need more than there is.
    """
    from taxotext.cost.memory import GIB, available, shown
    from taxotext.nn.sizes import limited

    free = available()
    if not checked or free is None:
        return nullcontext()
    sentence = (
        f"The weights of the network alone need more than the {shown(free)} of memory that are free: lower the widths "
        "of encoder, structure and head, or take a smaller encoder. (runtime.check_memory=false builds it "
        "anyway.)"
    )
    # Below a gigabyte nothing is risked, and the estimate of the whole training says more.
    return limited(max(free, GIB) // FLOAT_BYTES, MOST_TENSORS, lambda: ConfigError(sentence))


def misfit(path: Path, problems: Sequence[str] = ()) -> ModelFolderError:
    """The error of weights that are those of another configuration or taxonomy."""
    return ModelFolderError(
        f"{path}: the weights do not fit the configuration and the taxonomy of the folder: it was mixed from two "
        "models, or an earlier version saved it, whose network had other weights. Save it again, or train it again.",
        sorted(problems),
    )
