"""Corpora: reading, checking, splitting and writing texts with label sets.

Names are imported when they are first used, so that ``import taxotext.data`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taxotext.data.checks import Finding, check_corpus
    from taxotext.data.columns import Columns, Document, ReadReport
    from taxotext.data.corpus import Corpus, read_corpus
    from taxotext.data.formats.annif import write_annif_tsv
    from taxotext.data.formats.delimited import write_csv
    from taxotext.data.formats.extreme import write_libmultilabel
    from taxotext.data.formats.jsonl import write_jsonl
    from taxotext.data.formats.parquet import write_parquet
    from taxotext.data.formats.table import FORMATS, WRITTEN
    from taxotext.data.label_sets import UNKNOWN_POLICIES
    from taxotext.data.readers import BAD_LINE_POLICIES, read_documents
    from taxotext.data.splits import k_folds, split_fraction, split_grouped, split_stratified
    from taxotext.data.stats import CorpusStatistics, corpus_statistics
    from taxotext.data.words import count_words
    from taxotext.data.writers import write_corpus

_HOMES = {
    "columns": ("Columns", "Document", "ReadReport"),
    "corpus": ("Corpus", "read_corpus"),
    "label_sets": ("UNKNOWN_POLICIES",),
    "readers": ("BAD_LINE_POLICIES", "read_documents"),
    "formats.table": ("FORMATS", "WRITTEN"),
    "splits": ("k_folds", "split_fraction", "split_grouped", "split_stratified"),
    "checks": ("Finding", "check_corpus"),
    "stats": ("CorpusStatistics", "corpus_statistics"),
    "words": ("count_words",),
    "formats.annif": ("write_annif_tsv",),
    "formats.delimited": ("write_csv",),
    "formats.extreme": ("write_libmultilabel",),
    "formats.jsonl": ("write_jsonl",),
    "formats.parquet": ("write_parquet",),
    "writers": ("write_corpus",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BAD_LINE_POLICIES",
    "FORMATS",
    "UNKNOWN_POLICIES",
    "WRITTEN",
    "Columns",
    "Corpus",
    "CorpusStatistics",
    "Document",
    "Finding",
    "ReadReport",
    "check_corpus",
    "corpus_statistics",
    "count_words",
    "k_folds",
    "read_corpus",
    "read_documents",
    "split_fraction",
    "split_grouped",
    "split_stratified",
    "write_annif_tsv",
    "write_corpus",
    "write_csv",
    "write_jsonl",
    "write_libmultilabel",
    "write_parquet",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
