"""The estimator: fit, predict, evaluate, tune, save, load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.api.evaluation import evaluate_corpus
from taxotext.api.expected import tune_hierarchical_f1
from taxotext.api.finishing import finish
from taxotext.api.fitting import fit_system
from taxotext.api.inputs import check_corpus_alone, checked_texts, corpus_of, nested
from taxotext.api.scoring import score_texts
from taxotext.api.starting import with_start
from taxotext.api.tuning import tune_thresholds
from taxotext.composition.base import System, SystemSettings
from taxotext.data import Corpus
from taxotext.data.frames import as_indicator
from taxotext.data.lists import is_matrix
from taxotext.decoding import Decoder, Decoding, Predictions, ScoreBlock, TuningReport
from taxotext.decoding.blocks import spread_rows
from taxotext.errors import ConfigError, DataError
from taxotext.explain.explanation import Explanation
from taxotext.explain.leave_one_out import MOST_WORDS, explain_texts
from taxotext.labels import Taxonomy
from taxotext.models.registry import find
from taxotext.progress import Reporter, Silent
from taxotext.settings import parse_settings
from taxotext.store import Manifest, read_folder, save_folder, update_folder

if TYPE_CHECKING:
    from taxotext.training import RunFolder

MOST_CELLS = 200_000_000
"""Texts times labels of the largest matrix that is returned (800 MB of probabilities)."""


class Classifier:
    """A multi-label text classifier with scikit-learn's interface.

    Args:
        model: name of a system: ``linear``, ``bert``, or any that ``taxotext models list`` shows.
        **settings: settings of the system, nested as mappings or flat with double underscores:
            ``training={"epochs": 3}`` and ``training__epochs=3`` say the same.

    Raises:
        ConfigError: listing every unknown or impossible setting.

    >>> model = Classifier("linear", features__min_documents=1)
    >>> texts = ["the cat purrs", "the dog barks", "cat and dog play", "rain falls", "cat cat", "dog dog"]
    >>> _ = model.fit(texts, [["cat"], ["dog"], ["cat", "dog"], [], ["cat"], ["dog"]])
    >>> model.predict(["my cat"])
    [['cat']]
    """

    def __init__(self, model: str = "linear", **settings: Any) -> None:
        self.model = model
        self._given = settings
        self._system: System | None = None
        self._manifest: Manifest | None = None
        self._kept: Decoder | None = None  # of the model's own rules
        self._columns: tuple[str, ...] | None = None  # of the indicator matrix that it was fitted on
        self.settings_()

    # -- scikit-learn's contract ---------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what the constructor was given."""
        return {"model": self.model, **self._given}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments; the next ``fit`` uses them.

        Raises:
            ConfigError: see the class.
        """
        before = self.model, self._given
        self.model = params.pop("model", self.model)
        replaced = {key for key in self._given for new in params if key == new or key.startswith(f"{new}__")}
        self._given = {key: value for key, value in self._given.items() if key not in replaced} | params
        try:
            self.settings_()
        except ConfigError:
            self.model, self._given = before
            raise
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return self._system is not None

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's tools (clone, cross_val_score, GridSearchCV) want to know."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True, multi_output=True, two_d_labels=True),
            classifier_tags=ClassifierTags(multi_class=False, multi_label=True),
            input_tags=InputTags(one_d_array=False, two_d_array=False, string=True),
        )

    def __repr__(self) -> str:
        given = "".join(f", {key}={value!r}" for key, value in self._given.items())
        return f"Classifier({self.model!r}{given})"

    def settings_(self) -> SystemSettings:
        """Return the complete, validated settings of the system."""
        where = f"Classifier({self.model!r})"
        return parse_settings(find(str(self.model), saved=True).Settings, nested(self._given, where), where)

    # -- fitting -------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Sequence[str] | Corpus,
        y: Any = None,
        *,
        taxonomy: Taxonomy | None = None,
        label_ids: Sequence[str] | None = None,
        validation: Corpus | tuple[Sequence[str], Any] | None = None,
        sample_weight: Any = None,
        tune: bool = True,
        run: RunFolder | None = None,
        reporter: Reporter | None = None,
    ) -> Self:
        """Fit the system, then tune its thresholds on the documents that were held out.

        Args:
            X: D texts (a list, a Series, a data frame of one column), or a corpus.
            y: a list of label ids for each text, or an indicator matrix (D, N), dense, sparse, or a data frame whose
                columns are named by the label ids.
            taxonomy: the labels and their structure; None: the labels of ``y``, flat.
            label_ids: names of the columns of an indicator matrix; None: the ids of ``taxonomy``, else numbers.
            validation: documents that select epochs and thresholds; None: a stratified part of ``X``
                (``validation.fraction``), or cross-fitting where the system does that. Their labels that ``X`` lacks
                are left out with a warning, unless ``taxonomy`` or ``label_ids`` says which labels there are: then
                others are errors.
            sample_weight: (D,) weights of the documents.
            tune: False: thresholds stay as the settings have them. They also do where the system decides on label sets
                itself, in presets ``paper``, and where the settings name thresholds.
            run: a folder for checkpoints that a later call resumes from.
            reporter: where progress goes; None: nowhere.

        Raises:
            DataError: the texts or labels cannot be used; all problems are listed.
        """
        columns: tuple[str, ...] | None = None
        declared = taxonomy is not None or label_ids is not None
        if isinstance(X, Corpus):
            check_corpus_alone(X, y=y, taxonomy=taxonomy, label_ids=label_ids, sample_weight=sample_weight)
            train = X
        else:
            y, label_ids = as_indicator(y, label_ids)
            if is_matrix(y) and label_ids is None and taxonomy is not None:
                label_ids = taxonomy.ids
            train = Corpus.from_lists(
                X,
                y,
                taxonomy=taxonomy,
                label_ids=label_ids,
                weights=sample_weight,
                source="training texts",
            )
            if is_matrix(y):
                columns = train.taxonomy.ids if label_ids is None else tuple(map(str, label_ids))
        if validation is not None:
            X_validation, y_validation = validation if isinstance(validation, tuple) else (validation, None)
            # Where nobody declared the labels, a rare one may be in the validation documents only.
            declared = declared or not train.taxonomy.is_flat
            unknown = "error" if declared else "drop"
            validation = corpus_of(
                X_validation, y_validation, train.taxonomy, "validation texts", columns, train.closure, unknown
            )
        kind, where = find(self.model), f"Classifier({self.model!r})"
        settings = parse_settings(kind.Settings, with_start(self.model, nested(self._given, where))[1], where)
        system, manifest = fit_system(kind, settings, train, validation, run=run, reporter=reporter or Silent())
        manifest.trained_on["matrix_columns"] = columns
        finish(system, manifest, tune=tune, reporter=reporter)
        self._system, self._manifest, self._columns = system, manifest, columns
        return self

    # -- prediction ----------------------------------------------------------------------------------------------

    @property
    def taxonomy(self) -> Taxonomy:
        """The N labels."""
        return self._fitted()[0].taxonomy

    @property
    def classes_(self) -> NDArray[np.str_]:
        """Label ids (N,) of the columns of :meth:`predict_proba`: of the fitted matrix, else of the taxonomy."""
        return np.asarray(self.taxonomy.ids if self._columns is None else self._columns)

    @property
    def decoding(self) -> Decoding:
        """How scores become labels; assign another one to change it."""
        return self._fitted()[1].decoding

    @decoding.setter
    def decoding(self, decoding: Decoding) -> None:
        system, manifest = self._fitted()
        system.check_decoding(decoding, system.settings)
        Decoder(decoding, system.taxonomy)  # unknown labels are found here
        manifest.decoding = decoding

    def decode_stream(
        self, texts: Iterable[str], *, decoding: Decoding | None = None, reporter: Reporter | None = None
    ) -> Iterator[tuple[csr_array, ScoreBlock]]:
        """Label sets (b, N) and scores of blocks of b texts, in bounded memory.

        The scores, after the consistency rule, are a :class:`~taxotext.decoding.ScoreBlock`: ``scores.dense`` is the
        array (b, N); systems that score only some candidates have ``scores.candidates``, CSR.

        A text that is empty, or white space only, has no label and score 0 (no candidate); a warning counts such texts.

        Args:
            texts: drawn as they are needed.
            decoding: other rules than the model's own.
            reporter: where progress goes.
        """
        decoder = self.decoder if decoding is None else Decoder(decoding, self.taxonomy)
        for block, rows, size in score_texts(self.system, texts, reporter or Silent()):
            sets, scores = decoder.decode(block)
            if len(block) == size:
                yield sets, scores
            else:
                yield spread_rows(sets, rows, size), scores.spread(rows, size)

    @property
    def decoder(self) -> Decoder:
        """The decoder of the model's own rules, made once: with very many labels that takes longer than a text."""
        system, manifest = self._fitted()
        kept = self._kept
        if kept is None or kept.decoding is not manifest.decoding or kept.taxonomy is not system.taxonomy:
            self._kept = kept = Decoder(manifest.decoding, system.taxonomy)
        return kept

    def predict(self, X: Sequence[str]) -> Any:
        """Label ids of each text; an indicator matrix (D, N) when the classifier was fitted on one.

        Raises:
            DataError: a text is not a string, or the matrix would have more than :data:`MOST_CELLS` cells.
        """
        texts = checked_texts(X)
        if self._columns is not None:
            self._check_cells("predict", len(texts), "take label sets block by block from decode_stream(texts)")
        sets = [found for found, _ in self.decode_stream(texts)]
        if self._columns is not None:
            order = self._order()
            dense = [found.toarray()[:, order].astype(np.int64) for found in sets]
            return np.concatenate(dense) if dense else np.zeros((0, len(order)), dtype=np.int64)
        ids = self.taxonomy.ids
        return [
            [ids[label] for label in found.indices[found.indptr[row] : found.indptr[row + 1]]]
            for found in sets
            for row in range(found.shape[0])
        ]

    def predict_proba(self, X: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities (D, N) of the labels ``classes_``, after the consistency rule.

        Raises:
            ConfigError: the system scores only some candidates among the labels.
            DataError: a text is not a string, or D times N is more than :data:`MOST_CELLS`.
        """
        texts, order = checked_texts(X), self._order()
        best = "ask for the best labels of each text with suggest(texts, k=10)"
        self._check_cells("predict_proba", len(texts), best)
        blocks = []
        for _, scores in self.decode_stream(texts):
            if scores.is_sparse:
                raise ConfigError(
                    f"{self.model} scores only some candidates among the labels, and predict_proba has no probability "
                    f"for the others; {best}."
                )
            blocks.append(scores.dense[:, order])
        return np.concatenate(blocks) if blocks else np.zeros((0, len(order)), dtype=np.float32)

    def suggest(self, X: Sequence[str], k: int = 10) -> list[list[tuple[str, float]]]:
        """The k best labels of each text, whatever their thresholds: pairs of label id and score, the best first.

        Works for every system and any number of labels. Scores are those after calibration and consistency rule;
        labels that the rules exclude are left out. A text has fewer than k labels where no more are candidates.

        Args:
            X: D texts.
            k: how many, at least 1.

        Raises:
            ConfigError: k is no such number.
            DataError: a text is not a string.
        """
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ConfigError(f"suggest: k is {k!r}; give a whole number from 1.")
        decoder, taxonomy = self.decoder, self.taxonomy
        found: list[list[tuple[str, float]]] = []
        for block, rows, size in score_texts(self.system, checked_texts(X), Silent()):
            ranked = decoder.rank(decoder.scores(block), k)
            piece: list[list[tuple[str, float]]] = [[] for _ in range(size)]
            for row, pairs in zip(rows.tolist(), Predictions.from_ranked(*ranked).pairs(taxonomy), strict=True):
                piece[row] = pairs
            found += piece
        return found

    def explain(
        self,
        X: Sequence[str],
        labels: Sequence[str] | None = None,
        *,
        mode: Literal["delete", "mask"] = "delete",
        max_words: int = MOST_WORDS,
        reporter: Reporter | None = None,
    ) -> list[Explanation]:
        """How much each word of each text matters to its labels; :func:`~taxotext.explain.leave_one_out.explain_texts`.

        Raises:
            ConfigError, LabelError: as there.
            DataError: a text is not a string.
        """
        texts, own = checked_texts(X), self.decoding
        return explain_texts(self.system, own, texts, labels=labels, mode=mode, max_words=max_words, reporter=reporter)

    def _check_cells(self, method: str, texts: int, instead: str) -> None:
        if texts * len(self.taxonomy) > MOST_CELLS:
            raise DataError(
                f"{method}: {texts:,} texts and {len(self.taxonomy):,} labels make a matrix of more than "
                f"{MOST_CELLS:,} cells; {instead}, or give fewer texts at a time."
            )

    def _order(self) -> Any:
        """Where the columns of the output are among the labels."""
        if self._columns is None or self._columns == self.taxonomy.ids:
            return np.arange(len(self.taxonomy))
        return np.asarray([self.taxonomy.index(label) for label in self._columns])

    # -- evaluation and tuning -------------------------------------------------------------------------------------

    def score(self, X: Sequence[str] | Corpus, y: Any = None, sample_weight: Any = None) -> float:
        """Micro-F1 of the label sets."""
        if sample_weight is not None:
            raise ConfigError("score takes no sample_weight; leave it out.")
        return float(self.evaluate(X, y)["micro_f1"])

    def evaluate(
        self,
        X: Sequence[str] | Corpus,
        y: Any = None,
        *,
        ks: Sequence[int] = (1, 3, 5),
        per_label: bool = False,
        propensity: str | tuple[float, float] = "default",
        reporter: Reporter | None = None,
    ) -> dict[str, Any]:
        """All metrics of docs/reference/metrics.md; gold labels that the model does not know count as misses.

        Args:
            X: texts or a corpus.
            y: gold labels of the texts.
            ks: cut-offs of the ranking metrics.
            per_label: add a row of counts and scores for each label.
            propensity: the constants A and B of the propensity-scored metrics: ``default``, ``wikipedia``,
                ``amazon``, or two numbers.
            reporter: where progress goes.
        """
        system, manifest = self._fitted()
        corpus = self._corpus(X, y, "evaluated texts")
        return evaluate_corpus(
            system,
            manifest,
            corpus,
            ks=ks,
            per_label=per_label,
            propensity=propensity,
            reporter=reporter or Silent(),
        )

    def tune(
        self,
        X: Sequence[str] | Corpus | None = None,
        y: Any = None,
        *,
        metric: Literal["micro_f1", "macro_f1", "hierarchical_f1"] = "micro_f1",
        method: Literal["label", "level", "global"] = "label",
        shrink: float | Literal["auto"] = "auto",
        consistency: Literal["none", "up", "down", "auto"] | None = None,
        calibration: Literal["none", "temperature", "isotonic"] | None = None,
        calibration_by: Literal["all", "label"] | None = None,
        never_empty: bool | None = None,
        reporter: Reporter | None = None,
    ) -> TuningReport:
        """Find thresholds on validation documents; they are used from then on and saved with the model.

        With a calibration, probabilities are corrected on the same documents first.

        Args:
            X: validation texts or corpus; None: the scores of the held-out documents kept from ``fit``.
            y: their labels.
            metric: what to make greatest; with ``hierarchical_f1`` each document gets the closed label set of greatest
                expected hierarchical F1 from then on.
            method: thresholds for each label, each level, or one.
            shrink: how strongly rare labels are pulled to the common threshold.
            consistency: with the taxonomy; auto: the rule that does best in cross-validation; None: as
                ``decoding.consistency`` says.
            calibration: of the probabilities; None: as ``decoding.calibration`` says, and isotonic for
                ``hierarchical_f1`` where it says none.
            calibration_by: one for all labels, or one for each; None: as ``decoding.calibration_by`` says.
            never_empty: predict the best label where none passes; None: as ``decoding.never_empty`` says.
            reporter: where progress goes.

        Raises:
            DataError: no validation documents.
        """
        system, manifest = self._fitted()
        corpus = None if X is None else self._corpus(X, y, "tuning texts")
        options: dict[str, Any] = {
            "method": method,
            "shrink": shrink,
            "consistency": consistency,
            "calibration": calibration,
            "calibration_by": calibration_by,
            "never_empty": never_empty,
            "reporter": reporter or Silent(),
        }
        if metric == "hierarchical_f1":
            return tune_hierarchical_f1(system, manifest, corpus, **options)
        return tune_thresholds(system, manifest, corpus, metric=metric, **options)

    # -- the folder --------------------------------------------------------------------------------------------

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model folder, completely or not at all.

        Raises:
            ModelFolderError: it exists already (without ``overwrite``) or cannot be written.
        """
        system, manifest = self._fitted()
        save_folder(Path(folder), system, manifest, overwrite=overwrite)

    def update(self, folder: str | Path) -> None:
        """Write thresholds and metrics into the folder that this model was loaded from."""
        system, manifest = self._fitted()
        update_folder(Path(folder), system, manifest)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str | None = None,
        revision: str | None = None,
    ) -> str:
        """Upload the model folder to the Hugging Face hub; return the address of the commit.

        Args:
            repo_id: ``owner/name``; created when it is missing.
            private: visibility; None: as it is.
            token: None: the one of ``hf auth login`` or HF_TOKEN.
            commit_message: None: a sentence that names the system.
            revision: branch; None: main.

        Raises:
            HubError: no token, no right to write, no connection, or a model of another library is there.
        """
        from taxotext.store.hub import push

        return push(
            *self._fitted(),
            repo_id,
            private=private,
            token=token,
            commit_message=commit_message,
            revision=revision,
        )

    @classmethod
    def from_pretrained(
        cls,
        repo_id_or_folder: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        **runtime: Any,
    ) -> Self:
        """Load a model from the Hugging Face hub, or from a folder where there is one of that name.

        Only JSON and safetensors files are fetched, and nothing of them is run.

        Args:
            repo_id_or_folder: ``owner/name`` on the hub, or a model folder.
            revision: branch, tag or commit on the hub; None: main.
            token: for private models; None: the one of ``hf auth login`` or HF_TOKEN.
            cache_dir: where downloads are kept; None: the hub's usual cache.
            **runtime: see :func:`load`.

        Raises:
            HubError: it is not there, is not a Taxotext model, or the hub cannot be reached.
            ModelFolderError: the folder is damaged or of a newer format.
        """
        folder = Path(repo_id_or_folder)
        if not folder.is_dir():
            from taxotext.store.hub import fetch

            folder = fetch(str(repo_id_or_folder), revision=revision, token=token, cache_dir=cache_dir)
        return cls._restored(*read_folder(folder, runtime))

    @property
    def manifest(self) -> Manifest:
        """Facts, metrics and provenance of the fitted model."""
        return self._fitted()[1]

    @property
    def system(self) -> System:
        """The fitted system."""
        return self._fitted()[0]

    def _fitted(self) -> tuple[System, Manifest]:
        if self._system is None or self._manifest is None:
            raise ConfigError("This classifier is not fitted yet; call fit, or taxotext.load(folder).")
        return self._system, self._manifest

    def _corpus(self, X: Any, y: Any, source: str) -> Corpus:
        """Gold labels in the model's columns; those that it does not know are kept, as misses."""
        system, manifest = self._fitted()
        closure = manifest.trained_on.get("closure")
        return corpus_of(X, y, system.taxonomy, source, self._columns, closure, "count")

    @classmethod
    def _restored(cls, system: System, manifest: Manifest) -> Self:
        classifier = cls(system.name, **system.settings.model_dump())
        classifier._system, classifier._manifest = system, manifest
        columns = manifest.trained_on.get("matrix_columns")
        classifier._columns = None if columns is None else tuple(columns)
        return classifier


def load(folder: str | Path, *, beams: int | str | None = None, **runtime: Any) -> Classifier:
    """Load a model folder; no network, no installed encoder and no code of the folder is needed.

    Models of the hub are loaded with :meth:`Classifier.from_pretrained`: a wrong path never becomes a download.

    Args:
        folder: what :meth:`Classifier.save` or ``taxotext train`` wrote.
        beams: of the search for label sequences, 1 to 64, or nodes of each level of a label tree; or ``exact``; None:
            as the model was trained.
        **runtime: ``device``, ``predict_precision``, ``threads``: where to compute here.

    Raises:
        ConfigError: the system has no beam search, or ``beams`` is no such number.
        ModelFolderError: the folder is missing, damaged or of a newer format.
    """
    system, manifest = read_folder(Path(folder), runtime)
    if beams is not None:
        system.search_with(beams)
    return Classifier._restored(system, manifest)
