"""``mixed``: a mixture of saved systems.

Algorithm 2 of *BERT for Sequence-to-Sequence Multi-Label Text Classification* (submission to ICLR 2020) for any
systems:

    p = Σ_k w_k p_k, Σ_k w_k = 1        combine=mean; the paper: (1 − α) p_BERT + α p_BERT+SGM, members in this order
    p = max_k p_k                       combine=max
    p = f(p_1 .. p_K, n)                combine=learned: :mod:`taxotext.decoding.fusion`, n: training documents
    labels with p > 0.5                 decoding.threshold, or tuned thresholds

The weights are the best of a grid on documents that no member was fitted on. Members are trained before, and copied
into the folder of the mixture. Their label sets must be equal; the columns are matched by label id.

Which documents a member was fitted on is known from the fingerprints that its folder keeps. A validation document that
a member holds out itself has the score that its folder keeps of it (for ``linear`` without a validation file that is
one of a fold that did not see the document); others are scored now. Deviation from the paper: none is known; the
metric of the sweep, the handling of ties, more than two members and the learned fusion are ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy.sparse import csr_array, vstack

from taxotext.composition.base import Progress, System, SystemSettings, block_starts, rows_together
from taxotext.composition.named_files import NamesFile
from taxotext.data import Corpus
from taxotext.decoding import Decoder, Decoding
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.fusion import Fusion, cross_fit
from taxotext.decoding.heldout import FLOOR, Fingerprints, HeldOut, fingerprints
from taxotext.decoding.mixing import Combine, Weights, mix, sweep
from taxotext.decoding.tuning import sparse_scores
from taxotext.errors import ConfigError, ModelFolderError, TaxotextError
from taxotext.files import write_text_atomically
from taxotext.files.json_files import read_json
from taxotext.files.tensors import numbers, read_tensors
from taxotext.labels import Taxonomy
from taxotext.models.registry import find
from taxotext.models.saved import MEMBERS, load_system, parsed, read_config

SCORED_TOGETHER = 2048
MIXTURE, LABEL_COUNTS = "mixture.json", "label_counts.safetensors"
FEWEST = 5
"""Documents that weights are chosen on, at least."""
MOST = 5
"""Members of a weighted mean, at most: the grid grows with their number."""
HELD_OUT = "heldout.safetensors"


def member_file(value: str) -> Path:
    """The file that tells one member from another: its weights."""
    weights = Path(value) / "weights.safetensors"
    return weights if weights.is_file() else Path(value) / "config.json"


class MixedSettings(SystemSettings):
    """Settings of ``mixed``."""

    members: Annotated[tuple[str, ...], NamesFile(find=member_file)] = Field(
        (), description="folders of two or more models over the same labels: members.0=DIR members.1=DIR"
    )
    combine: Literal[Combine, "learned"] = Field(
        "mean",
        description="mean: weighted; max: the largest score; learned: a fusion of scores and label frequency, the same "
        "for all labels",
    )
    metric: Literal["micro_f1", "macro_f1", "samples_f1", "set_accuracy"] = Field(
        "micro_f1", description="that the weights are chosen by, at the threshold 0.5"
    )
    weights: tuple[Annotated[float, Field(ge=0, le=1)], ...] | None = Field(
        None, description="of the members, sum 1; null: chosen on documents that no member was fitted on"
    )

    @field_validator("members", mode="before")
    @classmethod
    def _numbered(cls, value: Any) -> Any:
        """``members.0=DIR`` arrives as a mapping."""
        if isinstance(value, Mapping):
            names = [str(number) for number in range(len(value))]
            if {str(name) for name in value} != set(names):
                raise ValueError(f"members are numbered 0, 1, 2 ..., not {', '.join(str(name) for name in value)}")
            return tuple({str(name): member for name, member in value.items()}[name] for name in names)
        return value


class Mixed(System):
    """A mixture of saved systems."""

    name: ClassVar[str] = "mixed"
    Settings: ClassVar[type[SystemSettings]] = MixedSettings
    recipe: ClassVar[str] = "direct"
    cross_fits: ClassVar[bool] = True
    search_space: ClassVar[Mapping[str, Any]] = {"combine": ["mean", "max", "learned"]}

    def __init__(self, settings: MixedSettings, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        self._mixture: dict[str, Any] | None = None
        self._fusion: Fusion | None = None
        self._counts: NDArray[np.int64] = np.zeros(len(taxonomy), dtype=np.int64)

    @classmethod
    def reached(cls, settings: MixedSettings, unseen: Sequence[str]) -> set[str]:
        """Labels that a member was fitted on, or reaches without training documents."""
        found: set[str] = set()
        for folder in settings.members:
            found |= _reached(Path(folder), unseen)
        return found

    # -- fitting -----------------------------------------------------------------------------------------------

    def fits(self, train_corpus: Corpus, validated: bool) -> int:
        """Members."""
        return len(self.settings.members)

    def fit(self, train_corpus: Corpus, validation: Corpus | None, progress: Progress | None = None) -> HeldOut:
        """Read the members and choose their weights, or fit their fusion.

        Args:
            train_corpus: its documents that no member was fitted on are used where there is no validation corpus; a
                learned fusion knows how many have each label.
            validation: documents to choose the weights on; those that a member was fitted on are left out.
            progress: called for each member.

        Returns:
            Scores of the mixture for the documents that the weights were chosen on; those of a learned fusion are of
            folds that did not see the document.

        Raises:
            ConfigError: members are missing, have other labels, or were fitted on these documents.
        """
        folders = [Path(folder) for folder in self.settings.members]
        self._check_count(len(folders))
        runtime = self.settings.runtime.model_dump()
        self.members = tuple(load_system(folder, runtime) for folder in folders)
        for folder, member in zip(folders, self.members, strict=True):
            self._check_labels(folder, member)
        corpus = train_corpus if validation is None else validation
        kept = [_kept(folder, member) for folder, member in zip(folders, self.members, strict=True)]
        unseen = np.ones(len(corpus), dtype=np.bool_)
        for place, (folder, held) in enumerate(zip(folders, kept, strict=True)):
            if held is None or held.trained is None:
                if validation is None:
                    raise ConfigError(
                        f"members.{place}: {folder} does not say which documents it was fitted on; give a validation "
                        "file (data.validation) that it was not fitted on."
                    )
                continue
            fresh = _unseen(held, held.trained, fingerprints(corpus.texts, held.salt))
            if fresh.sum() < FEWEST:
                raise ConfigError(
                    f"members.{place}: {folder} was fitted on {int((~fresh).sum())} of the {len(corpus)} documents of "
                    f"{corpus.source}. The weights of a mixture need at least {FEWEST} documents that no member was "
                    "fitted on; give a validation file (data.validation) with others."
                )
            unseen &= fresh
        if unseen.sum() < FEWEST:
            raise ConfigError(
                f"members: only {int(unseen.sum())} of the {len(corpus)} documents of {corpus.source} were seen by no "
                f"member in training, and {FEWEST} are needed; give a validation file (data.validation) with others."
            )
        part = corpus.subset(np.flatnonzero(unseen))
        scores = []
        for member, held in zip(self.members, kept, strict=True):
            scores.append(self._scores_of(member, held, part.texts))
            if progress is not None:
                progress(1)
        gold = part.known_targets
        self._counts = np.asarray(train_corpus.known_targets.sum(axis=0), dtype=np.int64).ravel()
        block = self._choose(scores, gold, int((~unseen).sum()))
        source = f"{len(part)} documents of {corpus.source} that no member was fitted on"
        return HeldOut.from_blocks([block], gold, source, texts=part.texts)

    def _choose(self, scores: Sequence[Any], gold: csr_array, left_out: int) -> ScoreBlock:
        """Choose the weights or fit the fusion, keep how, and return the scores of the mixture."""
        count, given = len(scores), self.settings.weights
        mixture: dict[str, Any] = {"documents": gold.shape[0], "left_out": left_out}
        if self.settings.combine == "learned":
            self._fusion, block = cross_fit(scores, gold, self._counts, self.settings.seed)
            self._mixture = {"coefficients": self._fusion.coefficients.tolist(), **mixture}
            return block
        if given is not None or self.settings.combine == "max":
            weights = np.full(count, 1 / count) if given is None else np.asarray(given, dtype=np.float64)
        else:
            decoder = Decoder(Decoding(consistency=self.settings.decoding.consistency), self.taxonomy)
            found = sweep(scores, gold, decoder, self.settings.metric)
            weights = found.weights
            mixture |= {
                "metric": self.settings.metric,
                "curve": [
                    {"weights": row, "value": round(value, 6)}
                    for row, value in zip(found.tried.round(6).tolist(), found.values.tolist(), strict=True)
                ],
            }
        self._mixture = {"weights": weights.tolist(), **mixture}
        return self._mixed([ScoreBlock(found) for found in scores])

    def _mixed(self, blocks: Sequence[ScoreBlock]) -> ScoreBlock:
        """The mixture of the scores of all members for some documents."""
        combine = self.settings.combine
        if combine != "learned":
            return mix(blocks, self._weights(), combine)
        if self._fusion is None:
            raise RuntimeError("the system is not fitted yet")
        return self._fusion.mix(blocks, self._counts)

    def _check_count(self, count: int) -> None:
        weights = self.settings.weights
        if count < 2:
            raise ConfigError(f"members: {count} given; a mixture needs two or more folders of models.")
        if self.settings.combine != "mean" and weights is not None:
            what = {"max": "the maximum", "learned": "a learned fusion"}[self.settings.combine]
            raise ConfigError(f"weights: {what} has none; leave them out, or set combine=mean.")
        if weights is not None and (len(weights) != count or abs(sum(weights) - 1) > 1e-6):
            raise ConfigError(f"weights: {list(weights)}; give {count} numbers with the sum 1, one for each member.")
        if self.settings.combine == "mean" and weights is None and count > MOST:
            raise ConfigError(f"members: weights can be chosen for {MOST} members at most, not {count}; give weights.")

    def _check_labels(self, folder: Path, member: System) -> None:
        mine, theirs = set(self.taxonomy.ids), set(member.taxonomy.ids)
        if mine != theirs:
            missing, more = sorted(mine - theirs), sorted(theirs - mine)
            problems = [f"{folder} lacks {label!r}" for label in missing[:5]]
            problems += [f"only {folder} has {label!r}" for label in more[:5]]
            raise ConfigError(
                f"members: {folder} has other labels ({len(missing)} missing, {len(more)} more); give the taxonomy "
                "that it was trained with, or train it on the same labels.",
                problems,
            )

    def _columns(self, member: System) -> NDArray[np.int64]:
        """(N,) the column of each label in the scores of a member."""
        return np.asarray([member.taxonomy.index(label) for label in self.taxonomy.ids], dtype=np.int64)

    def _scores_of(self, member: System, held: HeldOut | None, texts: Sequence[str]) -> Any:
        """Scores of a member for texts that it was not fitted on: csr (D, N), kept ones where there are some."""
        place = np.full(len(texts), -1, dtype=np.int64)
        if held is not None and held.fingerprints is not None:
            order = np.argsort(held.fingerprints)
            own = fingerprints(texts, held.salt)
            near = np.minimum(np.searchsorted(held.fingerprints[order], own), max(len(order) - 1, 0))
            if len(order):
                found = order[near]
                place = np.where(held.fingerprints[found] == own, found, -1)
        new = np.flatnonzero(place < 0)
        rows = np.empty(len(texts), dtype=np.int64)
        parts: list[Any] = []
        if held is not None:
            parts.append(held.scores)
            rows[place >= 0] = place[place >= 0]
        if len(new):
            base = 0 if held is None else held.scores.shape[0]
            parts += [sparse_scores(block, FLOOR) for block in member.scores([texts[row] for row in new.tolist()])]
            rows[new] = base + np.arange(len(new))
        whole: Any = vstack(parts, format="csr")
        chosen: Any = csr_array(whole[rows][:, self._columns(member)])
        chosen.sort_indices()
        return chosen

    # -- use ---------------------------------------------------------------------------------------------------

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield the mixture, (b, N): sparse where all members are."""
        columns = [self._columns(member) for member in self.members]
        for part in block_starts(len(texts), rows_together(SCORED_TOGETHER, len(self.taxonomy))):
            blocks = []
            for member, order in zip(self.members, columns, strict=True):
                found = [ScoreBlock.of(block) for block in member.scores(texts[part])]
                if any(block.is_sparse for block in found):
                    whole: Any = vstack([block.candidates for block in found], format="csr")
                    matrix: Any = csr_array(whole[:, order])
                    matrix.sort_indices()
                else:
                    matrix = np.concatenate([block.dense for block in found])[:, order]
                blocks.append(ScoreBlock(matrix))
            yield self._mixed(blocks)
            if progress is not None:
                progress(part.stop - part.start)

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many texts are longer than the member reads that cuts most of them."""
        return max((member.count_cut(texts) for member in self.members), default=0)

    def facts(self) -> dict[str, Any]:
        """Parameters of all members, their weights, and how many documents these were chosen on."""
        mixture = self._fitted()
        facts: dict[str, Any] = {"parameters": sum(member.facts()["parameters"] for member in self.members)}
        names = [member.name for member in self.members]
        if self.settings.combine == "learned":
            facts["parameters"] += len(mixture["coefficients"])
            facts["mixture"] = f"learned from {', '.join(names)}"
        else:
            named = ", ".join(f"{name} {weight:g}" for name, weight in zip(names, self._weights(), strict=True))
            facts["mixture"] = f"maximum of {named}" if self.settings.combine == "max" else named
        return {**facts, "mixture_documents": mixture.get("documents")}

    def _fitted(self) -> dict[str, Any]:
        if self._mixture is None:
            raise RuntimeError("the system is not fitted yet")
        return self._mixture

    def _weights(self) -> Weights:
        weights = np.asarray(self._fitted()["weights"], dtype=np.float64)
        if len(weights) != len(self.members):
            raise ModelFolderError(
                f"{MIXTURE}: has {len(weights)} weights for {len(self.members)} members; save the model again."
            )
        return weights

    # -- the folder --------------------------------------------------------------------------------------------

    def save_parts(self, folder: Path) -> None:
        """Write ``mixture.json``: the weights, and the curve that they were chosen from.

        Of a learned fusion it holds the coefficients, and ``label_counts.safetensors`` the training documents of each
        label.
        """
        write_text_atomically(folder / MIXTURE, json.dumps(self._fitted(), indent=1))
        if self.settings.combine == "learned":
            from safetensors.numpy import save_file

            save_file({"counts": self._counts}, folder / LABEL_COUNTS)

    @classmethod
    def load_parts(cls, folder: Path, settings: MixedSettings, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote; the members are read by who reads the folder."""
        system = cls(settings, taxonomy)
        found = read_json(folder / MIXTURE, dict)
        if settings.combine == "learned":
            system._fusion, system._counts = _read_fusion(folder, found, len(taxonomy))
            system._mixture = found
            return system
        weights = found.get("weights")
        if (
            not isinstance(weights, list)
            or not all(isinstance(weight, (int, float)) and 0 <= weight <= 1 for weight in weights)
            or not abs(sum(weights) - 1) < 1e-6
        ):
            raise ModelFolderError(f"{folder / MIXTURE}: weights must be numbers with the sum 1; save the model again.")
        system._mixture = found
        return system


