"""The head part ``sequence``, which predicts one label after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from taxotext.composition.parts import HeadSettings, LabelContext, Record, register
from taxotext.composition.space import Around
from taxotext.errors import ConfigError, ModelFolderError

if TYPE_CHECKING:
    from torch import nn

    from taxotext.nn.sequence.decoder import StepwiseDecoder
    from taxotext.nn.sequence.head import SequenceHead


def _check_beams(value: int | str) -> int | str:
    if isinstance(value, int) and not 1 <= value <= 64:
        raise ValueError(f"beams is {value}; give 1 to 64, or exact")
    return value


Beams = Annotated[int | Literal["exact"], AfterValidator(_check_beams)]
Order = Literal["frequency", "rare_first", "top_down", "bottom_up", "given", "random"]
CHILDREN_FIRST = ("rare_first", "bottom_up")
"""Orders in which a label comes before its ancestors."""
SEARCH_SPACE: Mapping[str, Any] = {
    "training.learning_rate": Around(5),
    "training.head_learning_rate": Around(5),
    "training.batch_size": [8, 16, 32],
    "training.weight_decay": [0.0, 0.01, 0.1],
    "head.dropout": "0..0.5",
    "head.label_order": ["frequency", "rare_first", "top_down", "bottom_up"],
    "head.objective": ["likelihood", "order_free", "self_critical"],
    "text.long_text": ["truncate", "head_tail"],
}
"""What a search of a system with this head tries."""
MARGIN = 2
"""Labels that a predicted sequence may have beyond the largest label set of the training documents."""


class _SearchingHeadSettings(HeadSettings):
    """What heads that search for label sequences have in common."""

    decides_sets: ClassVar[bool] = True

    def searching(self, beams: int | str) -> Mapping[str, Any]:
        """So many beams."""
        return {"beams": beams}

    def search_in(self, head: Any) -> None:
        """Let a built head search as these settings say."""
        beams: Any = self.beams  # type: ignore[attr-defined]  # each kind has a default of its own
        head.beams = None if beams == "exact" else beams


class PolicyHeadSettings(_SearchingHeadSettings):
    """Labels from the root of the taxonomy downwards, until the policy stops."""

    own_loss: ClassVar[bool] = True
    name: Literal["policy"] = Field("policy", description="kind of head")
    label_width: int = Field(50, ge=1, le=16_384, description="numbers of a label embedding")
    hidden: int = Field(500, ge=1, le=16_384, description="width of the layer between text and labels")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the pooled vector")
    objective: Literal["supervised", "self_critical"] = Field(
        "self_critical",
        description="supervised: every gold label that may follow is right, along labels that the model draws itself; "
        "self_critical: that, and the F1 of drawn label sets",
    )
    reward: float = Field(1.0, gt=0, description="weight of the F1 of drawn sets (objective=self_critical)")
    beams: Beams = Field(1, description="of the search: 1 (greedy) to 64, or exact")
    longest: int | None = Field(
        None, ge=1, description="labels of a document at most; null: 2 more than in the training documents"
    )


class LabelSequenceSettings(_SearchingHeadSettings):
    """What heads over label sequences have in common."""

    own_loss: ClassVar[bool] = True
    label_order: Order = Field("frequency", description="in which gold labels are put")
    objective: Literal["likelihood", "order_free", "self_critical"] = Field(
        "likelihood",
        description="likelihood of the gold labels in label_order; order_free: every gold label that is left is right, "
        "along labels that the model draws itself; self_critical: likelihood, and the F1 of drawn label sets",
    )
    reward: float = Field(1.0, gt=0, description="weight of the F1 of drawn sets (objective=self_critical)")
    loss_per: Literal["document", "token"] = Field("document", description="token: documents count by their labels")
    sampling: float = Field(
        0.0, ge=0, lt=1, description="share of the training steps that read the model's own label (scheduled sampling)"
    )
    beams: Beams = Field(5, description="of the search: 1 (greedy) to 64, or exact")
    constrained: bool = Field(False, description="predict sets that keep to the taxonomy: no label without its parents")
    longest: int | None = Field(
        None, ge=1, description="labels of a document at most; null: 2 more than in the training documents"
    )

    @model_validator(mode="after")
    def _objective_fits(self) -> Self:
        if self.objective == "order_free" and self.sampling:
            raise ValueError("objective=order_free draws all labels that it reads; leave sampling out")
        if self.reward != 1.0 and self.objective != "self_critical":
            raise ValueError("reward is of objective=self_critical; give that as well, or leave reward out")
        return self


class SequenceHeadSettings(LabelSequenceSettings):
    """Labels one after the other, until the end is the best continuation."""

    name: Literal["sequence"] = Field("sequence", description="kind of head")
    cell: Literal["lstm", "gru"] = Field("lstm", description="lstm or gru")
    units: int | None = Field(
        None, ge=1, le=16_384, description="of the decoder; null: as wide as the tokens of the encoder"
    )
    layers: int = Field(1, ge=1, le=8, description="of the decoder")
    label_width: int | None = Field(
        None, ge=1, le=16_384, description="numbers of a label embedding; null: as many as units"
    )
    attention: Literal["additive", "dot"] = Field("additive", description="over the tokens of the whole text")
    query: Literal["current", "previous"] = Field("current", description="state of the decoder that attends")
    scale: bool = Field(False, description="divide dot products by the root of units")
    first_context: Literal["zeros", "attention"] = Field(
        "zeros", description="what the first step reads of the text: nothing, or what the first state attends to"
    )
    global_embedding: bool = Field(False, description="read all labels of the step before, not the best one alone")
    dropout: float = Field(0.1, ge=0, lt=1, description="on label embeddings and before the output")

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.scale and self.attention != "dot":
            raise ValueError("scale is of attention=dot; give that as well, or leave scale out")
        return self


def label_order(
    kind: Order, positives: NDArray[np.int64], levels: NDArray[np.int32], ids: tuple[str, ...]
) -> NDArray[np.int64]:
    """The labels in the order in which gold labels are put.

    Ties go by number of documents, level (of the longest path from a root), and id. ``rare_first`` is the reverse of
    ``frequency`` up to the ids, so that of a label and its parent with as many documents the label comes first.

    Args:
        kind: ``given`` is the order of the taxonomy, ``random`` one of PyTorch's generator.
        positives: (N,) training documents of each label.
        levels: (N,) roots 1.
        ids: N ids.

    Returns:
        (N,) int64, a permutation.

    >>> label_order("frequency", np.array([2, 5, 2]), np.array([2, 1, 1], np.int32), ("a", "b", "c")).tolist()
    [1, 2, 0]
    """
    if kind == "given":
        return np.arange(len(ids), dtype=np.int64)
    if kind == "random":
        import torch

        drawn: NDArray[np.int64] = torch.randperm(len(ids)).numpy()
        return drawn
    names = np.empty(len(ids), dtype=np.int64)
    names[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    keys: dict[str, tuple[NDArray[Any], ...]] = {  # the last one is the strongest
        "frequency": (names, levels, -positives),
        "rare_first": (names, -levels, positives),
        "top_down": (names, -positives, levels),
        "bottom_up": (names, positives, -levels),
    }
    return np.lexsort(keys[kind]).astype(np.int64)


def _build_sequence(settings: SequenceHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.sequence.decoder import LabelDecoder

    units = context.token_width if settings.units is None else settings.units
    if settings.attention == "dot" and units != context.token_width:
        raise ConfigError(
            f"head.units: dot products need a decoder as wide as the tokens of the encoder, {context.token_width}, "
            f"not {units}; leave head.units out, or set head.attention=additive."
        )
    decoder = LabelDecoder(
        len(context.taxonomy),
        context.token_width,
        context.width,
        units=units,
        label_width=units if settings.label_width is None else settings.label_width,
        cell=settings.cell,
        layers=settings.layers,
        attention=settings.attention,
        query=settings.query,
        scale=settings.scale,
        first_context=settings.first_context,
        global_embedding=settings.global_embedding,
        dropout=settings.dropout,
    )
    return head_over(decoder, settings, context)


def head_over(
    decoder: StepwiseDecoder, settings: LabelSequenceSettings, context: LabelContext
) -> tuple[SequenceHead, Record]:
    """The head over a decoder: its order of labels, masks and search, and the record of the folder."""
    import torch

    from taxotext.nn.sequence.head import SequenceHead
    from taxotext.nn.sequence.order import TaxonomyOrder

    taxonomy, longest = context.taxonomy, _longest(settings, context)
    order = np.arange(len(taxonomy), dtype=np.int64)
    if context.train is not None:
        levels = np.asarray(taxonomy.levels)
        order = label_order(settings.label_order, context.positives, levels, taxonomy.ids)
    follows = None
    if settings.constrained and not taxonomy.is_flat:
        edges = np.asarray(taxonomy.edge_index, dtype=np.int64)
        children_first = settings.label_order in CHILDREN_FIRST
        follows = TaxonomyOrder(edges, taxonomy.closure, "bottom_up" if children_first else "top_down")
    head = SequenceHead(
        decoder,
        torch.from_numpy(order),
        torch.from_numpy(context.positives),
        longest=longest,
        beams=None if settings.beams == "exact" else settings.beams,
        objective="order_free" if settings.objective == "order_free" else "likelihood",
        reward=settings.reward if settings.objective == "self_critical" else 0.0,
        per=settings.loss_per,
        sampling=settings.sampling,
        skip=len(context.tokenizer.prefix),
        taxonomy=follows,
    )
    return head, {"longest": longest, "facts": {"label_order": settings.label_order, "longest_sequence": longest}}


def _build_policy(settings: PolicyHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.sequence.head import SequenceHead
    from taxotext.nn.sequence.order import TaxonomyOrder
    from taxotext.nn.sequence.policy import LabelPolicy

    taxonomy, labels = context.taxonomy, len(context.taxonomy)
    if context.train is not None:
        open_sets = taxonomy.violations(context.train.known_targets)
        if open_sets.any():
            raise ConfigError(
                f"data.closure: {int(open_sets.astype(bool).sum())} of {len(context.train)} training documents have a "
                "label without its parents, and head.name=policy reaches labels through their parents; leave "
                "data.closure out, or set data.closure=ancestors."
            )
    order = TaxonomyOrder(np.asarray(taxonomy.edge_index, dtype=np.int64), taxonomy.closure, "top_down")
    policy = LabelPolicy(
        labels,
        context.width,
        label_width=settings.label_width,
        hidden=settings.hidden,
        order=order,
        dropout=settings.dropout,
    )
    longest = _longest(settings, context)
    head = SequenceHead(
        policy,
        torch.arange(labels),
        torch.from_numpy(context.positives),
        longest=longest,
        beams=None if settings.beams == "exact" else settings.beams,
        objective="order_free",
        reward=settings.reward if settings.objective == "self_critical" else 0.0,
    )
    return head, {"longest": longest, "facts": {"longest_sequence": longest}}


def _longest(settings: LabelSequenceSettings | PolicyHeadSettings, context: LabelContext) -> int:
    """Labels of a predicted sequence at most."""
    if context.train is None:
        longest = (context.record or {}).get("longest")
        if not isinstance(longest, int) or isinstance(longest, bool) or longest < 0:
            raise ModelFolderError(f"parts.json: head.longest is {longest!r}; save the model again.")
        return longest
    found = int(np.diff(context.train.known_targets.indptr).max(initial=0))
    if settings.longest is None:
        return min(found + MARGIN, len(context.taxonomy))
    if settings.longest < found:
        raise ConfigError(
            f"head.longest: a training document has {found} labels, more than {settings.longest}; raise it to {found}."
        )
    return min(settings.longest, len(context.taxonomy))


register("head", SequenceHeadSettings, _build_sequence)
register("head", PolicyHeadSettings, _build_policy)
