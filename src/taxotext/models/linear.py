"""``linear``: TF-IDF and one linear classifier for each label, through scikit-learn.

The baseline that every table needs: L2-regularised squared-hinge (or logistic) regression, one label against the rest,
over TF-IDF features, as in DiSMEC (Babbar & Schölkopf 2017) and LibMultiLabel's ``1vsrest``.

    f_l(x) = w_l · tfidf(x) + b_l
    p_l    = σ(a · f_l + c)            one (a, c) for all labels (Platt 1999), fitted on scores of held-out documents

Without a validation corpus the held-out scores come from cross-fitting over the training documents, and the final
classifiers see all of them. No torch is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array
from scipy.special import expit

from taxotext.composition.base import Progress, System, SystemSettings, block_starts
from taxotext.cost.memory import Need, check_memory
from taxotext.data import Corpus
from taxotext.data.splits import k_folds
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ModelFolderError
from taxotext.files.tensors import numbers, read_tensors, sparse_rows
from taxotext.models.tfidf import FeatureSettings, Tfidf, read_words
from taxotext.processes import usable_cores
from taxotext.settings import Settings

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

NEVER = -1e4
"""Intercept of a label without training documents: its probability is 0."""

TOLERANCE = 1e-3
"""Of the solver for squared hinge, which is the dual one: where there are more documents than features, scikit-learn
takes the primal one by itself, at 3 times the time; at its tolerance of 1e-4 some classifiers do not converge in 1,000
rounds. Every validation figure is the same."""

CALIBRATION_CELLS = 2_000_000
"""Scores that the calibration is fitted on at most."""

DENSE_FROM = 0.3
"""Share of coefficients that are not 0 from which they are held as a dense matrix."""

SCORED_TOGETHER = 4096


class ClassifierSettings(Settings):
    """One linear classifier for each label."""

    loss: Literal["squared_hinge", "logistic"] = Field("squared_hinge", description="squared_hinge or logistic")
    c: float = Field(0.5, ge=1e-9, le=1e6, description="inverse strength of the L2 regularisation")
    balance: float = Field(
        0.25, ge=0, le=1, description="documents of a label weigh (others / them) to this power; 0: like the others"
    )
    prune: float = Field(0.0, ge=0, description="coefficients closer to 0 are dropped (0.01 for extreme label sets)")
    folds: int = Field(3, ge=2, description="cross-fitting for calibration and thresholds without a validation file")


class LinearSettings(SystemSettings):
    """Settings of ``linear``."""

    features: FeatureSettings = Field(FeatureSettings(), description="TF-IDF")
    classifier: ClassifierSettings = Field(ClassifierSettings(), description="one against the rest")


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
            self._fit_classifiers(features, targets, train.weights, progress)
            raw = self._raw(self._features.transform(validation.texts))
            held_out, gold, source = validation, validation.known_targets, validation.source
        else:
            folds = self._folds(train)
            raw = np.zeros(targets.shape, dtype=np.float32)
            everything = np.arange(len(train))
            # One document cannot be held out of itself: its own scores are then all there is to calibrate with.
            for left_out in k_folds(targets, folds, self.settings.seed, groups=train.groups) if folds > 1 else []:
                rest = np.setdiff1d(everything, left_out)
                weights = None if train.weights is None else train.weights[rest]
                self._fit_classifiers(features[rest], targets[rest], weights, progress)
                raw[left_out] = self._raw(features[left_out])
            self._fit_classifiers(features, targets, train.weights, progress)
            if folds < 2:
                raw = self._raw(features)
            how = f"{folds}-fold cross-fitting" if folds > 1 else "scores of the training documents themselves"
            held_out, gold, source = train, targets, f"{train.source}, {how}"
        self._calibrate(raw, gold)
        blocks = (self._probabilities(raw[part]) for part in block_starts(len(raw), SCORED_TOGETHER))
        return HeldOut.from_blocks(blocks, gold, source, texts=held_out.texts)

    def memory(self, train: Corpus, validation: Corpus | None) -> list[Need]:
        """Decision values of the held-out documents, and the features, counted in some of the texts."""
        entries = self._features.count_entries(train.texts)
        held_out, labels = len(validation if validation is not None else train), len(self.taxonomy)
        threads = self.settings.runtime.threads or usable_cores()
        # The solver copies the features, 16 bytes an entry, for each classifier that is fitted at the same time.
        solver = 16 * entries * min(threads, labels)
        shrink = "lower features.max_features, or raise features.min_documents"
        needs = [
            Need(
                f"decision values of {held_out:,} held-out documents for {labels:,} labels",
                4 * held_out * labels,
                "name a validation file with fewer documents (data.validation)",
            ),
            Need(f"features of {len(train):,} documents, about {entries:,} entries", 12 * entries, shrink),
            Need(f"features in each of {threads} solvers", solver, f"lower runtime.threads ({threads})", "training"),
        ]
        if self._features.fitted and self.settings.classifier.prune == 0:
            size = len(self._features)
            learned = int((np.asarray(train.known_targets.sum(axis=0)).ravel() > 0).sum())
            needs.append(
                Need(
                    f"coefficients of {size:,} features for {learned:,} labels, a quarter of them or more",
                    # A value and an index each, by label and by feature; measured: 0.27 to 0.83 of them differ from 0.
                    4 * size * learned,
                    f"set classifier.prune=0.01, or {shrink}",
                )
            )
        return needs

    def reads_vectors(self) -> bool:
        """Whether ``features.analyzer`` is ``given``."""
        return self.settings.features.analyzer == "given"

    def fits(self, train: Corpus, validated: bool) -> int:
        """How many classifiers :meth:`fit` will fit: the length of its progress bar."""
        folds = self._folds(train)
        return len(self.taxonomy) * (1 if validated or folds < 2 else folds + 1)

    def _folds(self, train: Corpus) -> int:
        """Parts of the cross-fitting; the documents of a group are never on both sides."""
        units = len(train) if train.groups is None else len(set(train.groups) - {None}) + train.groups.count(None)
        return min(self.settings.classifier.folds, units)

    def _fit_classifiers(
        self,
        features: csr_array,
        targets: csr_array,
        weights: NDArray[np.float32] | None,
        progress: Progress | None,
    ) -> None:
        from joblib import Parallel, delayed

        columns = targets.tocsc()
        fit = self._binary_fit(features, weights)

        def one(label: int) -> tuple[NDArray[np.float32], float]:
            gold = np.zeros(features.shape[0], dtype=bool)
            gold[columns.indices[columns.indptr[label] : columns.indptr[label + 1]]] = True
            return fit(gold)

        # Threads share the features; the solver releases the interpreter lock.
        jobs = Parallel(n_jobs=self.settings.runtime.threads or -1, prefer="threads", return_as="generator")
        indptr, indices, data = [0], [], []
        for label, (row, intercept) in enumerate(jobs(delayed(one)(label) for label in range(len(self.taxonomy)))):
            kept = np.flatnonzero(np.abs(row) > self.settings.classifier.prune)
            indices.append(kept.astype(np.int32))
            data.append(row[kept])
            indptr.append(indptr[-1] + len(kept))
            self._intercepts[label] = intercept
            if progress is not None:
                progress(1)
        rows = csr_array(
            (np.concatenate(data), np.concatenate(indices), np.asarray(indptr)),
            shape=(len(self.taxonomy), features.shape[1]),
        )
        self._coefficients, self._product = rows.T.tocsr(), None

    def _binary_fit(
        self, features: csr_array, weights: NDArray[np.float32] | None
    ) -> Callable[[NDArray[np.bool_]], tuple[NDArray[np.float32], float]]:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        chosen = self.settings.classifier
        nothing = np.zeros(features.shape[1], dtype=np.float32)

        def fit(gold: NDArray[np.bool_]) -> tuple[NDArray[np.float32], float]:
            counted = gold if weights is None else gold[weights > 0]
            if counted.all() or not counted.any():
                return nothing, -NEVER if len(counted) and counted.all() else NEVER
            positives = gold.mean() if weights is None else weights[gold].sum() / weights.sum()
            class_weight = {True: float((1 / positives - 1) ** chosen.balance), False: 1.0}
            model: Any
            if chosen.loss == "squared_hinge":
                model = LinearSVC(
                    C=chosen.c, class_weight=class_weight, dual=True, tol=TOLERANCE, random_state=self.settings.seed
                )
            else:
                model = LogisticRegression(
                    C=chosen.c, class_weight=class_weight, solver="liblinear", random_state=self.settings.seed
                )
            model.fit(features, gold, sample_weight=weights)
            return model.coef_[0].astype(np.float32), float(model.intercept_[0])

        return fit

    def _raw(self, features: csr_array) -> NDArray[np.float32]:
        """Decision values (b, N)."""
        if self._product is None:
            coefficients = self._coefficients
            # Where few are 0, a dense matrix is smaller than its sparse form, and several times faster.
            full = coefficients.nnz > DENSE_FROM * coefficients.shape[0] * coefficients.shape[1]
            self._product = coefficients.toarray() if full else coefficients
        values: Any = features.astype(np.float32) @ self._product
        dense = values if isinstance(values, np.ndarray) else values.toarray()
        return np.asarray(dense + self._intercepts, dtype=np.float32)

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

    def _probabilities(self, raw: NDArray[np.float32]) -> ScoreBlock:
        return ScoreBlock(np.asarray(expit(self._slope * raw + self._offset), dtype=np.float32))

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield probabilities (b, N)."""
        for part in block_starts(len(texts), SCORED_TOGETHER):
            block = self._probabilities(self._raw(self._features.transform(texts[part])))
            if progress is not None:
                progress(len(block))
            yield block

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