def _read_fusion(folder: Path, mixture: Mapping[str, Any], labels: int) -> tuple[Fusion, NDArray[np.int64]]:
    """The coefficients of a fusion and the training documents of each label (N,)."""
    given = mixture.get("coefficients")
    sound = isinstance(given, list) and len(given) >= 8 and len(given) % 3 == 2
    if not sound or not all(isinstance(one, float) and math.isfinite(one) for one in given or []):
        raise ModelFolderError(f"{folder / MIXTURE}: coefficients must be 3K + 2 numbers; save the model again.")
    try:
        counts = numbers(read_tensors(folder / LABEL_COUNTS)[0], "counts", (labels,), np.int64)
        if counts.min(initial=0) < 0:
            raise ValueError("a count is negative")
    except ValueError as error:
        raise ModelFolderError(f"{folder / LABEL_COUNTS}: {error}; save the model again.") from None
    return Fusion(np.asarray(given)), counts


def _reached(folder: Path, unseen: Sequence[str]) -> set[str]:
    """Labels among ``unseen`` that the model of a folder can predict; all where the folder cannot be read."""
    try:
        config = read_config(folder)
        if _reaches_unseen(folder) or not isinstance(config.get("seen"), list):
            return set(unseen)
        ids = parsed(folder / "taxonomy.json", Taxonomy.from_dict).ids
    except TaxotextError:  # which reading the member reports
        return set(unseen)
    return {label for label, count in zip(ids, config["seen"], strict=False) if count}.intersection(unseen)


def _reaches_unseen(folder: Path) -> bool:
    """Whether the system of a folder, or one that it is made of, predicts labels without training documents."""
    inside = (path.parent for path in (folder / MEMBERS).glob("*/config.json"))
    return find(read_config(folder)["model"], saved=True).reaches_unseen or any(map(_reaches_unseen, inside))


def _kept(folder: Path, member: System) -> HeldOut | None:
    """What the folder of a member keeps of its held-out and training documents."""
    path = folder / HELD_OUT
    return HeldOut.load(path, len(member.taxonomy)) if path.is_file() else None


def _unseen(held: HeldOut, trained: Fingerprints, own: Fingerprints) -> NDArray[np.bool_]:
    """Which documents (D,) a member was not fitted on, or has scores of from a fold that was not."""
    fresh = ~np.isin(own, trained)
    if held.fingerprints is not None and len(held.fingerprints) and np.isin(held.fingerprints, trained).all():
        fresh |= np.isin(own, held.fingerprints)  # it cross-fits: all its documents were held out once
    return np.asarray(fresh)
