"""``lexical``: names of labels that occur in a text, ranked by a small random forest.

After Maui (Medelyan 2009) and MLLM, the lexical backend of Annif (Suominen 2019): the one cheap way to labels that no
training document has.

    M(x)     = {(l, i): a name of label l occurs in text x at word i}                matching.*
    f(x, l)  = occurrences, positions, title, length and ambiguity of the name, how often the label is matched
               and gold in training, how many of its neighbours in the taxonomy are matched (:data:`FEATURES`)
    p_l(x)   = forest(f(x, l)) for the labels in M(x); the others are no candidates              ranker.*

A name matches in any order of its words, by their stems (Snowball), within a sentence part or across the marks that it
has itself; a qualifier in brackets at its end may be missing from the text. Alternative names (``altLabel`` and
``hiddenLabel`` of SKOS) are names, too, and the forest reads that it is one of them. Where no label has a name, ids are
names.

What is known of a label from training is counted without the document in question: else a label that is gold in one
document alone would never be a positive without training documents, and the forest would learn to avoid new labels.

Differs from MLLM: no gaps between the words of a name; a forest in place of bagged trees; counts without the document
itself; relations of labels as one number. No torch is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from taxotext.composition.base import Progress, System, SystemSettings, block_starts
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ConfigError, DataError, MissingExtraError, ModelFolderError, nearest
from taxotext.files.tensors import numbers, read_tensors
from taxotext.models.forest import Forest, fit_forest
from taxotext.models.name_matches import Matches, find_names, index_names
from taxotext.settings import Settings

if TYPE_CHECKING:
    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy

TEXTS_TOGETHER = 2048

FEATURES = (
    "occurrences",
    "occurrences outside of longer names",
    "first position",
    "last position",
    "in the first line",
    "words of the name",
    "labels of the same name",
    "kind of the name",
    "words of the text",
    "share of the text",
    "matched neighbours",
    "training documents with the name",
    "training documents with the label",
    "share of the former with the label",
)
"""What the forest reads of a label in a text; counts as ln(1 + n), positions as shares of the text."""


class MatchingSettings(Settings):
    """How names are found."""

    stemmer: str = Field("english", description="a Snowball stemmer (english, german, french, ...), or none")
    longest: int = Field(6, ge=1, le=20, description="words of a name at most; longer names are not looked for")


class RankerSettings(Settings):
    """The random forest."""

    trees: int = Field(30, ge=1, le=1000, description="trees")
    leaves: int = Field(1000, ge=2, description="of a tree at most")
    min_leaf: int = Field(20, ge=1, description="matches in a leaf at least")
    documents: int = Field(20_000, ge=1, le=10_000_000, description="training documents that it is fitted on at most")


class LexicalSettings(SystemSettings):
    """Settings of ``lexical``."""

    matching: MatchingSettings = Field(MatchingSettings(), description="names in texts")
    ranker: RankerSettings = Field(RankerSettings(), description="ranks the labels whose names occur")
    candidates: int = Field(100, ge=1, description="labels of a document that keep a score at most")


@dataclass(frozen=True)
class _Found:
    """Labels whose names occur, by document and label: (P,) each, ``columns`` (P, features of the text)."""

    document: NDArray[np.int64]
    label: NDArray[np.int64]
    columns: NDArray[np.float32]


class Lexical(System):
    """Names in texts."""

    name: ClassVar[str] = "lexical"
    Settings: ClassVar[type[SystemSettings]] = LexicalSettings
    recipe: ClassVar[str] = "direct"
    reaches_unseen: ClassVar[bool] = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "ranker.leaves": "100..5000:log",
        "ranker.min_leaf": "5..100:log",
        "ranker.trees": [10, 30, 100],
    }
    settings: LexicalSettings

    def __init__(self, settings: LexicalSettings, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        self._stem = _stemmer(settings.matching.stemmer)
        self._names = index_names(_names(taxonomy), self._stem, settings.matching.longest)
        self._neighbours = _neighbours(taxonomy)
        self._counts = np.zeros((3, len(taxonomy)), dtype=np.int64)
        self._forest: Forest | None = None

    def fit(self, train_corpus: Corpus, validation: Corpus, progress: Progress | None = None) -> HeldOut:
        """Find the names in the training documents and fit the forest.

        Args:
            train_corpus: N labels.
            validation: documents for tuning; the forest does not see them.

        Returns:
            Scores of the validation documents.

        Raises:
            DataError: no name of a label occurs in a training document, or none does where the label is gold.
        """
        targets = csr_array(train_corpus.known_targets)
        chosen = self.settings.ranker
        rng = np.random.default_rng(self.settings.seed)
        sample = np.zeros(len(train_corpus), dtype=bool)
        sample[rng.permutation(len(train_corpus))[: chosen.documents]] = True
        kept: list[tuple[_Found, NDArray[np.bool_]]] = []
        counts = np.zeros((3, len(self.taxonomy)), dtype=np.int64)
        counts[1] = np.bincount(targets.indices, minlength=len(self.taxonomy))
        for part in block_starts(len(train_corpus), TEXTS_TOGETHER):
            found = self._find(train_corpus.texts[part])
            gold = _contains(targets[part], found.document, found.label)
            counts[0] += np.bincount(found.label, minlength=len(self.taxonomy))
            counts[2] += np.bincount(found.label[gold], minlength=len(self.taxonomy))
            mine = sample[part][found.document]
            kept.append((_Found(found.document[mine], found.label[mine], found.columns[mine]), gold[mine]))
        self._counts = counts
        gold = np.concatenate([marks for _, marks in kept])
        if not gold.any():
            raise DataError(
                f"{train_corpus.source}: no name of a label occurs in a document that has the label; give the labels "
                "names (--names FILE, or a SKOS vocabulary), or matching.stemmer of their language."
            )
        rows = np.concatenate([self._rows(found, marks) for found, marks in kept])
        self._forest = fit_forest(
            rows,
            gold,
            trees=chosen.trees,
            leaves=chosen.leaves,
            rows_of_a_leaf=chosen.min_leaf,
            seed=self.settings.seed,
            threads=self.settings.runtime.cores,
            progress=progress,
        )
        blocks = self.scores(validation.texts)
        return HeldOut.from_blocks(blocks, validation.known_targets, validation.source, texts=validation.texts)

    def fits(self, train_corpus: Corpus, validated: bool) -> int:
        """How many trees :meth:`fit` grows: the length of its bar."""
        return self.settings.ranker.trees

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield the scores of the labels whose names occur, sparse (b, N)."""
        if self._forest is None:
            raise RuntimeError("the system is not fitted yet")
        for part in block_starts(len(texts), TEXTS_TOGETHER):
            found = self._find(texts[part])
            scores = self._forest.predict(self._rows(found, None))
            block = _best(found, scores, len(texts[part]), len(self.taxonomy), self.settings.candidates)
            if progress is not None:
                progress(block.shape[0])
            yield ScoreBlock(block)

    def facts(self) -> dict[str, Any]:
        """Nodes of the forest, and how many labels have a name that can be found."""
        return {
            "parameters": 0 if self._forest is None else len(self._forest.value),
            "trees": 0 if self._forest is None else len(self._forest.roots),
            "names": len(self._names.labels),
            "labels with a name": len(np.unique(self._names.labels)),
        }

    def save_parts(self, folder: Path) -> None:
        """Write ``weights.safetensors``: the forest and what was counted of the labels in training."""
        from safetensors.numpy import save_file

        assert self._forest is not None
        save_file({"counts": self._counts, **self._forest.tensors()}, folder / "weights.safetensors")

    @classmethod
    def load_parts(cls, folder: Path, settings: LexicalSettings, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote; the names are those of the taxonomy in the folder."""
        system = cls(settings, taxonomy)
        path = folder / "weights.safetensors"
        tensors, _ = read_tensors(path)
        try:
            system._counts = numbers(tensors, "counts", (3, len(taxonomy)), np.int64)
            system._forest = Forest.from_tensors(tensors, len(FEATURES))
        except ValueError as error:
            raise ModelFolderError(f"{path}: {error}; save the model again.") from None
        return system

    def _find(self, texts: Sequence[str]) -> _Found:
        """The labels whose names occur, and the columns of :data:`FEATURES` that the texts alone decide."""
        matches = find_names(self._names, texts, self._stem)
        document, label, columns = _summed(matches, len(self.taxonomy))
        matched = csr_array(
            (np.ones(len(label), np.float32), (document, label)), shape=(len(texts), len(self.taxonomy))
        )
        near = csr_array(matched @ self._neighbours)
        beside = np.asarray(near[document, label]).ravel() if len(label) else np.zeros(0)
        return _Found(document, label, np.column_stack([columns, np.log1p(beside)]).astype(np.float32))

    def _rows(self, found: _Found, gold: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        """All columns of :data:`FEATURES`; ``gold`` of training documents: they are not counted themselves."""
        matched, positive, both = self._counts[:, found.label].astype(np.float64)
        if gold is not None:
            matched, positive, both = matched - 1, positive - gold, both - gold
        share = (both + 0.1) / (matched + 1.0)  # near 0.1 where nothing is known
        return np.column_stack([found.columns, np.log1p(matched), np.log1p(positive), share]).astype(np.float32)


def _summed(matches: Matches, labels: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Matches of the same label in the same text as one row."""
    pair = matches.document * labels + matches.label
    order = np.argsort(pair, kind="stable")  # positions stay in order
    pair = pair[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    last = np.append(first, len(pair))[1:] - 1
    document, label = pair[first] // labels, pair[first] % labels
    words = np.maximum(matches.words[document], 1)
    position = matches.position[order]

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.add.reduceat(values[order].astype(np.float64), first) if len(first) else np.zeros(0)

    def extreme(kind: Any, values: NDArray[Any]) -> NDArray[np.float64]:
        return kind.reduceat(values[order].astype(np.float64), first) if len(first) else np.zeros(0)

    columns = (
        np.log1p(total(np.ones(len(pair)))),
        np.log1p(total(~matches.inside)),
        position[first] / words,
        position[last] / words,
        np.log1p(total(matches.position < matches.title[matches.document])),
        extreme(np.maximum, matches.length),
        np.log(extreme(np.minimum, matches.ambiguity)),
        extreme(np.minimum, matches.kind),
        np.log1p(words),
        total(matches.length) / words,
    )
    return document, label, np.column_stack(columns)


def _contains(targets: csr_array, document: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether (document, label) are entries of ``targets``."""
    labels = targets.shape[1]
    rows = np.repeat(np.arange(targets.shape[0]), np.diff(targets.indptr))
    return np.isin(document * labels + label, rows.astype(np.int64) * labels + targets.indices)


def _best(found: _Found, scores: NDArray[np.float32], documents: int, labels: int, count: int) -> csr_array:
    """The ``count`` best candidates of each document, CSR in the order of the labels."""
    order = np.lexsort((found.label, -scores, found.document))
    document = found.document[order]
    starts = np.searchsorted(document, np.arange(documents))
    kept = order[np.arange(len(order)) - starts[document] < count]
    kept = kept[np.lexsort((found.label[kept], found.document[kept]))]
    indptr = np.searchsorted(found.document[kept], np.arange(documents + 1))
    return csr_array(
        (scores[kept], found.label[kept].astype(np.int32), indptr.astype(np.int32)), shape=(documents, labels)
    )


def _names(taxonomy: Taxonomy) -> list[list[str]]:
    """What each label is called: the display name, empty where there is none, then the alternative ones."""
    shown = taxonomy.names if taxonomy.has_names or taxonomy.has_alternative_names else taxonomy.ids
    return [[name or "", *further] for name, further in zip(shown, taxonomy.alternative_names, strict=True)]


def _neighbours(taxonomy: Taxonomy) -> csr_array:
    """(N, N): 1 between parents and children."""
    above, below = taxonomy.edge_index
    ends = np.concatenate([above, below]), np.concatenate([below, above])
    return csr_array((np.ones(len(ends[0]), np.float32), ends), shape=(len(taxonomy), len(taxonomy)))


def _library() -> Any:
    try:
        import Stemmer
    except ImportError:
        raise MissingExtraError(
            "lexical needs PyStemmer; install it with `pip install 'taxotext[lexical]'`, or set matching.stemmer=none."
        ) from None
    return Stemmer


def _stemmer(name: str) -> Callable[[list[str]], list[str]]:
    if name == "none":
        return lambda words: words
    library = _library()
    known = library.algorithms()
    if name not in known:
        raise ConfigError(
            f"matching.stemmer: {name!r} is not a stemmer; choose none or one of {', '.join(known)}."
            f"{nearest(name, known)}"
        )
    stem: Callable[[list[str]], list[str]] = library.Stemmer(name).stemWords
    return stem
