"""The orthogonal parts of a composed system, each chosen by name: encoder, structure, head, loss.

A part is a settings class (torch-free, so that configurations can be checked and printed quickly) and a function
that builds the block of ``taxotext.nn`` from plain numbers. A new part registers itself with :func:`register`; packages
name their module under the entry-point group ``taxotext.parts``.

Structure, head and loss are built by ``build(settings, context) -> (module, record)`` with a :class:`LabelContext`.
What a part learns from the training documents is a buffer or parameter of its module; the record keeps the sizes, so
that a model folder rebuilds the module without the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from importlib import import_module
from importlib.metadata import entry_points
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator

from taxotext.composition.class_weights import given_weights, weights_file
from taxotext.composition.named_files import NamesFile
from taxotext.errors import ModelFolderError
from taxotext.files import public_name, sha256
from taxotext.labels.branches import LabelGraph
from taxotext.metrics.propensity import inverse_propensities
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from taxotext.data import Corpus
    from taxotext.data.tokens import TextTokenizer
    from taxotext.labels import Taxonomy
    from taxotext.nn.encoders.pretrained import BuiltEncoder

# What each kind of part is built with, beside its settings:
#   encoder                texts: of the training; or record, tokenizer: of a model folder -> BuiltEncoder
#   structure, head, loss  a LabelContext -> (module, record)
#   body                   width D of the states of a frozen encoder; or that encoder (taxotext.binary.bodies)
Kind = Literal["encoder", "structure", "head", "loss", "body"]
ENTRY_POINTS = "taxotext.parts"


Record = dict[str, Any]
"""JSON-ready: what a part is rebuilt from; ``facts`` in it go to the model card and into tables."""


@dataclass(frozen=True)
class LabelContext:
    """What structure, head and loss are built from."""

    taxonomy: Taxonomy  # the N labels
    width: int  # D of the pooled vectors
    token_width: int  # d of the tokens
    tokenizer: TextTokenizer  # of the encoder
    # the training documents; None: the part is rebuilt from `record`, its buffers are filled afterwards
    train: Corpus | None = None
    record: Record | None = None  # what the part gave when it was built from the training documents; None before
    branches: LabelGraph | None = None  # the taxonomy as one graph or split into branches; None: one graph
    # the structure encoder, for heads that read what it makes; None before it is built
    structure: nn.Module | None = None
    encoder: nn.Module | None = None  # the text encoder, for heads that use a part of it

    @cached_property
    def graph(self) -> LabelGraph:
        """The M nodes that structure and head work on: the N labels, where the taxonomy is not split."""
        return LabelGraph.whole(self.taxonomy) if self.branches is None else self.branches

    @property
    def first_bias(self) -> Tensor | None:
        """Smoothed log-odds of the label of each node (M,), where outputs start from; None without documents."""
        import torch

        log_odds = self.log_odds
        return None if log_odds is None else torch.from_numpy(log_odds[self.graph.labels])

    @cached_property
    def positives(self) -> NDArray[np.int64]:
        """Training documents of each label (N,); zeros without training documents."""
        if self.train is None:
            return np.zeros(len(self.taxonomy), dtype=np.int64)
        return np.asarray(self.train.known_targets.sum(axis=0), dtype=np.int64).ravel()

    @property
    def log_odds(self) -> NDArray[np.float32] | None:
        """Smoothed log-odds of each label among the training documents (N,); None without them."""
        if self.train is None:
            return None
        shares = (self.positives + 1) / (len(self.train) + 2)
        return np.log(shares / (1 - shares)).astype(np.float32)


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
        # What is not a section at all is left to a member of the union, which says so.
        return str(getattr(value, "name", first))

    tagged = [Annotated[settings, Tag(name)] for name, settings in found.items()]
    return Annotated[reduce(or_, tagged[1:], tagged[0]), Discriminator(name_of)]


def build(kind: Kind, settings: Any, *context: Any, **named: Any) -> Any:
    """Build the part that ``settings`` chooses; the rest is what parts of this kind are given."""
    return _PARTS[kind][settings.name].build(settings, *context, **named)


def restore_encoder(settings: Any, record: Record, tokenizer: TextTokenizer) -> BuiltEncoder:
    """Build the encoder that a model folder describes; its weights are still to be loaded.

    It is built without memory first: what a record says about sizes may be made up, and is then refused by
    :func:`taxotext.composition.weights.limited_by`, which has to be around.

    Raises:
        ModelFolderError: the record does not describe an encoder, or the tokenizer gives ids that it does not have.
    """
    import torch

    with torch.device("meta"):
        sketch = build("encoder", settings, record=dict(record), tokenizer=tokenizer)
    module: Any = sketch.module
    table = module.embedding if hasattr(module, "embedding") else module.model.get_input_embeddings()
    tokenizer.check_ids(len(table.weight))
    found: BuiltEncoder = build("encoder", settings, record=record, tokenizer=tokenizer)
    return found


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
    "taxotext.composition.rcnn",
    "taxotext.composition.structures",
    "taxotext.composition.hmcn_head",
    "taxotext.composition.conditional_head",
    "taxotext.composition.losses",
    "taxotext.composition.sequences",
    "taxotext.composition.recurrent_words",
    "taxotext.composition.label_tokens",
    "taxotext.composition.label_attention",
    "taxotext.composition.label_trees",
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
        place = {module: number for number, module in enumerate((__name__, *BUILT_IN))}
        for kind, found in _PARTS.items():  # in one order, whichever module was imported first
            ordered = sorted(found.items(), key=lambda part: place.get(part[1].settings.__module__, len(place)))
            _PARTS[kind] = dict(ordered)
        for point in entry_points(group=ENTRY_POINTS):
            point.load()


class TransformerSettings(Settings):
    """Any Hugging Face encoder."""

    name: Literal["transformer"] = Field("transformer", description="kind of encoder")
    source: Annotated[str, NamesFile(words=("default",))] = Field(
        "default", description="hub name or folder; default: all-MiniLM-L6-v2"
    )
    pooling: Literal["mean", "cls", "pooler"] = Field("mean", description="mean, cls or pooler")
    lowercase: bool = Field(False, description="fold the case of texts, whatever the tokenizer does")
    punctuation: Literal["keep", "drop"] = Field("keep", description="drop: punctuation of texts becomes a space")
    trainable: bool = Field(
        True, description="false: frozen; its states are computed once and kept in a file while the rest is trained"
    )


class StructureSettings(Settings):
    """What every structure encoder has."""

    gives: ClassVar[Literal["text", "labels", "layers"]] = "text"
    """What it adds for the head: nothing, a vector for each label, or one for each layer of a tree over them."""
    name: str = Field("", description="structure encoder between text and head")


class NoStructureSettings(StructureSettings):
    """Labels are scored on their own."""

    name: Literal["none"] = Field("none", description="structure encoder between text and head")


class HeadSettings(Settings):
    """What every head has."""

    own_loss: ClassVar[bool] = False
    """Whether the head computes its loss itself; False: it has one logit for each label and takes a loss part."""
    reads: ClassVar[Literal["text", "labels", "layers"]] = "text"
    """What it reads: the text features, or what a structure encoder gives (:attr:`StructureSettings.gives`)."""
    level_wise: ClassVar[bool] = False
    """Whether it has a network for each level of a label tree, which the recipe ``levels`` trains one by one."""
    decides_sets: ClassVar[bool] = False
    """Whether it decides on label sets itself (:attr:`taxotext.nn.heads.HeadScores.sets`)."""
    name: str = Field("", description="kind of head")

    def scored(self, labels: int) -> int:
        """How many numbers the head makes for a document, about, of so many labels: what a batch holds in memory."""
        return labels

    def searching(self, beams: int | str) -> Mapping[str, Any] | None:
        """What changes where the head searches with another number of beams; None: it does not search."""
        return None

    def search_in(self, head: Any) -> None:
        """Let a built head search as these settings say."""


class LinearHeadSettings(HeadSettings):
    """Dropout and one linear layer."""

    name: Literal["linear"] = Field("linear", description="kind of head")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the pooled vector")


class LabelAttentionHeadSettings(HeadSettings):
    """Each label attends to the tokens of the whole text."""

    name: Literal["label_attention"] = Field("label_attention", description="kind of head")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the tokens")


PositiveWeight = Annotated[float, Field(gt=0)]


class BinaryCrossEntropySettings(Settings):
    """Binary cross-entropy with optional weights of the positives."""

    name: Literal["bce"] = Field("bce", description="kind of loss")
    scale: Literal["sum", "mean"] = Field(
        "sum", description="over labels; the mean divides the gradients by their number"
    )
    positive_weight: PositiveWeight | Literal["balanced", "propensity"] | dict[str, PositiveWeight] = Field(
        1.0,
        description="of positives: a number, {label: number}, balanced = sqrt(negatives / positives), from 1 to 10, or "
        "propensity = inverse propensity of the label",
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
    if choice == "propensity":
        return propensity_weights(positives, documents)
    return None if choice == 1.0 else np.full(len(taxonomy), choice, dtype=np.float32)


def propensity_weights(positives: NDArray[np.int64], documents: int) -> NDArray[np.float32]:
    """Inverse propensities of the labels (N,), by which ProXML (Babbar & Schölkopf 2019) weights positives.

        1 + C (N_l + B)^−A,  C = (ln D − 1) (B + 1)^A        A = 0.55, B = 1.5, as for the metrics

    Args:
        positives: N_l, training documents of each label (N,).
        documents: D, training documents.
    """
    return inverse_propensities(positives, documents).astype(np.float32)


def _build_no_structure(settings: NoStructureSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.structure import NoStructure

    return NoStructure(), {}


def _build_linear_head(settings: LinearHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.heads import LinearHead

    return LinearHead(context.width, len(context.graph), settings.dropout, context.first_bias), {}


def _build_label_attention(settings: LabelAttentionHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.heads import LabelAttentionHead

    return LabelAttentionHead(context.token_width, len(context.graph), settings.dropout, context.first_bias), {}


def _build_bce(settings: BinaryCrossEntropySettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.losses import BinaryCrossEntropy

    if context.train is None:
        record = dict(context.record or {})  # of folders of format 1 there is none: prediction needs no weights
        if record.get("positive_weights", len(context.taxonomy)) != len(context.taxonomy):
            raise ModelFolderError(
                "parts.json: loss.positive_weights is not the number of labels; save the model again."
            )
        weights = torch.ones(len(context.taxonomy)) if "positive_weights" in record else None
        return BinaryCrossEntropy(weights, settings.scale), record
    chosen: float | str | dict[str, float] = settings.positive_weight
    if settings.weights_from is not None:
        chosen = given_weights(settings.weights_from, settings.weights_missing, context.taxonomy)
    found = positive_weights(chosen, context.taxonomy, context.positives, len(context.train))
    if found is None:
        return BinaryCrossEntropy(None, settings.scale), {}
    record = {"positive_weights": len(found)}
    if settings.weights_from is not None:
        source = public_name(settings.weights_from)
        record["facts"] = {
            "class_weights": f"{found.min():g} to {found.max():g}, from {source}",
            "class_weights_sha256": sha256(weights_file(settings.weights_from)),
        }
    return BinaryCrossEntropy(torch.from_numpy(found), settings.scale), record


def _build_transformer(
    settings: TransformerSettings,
    *,
    texts: Sequence[str] = (),
    record: dict[str, Any] | None = None,
    tokenizer: TextTokenizer | None = None,
) -> BuiltEncoder:
    from taxotext.nn.encoders.pretrained import load_transformer, restore_transformer

    if record is None or tokenizer is None:
        built = load_transformer(settings.source, settings.pooling, settings.trainable)
        if not settings.lowercase and settings.punctuation == "keep":
            return built
        tokenizer = built.tokenizer.cleaned(lowercase=settings.lowercase, punctuation=settings.punctuation == "keep")
        return replace(built, tokenizer=tokenizer)
    return restore_transformer(record, tokenizer, settings.pooling, settings.trainable)


register("encoder", TransformerSettings, _build_transformer)
register("structure", NoStructureSettings, _build_no_structure)
register("head", LinearHeadSettings, _build_linear_head)
register("head", LabelAttentionHeadSettings, _build_label_attention)
register("loss", BinaryCrossEntropySettings, _build_bce)
