"""omikuji as a library: forests are trained in a process of their own, loaded, and asked for candidates by threads.

Why a process: the training can be interrupted, its memory goes back to the system, a panic in it is an error here and
not the end of the program, and what it prints becomes progress.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.errors import ModelFolderError, TrainingError
from taxotext.files import sha256
from taxotext.models.label_tree_worker import library
from taxotext.processes import child_environment

SETTINGS, TREES = "settings.json", "tree*.cbor"
"""What omikuji writes and reads."""

ASKED_TOGETHER = 64
"""Documents that a thread asks for before it looks for more."""

_DONE = re.compile(rb"\r(\d+) / \d+ \[")
"""How omikuji shows on stderr how many classifiers are fitted."""
_WEIGHTS = re.compile(rb"ddata(?:([\x80-\x97])|\x98(.)|\x99(..)|\x9a(.{4})|\x9b(.{8}))", re.DOTALL)
"""The key ``data`` of a weight matrix in CBOR and the length of the array that it leads to."""


def write_examples(path: Path, features: csr_array, targets: csr_array) -> None:
    """Write what omikuji trains on: ``label,label index:value index:value ...`` below a line of sizes.

    Args:
        path: of the file.
        features: (D, V).
        targets: (D, N) bool.
    """
    values = features.data.astype(np.float32)
    with path.open("w", encoding="ascii") as file:
        file.write(f"{features.shape[0]} {features.shape[1]} {targets.shape[1]}\n")
        for row in range(features.shape[0]):
            labels = targets.indices[targets.indptr[row] : targets.indptr[row + 1]].tolist()
            part = slice(features.indptr[row], features.indptr[row + 1])
            pairs = map("%d:%.9g".__mod__, zip(features.indices[part].tolist(), values[part].tolist(), strict=True))
            file.write(" ".join([",".join(map(str, labels)), *pairs]) + "\n")


def train(
    examples: Path,
    folder: Path,
    hyper_parameters: Mapping[str, float],
    threads: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Train a forest and save it.

    Args:
        examples: of :func:`write_examples`.
        folder: where omikuji saves, see :data:`TREES`.
        hyper_parameters: by omikuji's names.
        threads: of omikuji.
        progress: called with the number of classifiers that were fitted.

    Raises:
        TrainingError: omikuji gave up.
    """
    library()
    arguments = [str(os.getpid()), str(examples), str(folder), str(threads), json.dumps(dict(hyper_parameters))]
    process = subprocess.Popen(
        # -P: files of the current folder do not take the place of libraries
        [sys.executable, "-P", "-m", "taxotext.models.label_tree_worker", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=child_environment(),
    )
    assert process.stderr is not None
    told, done = b"", 0
    try:
        while chunk := os.read(process.stderr.fileno(), 1 << 16):
            told = (told + chunk)[-(1 << 17) :]
            for match in _DONE.finditer(told):
                if progress is not None and int(match[1]) > done:
                    progress(int(match[1]) - done)
                done = max(done, int(match[1]))
            told = told[told.rfind(b"\r") :] if b"\r" in told else told
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    if code:
        raise TrainingError(f"omikuji ended while it trained the trees: {_reason(code, told)}")


def _reason(code: int, told: bytes) -> str:
    if code == -signal.SIGKILL:
        return "it was killed, most often because memory ran out; lower features.max_features or tree.trees."
    lines = [line.strip() for line in told.decode(errors="replace").splitlines() if line.strip()]
    panic = next((number for number, line in enumerate(lines) if "panicked at" in line), None)
    if panic is not None:
        shown = lines[panic : panic + 2]
    else:  # what omikuji says comes before what Python makes of it
        shown = lines[: 1 if len(lines) > 1 and lines[1].startswith("Traceback") else 0] or lines[-1:]
    return f"{' '.join(shown) or 'no reason given'} (code {code})."


def count_weights(folder: Path) -> int:
    """Weights that the trees in a folder hold, those of sparse matrices and of dense ones."""
    total = 0
    for path in folder.glob(TREES):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for match in _WEIGHTS.finditer(content):
                short, *longer = match.groups()
                total += short[0] - 0x80 if short else int.from_bytes(next(size for size in longer if size), "big")
    return total


@contextlib.contextmanager
def _without_links(folder: Path) -> Iterator[Path]:
    """The folder, or a copy of it: omikuji passes over links, which the cache of the Hugging Face hub consists of."""
    files = [folder / SETTINGS, *folder.glob(TREES)]
    if not any(path.is_symlink() for path in files):
        yield folder
        return
    with TemporaryDirectory(prefix="taxotext-") as holder:
        for path in files:
            shutil.copyfile(path, Path(holder) / path.name)
        yield Path(holder)


class Forest:
    """Trees of linear classifiers, trained.

    Args:
        folder: where omikuji saved them.
        threads: that it predicts with.

    Raises:
        ModelFolderError: omikuji does not read them.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        try:
            with _without_links(folder) as place:
                self._model = library().Model.load(str(place))
        except RuntimeError:
            raise ModelFolderError(f"{folder}: omikuji cannot read the trees; save the model again.") from None
        self._threads = threads
        self._model.init_prediction_thread_pool(threads)

    @property
    def features(self) -> int:
        """Features that the classifiers were trained on."""
        return int(self._model.n_features)

    @property
    def trees(self) -> int:
        """How many trees there are."""
        return int(self._model.n_trees)

    def save(self, folder: Path) -> list[str]:
        """Write the trees into a folder that holds none, and return the names of the files."""
        self._model.save(str(folder))
        # omikuji reads trees in the order in which the file system lists them; by content, it is the same in any copy.
        trees = sorted(folder.glob(TREES), key=sha256)
        names = [f"tree{number}.cbor" for number in range(len(trees))]
        for path in trees:
            path.rename(path.with_suffix(".moved"))
        for path, name in zip(trees, names, strict=True):
            path.with_suffix(".moved").rename(folder / name)
        return [SETTINGS, *names]

    def candidates(self, features: csr_array, labels: int, beam_size: int, count: int) -> csr_array:
        """The best labels of each document.

        omikuji takes one document a call and lets other threads go on meanwhile.

        Args:
            features: (b, V), rows of length 1 or without entries: a row of zeros would end the process.
            labels: N.
            beam_size: nodes of a level that the search keeps.
            count: labels of a document at most.

        Returns:
            float32 (b, N), canonical; a label that is stored is a candidate.

        Raises:
            ModelFolderError: the trees know labels beyond N.
        """

        def ask(start: int) -> tuple[list[int], NDArray[np.int32], NDArray[np.float32]]:
            sizes, found = [], []
            for row in range(start, min(start + ASKED_TOGETHER, features.shape[0])):
                part = slice(features.indptr[row], features.indptr[row + 1])
                pairs = zip(features.indices[part].tolist(), features.data[part].tolist(), strict=True)
                best = self._model.predict(pairs, beam_size, count)
                sizes.append(len(best))
                found += best
            best_labels, best_scores = zip(*found, strict=True) if found else ((), ())
            return sizes, np.asarray(best_labels, np.int32), np.asarray(best_scores, np.float32)

        # One more than omikuji has, so that it has work while a thread is at its Python part.
        with ThreadPoolExecutor(self._threads + 1) as pool:
            parts = list(pool.map(ask, range(0, max(features.shape[0], 1), ASKED_TOGETHER)))
        columns = np.concatenate([part[1] for part in parts])
        if len(columns) and columns.max() >= labels:
            raise ModelFolderError(
                f"The trees know label {columns.max()}, the taxonomy has {labels} labels; save the model again."
            )
        indptr = np.cumsum([0, *(size for part in parts for size in part[0])])
        scores = np.minimum(np.concatenate([part[2] for part in parts]), np.float32(1.0))  # sums exceed it by rounding
        block = csr_array((scores, columns, indptr), shape=(features.shape[0], labels))
        block.sort_indices()
        return block
