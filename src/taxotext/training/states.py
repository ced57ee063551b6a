"""States of a frozen encoder, computed once for all fits of a training and kept in files of 16-bit numbers."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from taxotext.cost.memory import shown
from taxotext.data.windows import Windows
from taxotext.errors import ConfigError, DataError
from taxotext.files import sync, write_text_atomically
from taxotext.files.json_files import read_json_or_none
from taxotext.nn.encoders.states import frozen_states
from taxotext.progress import Reporter

if TYPE_CHECKING:
    from taxotext.composition.neural import NeuralSystem

BLOCK = 256
"""Windows that are computed, and written, together; a kill costs one block."""


def width_of(system: NeuralSystem) -> int:
    """D of the states."""
    return int(system.built.module.token_width)  # type: ignore[arg-type]  # every encoder has it


PROGRESS = ".states.json"
"""Ending of the files that say how far states are."""


def read_states(folder: Path, name: str) -> NDArray[np.float16]:
    """Map finished states (tokens, D) into memory."""
    found: NDArray[np.float16] = np.load(states_file(folder, name), mmap_mode="r", allow_pickle=False)
    return found


def states_file(folder: Path, name: str) -> Path:
    """Finished states (tokens, D) of the documents ``name``."""
    return folder / f"{name}.states.npy"


def progress_file(folder: Path, name: str) -> Path:
    """How far the states are: windows, and of what."""
    return folder / f"{name}{PROGRESS}"


def keep_states(
    system: NeuralSystem, windows: dict[str, Windows], folder: Path, reporter: Reporter
) -> dict[str, NDArray[np.float16]]:
    """States of a frozen encoder by name of the documents, computed once; none where the encoder is trained.

    Raises:
        As :func:`write_states`.
    """
    if not system.frozen:
        return {}
    write_states(system, windows, folder, reporter)
    return {name: read_states(folder, name) for name in windows}


def write_states(system: NeuralSystem, windows: dict[str, Windows], folder: Path, reporter: Reporter) -> None:
    """Compute the states of all documents, from where an interrupted training was.

    Blocks are appended to a file of another name, which gets its own when it is complete; before that, what counts of
    it is what the progress file says. The states of a window are a function of the encoder and the windows of its
    block: those of a resumed training are the same.

    Raises:
        ConfigError: the disk has less room than they need.
        DataError: the encoder returns NaN.
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [_States(system, folder, name, given) for name, given in windows.items()]
    missing = sum(file.size for file in files) - sum(file.written for file in files)
    if missing and system.settings.runtime.check_memory:
        _check_room(missing, folder)
    if missing:
        total = sum(file.size for file in files)
        reporter.note(f"States of the encoder: {shown(total)} in {folder}, removed at the end.")
    done, count = sum(file.done for file in files), sum(len(file.windows.tokens) for file in files)
    with reporter.task("Encoding the documents", count, done=done, unit="texts") as task:
        for file in files:
            for amount in file.complete():
                task.advance(amount)


