"""The orthogonal parts of a composed system, each chosen by name: encoder, structure, head, loss.

A part is a settings class (torch-free, so that configurations can be checked and printed quickly) and a function
that builds the block of ``taxotext.nn`` from plain numbers. A new part registers itself with :func:`register`; packages
name their module under the entry-point group ``taxotext.parts``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from importlib.metadata import entry_points
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator

from taxotext.composition.class_weights import given_weights, weights_file
from taxotext.composition.named_files import NamesFile
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from taxotext.data.tokens import TextTokenizer
    from taxotext.labels import Taxonomy
    from taxotext.nn.encoders.pretrained import BuiltEncoder

# What each kind of part is built with, beside its settings:
#   encoder    texts: of the training; or record, tokenizer: of a model folder -> BuiltEncoder
#   structure  taxonomy, width D of the encoder
#   head       taxonomy, width D, log_odds (N,) of the labels in the training documents, or None
#   loss       taxonomy, positives (N,) training documents of each label, documents
#   body       width D of the states of a frozen encoder; or that encoder (taxotext.binary.bodies)
Kind = Literal["encoder", "structure", "head", "loss", "body"]
ENTRY_POINTS = "taxotext.parts"


@dataclass(frozen=True)
class Part:
    """A named choice: its settings and how it is built."""

    settings: type[Settings]
    build: Callable[..., Any]


_PARTS: dict[str, dict[str, Part]] = {"encoder": {}, "structure": {}, "head": {}, "loss": {}, "body": {}}


def register(kind: Kind, settings: type[Settings], build: Callable[..., Any]) -> None:
    """Add a part; its name is the default of the field ``name`` of ``settings``."""
    _PARTS[kind][settings.model_fields["name"].default] = Part(settings, build)


def choice(kind: Kind) -> Any:
    """Type of a settings field that takes any registered part of ``kind``, told apart by ``name``."""
    found = members(kind)
    kinds = list(found.values())
    if len(kinds) == 1:  # pydantic has no union of one
        return kinds[0]
    first = next(iter(found))

    def name_of(value: Any) -> str:
        if isinstance(value, Mapping):
            return str(value.get("name", first))
        # What is no section at all is left to a member of the union, which says so.
        return str(getattr(value, "name", first))

    tagged = [Annotated[settings, Tag(name)] for name, settings in found.items()]
    return Annotated[reduce(or_, tagged[1:], tagged[0]), Discriminator(name_of)]


def build(kind: Kind, settings: Any, **context: Any) -> Any:
    """Build the part that ``settings`` chooses; ``context`` is what parts of this kind are given."""
    return _PARTS[kind][settings.name].build(settings, **context)


def names(kind: Kind) -> tuple[str, ...]:
    """Names of the registered parts of ``kind``."""
    return tuple(members(kind))


def members(kind: Kind) -> dict[str, type[Settings]]:
    """Settings of the registered parts of ``kind``, by name."""
    _load_parts()
    return {name: part.settings for name, part in _PARTS[kind].items()}


BUILT_IN = (
    "taxotext.composition.words",
    "taxotext.composition.graph_words",
    "taxotext.composition.losses",
    "taxotext.binary.bodies",
)
"""Modules that register parts beside those of this one."""

_loaded = False


def _load_parts() -> None:
    global _loaded
    if not _loaded:
        _loaded = True
        for module in BUILT_IN:
            import_module(module)
        for point in entry_points(group=ENTRY_POINTS):
            point.load()


class TransformerSettings(Settings):
    """Any Hugging Face encoder."""

    name: Literal["transformer"] = Field("transformer", description="kind of encoder")
    source: Annotated[str, NamesFile(words=("default",))] = Field(
        "default", description="hub name or folder; default: all-MiniLM-L6-v2"
    )
    pooling: Literal["mean", "cls", "pooler"] = Field("mean", description="mean, cls or pooler")


class NoStructureSettings(Settings):
    """Labels are scored on their own."""

    name: Literal["none"] = Field("none", description="structure encoder between text and head")


class LinearHeadSettings(Settings):
    """Dropout and one linear layer."""

    name: Literal["linear"] = Field("linear", description="kind of head")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the pooled vector")


PositiveWeight = Annotated[float, Field(gt=0)]


class BinaryCrossEntropySettings(Settings):
    """Binary cross-entropy with optional weights of the positives."""

    name: Literal["bce"] = Field("bce", description="kind of loss")
    scale: Literal["sum", "mean"] = Field(
        "sum", description="over labels; the mean divides the gradients by their number"
    )
    positive_weight: PositiveWeight | Literal["balanced"] | dict[str, PositiveWeight] = Field(
        1.0,
        description="of positives: a number, {label: number}, or balanced = sqrt(negatives / positives), from 1 to 10",
    )
    weights_from: Annotated[str | None, NamesFile(find=weights_file)] = Field(
        None, min_length=1, description="path of a model of gru_att or htrans, or of its training: their class weights"
    )
    weights_missing: PositiveWeight | None = Field(
        None, description="weight of labels that weights_from lacks; null: an error that names them"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.weights_from is not None and self.positive_weight != 1.0:
            raise ValueError("weights come from positive_weight or from weights_from; leave one of the two out")
        if self.weights_from is None and self.weights_missing is not None:
            raise ValueError("weights_missing says what weights_from lacks, and that is not given")
        return self


BALANCED_LIMIT = 10.0
"""Upper bound of balanced positive weights: beyond it one rare document moves everything."""


def positive_weights(
    choice: float | str | dict[str, float], taxonomy: Taxonomy, positives: NDArray[np.int64], documents: int
) -> NDArray[np.float32] | None:
    """Weight of the positive term of each label (N,), or None when all are 1.

    Args:
        choice: the setting.
        taxonomy: names the labels of a mapping; unknown ones raise LabelError.
        positives: training documents of each label (N,).
        documents: training documents.
    """
    if isinstance(choice, dict):
        weights = np.ones(len(taxonomy), dtype=np.float32)
        for label, weight in choice.items():
            weights[taxonomy.index(label)] = weight
        return weights
    if choice == "balanced":
        ratio = (documents - positives) / np.maximum(positives, 1)
        return np.clip(np.sqrt(ratio), 1.0, BALANCED_LIMIT).astype(np.float32)
    return None if choice == 1.0 else np.full(len(taxonomy), choice, dtype=np.float32)


def _build_no_structure(settings: NoStructureSettings, *, taxonomy: Taxonomy, width: int) -> nn.Module:
    from taxotext.nn.structure import NoStructure

    return NoStructure()


def _build_linear_head(
    settings: LinearHeadSettings, *, taxonomy: Taxonomy, width: int, log_odds: NDArray[np.float32] | None
) -> nn.Module:
    import torch

    from taxotext.nn.heads import LinearHead

    bias = None if log_odds is None else torch.from_numpy(log_odds)
    return LinearHead(width, len(taxonomy), settings.dropout, bias)


def _build_bce(
    settings: BinaryCrossEntropySettings, *, taxonomy: Taxonomy, positives: NDArray[np.int64], documents: int
) -> nn.Module:
    import torch

    from taxotext.nn.losses import BinaryCrossEntropy

    chosen: float | str | dict[str, float] = settings.positive_weight
    if settings.weights_from is not None:
        chosen = given_weights(settings.weights_from, settings.weights_missing, taxonomy)
    weights = positive_weights(chosen, taxonomy, positives, documents)
    return BinaryCrossEntropy(None if weights is None else torch.from_numpy(weights), settings.scale)


def _build_transformer(
    settings: TransformerSettings,
    *,
    texts: Sequence[str] = (),
    record: dict[str, Any] | None = None,
    tokenizer: TextTokenizer | None = None,
) -> BuiltEncoder:
    from taxotext.nn.encoders.pretrained import load_transformer, restore_transformer

    if record is None or tokenizer is None:
        return load_transformer(settings.source, settings.pooling)
    return restore_transformer(record, tokenizer, settings.pooling)


register("encoder", TransformerSettings, _build_transformer)
register("structure", NoStructureSettings, _build_no_structure)
register("head", LinearHeadSettings, _build_linear_head)
register("loss", BinaryCrossEntropySettings, _build_bce)
