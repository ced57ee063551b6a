"""``linear``: TF-IDF and one linear classifier for each label, through scikit-learn.

The baseline that every table needs: L2-regularised squared-hinge (or logistic) regression, one label against the rest,
over TF-IDF features, as in DiSMEC (Babbar & Schölkopf 2017) and LibMultiLabel's ``1vsrest``.

    f_l(x) = w_l · tfidf(x) + b_l
    p_l    = σ(a · f_l + c)            one (a, c) for all labels (Platt 1999), fitted on scores of held-out documents

With 20,000 labels or more a document keeps the scores of its best labels only, as many as ``candidates`` says: scores
are sparse, and neither training nor prediction has an array of all documents and labels. Together with the pruning of
small coefficients this is DiSMEC.

Without a validation corpus the held-out scores come from cross-fitting over the training documents, and the final
classifiers see all of them. No torch is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, vstack
from scipy.special import expit

from taxotext.composition.base import Progress, System, SystemSettings, block_starts
from taxotext.cost.memory import Need, check_memory
from taxotext.data import Corpus
from taxotext.data.splits import k_folds
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ModelFolderError
from taxotext.files.tensors import numbers, read_tensors, sparse_rows
from taxotext.metrics.propensity import inverse_propensities
from taxotext.models.best_labels import CELLS, BestLabels, best_labels
from taxotext.models.feature_changes import changes
from taxotext.models.one_vs_rest import GROUP, NEVER, OneVsRest, active_share
from taxotext.models.tfidf import FeatureSettings, Tfidf, read_words
from taxotext.settings import Settings

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

CALIBRATION_CELLS = 2_000_000
"""Scores that the calibration is fitted on at most."""

SHARE_NOT_ZERO, SHARE_KEPT = 0.3, 0.1
"""Coefficients that are not 0, without pruning and with it: a guess for the estimate of memory. Measured: 0.15 to 0.84
and 0.04 to 0.63, the less the more features and the fewer documents a label has."""

PRUNED_FROM, PRUNED = 300, 0.01
"""Labels from which on small coefficients are dropped by default, and which they are."""

STREAMED_FROM, STREAMED = 20_000, 100
"""Labels from which on scores are sparse by default, and those of a document that then keep one."""

DENSE_FROM = 0.3
"""Share of coefficients that are not 0 from which they are held as a dense matrix."""

SCORED_TOGETHER = 4096
"""Documents that are scored together at most."""

CELLS_TOGETHER = 2**21
"""Their scores at most: 8 MB for each array of them."""


class ClassifierSettings(Settings):
    """One linear classifier for each label."""

    loss: Literal["squared_hinge", "logistic"] = Field("squared_hinge", description="squared_hinge or logistic")
    c: float = Field(0.5, ge=1e-9, le=1e6, description="inverse strength of the L2 regularisation")
    balance: Annotated[float, Field(ge=0, le=1)] | Literal["propensity"] = Field(
        0.25,
        description="documents of a label weigh (others / them) to this power; 0: like the others; propensity: the "
        "inverse propensity of the label",
    )
    prune: float | None = Field(
        None, ge=0, description="coefficients closer to 0 are dropped; null: 0.01 from 300 labels on, else none"
    )
    folds: int = Field(
        3, ge=2, le=1_000, description="cross-fitting for calibration and thresholds without a validation file"
    )


class LinearSettings(SystemSettings):
    """Settings of ``linear``."""

    features: FeatureSettings = Field(FeatureSettings(), description="TF-IDF")
    classifier: ClassifierSettings = Field(ClassifierSettings(), description="one against the rest")
    candidates: Annotated[int, Field(ge=1)] | Literal["auto", "all"] = Field(
        "auto", description="labels of a document that keep a score at most; auto: 100 from 20,000 labels on, else all"
    )


class Linear(System):
    """TF-IDF and one-vs-rest linear classification."""

    name: ClassVar[str] = "linear"
    Settings: ClassVar[type[SystemSettings]] = LinearSettings
    recipe: ClassVar[str] = "direct"
    cross_fits: ClassVar[bool] = True
    grows_with_labels: ClassVar[bool] = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "classifier.c": "0.01..100:log",
        "classifier.loss": ["squared_hinge", "logistic"],
        "classifier.balance": [0.0, 0.25, 0.5, 1.0],
        "features.ngrams": [[1, 1], [1, 2]],
        "features.min_documents": "1..5",
        "features.sublinear": [True, False],
    }
    settings: LinearSettings

    def __init__(self, settings: LinearSettings, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        self._features = Tfidf(settings.features)
        self._product: Any = None  # the coefficients as they are multiplied with
        self._coefficients: Any = csr_array((0, len(taxonomy)), dtype=np.float32)  # sparse (V, N)
        self._intercepts = np.full(len(taxonomy), NEVER, dtype=np.float32)  # (N,)
        self._slope, self._offset = 1.0, 0.0

    def fit(self, train: Corpus, validation: Corpus | None = None, progress: Progress | None = None) -> HeldOut:
        """Fit the features, the classifiers and the calibration.

        Args:
            train: N labels, at least one document.
            validation: documents for the calibration; None: cross-fitting over ``train``.
            progress: called with the number of classifiers that were fitted.

        Returns:
            Scores of the held-out documents, for tuning.

        Raises:
            DataError: when no feature is left of the training texts.
        """
        features = self._features.fit(train.texts)
        targets = train.known_targets
        if self.settings.runtime.check_memory:  # again: now the number of features is known
            check_memory(self.memory(train, validation))
        if validation is not None:
            self._fit_classifiers(features, train, [], progress)
            given = self._features.transform(validation.texts)
            held_out, source = validation, validation.source
            raw = self._streamed(given) if self._candidates else self._raw(given)
        else:
            folds = self._folds(train)
            # One document cannot be held out of itself: its own scores are then all there is to calibrate with.
            parts = k_folds(targets, folds, self.settings.seed, groups=train.groups) if folds > 1 else []
            crossed = self._fit_classifiers(features, train, parts, progress)
            how = f"{folds}-fold cross-fitting" if parts else "scores of the training documents themselves"
            held_out, source = train, f"{train.source}, {how}"
            if not parts:
                crossed = self._streamed(features) if self._candidates else self._raw(features)
            raw = crossed
        gold = held_out.known_targets
        blocks: Iterator[ScoreBlock]
        if isinstance(raw, BestLabels):
            self._calibrate(raw.sampled, gold[raw.sample])
            best = raw.matrix()
            blocks = (self._sparse(best[part]) for part in block_starts(len(held_out), SCORED_TOGETHER))
        else:
            self._calibrate(raw, gold)
            blocks = (self._probabilities(raw[part]) for part in self._parts(len(raw)))
        return HeldOut.from_blocks(blocks, gold, source, texts=held_out.texts)

    def memory(self, train: Corpus, validation: Corpus | None) -> list[Need]:
        """Decision values of the held-out documents, and the features, counted in some of the texts."""
        entries = self._features.count_entries(train.texts)
        held_out, labels = len(validation if validation is not None else train), len(self.taxonomy)
        threads = min(self.settings.runtime.cores, labels)
        positives = np.asarray(train.known_targets.sum(axis=0)).ravel()
        shrink = "lower features.max_features, or raise features.min_documents"
        needs = [
            *self._score_needs(held_out, labels, crossed=validation is None),
            # In 64 bits as TF-IDF, and once more in 32 bits for the products.
            Need(f"features of {len(train):,} documents, about {entries:,} entries", 20 * entries, shrink),
        ]
        if self._features.fitted:
            size = len(self._features)
            share = active_share(len(train), int(positives.max(initial=0)), self.settings.classifier.loss)
            group = GROUP * (16 * len(train) + 12 * size)
            needs.append(
                Need(
                    f"features of active documents and {GROUP} labels in each of {threads} threads",
                    # The solver copies what it is given: 8 bytes an entry here, 12 for it, 16 in it.
                    int(threads * (36 * share * entries + group)),
                    f"lower runtime.threads ({threads})",
                    "training",
                )
            )
            share = SHARE_KEPT if self._prune else SHARE_NOT_ZERO
            needs.append(
                Need(
                    f"coefficients of {size:,} features for {np.count_nonzero(positives):,} labels",
                    # A value and an index each, by label and by feature.
                    int(16 * share * size * np.count_nonzero(positives)),
                    f"raise classifier.prune, or {shrink}",
                )
            )
        return needs

    def _score_needs(self, documents: int, labels: int, *, crossed: bool) -> list[Need]:
        """What the scores of held-out documents need; ``crossed``: they come some labels at a time, in training."""
        cells, kept = documents * labels, min(self._candidates, labels)
        fewer = "name a validation file with fewer documents (data.validation)"
        if not kept:
            together = 8 * min(cells, max(CELLS_TOGETHER, CALIBRATION_CELLS))
            what = "probabilities that are made at a time, or the sample that they are calibrated with"
            return [
                Need(f"decision values of {documents:,} held-out documents for {labels:,} labels", 4 * cells, fewer),
                Need(what, together, phase="scoring"),
            ]
        # Value and label, and a sample of all values for the calibration; the values that are sorted have two copies
        # and a place of 64 bits each, and what was merged before has two copies as well.
        best = f"the best {kept:,} of {labels:,} decision values of {documents:,} held-out documents"
        sample = 4 * min(cells, max(CALIBRATION_CELLS, labels))
        sorted_together = 16 * min(cells, CELLS if crossed else CELLS_TOGETHER)
        return [
            Need(best, 12 * documents * kept + sample, fewer),
            Need(
                "decision values that are sorted at a time",
                sorted_together + (12 * documents * kept if crossed else 0),
                fewer,
                phase="training" if crossed else "scoring",
            ),
        ]

    def notes_on(self, texts: Sequence[str]) -> tuple[str, ...]:
        """That words cannot be told apart at spaces, where that is so."""
        return self._features.notes_on(texts)

    def reads_vectors(self) -> bool:
        """Whether ``features.analyzer`` is ``given``."""
        return self.settings.features.analyzer == "given"

    def fits(self, train: Corpus, validated: bool) -> int:
        """How many classifiers :meth:`fit` will fit: the length of its progress bar."""
        folds = self._folds(train)
        return len(self.taxonomy) * (1 if validated or folds < 2 else folds + 1)

    @property
    def notes(self) -> tuple[str, ...]:
        """That a document keeps the scores of its best labels only, where nobody asked for it."""
        if self.settings.candidates != "auto" or not self._candidates:
            return ()
        return (
            f"{len(self.taxonomy):,} labels: a document keeps the scores of its best {self._candidates} labels "
            "(candidates=all: of all). label_tree_linear trains on so many labels in a fraction of the time.",
        )

    @property
    def _candidates(self) -> int:
        """Labels of a document that keep a score; 0: all."""
        chosen, labels = self.settings.candidates, len(self.taxonomy)
        if chosen == "auto":
            return STREAMED if labels >= STREAMED_FROM else 0
        return 0 if chosen == "all" else chosen

    @property
    def _prune(self) -> float:
        chosen = self.settings.classifier.prune
        return (PRUNED if len(self.taxonomy) >= PRUNED_FROM else 0.0) if chosen is None else chosen

    def _folds(self, train: Corpus) -> int:
        """Parts of the cross-fitting; the documents of a group are never on both sides."""
        units = len(train) if train.groups is None else len(set(train.groups) - {None}) + train.groups.count(None)
        return min(self.settings.classifier.folds, units)

    def _fit_classifiers(
        self, features: csr_array, train: Corpus, folds: Sequence[NDArray[np.int64]], progress: Progress | None
    ) -> NDArray[np.float32] | BestLabels:
        """Fit the classifiers; return cross-fitted decision values (D, N) of ``train``, (0, 0) without folds."""
        from joblib import Parallel, delayed

        chosen = self.settings.classifier
        best = self._best(len(train)) if folds and self._candidates else None
        raw = np.empty((len(train), len(self.taxonomy)) if folds and best is None else (0, 0), dtype=np.float32)
        problem = OneVsRest(
            features,
            train.known_targets,
            train.weights,
            loss=chosen.loss,
            c=chosen.c,
            balance=0.0 if chosen.balance == "propensity" else chosen.balance,
            positive_weights=self._positive_weights(train),
            prune=self._prune,
        )
        # Threads share the features; the solver releases the interpreter lock, and so do products.
        jobs = Parallel(n_jobs=self.settings.runtime.threads or -1, prefer="threads", return_as="generator")
        rows = []
        for group in jobs(delayed(problem.fit)(labels, folds) for labels in problem.groups()):
            rows.append(group.coefficients)
            self._intercepts[group.labels] = group.intercepts
            if group.held_out is not None and best is not None:
                best.add(group.labels, group.held_out)
            elif group.held_out is not None:
                raw[:, group.labels] = group.held_out
            if progress is not None:
                progress(len(group.labels) * (1 + len(folds)))
        stacked: Any = vstack(rows, format="csr")
        rows.clear()
        self._coefficients, self._product = stacked.T.tocsr(), None
        return raw if best is None else best

    def _positive_weights(self, train: Corpus) -> NDArray[np.float64] | None:
        """What documents of each label weigh (N,), where it is their inverse propensity."""
        if self.settings.classifier.balance != "propensity":
            return None
        positives = np.asarray(train.known_targets.sum(axis=0), dtype=np.int64).ravel()
        return inverse_propensities(positives, len(train))

    def _best(self, documents: int) -> BestLabels:
        """What keeps the best labels of so many documents, and all decision values of a few of them."""
        count = max(1, CALIBRATION_CELLS // max(1, len(self.taxonomy)))
        rng = np.random.default_rng(self.settings.seed)
        sample = np.sort(rng.permutation(documents)[:count])
        return BestLabels(documents, len(self.taxonomy), self._candidates, sample, NEVER / 2)

    def _streamed(self, features: csr_array) -> BestLabels:
        """The best labels of documents (D, V)."""
        best = self._best(features.shape[0])
        found = [self._best_of(self._raw(features[part])) for part in self._parts(features.shape[0])]
        best.sampled[:] = self._raw(features[best.sample])
        best.take(vstack(found, format="csr"))
        return best

    def _best_of(self, raw: NDArray[np.float32]) -> csr_array:
        return best_labels(raw, self._candidates, NEVER / 2)

    def _sparse(self, best: csr_array) -> ScoreBlock:
        """Probabilities of the best labels."""
        data = np.asarray(expit(self._slope * best.data + self._offset), dtype=np.float32)
        return ScoreBlock(csr_array((data, best.indices, best.indptr), shape=best.shape))

    def _raw(self, features: csr_array) -> NDArray[np.float32]:
        """Decision values (b, N)."""
        dense = self._times(features)
        dense += self._intercepts
        return dense

    def _times(self, features: csr_array) -> NDArray[np.float32]:
        """Features times coefficients, (b, N)."""
        if self._product is None:
            coefficients = self._coefficients
            # Where few are 0, a dense matrix is smaller than its sparse form, and several times faster.
            full = coefficients.nnz > DENSE_FROM * coefficients.shape[0] * coefficients.shape[1]
            full = full and not self._candidates
            self._product = coefficients.toarray() if full else coefficients
        values: Any = features.astype(np.float32) @ self._product
        dense: NDArray[np.float32] = values if isinstance(values, np.ndarray) else values.toarray()
        return dense

    def _calibrate(self, raw: NDArray[np.float32], gold: csr_array) -> None:
        """Fit p = σ(a f + c) on held-out decision values (D, N)."""
        from sklearn.linear_model import LogisticRegression

        rows = np.arange(raw.shape[0])
        if raw.size > CALIBRATION_CELLS:
            rng = np.random.default_rng(self.settings.seed)
            rows = np.sort(rng.choice(rows, max(1, CALIBRATION_CELLS // raw.shape[1]), replace=False))
        values, truth = raw[rows].ravel(), gold[rows].toarray().ravel()
        # Where a label had no training document (of that fold), there is no decision value to learn from.
        learned = np.abs(values) < -NEVER / 2
        values, truth = values[learned], truth[learned]
        if len(values) == 0 or truth.all() or not truth.any():
            return
        model = LogisticRegression(C=1e6).fit(values[:, None], truth)
        # A slope that is not positive would turn the ranking round: the held-out documents then say nothing.
        if model.coef_[0, 0] > 0:
            self._slope, self._offset = float(model.coef_[0, 0]), float(model.intercept_[0])

    def _parts(self, documents: int) -> Iterator[slice]:
        return block_starts(documents, max(1, min(SCORED_TOGETHER, CELLS_TOGETHER // max(1, len(self.taxonomy)))))

    def _probabilities(self, raw: NDArray[np.float32]) -> ScoreBlock:
        if self._candidates:
            return self._sparse(self._best_of(raw))
        return ScoreBlock(np.asarray(expit(self._slope * raw + self._offset), dtype=np.float32))

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield probabilities (b, N); sparse where a document keeps its best labels only."""
        for part in self._parts(len(texts)):
            block = self._probabilities(self._raw(self._features.transform(texts[part])))
            if progress is not None:
                progress(len(block))
            yield block

    def scores_without(self, text: str, cuts: NDArray[np.int64], replacement: str) -> ScoreBlock | None:
        """Coefficients times the changes of the features: no text is read again."""
        found = changes(self._features, text, cuts, replacement)
        if found is None:
            return None
        whole = self._times(found.values)  # (1, N)
        raw = (whole + self._times(found.changes)) * found.scales[:, None] + self._intercepts
        return self._probabilities(raw.astype(np.float32))

    def label_vectors(self) -> dict[str, Any]:
        """The coefficients of each label, sparse (N, V)."""
        return {"coefficients": csr_array(self._coefficients.T)}

    def facts(self) -> dict[str, Any]:
        """Size of the vocabulary and number of coefficients."""
        return {
            "parameters": int(self._coefficients.nnz + len(self._intercepts)),
            "features": int(self._coefficients.shape[0]),
        }

    def save_parts(self, folder: Path) -> None:
        """Write ``vocabulary.json`` and ``weights.safetensors``."""
        from safetensors.numpy import save_file

        self._features.save_words(folder)
        tensors = {
            "idf": self._features.idf,
            "coefficients.indptr": self._coefficients.indptr.astype(np.int64),
            "coefficients.indices": self._coefficients.indices.astype(np.int32),
            "coefficients.data": self._coefficients.data.astype(np.float32),
            "intercepts": self._intercepts,
            "calibration": np.asarray([self._slope, self._offset], dtype=np.float64),
        }
        save_file(tensors, folder / "weights.safetensors")

    @classmethod
    def load_parts(cls, folder: Path, settings: LinearSettings, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote."""
        system = cls(settings, taxonomy)
        words = read_words(folder)
        path = folder / "weights.safetensors"
        tensors, _ = read_tensors(path)
        try:
            coefficients = sparse_rows(tensors, "coefficients", (len(words), len(taxonomy)))
            system._features.restore(words, numbers(tensors, "idf", (len(words),), np.float64))
            intercepts = numbers(tensors, "intercepts", (len(taxonomy),))
            slope, offset = numbers(tensors, "calibration", (2,), np.float64).tolist()
        except ValueError as error:
            raise ModelFolderError(
                f"{path}: does not fit vocabulary.json and taxonomy.json ({error}); save the model again."
            ) from None
        system._coefficients, system._intercepts = coefficients, intercepts
        system._slope, system._offset = slope, offset
        return system