def _check_room(missing: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise ConfigError(
            f"The states of the encoder need {shown(missing)} in {folder}, and {shown(free)} are free: lower "
            "text.max_tokens, choose another output folder, or body.name=lora, which keeps no states. "
            "(runtime.check_memory=false starts it anyway.)"
        )


class _States:
    """The states of some documents: their file, and how far it is."""

    def __init__(self, system: NeuralSystem, folder: Path, name: str, windows: Windows) -> None:
        self.system, self.windows = system, windows
        self.path, self.note = states_file(folder, name), progress_file(folder, name)
        self.part = self.path.with_suffix(".part")
        tokens, record = windows.tokens, system.built.record
        shape = (int(tokens.offsets[-1]), width_of(system))
        self.header = header = _header(shape)
        self.offset = len(header)
        self.row = 2 * shape[1]
        self.size = self.offset + shape[0] * self.row
        digest = hashlib.sha256(header)
        for array in (tokens.values, tokens.offsets):
            digest.update(np.ascontiguousarray(array).data)
        self.identity = {"of": digest.hexdigest(), "encoder": record.get("sha256")}
        self.done = self._done()
        if self.done == 0:
            self.path.unlink(missing_ok=True)
            self.part.write_bytes(header)
            self._keep(0)

    @property
    def written(self) -> int:
        """Bytes that need not be written again."""
        return self.offset + int(self.windows.tokens.offsets[self.done]) * self.row

    def _done(self) -> int:
        """Windows whose states are there, of this encoder and these documents."""
        found = read_json_or_none(self.note) or {}
        if found.get("identity") != self.identity:
            return 0
        done = found.get("windows")
        if type(done) is not int or not 0 <= done <= len(self.windows.tokens):
            return 0
        if self.path.is_file():
            whole = done == len(self.windows.tokens) and self.path.stat().st_size == self.size
            return done if whole and self._is_ours(self.path) else 0
        needed = self.offset + int(self.windows.tokens.offsets[done]) * self.row
        return done if self.part.is_file() and self.part.stat().st_size >= needed and self._is_ours(self.part) else 0

    def _is_ours(self, path: Path) -> bool:
        """Whether a file begins as one of these states does."""
        with path.open("rb") as file:
            return file.read(self.offset) == self.header

    def _keep(self, done: int) -> None:
        self.done = done
        write_text_atomically(self.note, json.dumps({"identity": self.identity, "windows": done}))

    def complete(self) -> Iterator[int]:
        """Compute what is missing; yields the number of windows of each block."""
        if self.path.is_file():
            return
        with self.part.open("r+b") as file:
            file.seek(self.written)
            file.truncate()
            for start in range(self.done, len(self.windows.tokens), BLOCK):
                stop = min(start + BLOCK, len(self.windows.tokens))
                states = _encode(self.system, self.windows, start, stop)
                try:
                    file.write(states.tobytes())
                    file.flush()
                    os.fsync(file.fileno())
                except OSError as error:
                    raise OSError(error.errno or errno.EIO, error.strerror, str(self.part)) from error
                self._keep(stop)
                yield stop - start
        os.replace(self.part, self.path)
        sync(self.path.parent)


def _header(shape: tuple[int, int]) -> bytes:
    """What stands before the numbers in a ``.npy`` file."""
    from io import BytesIO

    stream = BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": np.lib.format.dtype_to_descr(np.dtype("<f2")), "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def _encode(system: NeuralSystem, windows: Windows, start: int, stop: int) -> NDArray[np.float16]:
    """States of the windows ``start`` to ``stop``: (tokens, D)."""
    from taxotext.data.batches import sorted_plan

    runtime, encoder = system.runtime(), system.built.module
    encoder.to(runtime.device).eval()
    offsets = windows.tokens.offsets[start : stop + 1] - windows.tokens.offsets[start]
    lengths = np.diff(offsets)
    result = np.empty((int(offsets[-1]), width_of(system)), dtype=np.float16)
    with torch.inference_mode(), runtime.autocast(training=False):
        for rows in sorted_plan(lengths, np.ones_like(lengths), 2 * system.settings.training.batch_size):
            width = int(lengths[rows].max())
            ids = np.full((len(rows), width), system.tokenizer.pad_id, dtype=np.int64)
            for place, row in enumerate(rows.tolist()):
                ids[place, : lengths[row]] = windows.tokens[start + row]
            mask = np.arange(width) < lengths[rows][:, None]
            device = runtime.device
            states = frozen_states(encoder, torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
            for row, own in zip(rows.tolist(), states.cpu().numpy(), strict=True):
                result[offsets[row] : offsets[row + 1]] = own[: lengths[row]]
    if not np.isfinite(result).all():
        raise DataError("The encoder returns NaN; choose another encoder.source.")
    return result
