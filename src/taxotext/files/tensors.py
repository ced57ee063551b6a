"""Arrays of safetensors files, checked before use: an index out of range would read foreign memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.errors import ModelFolderError

Tensors = dict[str, NDArray[Any]]


def read_tensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Read all arrays of a file and its metadata; nothing in it is run.

    Raises:
        ModelFolderError: when it is missing or no safetensors file.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  # no mapping


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a file, by name; no array is read.

    Raises:
        ModelFolderError: when it is missing or no safetensors file.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, by the library; what that raises becomes a ModelFolderError."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelFolderError(f"{path}: is missing; save the model again.")
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFolderError(f"{path}: is not a sound safetensors file ({error}); save the model again.") from None


def numbers(tensors: Tensors, name: str, shape: tuple[int, ...], kind: Any = np.float32) -> NDArray[Any]:
    """The finite numbers of one array.

    Raises:
        ValueError: it is missing, of another shape, or holds NaN or infinity.
    """
    if name not in tensors:
        raise ValueError(f"there is no {name!r}")
    array = tensors[name]
    if array.shape != shape:
        raise ValueError(f"{name!r} has the shape {array.shape} instead of {shape}")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"{name!r} holds values that are not finite numbers")
    return np.asarray(array, dtype=kind)


def sparse_rows(tensors: Tensors, name: str, shape: tuple[int, int], *, ones: bool = False) -> csr_array:
    """The sparse matrix in ``name.indptr``, ``name.indices`` and ``name.data`` (without data where all are True).

    Raises:
        ValueError: a part is missing, or the indices do not fit the shape.
    """
    for part in ("indptr", "indices"):
        if f"{name}.{part}" not in tensors:
            raise ValueError(f"there is no '{name}.{part}'")
        if tensors[f"{name}.{part}"].dtype.kind not in "iu":
            raise ValueError(f"'{name}.{part}' holds no whole numbers")
    indptr, indices = tensors[f"{name}.indptr"], tensors[f"{name}.indices"]
    data = np.ones(indices.shape, bool) if ones else numbers(tensors, f"{name}.data", indices.shape)
    matrix = csr_array((data, indices, indptr), shape=shape)
    matrix.check_format(full_check=True)
    if matrix.nnz != len(indices):
        raise ValueError(f"'{name}.indptr' ends at {matrix.nnz}, there are {len(indices)} entries")
    return matrix
