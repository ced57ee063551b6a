"""Tiny fits of all systems give the numbers that they gave when ``fits.json`` was written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from golden.fits import FITS, fit, write_sources
from golden.values import GOLDEN, chosen

TOLERANCE = 1e-4
"""The last bits depend on the processor; measured between instruction sets: 2e-5."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sources(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", FITS)
def test_a_tiny_fit_gives_the_predictions_and_weights_that_it_gave(name: str, sources: Path) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for key, values in chosen(name, fit(name, sources)).items():
        expected = np.reshape(golden[f"{name}/{key}"], values.shape)
        np.testing.assert_allclose(values, expected, rtol=0, atol=TOLERANCE, err_msg=f"{name}: {key}")
