"""Vectors of the names of labels, from the encoder as it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from taxotext.composition.parts import LabelContext

TOGETHER = 128
"""Names that a pretrained encoder reads at a time."""
LONGEST = 32
"""Tokens of the names of a label that it reads at most."""


def name_vectors(names: Sequence[str], context: LabelContext) -> Tensor:
    """Vectors (N, D) of length 1; zeros where no word of a name is known.

    Of an encoder over words, the mean of the vectors of the words (D: their width), unknown ones left out; of a
    pretrained encoder, its pooled output without dropout.

    Args:
        names: of each label.
    """
    import torch
    from torch.nn import functional

    encoder: Any = context.encoder
    tokens = context.tokenizer.encode(names)
    table = getattr(encoder, "embedding", None)
    with torch.no_grad():
        if isinstance(table, torch.nn.Embedding):
            lengths = tokens.lengths
            ids = torch.from_numpy(np.asarray(tokens.values, np.int64))
            label = torch.from_numpy(np.repeat(np.arange(len(names)), lengths))
            known = ids != (-1 if context.tokenizer.unknown_id is None else context.tokenizer.unknown_id)
            sums = torch.zeros(len(names), table.embedding_dim)
            sums.index_add_(0, label[known], table.weight[ids[known]])
            return functional.normalize(sums)
        was_training = encoder.training
        encoder.eval()
        found = []
        prefix, suffix = context.tokenizer.prefix, context.tokenizer.suffix
        for start in range(0, len(names), TOGETHER):
            rows = [
                [*prefix, *tokens[row][:LONGEST].tolist(), *suffix]
                for row in range(start, min(start + TOGETHER, len(names)))
            ]
            width = max(map(len, rows))
            padded = torch.full((len(rows), width), context.tokenizer.pad_id)
            mask = torch.zeros(len(rows), width, dtype=torch.bool)
            for place, row in enumerate(rows):
                padded[place, : len(row)] = torch.tensor(row)
                mask[place, : len(row)] = True
            found.append(encoder(padded, mask).pooled.float())
        encoder.train(was_training)
        return functional.normalize(torch.cat(found))
