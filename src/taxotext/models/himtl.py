"""``himtl``: the taxonomy split into branches, a structure encoder and a head for each, one text encoder for all.

*HiMTL: Hierarchy-aware Multi-Task Learning for Hierarchical Text Classification*, around any structure encoder.

    G^(1) .. G^(n) = the branches                             each root and all below it          branches.split
    ŷ^(i) = σ(head_i(structure_i(encoder(text))))             labels of the branch, V^(i)
    L = Σ_i mean over V^(i) of BCE(ŷ^(i), y^(i)) + λ R^(i)                                         branches.reduction
    p_l = max of ŷ^(i)_l over the branches that have l                                            branches.merge

``branches.mode=projection``: head i has outputs for V^(i) alone. ``masking``: it has outputs for all N labels, of which
those outside of V^(i) do not count in the loss and not in what is predicted; the regulariser ties along edges of the
branch only. Priors, coding trees, normalisation and regularisers are those of each branch. A label of a DAG below two
roots is in both branches, and both heads learn it.

``branches.weights=learned`` gives each branch a weight that is learned, ``branches.gradients`` chooses what of the
branches the encoder learns from: routing (the paper's related work) or gradient surgery (:mod:`taxotext.nn.steering`).
``matching={}`` makes each branch HiMatch: label texts and matching losses among the labels of the branch.

All branches are computed in one pass: the branches are one graph whose parts are not connected, and layers with weights
of their own for each branch are padded batched products (:mod:`taxotext.nn.branches`).

The paper splits the three corpora "into 4 branches"; WOS has 7 roots. Its regulariser ½‖w_p² − w_c²‖ is a misprint of
½‖w_p − w_c‖², which all programs have. The default here is the sum over all labels (``label_sum``), where each label
counts the same; the paper's sum of means (``branch_mean``) gives labels of small branches more weight, and n times the
size.

Preset ``paper``: HiAGM with label vectors of 300 numbers over the encoder's first token, masking, ``branch_mean``, 100
epochs with patience 50, rates of 2e-5 that fall linearly, λ = 1e-6. Give its encoder:
``encoder.source=bert-base-uncased``. With ``structure.name=coding_tree head.name=layers structure.width=768`` it is
HiTIN in branches. Not as published even there: what ``hiagm`` and ``hitin`` do not do as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from taxotext.composition import parts
from taxotext.composition.base import Preset, SystemSettings
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.neural_settings import HeadPart, NeuralSettings, StructurePart
from taxotext.composition.structures import GcnSettings, GraphSettings, LabelVectorsHeadSettings
from taxotext.errors import ConfigError
from taxotext.labels.branches import SPLIT, LabelGraph
from taxotext.models.himatch import MatchingSettings, matched
from taxotext.settings import Settings

if TYPE_CHECKING:
    from taxotext.nn.heads import Head


class BranchSettings(Settings):
    """How the taxonomy is split, and how what the branches say is joined."""

    split: str = Field("root", description="root; level:K (such as level:2); coding_tree: its clusters")
    mode: Literal["projection", "masking"] = Field(
        "projection", description="outputs of a branch: its labels; or all labels, the others masked"
    )
    reduction: Literal["label_sum", "label_mean", "branch_mean"] = Field(
        "label_sum", description="of the loss: each label the same; or the sum of the means of the branches"
    )
    merge: Literal["max", "mean", "sum"] = Field("max", description="scores of a label that is in several branches")
    loss: Literal["bce", "focal", "asymmetric"] = Field(
        "bce",
        description="of each label; focal and asymmetric with the numbers of their papers (docs/how-to/losses.md)",
    )
    weights: Literal["equal", "learned"] = Field(
        "equal", description="of the losses of the branches; learned: by the uncertainty of each (Kendall et al. 2018)"
    )
    gradients: Literal["sum", "routing", "surgery"] = Field(
        "sum",
        description="what the encoder learns from: sum of all branches; routing: from a branch by documents with a "
        "label in it; surgery: without what branches undo of each other (PCGrad)",
    )

    @field_validator("split")
    @classmethod
    def _known(cls, value: str) -> str:
        if not SPLIT.fullmatch(value):
            raise ValueError(f"{value!r} is not known; use root, level:K (such as level:2) or coding_tree")
        return value


class HimtlSettings(NeuralSettings):
    """Settings of ``himtl``."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "text": {"max_tokens": 256},
            "encoder": {"name": "transformer", "pooling": "cls"},
            "structure": {"name": "gcn", "width": 300, "projection": "full"},
            "head": {"name": "label_vectors", "form": "flattened", "dropout": 0.0},
            "branches": {"mode": "masking", "reduction": "branch_mean"},
            "training": {
                "epochs": 100,
                "patience": 50,
                "learning_rate": 2e-5,
                "head_learning_rate": 2e-5,
                "warmup": 0.0,
                "recursive": 1e-6,
            },
        }
    }

    preset: Preset = "default"
    structure: StructurePart = Field(GcnSettings(), description="structure encoder of each branch")
    head: HeadPart = Field(LabelVectorsHeadSettings(), description="label head of each branch")
    branches: BranchSettings = Field(BranchSettings(), description="how the taxonomy is split")
    matching: MatchingSettings | None = Field(
        None, description="texts and labels in one space, in each branch (HiMatch); null: no matching"
    )

    @property
    def owns_loss(self) -> bool:
        """The heads of the branches are trained together, by cross-entropy."""
        return True

    @model_validator(mode="after")
    def _head_of_branches(self) -> Self:
        if self.head.own_loss:
            raise ValueError(
                f"head: {self.head.name} has a loss over all labels and does not work on branches; "
                "choose label_vectors, layers or linear"
            )
        return self

    @model_validator(mode="after")
    def _matching_of_branches(self) -> Self:
        if self.matching is None:
            return self
        if not isinstance(self.structure, GraphSettings):
            raise ValueError("structure: with matching, labels go along the edges; choose gcn, treelstm or gat")
        if self.branches.gradients != "sum":
            raise ValueError(
                f"branches.gradients: {self.branches.gradients} is about the losses of the heads, and matching has "
                "others; set it to sum, or matching to null"
            )
        return self

    @model_validator(mode="after")
    def _encoder_learns(self) -> Self:
        if self.branches.gradients != "sum" and not getattr(self.encoder, "trainable", True):
            raise ValueError(
                f"branches.gradients: {self.branches.gradients} is about what the encoder learns, and "
                "encoder.trainable=false leaves it as it is; set it to sum"
            )
        return self


