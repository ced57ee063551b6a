"""``himatch``: texts are brought near their labels in one space, while they are classified as by ``hiagm``.

*Hierarchy-aware Label Semantics Matching Network for Hierarchical Text Classification* (Chen et al., ACL 2021).

    V, H, z = as in ``hiagm`` (TP)                                what is predicted
    f_l     = encoder(text of label l), every 50 steps            matching.text, refresh
    T = MLP(H),  G = MLP(network(P f))                            one space of 200 numbers            matching.hidden
    L = L(z) + d(T, G_pos) + max(0, d(T, G_parent) − 0.01 / 200)
             + max(0, 0.1 − d(T, G_sibling) + d(T, G_pos)) + max(0, 0.2 − d(T, G_other) + d(T, G_pos))

d is the mean of squared differences. One gold label of a document is drawn as "pos" in each step, with one of its
parents, siblings and other labels that are not gold (:class:`taxotext.nn.matching.MatchingHead`). Texts of labels are
their names and descriptions, or the words that weigh most in their training documents. What is predicted is the
classification.

Where the published program goes wrong, and both presets do not: gold siblings are drawn as negatives; the epoch is
chosen by test scores; the classification loss is added twice, or the program ends, with recursive regularisation.

Preset ``paper``: the texts and the training of ``hiagm``'s, vectors of 300 numbers, words of the documents as texts of
the labels. Not as published even there: what ``hiagm`` does not do as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings, block_starts
from taxotext.composition.label_texts import names_of_labels, words_of_labels
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import (
    EncoderPart,
    HeadPart,
    NeuralSettings,
    StructurePart,
    TextSettings,
    TrainingSettings,
)
from taxotext.composition.rcnn import RcnnSettings
from taxotext.composition.structures import (
    MANY,
    GcnSettings,
    GraphSettings,
    LabelVectorsHeadSettings,
    graph_network,
)
from taxotext.models.hiagm import PAPER_TEXT, WORD_TRAINING, Hiagm
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from taxotext.data.windows import Windows
    from taxotext.nn.heads import Head

ENCODED_TOGETHER = 64
"""Texts of labels in a batch."""


class MatchingSettings(Settings):
    """How texts and labels are brought together."""

    text: Literal["auto", "names", "words"] = Field(
        "auto", description="of a label: name and description; words of its training documents; auto: names if any"
    )
    words: int = Field(20, ge=1, le=1_000, description="of a label, for text=words")
    hidden: int = Field(200, ge=1, le=16_384, description="numbers of the common space")
    sibling_margin: float = Field(0.1, ge=0, description="by which a sibling is farther away than a gold label")
    other_margin: float = Field(0.2, ge=0, description="by which any other label is farther away")
    refresh: int = Field(50, ge=1, description="steps between two encodings of the texts of labels")


class HimatchSettings(NeuralSettings):
    """Settings of ``himatch``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            **PAPER_TEXT,
            "structure": {"name": "gcn", "width": 300, "projection": "full"},
            "head": {"name": "label_vectors", "form": "flattened", "dropout": 0.0},
            "matching": {"text": "words"},
        }
    }

    preset: Preset = "default"
    text: TextSettings = TextSettings(max_tokens=256)
    encoder: EncoderPart = RcnnSettings()
    structure: StructurePart = GcnSettings()
    head: HeadPart = LabelVectorsHeadSettings()
    matching: MatchingSettings = Field(MatchingSettings(), description="texts and labels in one space")
    training: TrainingSettings = WORD_TRAINING

    @model_validator(mode="after")
    def _along_edges(self) -> Self:
        if not isinstance(self.structure, GraphSettings):
            raise ValueError("structure: labels go along the edges here; choose gcn, treelstm or gat")
        return self


class Himatch(NeuralSystem):
    """``hiagm`` with matching losses."""

    name: ClassVar[str] = "himatch"
    Settings: ClassVar[type[SystemSettings]] = HimatchSettings
    search_space: ClassVar[Mapping[str, Any]] = Hiagm.search_space

    def whole_head(self, head: Head, context: parts.LabelContext) -> Head:
        """The head of the logits with the losses of the matching."""
        return matched(self, head, self.settings.matching, context)


def matched(system: NeuralSystem, head: Head, chosen: MatchingSettings, context: parts.LabelContext) -> Head:
    """A head with the losses of the matching in each branch; without documents it never encodes labels."""
    import torch

    from taxotext.nn.branches import BranchIndex
    from taxotext.nn.matching import MatchingHead

    graph, taxonomy, structure = context.graph, system.taxonomy, system.settings.structure
    labels, branch, owned, edges = (
        torch.from_numpy(array.copy()) for array in (graph.labels, graph.branch, graph.owned, graph.edges)
    )
    whole = MatchingHead(
        head,
        BranchIndex(branch, graph.count),
        labels,
        owned,
        structure.width,
        graph.count * int(graph.sizes.max()) <= MANY,
        context.width,
        graph_network(structure, context),
        chosen.hidden,
        edges,
        (chosen.sibling_margin, chosen.other_margin),
        chosen.refresh,
    )
    if context.train is not None:
        named = taxonomy.has_names or taxonomy.has_descriptions
        if chosen.text == "names" or (chosen.text == "auto" and named):
            texts = names_of_labels(taxonomy)
        else:
            texts = words_of_labels(taxonomy, context.train, chosen.words)
        windows = system.windows(texts)
        whole.encode = lambda: _encoded(system, windows, whole.label_texts.device)
    return whole


def _encoded(system: NeuralSystem, windows: Windows, device: Any) -> Tensor:
    """What the encoder, without dropout, makes of texts now: (N, D), the mean over the windows of each."""
    import numpy as np
    import torch

    from taxotext.nn.pooling import join_windows

    encoder = system.built.module
    was_training = encoder.training
    encoder.eval()
    found = []
    with torch.no_grad():
        for part in block_starts(len(windows), ENCODED_TOGETHER):
            batch = system.batch(windows, np.arange(part.start, part.stop)).to(device)
            pooled = encoder(batch.ids, batch.mask).pooled.float()
            found.append(join_windows(pooled, batch.owner, batch.documents, "mean"))
    encoder.train(was_training)
    return torch.cat(found)
