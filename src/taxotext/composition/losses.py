"""Loss parts beside binary cross-entropy: focal, asymmetric, ZLPR, max-constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from taxotext.composition.parts import LabelContext, Record, register
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import nn

SCALE = "over labels; the mean divides the gradients by their number"


class FocalSettings(Settings):
    """Cross-entropy that turns away from what is predicted well already."""

    name: Literal["focal"] = Field("focal", description="kind of loss")
    scale: Literal["sum", "mean"] = Field("sum", description=SCALE)
    gamma: float = Field(2.0, ge=0, le=20, description="how fast; 0: binary cross-entropy")
    alpha: float | None = Field(
        None, gt=0, lt=1, description="weight of positives, 1 - alpha of negatives; null: 1 for both"
    )


class AsymmetricSettings(Settings):
    """Focal loss with a rate of its own for negatives, of which the easy ones are left out."""

    name: Literal["asymmetric"] = Field("asymmetric", description="kind of loss")
    scale: Literal["sum", "mean"] = Field("sum", description=SCALE)
    gamma_positive: float = Field(0.0, ge=0, le=20, description="focus on hard positives")
    gamma_negative: float = Field(4.0, ge=0, le=20, description="focus on hard negatives")
    margin: float = Field(0.05, ge=0, lt=1, description="taken off the probability of negatives")


class ZlprSettings(Settings):
    """Zero-bounded log-sum-exp: ranks all positives above 0 and all negatives below."""

    name: Literal["zlpr"] = Field("zlpr", description="kind of loss")


class MaxConstraintSettings(Settings):
    """Cross-entropy of scores that cannot contradict the taxonomy (MCLoss of C-HMCNN); decode with consistency=up."""

    name: Literal["max_constraint"] = Field("max_constraint", description="kind of loss")
    scale: Literal["sum", "mean"] = Field("sum", description=SCALE)


def _build_focal(settings: FocalSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.losses import FocalLoss

    return FocalLoss(settings.gamma, settings.alpha, settings.scale), {}


def _build_asymmetric(settings: AsymmetricSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.losses import AsymmetricLoss

    loss = AsymmetricLoss(settings.gamma_positive, settings.gamma_negative, settings.margin, settings.scale)
    return loss, {}


def _build_zlpr(settings: ZlprSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.losses import ZlprLoss

    return ZlprLoss(), {}


def _build_max_constraint(settings: MaxConstraintSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import numpy as np
    import torch

    from taxotext.nn.losses import MaxConstraintLoss

    closure = context.taxonomy.closure.tocoo()  # row: a label, column: itself and its ancestors
    ancestors, descendants = (torch.from_numpy(np.asarray(part, np.int64)) for part in (closure.col, closure.row))
    return MaxConstraintLoss(ancestors, descendants, settings.scale), {}


register("loss", FocalSettings, _build_focal)
register("loss", AsymmetricSettings, _build_asymmetric)
register("loss", ZlprSettings, _build_zlpr)
register("loss", MaxConstraintSettings, _build_max_constraint)
