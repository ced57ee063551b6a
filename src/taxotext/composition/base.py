"""What every system is: typed settings, a recipe, scores, and a folder that it can be read from."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from taxotext.cost.memory import Need
from taxotext.data.spill import IN_MEMORY
from taxotext.decoding import Decoding, ScoreBlock
from taxotext.decoding.decoder import UNDECIDED
from taxotext.errors import ConfigError, nearest
from taxotext.labels import Taxonomy
from taxotext.processes import usable_cores
from taxotext.settings import Settings, overlaid

if TYPE_CHECKING:
    from taxotext.data import Corpus

Progress = Callable[[int], None]
"""Called with the number of documents that were finished since the last call."""


CELLS_TOGETHER = 2**22
"""Scores of a block at most: 16 MB for each array of them, whatever the number of labels."""

DEVICES = ("auto", "cpu", "cuda", "mps")


class RuntimeSettings(Settings):
    """Where and how numbers are computed."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="of training; auto: bf16 where the hardware has it, else float32"
    )
    predict_precision: Literal["float32", "bf16"] = Field("float32", description="of prediction")
    threads: int | None = Field(None, ge=1, le=1_024, description="CPU threads; null: all cores")
    tokens_in_memory: int = Field(
        IN_MEMORY,
        ge=0,
        le=2**40,
        description="token ids that are kept in memory; more are in a temporary file (TMPDIR)",
    )
    check_memory: bool = Field(True, description="refuse a training that needs more memory than is free")

    @property
    def cores(self) -> int:
        """``threads``, or the cores that this process may use."""
        return self.threads or usable_cores()

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", value):
            raise ValueError(
                f"{value!r} is not a device; choose auto, cpu, cuda, cuda:1 or mps.{nearest(value, DEVICES)}"
            )
        return value


class ValidationSettings(Settings):
    """The part of the training split that selects epochs and thresholds when no validation file is given."""

    fraction: float = Field(0.1, gt=0, lt=1, description="share of the training documents, stratified by label")


Preset = Annotated[
    Literal["default", "paper"], Field(description="default; paper: as published; keys that are given are stronger")
]
"""Type of the field ``preset`` of systems that have the settings of one paper."""


class SystemSettings(Settings):
    """Settings that every system has.

    A system with presets declares a field ``preset`` whose values are ``default`` and the keys of ``PRESETS``; what the
    user gives is laid over the preset.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Settings, nested, by name of the preset; sections that are parts name theirs."""

    seed: int = Field(13, ge=0, lt=2**32, description="fixes splits, initial weights and batches")
    validation: ValidationSettings = Field(
        ValidationSettings(), description="held out of the training file when there is no validation file"
    )
    decoding: Decoding = Field(Decoding(), description="how scores become labels; `taxotext tune` finds thresholds")
    runtime: RuntimeSettings = Field(RuntimeSettings(), description="device, precision, threads")

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        preset = values.get("preset") if isinstance(values, Mapping) else None
        if isinstance(preset, str) and preset in cls.PRESETS:
            return overlaid(cls.PRESETS[preset], values)
        return values


@dataclass(frozen=True)
class Work:
    """How a brief fit compares with a whole one."""

    seconds: float  # of the brief fit, what grows with the epochs
    once: float  # seconds of what a whole fit does once for each document
    done: float  # passes over the documents in the brief fit
    planned: float  # passes in the whole fit at most, of one of the processes that share it
    scorings: float  # how often the whole fit scores the held-out documents


