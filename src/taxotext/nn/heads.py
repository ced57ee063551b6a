"""Heads: text features to a loss and to scores of labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.losses import recursive_regularisation


@dataclass(frozen=True)
class HeadScores:
    """What a head says of B documents."""

    values: Tensor  # (B, N) probabilities of all labels; or (B, C) of candidates
    # (B, C) int64, the label of each value, -1 for none; each label once in a row. None: all labels.
    candidates: Tensor | None = None
    # (B, S) int64, label sets that the head decided itself, padded with -1; None: thresholds decide
    sets: Tensor | None = None


class Head(nn.Module, ABC):
    """What stands behind the text features. It owns its loss, regularisers included, and its scores."""

    @abstractmethod
    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the loss of B documents, a scalar; documents of weight 0 do not count."""

    @abstractmethod
    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the scores of B documents, float32."""

    def attention(self, features: TextFeatures, labels: Tensor) -> Tensor | None:
        """How much labels look at the tokens of a whole text; None: the head does not attend to tokens.

        Args:
            features: of B documents.
            labels: (B, C) int64; of a head that predicts sequences in the order of the sequence.

        Returns:
            (B, C, S), tokens as in :meth:`~taxotext.nn.features.TextFeatures.by_document`; a row sums to 1.
        """
        return None

    def label_vectors(self) -> dict[str, Tensor]:
        """Matrices of one row a label, (N, ...), by name; empty where the head has none."""
        return {}

    def metrics(self) -> dict[str, float]:
        """Named numbers of the training since the last call, for history, logs and progress (candidate recall ...)."""
        return {}

    def counts(self) -> dict[str, float]:
        """What :meth:`metrics` is computed from; checkpoints keep it, so that a resumed epoch has the same metrics."""
        return {}

    def restore_counts(self, counts: Mapping[str, float]) -> None:
        """Go on from the :meth:`counts` of a checkpoint."""


class LogitHead(Head):
    """A head with one logit for each label, and a criterion over them.

    Subclasses implement :meth:`logits`; who builds a head calls :meth:`use`.

    Attributes:
        criterion: (logits (B, N), targets (B, N), weights (B,) or None) -> scalar.
    """

    edges: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.criterion: nn.Module = nn.Identity()
        self.join, self.recursive = "max", 0.0
        self.register_buffer("edges", torch.empty(2, 0, dtype=torch.long), persistent=False)

    def use(
        self, criterion: nn.Module, *, join: str = "max", recursive: float = 0.0, edges: Tensor | None = None
    ) -> None:
        """Set what does not depend on the kind of head.

        Args:
            criterion: see the class.
            join: how the logits of several windows of a document become one, where a head reads them one by one:
                "max" or "mean".
            recursive: weight of :func:`~taxotext.nn.losses.recursive_regularisation`, summed over :meth:`tied`.
            edges: (2, E) int64 of the taxonomy; None: flat.
        """
        self.criterion, self.join, self.recursive = criterion, join, recursive
        if edges is not None:
            self.edges = edges.to(self.edges.device)

    @abstractmethod
    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, N)."""

    def tied(self) -> Sequence[Tensor]:
        """Matrices (N, ...) of one row a label, which recursive regularisation ties along the taxonomy."""
        return ()

    def label_vectors(self) -> dict[str, Tensor]:
        """What is tied, side by side."""
        found = [rows.flatten(1) for rows in self.tied()]
        return {"head": torch.cat(found, 1)} if found else {}

    def penalty(self) -> Tensor | float:
        """Return the regulariser, a scalar; 0 without one."""
        if self.recursive == 0 or self.edges.shape[1] == 0:
            return 0.0
        found = [recursive_regularisation(rows, self.edges) for rows in self.tied()]
        return self.recursive * torch.stack(found).sum() if len(found) > 1 else self.recursive * found[0]

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the criterion over the logits, and the regulariser."""
        loss: Tensor = self.criterion(self.logits(features), targets.dense(), targets.weights)
        return loss + self.penalty()

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the sigmoid of the logits, (B, N)."""
        return HeadScores(torch.sigmoid(self.logits(features).float()))


class LinearHead(LogitHead):
    """Dropout and one linear layer over the pooled vector: (W, D) -> (W, N).

    Args:
        width: D.
        labels: N.
        dropout: share of the pooled vector that is zeroed in training.
        bias: (N,) first biases, the log-odds of the labels in the training documents, or None for 0. With them the
            first epochs do not go into learning that most labels are rare (Lin et al. 2017, section 3.3).
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1, bias: Tensor | None = None) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, labels)
        nn.init.normal_(self.output.weight, std=0.02)
        if bias is None:
            nn.init.zeros_(self.output.bias)
        else:
            with torch.no_grad():
                self.output.bias.copy_(bias)

    def tied(self) -> Sequence[Tensor]:
        """The rows of the linear layer, (N, D)."""
        return (self.output.weight,)

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, N), those of several windows joined."""
        return features.joined(self.output(self.dropout(features.pooled)), self.join)


class LabelAttentionHead(LogitHead):
    """Each label attends to the tokens of the whole document (Mullenbach et al. 2018, "CAML", equations 3 to 5).

        α_l = softmax_t(u_l · h_t),  v_l = Σ_t α_lt h_t,  z_l = w_l · v_l + b_l

    Args:
        width: d of the tokens.
        labels: N.
        dropout: on the tokens, in training.
        bias: (N,) first biases, as for :class:`LinearHead`.
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1, bias: Tensor | None = None) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.queries = nn.Parameter(torch.empty(labels, width).normal_(std=0.02))
        self.weight = nn.Parameter(torch.empty(labels, width).normal_(std=0.02))
        self.bias = nn.Parameter(torch.zeros(labels) if bias is None else bias.clone())

    def tied(self) -> Sequence[Tensor]:
        """The output rows of the labels, (N, d)."""
        return (self.weight,)

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, N): the windows of a document are attended over together."""
        tokens, mask = features.by_document()  # (B, S, d), (B, S)
        tokens = self.dropout(tokens)
        attention = self._weights(tokens, mask)
        values = tokens @ self.weight.T  # (B, S, N): w_l · h_t, so that (B, N, d) is never made
        found: Tensor = (attention.to(values.dtype) * values).sum(1) + self.bias
        return found

    def attention(self, features: TextFeatures, labels: Tensor) -> Tensor:
        """Return α of some labels, (B, C, S)."""
        weights = self._weights(*features.by_document()).transpose(1, 2)  # (B, N, S)
        return weights.gather(1, labels.unsqueeze(-1).expand(-1, -1, weights.shape[2]))

    def _weights(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """α of all labels, (B, S, N) float32."""
        keys = (tokens @ self.queries.T).float()  # (B, S, N)
        return torch.softmax(keys.masked_fill(~mask.unsqueeze(-1), torch.finfo(keys.dtype).min), 1)
