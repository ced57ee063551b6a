"""``label_tree_linear``: a forest of label trees with a linear classifier at each edge, through omikuji.

For very many labels: a document meets the classifiers along a few paths instead of those of all N labels (Parabel,
Prabhu et al. 2018; Bonsai, Khandagale et al. 2020; both in the implementation of omikuji).

    v_l = norm(Σ_{i: y_il = 1} tfidf(x_i))                  vector of label l           tree.centroid_threshold
    k-means over v, node by node                             trees of labels             tree.*
    f_e(x) = w_e · tfidf(x) + b_e                            classifier of edge e        classifier.*
    q_e(x) = exp(-max(0, 1 - f_e(x))²), or σ(f_e(x))         classifier.loss
    p_l(x) = mean over trees of Π_{e on the path to l} q_e(x)

The classifier of an edge is fitted on the documents that have a label below its upper node. A beam search keeps the
best ``prediction.beam_size`` nodes of a level, so that only some labels, the candidates, get a score: the blocks are
sparse. omikuji takes no seed: another training on the same data gives slightly different trees, and the model folder
says so. Labels without training documents are in no tree. No torch is imported.

Settings and the names that they have in omikuji:

    tree.trees              n_trees                     tree.min_cluster_size        cluster_min_size
    tree.branches           cluster_k                   tree.cluster_tolerance       cluster_eps
    tree.balanced           cluster_balanced            tree.centroid_threshold      centroid_threshold
    tree.min_branch_size    min_branch_size             tree.one_at_a_time           train_trees_1_by_1
    tree.max_depth          max_depth                   classifier.loss              linear_loss_type (Hinge, Log)
    tree.collapsed_layers   collapse_every_n_layers     classifier.c                 linear_c
    classifier.tolerance    linear_eps                  classifier.max_iterations    linear_max_iter
    classifier.prune        linear_weight_threshold     prediction.candidates        top_k
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from taxotext.composition.base import Progress, System, SystemSettings, block_starts
from taxotext.cost.memory import Need
from taxotext.data import Corpus
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import DataError, ModelFolderError
from taxotext.files.native import check_record, write_record
from taxotext.files.tensors import numbers, read_tensors
from taxotext.models.label_trees import SETTINGS, TREES, Forest, count_weights, train, write_examples
from taxotext.models.tfidf import FeatureSettings, Tfidf, read_words
from taxotext.settings import Settings

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

SCORED_TOGETHER = 4096

NOT_REPRODUCIBLE = "no: omikuji takes no seed"


class TreeSettings(Settings):
    """How labels are clustered into trees."""

    trees: int = Field(3, ge=1, le=1000, description="trees; their scores are averaged")
    branches: int = Field(2, ge=2, description="clusters that the labels of a node are split into")
    balanced: bool = Field(True, description="clusters of equal size")
    min_branch_size: int = Field(100, ge=2, description="nodes with fewer labels are not split; at least branches")
    max_depth: int = Field(20, ge=1, le=100, description="depth from which on nodes are not split")
    collapsed_layers: int = Field(
        0, ge=0, le=20, description="layers left out after each one: with 2 branches, 2^(n+1)"
    )
    min_cluster_size: int = Field(2, ge=1, description="labels of smaller clusters move to others")
    cluster_tolerance: float = Field(1e-4, gt=0, lt=1, description="gain below which the clustering of a node ends")
    centroid_threshold: float = Field(0.0, ge=0, lt=1, description="entries of label vectors closer to 0 are dropped")
    one_at_a_time: bool = Field(False, description="train tree after tree: less memory")

    @model_validator(mode="after")
    def _enough_to_split(self) -> Self:
        if self.min_branch_size < self.branches:  # omikuji panics where a node has fewer labels than clusters
            raise ValueError(
                f"min_branch_size is {self.min_branch_size}, and such nodes cannot be split into {self.branches} "
                "branches; raise min_branch_size, or lower branches"
            )
        return self


class ClassifierSettings(Settings):
    """The linear classifiers at the edges."""

    loss: Literal["squared_hinge", "logistic"] = Field("squared_hinge", description="squared_hinge or logistic")
    c: float = Field(1.0, ge=1e-9, le=1e6, description="inverse strength of the L2 regularisation")
    tolerance: float = Field(0.1, gt=0, lt=10, description="at which the solver stops")
    max_iterations: int = Field(20, ge=1, le=10**6, description="of the solver at most")
    prune: float = Field(0.1, ge=0, description="coefficients closer to 0 are dropped")


class PredictionSettings(Settings):
    """How far the trees are searched."""

    beam_size: int = Field(10, ge=1, le=10**6, description="nodes of a level that are followed")
    candidates: int = Field(100, ge=1, le=10**6, description="labels of a document that get a score at most")


class LabelTreeSettings(SystemSettings):
    """Settings of ``label_tree_linear``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "parabel": {"tree": {"branches": 2, "balanced": True}},
        "bonsai": {"tree": {"branches": 100, "balanced": False, "max_depth": 3}},
        "wide": {"tree": {"branches": 2, "balanced": True, "collapsed_layers": 5}},
    }

    preset: Literal["default", "parabel", "bonsai", "wide"] = Field(
        "default",
        description="default: as parabel; parabel: deep binary trees; bonsai: three levels of up to 100 branches; "
        "wide: 64 branches, as in AttentionXML; keys that are given are stronger",
    )
    features: FeatureSettings = Field(FeatureSettings(), description="TF-IDF")
    tree: TreeSettings = Field(TreeSettings(), description="trees of labels")
    classifier: ClassifierSettings = Field(ClassifierSettings(), description="one for each edge")
    prediction: PredictionSettings = Field(PredictionSettings(), description="beam search")


