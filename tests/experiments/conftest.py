"""A laboratory for all tests of experiments, and one computed experiment that they only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import Lab
from taxotext.experiments.folder import ExperimentFolder


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Data files, only to be read."""
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def computed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> ExperimentFolder:
    """Four finished cells, only to be read."""
    return lab.compute(tmp_path_factory.mktemp("computed") / "out")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "out"
