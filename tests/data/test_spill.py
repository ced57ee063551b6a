"""Token ids in memory or in a temporary file: the same ids, and nothing left behind."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxotext.data import spill
from taxotext.data.batches import make_batch
from taxotext.data.spill import IdsBuilder
from taxotext.data.tokens import Ragged, TextTokenizer
from taxotext.data.windows import make_windows
from taxotext.errors import DataError

ROWS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=6), max_size=8)


def is_mapped(values: np.ndarray) -> bool:
    base: object = values
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


@given(ROWS, st.integers(0, 20), st.integers(1, 5))
def test_rows_come_back_whatever_is_kept_in_memory(rows: list[list[int]], in_memory: int, joined: int) -> None:
    builder = IdsBuilder(in_memory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "JOINED", joined)
        for row in rows:
            builder.add([np.asarray(row, np.int32)])
        ragged = Ragged(*builder.finish())
    assert [ragged[i].tolist() for i in range(len(ragged))] == rows
    assert ragged.values.dtype == np.int32
    assert is_mapped(ragged.values) == (sum(map(len, rows)) > in_memory)


def test_windows_and_batches_are_equal_and_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    texts = [" ".join(f"w{i % 17}" for i in range(n)) for n in (1, 30, 7, 64)]
    tokenizer = TextTokenizer.learn_words(texts, min_count=1)
    pairs = []
    for limit in (2**28, 10):
        tokens = tokenizer.encode(texts, limit)
        windows = make_windows(tokens, max_tokens=8, mode="chunk_max", suffix=(1,), in_memory=limit)
        pairs.append((tokens, windows, make_batch(windows, np.array([3, 0, 1]), pad_id=0)))
        assert is_mapped(tokens.values) == is_mapped(windows.tokens.values) == (limit == 10)
    (tokens, windows, batch), (spilled_tokens, spilled_windows, spilled_batch) = pairs
    np.testing.assert_array_equal(tokens.values, spilled_tokens.values)
    np.testing.assert_array_equal(windows.tokens.values, spilled_windows.tokens.values)
    np.testing.assert_array_equal(windows.first, spilled_windows.first)
    np.testing.assert_array_equal(batch.ids, spilled_batch.ids)
    del pairs, spilled_tokens, spilled_windows, spilled_batch
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    full = Path("/dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full.open("wb", buffering=0))
    builder = IdsBuilder(0)
    with pytest.raises(DataError, match=r"No space left.*TMPDIR.*runtime\.tokens_in_memory"):
        builder.add([np.zeros(spill.JOINED, np.int32)])
