"""Taxotext: classify texts into many labels at once, using the structure of the label set.

>>> import taxotext
>>> model = taxotext.Classifier("linear")            # doctest: +SKIP
>>> model.fit(texts, labels)                         # doctest: +SKIP
>>> model.predict(["the printer is on fire"])        # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Classifier", "Corpus", "Taxonomy", "TaxotextError", "load", "read_corpus", "read_taxonomy"]

if TYPE_CHECKING:
    from taxotext.api import Classifier, load
    from taxotext.data import Corpus, read_corpus
    from taxotext.errors import TaxotextError
    from taxotext.labels import Taxonomy, read_taxonomy

_HOMES = {
    "Classifier": "taxotext.api",
    "load": "taxotext.api",
    "Corpus": "taxotext.data",
    "read_corpus": "taxotext.data",
    "Taxonomy": "taxotext.labels",
    "read_taxonomy": "taxotext.labels",
    "TaxotextError": "taxotext.errors",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that ``import taxotext`` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'taxotext' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