class System(ABC):
    """A system from the registry.

    Subclasses set ``name``, ``Settings`` and ``recipe`` (how training fits them: a name of
    ``taxotext.training.RECIPES`` or of the entry-point group ``taxotext.recipes``) and implement the rest. One instance
    belongs to one taxonomy.

    Args:
        settings: validated settings of the class's ``Settings``.
        taxonomy: the N labels, in the order of the scores.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[SystemSettings]]
    recipe: ClassVar[str]
    cross_fits: ClassVar[bool] = False
    """Whether the system makes held-out scores of its own when there is no validation corpus; others need one."""
    grows_with_labels: ClassVar[bool] = False
    """Whether the time of a fit grows with the number of labels that have documents: one classifier for each."""
    search_space: ClassVar[Mapping[str, Any]] = {}
    """What `taxotext search` tries, by key path (:mod:`taxotext.composition.space`)."""
    members: Sequence[System] = ()
    """Systems that this one is made of (mixtures, ensembles); the model folder holds them in ``members/0``, ..."""
    reaches_unseen: ClassVar[bool] = False
    """Whether labels without training documents are predicted, too."""
    decides_sets: ClassVar[bool] = False
    """Whether the blocks of :meth:`scores` bring label sets (beam search); else thresholds decide, unless the head
    decides (:meth:`decides`)."""

    def __init__(self, settings: Any, taxonomy: Taxonomy) -> None:
        self.settings = settings
        self.taxonomy = taxonomy

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about what is going to be fitted."""
        return ()

    def notes_on(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Sentences for the user about the texts that it is going to be fitted to."""
        return ()

    @abstractmethod
    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield probabilities in blocks (b, N), in the order of ``texts``; dense or sparse, the same for all texts."""

    @abstractmethod
    def save_parts(self, folder: Path) -> None:
        """Write what :meth:`load_parts` needs: safetensors and JSON, never a pickle."""

    @classmethod
    @abstractmethod
    def load_parts(cls, folder: Path, settings: Any, taxonomy: Taxonomy) -> Self:
        """Read a system from ``folder`` without network.

        Raises:
            ModelFolderError: when files are missing, damaged or do not fit the taxonomy.
        """

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Facts for the model card and for tables: parameters, encoder source and hash, vocabulary."""

    def scores_without(self, text: str, cuts: NDArray[np.int64], replacement: str) -> ScoreBlock | None:
        """Scores of a text without each of some pieces, where they are known without scoring as many texts.

        Args:
            text: one document.
            cuts: (C, 2) int64, first character and the one behind the last of each piece.
            replacement: what the piece is replaced by.

        Returns:
            C documents, exactly those of :meth:`scores` for the changed texts; None: score these.
        """
        return None

    def label_vectors(self) -> dict[str, Any]:
        """Matrices of one row a label, (N, ...), by name: arrays or sparse arrays; empty where there are none."""
        return {}

    def memory(self, train: Corpus, validation: Corpus | None) -> list[Need]:
        """The large things that a training on these documents holds; systems that say nothing are not checked.

        Args:
            train: the training documents.
            validation: the held-out documents; None: the system cross-fits.
        """
        return []

    def device_free(self) -> int | None:
        """Free bytes of the GPU that the system is trained on; None where it is trained on the CPU."""
        return None

    @classmethod
    def reached(cls, settings: Any, unseen: Sequence[str]) -> set[str]:
        """Those of the labels without training documents that a system with these settings can predict."""
        return set(unseen) if cls.reaches_unseen else set()

    @classmethod
    def brief(cls, settings: Any) -> Any:
        """Return the settings with the least that a trial needs: one epoch."""
        training = getattr(settings, "training", None)
        if training is None:
            return settings
        return settings.model_copy(update={"training": training.model_copy(update={"epochs": 1})})

    def work(self, train: Corpus, validation: Corpus | None, seconds: float) -> Work:
        """What a brief fit has done, and what a whole one would do.

        Args:
            train, validation: all documents.
            seconds: that the brief fit took.
        """
        training = getattr(self.settings, "training", None)
        epochs = 1.0 if training is None else float(training.epochs)
        return Work(seconds, 0.0, 1.0, epochs, epochs)

    def reads_vectors(self) -> bool:
        """Whether the system takes feature vectors ``index:value ...`` (svmlight files) for texts."""
        return False

    def check_source(self, feature_vectors: bool, source: str) -> None:
        """Refuse feature vectors where words are read.

        Raises:
            ConfigError: ``feature_vectors`` is true and the system takes texts.
        """
        if feature_vectors and not self.reads_vectors():
            raise ConfigError(
                f"{source}: holds feature vectors (svmlight), no texts, and {self.name} reads words; "
                "train linear with features.analyzer=given, or take the texts of the corpus."
            )

    def search_with(self, beams: int | str) -> None:
        """Search for labels with another number of beams from now on.

        Args:
            beams: of label sequences 1 to 64, or ``exact``; nodes of each level of a label tree, or ``exact``.

        Raises:
            ConfigError: ``beams`` is something else, or the system has no beam search.
        """
        raise ConfigError(f"beams: {self.name} has no beam search; leave it out.")

    @classmethod
    def decides(cls, settings: Any) -> bool:
        """Whether a system with these settings decides on label sets itself: by its class, or by its head."""
        return cls.decides_sets or bool(getattr(getattr(settings, "head", None), "decides_sets", False))

    @classmethod
    def check_decoding(cls, decoding: Decoding, settings: Any) -> None:
        """Refuse rules that want label sets of a system that decides on none.

        Raises:
            ConfigError: ``decoding.source`` is ``system``, and a system with these settings decides on none.
        """
        if decoding.source == "system" and not cls.decides(settings):
            raise ConfigError(UNDECIDED)

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many texts are longer than the system reads; systems without a limit cut none."""
        return 0


def rows_together(most: int, cells: int) -> int:
    """Documents of a block: as many as have :data:`CELLS_TOGETHER` scores, and no more than ``most``.

    Args:
        most: documents at most, whatever they have.
        cells: scores of a document.

    >>> rows_together(2048, 100), rows_together(2048, 100_000)
    (2048, 41)
    """
    return max(1, min(most, CELLS_TOGETHER // max(1, cells)))


def block_starts(documents: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` documents."""
    for start in range(0, documents, size):
        yield slice(start, min(start + size, documents))
