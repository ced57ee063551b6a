"""Public corpora: from the files of a release, which the user has, to files that Taxotext reads. Nothing is downloaded.

``registry`` says what there is; a file for each family reads its releases; ``prepare`` writes and checks. Names are
imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taxotext.data.catalogue.entries import Count, Dataset, Option
    from taxotext.data.catalogue.prepare import prepare_dataset
    from taxotext.data.catalogue.registry import DATASETS, find_dataset

_HOME_OF = {
    "Count": "entries",
    "Dataset": "entries",
    "Option": "entries",
    "DATASETS": "registry",
    "find_dataset": "registry",
    "prepare_dataset": "prepare",
}

__all__ = ["DATASETS", "Count", "Dataset", "Option", "find_dataset", "prepare_dataset"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
