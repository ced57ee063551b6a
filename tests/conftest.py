"""Fixtures for all tests: seeds, and real corpora where they are at hand."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from command import command as command
from command import model as model
from command import sample_model as sample_model
from data_commands import run_data as run_data
from data_commands import small_data as small_data
from releases import release as release
from sparse_system import sparse_systems as sparse_systems
from tiny import tiny_encoder as tiny_encoder  # a fixture for all tests

collect_ignore = ["torture"]  # minutes of kill -9: `make torture` runs it


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Every test starts from the same random state."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """``real_data(name)``: the path of a real corpus or of a file in one; skips the test where it is absent.

    The folder of corpora is the one that the environment variable TAXOTEXT_DATA names, else
    ``../shared/data`` seen from the repository.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TAXOTEXT_DATA") or beside)

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"corpus {name} not found; set TAXOTEXT_DATA")
        return path

    return find
