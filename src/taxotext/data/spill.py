"""Long arrays of token ids: in memory while they are short, else in a temporary file that is mapped into memory."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from taxotext.errors import DataError

IN_MEMORY = 2**28
"""Ids that are kept in memory: 1 GiB."""
JOINED = 2**20
"""Ids that are gathered before they are joined or written."""


class IdsBuilder:
    """Takes rows of ids and gives them back end to end.

    Args:
        in_memory: how many ids are kept in memory; beyond it all go to a file in the folder for temporary files (that
            the environment variable TMPDIR names). The file has no name, or loses it with its last reader: nothing
            is left of it when the process ends, however it ends.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._rows: list[NDArray[np.int32]] = []
        self._gathered = 0
        self._joined: list[NDArray[np.int32]] = []
        self._total = 0
        self._lengths = array("q")
        self._file: IO[bytes] | None = None

    def add(self, rows: Sequence[NDArray[np.int32]]) -> None:
        """Append rows, each int32.

        Raises:
            DataError: the temporary file cannot be written.
        """
        self._rows.extend(rows)
        lengths = [len(row) for row in rows]
        self._lengths.extend(lengths)
        self._gathered += sum(lengths)
        if self._gathered >= JOINED:
            self._join()

    def finish(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return all ids (int32, mapped from the file if there is one) and where rows begin and end (rows + 1,)."""
        self._join()
        offsets = np.zeros(len(self._lengths) + 1, dtype=np.int64)
        np.cumsum(np.frombuffer(self._lengths, np.int64) if self._lengths else [], out=offsets[1:])
        if self._file is None:
            values = np.concatenate(self._joined) if self._joined else np.empty(0, np.int32)
            return values, offsets
        with self._file as file:
            file.flush()
            # The array holds the mapping, and the mapping the file.
            mapped = np.memmap(file, dtype=np.int32, mode="r", shape=(self._total,))
        return mapped.view(np.ndarray), offsets

    def _join(self) -> None:
        if not self._gathered:
            self._rows.clear()
            return
        piece = np.concatenate(self._rows)
        self._rows.clear()
        self._gathered = 0
        self._total += len(piece)
        self._joined.append(piece)
        if self._file is None and self._total <= self._in_memory:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="taxotext-tokens-")  # noqa: SIM115  # finish() closes it
            for part in self._joined:
                self._file.write(part.tobytes())
        except OSError as error:
            raise DataError(
                f"Token ids go to a file in {tempfile.gettempdir()}, which cannot be written "
                f"({error.strerror or error}); let the environment variable TMPDIR name a folder with more room, "
                "or raise runtime.tokens_in_memory."
            ) from error
        self._joined.clear()
