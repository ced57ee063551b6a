"""A training along the taxonomy that nothing disturbs, only to be read."""

from __future__ import annotations

from typing import Any

import pytest

from hierarchies import timeless, tiny_run, write_tiny_data
from taxotext.api.runs import train_run
from taxotext.progress import Silent


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The section ``data`` of :func:`hierarchies.tiny_run`."""
    return write_tiny_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def undisturbed(data: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The model of that training, computed in this process."""
    folder = tmp_path_factory.mktemp("undisturbed") / "model"
    train_run(tiny_run(data), folder, reporter=Silent())
    assert not folder.with_name("model.run").exists()  # no log was written, nothing is left
    return timeless(folder)
