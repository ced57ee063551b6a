"""Settings of composed systems: texts, gradient descent, and the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from taxotext.composition import parts
from taxotext.composition.base import SystemSettings
from taxotext.composition.named_files import NamesFile
from taxotext.data.spill import IN_MEMORY
from taxotext.data.tokens import Ragged, TextTokenizer
from taxotext.data.windows import Windows, make_windows
from taxotext.settings import Settings

FITTING: tuple[parts.Kind, ...] = ("head", "structure")
"""Kinds of parts of which one makes what the other one reads."""


class TextSettings(Settings):
    """How texts become tokens."""

    max_tokens: int = Field(128, ge=4, description="tokens the encoder reads at once, special tokens included")
    long_text: Literal["truncate", "head_tail", "chunk_max", "chunk_mean"] = Field(
        "truncate", description="longer texts: truncate, head_tail, chunk_max, chunk_mean"
    )
    max_chunks: int = Field(8, ge=1, description="pieces of one text at most (chunk_max, chunk_mean)")

    def windows(self, tokens: Ragged, tokenizer: TextTokenizer, in_memory: int = IN_MEMORY) -> Windows:
        """What an encoder reads of documents that are token ids without special tokens.

        Args:
            tokens: of each document.
            tokenizer: that made them.
            in_memory: ids that are kept in memory; more are in a temporary file.
        """
        return make_windows(
            tokens,
            max_tokens=self.max_tokens,
            mode=self.long_text,
            max_chunks=self.max_chunks,
            prefix=tokenizer.prefix,
            suffix=tokenizer.suffix,
            in_memory=in_memory,
        )


class TrainingSettings(Settings):
    """Gradient descent."""

    epochs: int = Field(10, ge=1, description="passes over the training documents at most")
    batch_size: int = Field(16, ge=1, le=100_000, description="documents in a batch")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are added before a step")
    learning_rate: float = Field(1e-4, gt=0, description="of the encoder (AdamW)")
    head_learning_rate: float = Field(1e-3, gt=0, description="of everything that starts from random weights")
    weight_decay: float = Field(0.01, ge=0, description="on matrices, not on biases and norms")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="of the learning rates")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rates rise")
    clip: float = Field(5.0, ge=0, description="largest norm of the gradient; 0: no clipping")
    recursive: float = Field(0.0, ge=0, description="weight of 1/2 |w_parent - w_child|^2 along the taxonomy")
    patience: int = Field(3, ge=1, description="epochs without a better validation score before stopping")
    monitor: Literal[
        "micro_f1", "macro_f1", "weighted_f1", "samples_f1", "set_accuracy", "hierarchical_micro_f1", "p@1", "ndcg@5"
    ] = Field("micro_f1", description="validation score that selects the epoch")
    averaging: Literal["none", "swa"] = Field(
        "none", description="swa: from averaging_start on, the mean of the weights at the ends of the epochs is kept"
    )
    averaging_start: float = Field(0.5, ge=0, lt=1, description="share of the epochs before averaging begins")
    max_minutes: float | None = Field(
        None, gt=0, description="no epoch begins that would end later, by the time of the epochs before; null: no limit"
    )
    start: Annotated[str | None, NamesFile()] = Field(
        None, min_length=1, description="model folder whose weights the training starts from; null: it starts anew"
    )
    checkpoint_minutes: float = Field(5.0, ge=0, description="time between checkpoints; 0: at each step")


# The types of the sections, so that a system states its defaults alone: ``encoder: EncoderPart = RcnnSettings()``.
if TYPE_CHECKING:
    EncoderPart: TypeAlias = Any
    StructurePart: TypeAlias = Any
    HeadPart: TypeAlias = Any
    LossPart: TypeAlias = Any
else:
    EncoderPart = Annotated[parts.choice("encoder"), Field(description="text encoder")]
    StructurePart = Annotated[parts.choice("structure"), Field(description="structure encoder")]
    HeadPart = Annotated[parts.choice("head"), Field(description="label head")]
    LossPart = Annotated[
        parts.choice("loss") | None, Field(description="loss over the labels; null: the head has its own")
    ]


class NeuralSettings(SystemSettings):
    """Settings of a composed system."""

    text: TextSettings = Field(TextSettings(), description="tokens and long texts")
    encoder: EncoderPart = parts.TransformerSettings()
    structure: StructurePart = parts.NoStructureSettings()
    head: HeadPart = parts.LinearHeadSettings()
    loss: LossPart = parts.BinaryCrossEntropySettings()
    training: TrainingSettings = Field(TrainingSettings(), description="gradient descent")

    trains_levels: ClassVar[bool] = False
    """Whether the system trains a head level by level (``head.level_wise``)."""

    @property
    def owns_loss(self) -> bool:
        """Whether the head has a loss of its own, and no section ``loss`` is taken."""
        return bool(self.head.own_loss)

    @model_validator(mode="after")
    def _loss_of_the_head(self) -> Self:
        """A head with a loss of its own leaves ``loss: null``, so that a printed configuration says what is trained."""
        if not self.owns_loss:
            if self.loss is None:
                raise ValueError(f"loss: the head {self.head.name} needs one; leave the section out for cross-entropy")
        elif self.loss is not None:
            if "loss" in self.model_fields_set:
                raise ValueError(f"loss: the head {self.head.name} has a loss of its own; leave the section loss out")
            object.__setattr__(self, "loss", None)  # the default; settings are frozen for everybody else
        return self

    @model_validator(mode="after")
    def _levels_of_the_head(self) -> Self:
        """A head that is trained level by level needs a system that does."""
        if self.head.level_wise and not self.trains_levels:
            raise ValueError(
                f"head: {self.head.name} is trained level by level, which only attention_xml does; take that system, "
                "or head.name=label_tree, whose levels are trained together"
            )
        return self

    @model_validator(mode="after")
    def _structure_of_the_head(self) -> Self:
        """What the structure encoder makes is what the head reads."""
        if self.structure.gives != self.head.reads:
            kinds = {kind: [name for name, one in parts.members(kind).items() if self._fits(one)] for kind in FITTING}
            raise ValueError(
                f"head: {self.head.name} does not read what the structure {self.structure.name} makes; choose "
                f"head.name from {', '.join(kinds['head'])}, or structure.name from {', '.join(kinds['structure'])}"
            )
        return self

    def _fits(self, part: type[Settings]) -> bool:
        reads, gives = getattr(part, "reads", None), getattr(part, "gives", None)
        return reads in {None, self.structure.gives} and gives in {None, self.head.reads}
