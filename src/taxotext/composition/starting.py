"""What a network takes over from one that was trained before, on other documents or for other labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taxotext.errors import ConfigError
from taxotext.messages import counted

if TYPE_CHECKING:
    from torch import nn

    from taxotext.labels import Taxonomy

PARTS = {"structure": "structure encoder", "head": "head"}
"""Parts that depend on the labels, and what they are called."""
SPECIALS = 3
"""Rows at most that a table has behind those of the labels: the end of a sequence, padding ..."""
SHOWN = 3
"""New labels that are named."""


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Labels that two taxonomies share."""

    before: int  # labels of the earlier taxonomy
    now: int
    old: NDArray[np.int64]  # indices of the shared labels in the earlier one, (S,)
    new: NDArray[np.int64]  # and in the new one, (S,)
    added: Sequence[str]  # ids of labels that only the new one has
    equal: bool  # the same labels in the same order, and the same edges

    @classmethod
    def of(cls, earlier: Taxonomy, taxonomy: Taxonomy) -> LabelRows:
        """Compare by ids."""
        places = {label: index for index, label in enumerate(earlier.ids)}
        new = [index for index, label in enumerate(taxonomy.ids) if label in places]
        return cls(
            len(earlier),
            len(taxonomy),
            np.asarray([places[taxonomy.ids[index]] for index in new], dtype=np.int64),
            np.asarray(new, dtype=np.int64),
            [label for label in taxonomy.ids if label not in places],
            earlier.ids == taxonomy.ids and np.array_equal(earlier.edge_index, taxonomy.edge_index),
        )


def take_weights(
    network: nn.Module, earlier: nn.Module, labels: LabelRows, *, whole: Mapping[str, bool], rows: bool
) -> dict[str, str]:
    """Copy weights of an earlier network into a new one, in place.

    The encoder is taken as it is. A part is taken as it is where nothing that it depends on has changed. A head whose
    tables have a row for each label takes the rows of shared labels, unless it reads what a structure encoder makes
    that starts anew. The weights of the loss are not taken: they are counted on the training documents.

    Args:
        network: its parts are ``encoder``, ``structure`` and ``head``.
        earlier: the same.
        labels: of the two.
        whole: by part: whether settings and labels of the two are the same.
        rows: whether tables of both heads have a row for each label.

    Returns:
        By part with weights: ``whole``, ``rows`` or ``anew``.

    Raises:
        ConfigError: the encoders are not of the same shape.
    """
    own, there = network.state_dict(), earlier.state_dict()
    shapes = [name for name in own if name.startswith("encoder.")]
    if any(name not in there or there[name].shape != own[name].shape for name in shapes):
        raise ConfigError("training.start: the encoder of that model has another shape; leave the section encoder out.")
    state = {name: there[name] for name in shapes}
    found: dict[str, str] = {}
    for part in PARTS:
        names = [name for name in own if name.startswith(f"{part}.") and ".criterion." not in name]
        fitting = [name for name in names if name in there and there[name].shape == own[name].shape]
        if whole[part] and fitting == names:
            state.update({name: there[name] for name in names})
            found[part] = "whole"
        elif part == "head" and rows and len(labels.old) and found.get("structure") != "anew":
            taken = {name: _with_rows(own[name], there.get(name), labels) for name in names}
            state.update({name: tensor for name, tensor in taken.items() if tensor is not None})
            found[part] = "rows" if any(tensor is not None for tensor in taken.values()) else "anew"
        elif names:
            found[part] = "anew"
    network.load_state_dict(state, strict=False)
    return found


def _with_rows(own: Any, there: Any, labels: LabelRows) -> Any:
    """A weight of the new head with what the earlier one has of shared labels, or of all; None: it does not fit."""
    if there is None or own.shape[1:] != there.shape[1:] or own.dim() != there.dim():
        return None
    behind = own.shape[0] - labels.now if own.dim() else -1
    if 0 <= behind <= SPECIALS and there.shape[0] - labels.before == behind:
        merged = own.clone()
        merged[labels.new] = there[labels.old].to(merged.dtype)
        if behind:
            merged[labels.now :] = there[labels.before :].to(merged.dtype)
        return merged
    return there if own.shape == there.shape else None


def sentence(source: str, labels: LabelRows, found: Mapping[str, str]) -> str:
    """What was taken from where, for the user."""
    if all(how == "whole" for how in found.values()):
        return f"Starting from {source}, with all its weights."
    said = [f"Starting from {source}: its encoder"]
    if found.get("head") == "rows":
        said.append(f", and its head for {len(labels.old):,} of {counted(labels.now, 'label')}")
        if labels.added:
            more = f" and {len(labels.added) - SHOWN:,} more" if len(labels.added) > SHOWN else ""
            said.append(f" (new: {', '.join(labels.added[:SHOWN])}{more})")
    anew = [PARTS[part] for part, how in found.items() if how == "anew"]
    if anew:
        starts, why = ("start", "they depend") if len(anew) > 1 else ("starts", "it depends")
        said.append(f"; the {' and the '.join(anew)} {starts} anew, since {why} on labels or settings that changed")
    return "".join(said) + "."
