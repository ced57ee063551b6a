"""Settings of systems of one binary classifier for each label."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from taxotext.composition import parts
from taxotext.composition.base import SystemSettings
from taxotext.composition.neural_settings import EncoderPart, TextSettings
from taxotext.composition.words import GruAttentionSettings, WordSettings
from taxotext.settings import Settings

Weight = Annotated[float, Field(gt=0)]


class ClassWeightSettings(Settings):
    """Weight of the documents that bear a label, against those that do not."""

    candidates: tuple[Weight, ...] = Field(
        (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 50.0), min_length=1, description="tried for each label; best validation F1"
    )
    search: Literal["halving", "grid"] = Field(
        "halving", description="grid: each weight is trained to its end; halving: after each rung the better ones go on"
    )
    rungs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (2, 5), min_length=1, description="halving: epochs after which the weights are compared"
    )
    factor: float = Field(3.0, gt=1, description="halving: one in so many goes on, rounded up")

    @field_validator("candidates", "rungs")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(value)):
            raise ValueError("each number must be greater than the one before")
        return value


class TransferSettings(Settings):
    """What a classifier takes over from that of the parent label."""

    enabled: bool = Field(True, description="false: each label starts from random weights")
    parent: Literal["best", "largest", "first"] = Field(
        "best", description="of several: best validation F1, most training documents, or first in the taxonomy"
    )
    fresh_head: bool = Field(
        True, description="the output layer starts from random weights; false: from that of the parent"
    )
    freeze_embeddings: bool = Field(
        False, description="word vectors are trained by labels without parent only; false: by every label, its own"
    )
    body_learning_rate: float | None = Field(
        None, gt=0, description="of what was taken over, the output layer left out; null: training.learning_rate"
    )
    inherit: Literal["selected", "least_loss"] = Field(
        "least_loss", description="the epoch of the parent: the one that it keeps, or that of least validation loss"
    )
    shrink: float = Field(
        0.5, gt=0, le=1, description="what is taken over is multiplied by this (shrink and perturb); 1: as it is"
    )
    perturb: float = Field(
        0.5, ge=0, lt=1, description="share of fresh random weights that is added to what is taken over"
    )


class BinaryTrainingSettings(Settings):
    """One small fit: gradient descent for one label and one class weight."""

    epochs: int = Field(10, ge=1, description="passes over the training documents at most")
    batch_size: int = Field(128, ge=1, le=100_000, description="documents in a batch")
    learning_rate: float = Field(3e-3, gt=0, description="Adam; of everything that nothing else is said of")
    clip: float = Field(5.0, ge=0, description="largest norm of the gradient; 0: no clipping")
    monitor: Literal["f1", "average_precision", "loss"] = Field(
        "f1", description="what the kept epoch is best in, on the validation documents (f1: at threshold 0.5)"
    )
    patience: int = Field(3, ge=1, description="epochs without a better training.monitor before stopping")
    start_at_odds: bool = Field(
        True, description="the output starts at the weighted log-odds of the label; false: at 0"
    )
    split: Literal["shared", "own"] = Field(
        "shared",
        description="shared: all labels select on the same validation documents; own: labels that may inherit from "
        "each other select on 15 % of the training documents of their own",
    )
    checkpoint_minutes: float = Field(0.5, ge=0, description="time between checkpoints within a fit, at ends of epochs")


class BinarySettings(SystemSettings):
    """Settings of ``gru_att`` and ``htrans``."""

    text: TextSettings = Field(TextSettings(max_tokens=256), description="tokens and long texts")
    encoder: EncoderPart = Field(
        GruAttentionSettings(), description="text encoder of each classifier; a transformer: shared, and frozen"
    )
    body: parts.choice("body") | None = Field(  # type: ignore[valid-type]
        None, description="of each label over a shared encoder; null: gru, or none where the encoder is one over words"
    )
    weights: ClassWeightSettings = Field(ClassWeightSettings(), description="class weights")
    transfer: TransferSettings = Field(TransferSettings(), description="along the taxonomy")
    training: BinaryTrainingSettings = Field(BinaryTrainingSettings(), description="of one small fit")
    storage: Literal["float32", "float16"] = Field("float32", description="of the weights in the model folder")

    @model_validator(mode="before")
    @classmethod
    def _named_body(cls, values: Any) -> Any:
        """Over a pretrained encoder ``body`` is never null: configurations say what was fitted."""
        encoder = values.get("encoder") if isinstance(values, Mapping) else None
        name = encoder.get("name") if isinstance(encoder, Mapping) else getattr(encoder, "name", None)
        kind = parts.members("encoder").get(str(name), WordSettings)
        if issubclass(kind, WordSettings) or values.get("body") is not None:
            return values
        return {**values, "body": {"name": "gru"}}

    @model_validator(mode="after")
    def _body_and_encoder(self) -> Self:
        if self.body is not None and isinstance(self.encoder, WordSettings):
            raise ValueError(
                f"body: {self.encoder.name} is an encoder over words and needs no body; "
                "leave the section out, or choose encoder.name=transformer"
            )
        if self.body is not None and not self.encoder.trainable:
            raise ValueError("encoder.trainable: the labels share the encoder, which is frozen anyway; leave it out")
        return self