class Himtl(NeuralSystem):
    """Heads of branches over one text encoder."""

    name: ClassVar[str] = "himtl"
    Settings: ClassVar[type[SystemSettings]] = HimtlSettings
    search_space: ClassVar[Mapping[str, Any]] = {
        **{path: choice for path, choice in NeuralSystem.search_space.items() if not path.startswith("loss.")},
        "branches.mode": ["projection", "masking"],
        "structure.dropout": "0..0.6",
    }

    def label_graph(self) -> LabelGraph:
        """The branches."""
        chosen = self.settings.branches
        try:
            graph = LabelGraph.split(self.taxonomy, chosen.split)
        except ConfigError as error:
            raise ConfigError(f"branches.{error.message}") from None
        return graph if chosen.mode == "projection" else graph.masked()

    def whole_head(self, head: Head, context: parts.LabelContext) -> Head:
        """The heads of all branches as one."""
        import torch

        from taxotext.nn.heads import LogitHead
        from taxotext.nn.label_heads import BranchesHead
        from taxotext.nn.losses import AsymmetricLoss, BinaryCrossEntropy, FocalLoss

        if not isinstance(head, LogitHead):  # of a package: the settings refuse heads with a loss of their own
            raise ConfigError(f"head.name: {self.settings.head.name} gives no logits; branches need them.")
        graph = context.graph
        labels, branch, owned = (torch.from_numpy(array.copy()) for array in (graph.labels, graph.branch, graph.owned))
        chosen = self.settings.branches
        cell_loss = {"bce": BinaryCrossEntropy, "focal": FocalLoss, "asymmetric": AsymmetricLoss}[chosen.loss]()
        how = (chosen.reduction, chosen.merge, chosen.weights, chosen.gradients, cell_loss)
        whole = BranchesHead(head, labels, branch, owned, len(self.taxonomy), *how)
        return whole if self.settings.matching is None else matched(self, whole, self.settings.matching, context)

    def facts(self) -> dict[str, Any]:
        """Those of all composed systems, and the sizes of the branches.

        ``branches``, ``branch_labels``: how many, and how many outputs count. ``branch_parameters``: numbers in
        structure encoders and heads (with those of the matching), θ_G of the paper. ``squared_branches``: Σ_i |V^(i)|²,
        which equation 4 says they grow with; ``squared_labels``: |V|², with which they grow without branches.
        """
        graph, network = self.label_graph(), self.network
        own = sum(part.numel() for module in (network.structure, network.head) for part in module.parameters())
        return {
            **super().facts(),
            "branches": graph.count,
            "branch_labels": int(graph.owned.sum()),
            "branch_parameters": own,
            "squared_branches": int((graph.sizes**2).sum()),
            "squared_labels": len(self.taxonomy) ** 2,
        }