class LabelTreeLinear(System):
    """TF-IDF and trees of linear classifiers."""

    name: ClassVar[str] = "label_tree_linear"
    Settings: ClassVar[type[SystemSettings]] = LabelTreeSettings
    recipe: ClassVar[str] = "direct"
    search_space: ClassVar[Mapping[str, Any]] = {
        "preset": ["default", "bonsai", "wide"],
        "classifier.c": "0.1..10:log",
        "classifier.loss": ["squared_hinge", "logistic"],
        "classifier.prune": "0.01..0.3:log",
        "features.ngrams": [[1, 1], [1, 2]],
        "features.min_documents": "1..5",
    }
    settings: LabelTreeSettings

    def __init__(self, settings: LabelTreeSettings, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        self._features = Tfidf(settings.features)
        self._forest: Forest | None = None
        self._weights = 0

    def fit(self, train_corpus: Corpus, validation: Corpus, progress: Progress | None = None) -> HeldOut:
        """Choose the features and train the forest, in a process of its own.

        Args:
            train_corpus: N labels, at least one document with a label.
            validation: documents for tuning; the forest does not see them.
            progress: called with the number of classifiers that were fitted.

        Returns:
            Scores of the validation documents.

        Raises:
            DataError: no document has a label, no feature is left, or documents have weights.
            TrainingError: omikuji gave up.
        """
        source, targets = train_corpus.source, train_corpus.known_targets
        if train_corpus.weights is not None:
            raise DataError(f"{source}: the documents have weights, which omikuji does not take; leave them out.")
        if targets.nnz == 0:
            raise DataError(f"{source}: no document has a label; there is nothing to learn.")
        features = self._features.fit(train_corpus.texts)
        features.eliminate_zeros()
        with TemporaryDirectory(prefix="taxotext-") as holder:
            examples, folder = Path(holder) / "examples.txt", Path(holder) / "trees"
            write_examples(examples, features, targets)
            del features  # the training holds a copy of its own
            train(examples, folder, self.settings_of_omikuji(), self.settings.runtime.cores, progress)
            self._take(folder, count_weights(folder))
        blocks, gold = self.scores(validation.texts), validation.known_targets
        return HeldOut.from_blocks(blocks, gold, validation.source, texts=validation.texts)

    def settings_of_omikuji(self) -> dict[str, float]:
        """The settings of the training by omikuji's names."""
        tree, classifier = self.settings.tree, self.settings.classifier
        return {
            "n_trees": tree.trees,
            "min_branch_size": tree.min_branch_size,
            "max_depth": tree.max_depth,
            "centroid_threshold": tree.centroid_threshold,
            "collapse_every_n_layers": tree.collapsed_layers,
            "train_trees_1_by_1": tree.one_at_a_time,
            "cluster_k": tree.branches,
            "cluster_balanced": tree.balanced,
            "cluster_eps": tree.cluster_tolerance,
            "cluster_min_size": tree.min_cluster_size,
            "linear_loss_type": {"squared_hinge": 0, "logistic": 1}[classifier.loss],
            "linear_eps": classifier.tolerance,
            "linear_c": classifier.c,
            "linear_weight_threshold": classifier.prune,
            "linear_max_iter": classifier.max_iterations,
        }

    def fits(self, train_corpus: Corpus, validated: bool) -> int:
        """How many classifiers :meth:`fit` will fit, apart from those between nodes: the length of its bar."""
        return self.settings.tree.trees * len(np.unique(train_corpus.known_targets.indices))

    def memory(self, train_corpus: Corpus, validation: Corpus | None) -> list[Need]:
        """Features, here and in the training, counted in some of the texts; the weights of the trees come on top."""
        entries = self._features.count_entries(train_corpus.texts)
        per_document = train_corpus.known_targets.nnz / max(len(train_corpus), 1)
        shrink = "lower features.max_features, or raise features.min_documents"
        return [
            Need(f"features of {len(train_corpus):,} documents, about {entries:,} entries", 12 * entries, shrink),
            Need("their copies in the training", 16 * entries, shrink, "training"),
            # A feature that two documents of a label share is counted once: half of them is a low guess.
            Need("vectors of the labels", int(4 * entries * per_document), shrink, "training"),
        ]

    def notes_on(self, texts: Sequence[str]) -> tuple[str, ...]:
        """That words cannot be told apart at spaces, where that is so."""
        return self._features.notes_on(texts)

    def reads_vectors(self) -> bool:
        """Whether ``features.analyzer`` is ``given``."""
        return self.settings.features.analyzer == "given"

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield the scores of the candidates, sparse (b, N)."""
        chosen, forest = self.settings.prediction, self._fitted()
        for part in block_starts(len(texts), SCORED_TOGETHER):
            features = self._features.transform(texts[part])
            features.eliminate_zeros()  # vectors that are given may hold nothing else, and have no length then
            block = forest.candidates(features, len(self.taxonomy), chosen.beam_size, chosen.candidates)
            if progress is not None:
                progress(block.shape[0])
            yield ScoreBlock(block)

    def facts(self) -> dict[str, Any]:
        """Weights, features and trees, and that another training gives others."""
        return {
            "parameters": self._weights,
            "features": len(self._features),
            "trees": self._fitted().trees,
            "reproducible": NOT_REPRODUCIBLE,
        }

    def save_parts(self, folder: Path) -> None:
        """Write ``vocabulary.json``, ``weights.safetensors`` (idf), the files of omikuji, and ``native.json``."""
        from safetensors.numpy import save_file

        names = self._fitted().save(folder)
        write_record(folder, names, {"library": "omikuji", "weights": self._weights})
        self._features.save_words(folder)
        save_file({"idf": self._features.idf}, folder / "weights.safetensors")

    @classmethod
    def load_parts(cls, folder: Path, settings: LabelTreeSettings, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote; omikuji sees its files after their sizes and hashes were compared."""
        system = cls(settings, taxonomy)
        words = read_words(folder)
        path = folder / "weights.safetensors"
        tensors, _ = read_tensors(path)
        try:
            system._features.restore(words, numbers(tensors, "idf", (len(words),), np.float64))
        except ValueError as error:
            raise ModelFolderError(f"{path}: does not fit vocabulary.json ({error}); save the model again.") from None
        weights = check_record(folder, SETTINGS, TREES).get("weights")
        system._take(folder, weights if type(weights) is int else 0)
        return system

    def _take(self, folder: Path, weights: int) -> None:
        forest = Forest(folder, self.settings.runtime.cores)
        if forest.features != len(self._features):
            raise ModelFolderError(
                f"{folder}: the trees read {forest.features:,} features, vocabulary.json has {len(self._features):,}; "
                "save the model again."
            )
        self._forest, self._weights = forest, weights

    def _fitted(self) -> Forest:
        if self._forest is None:
            raise RuntimeError("the system is not fitted yet")
        return self._forest
