"""What all fits of a training read: written once, mapped into the memory of each process that takes part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from taxotext.binary.damage import explaining_damage
from taxotext.binary.networks import changes_encoder, empty_encoder, single_network
from taxotext.data.tokens import Ragged, TextTokenizer
from taxotext.data.windows import Windows
from taxotext.files import write_atomically, write_text_atomically

if TYPE_CHECKING:
    from torch import nn

    from taxotext.binary.settings import BinarySettings
    from taxotext.nn.label_networks import LabelNetwork


BASE = "base.safetensors"
"""In the folder that all fits read: weights of the encoder that adapters change."""


@dataclass(frozen=True, eq=False)
class Documents:
    """Token windows of D documents, and which of them bear each label."""

    windows: Windows  # of the texts
    targets: csc_array  # csc bool (D, N)
    weights: NDArray[np.float32] | None = None  # (D,) float32, or None
    # float16 (tokens, D), those of a frozen encoder for each token of the windows, or None
    states: NDArray[np.float16] | None = None

    def has_label(self, label: int) -> NDArray[np.bool_]:
        """(D,) True on the documents of a label."""
        marks = np.zeros(self.targets.shape[0], dtype=np.bool_)
        marks[self.targets.indices[self.targets.indptr[label] : self.targets.indptr[label + 1]]] = True
        return marks

    def save(self, folder: Path, name: str) -> None:
        """Write ``NAME.*.npy``."""
        tokens, targets = self.windows.tokens, self.targets
        arrays: dict[str, NDArray[Any]] = {
            "values": tokens.values,
            "offsets": tokens.offsets,
            "first": self.windows.first,
            "cut": self.windows.cut,
            "shape": np.asarray(targets.shape),
            "indptr": targets.indptr,
            "indices": targets.indices,
        }
        if self.weights is not None:
            arrays["weights"] = self.weights
        for part, array in arrays.items():
            save_array(folder / f"{name}.{part}.npy", array)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Read what :meth:`save` wrote; long arrays stay in their files."""

        def part(which: str) -> NDArray[Any]:
            return load_array(folder / f"{name}.{which}.npy")

        indices = part("indices")
        windows = Windows(Ragged(part("values"), part("offsets")), part("first"), part("cut"))
        weights, states = (
            part(which) if (folder / f"{name}.{which}.npy").is_file() else None for which in ("weights", "states")
        )
        with explaining_damage(folder / f"{name}.indices.npy"):
            marks = np.ones(len(indices), dtype=np.bool_)
            targets = csc_array((marks, indices, part("indptr")), shape=tuple(part("shape").tolist()))
            targets.check_format(full_check=True)
        found = cls(windows, targets, weights, states)
        if (misfit := found._misfit()) is not None:
            with explaining_damage(folder / f"{name}.{misfit}.npy"):
                raise ValueError("it does not fit the files beside it")
        return found

    def _misfit(self) -> str | None:
        """The first array that does not fit those before it."""
        tokens, first, cut = self.windows.tokens, self.windows.first, self.windows.cut
        documents = self.targets.shape[0]
        if tokens.values.ndim != 1 or tokens.values.dtype.kind != "i" or (tokens.values < 0).any():
            return "values"
        if not _runs_to(tokens.offsets, len(tokens.values)):
            return "offsets"
        if not _runs_to(first, len(tokens)) or len(first) != documents + 1 or not np.diff(first).all():
            return "first"
        if cut.shape != (documents,):
            return "cut"
        if self.weights is not None and self.weights.shape != (documents,):
            return "weights"
        if self.states is not None and (self.states.ndim != 2 or len(self.states) != len(tokens.values)):
            return "states"
        return None

    @classmethod
    def of(cls, windows: Windows, targets: csr_array, weights: NDArray[np.float32] | None = None) -> Self:
        """Token windows (D) with their labels (D, N)."""
        return cls(windows, csc_array(targets), weights)


def _runs_to(offsets: NDArray[np.int64], end: int) -> bool:
    """Whether offsets go from 0 to ``end`` without a step back."""
    if offsets.ndim != 1 or offsets.dtype.kind != "i" or len(offsets) == 0:
        return False
    return bool(offsets[0] == 0 and offsets[-1] == end and (np.diff(offsets) >= 0).all())


@dataclass(frozen=True, eq=False)
class Shared:
    """The content of a shared folder."""

    facts: dict[str, Any]  # JSON-ready: the system, its settings, and what else was given to `write_shared`
    # train, validation: the documents
    train: Documents
    validation: Documents


def write_shared(folder: Path, facts: dict[str, Any], train: Documents, validation: Documents) -> None:
    """Write a shared folder; states are there already; the facts come last, so that a folder with facts is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    train.save(folder, "train")
    validation.save(folder, "validation")
    write_facts(folder, facts)


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write the facts alone."""
    write_text_atomically(folder / "facts.json", json.dumps(facts))


@lru_cache(maxsize=1)
def read_shared(folder: Path) -> Shared:
    """Read a shared folder, once in a process.

    Raises:
        ModelFolderError: a file of it cannot be read.
    """
    found = Shared(read_facts(folder), Documents.load(folder, "train"), Documents.load(folder, "validation"))
    known = len(TextTokenizer.from_file(folder / "tokenizer.json"))
    for name, documents in (("train", found.train), ("validation", found.validation)):
        ids = documents.windows.tokens.values
        with explaining_damage(folder / f"{name}.values.npy"):
            if len(ids) and ids.max() >= known:
                raise ValueError(f"it holds token ids beyond the {known:,} of the vocabulary")
    return found


def read_facts(folder: Path) -> dict[str, Any]:
    """Read the facts alone.

    Raises:
        ModelFolderError: they cannot be read.
    """
    path = folder / "facts.json"
    with explaining_damage(path):
        facts = json.loads(path.read_text(encoding="utf-8"))
        missing = {"system", "settings", "record", "labels", "groups"} - set(facts)
        if missing:
            raise ValueError(f"it lacks {min(missing)!r}")
    return dict(facts)


def fit_network(
    settings: BinarySettings, record: dict[str, Any], tokenizer: TextTokenizer, shared: Path
) -> LabelNetwork:
    """:func:`single_network` for one fit; weights of a shared encoder stay in their file, once for all processes.

    Raises:
        ModelFolderError: that file cannot be read.
    """
    if not changes_encoder(settings):
        return single_network(settings, record, tokenizer)
    from safetensors.torch import load_file

    path = shared / BASE
    encoder = empty_encoder(settings, record, tokenizer)
    with explaining_damage(path):
        encoder.load_state_dict(load_file(path), assign=True)  # views of the mapped file
    return single_network(settings, record, tokenizer, encoder)


def save_base(encoder: nn.Module, shared: Path) -> None:
    """Write the weights that :func:`fit_network` reads."""
    from safetensors.torch import save_file

    state = {name: values.detach().cpu().contiguous() for name, values in encoder.state_dict().items()}
    write_atomically(shared / BASE, lambda temporary: save_file(state, temporary))


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file completely or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    write_atomically(path, write)


def load_array(path: Path) -> NDArray[Any]:
    """Map a ``.npy`` file into memory; what is written into the array stays in this process.

    Raises:
        ModelFolderError: it cannot be read.
    """
    with explaining_damage(path):
        if path.stat().st_size < 2**16:
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            return array
        mapped: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
        return mapped.view(np.ndarray)
