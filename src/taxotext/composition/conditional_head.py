"""The head part ``conditional``: labels given their parents."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from taxotext.composition.parts import HeadSettings, LabelContext, Record, register
from taxotext.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import nn

    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy


class ConditionalHeadSettings(HeadSettings):
    """Each label given its parents."""

    own_loss: ClassVar[bool] = True
    name: Literal["conditional"] = Field("conditional", description="kind of head")
    conditional: Literal["sigmoid", "softmax"] = Field(
        "sigmoid", description="softmax: one of several siblings; for trees with one path a document"
    )
    tau: float = Field(0.0, ge=0, le=4, description="logit adjustment; 1: as if all labels were equally frequent")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the pooled vector")


def conditional_prior(taxonomy: Taxonomy, train: Corpus | None, softmax: bool) -> NDArray[np.float32]:
    """How frequent each label (N,) is in the training documents that have all of its parents; zeros without documents.

    Smoothed log-odds of n documents of m: ln((n + 1) / (m - n + 1)); for softmax the logarithm of (n + 1) over the sum
    of that over its siblings.
    """
    labels = len(taxonomy)
    if train is None or labels == 0:
        return np.zeros(labels, dtype=np.float32)
    gold = taxonomy.close(train.known_targets).tocsc().astype(np.int64)
    positives: NDArray[np.int64] = np.asarray(gold.sum(axis=0)).ravel()
    parents, children = taxonomy.edge_index
    if softmax:
        group = np.full(labels, labels)
        group[children] = parents
        total = np.bincount(group, positives + 1, labels + 1)[group]
        return np.asarray(np.log((positives + 1) / total), dtype=np.float32)
    asked = np.full(labels, len(train))
    asked[children] = positives[parents]
    for label in np.flatnonzero(np.bincount(children, minlength=labels) > 1).tolist():
        above = taxonomy.parents(label)
        documents = [gold.indices[gold.indptr[parent] : gold.indptr[parent + 1]] for parent in above.tolist()]
        asked[label] = (np.unique_counts(np.concatenate(documents)).counts == len(above)).sum()
    return np.asarray(np.log((positives + 1) / (asked - positives + 1)), dtype=np.float32)


def check_single_paths(taxonomy: Taxonomy, train: Corpus | None) -> None:
    """Refuse what a softmax over siblings cannot say.

    Raises:
        ConfigError: a label has several parents.
        DataError: a training document has several siblings.
    """
    parents, children = taxonomy.edge_index
    several = np.flatnonzero(np.bincount(children, minlength=len(taxonomy)) > 1)
    if len(several):
        raise ConfigError(
            f"head.conditional: softmax is for trees, and {taxonomy.ids[several[0]]!r} has several parents; "
            "use sigmoid."
        )
    if train is None:
        return
    group = np.full(len(taxonomy), len(taxonomy))
    group[children] = parents
    gold = taxonomy.close(train.known_targets).tocoo()
    cells = np.unique(gold.row.astype(np.int64) * (len(taxonomy) + 1) + group[gold.col], return_counts=True)
    if (cells[1] > 1).any():
        documents = len(np.unique(cells[0][cells[1] > 1] // (len(taxonomy) + 1)))
        raise DataError(
            f"{train.source}: {documents} of {len(train)} documents have several labels below one parent, and "
            "head.conditional=softmax is for one path a document; use sigmoid."
        )


def _build(settings: ConditionalHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.conditional import ConditionalHead

    taxonomy, softmax = context.taxonomy, settings.conditional == "softmax"
    if softmax:
        check_single_paths(taxonomy, context.train)
    head = ConditionalHead(
        context.width,
        torch.from_numpy(taxonomy.edge_index.copy()),
        torch.from_numpy(taxonomy.levels.astype(np.int64)),
        torch.from_numpy(conditional_prior(taxonomy, context.train, softmax)),
        softmax,
        settings.tau,
        settings.dropout,
    )
    return head, {}


register("head", ConditionalHeadSettings, _build)
