"""A small taxonomy, and what is wrong with a file of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxotext.errors import TaxonomyError
from taxotext.labels import Taxonomy, read_taxonomy

EDGES = [(None, "a b"), ("a b", "c"), (None, "d"), ("c", "x"), ("d", "x"), ("x", "y")]
TAXONOMY = Taxonomy.from_edges(EDGES, names={"c": "Gamma", "y": "Ypsilon"})


def problems(path: Path, *arguments: object, **named: object) -> list[str]:
    """The problems of a file, the folder of the file left out."""
    with pytest.raises(TaxonomyError) as caught:
        read_taxonomy(path, *arguments, **named)
    listed = caught.value.problems or [caught.value.message]
    return [problem.replace(f"{path.parent}/", "") for problem in listed]
